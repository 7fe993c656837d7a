"""Functions of one quantized array, element by element: ABS and RSQRT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.fixed_point_math import get_inv_sqrt_quantized_multiplier_exp
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.operands import check_symmetric, clamped, factor, one_operand, quantized
from ptq.kernels.integer.parameters import Rescale

Array = npt.NDArray[Any]

ROOT_SHIFT = 20
"""1 / sqrt(x) of an integer x lies below 1: it is held in steps of 2^-20."""


def abs_integer(x: Array, zero_point: int, rescale: Rescale, output_zero_point: int) -> Array:
    """output = clamp(rescale(|x - zero_point|) + output_zero_point), by input_scale / output_scale.

    x: int8 or int16, any shape. Source: `tflite/kernels/elementwise.cc`, AbsEvalQuantized.
    """
    # subtract zero points
    centered = x.astype(np.int64) - zero_point
    # rescale
    return clamped(rescale(np.abs(centered)), output_zero_point, None, x.dtype)


def rsqrt_integer(x: Array, zero_point: int, rescale: Rescale, output_zero_point: int) -> Array:
    """output = clamp(rescale(1 / sqrt(x - zero_point)) + output_zero_point); the largest integer for 0.

    x: int8, any shape. rescale: by 1 / (sqrt(input_scale) * output_scale). Errors: InputError where x is
    below its zero point. Source: `tflite/kernels/elementwise.cc`, RsqrtEvalQuantizedInt8.
    """
    _check_not_negative(x, zero_point)
    return _rsqrt(x, zero_point, rescale, output_zero_point)


def _rsqrt(x: Array, zero_point: int, rescale: Rescale, output_zero_point: int) -> Array:
    # subtract zero points
    centered = x.astype(np.int64) - zero_point
    # rescale
    inverse, shift = get_inv_sqrt_quantized_multiplier_exp(np.maximum(centered, 1))
    root = Rescale(inverse, shift + ROOT_SHIFT, rescale.numerics)(1)
    scaled = replace(rescale, output_shift=rescale.output_shift - ROOT_SHIFT)(root)
    result = clamped(scaled, output_zero_point, None, x.dtype)
    result[centered == 0] = np.iinfo(x.dtype).max
    return result


def _check_not_negative(x: Array, zero_point: int) -> None:
    if np.any(x < zero_point):
        raise InputError(
            f"RSQRT: {x.min()} found, below the zero point {zero_point}; expected numbers that are not "
            "negative"
        )


# --- for the registry -----------------------------------------------------------------------------


def abs_op(call: Call) -> list[Array]:
    """ABS: inputs (x)."""

    def rule() -> Callable[[Array], Array]:
        x, output = operands = quantized(call, 1, "int8", "int16")
        check_symmetric(call, operands)
        rescale = Rescale.by(factor(call.numerics, [x.scale], [output.scale]), call.numerics)
        return partial(
            abs_integer, zero_point=x.zero_point, rescale=rescale, output_zero_point=output.zero_point
        )

    return [one_operand(call, call.once("rule", rule))]


def rsqrt_op(call: Call) -> list[Array]:
    """RSQRT: inputs (x)."""
    x, output = quantized(call, 1, "int8")
    _check_not_negative(call.array(0), x.zero_point)

    def rule() -> Callable[[Array], Array]:
        real = 1 / float(np.float32(np.sqrt(x.scale) * output.scale))
        rescale = Rescale.by(real, call.numerics)
        return partial(_rsqrt, zero_point=x.zero_point, rescale=rescale, output_zero_point=output.zero_point)

    return [one_operand(call, call.once("rule", rule))]


INTEGER: dict[str, Kernel] = {
    "ABS": abs_op,
    "RSQRT": rsqrt_op,
}
