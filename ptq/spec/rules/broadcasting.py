"""Which elements of several operands meet, where their shapes differ."""

from __future__ import annotations

from ptq.spec.numbers import Index
from ptq.spec.rules.core import Written


class Broadcasting(Written):
    """The rules of operators that work element by element on more than one operand."""

    def broadcast_index(self, shape: Index, index: Index) -> Index:
        """Where an output finds its operand: aligned at the last dimension, 0 along those of size 1."""
        aligned = index[len(index) - len(shape) :]
        return tuple(0 if size == 1 else i for size, i in zip(shape, aligned, strict=True))

    def rows_index(self, shape: Index, index: Index) -> Index:
        """Where an output finds the condition of SELECT: aligned at the first dimension, for whole rows."""
        return index[: len(shape)]
