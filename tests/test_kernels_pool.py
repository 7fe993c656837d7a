"""Pools, against loops over the windows one number at a time."""

import itertools

import numpy as np
import pytest

from ptq.errors import ShapeError
from ptq.graph import Operator, Tensor
from ptq.kernels import pool
from ptq.kernels.call import Call
from ptq.kernels.pool import average_pool2d_float, max_pool2d_float

F = np.float32


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
    out = np.empty((x.shape[0], len(rows), len(columns), x.shape[3]), F)
    for n, (i, (top, bottom)), (j, (left, right)), c in itertools.product(
        range(x.shape[0]), enumerate(rows), enumerate(columns), range(x.shape[3])
    ):
        out[n, i, j, c] = reduce(x[n, top:bottom, left:right, c].ravel())
    return out


def average(values):
    total = F(0)
    for value in values:
        total = F(total + value)
    return F(total / F(len(values)))


def largest(values):
    found = -np.finfo(F).max
    for value in values:
        if found < value:
            found = value
    return found


CASES = [
    ((1, 5, 7, 3), (2, 2), (2, 2)), ((2, 6, 6, 1), (3, 3), (1, 1)), ((1, 7, 4, 2), (3, 2), (1, 3)),
    ((1, 4, 4, 5), (4, 4), (1, 1)), ((2, 9, 8, 2), (5, 7), (4, 3)), ((1, 3, 3, 2), (1, 1), (2, 2)),
]  # fmt: skip


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("shape", "size", "stride"), CASES)
def test_pools_equal_the_loops(shape, size, stride, padding):
    x = (np.random.default_rng(0).normal(size=shape) * 100).astype(F)
    found = average_pool2d_float(x, size, stride, padding)
    assert found.tobytes() == pooled(x, size, stride, padding, average).tobytes()
    found = max_pool2d_float(x, size, stride, padding)
    assert found.tobytes() == pooled(x, size, stride, padding, largest).tobytes()


def test_a_window_larger_than_the_image_is_cut():
    x = np.arange(6, dtype=F).reshape(1, 2, 3, 1)
    found = average_pool2d_float(x, (9, 9), (1, 1), "SAME")
    assert found.tobytes() == pooled(x, (9, 9), (1, 1), "SAME", average).tobytes()
    np.testing.assert_array_equal(max_pool2d_float(x, (9, 9), (1, 1), "SAME"), np.full_like(x, 5))


def test_max_pool_ignores_nan_and_average_pool_does_not():
    x = np.array([1, np.nan, np.nan, np.nan, -np.inf, -np.inf], F).reshape(1, 1, 6, 1)
    lowest = -np.finfo(F).max
    assert max_pool2d_float(x, (1, 2), (1, 2)).ravel().tolist() == [1, lowest, lowest]
    assert np.isnan(average_pool2d_float(x, (1, 2), (1, 2)).ravel()).tolist() == [True, True, False]


def test_fused_activation():
    x = np.array([-9, -5, 8, 20], F).reshape(1, 1, 4, 1)
    assert average_pool2d_float(x, (1, 2), (1, 2), activation="RELU6").ravel().tolist() == [0, 6]
    assert max_pool2d_float(x, (1, 2), (1, 2), activation="RELU_N1_TO_1").ravel().tolist() == [-1, 1]


@pytest.mark.parametrize("function", [average_pool2d_float, max_pool2d_float])
def test_input_that_does_not_fit(function):
    with pytest.raises(ShapeError, match="batch, height"):
        function(np.zeros((2, 3, 4), F), (1, 1))
    with pytest.raises(ShapeError, match="do not fit"):
        function(np.zeros((1, 2, 2, 1), F), (3, 3))


def test_registry_reads_vertical_and_horizontal_options_apart():
    options = {
        "filter_height": 1, "filter_width": 3, "stride_h": 2, "stride_w": 1, "padding": "VALID",
        "fused_activation_function": "RELU",
    }  # fmt: skip
    x = np.random.default_rng(2).normal(size=(1, 4, 5, 2)).astype(F)
    call = Call(Operator("MAX_POOL_2D", [0], [1], options), [Tensor("x", x.shape)], [x], [Tensor("y", ())])
    (found,) = pool.FLOAT["MAX_POOL_2D"](call)
    assert found.tobytes() == max_pool2d_float(x, (1, 3), (2, 1), "VALID", "RELU").tobytes()
    assert found.shape == (1, 2, 3, 2)
