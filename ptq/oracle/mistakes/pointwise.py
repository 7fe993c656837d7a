"""Mistakes of integers element by element: where scales meet, which zero point counts, how quotients end."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import f32
from ptq.spec.question import Operand
from ptq.spec.rules.rescaling import Factor


class CoarseCommonScale(Mistake):
    """brings operands together without shifting them to the left first, which loses the finer one's steps."""

    title = "no left shift before an addition"

    def left_shift(self, operator: str, type: str) -> int:
        """0 bits."""
        return 0


class SmallLeftShift(Mistake):
    """shifts operands to the left by fewer bits than the library: 5 bits of 8, 14 of 16."""

    title = "left shift too small"

    def left_shift(self, operator: str, type: str) -> int:
        """5, or 14."""
        right = super().left_shift(operator, type)
        return max(right - 1, 0) if type == "INT16" else min(right, 5)


class OtherLeftShift(Mistake):
    """shifts operands to the left by 15 bits where the library takes 20, and by 20 where it takes 15."""

    title = "left shift of the other type"

    def left_shift(self, operator: str, type: str) -> int:
        """15 for int8, 20 for int16; squares as they should be."""
        if operator == "SQUARED_DIFFERENCE":
            return super().left_shift(operator, type)
        return super().left_shift(operator, "INT8" if type == "INT16" else "INT16")


class RealsCompared(Mistake):
    """compares the real numbers themselves, not in steps of 1/256."""

    title = "reals compared exactly"

    def comparable(self, centred: int, factor: Factor, name: str) -> int:
        """Fine enough for any float32."""
        return centred * int(Fraction(factor.real) * 2**200)


class ScalesNotMet(Mistake):
    """adds integers of different scales as if they had the same."""

    title = "scales of operands ignored"

    def share_of_common(self, scale: float, common: float) -> float:
        """1/2."""
        return 0.5

    def comparison_factor(self, operand: Operand, key: int) -> Factor:
        """Both operands on one scale."""
        return self.factor(2.0**-8, key=key)


class CommonScaleOfTheLarger(Mistake):
    """takes the larger scale for the common one, not twice it."""

    title = "common scale not doubled"

    def common_scale(self, a: float, b: float) -> float:
        """max(a, b), of which the factor is just below 1."""
        return max(a, b) * (1 + 2.0**-20)


class OperandsExchanged(Mistake):
    """subtracts the first operand from the second."""

    title = "operands of SUB exchanged"

    def difference_of_operands(self, a: int, b: int) -> int:
        """b - a."""
        return super().difference_of_operands(b, a)


class PowersOfTwoIgnored(Mistake):
    """uses the general kernel of 16-bit addition where all scales are powers of two."""

    title = "powers of two ignored"

    def power_of_two_shifts(self, operands: Sequence[Operand], wanted: bool) -> tuple[int, int] | None:
        """Never."""
        return None


class ShiftCutOff(Mistake):
    """shifts 16-bit operands to the right without rounding."""

    title = "16-bit shift without rounding"

    def divide_by_pot_in_16_bits(self, x: int, exponent: int) -> int:
        """The floor."""
        return x >> exponent if exponent >= 0 else x


class ProductOfRawIntegers(Mistake):
    """multiplies the integers as they are and subtracts the zero points from the product."""

    title = "zero points after the product"

    def product_of_operands(self, a: int, a_zero_point: int, b: int, b_zero_point: int) -> int:
        """a b - za zb."""
        return a * b - a_zero_point * b_zero_point


class RatioInDouble(Mistake):
    """computes the factor between scales in double where the library rounds every step to float32."""

    title = "ratio of scales in double"

    def ratio_in_float32(self, above: Sequence[float], below: Sequence[float]) -> float:
        """Double."""
        return self.ratio_in_double(above, below)


class RatioInFloat(Mistake):
    """computes the factor between scales in float32 where the library keeps doubles."""

    title = "ratio of scales in float32"

    def ratio_in_double(self, above: Sequence[float], below: Sequence[float]) -> float:
        """float32."""
        return self.ratio_in_float32(above, below)


