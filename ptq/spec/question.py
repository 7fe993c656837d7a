"""What is asked of the specification: one operator, its operands and options, in plain Python numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any, TypeVar

from ptq.errors import GraphError
from ptq.spec.numbers import Index, Number

Memory = TypeVar("Memory")

LIMITS = {
    "INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767), "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1), "UINT16": (0, 2**16 - 1), "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1), "INT4": (-8, 7),
}  # fmt: skip
"""The smallest and the largest integer of a type."""


@dataclass(frozen=True)
class Operand:
    """A tensor: its elements in row-major order, and how its integers stand for reals.

    type: the schema's name, "INT8", "FLOAT32". values: empty for a tensor that is to be computed. scale,
    zero_point: empty for reals, one entry, or one for each index of dimension `quantized_dimension`.
    """

    type: str
    shape: Index
    values: Sequence[Number] = ()
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    quantized_dimension: int = 0
    name: str = ""

    def at(self, *index: int) -> Number:
        """The element at an index."""
        return self.values[self.position(index)]

    def position(self, index: Index) -> int:
        """The place of an index in row-major order."""
        place = 0
        for i, size in zip(index, self.shape, strict=True):
            place = place * size + i
        return place

    def indices(self) -> Iterator[Index]:
        """All indices in row-major order."""
        return product(*map(range, self.shape))

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest integer of the type; GraphError for reals."""
        if self.type not in LIMITS:
            raise GraphError(f"tensor '{self.name}' of type {self.type} found, expected integers")
        return LIMITS[self.type]

    @property
    def only_scale(self) -> float:
        """The scale of a tensor that has one."""
        return self.scale[0]

    @property
    def only_zero_point(self) -> int:
        """Its zero point."""
        return self.zero_point[0]


@dataclass(frozen=True)
class Question:
    """One operator: which outputs has it for these operands?

    inputs: None for an optional operand that is absent. outputs: shapes, types and scales of what is asked.
    states: the positions of inputs that the operator writes, too; their new values count as further outputs.
    intermediates: tensors whose scales tell a quantized LSTM how it computes inside.
    memory: what the specification has worked out already (by one set of rules).
    """

    operator: str
    arithmetic: str
    inputs: Sequence[Operand | None]
    outputs: Sequence[Operand]
    options: Mapping[str, Any] = field(default_factory=dict)
    states: Sequence[int] = ()
    intermediates: Sequence[Operand] = ()
    memory: dict[Any, Any] = field(default_factory=dict, compare=False)

    def input(self, position: int) -> Operand:
        """A mandatory operand; GraphError if it is absent."""
        operand = self.optional(position)
        if operand is None:
            raise GraphError(f"{self.operator}: input {position} is absent, expected a tensor")
        return operand

    def optional(self, position: int) -> Operand | None:
        """An operand that may be absent."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def places(self) -> list[Operand]:
        """Everything that the operator writes: its outputs, then the new values of its states."""
        return [*self.outputs, *(self.input(position) for position in self.states)]

    def once(self, key: Any, compute: Callable[[], Memory]) -> Memory:
        """`compute()`, worked out once: for what several elements share."""
        if key not in self.memory:
            self.memory[key] = compute()
        value: Memory = self.memory[key]
        return value

    def afresh(self) -> Question:
        """The same question, of which nothing has been worked out."""
        return replace(self, memory={})
