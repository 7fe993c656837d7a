"""Other ways to add floats: each is a rule that some kernel has, and none gives the reference's bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import f32
from ptq.spec.rules.accumulating import Term


def fused(total: float, a: float, b: float) -> float:
    """total + a * b, rounded to float32 once."""
    if not all(map(math.isfinite, (total, a, b))):
        return f32(total + a * b)
    exact = Fraction(total) + Fraction(a) * Fraction(b)
    rounded = float(exact)
    if rounded == exact:
        return f32(rounded) if exact else f32(total + a * b)
    # an odd double rounds to float32 as the exact number does
    mantissa = math.frexp(rounded)[0] * 2.0**53
    if mantissa % 2 == 0:
        rounded = math.nextafter(rounded, math.inf if exact > rounded else -math.inf)
    return f32(rounded)


class FusedMultiplyAdd(Mistake):
    """adds products with fused multiply-add, which rounds once, where the reference rounds twice."""

    title = "fused multiply-add"

    def sum_of_products(self, terms: Iterable[Term], start: float = 0.0) -> float:
        """One rounding for each term."""
        total = start
        for a, b in terms:
            total = fused(total, a, b)
        return total


class DoubleSums(Mistake):
    """adds products in double precision and rounds at the end."""

    title = "sums in double"

    def sum_of_products(self, terms: Iterable[Term], start: float = 0.0) -> float:
        """One rounding."""
        total = start
        for a, b in terms:
            total += a * b
        return f32(total)


class LaneSums(Mistake):
    """adds products in four lanes, as vector code does, where the reference adds one after the other."""

    title = "sums in four lanes"
    lanes = 4

    def sum_of_products(self, terms: Iterable[Term], start: float = 0.0) -> float:
        """Lane by lane, then what fills no register."""
        listed = list(terms)
        whole = len(listed) // self.lanes * self.lanes
        total = 0.0
        for lane in range(self.lanes):
            total = f32(total + super().sum_of_products(listed[lane : whole : self.lanes]))
        return super().sum_of_products(listed[whole:], f32(start + total))


class LaneSums8(LaneSums):
    """adds products in eight lanes, as vector code does, where the reference adds one after the other."""

    title = "sums in eight lanes"
    lanes = 8


class PairwiseSums(Mistake):
    """adds products by halves, as NumPy's sum does, where the reference adds one after the other."""

    title = "pairwise sums"

    def sum_of_products(self, terms: Iterable[Term], start: float = 0.0) -> float:
        """The left half plus the right half."""
        return f32(start + _by_halves([f32(a * b) for a, b in terms]))


def _by_halves(products: Sequence[float]) -> float:
    if len(products) < 2:
        return f32(sum(products))
    middle = len(products) // 2
    return f32(_by_halves(products[:middle]) + _by_halves(products[middle:]))


class BiasFirst(Mistake):
    """starts its sum from the bias, where the reference adds it last."""

    title = "bias first"

    def sum_with_bias(self, terms: Iterable[Term], bias: float | None) -> float:
        """bias + sum."""
        return self.sum_of_products(terms, 0.0 if bias is None else bias)


class InfinityKept(Mistake):
    """leaves infinities as they are without an activation, where the reference clamps them to FLT_MAX."""

    title = "infinity kept"

    def clamp_real(self, x: float, activation: str) -> float:
        """Nothing to clamp."""
        return x if activation == "NONE" else super().clamp_real(x, activation)


class NanToBound(Mistake):
    """clamps NaN to the lower bound of the activation, where the reference keeps it."""

    title = "NaN to the lower bound"

    def clamp_real(self, x: float, activation: str) -> float:
        """The bound."""
        return super().clamp_real(-math.inf if math.isnan(x) else x, activation)


MISTAKES = (
    FusedMultiplyAdd, DoubleSums, LaneSums, LaneSums8, PairwiseSums, BiasFirst, InfinityKept, NanToBound
)  # fmt: skip
