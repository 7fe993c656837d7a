"""Requantization with real factors: the arrays against the numbers, and where it differs from fixed point."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ptq.fixed_point import multiply_by_quantized_multiplier_spec, quantize_multiplier_spec
from ptq.float_rescale import (
    multiply_by_double,
    multiply_by_double_spec,
    multiply_by_float32,
    multiply_by_float32_spec,
)

accumulators = st.integers(-(2**31), 2**31 - 1)
exponents = st.floats(-40, 8)


@given(st.lists(st.tuples(accumulators, exponents), min_size=1, max_size=20))
def test_doubles_are_the_numbers(pairs):
    x = [x for x, _ in pairs]
    real = np.exp2([e for _, e in pairs])
    expected = [multiply_by_double_spec(*pair) for pair in zip(x, real.tolist(), strict=True)]
    assert multiply_by_double(x, real).tolist() == expected


@given(st.lists(st.tuples(accumulators, exponents), min_size=1, max_size=20))
def test_floats_are_the_numbers(pairs):
    x = [x for x, _ in pairs]
    scale = np.exp2([e for _, e in pairs]).astype(np.float32)
    expected = [multiply_by_float32_spec(*pair) for pair in zip(x, scale, strict=True)]
    assert multiply_by_float32(x, scale).tolist() == expected


def test_ties_go_away_from_zero_in_double_and_to_even_in_float():
    x = [-3, -1, 1, 3, 5]
    assert multiply_by_double(x, 0.5).tolist() == [-2, -1, 1, 2, 3]
    assert multiply_by_float32(x, 0.5).tolist() == [-2, 0, 0, 2, 2]


def test_what_int32_does_not_hold_is_the_lowest_int32_in_double_and_saturated_in_float():
    assert multiply_by_double([2**30, -(2**30)], 4.0).tolist() == [-(2**31), -(2**31)]
    assert multiply_by_float32([2**30, -(2**30)], 4.0).tolist() == [2**29 - 1, -(2**29)]


def test_a_double_and_fixed_point_differ_next_to_a_tie():
    # 171 * 0.0087719 = 1.49999...: fixed point first rounds to 31 bits, up to the tie, and then away from 0
    real = 1.5 / 171 - 1e-13
    assert multiply_by_double_spec(171, real) == 1
    assert multiply_by_quantized_multiplier_spec(171, *quantize_multiplier_spec(real)) == 2


def test_a_float_rounds_long_accumulators_first():
    # 2^24 + 1 is no float32
    assert multiply_by_float32_spec(2**24 + 1, np.float32(1)) == 2**24
    assert multiply_by_double_spec(2**24 + 1, 1.0) == 2**24 + 1
