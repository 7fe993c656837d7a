"""Mistakes of rounding and of rescaling: another rule for ties, one rounding for two, none at all."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from ptq.fixed_point import Rounding, quantize_multiplier_spec
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


class HalfUp(Mistake):
    """rounds ties up, as floor(x + 1/2) does, instead of away from zero."""

    title = "half up"

    def round_half_away(self, x: float | Fraction) -> int:
        """Ties up."""
        return math.floor(Fraction(x) + Fraction(1, 2))

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """Ties up."""
        return (x + ((1 << exponent) >> 1)) >> exponent


class Truncating(Mistake):
    """shifts to the right without rounding."""

    title = "shift without rounding"

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """The floor."""
        return x >> exponent


class TowardZero(Mistake):
    """divides by the power of two as C divides, toward zero, instead of rounding."""

    title = "division toward zero"

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """Without its fraction."""
        return abs(x) >> exponent if x >= 0 else -(abs(x) >> exponent)


class HighProductAway(Mistake):
    """rounds ties of the high product of accumulator and multiplier away from zero, where they go up."""

    title = "high product rounded away from zero"

    def saturating_rounding_doubling_high_mul(self, a: int, b: int, bits: int = 32) -> int:
        """Ties away from zero."""
        return self.round_half_away(Fraction(a * b, 1 << (bits - 1)))


class HighProductTruncated(Mistake):
    """drops the lower half of the product of accumulator and multiplier without rounding."""

    title = "high product without rounding"

    def saturating_rounding_doubling_high_mul(self, a: int, b: int, bits: int = 32) -> int:
        """The floor."""
        return (a * b) >> (bits - 1)


class LateLeftShift(Mistake):
    """shifts to the left after the multiplication, not before it: the lowest bits are zeros."""

    title = "left shift after the product"

    def round_twice(self, x: int, multiplier: int, shift: int) -> int:
        """The high product first."""
        if shift <= 0:
            return super().round_twice(x, multiplier, shift)
        return self.saturating_rounding_doubling_high_mul(x, multiplier) << shift


class TruncatedMultiplier(Mistake):
    """cuts the multiplier to 31 bits instead of rounding it."""

    title = "multiplier not rounded"

    def quantize_multiplier(self, real: float, rounding: Rounding, key: object = None) -> tuple[int, int]:
        """The floor of the mantissa."""
        multiplier, shift = super().quantize_multiplier(real, rounding, key)
        if multiplier in (0, (1 << 31) - 1):
            return multiplier, shift
        mantissa, exponent = math.frexp(real)
        return math.floor(Fraction(mantissa) * 2**31), exponent


class ShortMultiplier(Mistake):
    """multiplies 32-bit accumulators by the upper 16 bits of the multiplier, as is done with 64-bit ones."""

    title = "multiplier of 16 bits"

    def multiply_by_quantized_multiplier(self, x: int, factor: Factor) -> int:
        """The rule for wide accumulators, as far as its shift goes to the right."""
        if factor.output_shift > 14:
            return super().multiply_by_quantized_multiplier(x, factor)
        return self.multiply_wide(x, factor)


class LongMultiplier(Mistake):
    """multiplies 64-bit accumulators by all bits of the multiplier, where the library takes the upper 16."""

    title = "multiplier of 32 bits"

    def multiply_wide(self, x: int, factor: Factor) -> int:
        """One rounding, ties up."""
        total = 31 - factor.output_shift
        return (x * factor.output_multiplier + (1 << (total - 1))) >> total


class TruncatedShortMultiplier(Mistake):
    """cuts the multiplier of 64-bit accumulators to 16 bits instead of rounding it to so many."""

    title = "multiplier cut to 16 bits"

    def multiply_wide(self, x: int, factor: Factor) -> int:
        """The lower half set to 0."""
        kept = factor.output_multiplier >> 16 << 16
        return super().multiply_wide(x, replace(factor, output_multiplier=kept))


class FloatProduct(Mistake):
    """multiplies the accumulator by the real factor in double precision and rounds ties away from zero."""

    title = "float64 product"

    def multiply_by_quantized_multiplier(self, x: int, factor: Factor) -> int:
        """round(x * real)."""
        return self.multiply_by_double(x, factor) if math.isfinite(factor.real) else 0


class Float32Product(Mistake):
    """multiplies the accumulator by a float32 factor and rounds ties to even, as XNNPACK does."""

    title = "float32 product, half to even"

    def rescale(self, x: int, factor: Factor) -> int:
        """rint(float32(x) * float32(real))."""
        return self.multiply_by_float32(x, factor)


class FixedPointProduct(Mistake):
    """multiplies by an integer and shifts, where the reference multiplies by a double."""

    title = "fixed-point product"

    def multiply_by_double(self, x: int, factor: Factor) -> int:
        """Two roundings."""
        return self.round_twice(x, *quantize_multiplier_spec(factor.real))


MISTAKES = (
    SingleRounding, DoubleRounding, HalfToEven, HalfUp, Truncating, TowardZero, HighProductAway,
    HighProductTruncated, LateLeftShift, TruncatedMultiplier, ShortMultiplier, LongMultiplier,
    TruncatedShortMultiplier, FloatProduct, Float32Product, FixedPointProduct,
)  # fmt: skip
