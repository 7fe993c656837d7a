"""exp, logistic, tanh, reciprocal and inverse square root with integers only.

A raw integer r with `integer_bits` stands for r / 2^(bits - 1 - integer_bits); bits is 32, or 16 for the
integer LSTM. With 0 integer bits it lies in [-1, 1), and 1 is written as the largest integer. As in
`fixed_point`, `<name>_spec` takes Python ints and `<name>` takes arrays and returns int64.
"""

from __future__ import annotations

import numpy as np

from ptq.fixed_point import (
    ArrayLike,
    rounding_divide_by_pot,
    rounding_divide_by_pot_spec,
    rounding_half_sum,
    rounding_half_sum_spec,
    saturate,
    saturate_spec,
    saturating_left_shift,
    saturating_left_shift_spec,
    saturating_rounding_doubling_high_mul,
    saturating_rounding_doubling_high_mul_spec,
    wrap_int32,
    wrap_spec,
)
from ptq.graph import Array

# The constants of gemmlowp as 32-bit raws; 16 bits take their upper half, rounded.
_EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8), 0 integer bits
_ONE_THIRD = 715827883  # 1/3, 0 integer bits
_48_OVER_17 = 1515870810  # 2 integer bits
_MINUS_32_OVER_17 = -1010580540  # 2 integer bits
_HALF_SQRT_2 = 1518500250  # sqrt(2) / 2, 0 integer bits
_EXP_MULTIPLIERS = (  # (e, exp(-2^e) with 0 integer bits)
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def exp_on_interval_spec(a: int, bits: int = 32) -> int:
    """exp(a) for a in [-1/4, 0): the Taylor polynomial of degree 4 around -1/8. No integer bits.

    Source: gemmlowp fixedpoint.h, exp_on_interval_between_negative_one_quarter_and_0_excl.
    """
    x = a + (1 << (bits - 4))  # a + 1/8
    x2 = _product(x, x, bits)
    x3 = _product(x2, x, bits)
    x4_over_4 = rounding_divide_by_pot_spec(_product(x2, x2, bits), 2)
    third = _product(x4_over_4 + x3, _constant(_ONE_THIRD, bits), bits)
    higher_terms = rounding_divide_by_pot_spec(third + x2, 1)  # x^4/24 + x^3/6 + x^2/2
    factor = _constant(_EXP_MINUS_EIGHTH, bits)
    total = factor + _product(factor, x + higher_terms, bits)
    return saturate_spec(total, bits) if bits == 16 else wrap_spec(total, bits)


def exp_on_interval(a: Array, bits: int = 32) -> Array:
    """exp(a) for a in [-1/4, 0): e^(-1/8) * (1 + x + x^2/2 + x^3/6 + x^4/24) with x = a + 1/8.

    a: raw integers without integer bits, and so is the result, int64.
    Source: gemmlowp fixedpoint.h, exp_on_interval_between_negative_one_quarter_and_0_excl.
    """
    x = a + (1 << (bits - 4))
    x2 = saturating_rounding_doubling_high_mul(x, x, bits)
    x3 = saturating_rounding_doubling_high_mul(x2, x, bits)
    x4 = saturating_rounding_doubling_high_mul(x2, x2, bits)
    x4_over_12_plus_x3_over_3 = saturating_rounding_doubling_high_mul(
        rounding_divide_by_pot(x4, 2) + x3, _constant(_ONE_THIRD, bits), bits
    )
    higher_terms = rounding_divide_by_pot(x4_over_12_plus_x3_over_3 + x2, 1)
    factor = _constant(_EXP_MINUS_EIGHTH, bits)
    total = factor + saturating_rounding_doubling_high_mul(x + higher_terms, factor, bits)
    return saturate(total, bits) if bits == 16 else wrap_int32(total)


def exp_on_negative_values_spec(a: int, integer_bits: int, bits: int = 32) -> int:
    """exp(a) for a <= 0; the result has no integer bits.

    Source: gemmlowp fixedpoint.h, exp_on_negative_values.
    """
    fractional_bits = bits - 1 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    in_interval = (a & (quarter - 1)) - quarter
    result = exp_on_interval_spec(saturating_left_shift_spec(in_interval, integer_bits, bits), bits)
    remainder = in_interval - a
    for exponent, multiplier in _EXP_MULTIPLIERS:
        if integer_bits > exponent and remainder & (1 << (fractional_bits + exponent)):
            result = _product(result, _constant(multiplier, bits), bits)
    if integer_bits > 5 and a < -(1 << (fractional_bits + 5)):
        result = 0
    return (1 << (bits - 1)) - 1 if a == 0 else result


def exp_on_negative_values(a: ArrayLike, integer_bits: int, bits: int = 32) -> Array:
    """exp(a) for a <= 0: a = r - k/4 with r in [-1/4, 0), then e^r times e^(-2^i) for each bit i of k/4.

    a: raw integers with `integer_bits` (at most bits - 3). Result: int64, no integer bits; 0 below -32.
    Source: gemmlowp fixedpoint.h, exp_on_negative_values.
    """
    a = np.asarray(a, dtype=np.int64)
    fractional_bits = bits - 1 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    in_interval = (a & (quarter - 1)) - quarter
    result = exp_on_interval(saturating_left_shift(in_interval, integer_bits, bits), bits)
    remainder = in_interval - a
    for exponent, multiplier in _EXP_MULTIPLIERS:
        if integer_bits > exponent:
            chosen = (remainder & (1 << (fractional_bits + exponent))) != 0
            scaled = saturating_rounding_doubling_high_mul(result, _constant(multiplier, bits), bits)
            result = np.where(chosen, scaled, result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (fractional_bits + 5)), 0, result)
    return np.where(a == 0, (1 << (bits - 1)) - 1, result)


