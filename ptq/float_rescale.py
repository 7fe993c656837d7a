"""Requantization with real factors, for kernels whose integers pass through floats on their way to int8.

TensorFlow Lite calls them quantized kernels, yet each output is an int32 accumulator times a real number:
in double precision in the reference FULLY_CONNECTED, in float32 in XNNPACK. As in `fixed_point`, each
function comes twice: `<name>_spec` on one number, and `<name>` on arrays; the tests hold them equal.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import round_half_away, round_half_away_spec, saturate, saturate_spec
from ptq.graph import Array

SATURATED_BITS = 30
"""XNNPACK clamps before it converts to integers; these many bits hold every output with its zero point."""


def multiply_by_double_spec(x: int, real_multiplier: float) -> int:
    """The double x * real_multiplier, ties away from zero; -2^31 where int32 does not hold it.

    Source: internal/reference/integer_ops/fully_connected.h, FullyConnected with float scales, on x86.
    """
    product = float(x) * real_multiplier
    rounded = round_half_away_spec(product) if math.isfinite(product) else 2**31
    return rounded if -(2**31) <= rounded < 2**31 else -(2**31)


def multiply_by_double(x: npt.ArrayLike, real_multiplier: npt.ArrayLike) -> Array:
    """Rescale accumulators in double precision: round(x * real_multiplier), as int64 that int32 holds.

    x: integers below 2^53; real_multiplier: float64, broadcast. The product is rounded to double before it is
    rounded to an integer, ties away from zero. What int32 does not hold becomes -2^31, as x86 converts it.
    Source: internal/reference/integer_ops/fully_connected.h, FullyConnected and FullyConnectedPerChannel
    with float scales.
    """
    product = np.asarray(x, dtype=np.float64) * np.asarray(real_multiplier, dtype=np.float64)
    rounded = np.asarray(round_half_away(product))
    fits = (rounded >= -(2.0**31)) & (rounded < 2.0**31)
    return np.where(fits, rounded, -(2.0**31)).astype(np.int64)


def multiply_by_float32_spec(x: int, scale: np.float32) -> int:
    """The float32 float32(x) * scale, ties to even, saturated.

    Source: XNNPACK, the requantization "fp32" of its qs8 kernels.
    """
    product = np.float32(x) * np.float32(scale)
    return saturate_spec(round(float(product)), SATURATED_BITS)


def multiply_by_float32(x: npt.ArrayLike, scale: npt.ArrayLike) -> Array:
    """Rescale accumulators in float32: rint(float32(x) * scale), ties to even, saturated; int64.

    x: integers; scale: float32, broadcast. Accumulators beyond 2^24 are rounded before they are multiplied.
    Source: XNNPACK, the requantization "fp32" of its qs8 kernels; which kernels a processor runs is theirs to
    choose, and the x86 ones agree.
    """
    product = np.asarray(x).astype(np.float32) * np.asarray(scale, dtype=np.float32)
    return saturate(np.rint(product).astype(np.float64), SATURATED_BITS).astype(np.int64)
