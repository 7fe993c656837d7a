"""Arithmetic on two arrays of real numbers or plain integers, broadcast as in NumPy: ADD, MAXIMUM, PRELU, ...

Integers here stand for themselves: they have no scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.kernels.activation import BOUNDS, clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.operands import check_broadcast, check_same_dtype, typed

Array = npt.NDArray[Any]


def add_float(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a + b). float32, shapes that broadcast; ShapeError if they do not.      (Q19)

    An infinite sum becomes FLT_MAX even for NONE. Source: `reference/add.h`, Add and BroadcastAdd6DSlow.
    """
    return _float(np.add, a, b, activation)


def sub_float(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a - b). Otherwise as `add_float`.

    Source: `reference/sub.h`, SubNonBroadcast and BroadcastSubSlow.
    """
    return _float(np.subtract, a, b, activation)


def mul_float(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a * b). Otherwise as `add_float`.

    Source: `reference/mul.h`, Mul and BroadcastMul6DSlow.
    """
    return _float(np.multiply, a, b, activation)


def div_float(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a / b). Otherwise as `add_float`: 1 / 0 becomes FLT_MAX, 0 / 0 is NaN.

    Source: `reference/div.h`, Div and BroadcastDivSlow.
    """
    return _float(np.divide, a, b, activation)


def add_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a + b) on int16, int32 or int64; a sum that overflows wraps.

    Source: `reference/add.h`, Add (where the overflow is left to the compiler).
    """
    return _int(np.add, a, b, activation)


def sub_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a - b). Otherwise as `add_int`. Source: `reference/sub.h`, SubNonBroadcast."""
    return _int(np.subtract, a, b, activation)


def mul_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a * b). Otherwise as `add_int`. Source: `reference/mul.h`, Mul (WrappingMul)."""
    return _int(np.multiply, a, b, activation)


def div_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a / b), rounded toward zero. int32; -2^31 / -1 becomes 2^31 - 1.

    (C leaves that quotient undefined; the wheels for x86-64 give this one.) Errors: InputError where b
    holds a zero, even if a is empty. Source: `tflite/kernels/div.cc`, CheckNonZero; `reference/div.h`, Div.
    """
    if not b.all():
        raise InputError("DIV: a zero found among the integer divisors, expected none; mask it out before")
    return _int(_quotient, a, b, activation)


def maximum(a: Array, b: Array) -> Array:
    """output = a if a > b else b: the second operand where both are equal or one is NaN.

    Any real dtype, shapes that broadcast. Source: `tflite/kernels/maximum_minimum.cc`, MaximumOp.
    """
    _check(a, b)
    return np.where(a > b, a, b)


def minimum(a: Array, b: Array) -> Array:
    """output = a if a < b else b. Otherwise as `maximum`; same file, MinimumOp."""
    _check(a, b)
    return np.where(a < b, a, b)


def squared_difference(a: Array, b: Array) -> Array:
    """output = (a - b)^2, without bounds: infinity stays. float32, or int32 that wraps.

    Source: `tflite/kernels/squared_difference.cc`, SquaredDifference.
    """
    _check(a, b)
    with np.errstate(all="ignore"):
        difference = a - b
        return np.asarray(difference * difference)


def prelu_float(x: Array, alpha: Array) -> Array:
    """output = x if x >= 0 else alpha * x, with the slopes broadcast to the shape of x. float32.

    Errors: ShapeError if the slopes have more elements along a dimension than x.
    Source: `tflite/kernels/activations.cc`, ApplyPrelu and PreluPrepare.
    """
    _check(x, alpha)
    with np.errstate(all="ignore"):
        result = np.where(x >= 0, x, x * alpha)
    if result.shape != x.shape:
        raise ShapeError(
            f"PRELU: slopes of shape {alpha.shape} found, expected them to broadcast to {x.shape}"
        )
    return result


def _float(combine: Callable[[Array, Array], Array], a: Array, b: Array, activation: str) -> Array:
    _check(a, b)
    with np.errstate(all="ignore"):
        result = np.asarray(combine(a, b))
    # clamp
    return clamp_float(result, activation, out=result)


def _int(combine: Callable[[Array, Array], Array], a: Array, b: Array, activation: str) -> Array:
    _check(a, b)
    if activation not in BOUNDS:
        raise UnsupportedError(f"fused activation {activation} found, expected one of {', '.join(BOUNDS)}")
    lower, upper = BOUNDS[activation]
    with np.errstate(over="ignore"):
        result = np.asarray(combine(a, b))
    # clamp
    if lower is not None:
        np.maximum(result, result.dtype.type(lower), out=result)
    if upper is not None:
        np.minimum(result, result.dtype.type(upper), out=result)
    return result


def _quotient(a: Array, b: Array) -> Array:
    size = np.abs(a.astype(np.int64)) // np.abs(b.astype(np.int64))
    signed = np.where((a < 0) == (b < 0), size, -size)
    quotient: Array = np.minimum(signed, np.iinfo(a.dtype).max).astype(a.dtype)
    return quotient


def _check(a: Array, b: Array) -> None:
    check_same_dtype(a, b)
    check_broadcast(a, b)


# --- for the registry -----------------------------------------------------------------------------

ORDERED = ("float32", "float16", "int8", "uint8", "int16", "int32", "int64")
"""The dtypes that MAXIMUM and MINIMUM compare."""


def _fused(
    on_float: Callable[[Array, Array, str], Array], on_int: Callable[[Array, Array, str], Array], *names: str
) -> Kernel:
    def kernel(call: Call) -> list[Array]:
        a = typed(call, 0, "float32", *names)
        chosen = on_float if a.dtype == np.float32 else on_int
        return [chosen(a, call.array(1), call.options["fused_activation_function"])]

    return kernel


def _plain(function: Callable[[Array, Array], Array], *names: str) -> Kernel:
    return lambda call: [function(typed(call, 0, *names), call.array(1))]


FLOAT: dict[str, Kernel] = {
    "ADD": _fused(add_float, add_int, "int16", "int32", "int64"),
    "SUB": _fused(sub_float, sub_int, "int32", "int64"),
    "MUL": _fused(mul_float, mul_int, "int16", "int32", "int64"),
    "DIV": _fused(div_float, div_int, "int32"),
    "MAXIMUM": _plain(maximum, *ORDERED),
    "MINIMUM": _plain(minimum, *ORDERED),
    "SQUARED_DIFFERENCE": _plain(squared_difference, "float32", "int32"),
    "PRELU": _plain(prelu_float, "float32"),
}
