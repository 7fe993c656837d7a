"""The exact integer product against Python's integers, at and beyond the bound of float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptq.gemm import (
    FLOAT32_EXACT,
    LARGEST_OPERAND,
    ORDERED_BLOCK,
    ExactWeights,
    IntegerWeights,
    MultiplyShift,
    im2col,
    integer_matmul,
    integer_matmul_loops,
    largest_magnitude,
    multiply_integers,
    ordered_matmul,
)


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 40), st.integers(1, 6))
def test_the_product_equals_python_integers(seed, rows, inner, columns):
    rng = np.random.default_rng(seed)
    x = rng.integers(-255, 256, (rows, inner))
    weights = rng.integers(-128, 128, (columns, inner)).astype(np.int8)
    product = integer_matmul(x.astype(np.float32), ExactWeights.prepare(weights))
    assert np.array_equal(product.astype(np.int64), integer_matmul_loops(x, weights))


@pytest.mark.parametrize("inner", [513, 514, 515, 517, 1029, 2049, 10_001])
def test_the_worst_case_stays_exact_where_one_float32_product_does_not(inner):
    # an odd sum above 2^24 is no float32, so that a single float32 product cannot be right
    x = np.full((1, inner), 255.0, np.float32)
    x[0, -1] = 254 if inner % 2 == 0 else 255
    weights = np.full((2, inner), -127, np.int8)
    expected = sum(int(v) * -127 for v in x[0])
    prepared = ExactWeights.prepare(weights)
    assert integer_matmul(x, prepared).astype(np.int64).tolist() == [[expected, expected]]
    assert prepared.lowest == -127


def test_the_bound_is_tight():
    def matrix(last):  # norm = FLOAT32_EXACT // 255 + (last - 17): 2^24 / 255 = 65793.0039...
        return np.array([[127] * 518 + [last]], np.int8)

    assert 518 * 127 + 7 == FLOAT32_EXACT // LARGEST_OPERAND
    assert len(ExactWeights.prepare(matrix(7)).blocks) == 1
    assert len(ExactWeights.prepare(matrix(8)).blocks) == 2


def test_small_weights_need_no_blocks_however_long_the_row():
    weights = np.ones((3, 60_000), np.int8)
    assert len(ExactWeights.prepare(weights).blocks) == 1


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 40), st.integers(1, 6))
def test_the_ordered_product_is_the_loop_s(seed, rows, inner, columns):
    rng = np.random.default_rng(seed)
    x, weights = (rng.normal(0, 1, (n, inner)).astype(np.float32) for n in (rows, columns))
    out = np.empty((rows, columns), np.float32)
    ordered_matmul(x, weights, out)
    for m, n in np.ndindex(out.shape):
        total = np.float32(0)
        for k in range(inner):
            total = np.float32(total + np.float32(x[m, k] * weights[n, k]))
        assert out[m, n] == total


def test_the_ordered_product_of_many_rows_goes_block_by_block():
    x = np.arange(3 * ORDERED_BLOCK, dtype=np.float32).reshape(-1, 1)
    out = np.empty((len(x), 2), np.float32)
    ordered_matmul(x, np.array([[1], [2]], np.float32), out)
    assert np.array_equal(out, x * np.array([1, 2], np.float32))


@pytest.mark.parametrize("kernel,stride,dilation", [((1, 1), (1, 1), (1, 1)), ((3, 2), (2, 1), (1, 2))])
def test_im2col_rows_are_the_patches_that_a_loop_cuts_out(kernel, stride, dilation):
    image = np.arange(7 * 6 * 3, dtype=np.float32).reshape(7, 6, 3)
    patches = im2col(image, kernel, stride, dilation)
    for y in range(patches.shape[0]):
        for x in range(patches.shape[1]):
            expected = [
                image[y * stride[0] + i * dilation[0], x * stride[1] + j * dilation[1], c]
                for i in range(kernel[0])
                for j in range(kernel[1])
                for c in range(3)
            ]
            assert patches[y, x].tolist() == expected
    assert patches.shape[0] == (7 - (kernel[0] - 1) * dilation[0] - 1) // stride[0] + 1


@given(
    st.integers(0, 2**32),
    st.sampled_from([np.int8, np.uint8, np.int16]),
    st.sampled_from([np.int8, np.int16]),
    st.integers(0, 300),
)
def test_integers_in_and_integers_out(seed, input_type, weights_type, inner):
    rng = np.random.default_rng(seed)
    limits = np.iinfo(input_type)
    x = rng.integers(limits.min, limits.max + 1, (3, inner)).astype(input_type)
    weights = rng.integers(-128, 128, (4, inner)).astype(weights_type)
    if weights_type == np.int16:
        weights *= 255
    prepared = IntegerWeights.prepare(weights, largest_magnitude(input_type))
    expected = integer_matmul_loops(x, weights)
    assert np.array_equal(multiply_integers(x, prepared, np.empty((3, 4), np.int64)), expected)
    assert np.abs(expected).max(initial=0) <= prepared.bound
    wrapped = multiply_integers(x, prepared, np.empty((3, 4), np.int32))
    assert np.array_equal(wrapped, expected.astype(np.int32))


def test_float64_takes_over_where_float32_would_need_short_blocks():
    def prepared(largest, magnitude, inner=2000):
        weights = np.full((1, inner), magnitude, np.int16)
        blocks = IntegerWeights.prepare(weights, largest).blocks
        return [(block.dtype, stop - start) for start, stop, block in blocks]

    assert prepared(128, 65) == [(np.float32, 2000)]  # 128 * 65 * 2000 < 2^24
    assert prepared(128, 127) == [(np.float32, 1032), (np.float32, 968)]
    assert prepared(255, 255) == [(np.float32, 258)] * 7 + [(np.float32, 194)]
    assert prepared(32768, 127) == [(np.float64, 2000)]
    assert prepared(32768, 127, inner=4) == [(np.float32, 4)]  # 32768 * 127 * 4 < 2^24
    assert prepared(32768, 127, inner=5) == [(np.float64, 5)]


def test_integers_beyond_the_bound_of_the_weights_are_refused():
    prepared = IntegerWeights.prepare(np.ones((1, 2), np.int8), largest_magnitude(np.int8))
    with pytest.raises(AssertionError):
        multiply_integers(np.ones((1, 2), np.int16), prepared, np.empty((1, 1), np.int32))


@given(
    st.integers(0, 2**31 - 1), st.integers(0, 50), st.integers(0, 2**52),
    st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=9),
)  # fmt: skip
def test_quotients_through_float64_are_those_of_python(multiplier, shift, addend, xs):
    arrays = [np.array([n]) for n in (multiplier, addend, shift)]
    bound = max(map(abs, xs))
    prepared = MultiplyShift.prepare(*arrays, bound)
    assert (prepared is None) == (bound * multiplier + addend > 2**53)
    if prepared is not None:
        out = np.empty((len(xs), 3), np.int64)
        prepared.repeated(4)(np.array([[x] * 3 for x in xs]), out)
        quotients = [[(x * multiplier + addend) >> shift] * 3 for x in xs]
        assert np.maximum(out, 0).tolist() == [[max(q, 0) for q in row] for row in quotients]
