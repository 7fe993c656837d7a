"""Images made larger or smaller by linear interpolation: places, weights and the rounding of their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.spec.numbers import f32
from ptq.spec.rules.rescaling import Rescaling

UNIT_BITS = 10
"""Of a pixel's place and of a weight in integers: 1/1024 of a pixel."""

UNIT = 1 << UNIT_BITS
SOURCE = "tflite/kernels/internal/reference/resize_bilinear.h"

Neighbours = tuple[int, int, int | float]
"""The pixel before a place and the one after it, and how far the place is from the first."""


class Resizing(Rescaling):
    """The rules of RESIZE_BILINEAR: in 1/1024 of a pixel for int8 and int16, in float32 for the others."""

    def resizes_in_floats(self, type: str) -> bool:
        """Whether images of a type are resized in float32: all but int8 and int16."""
        return type not in ("INT8", "INT16")

    def resize_spans(self, size: int, outputs: int, align_corners: bool) -> tuple[int, int]:
        """Numerator and denominator of the scale: the sizes; without one pixel where the corners meet."""
        corner = 1 if align_corners and outputs > 1 else 0
        return size - corner, outputs - corner

    # --- in integers ------------------------------------------------------------------------------

    def resize_scale(self, span: int, steps: int) -> int:
        """How far one output is from the next, rounded to 1/1024 of a pixel."""
        return (span * UNIT + steps // 2) // steps

    def resize_place(self, output: int, scale: int, half_pixel_centers: bool) -> int:
        """Where an output lies in the image, in 1/1024 of a pixel; with half_pixel_centers its centre."""
        return output * scale + (scale // 2 - UNIT // 2 if half_pixel_centers else 0)

    def resize_neighbours(self, place: int, size: int) -> Neighbours:
        """The pixels on both sides of a place; beyond the last one that one, whatever its distance."""
        before, after = max(place >> UNIT_BITS, 0), min(-(-place >> UNIT_BITS), size - 1)
        before = min(before, size - 1)
        return before, after, place - before * UNIT

    def divide_by_units(self, total: int) -> int:
        """The weighted sum divided by 1024 * 1024: ties away from zero; with single rounding up."""
        bits = 2 * UNIT_BITS
        source = f"{SOURCE}, ResizeBilinearInteger"
        if self.numerics.rounding == "single":
            value = (total + (1 << (bits - 1))) >> bits
            return self.write(
                "rescale", "output", value, "floor({} / 2^{} + 1/2)", total, bits, source=source,
                rule="single rounding",
            )  # fmt: skip
        return self.write(
            "rescale", "output", self.rounding_divide_by_pot(total, bits),
            "round({} / 2^{}), ties away from zero", total, bits, source=source, rule="double rounding",
        )  # fmt: skip

    # --- in float32 -------------------------------------------------------------------------------

    def real_resize_scale(self, span: int, steps: int) -> float:
        """The same as a float32."""
        return f32(span / steps)

    def real_resize_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """The same in float32: (output + 1/2) * scale - 1/2 with half_pixel_centers."""
        if half_pixel_centers:
            return f32(f32((output + 0.5) * scale) - 0.5)
        return f32(output * scale)

    def real_resize_neighbours(self, place: float, size: int) -> Neighbours:
        """The same for such a place."""
        before, after = max(math.floor(place), 0), min(math.ceil(place), size - 1)
        return before, after, f32(place - before)

    def weighted_mean(self, pixels: Sequence[float], down: float, across: float, offset: float) -> float:
        """The mean of the pixels top left, bottom left, top right and bottom right, added in this order."""
        up, left = f32(1 - down), f32(1 - across)
        weights = (up, left), (down, left), (up, across), (down, across)
        terms = [f32(f32(x * v) * h) for x, (v, h) in zip(pixels, weights, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = f32(total + term)
        return self.write(
            "accumulate", "accumulator", f32(total + offset), "sum of {} float32 products, and {}",
            len(pixels), offset, terms=[(x, *weight) for x, weight in zip(pixels, weights, strict=True)],
        )  # fmt: skip

    def whole_pixel(self, x: float) -> int:
        """The integer part: with 1/2 added before it rounds what is not negative."""
        return math.trunc(x)

    # --- the nearest pixel ------------------------------------------------------------------------

    def nearest_place(self, output: int, scale: float, half_pixel_centers: bool) -> float:
        """Where an output lies: (output + 1/2) * scale with half_pixel_centers, else without 1/2."""
        return f32((output + 0.5 if half_pixel_centers else output) * scale)

    def nearest_pixel(self, place: float, size: int, align_corners: bool) -> int:
        """The pixel that a place lies in: the last whole number, or with align_corners the nearest one."""
        pixel = self.round_half_away(place) if align_corners else math.floor(place)
        return min(pixel, size - 1)
