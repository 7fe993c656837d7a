"""From one scale to another: the factor between them as integers or as a float, and how products round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ptq.fixed_point import (
    Rounding,
    quantize_multiplier_spec,
    rounding_divide_by_pot_spec,
    saturate_spec,
    saturating_rounding_doubling_high_mul_spec,
    wrap_spec,
)
from ptq.spec.numbers import divide, f32
from ptq.spec.rules.core import Written

COMMON = "tflite/kernels/internal/common.cc, MultiplyByQuantizedMultiplier"
UTIL = "tflite/kernels/internal/quantization_util.cc, QuantizeMultiplier"
GEMMLOWP = "gemmlowp fixedpoint.h"


@dataclass(frozen=True)
class Factor:
    """A real factor in the form in which a kernel has it.

    kind: "fixed" (output_multiplier * 2^(output_shift - 31)), "wide" (the same, the multiplier cut to 16
    bits, for accumulators of 64 bits), "double" or "float32" (`real` itself). rounding: how "fixed" rounds.
    """

    kind: str
    real: float
    output_multiplier: int = 0
    output_shift: int = 0
    rounding: Rounding = "double"


class Rescaling(Written):
    """The rules by which accumulators come to the scale of the output."""

    # --- rounding ---------------------------------------------------------------------------------

    def round_half_away(self, x: float | Fraction) -> int:
        """The nearest integer, ties away from zero: C's round, TfLiteRound."""
        magnitude = math.floor(abs(Fraction(x)) + Fraction(1, 2))
        return magnitude if x >= 0 else -magnitude

    def round_half_even(self, x: float) -> int:
        """The nearest integer, ties to even: what XNNPACK's float-to-integer instructions do."""
        return round(x)

    def saturating_rounding_doubling_high_mul(self, a: int, b: int, bits: int = 32) -> int:
        """a * b / 2^(bits-1), ties up, and -1 * -1 saturated."""
        high = saturating_rounding_doubling_high_mul_spec(a, b, bits)
        return self.write(
            "rescale", "high", high, "round({} * {} / 2^{}), ties up", a, b, bits - 1, detail=True,
            source=f"{GEMMLOWP}, SaturatingRoundingDoublingHighMul",
        )  # fmt: skip

    def rounding_divide_by_pot(self, x: int, exponent: int) -> int:
        """x / 2^exponent, ties away from zero."""
        quotient = rounding_divide_by_pot_spec(x, exponent)
        return self.write(
            "rescale", "shifted", quotient, "round({} / 2^{}), ties away from zero", x, exponent,
            detail=True, source=f"{GEMMLOWP}, RoundingDivideByPOT",
        )  # fmt: skip

    # --- factors ----------------------------------------------------------------------------------

    def quantize_multiplier(self, real: float, rounding: Rounding, key: object = None) -> tuple[int, int]:
        """The pair (output_multiplier, output_shift) of a real factor."""
        multiplier, shift = quantize_multiplier_spec(real, rounding)
        source = {"key": key, "source": UTIL}
        formula = "round({} * 2^(31 - shift)), so that it has 31 bits"
        self.write("prepare", "output_multiplier", multiplier, formula, real, **source)
        self.write("prepare", "output_shift", shift, "exponent of {}", real, **source)
        return multiplier, shift

    def factor(
        self, real: float, kind: str = "fixed", key: object = None, rounding: Rounding | None = None
    ) -> Factor:
        """A real factor in the form in which a kernel of that kind keeps it; rounding: else the numerics'."""
        if kind in ("fixed", "wide"):
            rounding = rounding or self.numerics.rounding
            return Factor(kind, real, *self.quantize_multiplier(real, rounding, key), rounding)
        return Factor(kind, real)

    def scale_product_over(self, a: float, b: float, c: float) -> float:
        """a * b / c of three float32 scales in double: how most kernels make their factor."""
        return divide(a * b, c)

    def rounded_scale_product_over(self, a: float, b: float, c: float) -> float:
        """The same with the product rounded to float32: BATCH_MATMUL, and the convolutions of uint8.

        Source: `tflite/kernels/kernel_util.cc`, GetQuantizedConvolutionMultipler.
        """
        return divide(f32(a * b), c)

    def scale_product_over_in_float32(self, a: float, b: float, c: float) -> float:
        """The same in float32 throughout: XNNPACK."""
        return f32(divide(f32(a * b), c))

    # --- rescaling --------------------------------------------------------------------------------

    def rescale(self, x: int, factor: Factor) -> int:
        """x times the factor, rounded to int32 by the rule of the factor's kind."""
        if factor.kind == "fixed":
            return self.multiply_by_quantized_multiplier(x, factor)
        if factor.kind == "wide":
            return self.multiply_wide(x, factor)
        if factor.kind == "double":
            return self.multiply_by_double(x, factor)
        return self.multiply_by_float32(x, factor)

    def multiply_by_quantized_multiplier(self, x: int, factor: Factor) -> int:
        """x * output_multiplier * 2^(output_shift - 31): two roundings, or one (Q22)."""
        if factor.rounding == "single":
            return self.round_once(x, factor.output_multiplier, factor.output_shift)
        return self.round_twice(x, factor.output_multiplier, factor.output_shift)

    def round_twice(self, x: int, multiplier: int, shift: int) -> int:
        """The default build: ties up at 31 bits, then ties away from zero at the right shift."""
        left, right = max(shift, 0), max(-shift, 0)
        shifted = wrap_spec(x << left)
        scaled = self.rounding_divide_by_pot(
            self.saturating_rounding_doubling_high_mul(shifted, multiplier), right
        )
        return self.write(
            "rescale", "rescaled", scaled, "{} * {} * 2^({} - 31)", x, multiplier, shift,
            rule="double rounding", source=f"{COMMON} (int32)",
        )  # fmt: skip

    def round_once(self, x: int, multiplier: int, shift: int) -> int:
        """The build with TFLITE_SINGLE_ROUNDING: one rounding, ties up."""
        total = 31 - shift
        scaled = wrap_spec((x * multiplier + ((1 << total) >> 1)) >> total)
        return self.write(
            "rescale", "rescaled", scaled, "floor(({} * {} + 2^{}) / 2^{})", x, multiplier, total - 1, total,
            rule="single rounding", source=f"{COMMON} (int32) with TFLITE_SINGLE_ROUNDING",
        )  # fmt: skip

    def multiply_wide(self, x: int, factor: Factor) -> int:
        """The 64-bit accumulator times the multiplier's upper 16 bits, one rounding, ties up."""
        multiplier = factor.output_multiplier
        reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
        total = 15 - factor.output_shift
        scaled = wrap_spec((x * reduced + (1 << (total - 1))) >> total)
        return self.write(
            "rescale", "rescaled", scaled, "floor(({} * {} + 2^{}) / 2^{})", x, reduced, total - 1, total,
            rule="multiplier of 16 bits, single rounding", source=f"{COMMON} (int64)",
        )  # fmt: skip

    def multiply_by_double(self, x: int, factor: Factor) -> int:
        """round(x * real), in double, ties away from zero; -2^31 where int32 does not hold it."""
        real = float(x) * factor.real
        rounded = self.round_half_away(real) if math.isfinite(real) else 2**31
        scaled = rounded if -(2**31) <= rounded < 2**31 else -(2**31)
        return self.write(
            "rescale", "rescaled", scaled, "round({} * {}), ties away from zero", x, factor.real,
            rule="float64 product", source="tflite/kernels/internal/reference/integer_ops/fully_connected.h",
        )  # fmt: skip

    def multiply_by_float32(self, x: int, factor: Factor) -> int:
        """round(float32(x) * float32(real)), ties to even, saturated: XNNPACK."""
        product = f32(f32(x) * f32(factor.real))
        # XNNPACK clamps before it converts to integers; 30 bits hold every output with its zero point
        scaled = saturate_spec(self.round_half_even(product), 30)
        return self.write(
            "rescale", "rescaled", scaled, "round(float32({}) * {}), ties to even", x, factor.real,
            rule="float32 product", source="XNNPACK, requantization fp32 of its qs8 kernels",
        )  # fmt: skip
