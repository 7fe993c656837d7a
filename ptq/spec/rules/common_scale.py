"""How two quantized operands meet that are added, subtracted or compared: on a scale finer than either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ptq.fixed_point import (
    rounding_divide_by_pot_unchecked_spec,
    saturating_rounding_doubling_high_mul_spec,
    wrap_spec,
)
from ptq.spec.question import Operand
from ptq.spec.rules.lookup import LookupTables
from ptq.spec.rules.rescaling import Factor

ADD = "tflite/kernels/add.cc, Prepare"
COMPARE = "tflite/kernels/internal/reference/comparisons.h, ComparisonWithScaling"
ORDERED = ("<", "<=", ">", ">=")
LANES = 4
"""How many int32 the vector code of x86-64 builds shifts at once."""


@dataclass(frozen=True)
class Common:
    """The way of two operands to their common scale, and from there to the output.

    left_shift: by how many bits both are shifted first. a, b, output: the factors.
    """

    left_shift: int
    a: Factor
    b: Factor
    output: Factor


class CommonScale(LookupTables):
    """The rules of ADD, SUB, SQUARED_DIFFERENCE and the comparisons on integers."""

    # --- the factors ------------------------------------------------------------------------------

    def left_shift(self, operator: str, type: str) -> int:
        """How many bits finer the common scale is: as many as int32 has room for, half for squares."""
        if operator == "SQUARED_DIFFERENCE":
            return 0 if type == "INT16" else 7
        return 15 if type == "INT16" else 20

    def common_scale(self, a: float, b: float) -> float:
        """Twice the larger scale: both factors are 1/2 or less."""
        return 2 * max(a, b)

    def share_of_common(self, scale: float, common: float) -> float:
        """The factor by which an operand comes to the common scale."""
        return scale / common

    def common_to_output(self, common: float, left_shift: int, squared: bool, output_scale: float) -> float:
        """The factor by which a sum (of a square: its scale is one, too) comes to the output."""
        step = common / float(2**left_shift)
        return (step * step if squared else step) / output_scale

    def meeting_scale(self, operator: str, a: Operand, b: Operand, output: Operand) -> Common:
        """All factors of an addition, each below 1."""
        shift = self.left_shift(operator, a.type)
        common = self.common_scale(a.only_scale, b.only_scale)
        self.write("prepare", "common_scale", common, "2 * max({}, {})", a.only_scale, b.only_scale, key=0)
        self.write("prepare", "left_shift", shift, f"for {a.type.lower()}", key=0, source=ADD)
        shares = [self.share_of_common(operand.only_scale, common) for operand in (a, b)]
        squared = operator == "SQUARED_DIFFERENCE"
        back = self.common_to_output(common, shift, squared, output.only_scale)
        of_a, of_b, of_output = (
            self.factor_below_one(real, formula, numbers, key, key == 2 and operator == "SUB")
            for key, (real, formula, numbers) in enumerate([
                (shares[0], "{} / {}", (a.only_scale, common)),
                (shares[1], "{} / {}", (b.only_scale, common)),
                (back, "({} / 2^{})^2 / {}" if squared else "{} / 2^{} / {}", (common, shift,
                output.only_scale)),
            ])
        )  # fmt: skip
        return Common(shift, of_a, of_b, of_output)

    def factor_below_one(
        self, real: float, formula: str, numbers: Sequence[float], key: int, overshifts: bool
    ) -> Factor:
        """The integers of a factor that the kernel takes for one below 1.

        overshifts: whether TensorFlow Lite shifts by a negative number of bits if it is not, and the numerics
        may ask for that. Source: `internal/quantization_util.cc`, QuantizeMultiplierSmallerThanOneExp.
        """
        self.write("prepare", "real_multiplier", real, formula, *numbers, key=key)
        factor = self.factor(real, key=key)
        if overshifts and real > 1 and self.numerics.upstream_defects == "reproduce":
            return replace(factor, kind="overshifted")
        return factor

    # --- on the common scale ----------------------------------------------------------------------

    def raise_bits(self, x: int, left_shift: int) -> int:
        """x * 2^left_shift in int32: so many bits survive the rounding to the common scale."""
        return wrap_spec(x << left_shift)

    def to_common_scale(self, centred: int, left_shift: int, factor: Factor, name: str) -> int:
        """An operand on the common scale."""
        with self.inner("common scale"):
            raised = self.raise_bits(centred, left_shift)
            value = self.rescale_below_one(raised, factor)
        return self.write(
            "common scale", name, value, "({} * 2^{}) * {} * 2^({} - 31)", centred, left_shift,
            factor.output_multiplier, factor.output_shift,
        )  # fmt: skip

    def rescale_below_one(self, x: int, factor: Factor, in_group: bool = False) -> int:
        """x times a factor below 1; an "overshifted" one leaves hardly more than the sign.

        in_group: whether vector code has the element, in which shifts do not count modulo 32: the sign alone.
        Source: `internal/common.h`, MultiplyByQuantizedMultiplierSmallerThanOneExp.
        """
        if factor.kind != "overshifted":
            return self.rescale(x, factor)
        high = saturating_rounding_doubling_high_mul_spec(x, factor.output_multiplier)
        scaled = rounding_divide_by_pot_unchecked_spec(high, -factor.output_shift)
        if in_group:
            scaled = -1 if high < 0 else 1
        return self.write(
            "rescale", "rescaled", scaled, "{} shifted by {} bits to the right", high, -factor.output_shift,
            rule="a factor above 1 where one below 1 is expected",
            source="tflite/kernels/sub.cc, PrepareGeneralSubOp",
        )  # fmt: skip

    def sum_of_operands(self, a: int, b: int) -> int:
        """a + b in int32, both on one scale."""
        return self.write("accumulate", "accumulator", wrap_spec(a + b), "{} + {}", a, b)

    def difference_of_operands(self, a: int, b: int) -> int:
        """a - b in int32: the second operand from the first."""
        return self.write("accumulate", "accumulator", wrap_spec(a - b), "{} - {}", a, b)

    def square_of_difference(self, a: int, b: int) -> int:
        """(a - b)^2 in int32."""
        difference = self.write("accumulate", "difference", wrap_spec(a - b), "{} - {}", a, b)
        return self.write("accumulate", "accumulator", wrap_spec(difference**2), "({0}) * ({0})", difference)

    # --- powers of two ----------------------------------------------------------------------------

    def power_of_two_shifts(self, operands: Sequence[Operand], wanted: bool) -> tuple[int, int] | None:
        """By how many bits int16 operands are shifted to the output's scale, if all scales are powers of two.

        None where they are not, or the option pot_scale_int16 is off; tflite-micro has no such kernel.
        Source: `tflite/kernels/add.cc`, Prepare; `sub.cc`, PrepareInt16SubOpPOT.
        """
        if operands[0].type != "INT16" or not wanted or self.numerics.integer_kernels == "micro":
            return None
        a, b, output = (self.power_of_two(operand.only_scale) for operand in operands)
        if a is None or b is None or output is None:
            return None
        for key, exponent in enumerate((a, b)):
            formula = "2^{} and 2^{}: their exponents' distance"
            self.write("prepare", "right_shift", output - exponent, formula, output, exponent, key=key)
        return output - a, output - b

    def shifted_operand(self, x: int, shift: int, name: str) -> int:
        """x / 2^shift, ties away from zero."""
        with self.inner("common scale"):
            value = self.divide_by_pot_in_16_bits(x, shift)
        return self.write("common scale", name, value, "round({} / 2^{}), ties away from zero", x, shift)

    def divide_by_pot_in_16_bits(self, x: int, exponent: int) -> int:
        """x / 2^exponent, ties away from zero; in an int16 the mask of 16 bits or more overflows.

        What remains then is the sign: 1, or -1 below zero (0 for less than that is left).
        """
        if 0 <= exponent < 16:
            return self.rounding_divide_by_pot(x, exponent)
        return rounding_divide_by_pot_unchecked_spec(x, exponent, 16)

    # --- comparisons ------------------------------------------------------------------------------

    def compared_as_they_are(self, relation: str, a: Operand, b: Operand) -> bool:
        """Whether int16 is compared without its scales: to be ordered, where both have the same.

        Source: `tflite/kernels/comparisons.cc`, LessEval; the defect is that it never looks at scales.
        """
        same = (a.only_scale, a.only_zero_point) == (b.only_scale, b.only_zero_point)
        defect = self.numerics.upstream_defects == "reproduce"
        return a.type == "INT16" and relation in ORDERED and (same or defect)

    def comparison_factor(self, operand: Operand, key: int) -> Factor:
        """The scale itself."""
        return self.factor_below_one(operand.only_scale, "the operand's scale", (), key, True)

    def comparable(self, centred: int, factor: Factor, name: str) -> int:
        """The real number that an integer stands for, in steps of 1/256."""
        with self.inner("rescale"):
            value = self.rescale_below_one(self.raise_bits(centred, 8), factor)
        return self.write(
            "rescale", name, value, "({} * 2^8) * {} * 2^({} - 31)", centred, factor.output_multiplier,
            factor.output_shift, source=COMPARE,
        )  # fmt: skip
