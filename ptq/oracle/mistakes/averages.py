"""Mistakes of pools, means and sums on integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Number
from ptq.spec.rules.rescaling import Factor


class AverageCutOff(Mistake):
    """cuts the fraction of a pool's average off, as C's division does."""

    title = "average cut off"

    def average(self, total: int, count: int) -> int:
        """Toward zero."""
        return math.trunc(Fraction(total, count))


class PaddingCounted(Mistake):
    """divides the sum of a pool's window by the size of the window, padding included."""

    title = "padding counted in averages"

    def window_count(self, window: Sequence[Number | None]) -> int:
        """All of them."""
        return len(window)


class PaddingRead(Mistake):
    """reads padding of a pool as the integer 0."""

    title = "padding read as 0"

    def window_elements(self, window: Sequence[Number | None]) -> list[Number]:
        """With zeros."""
        return [0 if x is None else x for x in window]


class MeanRescaledFirst(Mistake):
    """rescales the sum of a mean, and then divides it by the number of elements: two roundings."""

    title = "mean rescaled before its division"

    def mean_of_sum(self, total: int, count: int, factor: Factor) -> int:
        """Divide last."""
        return self.average(self.rescale(total, factor), count)


class MeanDividedFirst(Mistake):
    """divides the sum of a mean by the number of elements, and then rescales it: two roundings."""

    title = "mean divided before it is rescaled"

    def mean_of_sum(self, total: int, count: int, factor: Factor) -> int:
        """Divide first."""
        return self.rescale(self.average(total, count), factor)


class MeanCutOff(Mistake):
    """divides the sum of a mean as C does, toward zero, before it is rescaled."""

    title = "mean cut off"

    def mean_of_sum(self, total: int, count: int, factor: Factor) -> int:
        """Divide first, toward zero."""
        return self.rescale(math.trunc(Fraction(total, count)), factor)


class ScalesIgnored(Mistake):
    """sums and averages along axes as if input and output had the same scale."""

    title = "scales of a reduction ignored"

    def reduction_factor(self, input_scale: float, output_scale: float) -> Factor:
        """1."""
        return self.factor(1.0, key=0)


class ZeroPointOnce(Mistake):
    """subtracts the zero point from a sum once, not for each element."""

    title = "zero point subtracted once from a sum"

    def centred_sum(self, total: int, count: int, zero_point: int) -> int:
        """One."""
        return total - zero_point


class SearchFromZero(Mistake):
    """starts the search for the largest or smallest integer at 0."""

    title = "search from 0"

    def largest(self, integers: Sequence[int], lowest: int) -> int:
        """At least 0."""
        return max([0, *integers])

    def smallest(self, integers: Sequence[int], highest: int) -> int:
        """At most 0."""
        return min([0, *integers])


MISTAKES = (
    AverageCutOff, PaddingCounted, PaddingRead, MeanRescaledFirst, MeanDividedFirst,
    MeanCutOff, ScalesIgnored, ZeroPointOnce, SearchFromZero,
)  # fmt: skip
