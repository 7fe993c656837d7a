"""What a loop does to its values: which count, which stay, which are lists, which are states.

TensorFlow's While has as many results as arguments; its body computes new values from old ones, its condition
says whether to go on. A recurrent Keras layer becomes such a loop over the steps of its input:

    counter + 1;  list[counter] is read;  list[counter] or list[0] is written;  states are computed

Source: `keras/src/backend/tensorflow/rnn.py` (rnn) and `tensorflow/python/ops/tensor_array_ops.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ptq.errors import UnsupportedError
from ptq.graph import Array
from ptq.saved_model.dilation import undo_space_to_batch
from ptq.saved_model.nodes import FlatGraph, Node

SUMS = frozenset({"Add", "AddV2", "BiasAdd"})


class Expressions:
    """The nodes of a function, asked for by the values that they compute."""

    def __init__(self, flat: FlatGraph) -> None:
        self.flat = flat
        self.arguments = {port.tensor: position for position, port in enumerate(flat.inputs)}
        self._nodes = {node.name: node for node in flat.nodes}

    def node(self, value: str, *ops: str) -> Node | None:
        """The node that computes a value as its first output, if it is one of `ops`."""
        name, _, index = value.rpartition(":")
        node = self._nodes.get(name)
        return node if node is not None and node.op in ops and index == "0" else None

    def operand(self, value: str, op: str) -> str | None:
        """x where the value is op(x)."""
        node = self.node(value, op)
        return None if node is None or len(node.inputs) != 1 else node.inputs[0]

    def pairs(self, value: str, *ops: str) -> list[tuple[str, str]]:
        """(a, b) and (b, a) where the value is op(a, b) with an operation that commutes; else none."""
        node = self.node(value, *ops)
        if node is None or len(node.inputs) != 2:
            return []
        a, b = node.inputs
        return [(a, b), (b, a)]

    def constant(self, value: str) -> Array | None:
        """The array of a Const node."""
        node = self.node(value, "Const")
        return None if node is None else np.asarray(node.attributes["value"])


@dataclass(frozen=True)
class Written:
    """A list of which one element is replaced in each round: list[index] = item."""

    index: str
    item: str


@dataclass(frozen=True)
class Loop:
    """A While node, its two functions, and its arguments sorted by what the body does to them.

    constant: these stay what they are. counters: these grow by 1. written: a list, by position.
    states: the others, which the body computes anew.
    """

    node: Node
    condition: Expressions
    body: Expressions
    constant: frozenset[int]
    counters: frozenset[int]
    written: Mapping[int, Written] = field(default_factory=dict)
    states: tuple[int, ...] = ()

    def result(self, position: int) -> str:
        """The body's value that an argument takes in the next round."""
        return self.body.flat.outputs[position].tensor

    def argument(self, position: int) -> str:
        """The body's value that stands for an argument."""
        return self.body.flat.inputs[position].tensor


def loop_of(node: Node, functions: Mapping[str, FlatGraph]) -> Loop:
    """The loop of a While node.

    UnsupportedError for a function that is missing or does not take and return what the node does.
    """
    count = len(node.inputs)
    condition = called(node, "cond", functions, count, 1)
    body = called(node, "body", functions, count, count)
    arguments, results = [p.tensor for p in body.inputs], [p.tensor for p in body.outputs]
    seen = Expressions(body)
    kept = frozenset(k for k in range(count) if arguments[k] == results[k])
    counters = frozenset(k for k in range(count) if _counts(seen, arguments[k], results[k]))
    written = {k: w for k in range(count) if (w := _written(seen, arguments[k], results[k])) is not None}
    states = tuple(k for k in range(count) if k not in kept | counters | written.keys())
    return Loop(node, Expressions(condition), seen, kept, counters, written, states)


def called(
    node: Node, attribute: str, functions: Mapping[str, FlatGraph], inputs: int, outputs: int
) -> FlatGraph:
    """The function that an attribute names, if it has so many inputs and outputs; else UnsupportedError."""
    name = node.attributes.get(attribute)
    flat = functions.get(str(name))
    if flat is None:
        raise UnsupportedError(
            f"{node.op} '{node.name}': function '{name}' ({attribute}) is not in the model; export it again"
        )
    found = len(flat.inputs), len(flat.outputs)
    if found != (inputs, outputs):
        raise UnsupportedError(
            f"{node.op} '{node.name}': function '{name}' has {found[0]} inputs and {found[1]} outputs, "
            f"expected {inputs} and {outputs}"
        )
    return undo_space_to_batch(flat)


def limits(condition: Expressions, counters: frozenset[int]) -> list[str] | None:
    """n, m, ... where the condition is (counter < n) and (counter < m) and ..., else None."""
    found: list[str] = []
    open_values = [condition.flat.outputs[0].tensor]
    while open_values:
        value = open_values.pop()
        both, less = condition.node(value, "LogicalAnd"), condition.node(value, "Less")
        if both is not None:
            open_values += both.inputs
        elif less is not None and condition.arguments.get(less.inputs[0]) in counters:
            found.append(less.inputs[1])
        else:
            return None
        if len(found) + len(open_values) > len(condition.flat.nodes):  # "x and x", over and over
            return None
    return found


def _counts(body: Expressions, argument: str, result: str) -> bool:
    for a, b in body.pairs(result, "Add", "AddV2"):
        step = body.constant(b)
        if a == argument and step is not None and step.shape == () and step.dtype.kind == "i" and step == 1:
            return True
    return False


def _written(body: Expressions, argument: str, result: str) -> Written | None:
    node = body.node(result, "TensorListSetItem")
    if node is None or node.inputs[0] != argument:
        return None
    return Written(node.inputs[1], node.inputs[2])
