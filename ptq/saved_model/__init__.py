"""TensorFlow's SavedModel directories, read without TensorFlow."""

from ptq.saved_model.nodes import ElementType, FlatGraph, FunctionName, Node, Port, TypeName
from ptq.saved_model.reader import read, signature_keys

__all__ = [
    "ElementType", "FlatGraph", "FunctionName", "Node", "Port", "TypeName", "read", "signature_keys",
]  # fmt: skip
