"""Operators that make a tensor out of its size."""

import numpy as np
import pytest

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import DTYPES
from ptq.kernels.filling import broadcast_to, fill, range_vector, shape_vector, tile, zeros_like


def scalars(dtype, *values):
    return [np.array(value, dtype) for value in values]


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_is_repeated_unchanged(dtype):
    x = np.arange(2).astype(dtype)
    for result in (fill([2], x[1:]), tile(x, [2]), broadcast_to(x, [3, 2]), zeros_like(x)):
        assert result.dtype == dtype
    assert fill([2, 1], x[1:]).tolist() == [[x[1]], [x[1]]]
    assert tile(x, [2]).tolist() == [*x.tolist(), *x.tolist()]
    assert broadcast_to(x, [2, 2]).tolist() == [x.tolist(), x.tolist()]
    assert not zeros_like(x).any()


def test_shape():
    assert shape_vector(np.zeros((2, 0, 3))).tolist() == [2, 0, 3]
    assert shape_vector(np.zeros((2, 3)), "INT64").dtype == np.int64
    assert shape_vector(np.zeros(())).shape == (0,)
    with pytest.raises(UnsupportedError, match="FLOAT32"):
        shape_vector(np.zeros(2), "FLOAT32")


def test_tile_repeats_along_every_dimension():
    x = np.array([[1, 2], [3, 4]])
    assert tile(x, [1, 2]).tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    assert tile(x, [2, 1]).tolist() == [[1, 2], [3, 4], [1, 2], [3, 4]]
    assert tile(x, [0, 3]).shape == (0, 6)
    for wrong in ([2], [1, -1], [1, 1, 1]):
        with pytest.raises(ShapeError, match="TILE"):
            tile(x, wrong)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=">= 0"):
        fill([2, -1], np.zeros(()))
    with pytest.raises(ShapeError, match="one element"):
        fill([2], np.zeros(2))
    for wrong in ([3], [2, 3], [2, -1], [2, 1]):
        with pytest.raises(ShapeError, match="BROADCAST_TO"):
            broadcast_to(np.zeros((1, 2)), wrong)


def test_a_range_of_integers_is_pythons():
    cases = [(0, 5, 1), (0, 5, 2), (5, 0, -2), (-3, 4, 7), (-3, 4, 8), (2, 2, 1), (2, 2, -1)]
    for start, limit, delta in cases:
        for dtype in (np.int32, np.int64):
            found = range_vector(*scalars(dtype, start, limit, delta))
            assert found.dtype == dtype
            assert found.tolist() == list(range(start, limit, delta))


def test_a_range_of_floats_adds_its_rounding_errors_up():
    expected, value = [], np.float32(0)
    for _ in range(1000):
        expected.append(value)
        value = np.float32(value + np.float32(0.1))
    found = range_vector(*scalars(np.float32, 0, 100, 0.1))
    assert found.tolist() == expected
    assert found[-1] != np.float32(999 * 0.1)


def test_ranges_that_lead_nowhere_are_refused():
    for dtype, values in [
        (np.int32, (0, 5, 0)), (np.int32, (0, 5, -1)), (np.float32, (5, 0, 1)),
        (np.float32, (0, np.inf, 1)), (np.float32, (0, 1, np.nan)), (np.float32, (0, 1e38, 1e-38)),
    ]:  # fmt: skip
        with pytest.raises(ShapeError, match="RANGE"):
            range_vector(*scalars(dtype, *values))
    with pytest.raises(UnsupportedError, match="overflow"):
        range_vector(*scalars(np.int32, -(2**31), 2**31 - 1, 2**30))
    with pytest.raises(UnsupportedError, match="float64"):
        range_vector(*scalars(np.float64, 0, 1, 1))
    with pytest.raises(ShapeError, match="three scalars"):
        range_vector(np.zeros(2, np.int32), *scalars(np.int32, 1, 1))
