"""ptq: TensorFlow Lite's post-training quantization as readable, bit-exact NumPy."""

from ptq.build import Builder
from ptq.converter import Converter
from ptq.errors import PtqError
from ptq.format import dumps, load, load_directory, save, save_directory
from ptq.graph import Graph, Operator, Quantization, Tensor
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, PORTABLE, TFLITE_MICRO, XNNPACK, Numerics

__all__ = [
    "LITERT_REFERENCE",
    "PORTABLE",
    "TFLITE_MICRO",
    "XNNPACK",
    "Builder",
    "Converter",
    "Graph",
    "Interpreter",
    "Numerics",
    "Operator",
    "PtqError",
    "Quantization",
    "Tensor",
    "dumps",
    "load",
    "load_directory",
    "save",
    "save_directory",
]
