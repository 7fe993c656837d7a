"""Operators that make a tensor out of its size, or repeat one until it has that size: any dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import DTYPES
from ptq.kernels.call import Call, Kernel
from ptq.kernels.movement import check_same_scale
from ptq.shapes.movement import broadcast_to_shape, filled_shape, range_size, tiled_shape

Array = npt.NDArray[Any]


def shape_vector(x: Array, out_type: str = "INT32") -> Array:
    """SHAPE: the sizes of x's dimensions, as a vector of INT32 or INT64.

    Errors: UnsupportedError for another type. Source: `tflite/kernels/shape.cc`, Prepare.
    """
    if out_type not in ("INT32", "INT64"):
        raise UnsupportedError(f"SHAPE: out_type {out_type} found, expected INT32 or INT64")
    return np.array(x.shape, DTYPES[out_type])


def fill(shape: Sequence[int], value: Array) -> Array:
    """An array of `shape` that holds one value everywhere; `value` is an array with a single element.

    Errors: ShapeError for a negative size or several values.
    Source: `tflite/kernels/internal/reference/fill.h`, Fill.
    """
    if value.size != 1:
        raise ShapeError(f"FILL: a value of shape {value.shape} found, expected one element")
    return np.full(filled_shape(shape), value.ravel()[0], value.dtype)


def zeros_like(x: Array) -> Array:
    """An array of zeros with the shape and dtype of x. Source: `tflite/kernels/zeros_like.cc`, Eval."""
    return np.zeros(x.shape, x.dtype)


def tile(x: Array, multiples: Sequence[int]) -> Array:
    """x repeated `multiples[i]` times along dimension i.

    Errors: ShapeError unless there is a number >= 0 for each dimension.
    Source: `tflite/kernels/tile.cc`, TileOneDimension.
    """
    tiled_shape(x.shape, multiples)
    return np.tile(x, multiples)


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """x with its dimensions of size 1, and those that it lacks in front, repeated until it has `shape`.

    Errors: ShapeError if x does not broadcast to it.
    Source: `tflite/kernels/internal/reference/broadcast_to.h`, BroadcastTo.
    """
    return np.array(np.broadcast_to(x, broadcast_to_shape(x.shape, shape)), order="C")


def range_vector(start: Array, limit: Array, delta: Array) -> Array:
    """RANGE: start, start + delta, start + delta + delta, ... up to `limit`, which is not reached.

    Three scalars of one dtype, int32, int64 or float32. Floats are added one after the other, so that
    their rounding errors add up. Errors: ShapeError if delta is 0 or leads away from the limit.
    Source: `tflite/kernels/range.cc`, CalculateRange.
    """
    if start.dtype not in (np.int32, np.int64, np.float32):
        raise UnsupportedError(f"RANGE: dtype {start.dtype} found, expected int32, int64 or float32")
    terms = np.full(range_size(start, limit, delta), delta.item(), start.dtype)
    terms[:1] = start.item()
    return np.add.accumulate(terms, dtype=terms.dtype)


# --- for the registry -----------------------------------------------------------------------------


def shape_op(call: Call) -> list[Array]:
    """SHAPE: inputs (x), option out_type."""
    return [shape_vector(call.array(0), call.options["out_type"])]


def fill_op(call: Call) -> list[Array]:
    """FILL: inputs (shape, value)."""
    check_same_scale(call, call.tensors[1:])
    return [fill(call.array(0).tolist(), call.array(1))]


def zeros_like_op(call: Call) -> list[Array]:
    """ZEROS_LIKE: inputs (x)."""
    return [zeros_like(call.array(0))]


def tile_op(call: Call) -> list[Array]:
    """TILE: inputs (x, multiples)."""
    return [tile(call.array(0), call.array(1).ravel().tolist())]


def broadcast_to_op(call: Call) -> list[Array]:
    """BROADCAST_TO: inputs (x, shape)."""
    return [broadcast_to(call.array(0), call.array(1).tolist())]


def range_op(call: Call) -> list[Array]:
    """RANGE: inputs (start, limit, delta)."""
    return [range_vector(call.array(0), call.array(1), call.array(2))]


FLOAT: dict[str, Kernel] = {
    "SHAPE": shape_op,
    "FILL": fill_op,
    "ZEROS_LIKE": zeros_like_op,
    "TILE": tile_op,
    "BROADCAST_TO": broadcast_to_op,
    "RANGE": range_op,
}