def one_over_one_plus_x_spec(x: int, bits: int = 32) -> int:
    """1 / (1 + x) for x in [0, 1); no integer bits in and out.

    Source: gemmlowp fixedpoint.h, one_over_one_plus_x_for_x_in_0_1.
    """
    return saturating_left_shift_spec(_two_over_one_plus_x_spec(x, bits), 1, bits)


def one_over_one_plus_x(x: ArrayLike, bits: int = 32) -> Array:
    """1 / (1 + x) for x in [0, 1), by three Newton steps; raw integers without integer bits, result int64.

    Source: gemmlowp fixedpoint.h, one_over_one_plus_x_for_x_in_0_1.
    """
    return saturating_left_shift(_two_over_one_plus_x(x, bits), 1, bits)


def one_minus_x_over_one_plus_x_spec(x: int, bits: int = 32) -> int:
    """(1 - x) / (1 + x) for x in [0, 1); no integer bits in and out.

    Source: gemmlowp fixedpoint.h, one_minus_x_over_one_plus_x_for_x_in_0_1.
    """
    return saturating_left_shift_spec(_two_over_one_plus_x_spec(x, bits) - (1 << (bits - 3)), 2, bits)


def one_minus_x_over_one_plus_x(x: ArrayLike, bits: int = 32) -> Array:
    """(1 - x) / (1 + x) = 2 / (1 + x) - 1 for x in [0, 1); raw integers without integer bits, result int64.

    Source: gemmlowp fixedpoint.h, one_minus_x_over_one_plus_x_for_x_in_0_1.
    """
    return saturating_left_shift(_two_over_one_plus_x(x, bits) - (1 << (bits - 3)), 2, bits)


def logistic_spec(a: int, integer_bits: int, bits: int = 32) -> int:
    """1 / (1 + exp(-a)); the result has no integer bits. Source: gemmlowp fixedpoint.h, logistic."""
    if a == 0:
        return 1 << (bits - 2)
    positive = one_over_one_plus_x_spec(exp_on_negative_values_spec(-abs(a), integer_bits, bits), bits)
    return positive if a > 0 else (1 << (bits - 1)) - 1 - positive


