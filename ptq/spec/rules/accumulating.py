"""The steps around the rescaling of an integer kernel: zero points, sums, bias, bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Number, f32
from ptq.spec.question import Operand
from ptq.spec.rules.bounds import ACTIVATIONS as ACTIVATIONS
from ptq.spec.rules.bounds import Bounds
from ptq.spec.rules.rescaling import Factor, Rescaling

Term = tuple[Number, Number]


class Accumulating(Rescaling, Bounds):
    """The rules of integer arithmetic that every operator with quantized operands shares."""

    def channel(self, operand: Operand, channel: int) -> int:
        """Which entry of an operand's scales belongs to a channel: its own, or the only one."""
        return channel if len(operand.scale) > 1 else 0

    def without_zero_point(self, q: Number, zero_point: int) -> Number:
        """q - zero_point, in more bits than q has."""
        return q - zero_point

    def input_without_zero_point(self, q: Number, zero_point: int) -> Number:
        """An activation less its zero point."""
        return self.without_zero_point(q, zero_point)

    def weight_without_zero_point(self, w: Number, zero_point: int) -> Number:
        """A weight less its zero point, which is 0 but in uint8 and some int8 matrices."""
        return self.without_zero_point(w, zero_point)

    def padding_value(self, zero_point: int) -> int:
        """What stands outside of an image: the integer that means 0."""
        return zero_point

    def product(self, a: Number, b: Number) -> Number:
        """One term of a sum of products."""
        return a * b

    def accumulate(self, terms: Iterable[Term], bits: int = 32, what: str = "(w - z_w) * (q - z_q)") -> int:
        """The sum of products of integers in a C integer of that size."""
        listed = list(terms)
        total = self.sum_integers([self.product(a, b) for a, b in listed], bits)
        return self.write(
            "accumulate", "accumulator", total, f"sum of {{}} products {what}", len(listed), terms=listed
        )

    def sum_integers(self, terms: Sequence[Number], bits: int) -> int:
        """The sum, wrapped to that many bits as C's integers wrap."""
        return wrap_spec(int(sum(terms)), bits)

    def add_bias(self, accumulator: int, bias: int, bits: int = 32) -> int:
        """accumulator + bias, whose scale is that of the accumulator."""
        total = wrap_spec(accumulator + bias, bits)
        return self.write("add bias", "biased", total, "{} + {}", accumulator, bias)

    def rescale_with_bias(self, accumulator: int, bias: int | None, factor: Factor, bits: int = 32) -> int:
        """(accumulator + bias) * factor: the bias has the scale of the accumulator."""
        total = accumulator if bias is None else self.add_bias(accumulator, bias, bits)
        return self.rescale(total, factor)

    def add_zero_point(self, x: int, zero_point: int) -> int:
        """x + zero_point, in int32."""
        return self.write("clamp", "with_zero_point", wrap_spec(x + zero_point), "{} + {}", x, zero_point)

    def clamp(self, x: int, lowest: int, highest: int) -> int:
        """x between two bounds, both included."""
        clamped = min(max(x, lowest), highest)
        return self.write("clamp", "output", clamped, "min(max({}, {}), {})", x, lowest, highest)

    def finish(self, x: int, zero_point: int, bounds: tuple[int, int]) -> int:
        """The last steps of an integer kernel: add the output's zero point, then clamp."""
        return self.clamp(self.add_zero_point(x, zero_point), *bounds)

    def activation_bounds(self, activation: str, output: Operand) -> tuple[int, int]:
        """Between which integers a fused activation clamps: its bounds on the output's scale, and the type's.

        Source: `tflite/kernels/kernel_util.cc`, CalculateActivationRangeQuantized.
        """
        lowest, highest = self.type_limits(output)
        low, high = self.fused_bounds(activation)
        if low is not None:
            lowest = max(lowest, self.quantized_bound(low, output))
        if high is not None:
            highest = min(highest, self.quantized_bound(high, output))
        return lowest, highest

    def activation_bounds_in_float32(self, activation: str, output: Operand) -> tuple[int, int]:
        """The same as XNNPACK computes them: float32(bound / scale) + zero_point in float32, ties to even.

        Source: XNNPACK, `src/xnnpack/quantization.h`, xnn_qs8_quantize.
        """
        lowest, highest = self.type_limits(output)
        low, high = (
            None if real is None else min(max(self.float32_bound(real, output), lowest), highest)
            for real in self.fused_bounds(activation)
        )
        return lowest if low is None else low, highest if high is None else high

    def float32_bound(self, real: float, output: Operand) -> int:
        """The integer that stands for a real bound, by way of float32 alone."""
        bound = f32(f32(real / output.only_scale) + output.only_zero_point)
        return self.round_half_even(min(max(bound, -(2.0**31)), 2.0**31))

    def type_limits(self, output: Operand) -> tuple[int, int]:
        """The smallest and the largest integer of the output's type: all of them are used."""
        return output.limits

    def quantized_bound(self, real: float, output: Operand) -> int:
        """The integer that stands for a real bound: zero_point + round(real / scale), in float32."""
        return output.only_zero_point + self.round_half_away(f32(real / output.only_scale))
