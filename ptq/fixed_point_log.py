"""The natural logarithm with integers only, for LOG_SOFTMAX: spec and array, as in `fixed_point_math`."""

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
)
from ptq.fixed_point_math import bit_length, one_over_one_plus_x, one_over_one_plus_x_spec
from ptq.graph import Array

# Raw integers without integer bits; w is the fourth root of 2.
_LOG_2 = 1488522236
_FOURTH_ROOT_HALF = 1805811301
_ROOT_HALF = 1518500250
_QUARTER = 536870912
_CUBIC = 117049297  # 11 / 240 * w
_DENOMINATOR_SQUARE = 127690142  # 1 / 20 * w
_DENOMINATOR_ONE = 1057819769  # 2 / w - w
_DENOMINATOR_LINEAR = 638450708  # 1 / 4 * w


def log_of_at_least_one_spec(x: int, integer_bits: int = 12, output_bits: int = 5) -> int:
    """ln x for x >= 1; the result has `output_bits` integer bits.

    Source: internal/common.h, log_x_for_x_greater_than_or_equal_to_1_impl.
    """
    bits = output_bits + 1
    quarter = rounding_divide_by_pot_spec(_QUARTER, bits)
    headroom = 31 - x.bit_length()
    scaled = saturating_left_shift_spec(_product_spec(x << headroom, _ROOT_HALF), 1)
    scaled_power = saturate_spec(saturating_left_shift_spec(integer_bits - headroom - 1, 31 - bits) + quarter)
    headroom = 31 - _product_spec(x, _ROOT_HALF).bit_length()
    plain = saturating_left_shift_spec(x, headroom)
    plain_power = saturate_spec(saturating_left_shift_spec(integer_bits - headroom, 31 - bits) - quarter)
    r, power = min(scaled, plain), max(scaled_power, plain_power)

    p = rounding_half_sum_spec(r, _FOURTH_ROOT_HALF)
    q = 2 * (r - _FOURTH_ROOT_HALF)
    square = _product_spec(q, q)
    numerator = _product_spec(q, r) + _product_spec(_product_spec(q, square), _CUBIC)
    inner = _DENOMINATOR_ONE + q + _product_spec(_DENOMINATOR_SQUARE, square)
    denominator = _product_spec(p, inner) + _product_spec(_DENOMINATOR_LINEAR, q)
    fraction = _product_spec(
        rounding_divide_by_pot_spec(numerator, bits), one_over_one_plus_x_spec(denominator)
    )
    return saturating_left_shift_spec(_product_spec(power, _LOG_2) + fraction, 1)


def log_of_at_least_one(x: ArrayLike, integer_bits: int = 12, output_bits: int = 5) -> Array:
    """ln x for x >= 1, from x = 2^k m with a mantissa m in [1/2, 1).

    To have r in [sqrt(1/2), 1), r is m, or sqrt(2) m where m is smaller. Then, with w = 2^(1/4),
    ln x = (k -+ 1/4) ln 2 + ln(r w), and ln(r w) is a quotient of polynomials in q = 2 (r - 1 / w).
    x: raw integers in [1, 2^31) with `integer_bits`. Result: int64 with `output_bits` integer bits.
    Source: internal/common.h, log_x_for_x_greater_than_or_equal_to_1_impl.
    """
    bits = output_bits + 1  # one of headroom for the sum
    r, power = _mantissa_and_power(np.asarray(x, np.int64), integer_bits, bits)
    p = rounding_half_sum(r, _FOURTH_ROOT_HALF)
    q = 2 * (r - _FOURTH_ROOT_HALF)
    square = _product(q, q)
    numerator = _product(q, r) + _product(_product(q, square), _CUBIC)
    inner = _DENOMINATOR_ONE + q + _product(_DENOMINATOR_SQUARE, square)
    denominator = _product(p, inner) + _product(_DENOMINATOR_LINEAR, q)
    fraction = _product(rounding_divide_by_pot(numerator, bits), one_over_one_plus_x(denominator))
    return saturating_left_shift(_product(power, _LOG_2) + fraction, 1)


def _mantissa_and_power(x: Array, integer_bits: int, bits: int) -> tuple[Array, Array]:
    """r without integer bits, and k -+ 1/4 with `bits`. Of both choices the one that does not saturate."""
    quarter = rounding_divide_by_pot_spec(_QUARTER, bits)
    headroom = 31 - bit_length(x)
    scaled = saturating_left_shift(_product(x << headroom, _ROOT_HALF), 1)
    scaled_power = saturating_left_shift(integer_bits - headroom - 1, 31 - bits) + quarter
    headroom = 31 - bit_length(_product(x, _ROOT_HALF))
    plain = saturate(x << headroom)
    plain_power = saturating_left_shift(integer_bits - headroom, 31 - bits) - quarter
    return np.minimum(scaled, plain), saturate(np.maximum(scaled_power, plain_power))


def _product_spec(a: int, b: int) -> int:
    return saturating_rounding_doubling_high_mul_spec(a, b)


def _product(a: ArrayLike, b: ArrayLike) -> Array:
    return saturating_rounding_doubling_high_mul(a, b)
