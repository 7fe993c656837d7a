"""ptq: TensorFlow Lite's post-training quantization as readable, bit-exact NumPy.

Names are imported when they are first used, so that `import ptq` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptq.build import Builder
    from ptq.converter import Converter
    from ptq.errors import PtqError
    from ptq.format import dumps, load, load_directory, save, save_directory
    from ptq.graph import Graph, Operator, Quantization, Signature, Tensor
    from ptq.interpreter import Interpreter
    from ptq.numerics import (
        LITERT_REFERENCE,
        LITERT_REFERENCE_ORDERED,
        PORTABLE,
        SINGLE_ROUNDING,
        TFLITE_MICRO,
        XNNPACK,
        Numerics,
    )
    from ptq.oracle import trace

_HOMES = {
    "build": ["Builder"],
    "converter": ["Converter"],
    "errors": ["PtqError"],
    "format": ["dumps", "load", "load_directory", "save", "save_directory"],
    "graph": ["Graph", "Operator", "Quantization", "Signature", "Tensor"],
    "interpreter": ["Interpreter"],
    "numerics": [
        "LITERT_REFERENCE",
        "LITERT_REFERENCE_ORDERED",
        "PORTABLE",
        "SINGLE_ROUNDING",
        "TFLITE_MICRO",
        "XNNPACK",
        "Numerics",
    ],
    "oracle": ["trace"],
}
_MODULE_OF = {name: f"ptq.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "LITERT_REFERENCE",
    "LITERT_REFERENCE_ORDERED",
    "PORTABLE",
    "SINGLE_ROUNDING",
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
    "Signature",
    "Tensor",
    "dumps",
    "load",
    "load_directory",
    "save",
    "save_directory",
    "trace",
]


def __getattr__(name: str) -> Any:
    """A public name, or a module of the package such as `ptq.kernels`, imported on first use."""
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    elif not name.startswith("_") and find_spec(f"ptq.{name}") is not None:
        value = import_module(f"ptq.{name}")
    else:
        raise AttributeError(f"module 'ptq' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
