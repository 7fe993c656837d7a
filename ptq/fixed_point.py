"""Rounding, and multiplication by a real number with integers only: multiplier and shift.

Each function comes twice: `<name>_spec` on Python ints, which cannot overflow, so that every wrap and
every saturation is spelled out; and `<name>` on arrays, which the kernels use. The tests hold them equal.
The arrays compute in int64 and return int64 (values fit in `bits` bits) unless stated otherwise.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError
from ptq.graph import Array

Rounding = Literal["double", "single"]
"""The values of `Numerics.rounding`."""

ArrayLike = npt.ArrayLike

_BELOW_HALF = {
    np.dtype(np.float32): np.nextafter(np.float32(0.5), np.float32(0)),
    np.dtype(np.float64): np.nextafter(np.float64(0.5), np.float64(0)),
}


def round_half_away_spec(x: float | Fraction) -> int:
    """The integer nearest to x; of two equally near ones, the one farther from zero (C's `round`)."""
    magnitude = math.floor(abs(Fraction(x)) + Fraction(1, 2))
    return magnitude if x >= 0 else -magnitude


def round_half_away(x: ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer, ties away from zero: C's `round` and TfLiteRound, bit for bit.

    x: float32 or float64, any shape; the result has its dtype. `out` may be x itself.
    Formula: trunc(x + copysign(p, x)), where p is the largest float below 1/2.
    """
    # Why p and not 1/2: 0.49999997 + 0.5 rounds to 1 in float32, and so would the result.
    # Why p is right for x >= 0 (u is the spacing of floats at n + 1/2, f the float sum):
    #   x >= n - 1/2, n >= 1: the exact sum is >= n - (1/2 - p), at most half a spacing below n
    #     (exactly half only for n = 1, and that tie goes to the even 1), so f >= n.
    #   x < n + 1/2: then x <= n + 1/2 - u, the sum is < n + 1 - u, which is a float, so f < n + 1.
    #   x so large that it is an integer: p is below half a spacing, so f = x.
    x = np.asarray(x)
    nudge: Array = np.asarray(np.copysign(_BELOW_HALF[x.dtype], x))
    total = nudge if out is None else out
    np.add(nudge, x, out=total)
    np.trunc(total, out=total)
    return total


def wrap_spec(value: int, bits: int = 32) -> int:
    """Keep the lowest `bits` bits, read as two's complement: what a C integer of that size holds."""
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def wrap_int32(value: Array) -> Array:
    """Keep the lowest 32 bits of an int64 array, as int64: what a C int32 would hold."""
    return np.asarray(value).astype(np.int32).astype(np.int64)


def saturate_spec(value: int, bits: int = 32) -> int:
    """The nearest integer that `bits` bits can hold."""
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


def saturate(value: Array, bits: int = 32) -> Array:
    """The nearest integer that `bits` bits can hold; int64 in and out."""
    return np.clip(value, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def saturating_left_shift_spec(x: int, exponent: int, bits: int = 32) -> int:
    """x * 2^exponent, saturated: fewer integer bits for the same real. Source: gemmlowp, Rescale."""
    return saturate_spec(x << exponent, bits)


def saturating_left_shift(x: Array, exponent: int, bits: int = 32) -> Array:
    """x * 2^exponent, saturated: fewer integer bits for the same real number; exponent 0 to 31.

    x: integers of `bits` bits. Result: int64. Source: gemmlowp fixedpoint.h, SaturatingRoundingMultiplyByPOT.
    """
    return saturate(np.asarray(x, dtype=np.int64) << exponent, bits)


def rounding_half_sum_spec(a: int, b: int) -> int:
    """(a + b) / 2, rounding half away from zero. Source: gemmlowp fixedpoint.h, RoundingHalfSum."""
    return round_half_away_spec(Fraction(a + b, 2))


def rounding_half_sum(a: ArrayLike, b: ArrayLike) -> Array:
    """(a + b) / 2, rounding half away from zero; integers in, int64 out.

    Source: gemmlowp fixedpoint.h, RoundingHalfSum.
    """
    return rounding_divide_by_pot(np.add(a, b, dtype=np.int64), 1)


def saturating_rounding_doubling_high_mul_spec(a: int, b: int, bits: int = 32) -> int:
    """The product of two fixed-point numbers in [-1, 1): a * b / 2^(bits-1), rounded, -1 * -1 saturated.

    Source: gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul.
    """
    if a == b == -(1 << (bits - 1)):
        return (1 << (bits - 1)) - 1
    product = a * b
    half = 1 << (bits - 2)
    nudged = product + (half if product >= 0 else 1 - half)
    magnitude = abs(nudged) >> (bits - 1)  # C divides towards zero
    return magnitude if nudged >= 0 else -magnitude


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike, bits: int = 32) -> Array:
    """The product of two fixed-point numbers in [-1, 1): floor(a * b / 2^(bits-1) + 1/2), saturated (Q21).

    a, b: integers of `bits` bits (32 or 16), broadcast. Result: int64.
    Source: gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul.
    """
    # gemmlowp adds 1 - half to a negative product -n and truncates: -floor((n + half - 1) / 2^k).
    # That is floor((-n + half) / 2^k), hence one arithmetic shift serves both signs; ties go up.
    product = np.multiply(a, b, dtype=np.int64)
    product = np.asarray(product)
    product += 1 << (bits - 2)
    product >>= bits - 1
    saturated: Array = np.minimum(product, (1 << (bits - 1)) - 1, out=product)
    return saturated


def rounding_divide_by_pot_spec(x: int, exponent: int) -> int:
    """Divide by 2^exponent (0 to 31), rounding half away from zero.

    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT.
    """
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Array:
    """Divide by a power of two, rounding half away from zero: x / 2^exponent, exponent 0 to 31.

    x: integers; exponent: integers, broadcast. Result: int64.
    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT.
    """
    x = np.asarray(x, dtype=np.int64)
    exponent = np.asarray(exponent, dtype=np.int64)
    # A shift rounds down. Half of the divisor, less one below zero, turns that into half away.
    half = (np.int64(1) << exponent) >> 1
    below_zero = (x < 0) & (exponent > 0)
    return np.asarray((x + half - below_zero) >> exponent)


def rounding_divide_by_pot_unchecked_spec(x: int, exponent: int, bits: int = 32) -> int:
    """`rounding_divide_by_pot_spec` in a C integer of that size, with any exponent, as x86-64 computes it.

    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT, whose assertions release builds leave out.
    """
    mask = wrap_spec((1 << (exponent & 63)) - 1, bits)
    remainder = wrap_spec(x & mask, bits)
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> (exponent & 31)) + (1 if remainder > threshold else 0)


def rounding_divide_by_pot_unchecked(x: ArrayLike, exponent: ArrayLike, bits: int = 32) -> Array:
    """`rounding_divide_by_pot` with any exponent, as x86-64 builds compute it.

    From exponent `bits` on, and below zero, the mask of the bits that are dropped becomes -1, and a shift
    counts modulo 32: the result is (x >> (exponent mod 32)) + (1 if x >= 0 else 0).
    x: integers of `bits` bits (32 or 16); exponent: integers, -31 to 62, broadcast. Result: int64.
    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT, whose assertions release builds leave out.
    """
    x, exponent = np.asarray(x, dtype=np.int64), np.asarray(exponent, dtype=np.int64)
    inside = (exponent >= 0) & (exponent < bits)
    divided = rounding_divide_by_pot(x, np.where(inside, exponent, 0))
    return np.where(inside, divided, (x >> (exponent & 31)) + (x >= 0))


def quantize_multiplier_spec(real_multiplier: float, rounding: Rounding = "double") -> tuple[int, int]:
    """The pair (output_multiplier, output_shift): real_multiplier = multiplier * 2^(shift - 31).

    Source: internal/quantization_util.cc, QuantizeMultiplier.
    """
    if real_multiplier == 0:
        return 0, 0
    mantissa, shift = math.frexp(real_multiplier)
    multiplier = round_half_away_spec(Fraction(mantissa) * 2**31)
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    if shift < -31:
        return 0, 0
    if rounding == "single" and shift > 30:
        return (1 << 31) - 1, 30
    return multiplier, shift


def quantize_multiplier(real_multiplier: ArrayLike, rounding: Rounding = "double") -> tuple[Array, Array]:
    """Write reals as int32 multiplier and shift: real_multiplier = multiplier * 2^(shift - 31) (Q20).

    real_multiplier: float64, any shape. Result: (output_multiplier, output_shift), int32, the same shape;
    |multiplier| is in [2^30, 2^31), or 0 for reals below 2^-32. Errors: QuantizationError if not finite.
    Source: internal/quantization_util.cc, QuantizeMultiplier.
    """
    real = np.asarray(real_multiplier, dtype=np.float64)
    if not np.all(np.isfinite(real)):
        raise QuantizationError(
            f"multiplier {real[~np.isfinite(real)].flat[0]} found, expected a finite number; "
            "check the scales of the operator's tensors"
        )
    mantissa, exponent = np.frexp(real)
    multiplier = round_half_away(mantissa * 2.0**31).astype(np.int64)
    shift = exponent.astype(np.int64)
    # A mantissa just below 1 rounds up to 2^31, which int32 does not hold (-2^31 it does).
    overflow = multiplier == 1 << 31
    multiplier = np.where(overflow, 1 << 30, multiplier)
    shift = np.where(overflow, shift + 1, shift)
    vanishing = shift < -31
    multiplier = np.where(vanishing, 0, multiplier)
    shift = np.where(vanishing, 0, shift)
    if rounding == "single":
        multiplier = np.where(shift > 30, (1 << 31) - 1, multiplier)
        shift = np.minimum(shift, 30)
    return multiplier.astype(np.int32), shift.astype(np.int32)


def multiply_by_quantized_multiplier_spec(
    x: int, output_multiplier: int, output_shift: int, rounding: Rounding = "double"
) -> int:
    """The int32 x times output_multiplier * 2^(output_shift - 31), as int32.

    Source: internal/common.cc, MultiplyByQuantizedMultiplier(int32), with and without TFLITE_SINGLE_ROUNDING.
    """
    if rounding == "single":
        total_shift = 31 - output_shift
        return wrap_spec((x * output_multiplier + (1 << (total_shift - 1))) >> total_shift)
    shifted = wrap_spec(x << max(output_shift, 0))
    high = saturating_rounding_doubling_high_mul_spec(shifted, output_multiplier)
    return rounding_divide_by_pot_spec(high, max(-output_shift, 0))


def multiply_by_quantized_multiplier(
    x: ArrayLike, output_multiplier: ArrayLike, output_shift: ArrayLike, rounding: Rounding = "double"
) -> Array:
    """Rescale int32 accumulators: x * output_multiplier * 2^(output_shift - 31), rounded to int32 (Q22).

    "double" rounds twice: to 31 fractional bits of the multiplier, ties up, then at the right shift, ties
    away from zero. "single" rounds once, ties up. A left shift past 32 bits wraps, as in C.
    x: integers within int32; multiplier and shift (-31 to 30): integers, broadcast. Result: int32.
    Errors: QuantizationError for a shift out of range.
    Source: internal/common.cc, MultiplyByQuantizedMultiplier(int32), with and without TFLITE_SINGLE_ROUNDING.
    """
    x = np.asarray(x, dtype=np.int64)
    shift = _checked_shift(output_shift, -31, 30)
    if rounding == "single":
        product = np.asarray(x * np.asarray(output_multiplier, dtype=np.int64))
        product += np.int64(1) << (30 - shift)
        return np.asarray(product >> (31 - shift)).astype(np.int32)
    shifted = wrap_int32(x << np.maximum(shift, 0)) if np.any(shift > 0) else x
    high = saturating_rounding_doubling_high_mul(shifted, output_multiplier)
    return rounding_divide_by_pot(high, np.maximum(-shift, 0)).astype(np.int32)


def multiply_int64_by_quantized_multiplier_spec(x: int, output_multiplier: int, output_shift: int) -> int:
    """The 48-bit x times output_multiplier * 2^(output_shift - 31), the multiplier cut to 16 bits.

    Source: internal/common.cc, MultiplyByQuantizedMultiplier(int64).
    """
    reduced = (output_multiplier + (1 << 15)) >> 16 if output_multiplier < 0x7FFF0000 else 0x7FFF
    total_shift = 15 - output_shift
    return wrap_spec((x * reduced + (1 << (total_shift - 1))) >> total_shift)


def multiply_int64_by_quantized_multiplier(
    x: ArrayLike, output_multiplier: ArrayLike, output_shift: ArrayLike
) -> Array:
    """Rescale the 64-bit accumulators of 16x8 kernels: the multiplier is first rounded to 16 bits.

    x: integers in [-2^47, 2^47); multiplier >= 0, shift -31 to 7, broadcast. Result: int32 (wraps).
    Source: internal/common.cc, MultiplyByQuantizedMultiplier(int64); both rounding builds agree.
    """
    multiplier = np.asarray(output_multiplier, dtype=np.int64)
    shift = _checked_shift(output_shift, -31, 7)
    reduced = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    product = np.asarray(x, dtype=np.int64) * reduced + (np.int64(1) << (14 - shift))
    return np.asarray(product >> (15 - shift)).astype(np.int32)


def calculate_input_radius(integer_bits: int, left_shift: int, total_signed_bits: int = 31) -> int:
    """The largest input difference whose rescaled value still fits: (2^ib - 1) * 2^(31 - ib) / 2^shift.

    Source: internal/quantization_util.cc, CalculateInputRadius (exact: the double there holds 31 bits).
    """
    return (((1 << integer_bits) - 1) << (total_signed_bits - integer_bits)) >> left_shift


def preprocess_softmax_scaling(
    beta: float, input_scale: float, integer_bits: int = 5, rounding: Rounding = "double"
) -> tuple[int, int]:
    """Multiplier and left shift that bring (x - max) to a fixed point with `integer_bits` bits.

    Formula: min(beta * input_scale * 2^(31 - ib), 2^31 - 1), or 2^30 - 1 for single rounding.
    Errors: QuantizationError if that is not above 1. Source: quantization_util.cc, PreprocessSoftmaxScaling.
    """
    largest = float((1 << (31 if rounding == "double" else 30)) - 1)
    real = min(float(beta) * float(input_scale) * (1 << (31 - integer_bits)), largest)
    if not real > 1:
        raise QuantizationError(
            f"softmax: beta {beta} times input scale {input_scale} is too small, "
            f"expected more than 2^-{31 - integer_bits}; calibrate the input's range again"
        )
    return quantize_multiplier_spec(real, rounding)


def _checked_shift(output_shift: ArrayLike, lowest: int, highest: int) -> npt.NDArray[Any]:
    shift = np.asarray(output_shift, dtype=np.int64)
    if shift.size and (shift.min() < lowest or shift.max() > highest):
        wrong = shift[(shift < lowest) | (shift > highest)].flat[0]
        raise QuantizationError(
            f"output shift {wrong} found, expected {lowest} to {highest}; check the scales of the "
            "operator's tensors"
        )
    return shift
