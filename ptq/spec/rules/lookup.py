"""Functions as tables: 256 entries for 8 bits; on 16 bits points between which lines run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ptq.fixed_point import (
    calculate_input_radius,
    quantize_multiplier_spec,
    wrap_spec,
)
from ptq.fixed_point_math import logistic_spec, tanh_spec
from ptq.spec.numbers import divide, f32
from ptq.spec.question import Operand
from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.functions import Functions
from ptq.spec.rules.rescaling import Factor

COMMON = "tflite/kernels/internal/common.h"
INTEGER_OPS = "tflite/kernels/internal/reference/integer_ops"
STEPS = 512
"""Of a table for 16 bits, each of 128 integers."""

INTEGER_BITS = 4
"""Of the input of LOGISTIC and TANH in fixed point: both are constant beyond 16."""

POLYNOMIALS: dict[str, tuple[Callable[[int, int], int], int]] = {
    "LOGISTIC": (logistic_spec, 8), "TANH": (tanh_spec, 7),
}  # fmt: skip
"""The functions that tflite-micro has in fixed point, and the binary places of their results."""


@dataclass(frozen=True)
class Points:
    """A function on int16 by 513 points: round(function(real of the integer) / scale of the output).

    number: to which floats every operation is rounded, float32 or double. output_zero_point: always 0.
    """

    input_scale: float
    input_zero_point: int
    output_scale: float
    function: Callable[[float], float]
    number: Callable[[float], float] = f32


class LookupTables(Accumulating, Functions):
    """The rules of LOGISTIC, TANH, EXP and ELU on integers, and of SOFTMAX's tables on int16."""

    # --- 8 bits -----------------------------------------------------------------------------------

    def function_of_byte(self, name: str, q: int, input: Operand, output: Operand) -> int:
        """A function of an 8-bit integer: looked up; micro computes LOGISTIC and TANH in fixed point."""
        if self.numerics.integer_kernels == "micro" and name in POLYNOMIALS:
            return self.by_polynomial(name, q, input, output)
        return self.by_table(name, q, input, output)

    def by_table(self, name: str, q: int, input: Operand, output: Operand) -> int:
        """The entry of a table that is filled in float32: round(f(s * (q - z)) * (1 / s')) + z'."""
        x = self.real_of(q, input)
        y = self.write("function", "function", self.table_function(name, x), f"{name.lower()}({{}})", x)
        entry = self.table_entry(y, self.table_scale(name, output), output)
        return self.write("clamp", "output", entry, "the entry of {}", q, source=f"{COMMON}, LUTPopulateInt8")

    def real_of(self, q: int, input: Operand) -> float:
        """The real number that an integer stands for, as a float32."""
        scale, zero_point = input.only_scale, input.only_zero_point
        real = f32(scale * self.input_without_zero_point(q, zero_point))
        return self.write("dequantize", "real", real, "{} * ({} - {})", scale, q, zero_point)

    def table_function(self, name: str, x: float) -> float:
        """A function of a float32, as its float operator has it; for ELU micro rounds e^x first."""
        if name == "ELU" and x < 0 and self.numerics.integer_kernels == "micro":
            return f32(self.expf(x) - 1)
        with self.quietly():
            functions = {"LOGISTIC": self.logistic, "TANH": self.tanhf, "EXP": self.expf}
            return functions.get(name, self.exponential_linear)(x)

    def table_scale(self, name: str, output: Operand) -> float:
        """The scale of the entries: the output's."""
        return output.only_scale

    def table_entry(self, y: float, scale: float, output: Operand) -> int:
        """round(y * (1 / scale)) + zero point, in float32, saturated."""
        lowest, highest = self.type_limits(output)
        steps = self.steps_of(y, scale)
        rounded = self.rounded_real(steps)
        self.write("rescale", "rounded", rounded, "round({}), ties away from zero", steps)
        entry = f32(rounded + output.only_zero_point)
        # what int32 does not hold: x86 saturates to int8 (NaN to 0), on the way to uint8 it becomes -2^31
        if lowest < 0:
            return 0 if math.isnan(entry) else int(min(max(entry, lowest), highest))
        return int(min(max(entry, lowest), highest)) if abs(entry) < 2.0**31 else lowest

    def steps_of(self, y: float, scale: float) -> float:
        """y in steps of the output: times the float32 of 1 / scale."""
        inverse = f32(divide(1.0, scale))
        return self.write("rescale", "steps", f32(y * inverse), "{} * {}", y, inverse)

    def rounded_real(self, x: float) -> float:
        """The nearest whole number, ties away from zero; infinities and NaN stay."""
        return float(self.round_half_away(x)) if math.isfinite(x) else x

    def by_polynomial(self, name: str, q: int, input: Operand, output: Operand) -> int:
        """A function in fixed point, without any table; beyond 16 it is the lowest or highest integer.

        Source: `integer_ops/logistic.h` and `tanh.h`, as tflite-micro uses them.
        """
        function, fraction_bits = POLYNOMIALS[name]
        lowest, highest = self.type_limits(output)
        real = input.only_scale * 2.0 ** (31 - INTEGER_BITS)
        multiplier, shift = quantize_multiplier_spec(real)
        # (rounded by the rule of the numerics, yet prepared as by the default build)
        factor = Factor("fixed", real, multiplier, shift, self.numerics.rounding)
        radius = calculate_input_radius(INTEGER_BITS, max(shift, 0))
        x = int(self.input_without_zero_point(q, input.only_zero_point))
        self.write("prepare", "input_multiplier", multiplier, "{} * 2^27", input.only_scale, key=0)
        self.write("prepare", "input_left_shift", shift, "the same", key=0)
        self.write("prepare", "input_radius", radius, "beyond which {} is constant", name.lower(), key=0)
        self.write("subtract zero points", "centred", x, "{} - {}", q, input.only_zero_point)
        if abs(x) >= radius:
            end = lowest if x <= -radius else highest
            return self.write("clamp", "output", end, "{} lies beyond +-{}", x, radius)
        scaled = self.rescale(x, factor) if radius > 1 else 0
        raw = function(scaled, INTEGER_BITS)
        self.write("function", "function", raw, f"{name.lower()}({{}} / 2^27) in fixed point", scaled)
        steps = self.rounding_divide_by_pot(raw, 31 - fraction_bits)
        self.write("rescale", "steps", steps, "round({} / 2^{})", raw, 31 - fraction_bits)
        return self.finish(steps, output.only_zero_point, (lowest, highest))

    # --- 16 bits, points of any function ----------------------------------------------------------

    def point(self, points: Points, step: int) -> int:
        """The point at which a step begins (512: at which the last one ends), as int16.

        It is lowered by half of the error that the line makes in the middle of the step.
        Source: `internal/common.h`, LUTPopulateInt16.
        """
        number, scale, zero = points.number, points.input_scale, points.input_zero_point
        low, high = number(scale * (-32768 - zero)), number(scale * (32767 - zero))
        width = number(number(high - low) / STEPS)
        output_low, output_high = number(points.output_scale * -32768), number(points.output_scale * 32767)
        inverse = number(divide(65536.0, number(output_high - output_low)))

        def steps(x: float) -> float:
            return number(points.function(x) * inverse)

        if step == STEPS:
            value = self.rounded_real(steps(high))
        else:
            start = number(low + number(step * width))
            sample = self.rounded_real(steps(start))
            following = steps(number(low + number((step + 1) * width)))
            middle = self.rounded_real(steps(number(start + number(width / 2))))
            value = number(sample - self.point_correction(sample, following, middle, number))
        return 0 if math.isnan(value) else int(min(max(value, -32768), 32767))

    def point_correction(
        self, sample: float, following: float, middle: float, number: Callable[[float], float]
    ) -> float:
        """Half of the error in the middle of a step: how far the line's middle is from the function's."""
        error = number(self.rounded_real(number(number(following + sample) / 2)) - middle)
        return self.rounded_real(number(error / 2))

    def interpolate(self, value: int, point: Callable[[int], int], name: str, key: object = None) -> int:
        """The line at an int16: 9 bits choose the step, 7 the place within it; ties up.

        Source: `internal/common.h`, LUTLookup(int16_t).
        """
        step, place = 256 + (value >> 7), value & 0x7F
        base, following = point(step), point(step + 1)
        slope = wrap_spec(following - base, 16)
        result = wrap_spec(base + self.along(slope, place), 16)
        return self.write(
            "look up", name, result, "{} + round(({} - {}) * {} / 128)", base, following, base, place,
            source=f"{COMMON}, LUTLookup(int16_t)", key=key,
        )  # fmt: skip

    def along(self, slope: int, place: int) -> int:
        """How far a line has come after `place` of 128 integers: ties up."""
        return (slope * place + 64) >> 7

    # --- 16 bits, LOGISTIC and TANH ---------------------------------------------------------------

    def sigmoid_multiplier(self, scale: float, exact_shifts: tuple[int, ...]) -> tuple[int, int]:
        """Multiplier and right shift that turn an int16 into units of 1 / (3 * 4096).

        exact_shifts: n for the scales 2^(n - 12) that need no rounding.
        Source: `tflite/kernels/activations.cc`, TanhPrepare and SigmoidPrepare.
        """
        exponent = self.power_of_two(scale)
        if exponent is not None and exponent + 12 in exact_shifts:
            return 3 << (exponent + 12), 0
        real, right_shift = scale * 4096.0 * 3.0, 0
        while real <= 32767.0 / 2.0 and right_shift <= 30:
            real, right_shift = real * 2.0, right_shift + 1
        return int(real), right_shift

    def power_of_two(self, scale: float) -> int | None:
        """n if the scale is 2^n within 0.07 %, else None. Source: `quantization_util.cc`, CheckedLog2."""
        exponent = f32(self.logf(scale) * f32(1 / self.logf(2.0)))
        nearest = self.round_half_away(exponent)
        return nearest if abs(f32(exponent - nearest)) < f32(1e-3) else None

    def sigmoid_input(self, q: int, multiplier: int, right_shift: int) -> int:
        """q * multiplier / 2^right_shift, ties up."""
        x = (q * multiplier + ((1 << right_shift) >> 1)) >> right_shift
        return self.write("rescale", "scaled_input", x, "round({} * {} / 2^{})", q, multiplier, right_shift)

    def sigmoid_point(self, place: int) -> int:
        """65536 / (1 + e^(-place / 24)), raised by half of the error in the middle of the step.

        Source: `internal/common.h`, sigmoid_table_uint16.
        """
        if place >= 255:
            return 65535

        def sigmoid(x: float) -> float:
            return 65536 / (1 + math.exp(-x / 24))

        sample, middle = sigmoid(place), (sigmoid(place) + sigmoid(place + 1)) / 2
        return self.round_half_away(sample + (sigmoid(place + 0.5) - middle) / 2)

    def sigmoid_line(self, size: int, bits: int, saturated: int) -> int:
        """2^bits times the sigmoid of |x|, on a line between two points; `saturated` beyond the last."""
        place = size >> bits
        if place >= 255:
            return self.write("look up", "interpolated", saturated, "{} lies beyond the last point", size)
        low, high = self.sigmoid_point(place), self.sigmoid_point(place + 1)
        part = size & ((1 << bits) - 1)
        line = (low << bits) + part * (high - low)
        return self.write(
            "look up", "interpolated", line, "{} * 2^{} + {} * ({} - {})", low, bits, part, high, low
        )

    def cut_down(self, x: int, bits: int, negative: bool) -> int:
        """x / 2^bits: ties up, for a negative input down."""
        value = (x + (1 << (bits - 1)) - (1 if negative else 0)) >> bits
        return self.write("clamp", "output", value, "round({} / 2^{})", x, bits)
