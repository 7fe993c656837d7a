"""Pools: reductions over windows, with the reference's order of summation.

Images are [batch, height, width, channels]; sizes and strides are (vertical, horizontal).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.kernels.activation import clamp_float, sequential_sum
from ptq.kernels.call import Call, Kernel
from ptq.kernels.padding import Window, inside, taps, window

Array = npt.NDArray[Any]
Pair = tuple[int, int]
F = np.float32


def average_pool2d_float(
    x: Array, filter_size: Pair, stride: Pair = (1, 1), padding: str = "VALID", activation: str = "NONE"
) -> Array:
    """output = activation(sum of the window / number of its elements inside the image).           (Q16)

    x: float32 [N, H, W, C]; returns float32 [N, H', W', C]. The sum starts at 0 and runs over the window
    row by row, in float32. Errors: ShapeError if the window does not fit.
    Source: `tflite/kernels/internal/reference/pooling.h`, AveragePool.
    """
    rows, columns = windows(x, filter_size, stride, padding)
    # accumulate
    few_windows = rows.size * columns.size < filter_size[0] * filter_size[1]
    add = _sum_window_by_window if few_windows else _sum_tap_by_tap
    with np.errstate(over="ignore", invalid="ignore"):
        total = add(x, filter_size, stride, rows, columns)
    # rescale
    vertical = inside(x.shape[1], filter_size[0], stride[0], rows)
    horizontal = inside(x.shape[2], filter_size[1], stride[1], columns)
    total /= (vertical[:, None] * horizontal)[:, :, None].astype(F)
    # clamp
    return clamp_float(total, activation, out=total)


def max_pool2d_float(
    x: Array, filter_size: Pair, stride: Pair = (1, 1), padding: str = "VALID", activation: str = "NONE"
) -> Array:
    """output = activation(largest element of the window, and at least -FLT_MAX).                  (Q17)

    x: float32 [N, H, W, C]; returns float32 [N, H', W', C]. NaN is ignored: a window of NaN alone gives
    -FLT_MAX. Errors: ShapeError if the window does not fit.
    Source: `tflite/kernels/internal/reference/pooling.h`, MaxPool.
    """
    rows, columns = windows(x, filter_size, stride, padding)
    # accumulate: the largest of each row of the window, then the largest of those
    largest = _maximum_along(x, 2, filter_size[1], stride[1], columns)
    largest = _maximum_along(largest, 1, filter_size[0], stride[0], rows)
    if np.isnan(largest).any():
        without = np.where(np.isnan(x), np.finfo(F).min, x)
        return max_pool2d_float(without, filter_size, stride, padding, activation)
    # clamp
    return clamp_float(largest, activation, out=largest)


def windows(x: Array, filter_size: Pair, stride: Pair, padding: str) -> tuple[Window, Window]:
    """The vertical and the horizontal geometry; ShapeError if x is no batch of images."""
    if x.ndim != 4:
        raise ShapeError(f"pool: input of shape {x.shape} found, expected [batch, height, width, channels]")
    rows = window(x.shape[1], filter_size[0], stride[0], 1, padding)
    columns = window(x.shape[2], filter_size[1], stride[1], 1, padding)
    return rows, columns


def _sum_tap_by_tap(x: Array, size: Pair, stride: Pair, rows: Window, columns: Window) -> Array:
    """Add the first element of all windows at once, then the second, and so on."""
    total = np.zeros((x.shape[0], rows.size, columns.size, x.shape[3]), F)
    for to_rows, from_rows in taps(x.shape[1], size[0], stride[0], rows):
        for to_columns, from_columns in taps(x.shape[2], size[1], stride[1], columns):
            total[:, to_rows, to_columns] += x[:, from_rows, from_columns]
    return total


def _sum_window_by_window(x: Array, size: Pair, stride: Pair, rows: Window, columns: Window) -> Array:
    """The same sums where windows are larger than the output, as in global pooling."""
    batch, height, width, channels = x.shape
    total = np.empty((batch, rows.size, columns.size, channels), F)
    for row in range(rows.size):
        top = row * stride[0] - rows.before
        vertical = slice(max(top, 0), min(top + size[0], height))
        for column in range(columns.size):
            left = column * stride[1] - columns.before
            horizontal = slice(max(left, 0), min(left + size[1], width))
            for n, image in enumerate(x):
                total[n, row, column] = sequential_sum(image[vertical, horizontal].reshape(-1, channels))
    return total


def _maximum_along(x: Array, axis: int, size: int, stride: int, geometry: Window) -> Array:
    """The largest of `size` neighbours along one axis; of equal ones the first."""
    shape = [*x.shape[:axis], geometry.size, *x.shape[axis + 1 :]]
    largest = np.full(shape, np.finfo(F).min, F)
    before = (slice(None),) * axis
    for to, source in taps(x.shape[axis], size, stride, geometry):
        # where both are equal, np.maximum gives its second operand
        np.maximum(x[(*before, source)], largest[(*before, to)], out=largest[(*before, to)])
    return largest


# --- for the registry -----------------------------------------------------------------------------


def average_pool2d_op(call: Call) -> list[Array]:
    """AVERAGE_POOL_2D: inputs (x)."""
    return [average_pool2d_float(call.float_array(0), *pool_options(call))]


def max_pool2d_op(call: Call) -> list[Array]:
    """MAX_POOL_2D: inputs (x)."""
    return [max_pool2d_float(call.float_array(0), *pool_options(call))]


def pool_options(call: Call) -> tuple[Pair, Pair, str, str]:
    """Filter size, strides, padding and activation."""
    options = call.options
    size = (options["filter_height"], options["filter_width"])
    stride = (options["stride_h"], options["stride_w"])
    return size, stride, options["padding"], options["fused_activation_function"]


FLOAT: dict[str, Kernel] = {
    "AVERAGE_POOL_2D": average_pool2d_op,
    "MAX_POOL_2D": max_pool2d_op,
}
