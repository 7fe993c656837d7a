"""What a known mistake is: the rules with one of them replaced."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Operand
from ptq.spec.rules import Rules


class Mistake(Rules):
    """A subclass overrides one rule; its docstring is a sentence that begins with a verb, about the kernel.

    title: what the checker and the manifests call it, in a few words. Where a mistake leads outside of an
    operand, which a kernel's memory does not end at, it reads an element all the same.
    """

    title = ""

    def element_at(self, operand: Operand, index: Index) -> Number:
        """Past the end of a dimension it goes on at its start."""
        return operand.at(*(i % size for i, size in zip(index, operand.shape, strict=True)))

    def packed_operand(self, place: int, count: int) -> int:
        """Past the last operand it goes on at the first."""
        return place % count

    def written_element(self, operand: Operand, places: Sequence[Index], position: int) -> Number:
        """What the loops do not come to is never written, and stays 0."""
        if position >= len(places):
            return 0
        return self.element_at(operand, places[position])
