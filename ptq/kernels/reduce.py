"""Reductions over axes: SUM, MEAN, REDUCE_MAX, ..., ARG_MAX, with the reference's order and start.

All walk through memory once and combine each element with the result so far. Over some of the axes that
starts at a neutral element, over all of them at the first element: the difference shows in -0, NaN and
-infinity. Integers stand for themselves (they have no scale) and wrap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.operands import typed
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.shapes.common import resolve_axes

Array = npt.NDArray[Any]
Axes = int | Sequence[int]
F = np.float32

LANES = 4
"""How many floats the vector code behind ARG_MAX compares at once."""


def sum_over(x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE) -> Array:
    """output = the sum over the axes, in the order of memory, in the dtype of x.

    x: float32, int32, int64, or bool (then "or"), any shape; axes may count from the end. Starts at 0, over
    all axes at the first element (but in micro): then the sum of -0 alone is -0. The sum of nothing is 0.
    Errors: ShapeError for an axis that x does not have.
    Source: `tflite/kernels/reduce.cc`, EvalType and ReduceAllDims; `reference/reduce.h`, ReduceGeneric.
    """
    plan = _plan(x, axes, keep_dims, numerics)
    return _in_order(np.add, plan.terms, None if plan.starts_at_first else 0).reshape(plan.shape)


def product_over(
    x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = the product over the axes; 1 of nothing; "and" of bool. Otherwise as `sum_over`.

    Small integers (int8, uint8, int16) are multiplied, too, and wrap at their own width.
    """
    plan = _plan(x, axes, keep_dims, numerics)
    return _in_order(np.multiply, plan.terms, 1).reshape(plan.shape)


def mean_over(x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE) -> Array:
    """output = sum over the axes / number of elements summed.                                     (Q18)

    x: float32, int32 or int64, any shape; axes may count from the end. The sum starts at 0 and runs in the
    order of memory: in float32, or in int64, whose quotient is rounded toward zero. The mean of no elements
    is NaN, or 0. Errors: ShapeError for an axis that x does not have.
    Source: `tflite/kernels/internal/reference/reduce.h`, Mean.
    """
    plan = _plan(x, axes, keep_dims, numerics)
    count = len(plan.terms)
    if not x.size:
        return np.full(plan.shape, np.nan if x.dtype == F else 0, x.dtype)
    if x.dtype == F:
        # accumulate
        total = _in_order(np.add, plan.terms, 0)
        # rescale
        return (total / F(count)).reshape(plan.shape)
    # accumulate
    total = _in_order(np.add, plan.terms.astype(np.int64), 0)
    # rescale
    quotient = total // count
    quotient += (quotient < 0) & (quotient * count != total)
    return quotient.astype(x.dtype).reshape(plan.shape)


