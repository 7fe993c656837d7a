"""SOFTMAX and LOG_SOFTMAX on integers.

Only the distance of an element from the largest of its row matters, and on 8 bits there are 256 distances.
So e^(-beta * scale * distance) is worked out once for each of them, in fixed point; the rest is a sum, a
reciprocal and a product. On 16 bits the exponentials come from an interpolated table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.defects import SOFTMAX_ABORTS
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    calculate_input_radius,
    preprocess_softmax_scaling,
    rounding_divide_by_pot,
    saturate,
    saturating_rounding_doubling_high_mul,
)
from ptq.fixed_point_log import log_of_at_least_one
from ptq.fixed_point_math import bit_length, exp_on_negative_values, get_reciprocal
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.parameters import Rescale, expect_output, input_quantization, one_scale
from ptq.kernels.libm import expf
from ptq.lookup_table import lut_lookup_int16, softmax_tables
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]

INTEGER_BITS = 5
"""Of the distances: their exponentials vanish at e^-32."""

SUM_BITS = 12
"""Integer bits of the sum of exponentials, each of which is at most 1."""


@dataclass(frozen=True)
class Distances:
    """What -beta * scale * d is for the distances d = 0 to 255, with INTEGER_BITS integer bits.

    scaled: int64 [256]. reach: the largest distance that this format holds; farther is e^-infinity.
    """

    scaled: Array
    reach: int

    @staticmethod
    def prepare(beta: float, input_scale: float, numerics: Numerics = LITERT_REFERENCE) -> Distances:
        """For a scale and a beta; QuantizationError if their product is below 2^-26.

        Source: `tflite/kernels/internal/quantization_util.cc`, PreprocessSoftmaxScaling.
        """
        multiplier, left_shift = preprocess_softmax_scaling(
            beta, input_scale, INTEGER_BITS, numerics.rounding
        )
        reach = min(calculate_input_radius(INTEGER_BITS, left_shift), 255)
        scaled = np.zeros(256, np.int64)
        if reach:  # without any reach the shift may be one too many for `Rescale`
            rescale = Rescale(np.array(multiplier), np.array(left_shift), numerics)
            scaled[1 : reach + 1] = rescale(-np.arange(1, reach + 1))
        return Distances(scaled, reach)

    @property
    def exponentials(self) -> Array:
        """e^scaled for the distances 0 to 255, without integer bits; 0 beyond the reach. int64 [256]."""
        return np.where(np.arange(256) <= self.reach, exp_on_negative_values(self.scaled, INTEGER_BITS), 0)


def softmax_integer(
    q: Array, exponentials: Array, dtype: npt.DTypeLike = np.int8, numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = e^(-d) / sum of the same, along the last axis, where d is the distance to the largest. (Q38)

    q: int8 or uint8, at least one dimension. exponentials: int64 [256], e^(-beta * scale * d) for d = 0, 1,
    ..., without integer bits. dtype: int8, uint8 or int16; n bits stand for steps of 2^-n from the lowest on.
    Errors: ShapeError for a scalar; UnsupportedError for a sum of 512 or more and 8 bits, a defect of the
    runtime, unless `numerics` say otherwise, and for a sum of 8192 or more.
    Source: `tflite/kernels/internal/reference/softmax.h`, Softmax (quantized).
    """
    _check_axis("SOFTMAX", q)
    limits = np.iinfo(dtype)
    # exponentials, and their sum
    power = exponentials[_distances(q)]
    total = _sum(q, power)
    # divide
    scale, bits_over_unit = get_reciprocal(total, SUM_BITS)
    shift = bits_over_unit + (31 - limits.bits)
    if np.any(shift > 31):
        SOFTMAX_ABORTS.reproduced(numerics, f"a row of {q.shape[-1]}")
    probability = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(scale, power), shift)
    # clamp
    return np.asarray(np.minimum(probability + limits.min, limits.max)).astype(dtype)


def softmax_int16(q: Array, rescale: Rescale, exponential: Array, reciprocal: Array) -> Array:
    """output = e^(-d) / sum of the same, along the last axis, on int16: e^x and 1 / (1 + x) are tables.

    q: int16, at least one dimension. rescale: by scale * beta * 65535 / 10, which brings the distances to
    the table's range [-10, 0]. exponential, reciprocal: int16 [513]. Returns int16, steps of 2^-15.
    Errors: ShapeError for a scalar; UnsupportedError for a sum of 65536 or more.
    Source: `tflite/kernels/internal/reference/softmax.h`, SoftmaxInt16.
    """
    _check_axis("SOFTMAX", q)
    # exponentials, and their sum
    place = saturate(rescale(-_distances(q)).astype(np.int64) + 32767, 16)
    power = lut_lookup_int16(place, exponential).astype(np.int64)
    total = power.sum(axis=-1, keepdims=True)
    _check_sum("SOFTMAX", q, total, 1 << 31)
    # divide
    headroom = 31 - bit_length(total)
    mantissa = ((total << headroom) + (1 << 13)) >> 14
    inverse = lut_lookup_int16(saturate(mantissa - (1 << 15) - (1 << 16), 16), reciprocal).astype(np.int64)
    shift = 30 - headroom
    probability = (power * inverse + (np.int64(1) << (shift - 1))) >> shift
    # clamp
    return np.asarray(np.clip(probability, 0, 32767)).astype(np.int16)


