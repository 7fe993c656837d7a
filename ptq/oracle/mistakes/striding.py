"""Mistakes in what STRIDED_SLICE takes: masks that are not looked at, places that are counted wrongly."""

from __future__ import annotations

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.striding import Term


class BeginMaskIgnored(Mistake):
    """does not look at begin_mask, and begins where the vector says."""

    title = "begin_mask ignored"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Never set."""
        return name != "begin_mask" and super().mask_bit(name, mask, term, dimension)


class EndMaskIgnored(Mistake):
    """does not look at end_mask, and ends where the vector says."""

    title = "end_mask ignored"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Never set."""
        return name != "end_mask" and super().mask_bit(name, mask, term, dimension)


class EllipsisMaskIgnored(Mistake):
    """does not look at ellipsis_mask, and takes the term for a range of its own."""

    title = "ellipsis_mask ignored"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Never set."""
        return name != "ellipsis_mask" and super().mask_bit(name, mask, term, dimension)


class NewAxisMaskIgnored(Mistake):
    """does not look at new_axis_mask, so that the term uses up a dimension."""

    title = "new_axis_mask ignored"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Never set."""
        return name != "new_axis_mask" and super().mask_bit(name, mask, term, dimension)


class ShrinkAxisMaskIgnored(Mistake):
    """does not look at shrink_axis_mask, and goes on to the end, which means nothing there."""

    title = "shrink_axis_mask ignored"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Never set."""
        return name != "shrink_axis_mask" and super().mask_bit(name, mask, term, dimension)


class MasksByDimension(Mistake):
    """takes bit i of begin_mask and end_mask for dimension i, where it is about term i."""

    title = "mask bits by dimension"

    def mask_bit(self, name: str, mask: int, term: int, dimension: int) -> bool:
        """Bit `dimension`."""
        sparse = name in ("begin_mask", "end_mask")
        return super().mask_bit(name, mask, dimension if sparse else term, dimension)


class NegativePlacesAsZero(Mistake):
    """moves negative places to the front, where they count from the end."""

    title = "negative places taken for the first"

    def from_the_front(self, place: int, size: int) -> int:
        """As it is."""
        return place


class FirstElementMissed(Mistake):
    """ends a backward range with end_mask before element 0, not behind it."""

    title = "element 0 missed backwards"

    def strided_stop(self, term: Term, size: int) -> int:
        """0."""
        return 0 if term.open_end and term.stride < 0 else super().strided_stop(term, size)


class BackwardsFromTheFront(Mistake):
    """begins a backward range with begin_mask at element 0, not at the last one."""

    title = "backwards from element 0"

    def strided_start(self, term: Term, size: int) -> int:
        """0."""
        return 0 if term.open_begin and term.stride < 0 else super().strided_start(term, size)


class PlacesNotClamped(Mistake):
    """takes a begin beyond the last element as it is in a backward range, where it is moved to the last."""

    title = "begin beyond the end"

    def strided_start(self, term: Term, size: int) -> int:
        """At most the size."""
        start = super().strided_start(term, size)
        return size if term.stride < 0 and not term.open_begin and term.begin >= size else start


class EndIncluded(Mistake):
    """includes the element at the end of a range."""

    title = "end included"

    def strided_stop(self, term: Term, size: int) -> int:
        """One step further."""
        stop = super().strided_stop(term, size)
        return stop if term.open_end else min(max(stop + (1 if term.stride > 0 else -1), -1), size)


class OffsetIgnored(Mistake):
    """takes the end as a place with offset, too, where it counts from the begin on."""

    title = "offset ignored"

    def moved_end(self, start: int, term: Term) -> Term:
        """The term as it is."""
        return term


MISTAKES = (
    BeginMaskIgnored, EndMaskIgnored, EllipsisMaskIgnored, NewAxisMaskIgnored, ShrinkAxisMaskIgnored,
    MasksByDimension, NegativePlacesAsZero, FirstElementMissed, BackwardsFromTheFront, PlacesNotClamped,
    EndIncluded, OffsetIgnored,
)  # fmt: skip