def maximum_over(
    x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = the largest element over the axes; of equal ones the first.

    x: float32, any integers or bool, any shape; axes may count from the end. Over some axes NaN is ignored
    and the result is at least -FLT_MAX (the smallest integer, false), as it is for no elements. Over all axes
    (but in micro) -infinity stays, and a NaN that comes first.
    Errors: ShapeError for an axis that x does not have.
    Source: `tflite/kernels/reduce.cc`, EvalType and ReduceAllDims; `reference/reduce.h`, ReduceGeneric.
    """
    plan = _plan(x, axes, keep_dims, numerics)
    terms = plan.terms
    if x.dtype != F:
        return _in_order(np.maximum, terms, _smallest(x.dtype)).reshape(plan.shape)
    if not plan.starts_at_first:
        terms = _after(np.finfo(F).min, terms)
    index = _first_largest(terms)
    if plan.starts_at_first and np.isnan(terms[0, 0]):
        index[:] = 0
    return np.take_along_axis(terms, index[None], axis=0).reshape(plan.shape)


def minimum_over(
    x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = the smallest element over the axes, and at most FLT_MAX. Otherwise as `maximum_over`."""
    if x.dtype == F:
        return -maximum_over(-x, axes, keep_dims, numerics)
    plan = _plan(x, axes, keep_dims, numerics)
    largest = True if x.dtype == np.bool_ else np.iinfo(x.dtype).max
    return _in_order(np.minimum, plan.terms, largest).reshape(plan.shape)


def any_over(x: Array, axes: Axes, keep_dims: bool = False, numerics: Numerics = LITERT_REFERENCE) -> Array:
    """output = whether any element over the axes is true. bool. Otherwise as `sum_over`."""
    return sum_over(x, axes, keep_dims, numerics)


def arg_max(
    x: Array, axis: int = -1, dtype: npt.DTypeLike = np.int32, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = the position of the first largest element along the axis.

    x: float32, int8, uint8, int32 or bool, at least one dimension; the result lacks that axis. NaN is passed
    over, unless there is nothing else: then 0. But floats along the last axis (one that has only axes of size
    1 after it) vector code searches in four lanes, lane k being the elements k, k + 4, k + 8, ..., and then
    compares the winners of lanes 0 and 1, of 2 and 3, and of those. There a first operand of NaN stays: a
    lane of NaN alone can hide others, and lane 0 hides all. In micro, NaN at the very start hides all.
    Errors: ShapeError for an axis that x does not have or that is empty.
    Source: `optimized/optimized_ops.h`, ArgMinMax and ArgMaxVector; `reference/arg_min_max.h`.
    """
    resolved = resolve_axes([axis], x.ndim)
    if resolved is None or not x.shape[resolved[0]]:
        raise ShapeError(f"axis {axis} of an array of shape {x.shape} found, expected one with elements")
    outer, size = x.shape[: resolved[0]], x.shape[resolved[0]]
    inner = x.shape[resolved[0] + 1 :]
    rows = np.moveaxis(x, resolved[0], 0).reshape(size, -1)
    if x.dtype != F or not np.isnan(rows).any():
        index: Array = rows.argmax(axis=0)
    elif np.prod(inner, dtype=np.int64) == 1 and size >= LANES and numerics.dynamic_range == "simd":
        index = _first_largest_of_lanes(rows)
    elif numerics.integer_kernels == "micro":
        index = np.where(np.isnan(rows[0]), 0, _first_largest(rows))
    else:
        index = _first_largest(rows)
    return index.astype(dtype).reshape(outer + inner)


def arg_min(
    x: Array, axis: int = -1, dtype: npt.DTypeLike = np.int32, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = the position of the first smallest element along the axis. Otherwise as `arg_max`."""
    return arg_max(~x if x.dtype.kind in "iub" else -x, axis, dtype, numerics)


class _Plan(NamedTuple):
    """The elements to combine, [terms of an output, outputs]; the output's shape; where to start."""

    terms: Array
    shape: tuple[int, ...]
    starts_at_first: bool


def _plan(x: Array, axes: Axes, keep_dims: bool, numerics: Numerics) -> _Plan:
    wanted = [axes] if isinstance(axes, int) else list(axes)
    reduced = resolve_axes(wanted, x.ndim) if x.ndim else ()
    if reduced is None:
        raise ShapeError(f"axes {wanted} found, expected axes of an array of shape {x.shape}")
    kept = [axis for axis in range(x.ndim) if axis not in reduced]
    count = int(np.prod([x.shape[axis] for axis in reduced], dtype=np.int64))
    shape = tuple(x.shape[axis] for axis in kept)
    terms = np.transpose(x, (*reduced, *kept)).reshape(count, int(np.prod(shape, dtype=np.int64)))
    if keep_dims:
        shape = tuple(1 if axis in reduced else size for axis, size in enumerate(x.shape))
    return _Plan(terms, shape, not kept and count > 0 and numerics.integer_kernels != "micro")


def _in_order(combine: np.ufunc, terms: Array, start: Any) -> Array:
    """start (+) terms[0] (+) terms[1] ..., rounded each time, for all columns; None: from the first term on.

    (np.add.reduce along an axis that is contiguous in memory adds in pairs, with another rounding.)
    """
    terms = np.ascontiguousarray(terms) if start is None else _after(start, terms)
    with np.errstate(all="ignore"):
        if terms.shape[1] == 1:
            result: Array = combine.accumulate(terms, axis=0, dtype=terms.dtype)[-1]
            return result
        result = combine.reduce(terms, axis=0, dtype=terms.dtype)
        return result


def _after(start: Any, terms: Array) -> Array:
    rows = np.empty((len(terms) + 1, terms.shape[1]), terms.dtype)  # contiguous, whatever `terms` is
    rows[0], rows[1:] = start, terms
    return rows


def _smallest(dtype: np.dtype[Any]) -> int:
    return 0 if dtype == np.bool_ else int(np.iinfo(dtype).min)


def _first_largest(rows: Array) -> Array:
    """Along the first axis, the index of the first largest float that is not NaN; 0 if all are."""
    missing = np.isnan(rows)
    filled = np.where(missing, -np.inf, rows)
    index = filled.argmax(axis=0)
    nothing_larger = np.take_along_axis(filled, index[None], axis=0)[0] == -np.inf
    first: Array = np.where(nothing_larger, (~missing).argmax(axis=0), index)
    return first


def _first_largest_of_lanes(rows: Array) -> Array:
    """The same as the vector code finds it: four lanes, their winners in pairs, then what is left over."""
    whole = len(rows) // LANES * LANES
    lanes = rows[:whole].reshape(-1, LANES, rows.shape[1])
    turn = _first_largest(lanes)
    largest = np.take_along_axis(lanes, turn[None], axis=0)[0]
    winner = _later_if_larger(_later_if_larger(*largest[:2]), _later_if_larger(*largest[2:]))
    position = np.where(largest == winner, turn * LANES + np.arange(LANES)[:, None], whole).min(axis=0)
    # what is left over: here NaN gives way to anything
    last = _first_largest(np.concatenate([winner[None], rows[whole:]]))
    position = np.where(last == 0, position, whole + last - 1)
    return np.where(np.isnan(winner) & (last == 0), 0, position)


def _later_if_larger(a: Array, b: Array) -> Array:
    """b if a < b, else a: a NaN in a stays."""
    return np.where(a < b, b, a)


# --- for the registry -----------------------------------------------------------------------------

WHOLE = ("float32", "int32", "int64")
SMALL = ("int8", "uint8", "int16")


def _over_axes(function: Callable[[Array, Axes, bool, Numerics], Array], *names: str) -> Kernel:
    def kernel(call: Call) -> list[Array]:
        axes = call.array(1)
        if not np.issubdtype(axes.dtype, np.integer):
            raise UnsupportedError(f"{call.operator.type}: axes of dtype {axes.dtype} found, expected int32")
        x, keep_dims = typed(call, 0, *names), call.options["keep_dims"]
        return [function(x, axes.ravel().tolist(), keep_dims, call.numerics)]

    return kernel


def _position(function: Callable[[Array, int, npt.DTypeLike, Numerics], Array]) -> Kernel:
    def kernel(call: Call) -> list[Array]:
        x = typed(call, 0, "float32", "int8", "uint8", "int32", "bool")
        axis, wanted = typed(call, 1, "int32", "int64"), call.options["output_type"]
        if axis.size != 1:
            raise ShapeError(f"{call.operator.type}: {axis.size} axes found, expected a single one")
        if wanted not in ("INT32", "INT64"):
            raise UnsupportedError(
                f"{call.operator.type}: output_type {wanted} found, expected INT32 or INT64"
            )
        return [function(x, int(axis.item()), np.int32 if wanted == "INT32" else np.int64, call.numerics)]

    return kernel


FLOAT: dict[str, Kernel] = {
    "SUM": _over_axes(sum_over, *WHOLE, "bool"),
    "MEAN": _over_axes(mean_over, *WHOLE),
    "REDUCE_PROD": _over_axes(product_over, *WHOLE, *SMALL, "bool"),
    "REDUCE_MAX": _over_axes(maximum_over, *WHOLE, *SMALL, "bool"),
    "REDUCE_MIN": _over_axes(minimum_over, *WHOLE, *SMALL, "bool"),
    "REDUCE_ANY": _over_axes(any_over, "bool"),
    "ARG_MAX": _position(arg_max),
    "ARG_MIN": _position(arg_min),
}
