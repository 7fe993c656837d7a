"""A TensorFlow graph after reading: nodes in the order in which they run, variables turned into constants.

A SavedModel stores several graphs, functions that call each other, and variables in files beside them. What
the rest of ptq works on is one flat list of nodes for one signature; these are its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class FunctionName(str):
    """The value of an attribute that names a function, such as `body` of a While node."""

    __slots__ = ()


class TypeName(str):
    """An element type that NumPy does not have: "bfloat16", "resource", "variant", "qint8" ..."""

    __slots__ = ()


ElementType = np.dtype[Any] | TypeName


@dataclass(frozen=True)
class Node:
    """One node of a flat graph.

    name: unique in the graph; what was inlined is prefixed by the call: "PartitionedCall/conv/Conv2D".
    op: TensorFlow's name of the operation, "Conv2D".
    inputs: the tensors it takes, each "name:index" with the index written even if it is 0.
    attributes: decoded. int, float, bool and str (bytes where it is not UTF-8) as they are; an element type
    is a dtype (strings: object) or a TypeName; a shape is a tuple with -1 for an unknown dimension, or None
    for an unknown rank; a tensor is a read-only array; a function is a FunctionName; a list is a tuple.
    A Const node has its array in "value", also where TensorFlow reads a variable.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Port:
    """An input or an output of a signature: its name there, the tensor "name:index", its type and shape."""

    name: str
    tensor: str
    dtype: ElementType
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class FlatGraph:
    """One signature, or the body of a function that stays a call (While, If).

    nodes: only those that the outputs need, each after its inputs, otherwise in TensorFlow's own order.
    inputs: the "Placeholder" nodes in the order of the arguments.
    functions: the bodies that nodes name in their attributes, by name.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    functions: Mapping[str, FlatGraph] = field(default_factory=dict)
    signature_key: str = ""
