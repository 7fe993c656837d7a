"""Mistakes of QUANTIZE, DEQUANTIZE and CAST, and of resized reals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Index, divide, f32
from ptq.spec.question import LIMITS, Operand
from ptq.spec.rules.converting import float16_of


class InverseScale(Mistake):
    """multiplies by the rounded reciprocal of the scale to quantize, instead of dividing by the scale."""

    title = "product with 1 / scale"

    def real_steps(self, x: float, scale: float) -> float:
        """x * (1 / scale)."""
        return f32(x * f32(divide(1.0, scale)))


class DoubleQuotient(Mistake):
    """divides by the scale in double precision, where the reference's quotient is a float32."""

    title = "quotient in double"

    def real_steps(self, x: float, scale: float) -> float:
        """No rounding."""
        return divide(x, scale)


class RoundedLast(Mistake):
    """adds the zero point to the quotient before it rounds, not after: ties below zero go the other way."""

    title = "rounded with the zero point"

    def quantize_real(self, quotient: float, zero_point: int, output: Operand) -> int:
        """round(quotient + zero_point)."""
        return self.clamp(self.to_int32(f32(quotient + zero_point)), *self.type_limits(output))


class QuotientCutOff(Mistake):
    """cuts the fraction of the quotient off, as a conversion to integers does."""

    title = "quotient cut off"

    def to_int32(self, x: float) -> int:
        """Toward zero."""
        return super().to_int32(float(math.trunc(x)) if math.isfinite(x) else x)


class QuotientUp(Mistake):
    """rounds the quotient as floor(x + 1/2) in float32, which lifts ties below zero and 0.49999997."""

    title = "floor(x + 1/2)"

    def to_int32(self, x: float) -> int:
        """The floor."""
        return super().to_int32(float(math.floor(f32(x + 0.5))) if math.isfinite(x) else x)


class LargeSaturated(Mistake):
    """saturates quotients that int32 does not hold, where x86 processors convert them to -2^31."""

    title = "large quotients saturate"

    def to_int32(self, x: float) -> int:
        """At the ends of int32, NaN to 0."""
        if math.isnan(x):
            return 0
        return self.round_half_away(min(max(x, -(2.0**31)), 2.0**31 - 1))


class ScalesAlongTheLast(Mistake):
    """takes the last dimension for the quantized one, or the first where it is the last."""

    title = "scales of another dimension"

    def scale_entry(self, operand: Operand, index: Index) -> int:
        """As far as that is possible."""
        if len(operand.scale) == 1:
            return 0
        last = operand.quantized_dimension == len(index) - 1
        return index[0 if last else -1] % len(operand.scale)


class FirstScale(Mistake):
    """reads the scale and zero point of the first channel for all."""

    title = "first scale for all"

    def scale_entry(self, operand: Operand, index: Index) -> int:
        """The first."""
        return 0


class RoundedCast(Mistake):
    """rounds reals to the nearest integer in CAST, where the reference drops the fraction."""

    title = "CAST rounds"

    def integer_part(self, x: float, type: str) -> int:
        """The nearest integer."""
        return super().integer_part(float(self.round_half_away(x)) if math.isfinite(x) else x, type)


class FloorCast(Mistake):
    """rounds negative reals down in CAST, where the reference drops the fraction."""

    title = "CAST rounds down"

    def integer_part(self, x: float, type: str) -> int:
        """The floor."""
        return super().integer_part(float(math.floor(x)) if math.isfinite(x) else x, type)


class WrappedCast(Mistake):
    """keeps the low bits of reals beyond an integer type, as some compilers do, where CAST saturates."""

    title = "CAST of reals wraps"

    def integer_part(self, x: float, type: str) -> int:
        """The low bits; 0 for what has none."""
        return self.low_bits(math.trunc(x), type) if math.isfinite(x) else 0


class SaturatedCast(Mistake):
    """saturates integers beyond the type that they are cast to, where CAST keeps their low bits."""

    title = "CAST of integers saturates"

    def low_bits(self, x: int, type: str) -> int:
        """The ends of the type."""
        lowest, highest = LIMITS[type]
        return min(max(x, lowest), highest)


class ThroughDouble(Mistake):
    """converts large integers to float32 by way of a double, which rounds twice."""

    title = "int64 by way of double"

    def single(self, x: int | float) -> float:
        """Two roundings."""
        return f32(float(x))


class HalfAtOnce(Mistake):
    """rounds doubles to float16 at once, where CAST goes through float32 and rounds twice."""

    title = "double to float16 at once"

    def half(self, x: int | float) -> float:
        """One rounding."""
        return float16_of(float(x))


class NearestRounded(Mistake):
    """takes the pixel that is nearest, where RESIZE_NEAREST_NEIGHBOR takes the one that a place lies in."""

    title = "place rounded"

    def nearest_pixel(self, place: float, size: int, align_corners: bool) -> int:
        """The nearest."""
        return super().nearest_pixel(place, size, True)


class NearestCutOff(Mistake):
    """takes the pixel that a place lies in, where align_corners asks for the nearest one."""

    title = "place cut off"

    def nearest_pixel(self, place: float, size: int, align_corners: bool) -> int:
        """The one it lies in."""
        return super().nearest_pixel(place, size, False)


class RowsInterpolated(Mistake):
    """interpolates down and then across, as a + (b - a) * t, where the reference adds four products."""

    title = "interpolated in two steps"

    def weighted_mean(self, pixels: Sequence[float], down: float, across: float, offset: float) -> float:
        """Each step in float32."""

        def between(a: float, b: float, t: float) -> float:
            return f32(a + f32(f32(b - a) * t))

        left, right = between(pixels[0], pixels[1], down), between(pixels[2], pixels[3], down)
        return f32(between(left, right, across) + offset)


MISTAKES = (
    InverseScale, DoubleQuotient, RoundedLast, QuotientCutOff, QuotientUp, LargeSaturated, ScalesAlongTheLast,
    FirstScale, RoundedCast, FloorCast, WrappedCast, SaturatedCast, ThroughDouble, HalfAtOnce,
    NearestRounded, NearestCutOff, RowsInterpolated,
)  # fmt: skip
