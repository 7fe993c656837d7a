"""Mistakes of RESIZE_BILINEAR: other places, another rounding."""

from __future__ import annotations

import math
from fractions import Fraction

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import f32
from ptq.spec.rules.resizing import UNIT, UNIT_BITS


class CentresIgnored(Mistake):
    """takes a pixel's corner for its place, also where half_pixel_centers asks for its centre."""

    title = "half_pixel_centers ignored"

    def resize_place(self, output: int, scale: int, half_pixel_centers: bool) -> int:
        """The corner."""
        return output * scale

    def real_resize_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """The corner."""
        return f32(output * scale)

    def nearest_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """The corner."""
        return f32(output * scale)


class CentresAlways(Mistake):
    """takes a pixel's centre for its place, as other libraries do, though half_pixel_centers is off."""

    title = "half_pixel_centers always"

    def resize_place(self, output: int, scale: int, half_pixel_centers: bool) -> int:
        """The centre."""
        return super().resize_place(output, scale, True)

    def real_resize_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """The centre."""
        return super().real_resize_place(output, scale, True)

    def nearest_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """The centre."""
        return super().nearest_place(output, scale, True)


class CornersIgnored(Mistake):
    """divides the sizes, also where align_corners asks for the distances of the first and last pixels."""

    title = "align_corners ignored"

    def resize_spans(self, size: int, outputs: int, align_corners: bool) -> tuple[int, int]:
        """The sizes."""
        return size, outputs


class CornersAlways(Mistake):
    """divides the distances between the first and last pixels, though align_corners is off."""

    title = "align_corners always"

    def resize_spans(self, size: int, outputs: int, align_corners: bool) -> tuple[int, int]:
        """The distances."""
        return super().resize_spans(size, outputs, True)


class ResizedScaleCutOff(Mistake):
    """cuts the scale between the sizes off to 1/1024, instead of rounding it."""

    title = "resize scale cut off"

    def resize_scale(self, span: int, steps: int) -> int:
        """The floor."""
        return span * UNIT // steps


class ResizedMeanCutOff(Mistake):
    """cuts the fraction of the weighted mean of pixels off."""

    title = "resized pixel cut off"

    def divide_by_units(self, total: int) -> int:
        """Toward zero."""
        return math.trunc(Fraction(total, UNIT * UNIT))

    def whole_pixel(self, x: float) -> int:
        """The half has been added before."""
        return math.trunc(x - 0.5)


class ResizedMeanUp(Mistake):
    """rounds ties of the weighted mean of pixels up, also below zero."""

    title = "resized pixel half up"

    def divide_by_units(self, total: int) -> int:
        """Ties up."""
        return (total + UNIT * UNIT // 2) >> 2 * UNIT_BITS


class ResizedInIntegers(Mistake):
    """resizes uint8 with weights in 1/1024, as it does int8."""

    title = "uint8 resized in integers"

    def resizes_in_floats(self, type: str) -> bool:
        """No type."""
        return False


MISTAKES = (
    CentresIgnored, CentresAlways, CornersIgnored, CornersAlways, ResizedScaleCutOff, ResizedMeanCutOff,
    ResizedMeanUp, ResizedInIntegers,
)  # fmt: skip
