"""Integer reductions, against Python's integers."""

import numpy as np
import pytest
from quantized_operators import run_one

from ptq import fixed_point as fp
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.kernels.integer.parameters import Rescale
from ptq.kernels.integer.reduce import divided, mean_integer, sum_integer
from ptq.numerics import LITERT_REFERENCE, TFLITE_MICRO

ONE = Rescale.by(1, LITERT_REFERENCE)


def axes(*numbers):
    return {"constants": [np.array(numbers, np.int32)]}


def test_a_mean_by_hand():
    x = np.array([[1, 2, 3, 5], [-128, -128, -128, -127]], np.int8)
    assert mean_integer(x, 1, (0, 0), ONE).tolist() == [3, -128]  # 2.75 and -127.75
    assert mean_integer(x, [0, -1], (0, 0), ONE, keep_dims=True).tolist() == [[-63]]  # -62.5, away from zero
    assert mean_integer(x, [], (0, 1), ONE).tolist() == [[2, 3, 4, 6], [-127, -127, -127, -126]]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 49, 50, 1000, 2**20])
@pytest.mark.parametrize("real", [1.0, 0.013, 37.5, 2.0**-30])
def test_one_over_n_goes_into_the_multiplier(real, count):
    multiplier, shift = fp.quantize_multiplier_spec(real)
    gained = min(count.bit_length() - 1, 31 + shift)
    rescale = divided(Rescale.by(real, LITERT_REFERENCE), count)
    assert int(rescale.output_multiplier) == (multiplier << gained) // count
    assert int(rescale.output_shift) == shift - gained >= -31
    factor = int(rescale.output_multiplier) * 2.0 ** (int(rescale.output_shift) - 31)
    # the multiplier is rounded down by less than 1; it has lost the bits that the shift has no room for
    assert factor <= real / count * (1 + 2**-30) < factor + 2.0 ** (int(rescale.output_shift) - 31) * 2


def test_a_mean_rescales_and_moves_the_zero_point():
    x = np.random.default_rng(0).integers(-128, 128, (2, 7, 7, 3)).astype(np.int8)
    found = run_one("MEAN", [(x, 0.05, -7)], (0.01, 20), **axes(1, 2), options={"keep_dims": True})
    rescale = divided(Rescale.by(float(np.float32(0.05)) / float(np.float32(0.01)), LITERT_REFERENCE), 49)
    factor = int(rescale.output_multiplier), int(rescale.output_shift)
    sums = [sum(int(v) + 7 for v in x[n, :, :, c].ravel()) for n in range(2) for c in range(3)]
    scaled = [fp.multiply_by_quantized_multiplier_spec(total, *factor) for total in sums]
    assert found.shape == (2, 1, 1, 3)
    assert found.ravel().tolist() == [min(max(v + 20, -128), 127) for v in scaled]


def test_sums_saturate():
    x = np.array([[100, 100], [-3, 1]], np.int8)
    assert sum_integer(x, 1, (0, 0), ONE).tolist() == [127, -2]
    assert run_one("SUM", [(x, 1, 1)], (2, 10), TFLITE_MICRO, **axes(0)).tolist() == [58, 60]
    assert run_one("SUM", [(x.view(np.uint8), 1, 0)], (2, 0), **axes(1)).tolist() == [100, 127]


def test_the_largest_and_the_smallest():
    x = np.array([[1, -5, 3], [-128, 127, 0]], np.int8)
    assert run_one("REDUCE_MAX", [(x, 1, 3)], (1, 3), **axes(1)).tolist() == [3, 127]
    assert run_one("REDUCE_MIN", [(x, 1, 3)], (1, 3), **axes(0)).tolist() == [-128, -5, 0]
    with pytest.raises(QuantizationError, match="QUANTIZE"):
        run_one("REDUCE_MAX", [(x, 1, 3)], (1, 4), **axes(1))


def test_nothing_at_all():
    empty = np.zeros((0, 3), np.int8)
    assert mean_integer(empty, 0, (5, 7), ONE).tolist() == [0, 0, 0]
    assert mean_integer(np.int8(5)[...], 0, (3, 1), ONE).tolist() == 3


def test_what_does_not_fit_is_refused():
    x = np.ones((2, 2), np.int8)
    with pytest.raises(ShapeError, match="axes"):
        mean_integer(x, 2, (0, 0), ONE)
    with pytest.raises(QuantizationError, match="expected 0"):
        run_one("MEAN", [(x.astype(np.int16), 1, 1)], (1, 0), **axes(0))
    with pytest.raises(UnsupportedError, match="REDUCE_PROD"):
        run_one("REDUCE_PROD", [(x, 1, 0)], (1, 0), **axes(0))