def logistic(a: ArrayLike, integer_bits: int, bits: int = 32) -> Array:
    """1 / (1 + exp(-a)), from the value at |a| and 1 minus it.

    a: raw integers with `integer_bits`. Result: int64, no integer bits.
    Source: gemmlowp fixedpoint.h, logistic.
    """
    a = np.asarray(a, dtype=np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits, bits), bits)
    result = np.where(a > 0, positive, (1 << (bits - 1)) - 1 - positive)
    return np.where(a == 0, 1 << (bits - 2), result)


def tanh_spec(a: int, integer_bits: int, bits: int = 32) -> int:
    """tanh(a); the result has no integer bits. Source: gemmlowp fixedpoint.h, tanh."""
    # One more integer bit for the same raw doubles the real number.
    exp_of_minus_2a = exp_on_negative_values_spec(-abs(a), integer_bits + 1, bits)
    positive = one_minus_x_over_one_plus_x_spec(exp_of_minus_2a, bits)
    if a == 0:
        return 0
    return positive if a > 0 else -positive


def tanh(a: ArrayLike, integer_bits: int, bits: int = 32) -> Array:
    """tanh(a) = (1 - e^(-2a)) / (1 + e^(-2a)) for a > 0, and the negated value for a < 0.

    a: raw integers with `integer_bits` (at most bits - 4). Result: int64, no integer bits.
    Source: gemmlowp fixedpoint.h, tanh.
    """
    a = np.asarray(a, dtype=np.int64)
    exp_of_minus_2a = exp_on_negative_values(-np.abs(a), integer_bits + 1, bits)
    return np.asarray(np.sign(a) * one_minus_x_over_one_plus_x(exp_of_minus_2a, bits))


def get_reciprocal_spec(x: int, integer_digits: int) -> tuple[int, int]:
    """The pair (reciprocal, bits over unit): 1 / x = reciprocal / 2^(31 + bits over unit).

    Source: internal/common.h, GetReciprocal.
    """
    headroom_plus_one = 32 - x.bit_length()
    shifted_minus_one = (x << headroom_plus_one) - (1 << 31)
    return one_over_one_plus_x_spec(shifted_minus_one), integer_digits - headroom_plus_one


def get_reciprocal(x: ArrayLike, integer_digits: int) -> tuple[Array, Array]:
    """1 / x = reciprocal * 2^-31 * 2^-num_bits_over_unit, for x > 0 with `integer_digits` integer digits.

    x: raw integers in [1, 2^31). Result: (reciprocal, num_bits_over_unit), int64.
    Source: internal/common.h, GetReciprocal.
    """
    x = np.asarray(x, dtype=np.int64)
    headroom_plus_one = 32 - bit_length(x)
    shifted_minus_one = (x << headroom_plus_one) - (1 << 31)
    return one_over_one_plus_x(shifted_minus_one), integer_digits - headroom_plus_one


def get_inv_sqrt_quantized_multiplier_exp_spec(x: int, reverse_shift: int = -1) -> tuple[int, int]:
    """The pair (multiplier, shift) with 1 / sqrt(x) = multiplier * 2^-31 * 2^(-shift * reverse_shift).

    Source: internal/common.h, GetInvSqrtQuantizedMultiplierExp.
    """
    if x <= 1:
        return (1 << 31) - 1, 0
    shift = 11
    while x >= 1 << 29:
        x //= 4
        shift += 1
    left_shift_bit_pairs = (31 - x.bit_length()) // 2 - 1
    shift -= left_shift_bit_pairs
    x <<= 2 * left_shift_bit_pairs
    half_x = rounding_divide_by_pot_spec(x >> 1, 1)
    y = 1 << 28  # 1 with 3 integer bits
    for _ in range(5):
        y3 = saturating_left_shift_spec(_product(_product(y, y), y), 6)
        y = saturating_left_shift_spec(_product((1 << 28) + (1 << 27), y) - _product(half_x, y3), 3)
    y = _product(y, _HALF_SQRT_2)
    if shift < 0:
        y, shift = wrap_spec(y << -shift), 0
    return y, shift * reverse_shift


