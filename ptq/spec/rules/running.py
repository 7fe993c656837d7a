"""How a hybrid kernel quantizes a row of its activations at run time, and what it sums for the zero point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Number, divide, f32
from ptq.spec.rules.rescaling import Rescaling

NEON = "tflite/kernels/internal/optimized/neon_tensor_utils.cc"
PORTABLE = "tflite/kernels/internal/reference/portable_tensor_utils.cc"
SIMD_LANES = 8


@dataclass(frozen=True)
class Row:
    """A quantized row: real = scale * (values[k] - zero_point)."""

    values: Sequence[int]
    scale: float
    zero_point: int


class RunningQuantizer(Rescaling):
    """The rules of `Numerics.dynamic_range` and `Numerics.row_sums`."""

    def quantize_row(
        self, values: Sequence[float], symmetric: bool, key: object = 0, batch: Sequence[float] | None = None
    ) -> Row:
        """Quantize floats with a scale of their own (Q4); an empty range gives zeros and the scale 1.

        batch: all rows of the tensor, whose range does not matter.
        """
        symmetric = self.row_is_symmetric(symmetric)
        low, high = self.range_of(values, values if batch is None else batch)
        if low == high:
            row = Row([0] * len(values), 1.0, 0)
        else:
            row = (self.symmetric_row if symmetric else self.asymmetric_row)(values, low, high)
        function = f"{'Symmetric' if symmetric else 'Asymmetric'}QuantizeFloats"
        source = f"{NEON if self.simd else PORTABLE}, {function}"
        rule = f"{'vector code' if self.simd else 'portable source'}, {'' if symmetric else 'a'}symmetric"
        self.write(
            "quantize input", "row_scale", row.scale, "from the range {} to {}", low, high, key=key,
            rule=rule, source=source,
        )  # fmt: skip
        self.write("quantize input", "row_zero_point", row.zero_point, key=key)
        self.write(
            "quantize input", "quantized_input", row.values, "round(x / {}) + {}", row.scale, row.zero_point,
            key=key,
        )  # fmt: skip
        return row

    def row_is_symmetric(self, asked: bool) -> bool:
        """Whether a row's zero point is 0: where the operator asks for it."""
        return asked

    def range_of(self, values: Sequence[float], batch: Sequence[float]) -> tuple[float, float]:
        """The smallest and the largest number of the row alone, with 0 between them."""
        return f32(min([0.0, *values])), f32(max([0.0, *values]))

    @property
    def simd(self) -> bool:
        """Whether the vector code is meant, or the portable source."""
        return self.numerics.dynamic_range == "simd"

    def symmetric_row(self, values: Sequence[float], low: float, high: float) -> Row:
        """scale = max|x| / 127, zero point 0."""
        reach = max(abs(low), abs(high))
        scale, inverse = f32(reach / 127), f32(divide(127, reach))
        return Row(self.row_values(values, scale, inverse, 0, (-127, 127)), scale, 0)

    def asymmetric_row(self, values: Sequence[float], low: float, high: float) -> Row:
        """scale = (max - min) / 255; the zero point is the one that keeps the nearer end exact."""
        step = (f32(high - low) if self.simd else high - low) / 255
        from_low, from_high = -128 - low / step, 127 - high / step
        nearer = from_low if 128 + abs(low / step) < 127 + abs(high / step) else from_high
        zero_point = self.round_half_away(min(max(nearer, -128.0), 127.0))
        scale = f32(step)
        inverse = f32(1.0 / scale) if scale else 0.0
        return Row(self.row_values(values, scale, inverse, zero_point, (-128, 127)), scale, zero_point)

    def row_values(
        self, values: Sequence[float], scale: float, inverse: float, zero_point: int, bounds: tuple[int, int]
    ) -> list[int]:
        """The integers of a row: round(x * inverse) + zero_point, within the bounds."""
        whole = len(values) // SIMD_LANES * SIMD_LANES if self.simd else 0
        steps = (self.in_steps(x, scale, inverse) for x in values)
        rounded = (self.row_integer(y, zero_point, n < whole) for n, y in enumerate(steps))
        return [min(max(q, bounds[0]), bounds[1]) for q in rounded]

    def in_steps(self, x: float, scale: float, inverse: float) -> float:
        """x / scale, as a product with the inverse."""
        return f32(x * inverse)

    def row_integer(self, y: float, zero_point: int, in_lanes: bool) -> int:
        """round(y) + zero_point; in the portable source round(zero_point + y).

        in_lanes: whether it fills a whole register of the vector code, which rounds in another way.
        """
        if not self.simd:
            return self.round_activation(f32(zero_point + y))
        return (self.round_in_lanes(y) if in_lanes else self.round_activation(y)) + zero_point

    def round_activation(self, y: float) -> int:
        """The nearest integer, ties away from zero: TfLiteRound."""
        return self.round_half_away(y)

    def round_in_lanes(self, y: float) -> int:
        """trunc(y +/- 0.5) in float32, as the vector code rounds whole registers: 0.49999997 becomes 1."""
        return math.trunc(f32(y + math.copysign(0.5, y)))

    def row_sum(self, weights: Sequence[int]) -> int:
        """The sum of a row of weights; "wrapping": in eight int16 lanes, as x86 builds compute it."""
        if self.numerics.row_sums == "exact":
            return sum(weights)
        lanes = [0] * 8
        whole = len(weights) // 16 * 16
        for position in range(whole):
            lanes[position // 2 % 8] += weights[position]
        if len(weights) - whole >= 8:
            for lane in range(8):
                lanes[lane] += weights[whole + lane]
            whole += 8
        return sum(wrap_spec(lane, 16) for lane in lanes) + sum(weights[whole:])

    def subtract_row_sum(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> int:
        """sum w (q - z) = sum w q - z * sum w, as the hybrid product computes it."""
        total = accumulator - zero_point * self.row_sum(weights)
        return self.write(
            "accumulate", "without_zero_point", total, "{} - {} * (sum of {} weights)", accumulator,
            zero_point, len(weights), rule=f"{self.numerics.row_sums} row sums",
        )  # fmt: skip

    def subtract_row_sum_as_floats(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> float:
        """The same as BATCH_MATMUL computes it: float32(accumulator) - float32(row sum) * float32(z).

        Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid).
        """
        offset = f32(f32(self.row_sum(weights)) * zero_point)
        total = f32(f32(accumulator) - offset)
        return self.write(
            "accumulate", "without_zero_point", total, "float32({}) - {}", accumulator, offset,
            rule=f"float32, {self.numerics.row_sums} row sums",
        )  # fmt: skip

    def row_factor(self, row_scale: float, weights_scale: float) -> float:
        """The product of both scales in float32."""
        factor = f32(row_scale * weights_scale)
        return self.write("rescale", "row_factor", factor, "{} * {}", row_scale, weights_scale, detail=True)

    def scale_at_once(self, accumulator: float, row_scale: float, weights_scale: float) -> float:
        """accumulator * (row_scale * weights_scale), each product in float32."""
        factor = self.row_factor(row_scale, weights_scale)
        return self.write(
            "rescale", "rescaled", f32(accumulator * factor), "{} * {}", accumulator, factor,
            rule="scales multiplied first",
        )  # fmt: skip

    def scale_in_turn(self, accumulator: float, weights_scale: float, row_scale: float) -> float:
        """(accumulator * weights_scale) * row_scale, each product in float32."""
        return self.write(
            "rescale", "rescaled", f32(f32(accumulator * weights_scale) * row_scale), "({} * {}) * {}",
            accumulator, weights_scale, row_scale, rule="one scale after the other",
        )  # fmt: skip

    def sum_of_rescaled_products(
        self, terms: Sequence[tuple[Number, Number]], weights_scale: float, row_scale: float
    ) -> float:
        """sum (a * b * weights_scale) * row_scale, in order: each product and each sum rounded to float32.

        Source: `tflite/kernels/internal/reference/transpose_conv.h`, HybridTransposeConv.
        """
        total = 0.0
        for a, b in terms:
            total = f32(total + f32(f32(f32(a * b) * weights_scale) * row_scale))
        return self.write(
            "accumulate", "accumulator", total, "sum of {} float32 products in order, each * {} * {}",
            len(terms), weights_scale, row_scale, terms=terms, rule="every product rescaled by itself",
        )  # fmt: skip
