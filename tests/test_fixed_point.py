"""ptq.fixed_point: the specification against exact fractions, the arrays against the specification."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptq import fixed_point as fp
from ptq.errors import QuantizationError

INT32 = st.integers(-(2**31), 2**31 - 1)
EDGES = sorted(
    {
        sign * (2**e + d)
        for e in (0, 1, 2, 7, 8, 15, 16, 24, 29, 30, 31)
        for d in (-2, -1, 0, 1, 2)
        for sign in (-1, 1)
        if -(2**31) <= sign * (2**e + d) < 2**31
    }
)
MULTIPLIERS = [0, 1, 2**30, 2**30 + 1, 1610612736, 1717986918, 2**31 - 2, 2**31 - 1]


def floor_half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


# --- rounding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-2.5, -3), (0.49999997, 0), (-0.49999997, 0),
        (0.50000006, 1), (8388607.5, 8388608), (8388609.0, 8388609), (16777215.0, 16777215), (126.5, 127),
    ],
)  # fmt: skip
def test_round_half_away_literals(x, expected):
    assert fp.round_half_away_spec(float(np.float32(x))) == expected
    assert fp.round_half_away(np.array([x], np.float32))[0] == expected
    assert fp.round_half_away(np.float32(x)).dtype == np.float32


def test_the_double_below_one_half_is_not_rounded_up():
    below = np.nextafter(0.5, 0)
    assert np.floor(below + 0.5) == 1  # the formula that is wrong
    assert fp.round_half_away(np.array([below, -below]))[0] == 0


def test_round_half_away_float32_next_to_every_kind_of_tie():
    n = np.unique(np.concatenate([np.arange(0, 5000), np.geomspace(1, 2**24, 20000).astype(np.int64)]))
    ties = (n + 0.5).astype(np.float32)
    x = np.concatenate([ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(np.inf))])
    x = np.concatenate([x, -x])
    # floor(|x| + 1/2) is exact in float64 for every float32 below 2^52
    expected = np.copysign(np.floor(np.abs(x.astype(np.float64)) + 0.5), x)
    assert np.array_equal(fp.round_half_away(x), expected)


def test_round_half_away_float32_over_all_exponents():
    bits = np.random.default_rng(1).integers(0, 2**32, 1_000_000, dtype=np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    wide = np.abs(x.astype(np.float64))
    expected = np.copysign(np.where(wide < 2**40, np.floor(wide + 0.5), wide), x)
    assert np.array_equal(fp.round_half_away(x), expected)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53).map(lambda k: k / 2))
def test_round_half_away_float64_equals_exact_arithmetic(x):
    assert int(fp.round_half_away(np.array([x]))[0]) == fp.round_half_away_spec(Fraction(x))


def test_round_half_away_keeps_signed_zero_infinity_and_nan():
    result = fp.round_half_away(np.array([-0.0, -0.2, np.inf, -np.inf, np.nan], np.float32))
    assert np.signbit(result[:2]).all()
    assert result[2] == np.inf and result[3] == -np.inf and np.isnan(result[4])


def test_round_half_away_in_place():
    x = np.array([0.5, -1.5, 2.4], np.float32)
    assert fp.round_half_away(x, out=x) is x
    assert x.tolist() == [1, -2, 2]


# --- wrapping, saturation, shifts -----------------------------------------------------------------------


@given(st.integers(-(2**62), 2**62))
def test_wrap_and_saturate(value):
    array = np.array([value], np.int64)
    assert fp.wrap_int32(array)[0] == fp.wrap_spec(value)
    assert (fp.wrap_spec(value) - value) % 2**32 == 0 and -(2**31) <= fp.wrap_spec(value) < 2**31
    for bits in (8, 16, 32):
        assert fp.saturate(array, bits)[0] == fp.saturate_spec(value, bits)


def test_saturating_left_shift_over_all_int16():
    x = np.arange(-(2**15), 2**15)
    for exponent in (0, 1, 2, 6, 15):
        expected = [max(-32768, min(32767, int(v) * 2**exponent)) for v in x]
        assert fp.saturating_left_shift(x, exponent, bits=16).tolist() == expected
        assert [fp.saturating_left_shift_spec(int(v), exponent, 16) for v in x] == expected


@given(INT32, INT32)
def test_rounding_half_sum(a, b):
    expected = int(math.copysign((abs(a + b) + 1) // 2, a + b))
    assert fp.rounding_half_sum_spec(a, b) == expected == fp.rounding_half_sum([a], [b])[0]


def test_rounding_divide_by_pot_over_all_int16():
    x = np.arange(-(2**15), 2**15)
    for exponent in range(18):
        spec = [fp.rounding_divide_by_pot_spec(int(v), exponent) for v in x]
        assert fp.rounding_divide_by_pot(x, exponent).tolist() == spec
        assert spec[::37] == [fp.round_half_away_spec(Fraction(int(v), 2**exponent)) for v in x[::37]]


@given(INT32, st.integers(0, 31))
def test_rounding_divide_by_pot(x, exponent):
    expected = fp.round_half_away_spec(Fraction(x, 2**exponent))
    assert fp.rounding_divide_by_pot_spec(x, exponent) == expected
    assert fp.rounding_divide_by_pot(x, exponent) == expected

@pytest.mark.parametrize("bits", [16, 32])
def test_rounding_divide_by_pot_with_any_exponent(bits):
    x = np.array([v for v in EDGES if -(2 ** (bits - 1)) <= v < 2 ** (bits - 1)])
    for exponent in range(-31, 63):
        spec = [fp.rounding_divide_by_pot_unchecked_spec(int(v), exponent, bits) for v in x]
        assert fp.rounding_divide_by_pot_unchecked(x, exponent, bits).tolist() == spec
        if 0 <= exponent < bits:
            assert spec == [fp.rounding_divide_by_pot_spec(int(v), exponent) for v in x]


def test_too_large_an_exponent_does_not_give_zero():
    # seen in LiteRT: HARD_SWISH and ADD on int16 at a shift of 16 or more; DIV on int8 at 33
    assert fp.rounding_divide_by_pot_unchecked([-5, 0, 5], 16, bits=16).tolist() == [-1, 1, 1]
    assert fp.rounding_divide_by_pot_unchecked([0, 1000], 33).tolist() == [1, 501]


# --- the rounding, doubling high product -----------------------------------------------------------------


def test_high_mul_of_all_pairs_of_8_bits():
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    pairs = [(int(i), int(j)) for i, j in zip(a.flat, b.flat, strict=True)]
    spec = [fp.saturating_rounding_doubling_high_mul_spec(i, j, 8) for i, j in pairs]
    assert fp.saturating_rounding_doubling_high_mul(a, b, 8).ravel().tolist() == spec
    exact = [min(127, floor_half_up(Fraction(i * j, 128))) for i, j in pairs]
    assert spec == exact


def test_high_mul_of_all_int16_with_boundaries():
    a = np.arange(-(2**15), 2**15)
    for b in (-32768, -32767, -16384, -1, 1, 3, 16384, 23170, 32767):
        spec = [fp.saturating_rounding_doubling_high_mul_spec(int(v), b, 16) for v in a]
        assert fp.saturating_rounding_doubling_high_mul(a, b, 16).tolist() == spec


def test_high_mul_of_all_pairs_of_int32_boundaries():
    for a, b in itertools.product(EDGES, EDGES):
        expected = min(2**31 - 1, floor_half_up(Fraction(a * b, 2**31)))
        assert fp.saturating_rounding_doubling_high_mul_spec(a, b) == expected
    a, b = np.meshgrid(EDGES, EDGES)
    pairs = zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)
    spec = [fp.saturating_rounding_doubling_high_mul_spec(i, j) for i, j in pairs]
    assert fp.saturating_rounding_doubling_high_mul(a, b).ravel().tolist() == spec


@given(INT32, INT32)
def test_high_mul(a, b):
    spec = fp.saturating_rounding_doubling_high_mul_spec(a, b)
    assert spec == min(2**31 - 1, floor_half_up(Fraction(a * b, 2**31)))
    assert fp.saturating_rounding_doubling_high_mul(np.int32(a), np.int32(b)) == spec


# --- multiplier and shift -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)), (1.0, (2**30, 1)), (0.5, (2**30, 0)), (0.75, (1610612736, 0)), (3.0, (1610612736, 2)),
        (-0.75, (-1610612736, 0)),
        (1 / 3, (1431655765, -1)),  # 2/3 * 2^31 = 1431655765.33
        (1 - 2.0**-40, (2**30, 1)),  # the mantissa rounds up to 1
        (2.0**-32, (2**30, -31)), (2.0**-33, (0, 0)),  # the smallest that is not flushed to zero, and half
    ],
)  # fmt: skip
def test_quantize_multiplier_literals(real, expected):
    assert fp.quantize_multiplier_spec(real) == expected
    multiplier, shift = fp.quantize_multiplier(real)
    assert (int(multiplier), int(shift)) == expected
    assert multiplier.dtype == shift.dtype == np.int32


def test_quantize_multiplier_of_single_rounding_caps_the_shift():
    assert fp.quantize_multiplier_spec(2.0**31, "single") == (2**31 - 1, 30)
    assert fp.quantize_multiplier_spec(2.0**31, "double") == (2**30, 32)
    assert fp.quantize_multiplier_spec(2.0**29, "single") == (2**30, 30)


@given(st.floats(1e-13, 1e12) | st.floats(-1e12, 1e12), st.sampled_from(["double", "single"]))
def test_quantize_multiplier(real, rounding):
    multiplier, shift = fp.quantize_multiplier([real, 0.25], rounding)
    spec = fp.quantize_multiplier_spec(real, rounding)
    assert (int(multiplier[0]), int(shift[0])) == spec
    if spec[0] and shift[0] < 30:
        value = Fraction(spec[0]) * Fraction(2) ** (spec[1] - 31)
        assert abs(value - Fraction(real)) <= abs(Fraction(real)) * Fraction(1, 2**31)
        assert 2**30 <= abs(spec[0]) < 2**31


@pytest.mark.parametrize("real", [math.nan, math.inf])
def test_quantize_multiplier_rejects_what_is_not_finite(real):
    with pytest.raises(QuantizationError, match="expected a finite number"):
        fp.quantize_multiplier([0.5, real])


# --- rescaling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "multiplier", "shift", "double", "single"),
    [
        (1, 2**30, -1, 1, 0),  # 1/4: rounded to 1/2 upwards is 1, and 1/2 away from zero is 1 again
        (-1, 2**30, -1, 0, 0),  # -1/4: the tie of the first rounding goes up, to 0
        (100, 2**30, 0, 50, 50),
        (7, 2**30, 0, 4, 4),  # 3.5 goes up
        (-7, 2**30, 0, -3, -3),  # -3.5 goes up as well
        (-6, 2**30, -1, -2, -1),  # -1.5: away from zero in the right shift, but up in the only rounding
        (3, 1610612736, 4, 36, 36),
        (2**31 - 1, 2**31 - 1, 0, 2**31 - 2, 2**31 - 2),
        (-(2**31), 2**31 - 1, -31, -1, -1),
        (2**30, 2**30, 2, 0, -(2**31)),  # double: the shifted x wraps to 0; single: the result wraps
    ],
)
def test_multiply_by_quantized_multiplier_literals(x, multiplier, shift, double, single):
    for rounding, expected in (("double", double), ("single", single)):
        assert fp.multiply_by_quantized_multiplier_spec(x, multiplier, shift, rounding) == expected
        assert fp.multiply_by_quantized_multiplier(x, multiplier, shift, rounding) == expected


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_multiply_by_quantized_multiplier_at_all_boundaries(rounding):
    x = np.array(EDGES)
    for multiplier, shift in itertools.product(MULTIPLIERS, range(-31, 31)):
        result = fp.multiply_by_quantized_multiplier(x, multiplier, shift, rounding)
        spec = [fp.multiply_by_quantized_multiplier_spec(v, multiplier, shift, rounding) for v in EDGES]
        assert result.tolist() == spec


@given(INT32, st.integers(2**30, 2**31 - 1), st.integers(-31, 30), st.sampled_from(["double", "single"]))
def test_multiply_by_quantized_multiplier(x, multiplier, shift, rounding):
    spec = fp.multiply_by_quantized_multiplier_spec(x, multiplier, shift, rounding)
    assert fp.multiply_by_quantized_multiplier(np.int32(x), multiplier, shift, rounding) == spec
    exact = Fraction(x * multiplier) * Fraction(2) ** (shift - 31)
    if abs(exact) < 2**31 - 1 and abs(x) << max(shift, 0) < 2**31:
        assert abs(spec - exact) <= (1 if rounding == "double" else Fraction(1, 2))


def test_multiply_by_quantized_multiplier_per_channel():
    rng = np.random.default_rng(2)
    x = rng.integers(-(2**24), 2**24, (50, 7)).astype(np.int32)
    multiplier = rng.integers(2**30, 2**31, 7).astype(np.int32)
    shift = np.array([-12, -3, 0, 1, 4, -31, -1], np.int32)
    for rounding in ("double", "single"):
        result = fp.multiply_by_quantized_multiplier(x, multiplier, shift, rounding)
        assert result.dtype == np.int32
        for (i, c), value in np.ndenumerate(result):
            args = int(x[i, c]), int(multiplier[c]), int(shift[c]), rounding
            assert value == fp.multiply_by_quantized_multiplier_spec(*args)


@pytest.mark.parametrize("shift", [-32, 31])
def test_multiply_by_quantized_multiplier_rejects_shifts_that_c_does_not_define(shift):
    with pytest.raises(QuantizationError, match=f"output shift {shift} found, expected -31 to 30"):
        fp.multiply_by_quantized_multiplier([1], 2**30, [shift])


@given(st.integers(-(2**47), 2**47 - 1), st.integers(0, 2**31 - 1), st.integers(-31, 7))
def test_multiply_int64_by_quantized_multiplier(x, multiplier, shift):
    spec = fp.multiply_int64_by_quantized_multiplier_spec(x, multiplier, shift)
    assert fp.multiply_int64_by_quantized_multiplier(x, multiplier, shift) == spec


def test_multiply_int64_by_quantized_multiplier_literals():
    for x, multiplier, shift, expected in [
        (10, 2**30, 0, 5),
        (-7, 2**30, 0, -3),  # -3.5 goes up
        (2**40, 2**30, -20, 2**19),
        (2**15, 0x7FFFFFFF, 0, 32767),  # the multiplier is cut to 32767 / 32768
        (1 << 46, 2**30, 0, 0),  # 2^45 wraps
    ]:
        assert fp.multiply_int64_by_quantized_multiplier_spec(x, multiplier, shift) == expected
        assert fp.multiply_int64_by_quantized_multiplier([x], multiplier, shift)[0] == expected


# --- softmax parameters ---------------------------------------------------------------------------------


def test_calculate_input_radius():
    assert fp.calculate_input_radius(5, 10) == 2031616  # 31 * 2^16
    assert fp.calculate_input_radius(5, 26) == 31
    for bits, shift in itertools.product(range(1, 12), range(31)):
        in_double = math.floor(1.0 * ((1 << bits) - 1) * (1 << (31 - bits)) / (1 << shift))
        assert fp.calculate_input_radius(bits, shift) == in_double


def test_preprocess_softmax_scaling():
    assert fp.preprocess_softmax_scaling(1.0, 1 / 16) == (2**30, 23)  # 2^22
    assert fp.preprocess_softmax_scaling(1.0, 1e3) == (2**31 - 1, 31)  # capped at 2^31 - 1
    assert fp.preprocess_softmax_scaling(1.0, 1e3, rounding="single") == (2**31 - 2, 30)  # at 2^30 - 1
    with pytest.raises(QuantizationError, match="softmax: beta"):
        fp.preprocess_softmax_scaling(1.0, 2.0**-26)