def get_inv_sqrt_quantized_multiplier_exp(x: ArrayLike, reverse_shift: int = -1) -> tuple[Array, Array]:
    """1 / sqrt(x) as a multiplier and a shift, by five Newton steps y = 3/2 y - x/2 y^3 from y = 1.

    x: integers in [0, 2^31), 0 being treated as 1; reverse_shift -1 gives the shift the sign that
    multiply_by_quantized_multiplier expects. Result: (multiplier, shift), int64:
    1 / sqrt(x) = multiplier * 2^-31 * 2^shift with the default. Used by L2_NORMALIZATION and layer norm.
    Source: internal/common.h, GetInvSqrtQuantizedMultiplierExp.
    """
    x = np.asarray(x, dtype=np.int64)
    large = x >= 1 << 29
    scaled = np.maximum(np.where(large, x >> 2, x), 2)  # 0 and 1 are answered at the end
    left_shift_bit_pairs = (31 - bit_length(scaled)) // 2 - 1
    shift = 11 + large - left_shift_bit_pairs
    half_x = rounding_divide_by_pot((scaled << (2 * left_shift_bit_pairs)) >> 1, 1)
    y: Array = np.full_like(x, 1 << 28)
    for _ in range(5):
        y2 = saturating_rounding_doubling_high_mul(y, y)
        y3 = saturating_left_shift(saturating_rounding_doubling_high_mul(y2, y), 6)
        growth = saturating_rounding_doubling_high_mul((1 << 28) + (1 << 27), y)
        y = saturating_left_shift(growth - saturating_rounding_doubling_high_mul(half_x, y3), 3)
    y = saturating_rounding_doubling_high_mul(y, _HALF_SQRT_2)
    y = wrap_int32(y << np.maximum(-shift, 0))
    shift = np.maximum(shift, 0) * reverse_shift
    return np.where(x <= 1, (1 << 31) - 1, y), np.where(x <= 1, 0, shift)


def _product(a: int, b: int, bits: int = 32) -> int:
    """The product of two fixed-point numbers; their integer bits add up."""
    return saturating_rounding_doubling_high_mul_spec(a, b, bits)


def _constant(raw: int, bits: int) -> int:
    """A 32-bit constant in `bits` bits: gemmlowp's RescaleConstantInitializer."""
    return rounding_divide_by_pot_spec(raw, 32 - bits)


def bit_length(x: Array) -> Array:
    """The number of bits of positive integers below 2^53; float64 holds them, so frexp counts exactly."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def _two_over_one_plus_x_spec(x: int, bits: int) -> int:
    """2 / (1 + x), with 2 integer bits: Newton's division by (1 + x) / 2, which lies in [1/2, 1)."""
    half_denominator = rounding_half_sum_spec(x, (1 << (bits - 1)) - 1)
    y = _constant(_48_OVER_17, bits) + _product(half_denominator, _constant(_MINUS_32_OVER_17, bits), bits)
    for _ in range(3):
        error = (1 << (bits - 3)) - _product(half_denominator, y, bits)
        y += saturating_left_shift_spec(_product(y, error, bits), 2, bits)
    return y


def _two_over_one_plus_x(x: ArrayLike, bits: int) -> Array:
    """2 / (1 + x), with 2 integer bits: with d = (1 + x) / 2, y += y * (1 - y * d) from 48/17 - 32/17 * d."""
    half_denominator = rounding_half_sum(x, (1 << (bits - 1)) - 1)
    slope = _constant(_MINUS_32_OVER_17, bits)
    y = _constant(_48_OVER_17, bits) + saturating_rounding_doubling_high_mul(half_denominator, slope, bits)
    for _ in range(3):
        error = (1 << (bits - 3)) - saturating_rounding_doubling_high_mul(half_denominator, y, bits)
        y = y + saturating_left_shift(saturating_rounding_doubling_high_mul(y, error, bits), 2, bits)
    return y
