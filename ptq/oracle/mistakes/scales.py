"""Mistakes with scales: the wrong one, or their product in the wrong precision or order."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Operand


class OneScale(Mistake):
    """takes the first scale of the weights for all channels."""

    title = "one scale for all channels"

    def channel(self, operand: Operand, channel: int) -> int:
        """The first."""
        return 0


class WrongChannelAxis(Mistake):
    """counts the scales of the weights along another dimension of the output than the last."""

    title = "wrong channel axis"

    def channel_of(self, index: Index, channels: int) -> int:
        """The row of the output, as with channels in front."""
        return index[-3 if len(index) == 4 else 0] % channels


class ScaleOfPosition(Mistake):
    """takes the scale of the row where an element is written, not of the row where it is looked up."""

    title = "scale of the output's row"

    def looked_up_scale(self, row: int, position: int, rows: int) -> int:
        """By the position."""
        return position % rows


class Float32Multiplier(Mistake):
    """computes the real multiplier from the scales in float32, where the library has doubles."""

    title = "multiplier in float32"

    def scale_product_over(self, a: float, b: float, c: float) -> float:
        """Every operation rounded."""
        return self.scale_product_over_in_float32(a, b, c)

    def rounded_scale_product_over(self, a: float, b: float, c: float) -> float:
        """Every operation rounded."""
        return self.scale_product_over_in_float32(a, b, c)


class RoundedScaleProduct(Mistake):
    """rounds the product of the scales of input and weights to float32, where the library does not."""

    title = "product of scales in float32"

    def scale_product_over(self, a: float, b: float, c: float) -> float:
        """The product rounded."""
        return self.rounded_scale_product_over(a, b, c)


class ExactScaleProduct(Mistake):
    """multiplies the scales of input and weights in double, where the library rounds to float32."""

    title = "product of scales in double"

    def rounded_scale_product_over(self, a: float, b: float, c: float) -> float:
        """Nothing rounded."""
        return self.scale_product_over(a, b, c)


# --- hybrid kernels ---------------------------------------------------------------------------------


class ScalesAtOnce(Mistake):
    """multiplies the scales of weights and row first, where the library applies one after the other."""

    title = "scales multiplied first"

    def scale_in_turn(self, accumulator: float, weights_scale: float, row_scale: float) -> float:
        """accumulator * (row_scale * weights_scale)."""
        return self.scale_at_once(accumulator, row_scale, weights_scale)


class ScalesInTurn(Mistake):
    """applies the scales of weights and row one after the other, where the library multiplies them first."""

    title = "one scale after the other"

    def scale_at_once(self, accumulator: float, row_scale: float, weights_scale: float) -> float:
        """(accumulator * weights_scale) * row_scale."""
        return self.scale_in_turn(accumulator, weights_scale, row_scale)


class RowScaleFirst(Mistake):
    """applies the scale of the row before that of the weights."""

    title = "row scale first"

    def scale_in_turn(self, accumulator: float, weights_scale: float, row_scale: float) -> float:
        """(accumulator * row_scale) * weights_scale."""
        return super().scale_in_turn(accumulator, row_scale, weights_scale)

    def sum_of_rescaled_products(
        self, terms: Sequence[tuple[Number, Number]], weights_scale: float, row_scale: float
    ) -> float:
        """The same for every product."""
        return super().sum_of_rescaled_products(terms, row_scale, weights_scale)


class RescaledAtTheEnd(Mistake):
    """adds the products as integers and rescales their sum, where the library rescales every product."""

    title = "sum rescaled, not the products"

    def sum_of_rescaled_products(
        self, terms: Sequence[tuple[Number, Number]], weights_scale: float, row_scale: float
    ) -> float:
        """(sum * weights_scale) * row_scale."""
        return self.scale_in_turn(f32(sum(a * b for a, b in terms)), weights_scale, row_scale)


MISTAKES = (
    OneScale, WrongChannelAxis, ScaleOfPosition, Float32Multiplier, RoundedScaleProduct, ExactScaleProduct,
    ScalesAtOnce, ScalesInTurn, RowScaleFirst, RescaledAtTheEnd,
)  # fmt: skip
