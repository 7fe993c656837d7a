"""Mistakes of rounding: another rule for ties, one rounding for two, none at all."""

from __future__ import annotations

import math
from fractions import Fraction

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.rescaling import Factor


class SingleRounding(Mistake):
    """rounds the product of accumulator and multiplier once, where the library rounds it twice."""

    title = "single rounding"

    def round_twice(self, x: int, multiplier: int, shift: int) -> int:
        """One rounding."""
        return self.round_once(x, multiplier, shift)


class DoubleRounding(Mistake):
    """rounds the product of accumulator and multiplier twice, where the library rounds it once."""

    title = "double rounding"

    def round_once(self, x: int, multiplier: int, shift: int) -> int:
        """Two roundings."""
        return self.round_twice(x, multiplier, shift)


class HalfToEven(Mistake):
    """rounds ties to even, as NumPy's rint and Python's round do, instead of away from zero."""

    title = "half to even"

    def round_half_away(self, x: float | Fraction) -> int:
        """Ties to even."""
        return round(x)

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """Ties to even."""
        return round(Fraction(x, 1 << exponent))


class Truncating(Mistake):
    """shifts to the right without rounding."""

    title = "shift without rounding"

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """The floor."""
        return x >> exponent


class FloatProduct(Mistake):
    """multiplies the accumulator by the real factor in double precision and rounds ties away from zero."""

    title = "float64 product"

    def multiply_by_quantized_multiplier(self, x: int, factor: Factor) -> int:
        """round(x * real)."""
        return self.multiply_by_double(x, factor) if math.isfinite(factor.real) else 0


MISTAKES = (SingleRounding, DoubleRounding, HalfToEven, Truncating, FloatProduct)
