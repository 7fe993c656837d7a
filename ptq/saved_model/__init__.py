"""TensorFlow's SavedModel directories, read without TensorFlow."""

from ptq.saved_model.nodes import ElementType, FlatGraph, FunctionName, Node, Port, TypeName
from ptq.saved_model.reader import read, signature_keys
from ptq.saved_model.translate import translate

__all__ = [
    "ElementType", "FlatGraph", "FunctionName", "Node", "Port", "TypeName", "read", "signature_keys",
    "translate",
]  # fmt: skip
