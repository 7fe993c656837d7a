"""RESIZE_BILINEAR on integers: places and weights in 1/1024 of a pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.defects import RESIZE_BEYOND
from ptq.errors import UnsupportedError
from ptq.fixed_point import rounding_divide_by_pot
from ptq.kernels.call import Call, Kernel
from ptq.kernels.resize import check_bilinear, resize_bilinear_uint8, resize_operands
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]

BITS = 10
"""Binary places of a pixel's place and of a weight."""


def resize_bilinear_integer(
    q: Array,
    height: int,
    width: int,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """output[y, x] = weighted mean of the four pixels around the point (y', x') of the image, rounded.

    The places are those of `ptq.kernels.resize_bilinear_float` in 1/1024 of a pixel, from a scale that is
    rounded to such units. q: int8 or int16 [N, H, W, C]. Returns [N, height, width, C] of the same dtype.
    Errors: ShapeError for an empty size; UnsupportedError for both options at once, and where the rounded
    scale leads beyond the image, a defect of the runtime, unless `numerics` say otherwise.
    Source: `tflite/kernels/internal/reference/resize_bilinear.h`, ResizeBilinearInteger.
    """
    check_bilinear(q, height, width, align_corners, half_pixel_centers)
    top, bottom, down = _neighbours(q.shape[1], height, align_corners, half_pixel_centers, numerics)
    left, right, across = _neighbours(q.shape[2], width, align_corners, half_pixel_centers, numerics)
    down, across = down[:, None, None], across[:, None]
    unit = 1 << BITS
    # accumulate: columns, then rows; the sums are exact, so their order does not matter
    wide = q.astype(np.int64)
    columns = wide[:, :, left] * (unit - across) + wide[:, :, right] * across
    total = columns[:, top] * (unit - down) + columns[:, bottom] * down
    # rescale
    if numerics.rounding == "single":
        return np.asarray((total + (1 << (2 * BITS - 1))) >> (2 * BITS)).astype(q.dtype)
    return rounding_divide_by_pot(total, 2 * BITS).astype(q.dtype)


def _neighbours(
    size: int, output_size: int, align_corners: bool, half_pixel_centers: bool, numerics: Numerics
) -> tuple[Array, Array, Array]:
    """For each output row: the input rows before and after its place, and how far it is from the first."""
    corners = 1 if align_corners and output_size > 1 else 0
    steps = output_size - corners
    scale = (((size - corners) << BITS) + steps // 2) // steps
    place = np.arange(output_size, dtype=np.int64) * scale
    if half_pixel_centers:
        place += scale // 2 - (1 << (BITS - 1))
    lower = np.maximum(place >> BITS, 0)
    upper = np.minimum((place + (1 << BITS) - 1) >> BITS, size - 1)
    if lower[-1] >= size:
        RESIZE_BEYOND.reproduced(numerics, f"{size} pixels to {output_size}")
        lower = np.minimum(lower, size - 1)
    return lower, upper, place - (lower << BITS)


# --- for the registry -----------------------------------------------------------------------------


def resize_bilinear_op(call: Call) -> list[Array]:
    """RESIZE_BILINEAR: inputs (q, size), options align_corners and half_pixel_centers.

    The reference resizes uint8 in float arithmetic, and only int8 and int16 in integers.
    """
    q, operands = call.array(0), resize_operands(call)
    if call.output_tensors[0].dtype != q.dtype:
        raise UnsupportedError(
            f"RESIZE_BILINEAR: {q.dtype} to {call.output_tensors[0].type} found, expected one type"
        )
    if q.dtype == np.uint8:
        return [resize_bilinear_uint8(q, *operands)]
    return [resize_bilinear_integer(q, *operands, call.numerics)]


INTEGER: dict[str, Kernel] = {"RESIZE_BILINEAR": resize_bilinear_op}