class QuotientCutOff(Mistake):
    """divides the integers first, toward zero, and rescales the quotient."""

    title = "quotient cut off before it is rescaled"

    def divide_operands(self, dividend: int, divisor: int, factor: Factor) -> int:
        """rescale(dividend / divisor)."""
        size = abs(dividend) // max(abs(divisor), 1)
        return self.rescale(size if (dividend < 0) == (divisor < 0) else -size, factor)


class SlopeBelowIntegerZero(Mistake):
    """applies the slope below the integer 0, not below the zero point."""

    title = "slope below the integer 0"

    def is_negative(self, q: int, zero_point: int) -> bool:
        """q < 0."""
        return q < 0


class SlopeOfTheInteger(Mistake):
    """multiplies the slope by the integer, its zero point included."""

    title = "slope of the raw integer"

    def sloped(self, q: int, centred: int) -> int:
        """q."""
        return q


class SlopeWithZeroPoint(Mistake):
    """does not subtract the zero point of PRELU's slopes."""

    title = "zero point of slopes forgotten"

    def slope_without_zero_point(self, alpha: int, zero_point: int) -> int:
        """alpha."""
        return alpha


class SignOfSlope(Mistake):
    """loses the sign of a negative slope."""

    title = "sign of the slope lost"

    def turn(self, scaled: int) -> int:
        """As it is."""
        return scaled


class BoundsOfTheInput(Mistake):
    """writes the bounds of RELU6 and its kin on the input's scale."""

    title = "activation bounds on the input's scale"

    def bounded_scale(self, input: Operand, output: Operand) -> Operand:
        """The input's."""
        return input


class NarrowSize(Mistake):
    """takes the absolute value in as many bits as the operand has, in which -128 stays -128."""

    title = "absolute value wraps"

    def size_of(self, centred: int, type: str) -> int:
        """abs in 8 or 16 bits."""
        bits = 16 if type == "INT16" else 8
        wrapped = (centred + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))
        size = abs(wrapped)
        return super().size_of(size - (1 << bits) if size == 1 << (bits - 1) else size, type)


class RequantizedThroughFloat(Mistake):
    """turns integers into floats and quantizes them again, where the library rescales them."""

    title = "requantized through float"

    def requantize(self, x: int, input: Operand, output: Operand, factor: Factor) -> int:
        """round(float32(x * input scale) / output scale)."""
        return self.round_half_away(f32(f32(x * input.only_scale) / output.only_scale))


class GateUnsaturated(Mistake):
    """does not saturate the gate of HARD_SWISH to 16 bits, but lets it wrap."""

    title = "gate wraps instead of saturating"

    def saturating_left_shift(self, x: int, exponent: int) -> int:
        """The lowest 16 bits."""
        return ((x << exponent) + 2**15) % 2**16 - 2**15


class GateRounded(Mistake):
    """rounds the product of HARD_SWISH where the library cuts it off."""

    title = "product of HARD_SWISH rounded"

    def truncated_high_mul(self, a: int, b: int) -> int:
        """Ties up."""
        return (a * b + (1 << 14)) >> 15


class ComparedRaw(Mistake):
    """compares the integers as they are, whatever their scales."""

    title = "raw integers compared"

    def compared_as_they_are(self, relation: str, a: Operand, b: Operand) -> bool:
        """Always."""
        return True


MISTAKES = (
    CoarseCommonScale, SmallLeftShift, OtherLeftShift, RealsCompared, ScalesNotMet, CommonScaleOfTheLarger,
    OperandsExchanged, PowersOfTwoIgnored,
    ShiftCutOff, ProductOfRawIntegers, RatioInDouble, RatioInFloat, QuotientCutOff, SlopeBelowIntegerZero,
    SlopeOfTheInteger, SlopeWithZeroPoint, SignOfSlope, BoundsOfTheInput, NarrowSize, RequantizedThroughFloat,
    GateUnsaturated, GateRounded, ComparedRaw,
)  # fmt: skip
