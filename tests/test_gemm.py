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
    im2col,
    integer_matmul,
    integer_matmul_loops,
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
