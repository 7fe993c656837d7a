"""SOFTMAX and LOG_SOFTMAX in fixed point: distances, exponentials, their sum, its reciprocal and logarithm.

Also 1 / sqrt(x) in fixed point, for RSQRT and L2_NORMALIZATION.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ptq.fixed_point import calculate_input_radius, preprocess_softmax_scaling, saturate_spec
from ptq.fixed_point_log import log_of_at_least_one_spec
from ptq.fixed_point_math import (
    exp_on_negative_values_spec,
    get_inv_sqrt_quantized_multiplier_exp_spec,
    get_reciprocal_spec,
)
from ptq.spec.numbers import divide, f32
from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.rescaling import Factor

COMMON = "tflite/kernels/internal/common.h"
SOFTMAX = "tflite/kernels/internal/reference/softmax.h"
UTIL = "tflite/kernels/internal/quantization_util.cc"

INTEGER_BITS = 5
"""Of distances: their exponentials vanish at e^-32."""

SUM_BITS = 12
"""Integer bits of the sum of exponentials, each of which is at most 1."""

BEYOND = -(2**31)
"""What the sheet shows for a distance that the fixed point does not hold."""

ROOT_SHIFT = 20
"""1 / sqrt(x) of an integer x lies below 1: RSQRT holds it in steps of 2^-20."""


@dataclass(frozen=True)
class Reach:
    """The factor from distances to fixed point with INTEGER_BITS, and the largest that this holds."""

    factor: Factor
    radius: int


class Exponentials(Accumulating):
    """The rules of functions in fixed point."""

    # --- distances --------------------------------------------------------------------------------

    def row_reference(self, row: Sequence[int], highest: int) -> int:
        """What is subtracted from a row before exponentials are taken: its largest integer."""
        return max(row)

    def scale_times_beta(self, beta: float, scale: float) -> float:
        """beta * scale in double."""
        return beta * scale

    def distance_reach(self, product: float) -> Reach:
        """How distances come to fixed point, for a product of beta and scale.

        Source: `quantization_util.cc`, PreprocessSoftmaxScaling and CalculateInputRadius.
        """
        multiplier, shift = preprocess_softmax_scaling(1.0, product, INTEGER_BITS, self.numerics.rounding)
        radius = calculate_input_radius(INTEGER_BITS, shift)
        formula = "{} * 2^26 as multiplier and shift"
        self.write("prepare", "input_multiplier", multiplier, formula, product, key=0, source=UTIL)
        self.write("prepare", "input_left_shift", shift, "the same", key=0, source=UTIL)
        self.write("prepare", "input_radius", radius, "31 * 2^(26 - {})", shift, key=0, source=UTIL)
        real = math.ldexp(multiplier, shift - 31)
        return Reach(Factor("fixed", real, multiplier, shift, self.numerics.rounding), radius)

    def scaled_distance(self, distance: int, reach: Reach) -> int | None:
        """-distance in fixed point; None where it is out of reach."""
        if distance > reach.radius:
            self.write("rescale", "rescaled", BEYOND, "{} is beyond the radius {}", distance, reach.radius)
            return None
        return self.rescale(-distance, reach.factor)

    # --- exponentials and their sum ---------------------------------------------------------------

    def exponential(self, scaled: int | None) -> int:
        """e^scaled without integer bits, by a polynomial and factors; 0 for what is out of reach."""
        value = 0 if scaled is None else self.exp_on_negative_values(scaled, INTEGER_BITS)
        formula = "0, as it is out of reach" if scaled is None else "2^31 * e^({} / 2^26) in fixed point"
        return self.write(
            "exponential", "exponential", value, formula, scaled,
            source="gemmlowp fixedpoint.h, exp_on_negative_values",
        )  # fmt: skip

    def exp_on_negative_values(self, a: int, integer_bits: int) -> int:
        """e^a for a <= 0, without integer bits."""
        return exp_on_negative_values_spec(a, integer_bits)

    def exponential_in_sum(self, exponential: int) -> int:
        """An exponential with SUM_BITS integer bits, as the sum takes it."""
        return self.rounding_divide_by_pot(exponential, SUM_BITS)

    def sum_of_exponentials(self, exponentials: Sequence[int], row: int) -> int:
        """The sum with SUM_BITS integer bits."""
        with self.quietly():
            terms = [self.exponential_in_sum(e) for e in exponentials]
        return self.write(
            "accumulate", "sum_of_exponentials", sum(terms), "sum of {} terms, 1 is 2^19", len(terms),
            terms=[(x,) for x in terms], key=row,
        )  # fmt: skip

    def sum_of_tabled(self, exponentials: Sequence[int], row: int) -> int:
        """The sum of exponentials from a table, 15 binary places."""
        return self.write(
            "accumulate", "sum_of_exponentials", sum(exponentials), "sum of {} terms, 1 is 2^15",
            len(exponentials), terms=[(x,) for x in exponentials], key=row,
        )  # fmt: skip

    # --- probabilities ----------------------------------------------------------------------------

    def probability(self, exponential: int, total: int, bits: int, row: int) -> int:
        """exponential / total in steps of 2^-bits: times the reciprocal."""
        reciprocal, over = self.reciprocal(total)
        self.write("divide", "reciprocal", reciprocal, "2^31 / {}, normalized", total, key=row, source=COMMON)
        self.write("divide", "bits_over_unit", over, "its exponent", key=row, source=COMMON)
        high = self.saturating_rounding_doubling_high_mul(reciprocal, exponential)
        shift = over + 31 - bits
        return self.write(
            "divide", "probability", self.probability_steps(high, shift), "round({} * {} / 2^(31 + {}))",
            reciprocal, exponential, shift, source=f"{SOFTMAX}, Softmax",
        )  # fmt: skip

    def probability_steps(self, x: int, shift: int) -> int:
        """x / 2^shift, ties away from zero."""
        return self.rounding_divide_by_pot(x, shift)

    def reciprocal(self, total: int) -> tuple[int, int]:
        """1 / total by Newton's division: a mantissa and its exponent. Source: `common.h`, GetReciprocal."""
        return get_reciprocal_spec(total, SUM_BITS)

    def probability_int16(self, exponential: int, inverse: int, shift: int) -> int:
        """exponential * inverse / 2^shift, ties up."""
        value = (exponential * inverse + ((1 << shift) >> 1)) >> shift
        return self.write(
            "divide", "probability", value, "floor({} * {} / 2^{} + 1/2)", exponential, inverse, shift,
            source=f"{SOFTMAX}, SoftmaxInt16",
        )  # fmt: skip

    def mantissa_of_sum(self, total: int, headroom: int) -> int:
        """The sum shifted to the left by its headroom, in 17 bits: rounded, ties up."""
        return ((total << headroom) + (1 << 13)) >> 14

    def tables_in_double(self) -> bool:
        """Whether the tables of SOFTMAX on int16 are made of doubles; those of micro are of floats."""
        return self.numerics.integer_kernels == "lite"

    def int16_factor(self, beta: float, scale: float) -> Factor:
        """beta * scale * 65535 / 10: from distances to a table of [-10, 0]; micro multiplies in double."""
        product = self.scale_times_beta(beta, scale)
        single = product if self.numerics.integer_kernels == "micro" else f32(product)
        real = single / (10.0 / 65535.0)
        self.write("prepare", "real_multiplier", real, "{} * {} * 65535 / 10", beta, scale, key=0)
        return self.factor(real, key=0)

    def table_place(self, scaled: int) -> int:
        """Where a scaled distance lies in the table whose end is 0."""
        return saturate_spec(scaled + 32767, 16)

    # --- logarithms -------------------------------------------------------------------------------

    def logarithm(self, total: int, row: int) -> int:
        """ln of the sum with INTEGER_BITS. Source: `common.h`, log_x_for_x_greater_than_or_equal_to_1."""
        value = log_of_at_least_one_spec(total, SUM_BITS, INTEGER_BITS)
        formula = "2^26 * ln({} / 2^19) in fixed point"
        return self.write("logarithm", "logarithm", value, formula, total, key=row, source=COMMON)

    def lowest_difference(self, logarithm: int, reach: Reach, row: int) -> int:
        """Differences up to this one give the lowest integer: the fixed point holds no more.

        Source: `quantization_util.cc`, PreprocessLogSoftmaxScalingExp; `log_softmax.h`, LogSoftmaxQuantized.
        """
        real = divide(2.0 ** (31 - reach.factor.output_shift), reach.factor.output_multiplier)
        with self.quietly():
            lowest = self.rescale(logarithm - (1 << 31), self.factor(real))
        value, formula = max(-reach.radius - 1, lowest), "max(-{} - 1, {})"
        return self.write("logarithm", "lowest_difference", value, formula, reach.radius, lowest, key=row)

    def log_probability(self, scaled: int, logarithm: int) -> int:
        """scaled - logarithm in steps of 1/16, ties away from zero."""
        shift = 31 - INTEGER_BITS - 4
        steps = self.rounding_divide_by_pot(scaled - logarithm, shift)
        return self.write("divide", "steps", steps, "round(({} - {}) / 2^{})", scaled, logarithm, shift)

    # --- roots ------------------------------------------------------------------------------------

    def inverse_square_root(self, x: int, key: object = None) -> Factor:
        """1 / sqrt(x) by five Newton steps. Source: `common.h`, GetInvSqrtQuantizedMultiplierExp."""
        multiplier, shift = get_inv_sqrt_quantized_multiplier_exp_spec(x)
        formula = "1 / sqrt({}) as multiplier and shift"
        self.write("root", "root_multiplier", multiplier, formula, x, key=key, source=COMMON)
        self.write("root", "root_shift", shift, "the same", key=key, source=COMMON)
        return Factor("fixed", 1 / math.sqrt(max(x, 1)), multiplier, shift, self.numerics.rounding)

    def normalized(self, x: int, total: int, unsigned: bool, row: int) -> int:
        """x / sqrt(total) in steps of 1/128: uint8 shifts x to the left by 7, int8 the factor."""
        root = self.inverse_square_root(total, row)
        if unsigned:
            return self.rescale(x << 7, root)
        return self.rescale(x, shifted(root, 7))

    def scaled_root(self, x: int, input_scale: float, output_scale: float) -> int:
        """1 / sqrt(x) on the output's scale: first in steps of 2^-20, then rescaled.

        Source: `tflite/kernels/elementwise.cc`, RsqrtEvalQuantizedInt8.
        """
        real = 1 / f32(f32(math.sqrt(input_scale)) * output_scale)
        formula = "1 / (sqrt({}) * {})"
        self.write("prepare", "real_multiplier", real, formula, input_scale, output_scale, key=0)
        factor = self.factor(real, key=0)
        root = self.inverse_square_root(x)
        with self.quietly():
            fine = self.rescale(1, shifted(root, ROOT_SHIFT))
        self.write("root", "root", fine, "1 / sqrt({}) in steps of 2^-20", x)
        return self.rescale(fine, shifted(factor, -ROOT_SHIFT))

    def root_of_nothing(self, highest: int) -> int:
        """1 / sqrt(0): the highest integer."""
        return self.write("clamp", "output", highest, "the highest integer, as 1 / sqrt(0) is infinite")


def shifted(factor: Factor, bits: int) -> Factor:
    """A factor times 2^bits."""
    return replace(factor, real=math.ldexp(factor.real, bits), output_shift=factor.output_shift + bits)
