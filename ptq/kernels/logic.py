"""Truth values: comparisons that make them, LOGICAL_AND, OR and NOT, and SELECT, which chooses by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.operands import check_broadcast, check_same_dtype, typed

Array = npt.NDArray[Any]


def equal(a: Array, b: Array) -> Array:
    """output = (a == b); NaN equals nothing, -0 equals 0. bool, shapes that broadcast.

    Source: `tflite/kernels/comparisons.cc`, EqualEval.
    """
    return _compare(np.equal, a, b)


def not_equal(a: Array, b: Array) -> Array:
    """output = (a != b). Otherwise as `equal`. Source: `comparisons.cc`, NotEqualEval."""
    return _compare(np.not_equal, a, b)


def less(a: Array, b: Array) -> Array:
    """output = (a < b), false for NaN. Otherwise as `equal`. Source: `comparisons.cc`, LessEval."""
    return _compare(np.less, a, b)


def less_equal(a: Array, b: Array) -> Array:
    """output = (a <= b), false for NaN. Otherwise as `equal`. Source: `comparisons.cc`, LessEqualEval."""
    return _compare(np.less_equal, a, b)


def greater(a: Array, b: Array) -> Array:
    """output = (a > b), false for NaN. Otherwise as `equal`. Source: `comparisons.cc`, GreaterEval."""
    return _compare(np.greater, a, b)


def greater_equal(a: Array, b: Array) -> Array:
    """output = (a >= b), false for NaN. Otherwise as `equal`. Source: `comparisons.cc`, GreaterEqualEval."""
    return _compare(np.greater_equal, a, b)


def logical_and(a: Array, b: Array) -> Array:
    """output = a and b. bool, shapes that broadcast. Source: `tflite/kernels/logical.cc`, LogicalAnd."""
    return _compare(np.logical_and, a, b)


def logical_or(a: Array, b: Array) -> Array:
    """output = a or b. bool, shapes that broadcast. Source: `tflite/kernels/logical.cc`, LogicalOr."""
    return _compare(np.logical_or, a, b)


def logical_not(x: Array) -> Array:
    """output = not x. bool. Source: `tflite/kernels/elementwise.cc`, LogicalNotEval."""
    return np.asarray(np.logical_not(x))


def select(condition: Array, x: Array, y: Array) -> Array:
    """output = x where the condition holds, else y; a condition with one dimension chooses whole rows.

    x, y: the same shape and dtype, whatever it is. condition: bool, of their shape, a scalar, or one value
    for each entry of their first dimension. Errors: ShapeError for other shapes; UnsupportedError for other
    types. Source: `tflite/kernels/select.cc`, SelectPrepare<kVersionOne> and RankOneSelect.
    """
    _check_selection(condition, x, y)
    if condition.size == x.size == y.size == 1:  # they may even have different dimensions
        return np.where(condition.reshape(x.shape), x, y.reshape(x.shape))
    if x.shape != y.shape:
        raise ShapeError(f"SELECT: values of shapes {x.shape} and {y.shape} found, expected the same shape")
    if condition.shape not in (x.shape, x.shape[:1], ()):
        raise ShapeError(
            f"SELECT: condition of shape {condition.shape} found, "
            f"expected {x.shape}, {x.shape[:1]} or a scalar"
        )
    rows = condition.shape + (1,) * (x.ndim - condition.ndim)
    return np.where(condition.reshape(rows), x, y)


def select_v2(condition: Array, x: Array, y: Array) -> Array:
    """output = x where the condition holds, else y. All three broadcast, otherwise as `select`.

    Source: `tflite/kernels/select.cc`, SelectPrepare<kVersionTwo>; `reference/select.h`.
    """
    _check_selection(condition, x, y)
    check_broadcast(condition, x, y)
    return np.where(condition, x, y)


def _compare(relation: np.ufunc, a: Array, b: Array) -> Array:
    check_same_dtype(a, b)
    check_broadcast(a, b)
    return np.asarray(relation(a, b))


def _check_selection(condition: Array, x: Array, y: Array) -> None:
    check_same_dtype(x, y)
    if condition.dtype != np.bool_:
        raise UnsupportedError(f"SELECT: condition of {condition.dtype} found, expected bool")


# --- for the registry -----------------------------------------------------------------------------

ORDERED = ("float32", "float16", "int16", "int32", "int64")


def not_equal_op(call: Call) -> list[Array]:
    """NOT_EQUAL: inputs (a, b)."""
    if call.array(0).dtype == np.int16:
        raise UnsupportedError(defects.NOT_EQUAL_INT16.message("int16"))
    return [not_equal(typed(call, 0, *ORDERED, "bool"), call.array(1))]


def _binary(function: Callable[[Array, Array], Array], *names: str) -> Kernel:
    return lambda call: [function(typed(call, 0, *names), call.array(1))]


FLOAT: dict[str, Kernel] = {
    "EQUAL": _binary(equal, *ORDERED, "bool"),
    "NOT_EQUAL": not_equal_op,
    "LESS": _binary(less, *ORDERED),
    "LESS_EQUAL": _binary(less_equal, *ORDERED),
    "GREATER": _binary(greater, *ORDERED),
    "GREATER_EQUAL": _binary(greater_equal, *ORDERED),
    "LOGICAL_AND": _binary(logical_and, "bool"),
    "LOGICAL_OR": _binary(logical_or, "bool"),
    "LOGICAL_NOT": lambda call: [logical_not(typed(call, 0, "bool"))],
}

MOVES: dict[str, Kernel] = {
    "SELECT": lambda call: [select(call.array(0), call.array(1), call.array(2))],
    "SELECT_V2": lambda call: [select_v2(call.array(0), call.array(1), call.array(2))],
}
"""Those that move values of any type."""
