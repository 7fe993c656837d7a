"""Pools on quantized images: sums and maxima of integers, which come out the same in any order.

So the columns of a window are reduced first, then its rows. Input and output share scale and zero point, and
neither matters: the mean of the integers is the integer of the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.operands import quantized
from ptq.kernels.integer.parameters import activation_bounds
from ptq.kernels.padding import Window, inside, taps
from ptq.kernels.pool import pool_options, windows

Array = npt.NDArray[Any]
Pair = tuple[int, int]


def average_pool2d_integer(
    x: Array, filter_size: Pair, stride: Pair = (1, 1), padding: str = "VALID", bounds: Pair | None = None
) -> Array:
    """output = clamp(sum of the window / number of its elements inside the image), half away from zero.

    x: int8, uint8 or int16 [N, H, W, C]; returns [N, H', W', C] of the same dtype. bounds: those of the
    activation, else of the dtype. Errors: ShapeError if the window does not fit.
    Source: `tflite/kernels/internal/reference/integer_ops/pooling.h`, AveragePool; `reference/pooling.h`.
    """
    rows, columns = windows(x, filter_size, stride, padding)
    # accumulate
    total = _along(np.add, x.astype(np.int32), 0, 2, filter_size[1], stride[1], columns)
    total = _along(np.add, total, 0, 1, filter_size[0], stride[0], rows)
    # rescale
    vertical = inside(x.shape[1], filter_size[0], stride[0], rows)
    horizontal = inside(x.shape[2], filter_size[1], stride[1], columns)
    count = (vertical[:, None] * horizontal)[:, :, None].astype(np.int32)
    mean = _divided(total, count if count.min() < count.max() else count.ravel()[:1])
    # clamp
    return _clamped(mean, bounds, x.dtype)


def max_pool2d_integer(
    x: Array, filter_size: Pair, stride: Pair = (1, 1), padding: str = "VALID", bounds: Pair | None = None
) -> Array:
    """output = clamp(largest element of the window). Otherwise as `average_pool2d_integer`.

    Source: `tflite/kernels/internal/reference/integer_ops/pooling.h`, MaxPool; `reference/pooling.h`.
    """
    rows, columns = windows(x, filter_size, stride, padding)
    # accumulate
    lowest = int(np.iinfo(x.dtype).min)
    largest = _along(np.maximum, x, lowest, 2, filter_size[1], stride[1], columns)
    largest = _along(np.maximum, largest, lowest, 1, filter_size[0], stride[0], rows)
    # clamp
    return _clamped(largest, bounds, x.dtype)


def _along(
    combine: np.ufunc, x: Array, start: int, axis: int, size: int, stride: int, geometry: Window
) -> Array:
    """The elements of each window along one axis, combined one tap at a time."""
    result = np.full((*x.shape[:axis], geometry.size, *x.shape[axis + 1 :]), start, x.dtype)
    before = (slice(None),) * axis
    for to, source in taps(x.shape[axis], size, stride, geometry):
        target = result[(*before, to)]
        combine(target, x[(*before, source)], out=target)
    return result


def _divided(total: Array, count: Array) -> Array:
    """total / count in integers, half away from zero."""
    size: Array = (np.abs(total) + count // 2) // count
    return np.where(total < 0, -size, size)


def _clamped(x: Array, bounds: Pair | None, dtype: np.dtype[Any]) -> Array:
    return (x if bounds is None else np.clip(x, *bounds)).astype(dtype, copy=False)


# --- for the registry -----------------------------------------------------------------------------


def average_pool2d_op(call: Call) -> list[Array]:
    """AVERAGE_POOL_2D: inputs (x)."""
    return [average_pool2d_integer(call.array(0), *_geometry(call))]


def max_pool2d_op(call: Call) -> list[Array]:
    """MAX_POOL_2D: inputs (x)."""
    return [max_pool2d_integer(call.array(0), *_geometry(call))]


def _geometry(call: Call) -> tuple[Pair, Pair, str, Pair]:
    size, stride, padding, _ = pool_options(call)
    return size, stride, padding, call.once("bounds", lambda: _checked_bounds(call))


def _checked_bounds(call: Call) -> Pair:
    """The activation's bounds. Neither library rescales: micro refuses different scales, lite copies."""
    x, output = quantized(call, 1, "int8", "uint8", "int16")
    same = abs(float(x.scale - output.scale)) <= 1e-6 and x.zero_point == output.zero_point
    if call.numerics.integer_kernels == "micro" and not same:
        raise QuantizationError(
            f"{call.operator.type}: input of scale {x.scale} and zero point {x.zero_point}, output of "
            f"{output.scale} and {output.zero_point} found, expected the same; insert a QUANTIZE operator"
        )
    return activation_bounds(call)


INTEGER: dict[str, Kernel] = {
    "AVERAGE_POOL_2D": average_pool2d_op,
    "MAX_POOL_2D": max_pool2d_op,
}
