"""A graph while it is translated: which tensor stands for which TensorFlow value, and what is known of it.

Sizes that a SavedModel leaves open (the batch) are found in two worlds: every unknown size is one number in
the first, another in the second, and shapes are inferred in both. A size that differs between the two depends
on what is unknown; one that is equal does not. The same holds for integers that are computed from shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.errors import PtqError, UnsupportedError
from ptq.graph import ABSENT, DTYPES, Graph, Operator, Tensor, type_of
from ptq.kernels.call import Call
from ptq.operators import OPTIONS
from ptq.saved_model.nodes import FlatGraph, Node, Port, TypeName
from ptq.shapes import infer_shapes

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

WORLDS = 2
BATCH, SIZE = 60, 420
"""An unknown batch and other unknown sizes are multiples of these: a model may divide them by small numbers.

Their products with numbers of channels stay in int32, in which models compute with shapes.
"""

LARGEST_KNOWN = 4096
"""Computed integers are followed up to so many: shapes and indices, not images."""

LARGEST_FOLDED = 8 << 20
"""What depends on constants alone is computed up to so many bytes, or as many as it is made of."""


@dataclass(frozen=True)
class Reserved:
    """A list of `size` items, a scalar tensor, that are not known yet, and the node that reserves it."""

    size: int
    node: Node


class Translation:
    """Collects the tensors and operators of a graph; the functions of each op family call its methods.

    functions: those that nodes may call, by name. parent: the graph that calls this one, if any; depth counts
    them. translate_nodes: translates the nodes of a function into another Translation, noting in `problems`
    what it cannot. read: the values that something reads. reserved: lists without items, by the tensor that
    stands for them; unshaped: arguments that are such lists, and their size in each world.
    """

    def __init__(
        self, name: str | None = "main", functions: Mapping[str, FlatGraph] | None = None,
        parent: Translation | None = None
    ) -> None:
        self.graph = Graph(name=name)
        self.functions: Mapping[str, FlatGraph] = functions or {}
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.subgraphs: list[Graph] = self.graph.subgraphs if parent is None else parent.subgraphs
        self.problems: list[str] = [] if parent is None else parent.problems
        self.translate_nodes: NodesTranslator = parent.translate_nodes if parent else _nothing
        self.read: frozenset[str] = frozenset()
        self.reserved: dict[int, Reserved] = {}
        self.unshaped: dict[int, list[int]] = {}
        self.worlds: list[list[Tensor]] = [[] for _ in range(WORLDS)]
        self._values: dict[str, int] = {}
        self._names: set[str] = set()

    # --- TensorFlow's values ----------------------------------------------------------------------

    def inputs(self, node: Node) -> list[int]:
        """The tensors that stand for the node's inputs."""
        return [self._values[name] for name in node.inputs]

    def value(self, name: str) -> int:
        """The tensor that stands for the value "name:index"."""
        return self._values[name]

    def knows(self, names: Iterable[str]) -> bool:
        """Whether all these values have been translated; not so after an operation that ptq does not know."""
        return all(name in self._values for name in names)

    def define(self, node: Node, tensors: Sequence[int]) -> None:
        """Say which tensors stand for the outputs of `node`."""
        for position, tensor in enumerate(tensors):
            self._values[f"{node.name}:{position}"] = tensor

    # --- tensors ----------------------------------------------------------------------------------

    def feed(self, port: Port) -> int:
        """An input of the graph; UnsupportedError if TensorFlow does not know how many dimensions it has."""
        if port.shape is None or isinstance(port.dtype, TypeName):
            found = "a shape of unknown rank" if port.shape is None else f"type {port.dtype}"
            raise UnsupportedError(
                f"input '{port.name}': {found} found, expected a number for each dimension (-1 where it is "
                "open) and a type of NumPy; export the model again with a full input signature"
            )
        shapes = [_assume(port.shape, world) for world in range(WORLDS)]
        index = self._add(port.tensor, shapes, type_of(port.dtype))
        self.graph.inputs.append(index)
        self._values[port.tensor] = index
        return index

    def feed_like(self, name: str, kind: str, shapes: Sequence[Shape]) -> int:
        """An input of a subgraph: a value of the caller, with one shape in each world."""
        index = self._add(name, shapes, kind)
        self.graph.inputs.append(index)
        self._values[name] = index
        return index

    def alias(self, name: str, tensor: int) -> None:
        """Let a tensor stand for the value "name:index"."""
        self._values[name] = tensor

    def restate(self, tensor: int, shapes: Sequence[Shape], kind: str) -> None:
        """Give a tensor its shape and type when they become known."""
        signature, fixed = _signature(shapes)
        known = replace(self.graph.tensors[tensor], shape=fixed, shape_signature=signature, type=kind)
        self.graph.tensors[tensor] = known
        for world, shape in zip(self.worlds, shapes, strict=True):
            world[tensor] = replace(known, shape=shape)

    def variable(self, shape: Shape, name: str) -> int:
        """A tensor of float32 that lasts from one invocation to the next, zeros at first."""
        index = self._add(name, [shape] * WORLDS, "FLOAT32")
        self.graph.tensors[index].is_variable = True
        return index

    def constant(self, data: Array, name: str) -> int:
        """A tensor that is stored in the graph; the array is not copied."""
        tensor = Tensor(self._unique(name), data.shape, type_of(data.dtype), data)
        for world in self.worlds:
            world.append(tensor)
        return self.graph.add_tensor(tensor)

    def int32(self, values: npt.ArrayLike, name: str) -> int:
        """A constant of int32: axes, shapes, amounts of padding."""
        return self.constant(np.asarray(values, np.int32), name)

    def shape(self, tensor: int) -> Shape:
        """The shape, with -1 for a size that is not known before the model runs."""
        known = self.graph.tensors[tensor]
        return known.shape if known.shape_signature is None else known.shape_signature

    def rank(self, tensor: int) -> int:
        """The number of dimensions."""
        return len(self.graph.tensors[tensor].shape)

    def type(self, tensor: int) -> str:
        """The element type by its name in the schema."""
        return self.graph.tensors[tensor].type

    def data(self, tensor: int) -> Array | None:
        """The elements of a constant, else None."""
        return self.graph.tensors[tensor].data

    def made_by(self, tensor: int, type: str) -> Operator | None:
        """The operator of this type that writes the tensor, if one does."""
        producer = self.graph.producer(tensor)
        operator = None if producer is None else self.graph.operators[producer]
        return operator if operator is not None and operator.type == type else None

    def numbers(self, node: Node, tensor: int, what: str) -> list[int]:
        """The integers of a constant operand, flat; UnsupportedError if it is computed at run time."""
        data = self.data(tensor)
        if data is None:
            raise UnsupportedError(
                f"{node.op} '{node.name}': {what} is computed at run time, expected a constant"
            )
        return [int(n) for n in data.ravel()]

    def producer(self, tensor: int) -> Operator | None:
        """The operator that writes `tensor`."""
        position = self.graph.producer(tensor)
        return None if position is None else self.graph.operators[position]

    def shapes_seen(self, tensor: int) -> list[Shape]:
        """The shape in each world."""
        return [world[tensor].shape for world in self.worlds]

    def sizes(self, tensor: int, axis: int) -> list[int]:
        """One size in each world."""
        return [shape[axis] for shape in self.shapes_seen(tensor)]

    def numbers_seen(self, tensor: int) -> list[int] | None:
        """A single integer in each world, if it is a constant or follows from shapes."""
        seen = [world[tensor].data for world in self.worlds]
        known = [int(data.ravel()[0]) for data in seen if data is not None and data.size == 1]
        return known if len(known) == len(seen) else None

    # --- operators --------------------------------------------------------------------------------

    def op(
        self, type: str, inputs: Sequence[int], name: str, options: dict[str, Any] | None = None,
        version: int = 1, kinds: Sequence[str] | None = None
    ) -> list[int]:
        """Append an operator and return what it writes; what depends on constants alone becomes a constant.

        kinds: the element types of the outputs, default that of the first input.
        """
        table, defaults = OPTIONS.get(type, (None, {}))
        operator = Operator(type, list(inputs), [], {**defaults, **(options or {})}, table, version)
        shapes = [infer_shapes(operator, self._seen(world, inputs)) for world in self.worlds]
        first = next(i for i in inputs if i != ABSENT)
        written = list(kinds) if kinds is not None else [self.type(first)] * len(shapes[0])
        worlds = list(zip(self.worlds, shapes, strict=True))
        known = [self._evaluate(world, operator, sizes, written) for world, sizes in worlds]
        names = [f"{name}:{n}" if n else name for n in range(len(written))]
        if known[0] is not None and self._folds(operator) and _agree(known):
            return [self.constant(value, label) for value, label in zip(known[0], names, strict=True)]
        for position, (label, kind) in enumerate(zip(names, written, strict=True)):
            output = self._add(label, [sizes[position] for sizes in shapes], kind)
            operator.outputs.append(output)
            for world, values in zip(self.worlds, known, strict=True):
                world[output].data = None if values is None else values[position]
        self.graph.operators.append(operator)
        return operator.outputs

    def call(
        self, type: str, inputs: Sequence[int], name: str, options: dict[str, Any],
        written: Sequence[tuple[str, Sequence[Shape]]]
    ) -> list[int]:
        """Append an operator that runs subgraphs; of each output the type, and the shape in each world."""
        table, defaults = OPTIONS.get(type, (None, {}))
        operator = Operator(type, list(inputs), [], {**defaults, **options}, table)
        for position, (kind, shapes) in enumerate(written):
            operator.outputs.append(self._add(f"{name}:{position}" if position else name, shapes, kind))
        self.graph.operators.append(operator)
        return operator.outputs

    def one(self, type: str, inputs: Sequence[int], name: str, *details: Any, **more: Any) -> int:
        """The only output of an operator; see `op`."""
        return self.op(type, inputs, name, *details, **more)[0]

    def _seen(self, world: list[Tensor], inputs: Sequence[int]) -> list[Tensor | None]:
        return [None if i == ABSENT else world[i] for i in inputs]

    def _folds(self, operator: Operator) -> bool:
        """Whether TensorFlow's converter folds it: constants alone, or what a slice takes from a shape."""
        tensors = self.graph.tensors
        if all(i == ABSENT or tensors[i].is_constant for i in operator.inputs):
            return True
        if operator.type == "SHAPE":
            return tensors[operator.inputs[0]].shape_signature is None
        producer = self.graph.producer(operator.inputs[0])
        shape_of = producer is not None and self.graph.operators[producer].type == "SHAPE"
        return operator.type == "STRIDED_SLICE" and shape_of

    def _evaluate(
        self, world: list[Tensor], operator: Operator, shapes: Sequence[Shape], kinds: Sequence[str]
    ) -> list[Array] | None:
        """The outputs, if they follow from constants or from the sizes that this world assumes."""
        tensors = self._seen(world, operator.inputs)
        if operator.type == "SHAPE":
            return [np.array(world[operator.inputs[0]].shape, DTYPES[kinds[0]])]
        if any(t is not None and t.data is None for t in tensors) or operator.type not in kernels.FLOAT:
            return None
        if not self._is_small(operator, shapes):
            return None
        outputs = [Tensor("", shape, kind) for shape, kind in zip(shapes, kinds, strict=True)]
        data = [None if t is None else t.data for t in tensors]
        try:
            return kernels.evaluate(Call(operator, tensors, data, outputs), operator.type)
        except PtqError:
            return None

    def _is_small(self, operator: Operator, shapes: Sequence[Shape]) -> bool:
        """Whether the outputs are worth computing; a few bytes of a file can ask for any size."""
        tensors = [self.graph.tensors[i] for i in operator.inputs if i != ABSENT]
        elements = sum(math.prod(shape) for shape in shapes)
        if not all(tensor.is_constant for tensor in tensors):
            return elements <= LARGEST_KNOWN
        read = sum(tensor.data.nbytes for tensor in tensors if tensor.data is not None)
        return elements * 8 <= max(LARGEST_FOLDED, 2 * read)

    # --- bookkeeping ------------------------------------------------------------------------------

    def _add(self, name: str, shapes: Sequence[Shape], kind: str) -> int:
        """A tensor with one shape in each world."""
        signature, fixed = _signature(shapes)
        tensor = Tensor(self._unique(name), fixed, kind, shape_signature=signature)
        for world, shape in zip(self.worlds, shapes, strict=True):
            world.append(replace(tensor, shape=shape))
        return self.graph.add_tensor(tensor)

    def _unique(self, name: str) -> str:
        candidates = (f"{name};{n}" if n else name for n in count())
        unique = next(candidate for candidate in candidates if candidate not in self._names)
        self._names.add(unique)
        return unique


def _signature(shapes: Sequence[Shape]) -> tuple[Shape | None, Shape]:
    """The shape with -1 where worlds differ, or None if they do not, and with 1 there."""
    signature = tuple(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True))
    return signature if -1 in signature else None, tuple(1 if size < 0 else size for size in signature)


def _assume(shape: Shape, world: int) -> Shape:
    """The sizes of one world; what is unknown of the same dimension, such as the batch, is one number."""
    return tuple(
        size if size >= 0 else (world + 1) * (SIZE * axis if axis else BATCH)
        for axis, size in enumerate(shape)
    )


def _nothing(t: Translation, flat: FlatGraph) -> None:
    """Translates no functions: of a graph that calls none."""


NodesTranslator = Callable[[Translation, FlatGraph], None]
Rule = Callable[[Translation, Node], list[int]]
"""How one TensorFlow operation is translated: the tensors that stand for its outputs."""


def _agree(known: Sequence[list[Array] | None]) -> bool:
    """Whether all worlds know the outputs, and the same ones."""
    first, *others = known
    return all(
        first is not None and values is not None and len(values) == len(first)
        and all(np.array_equal(a, b) for a, b in zip(first, values, strict=True))
        for values in others
    )
