"""Which elements STRIDED_SLICE takes: Python's x[begin:end:stride], whose empty places are bits of masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Operand
from ptq.spec.rules.core import Written


class Term(NamedTuple):
    """One entry of begin, end and strides. open_begin, open_end: whether the mask says to leave it out."""

    begin: int
    end: int
    stride: int
    open_begin: bool = False
    open_end: bool = False


class Striding(Written):
    """The rules of STRIDED_SLICE.

    Source: `tflite/kernels/internal/strided_slice_logic.h`, StridedSliceStartForAxis, StridedSliceEndForAxis.
    """

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Whether a mask is about a term: bit i is about term i, whichever dimension that stands for."""
        return bool(mask >> term & 1)

    def strided_start(self, term: Term, size: int) -> int:
        """Where a range begins: counted from the end if negative, and moved into the dimension."""
        lowest, highest = (0, size) if term.stride > 0 else (-1, size - 1)
        if term.open_begin:
            return lowest if term.stride > 0 else highest
        return min(max(self.from_the_front(term.begin, size), lowest), highest)

    def strided_stop(self, term: Term, size: int) -> int:
        """Before what it ends; with a negative stride -1 is the place in front of the first element."""
        lowest, highest = (0, size) if term.stride > 0 else (-1, size - 1)
        if term.open_end:
            return highest if term.stride > 0 else lowest
        return min(max(self.from_the_front(term.end, size), lowest), highest)

    def from_the_front(self, place: int, size: int) -> int:
        """A place counted from the front: a negative one counts from the end."""
        return place + size if place < 0 else place

    def single_element(self, term: Term, size: int) -> range:
        """What a term takes that drops its dimension: the element at its begin, whatever its end."""
        start = self.strided_start(term, size)
        return range(start, start + 1)

    def moved_end(self, start: int, term: Term) -> Term:
        """The term with offset: its end counts from its begin on."""
        return term._replace(end=start + term.end)

    def written_element(self, operand: Operand, places: Sequence[Index], position: int) -> Number:
        """The element that the loops over all ranges meet at a position, and write there."""
        return operand.at(*places[position])
