"""ADD, SUB and MUL of two arrays of real numbers or plain integers, broadcast as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.activation import BOUNDS, clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.shapes.common import broadcast_shapes

Array = npt.NDArray[Any]

MAXIMUM_RANK = 6
"""How many dimensions TensorFlow Lite can broadcast over."""


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


def add_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a + b) on int32 or int64 that stand for themselves; a sum that overflows wraps.

    Source: `reference/add.h`, Add (where the overflow is left to the compiler).
    """
    return _int(np.add, a, b, activation)


def sub_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a - b). Otherwise as `add_int`. Source: `reference/sub.h`, SubNonBroadcast."""
    return _int(np.subtract, a, b, activation)


def mul_int(a: Array, b: Array, activation: str = "NONE") -> Array:
    """output = activation(a * b). Otherwise as `add_int`. Source: `reference/mul.h`, Mul (WrappingMul)."""
    return _int(np.multiply, a, b, activation)


def _float(combine: Callable[[Array, Array], Array], a: Array, b: Array, activation: str) -> Array:
    _check(a, b)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
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


def _check(a: Array, b: Array) -> None:
    if a.dtype != b.dtype:
        raise UnsupportedError(f"operands of {a.dtype} and {b.dtype} found, expected the same dtype")
    if broadcast_shapes(a.shape, b.shape) is None:
        raise ShapeError(f"shapes {a.shape} and {b.shape} found, expected shapes that broadcast")
    if a.shape != b.shape and max(a.ndim, b.ndim) > MAXIMUM_RANK:
        raise ShapeError(
            f"shapes {a.shape} and {b.shape} found, expected at most {MAXIMUM_RANK} dimensions to broadcast"
        )


# --- for the registry -----------------------------------------------------------------------------

Binary = Callable[[Array, Array, str], Array]


def _operator(on_float: Binary, on_int: Binary) -> Kernel:
    def kernel(call: Call) -> list[Array]:
        a, b = call.array(0), call.array(1)
        if a.dtype not in (np.float32, np.int32, np.int64):
            raise UnsupportedError(
                f"{call.operator.type}: dtype {a.dtype} found, expected float32, int32 or int64"
            )
        chosen = on_float if a.dtype == np.float32 else on_int
        return [chosen(a, b, call.options["fused_activation_function"])]

    return kernel


FLOAT: dict[str, Kernel] = {
    "ADD": _operator(add_float, add_int),
    "SUB": _operator(sub_float, sub_int),
    "MUL": _operator(mul_float, mul_int),
}