def log_softmax_integer(q: Array, distances: Distances, lowest: Rescale) -> Array:
    """output = -d - ln(sum of e^(-d)), along the last axis, where d is the distance to the largest.

    q: int8 or uint8, at least one dimension; the result has its dtype, in steps of 1/16 below the highest
    integer, which stands for 0. lowest: from the fixed point of `distances` back to distances.
    Errors: ShapeError for a scalar; UnsupportedError for a sum of 4096 or more.
    Source: `tflite/kernels/internal/reference/log_softmax.h`, LogSoftmaxQuantized.
    """
    _check_axis("LOG_SOFTMAX", q)
    limits = np.iinfo(q.dtype)
    # the sum of exponentials, and its logarithm
    d = _distances(q)
    total = rounding_divide_by_pot(distances.exponentials[d], SUM_BITS).sum(axis=-1, keepdims=True)
    _check_sum("LOG_SOFTMAX", q, total, 1 << 31)
    logarithm = log_of_at_least_one(total, SUM_BITS, INTEGER_BITS)
    # subtract
    result = rounding_divide_by_pot(distances.scaled[d] - logarithm, 31 - INTEGER_BITS - 4) + limits.max
    # clamp, and leave out what the fixed point of the difference does not hold
    farthest = np.minimum(distances.reach, -lowest(logarithm - (1 << 31)).astype(np.int64) - 1)
    return np.where(d <= farthest, np.clip(result, limits.min, limits.max), limits.min).astype(q.dtype)


def _distances(q: Array) -> Array:
    """How far each element is below the largest of its row: int64, >= 0."""
    wide = q.astype(np.int64)
    return np.asarray(wide.max(axis=-1, keepdims=True, initial=np.iinfo(q.dtype).min) - wide)


def _sum(q: Array, power: Array) -> Array:
    total: Array = rounding_divide_by_pot(power, SUM_BITS).sum(axis=-1, keepdims=True)
    _check_sum("SOFTMAX", q, total, 1 << 32)
    return total


def _check_axis(operator: str, q: Array) -> None:
    if not q.ndim:
        raise ShapeError(f"{operator}: a scalar found, expected at least one dimension")


def _check_sum(operator: str, q: Array, total: Array, limit: int) -> None:
    if total.size and total.max() >= limit:
        raise UnsupportedError(
            f"{operator}: {q.shape[-1]} elements in a row found, whose exponentials add up beyond what the "
            "kernel's integers hold; use fewer elements or float"
        )


# --- for the registry -----------------------------------------------------------------------------


def softmax_op(call: Call) -> list[Array]:
    """SOFTMAX: inputs (q), option beta; int8 to int8 or int16, uint8 to uint8 or int16, int16 to int16."""
    q, dtype = call.array(0), call.output_tensors[0].dtype
    if q.dtype == np.int16 and dtype == np.int16:
        return [_softmax_int16(call, q)]
    if q.dtype == np.int16 or dtype not in (q.dtype, np.int16):
        raise UnsupportedError(f"SOFTMAX: {q.dtype} to {dtype} found, expected one type, or 8 bits to int16")
    expect_output(call, 2.0 ** -np.iinfo(dtype).bits, int(np.iinfo(dtype).min))
    table = call.once("exponentials", lambda: _distances_of(call, call.options["beta"]).exponentials)
    return [softmax_integer(q, table, dtype, call.numerics)]


def log_softmax_op(call: Call) -> list[Array]:
    """LOG_SOFTMAX: inputs (q), int8 or uint8."""
    q = call.array(0)
    if q.dtype == np.int16 or call.output_tensors[0].dtype != q.dtype:
        raise UnsupportedError(
            f"LOG_SOFTMAX: {q.dtype} to {call.output_tensors[0].type} found, expected int8 or uint8 for both"
        )
    expect_output(call, 1 / 16, int(np.iinfo(q.dtype).max))
    distances, lowest = call.once("distances", lambda: _log_parameters(call))
    return [log_softmax_integer(q, distances, lowest)]


def _distances_of(call: Call, beta: float) -> Distances:
    return Distances.prepare(beta, float(one_scale(input_quantization(call, 0))[0]), call.numerics)


def _log_parameters(call: Call) -> tuple[Distances, Rescale]:
    """Source: `tflite/kernels/internal/quantization_util.cc`, PreprocessLogSoftmaxScalingExp."""
    scale = float(one_scale(input_quantization(call, 0))[0])
    multiplier, shift = preprocess_softmax_scaling(1.0, scale, INTEGER_BITS, call.numerics.rounding)
    return Distances.prepare(1.0, scale, call.numerics), Rescale.by(
        2.0 ** (31 - shift) / multiplier, call.numerics
    )


def _softmax_int16(call: Call, q: Array) -> Array:
    expect_output(call, 2.0**-15, 0)
    scale, zero_point = one_scale(input_quantization(call, 0))
    if zero_point != 0:
        raise QuantizationError(f"SOFTMAX: int16 input with zero point {zero_point} found, expected 0")
    rescale = call.once("rescale", lambda: _rescale_int16(scale, call.options["beta"], call.numerics))
    return softmax_int16(q, rescale, *_tables_int16(call.numerics.integer_kernels))


def _rescale_int16(scale: np.float32, beta: float, numerics: Numerics) -> Rescale:
    """micro multiplies scale and beta in double, TensorFlow Lite in float."""
    double = numerics.integer_kernels == "micro"
    product = float(scale) * float(np.float32(beta)) if double else float(scale * np.float32(beta))
    return Rescale.by(product / (10.0 / 65535.0), numerics)


@cache
def _tables_int16(kernels: str) -> tuple[Array, Array]:
    return softmax_tables(expf, np.float32) if kernels == "micro" else softmax_tables(np.exp)


INTEGER: dict[str, Kernel] = {"SOFTMAX": softmax_op, "LOG_SOFTMAX": log_softmax_op}
