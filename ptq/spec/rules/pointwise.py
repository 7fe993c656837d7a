"""Integers element by element: products and quotients, slopes, gates and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ptq.fixed_point import rounding_divide_by_pot_unchecked_spec, saturating_left_shift_spec, wrap_spec
from ptq.fixed_point_math import get_reciprocal_spec
from ptq.spec.numbers import divide, f32
from ptq.spec.question import Operand
from ptq.spec.rules.common_scale import CommonScale
from ptq.spec.rules.rescaling import Factor

DIV = "tflite/kernels/internal/reference/div.h, DivElementwise"
HARD_SWISH = "tflite/kernels/internal/reference/hard_swish.h, HardSwish"
GATE_SCALE = f32(3 / 32768)
"""The scale of HARD_SWISH's gate: 3 stands at 2^15, where int16 saturates."""

Half = tuple[int, int]
"""A factor of 16 bits: multiplier * 2^(exponent - 15)."""


class Pointwise(CommonScale):
    """The rules of MUL, DIV, PRELU, RELU, LEAKY_RELU, HARD_SWISH, ABS and QUANTIZE on integers."""

    # --- factors ----------------------------------------------------------------------------------

    def scale_ratio(self, above: Sequence[float], below: Sequence[float]) -> float:
        """The product of some scales over that of others: float32 at every step in lite, doubles in micro."""
        if self.numerics.integer_kernels == "micro":
            return self.ratio_in_double(above, below)
        return self.ratio_in_float32(above, below)

    def ratio_in_double(self, above: Sequence[float], below: Sequence[float]) -> float:
        """The ratio, every step in double."""
        return divide(prod(above), prod(below))

    def ratio_in_float32(self, above: Sequence[float], below: Sequence[float]) -> float:
        """The ratio, every step rounded to float32."""
        # two factors at most: there is one product to round
        return f32(divide(f32(prod(above)), f32(prod(below))))

    def ratio_factor(self, above: Sequence[float], below: Sequence[float], key: int = 0) -> Factor:
        """The integers of such a ratio."""
        real = self.scale_ratio(above, below)
        formula = " * ".join("{}" for _ in above) + " / " + ("({} * {})" if len(below) > 1 else "{}")
        rule = "double" if self.numerics.integer_kernels == "micro" else "float32"
        self.write(
            "prepare", "real_multiplier", real, formula, *above, *below, key=key, rule=f"{rule} at every step"
        )
        return self.factor(real, key=key)

    # --- products and quotients -------------------------------------------------------------------

    def product_of_operands(self, a: int, a_zero_point: int, b: int, b_zero_point: int) -> int:
        """(a - za) * (b - zb) in int32: the zero points come off first."""
        centred = [int(self.without_zero_point(q, z)) for q, z in ((a, a_zero_point), (b, b_zero_point))]
        return self.write(
            "accumulate", "accumulator", wrap_spec(int(self.product(*centred))), "({} - {}) * ({} - {})", a,
            a_zero_point, b, b_zero_point,
        )  # fmt: skip

    def divide_operands(self, dividend: int, divisor: int, factor: Factor) -> int:
        """dividend / divisor times the factor: by a reciprocal with as many bits as int32 has room for.

        Source: `tflite/kernels/internal/reference/div.h`, DivElementwise; `internal/common.h`, GetReciprocal.
        """
        if divisor < 0:
            dividend, divisor = -dividend, -divisor
        inverse, bits_over_one = get_reciprocal_spec(divisor, 31)
        self.write("accumulate", "reciprocal", inverse, "2^(31 + {}) / {}", bits_over_one, divisor)
        headroom = self.sign_bits(dividend)
        quotient = self.write(
            "accumulate", "quotient", self.saturating_rounding_doubling_high_mul(dividend << headroom,
            inverse),
            "{} * 2^{} * {} / 2^31", dividend, headroom, inverse,
        )  # fmt: skip
        high = self.saturating_rounding_doubling_high_mul(quotient, factor.output_multiplier)
        exponent = bits_over_one + headroom - factor.output_shift
        return self.write(
            "rescale", "rescaled", self.lower(high, exponent), "{} * {} / 2^(31 + {})", quotient,
            factor.output_multiplier, exponent, source=DIV,
        )  # fmt: skip

    def sign_bits(self, x: int) -> int:
        """How far x can be shifted to the left in int32: CountLeadingSignBits, of negatives one more."""
        return 31 - x.bit_length() if x >= 0 else 32 - (-2 * x - 1).bit_length()

    def lower(self, x: int, exponent: int) -> int:
        """x / 2^exponent, ties away from zero; beyond 31 bits 0, unless the numerics reproduce the defect."""
        if 0 <= exponent <= 31:
            return self.rounding_divide_by_pot(x, exponent)
        if self.numerics.upstream_defects == "reproduce":
            return rounding_divide_by_pot_unchecked_spec(x, exponent)
        return x << -exponent if exponent < 0 else 0

    # --- slopes -----------------------------------------------------------------------------------

    def is_negative(self, q: int, zero_point: int) -> bool:
        """Whether an integer stands for less than 0."""
        return q < zero_point

    def sloped(self, q: int, centred: int) -> int:
        """What a slope multiplies: the integer without its zero point."""
        return centred

    def slope_without_zero_point(self, alpha: int, zero_point: int) -> int:
        """A slope of PRELU, which has a zero point as its input has."""
        return int(self.without_zero_point(alpha, zero_point))

    def turn(self, scaled: int) -> int:
        """The sign of a negative slope, whose size alone is a factor."""
        return -scaled

    # --- bounds -----------------------------------------------------------------------------------

    def bounded_scale(self, input: Operand, output: Operand) -> Operand:
        """On whose scale the bounds of RELU6 and its kin are written: the output's."""
        return output

    # --- sizes ------------------------------------------------------------------------------------

    def size_of(self, centred: int, type: str) -> int:
        """|q - zero_point|, in more bits than q has: 128 is no int8."""
        return self.write("accumulate", "accumulator", abs(centred), "|{}|", centred)

    # --- another scale ----------------------------------------------------------------------------

    def requantize(self, x: int, input: Operand, output: Operand, factor: Factor) -> int:
        """x on the output's scale, by integers alone."""
        return self.rescale(x, factor)

    # --- HARD_SWISH -------------------------------------------------------------------------------

    def hard_swish_of_integer(self, centred: int, to_output: Half, to_gate: Half) -> int:
        """x * relu6(x + 3) / 6 in 16 bits, before the output's zero point is added."""
        fine = self.write("rescale", "raised", centred << 7, "{} * 2^7", centred)
        on_output_scale = self.write(
            "rescale", "on_output_scale", self.saturating_rounding_doubling_high_mul(fine, to_output[0], 16),
            "round({} * {} / 2^15)", fine, to_output[0],
        )  # fmt: skip
        gate = self.hard_swish_gate(fine, *to_gate)
        product = self.write(
            "accumulate", "product", self.truncated_high_mul(gate, on_output_scale),
            "{} * {} / 2^15, toward zero",
            gate, on_output_scale, source=HARD_SWISH,
        )  # fmt: skip
        scaled = self.divide_by_pot_in_16_bits(product, -to_output[1])
        return self.write("rescale", "rescaled", scaled, "round({} / 2^{})", product, -to_output[1])

    def hard_swish_gate(self, fine: int, multiplier: int, exponent: int) -> int:
        """relu6(x + 3) / 6 in steps of 2^-15: x on a scale on which 3 saturates, shifted to [0, 1]."""
        # of a left shift the last bit follows the multiplication: what saturates before it would do so after
        gate = self.saturating_left_shift(fine, max(exponent - 1, 0))
        gate = self.saturating_rounding_doubling_high_mul(gate, multiplier, 16)
        gate = self.saturating_left_shift(gate, int(exponent > 0))
        gate = self.divide_by_pot_in_16_bits(gate, max(-exponent, 0))
        return self.write(
            "rescale", "gate", (gate + (1 << 15)) >> 1, "({} + 2^15) / 2, the first in steps of 3 / 2^15",
            gate,
            source=HARD_SWISH,
        )  # fmt: skip

    def saturating_left_shift(self, x: int, exponent: int) -> int:
        """x * 2^exponent, saturated to int16."""
        return saturating_left_shift_spec(x, exponent, 16)

    def truncated_high_mul(self, a: int, b: int) -> int:
        """a * b / 2^15 toward zero: its bias meets that of the rounding after it.

        Source: `internal/reference/hard_swish.h`, SaturatingDoublingHighMul.
        """
        size = abs(a * b) >> 15
        return size if a * b >= 0 else -size

    def half_factor(self, numerator: float, denominator: float, key: int) -> Half:
        """A ratio of float32 scales as a multiplier of 16 bits, and its exponent.

        Source: `tflite/kernels/activations.cc`, HardSwishPrepare; `internal/common.h`,
        DownScaleInt32ToInt16Multiplier.
        """
        real = f32(divide(f32(numerator / 128), denominator))
        self.write("prepare", "real_multiplier", real, "{} / 128 / {}", numerator, denominator, key=key)
        with self.inner():
            multiplier, exponent = self.quantize_multiplier(real, "double", key)
        halved = min((multiplier + (1 << 15)) >> 16, 0x7FFF)
        self.write("prepare", "multiplier_of_16_bits", halved, "round({} / 2^16)", multiplier, key=key)
        return halved, self.write("prepare", "exponent", exponent, "exponent of {}", real, key=key)
