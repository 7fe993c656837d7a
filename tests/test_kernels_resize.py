"""Resized images against one pixel at a time, and blocks of pixels by hand."""

import math

import numpy as np
import pytest

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import DTYPES
from ptq.kernels.resize import depth_to_space, resize_bilinear_float, resize_nearest_neighbor, space_to_depth

F = np.float32
SIZES = [(1, 1), (1, 4), (2, 3), (3, 7), (5, 2), (4, 4), (7, 21)]


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def place(position, size, output_size, align, half):
    scale = F(F(size) / F(output_size))
    if align and output_size > 1:
        scale = F(F(size - 1) / F(output_size - 1))
    if half:
        return F(F(F(F(position) + F(0.5)) * scale) - F(0.5))
    return F(F(position) * scale)


def bilinear_row(values, output_size, align, half):
    """One row of pixels, one output at a time; the other direction has size 1 and the weights 1 and 0."""
    result = []
    for position in range(output_size):
        where = place(position, len(values), output_size, align, half)
        lower = max(math.floor(where), 0)
        upper = min(math.ceil(where), len(values) - 1)
        distance = F(where - F(lower))
        result.append(F(F(values[lower] * F(F(1) - distance)) + F(values[upper] * distance)))
    return result


@pytest.mark.parametrize(("align", "half"), [(False, False), (True, False), (False, True)])
def test_bilinear_in_one_direction(align, half):
    rng = np.random.default_rng(0)
    for size, output_size in SIZES:
        values = rng.normal(size=size).astype(np.float32)
        expected = bilinear_row(values, output_size, align, half)
        across = resize_bilinear_float(values.reshape(1, 1, size, 1), 1, output_size, align, half)
        down = resize_bilinear_float(values.reshape(1, size, 1, 1), output_size, 1, align, half)
        assert across.ravel().tolist() == down.ravel().tolist() == expected


def test_where_the_points_lie():
    x = np.array([0, 8], np.float32).reshape(1, 1, 2, 1)
    assert resize_bilinear_float(x, 1, 4).ravel().tolist() == [0, 4, 8, 8]
    assert resize_bilinear_float(x, 1, 5, align_corners=True).ravel().tolist() == [0, 2, 4, 6, 8]
    assert resize_bilinear_float(x, 1, 4, half_pixel_centers=True).ravel().tolist() == [0, 2, 6, 8]


def test_an_infinite_neighbour_with_weight_zero_is_felt_and_minus_zero_is_lost():
    x = np.array([1, np.inf], np.float32).reshape(1, 1, 2, 1)
    assert np.isnan(resize_bilinear_float(x, 1, 2)).tolist() == [[[[False], [True]]]]
    assert not np.signbit(resize_bilinear_float(np.full((1, 1, 1, 1), -0.0, np.float32), 2, 2)).any()


def test_nearest_takes_the_pixel_before_or_the_nearest_one():
    x = numbered(1, 1, 4, 1)
    assert resize_nearest_neighbor(x, 1, 3).ravel().tolist() == [0, 1, 2]
    assert resize_nearest_neighbor(x, 1, 3, align_corners=True).ravel().tolist() == [0, 2, 3]  # 1.5 is a tie
    assert resize_nearest_neighbor(x, 1, 3, half_pixel_centers=True).ravel().tolist() == [0, 2, 3]
    assert resize_nearest_neighbor(x, 2, 2).ravel().tolist() == [0, 2, 0, 2]


def test_a_block_of_pixels_becomes_channels_row_by_row():
    x = numbered(1, 2, 4, 1)
    deep = space_to_depth(x, 2)
    assert deep.tolist() == [[[[0, 1, 4, 5], [2, 3, 6, 7]]]]
    assert depth_to_space(deep, 2).tolist() == x.tolist()
    y = numbered(1, 1, 1, 8)
    assert depth_to_space(y, 2).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_is_moved_unchanged(dtype):
    x = numbered(1, 2, 2, 4, dtype=dtype)
    for result in (resize_nearest_neighbor(x, 2, 2), space_to_depth(x, 2), depth_to_space(x, 2)):
        assert result.dtype == dtype
        assert sorted(result.ravel().tolist(), key=str) == sorted(x.ravel().tolist(), key=str)


def test_what_does_not_fit_is_refused():
    x = numbered(1, 3, 3, 3)
    with pytest.raises(UnsupportedError, match="one of them"):
        resize_bilinear_float(x, 2, 2, True, True)
    for kernel in (resize_bilinear_float, resize_nearest_neighbor):
        for image, height in ((x, 0), (x, -1), (x[:, :0], 2)):
            with pytest.raises(ShapeError, match="positive sizes"):
                kernel(image, height, 2)
        with pytest.raises(ShapeError, match="batch, height"):
            kernel(x[0], 2, 2)
    for block in (0, 2, -1):
        with pytest.raises(ShapeError, match="multiple"):
            depth_to_space(x, block)
        with pytest.raises(ShapeError, match="multiples"):
            space_to_depth(x, block)
