"""Operators that take a tensor apart: any dtype, no rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.movement import check_same_scale
from ptq.shapes.common import resolve_axis
from ptq.shapes.slicing import Index, even_sizes, slice_index, split_sizes, strided_index

Array = npt.NDArray[Any]


def split(x: Array, count: int, axis: int) -> list[Array]:
    """x cut into `count` equal parts along `axis`.

    Errors: ShapeError if the size is no multiple of `count`. Source: `tflite/kernels/split.cc`, Eval.
    """
    axis = resolve_axis("SPLIT", axis, x.ndim)
    return _parts(x, even_sizes(x.shape[axis], count), axis)


def split_v(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    """x cut into parts of the given sizes along `axis`; one size may be -1, for what is left.

    Errors: ShapeError if the sizes do not add up. Source: `tflite/kernels/split_v.cc`, Eval.
    """
    axis = resolve_axis("SPLIT_V", axis, x.ndim)
    return _parts(x, split_sizes(x.shape[axis], sizes), axis)


def unpack(x: Array, axis: int) -> list[Array]:
    """The slices x[..., i, ...] for each i along `axis`, without that dimension.

    Errors: ShapeError if there is no such axis.
    Source: `tflite/kernels/internal/reference/reference_ops.h`, Unpack.
    """
    rows = np.moveaxis(x, resolve_axis("UNPACK", axis, x.ndim), 0)
    return [np.array(row, order="C") for row in rows]


def slice_array(x: Array, begin: Sequence[int], size: Sequence[int]) -> Array:
    """SLICE: `size[i]` elements of dimension i from `begin[i]` on; a size of -1 takes what is left.

    Errors: ShapeError for a part that does not lie in x.
    Source: `tflite/kernels/internal/reference/slice.h`, Slice.
    """
    return _chosen(x, slice_index(x.shape, begin, size))


def strided_slice(
    x: Array, begin: Sequence[int], end: Sequence[int], strides: Sequence[int], **masks: Any
) -> Array:
    """x[begin:end:stride, ...] as in Python, whose `:`, `...`, None and single index are bits of the masks.

    masks: begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask and offset, see
    `ptq.shapes.slicing.strided_index`.
    Errors: ShapeError, UnsupportedError. Source: `tflite/kernels/strided_slice.cc`, EvalImpl.
    """
    return _chosen(x, strided_index(x.shape, begin, end, strides, **masks))


def _parts(x: Array, sizes: Sequence[int], axis: int) -> list[Array]:
    ends = np.cumsum(sizes)
    return [np.array(part, order="C") for part in np.split(x, ends[:-1], axis)]


def _chosen(x: Array, index: Index) -> Array:
    """A copy in the order of memory, so that no output shares its elements with another tensor."""
    return np.array(x[index], order="C")


# --- for the registry -----------------------------------------------------------------------------


def split_op(call: Call) -> list[Array]:
    """SPLIT: inputs (axis, x), option num_splits."""
    return split(call.array(1), call.options["num_splits"], call.array(0).item())


def split_v_op(call: Call) -> list[Array]:
    """SPLIT_V: inputs (x, sizes, axis)."""
    return split_v(call.array(0), call.array(1).ravel().tolist(), call.array(2).item())


def unpack_op(call: Call) -> list[Array]:
    """UNPACK: inputs (x), options num and axis."""
    check_same_scale(call, [call.tensors[0], *call.output_tensors])
    x, count = call.array(0), call.options["num"]
    axis = resolve_axis("UNPACK", call.options["axis"], x.ndim)
    if x.shape[axis] != count or not x.size:
        raise ShapeError(f"UNPACK: shape {x.shape} found, expected {count} slices along axis {axis}")
    return unpack(x, axis)


def slice_op(call: Call) -> list[Array]:
    """SLICE: inputs (x, begin, size)."""
    return [slice_array(call.array(0), call.array(1).ravel().tolist(), call.array(2).ravel().tolist())]


def strided_slice_op(call: Call) -> list[Array]:
    """STRIDED_SLICE: inputs (x, begin, end, strides), five masks and offset as options."""
    begin, end, strides = (call.array(i).ravel().tolist() for i in (1, 2, 3))
    return [strided_slice(call.array(0), begin, end, strides, **call.options)]


FLOAT: dict[str, Kernel] = {
    "SPLIT": split_op,
    "SPLIT_V": split_v_op,
    "UNPACK": unpack_op,
    "SLICE": slice_op,
    "STRIDED_SLICE": strided_slice_op,
}
