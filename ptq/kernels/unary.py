"""Functions of one array, element by element: EXP, LOG, SQRT, RSQRT, SQUARE, NEG, ABS and FLOOR.

They have no bounds: an infinite result stays infinite. The first five work on float32 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.kernels.call import Kernel
from ptq.kernels.libm import expf, logf
from ptq.kernels.operands import typed

Array = npt.NDArray[Any]
F = np.float32


def exp_float(x: Array) -> Array:
    """output = e^x, as the C library rounds it. Source: `tflite/kernels/internal/reference/exp.h`, Exp."""
    return expf(x)


def log_float(x: Array) -> Array:
    """output = ln x, as the C library rounds it; -infinity for zeros, NaN below.

    Source: `tflite/kernels/elementwise.cc`, LogEval.
    """
    return logf(x)


def sqrt_float(x: Array) -> Array:
    """output = the square root, rounded correctly; -0 for -0, NaN below.

    Source: `tflite/kernels/elementwise.cc`, SqrtEval.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(x))


def rsqrt_float(x: Array) -> Array:
    """output = 1 / sqrt(x), rounded twice; an infinity of its sign for a zero, NaN below.

    Source: `tflite/kernels/elementwise.cc`, RsqrtEval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(F(1) / np.sqrt(x))


def square_float(x: Array) -> Array:
    """output = x * x. Source: `tflite/kernels/elementwise.cc`, SquareEval."""
    with np.errstate(all="ignore"):
        return np.asarray(x * x)


def negate(x: Array) -> Array:
    """output = -x. float32, float16 or signed integers, of which the smallest stays as it is.

    Source: `tflite/kernels/neg.cc`, Eval.
    """
    return np.asarray(np.negative(x))


def absolute(x: Array) -> Array:
    """output = |x|. float32, int16 or int32; the smallest integer stays as it is, negative.

    Source: `tflite/kernels/elementwise.cc`, AbsEval.
    """
    return np.asarray(np.abs(x))


def floor(x: Array) -> Array:
    """output = the largest whole number <= x; -0 stays. float32 or float16.

    Source: `tflite/kernels/internal/reference/floor.h`, Floor.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.floor(x))


# --- for the registry -----------------------------------------------------------------------------


def _operator(function: Callable[[Array], Array], *names: str) -> Kernel:
    return lambda call: [function(typed(call, 0, *names))]


FLOAT: dict[str, Kernel] = {
    "EXP": _operator(exp_float, "float32"),
    "LOG": _operator(log_float, "float32"),
    "SQRT": _operator(sqrt_float, "float32"),
    "RSQRT": _operator(rsqrt_float, "float32"),
    "SQUARE": _operator(square_float, "float32"),
    "NEG": _operator(negate, "float32", "float16", "int8", "int16", "int32", "int64"),
    "ABS": _operator(absolute, "float32", "int16", "int32"),
    "FLOOR": _operator(floor, "float32", "float16"),
}
