"""Integer pools, against loops over the windows."""

import itertools

import numpy as np
import pytest
from quantized_operators import run_one

from ptq.errors import QuantizationError, ShapeError
from ptq.kernels.integer.pool import average_pool2d_integer, max_pool2d_integer
from ptq.numerics import TFLITE_MICRO

CASES = [
    ((1, 5, 7, 3), (2, 2), (2, 2)), ((2, 6, 6, 1), (3, 3), (1, 1)), ((1, 7, 4, 2), (3, 2), (1, 3)),
    ((1, 4, 4, 5), (4, 4), (1, 1)), ((2, 9, 8, 2), (5, 7), (4, 3)), ((1, 3, 3, 2), (1, 1), (2, 2)),
]  # fmt: skip


def windows(length, size, stride, padding):
    """(start, end) of each window inside the image; SAME pads evenly, the odd element at the end."""
    if padding == "VALID":
        return [(start, start + size) for start in range(0, length - size + 1, stride)]
    count = -(-length // stride)
    before = max((count - 1) * stride + size - length, 0) // 2
    starts = [i * stride - before for i in range(count)]
    return [(max(start, 0), min(start + size, length)) for start in starts]


def pooled(x, size, stride, padding, reduce):
    rows = windows(x.shape[1], size[0], stride[0], padding)
    columns = windows(x.shape[2], size[1], stride[1], padding)
    out = np.empty((x.shape[0], len(rows), len(columns), x.shape[3]), x.dtype)
    for n, (i, (top, bottom)), (j, (left, right)), c in itertools.product(
        range(x.shape[0]), enumerate(rows), enumerate(columns), range(x.shape[3])
    ):
        out[n, i, j, c] = reduce([int(v) for v in x[n, top:bottom, left:right, c].ravel()])
    return out


def average(values):
    """Half is added to the size of the sum before C's division, which truncates."""
    total, count = sum(values), len(values)
    size = (abs(total) + count // 2) // count
    return size if total > 0 else -size


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("shape", "size", "stride"), CASES)
def test_pools(shape, size, stride, padding, dtype):
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, shape).astype(dtype)
    found = average_pool2d_integer(x, size, stride, padding)
    np.testing.assert_array_equal(found, pooled(x, size, stride, padding, average))
    found = max_pool2d_integer(x, size, stride, padding)
    np.testing.assert_array_equal(found, pooled(x, size, stride, padding, max))
    assert found.dtype == dtype


def test_ties_are_rounded_away_from_zero():
    x = np.array([3, 4, -3, -4, 1, 0, -1, 0], np.int8).reshape(1, 1, 8, 1)
    assert average_pool2d_integer(x, (1, 2), (1, 2)).ravel().tolist() == [4, -4, 1, -1]


def test_bounds():
    x = np.array([-100, 50, 100], np.int8).reshape(1, 1, 3, 1)
    assert max_pool2d_integer(x, (1, 1), bounds=(-3, 60)).ravel().tolist() == [-3, 50, 60]
    with pytest.raises(ShapeError):
        max_pool2d_integer(x, (2, 2))


def test_a_window_far_larger_than_the_image():
    x = np.array([-100, 50, 100], np.int8).reshape(1, 1, 3, 1)
    huge = (2**31 - 1, 2**31 - 1)
    assert average_pool2d_integer(x, huge, (1, 1), "SAME").ravel().tolist() == [17, 17, 17]


def test_only_micro_looks_at_the_scales():
    x = np.array([-100, 50, 100], np.int8).reshape(1, 1, 3, 1)
    options = {"filter_height": 1, "filter_width": 3, "stride_h": 1, "stride_w": 1, "padding": "VALID"}
    options = {"options": options}
    assert run_one("MAX_POOL_2D", [(x, 0.5, 3)], (0.25, 3), **options).ravel().tolist() == [100]
    with pytest.raises(QuantizationError, match="QUANTIZE"):
        run_one("MAX_POOL_2D", [(x, 0.5, 3)], (0.25, 3), TFLITE_MICRO, **options)
