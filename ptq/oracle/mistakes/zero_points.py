"""Mistakes with zero points: forgotten, at the wrong time, or lost in too few bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ptq.fixed_point import wrap_spec
from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Number, f32
from ptq.spec.question import Operand


class NoInputZeroPoint(Mistake):
    """does not subtract the zero point of the activations."""

    title = "no input zero point"

    def input_without_zero_point(self, q: Number, zero_point: int) -> Number:
        """q."""
        return q

    def subtract_row_sum(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> int:
        """sum w q."""
        return accumulator

    def subtract_row_sum_as_floats(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> float:
        """sum w q."""
        return f32(accumulator)


class AddedInputZeroPoint(Mistake):
    """adds the zero point of the activations instead of subtracting it."""

    title = "input zero point added"

    def input_without_zero_point(self, q: Number, zero_point: int) -> Number:
        """q + z."""
        return super().input_without_zero_point(q, -zero_point)

    def subtract_row_sum(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> int:
        """sum w (q + z)."""
        return super().subtract_row_sum(accumulator, -zero_point, weights)

    def subtract_row_sum_as_floats(self, accumulator: int, zero_point: int, weights: Sequence[int]) -> float:
        """sum w (q + z)."""
        return super().subtract_row_sum_as_floats(accumulator, -zero_point, weights)


class NoWeightsZeroPoint(Mistake):
    """does not subtract the zero point of the weights."""

    title = "no weights zero point"

    def weight_without_zero_point(self, w: Number, zero_point: int) -> Number:
        """w."""
        return w


class NoOutputZeroPoint(Mistake):
    """does not add the zero point of the output."""

    title = "no output zero point"

    def add_zero_point(self, x: int, zero_point: int) -> int:
        """x."""
        return x


class ZeroPadding(Mistake):
    """pads the image with the integer 0, not with its zero point, which stands for the number 0."""

    title = "padding with 0"

    def padding_value(self, zero_point: int) -> int:
        """0."""
        return 0


class WrappedDifference(Mistake):
    """subtracts the zero point in 8 bits, in which the difference wraps around."""

    title = "difference in int8"

    def without_zero_point(self, q: Number, zero_point: int) -> Number:
        """(q - z) mod 256."""
        difference = super().without_zero_point(q, zero_point)
        return wrap_spec(int(difference), 8) if zero_point else difference


class ClampBeforeZeroPoint(Mistake):
    """clamps to the bounds of the output before it adds the zero point, not after."""

    title = "clamp before zero point"

    def finish(self, x: int, zero_point: int, bounds: tuple[int, int]) -> int:
        """Clamp, then add; what the type does not hold wraps around."""
        return self.add_zero_point(self.clamp(x, *bounds), zero_point)


class ActivationAtZero(Mistake):
    """forgets the zero point in the bounds of the fused activation: ReLU clamps at the integer 0."""

    title = "activation at integer 0"

    def quantized_bound(self, real: float, output: Operand) -> int:
        """round(real / scale)."""
        return super().quantized_bound(real, output) - output.only_zero_point

    def float32_bound(self, real: float, output: Operand) -> int:
        """round(real / scale)."""
        return super().float32_bound(real, replace(output, zero_point=[0]))


MISTAKES = (
    NoInputZeroPoint, AddedInputZeroPoint, NoWeightsZeroPoint, NoOutputZeroPoint, ZeroPadding,
    WrappedDifference, ClampBeforeZeroPoint, ActivationAtZero,
)  # fmt: skip
