"""Integer activations over all inputs, against Python's integers."""

import math

import numpy as np
import pytest
from quantized_operators import run_one

from ptq import fixed_point as fp
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.kernels.integer.activation import (
    HardSwish,
    clamp_integer,
    hard_swish_integer,
    l2_normalization_integer,
    leaky_relu_integer,
    relu_integer,
)
from ptq.kernels.integer.parameters import Rescale
from ptq.numerics import LITERT_REFERENCE, TFLITE_MICRO

F = np.float32
EVERY = np.arange(-128, 128).astype(np.int8)


def rescaled(x, real):
    return fp.multiply_by_quantized_multiplier_spec(x, *fp.quantize_multiplier_spec(float(real)))


def clip(x, low=-128, high=127):
    return min(max(x, low), high)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("RELU", 0, None), ("RELU6", 0, 6), ("RELU_N1_TO_1", -1, 1)]
)
def test_relu(kind, low, high):
    (si, zi), (so, zo) = (F(0.07), -20), (F(0.05), -60)
    found = run_one(kind, [(EVERY, si, zi)], (so, zo))
    least = zo + fp.round_half_away_spec(float(F(low) / so))
    most = 127 if high is None else zo + fp.round_half_away_spec(float(F(high) / so))
    assert found.tolist() == [clip(rescaled(int(v) - zi, si / so) + zo, least, most) for v in EVERY]


def test_relu6_of_micro_copies_integers():
    arguments = "RELU6", [(EVERY, 0.1, -20)], (0.05, -60)
    assert run_one(*arguments, TFLITE_MICRO).tolist() == [clip(int(v), -20, 40) for v in EVERY]
    assert run_one(*arguments).tolist() != run_one(*arguments, TFLITE_MICRO).tolist()
    assert clamp_integer(np.array([-5, 5], np.int16), (-1, 3)).tolist() == [-1, 3]


@pytest.mark.parametrize("alpha", [0.2, -0.3, 1.5])
def test_leaky_relu(alpha):
    (si, zi), (so, zo) = (F(0.07), 5), (F(0.06), -9)
    found = run_one("LEAKY_RELU", [(EVERY, si, zi)], (so, zo), options={"alpha": alpha})
    slope = abs(F(F(si * F(alpha)) / so))

    def of(x):
        return rescaled(x, si / so) if x >= 0 else int(math.copysign(1, alpha)) * rescaled(x, slope)

    assert found.tolist() == [clip(of(int(v) - zi) + zo) for v in EVERY]


def test_relus_work_on_bare_arrays():
    one, half = (Rescale.by(real, LITERT_REFERENCE) for real in (1, 0.5))
    x = np.array([-8, 0, 3, 200], np.int16)
    assert relu_integer(x, (0, 0), half, (0, 50)).tolist() == [0, 0, 2, 50]
    assert leaky_relu_integer(x, (0, 1), one, half).tolist() == [-3, 1, 4, 201]


def halved(multiplier):
    return min((multiplier + 2**15) >> 16, 2**15 - 1)


def hard_swish(x, si, zi, so, zo):
    """The 16-bit arithmetic of one input, step by step."""
    fine = F(si) / F(128)
    output, output_exponent = fp.quantize_multiplier_spec(float(F(fine / F(so))))
    gate, exponent = fp.quantize_multiplier_spec(float(F(fine / F(3 / 32768))))
    value = (x - zi) << 7
    on_output = fp.saturating_rounding_doubling_high_mul_spec(value, halved(output), 16)
    if exponent > 0:
        value = fp.saturating_left_shift_spec(value, exponent - 1, 16)
    value = fp.saturating_rounding_doubling_high_mul_spec(value, halved(gate), 16)
    if exponent > 0:
        value = fp.saturating_left_shift_spec(value, 1, 16)
    if exponent < 0:
        value = fp.rounding_divide_by_pot_spec(value, -exponent)
    product = ((value + 2**15) >> 1) * on_output
    product = abs(product) >> 15 if product >= 0 else -(abs(product) >> 15)
    return clip(fp.rounding_divide_by_pot_spec(product, -output_exponent) + zo)


@pytest.mark.parametrize(
    ("si", "zi", "so", "zo"), [(0.05, 3, 0.03, -118), (0.4, -128, 0.2, 0), (0.003, 127, 0.01, 9)]
)
def test_hard_swish(si, zi, so, zo):
    found = run_one("HARD_SWISH", [(EVERY, si, zi)], (so, zo))
    assert found.tolist() == [hard_swish(int(v), si, zi, so, zo) for v in EVERY]


def test_hard_swish_is_close_to_the_function():
    factors = HardSwish.of(F(0.05), F(0.05))
    real = EVERY * 0.05
    exact = real * np.clip(real + 3, 0, 6) / 6 / 0.05
    # half a step for the output; factors and gate are right to 2^-15 each, of at most 128 steps, and the
    # product, of which 1/128 of a step is the last bit, is cut off
    error = np.abs(hard_swish_integer(EVERY, (0, 0), factors) - exact)
    assert error.max() <= 0.5 + 3 * 128 * 2.0**-15 + 2 * 2.0**-7
    with pytest.raises(QuantizationError, match="1/128"):
        HardSwish.of(F(1), F(2**-8))


def test_l2_normalization():
    x = np.array([[3, 4], [-120, 50], [0, 0], [127, 127]], np.int8)
    assert l2_normalization_integer(x, 0).tolist() == [[77, 102], [-118, 49], [0, 0], [91, 91]]
    x = (x.astype(np.int16) + 128).astype(np.uint8)
    assert run_one("L2_NORMALIZATION", [(x, 0.5, 128)], (1 / 128, 128)).tolist()[0] == [205, 230]
    with pytest.raises(ShapeError):
        l2_normalization_integer(np.int8(1)[...], 0)
    with pytest.raises(QuantizationError, match="expected"):
        run_one("L2_NORMALIZATION", [(x, 0.5, 128)], (1 / 64, 128))


def test_types_without_a_kernel_are_refused():
    for kind in ("RELU_N1_TO_1", "HARD_SWISH", "L2_NORMALIZATION"):
        with pytest.raises(UnsupportedError, match="no kernel"):
            run_one(kind, [(np.ones(3, np.int16), 1, 0)], (1, 0))
