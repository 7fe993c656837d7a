"""GATHER and EMBEDDING_LOOKUP: rows of a table by their numbers, in float and in hybrid arithmetic.

An embedding is a layer without any arithmetic, so its hybrid form is the shortest of all: the table is
stored as int8, and only the rows that are looked up become real numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.shapes.common import resolve_axis
from ptq.shapes.movement import gather_shape

Array = npt.NDArray[Any]


def gather(x: Array, indices: Array, axis: int = 0, batch_dims: int = 0) -> Array:
    """output[b..., o..., i..., r...] = x[b..., o..., indices[b..., i...], r...], of any dtype.

    b: the first `batch_dims` dimensions, which x and the integers `indices` share; o, r: the dimensions of
    x before and after `axis`. A negative batch_dims counts from the last dimension of `indices`.
    Errors: InputError for an index outside of the axis (LiteRT, too, stops there: negative ones do not
    count from the end), ShapeError for dimensions that do not fit.
    Source: `tflite/kernels/internal/reference/gather.h`, Gather.
    """
    shape = gather_shape(x.shape, indices.shape, axis, batch_dims)
    axis = resolve_axis("GATHER", axis, x.ndim)
    shared = batch_dims + indices.ndim if batch_dims < 0 else batch_dims
    _check_indices("GATHER", indices, x.shape[axis])
    batches, before = np.prod(x.shape[:shared], dtype=int), np.prod(x.shape[shared:axis], dtype=int)
    after = np.prod(x.shape[axis + 1 :], dtype=int)
    table = x.reshape(batches, before, x.shape[axis], after)
    chosen = indices.reshape(batches, 1, np.prod(indices.shape[shared:], dtype=int))
    return table[np.arange(batches)[:, None, None], np.arange(before)[:, None], chosen].reshape(shape)


def embedding_lookup_float(indices: Array, table: Array) -> Array:
    """output[i] = table[indices[i]]

    indices: int32 [count]. table: [rows, ...] of any dtype. Errors: InputError for an index that is no row.
    Source: `tflite/kernels/embedding_lookup.cc`, EvalSimple.
    """
    # look up
    return _rows(indices, table)


def embedding_lookup_hybrid(indices: Array, table: Array, scale: Array) -> Array:
    """output[i] = scale[indices[i]] * table[indices[i]], the rows of an int8 table as float32.      (Q23)

    indices: int32 [count]. table: int8 [rows, ...]. scale: float32 [1], or [rows] with a scale for each row.
    Errors: InputError for an index that is no row, ShapeError for another number of scales.
    Source: `tflite/kernels/embedding_lookup.cc`, EvalHybrid.
    """
    if scale.shape not in ((1,), table.shape[:1]):
        raise ShapeError(
            f"EMBEDDING_LOOKUP: {scale.size} scales found, expected 1 or one for each row of {table.shape}"
        )
    # look up
    rows = _rows(indices, table)
    # rescale
    scales = scale if scale.size == 1 else scale[indices]
    return rows.astype(np.float32) * scales.reshape(-1, *[1] * (rows.ndim - 1))


def _rows(indices: Array, table: Array) -> Array:
    if indices.ndim != 1 or table.ndim < 2:
        raise ShapeError(
            f"EMBEDDING_LOOKUP: indices {indices.shape} and table {table.shape} found, expected [count] and "
            "[rows, ...]"
        )
    _check_indices("EMBEDDING_LOOKUP", indices, len(table))
    return table[indices]


def _check_indices(operator: str, indices: Array, count: int) -> None:
    if not np.issubdtype(indices.dtype, np.integer):
        raise UnsupportedError(f"{operator}: indices of dtype {indices.dtype} found, expected integers")
    outside = (indices < 0) | (indices >= count)
    if outside.any():
        raise InputError(f"{operator}: index {indices[outside][0]} found, expected 0 to {count - 1}")


# --- for the registry -----------------------------------------------------------------------------


def gather_op(call: Call) -> list[Array]:
    """GATHER: inputs (x, indices), options axis and batch_dims."""
    return [gather(call.array(0), call.array(1), call.options["axis"], call.options["batch_dims"])]


def embedding_lookup_float_op(call: Call) -> list[Array]:
    """EMBEDDING_LOOKUP: inputs (indices, table)."""
    table, output = call.tensors[1], call.output_tensors[0]
    if table is None or table.type != output.type:
        raise UnsupportedError(
            f"EMBEDDING_LOOKUP: a table of type {table and table.type} and an output of {output.type} found, "
            "expected one type, or an INT8 table and FLOAT32"
        )
    return [embedding_lookup_float(call.array(0), call.array(1))]


def embedding_lookup_hybrid_op(call: Call) -> list[Array]:
    """EMBEDDING_LOOKUP of an int8 table: an INT8 output receives the integers, a FLOAT32 output the reals."""
    if call.output_tensors[0].type != "FLOAT32":
        return embedding_lookup_float_op(call)
    scale, table = call.scale(1), call.tensors[1]
    axis = table.quantization.quantized_dimension if table and table.quantization else 0
    if scale.size > 1 and axis != 0:
        raise UnsupportedError(
            f"EMBEDDING_LOOKUP: scales along dimension {axis} of the table found, expected dimension 0, "
            "as in TensorFlow Lite"
        )
    return [embedding_lookup_hybrid(call.array(0), call.array(1), scale)]


FLOAT: dict[str, Kernel] = {"GATHER": gather_op, "EMBEDDING_LOOKUP": embedding_lookup_float_op}
HYBRID: dict[str, Kernel] = {"EMBEDDING_LOOKUP": embedding_lookup_hybrid_op}
