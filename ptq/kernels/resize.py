"""Images made larger or smaller, and blocks of pixels that become channels.

Layout [batch, height, width, channels].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.fixed_point import round_half_away
from ptq.kernels.call import Call, Kernel

Array = npt.NDArray[Any]


def resize_bilinear_float(
    x: Array, height: int, width: int, align_corners: bool = False, half_pixel_centers: bool = False
) -> Array:
    """output[y, x] = weighted mean of the four pixels around the point (y', x') of the image.

    y' = y * H / height; align_corners: y * (H - 1) / (height - 1), so that the last pixels meet;
    half_pixel_centers: (y + 1/2) * H / height - 1/2, as a pixel's place is its centre. x' likewise.
    x: float32 [N, H, W, C]. Returns float32 [N, height, width, C].
    Errors: ShapeError for an empty size, UnsupportedError for both options at once.
    Source: `tflite/kernels/internal/reference/resize_bilinear.h`, ResizeBilinear.
    """
    check_bilinear(x, height, width, align_corners, half_pixel_centers)
    return _interpolate(x, height, width, align_corners, half_pixel_centers, np.float32(0))  # turns -0 into 0


def resize_bilinear_uint8(
    q: Array, height: int, width: int, align_corners: bool = False, half_pixel_centers: bool = False
) -> Array:
    """The same for uint8, in float32 and rounded at the end: trunc(sum + 1/2).

    The reference has integer arithmetic only for int8 and int16, see `ptq.kernels.integer.resize`.
    Source: `tflite/kernels/internal/reference/resize_bilinear.h`, ResizeBilinear<uint8_t>.
    """
    check_bilinear(q, height, width, align_corners, half_pixel_centers)
    x = q.astype(np.float32)
    half = np.float32(0.5)
    return _interpolate(x, height, width, align_corners, half_pixel_centers, half).astype(np.uint8)


def _interpolate(
    x: Array, height: int, width: int, align_corners: bool, half_pixel_centers: bool, offset: np.float32
) -> Array:
    top, bottom, down = _neighbours(x.shape[1], height, align_corners, half_pixel_centers)
    left, right, across = _neighbours(x.shape[2], width, align_corners, half_pixel_centers)
    down, across = down[:, None, None], across[:, None]
    one = np.float32(1)
    # A point between two centres of an edge pixel has a weight below 0, and both its neighbours are that
    # pixel: the products are added all the same, in this order, as their rounding is part of the result.
    with np.errstate(invalid="ignore", over="ignore"):
        output = x[:, top][:, :, left] * (one - down) * (one - across)
        output += x[:, bottom][:, :, left] * down * (one - across)
        output += x[:, top][:, :, right] * (one - down) * across
        output += x[:, bottom][:, :, right] * down * across
    return output + offset


def resize_nearest_neighbor(
    x: Array, height: int, width: int, align_corners: bool = False, half_pixel_centers: bool = False
) -> Array:
    """output[y, x] = the pixel at floor(y'), floor(x') of the image; with align_corners the nearest one.

    y' = f32((y + o) * s) with s = H / height, or (H - 1) / (height - 1) with align_corners; o = 1/2 with
    half_pixel_centers, else 0. x: [N, H, W, C] of any dtype. Errors: ShapeError for an empty size.
    Source: `tflite/kernels/internal/reference/resize_nearest_neighbor.h`, GetNearestNeighbor.
    """
    _check_size("RESIZE_NEAREST_NEIGHBOR", x, height, width)
    rows = _nearest(x.shape[1], height, align_corners, half_pixel_centers)
    columns = _nearest(x.shape[2], width, align_corners, half_pixel_centers)
    return np.array(x[:, rows][:, :, columns], order="C")


def depth_to_space(x: Array, block_size: int) -> Array:
    """Each pixel becomes a block of block_size * block_size pixels; its channels are dealt out to them.

    output[n, y * b + i, x * b + j, c] = x[n, y, x, (i * b + j) * C + c]
    x: [N, H, W, b * b * C] of any dtype. Returns [N, H * b, W * b, C]. Errors: ShapeError for other channels.
    Source: `tflite/kernels/internal/reference/depth_to_space.h`, DepthToSpace.
    """
    batch, height, width, channels = _image("DEPTH_TO_SPACE", x)
    if block_size < 1 or channels % block_size**2:
        raise ShapeError(
            f"DEPTH_TO_SPACE: {channels} channels found, expected a multiple of {block_size} * {block_size}"
        )
    depth = channels // block_size**2
    blocks = x.reshape(batch, height, width, block_size, block_size, depth).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, height * block_size, width * block_size, depth)


def space_to_depth(x: Array, block_size: int) -> Array:
    """Each block of block_size * block_size pixels becomes one pixel: the inverse of `depth_to_space`.

    x: [N, H, W, C] of any dtype. Returns [N, H / b, W / b, b * b * C]. Errors: ShapeError for other sizes.
    Source: `tflite/kernels/internal/reference/space_to_depth.h`, SpaceToDepth.
    """
    batch, height, width, channels = _image("SPACE_TO_DEPTH", x)
    if block_size < 1 or height % block_size or width % block_size:
        raise ShapeError(
            f"SPACE_TO_DEPTH: an image of {height}x{width} found, expected multiples of {block_size}"
        )
    rows, columns = height // block_size, width // block_size
    blocks = x.reshape(batch, rows, block_size, columns, block_size, channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, rows, columns, channels * block_size**2)


def _neighbours(
    size: int, output_size: int, align_corners: bool, half_pixel_centers: bool
) -> tuple[Array, Array, Array]:
    """For each output row: the input rows before and after its place, and how far it is from the first."""
    place = np.arange(output_size, dtype=np.float32)
    half = np.float32(0.5)
    scale = _scale(size, output_size, align_corners)
    place = (place + half) * scale - half if half_pixel_centers else place * scale
    lower = np.maximum(np.floor(place).astype(np.int32), 0)
    upper = np.minimum(np.ceil(place).astype(np.int32), size - 1)
    return lower, upper, place - lower.astype(np.float32)


def _nearest(size: int, output_size: int, align_corners: bool, half_pixel_centers: bool) -> Array:
    offset = np.float32(0.5 if half_pixel_centers else 0)
    place = (np.arange(output_size, dtype=np.float32) + offset) * _scale(size, output_size, align_corners)
    rounded = round_half_away(place) if align_corners else np.floor(place)
    return np.minimum(rounded.astype(np.int32), size - 1)


def _scale(size: int, output_size: int, align_corners: bool) -> np.float32:
    if align_corners and output_size > 1:
        return np.float32(size - 1) / np.float32(output_size - 1)
    return np.float32(size) / np.float32(output_size)


def _image(operator: str, x: Array) -> tuple[int, ...]:
    if x.ndim != 4:
        raise ShapeError(f"{operator}: shape {x.shape} found, expected [batch, height, width, channels]")
    return x.shape


def check_bilinear(
    x: Array, height: int, width: int, align_corners: bool, half_pixel_centers: bool
) -> None:
    """ShapeError and UnsupportedError unless RESIZE_BILINEAR can be applied."""
    _check_size("RESIZE_BILINEAR", x, height, width)
    if align_corners and half_pixel_centers:
        raise UnsupportedError(
            "RESIZE_BILINEAR: align_corners and half_pixel_centers found, expected one of them at most"
        )


def _check_size(operator: str, x: Array, height: int, width: int) -> None:
    shape = _image(operator, x)
    if min(height, width, *shape[1:3]) < 1:
        raise ShapeError(f"{operator}: {height}x{width} for shape {shape} found, expected positive sizes")


# --- for the registry -----------------------------------------------------------------------------


def resize_bilinear_op(call: Call) -> list[Array]:
    """RESIZE_BILINEAR: inputs (x, size), options align_corners and half_pixel_centers."""
    return [resize_bilinear_float(call.float_array(0), *resize_operands(call))]


def resize_nearest_neighbor_op(call: Call) -> list[Array]:
    """RESIZE_NEAREST_NEIGHBOR: inputs (x, size), options align_corners and half_pixel_centers."""
    return [resize_nearest_neighbor(call.array(0), *resize_operands(call))]


def depth_to_space_op(call: Call) -> list[Array]:
    """DEPTH_TO_SPACE: inputs (x), option block_size."""
    return [depth_to_space(call.array(0), call.options["block_size"])]


def space_to_depth_op(call: Call) -> list[Array]:
    """SPACE_TO_DEPTH: inputs (x), option block_size."""
    return [space_to_depth(call.array(0), call.options["block_size"])]


def resize_operands(call: Call) -> tuple[int, int, bool, bool]:
    """Height, width, align_corners and half_pixel_centers."""
    height, width = call.array(1).tolist()
    return height, width, call.options["align_corners"], call.options["half_pixel_centers"]


MOVERS: dict[str, Kernel] = {
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor_op,
    "DEPTH_TO_SPACE": depth_to_space_op,
    "SPACE_TO_DEPTH": space_to_depth_op,
}
FLOAT: dict[str, Kernel] = {"RESIZE_BILINEAR": resize_bilinear_op, **MOVERS}
