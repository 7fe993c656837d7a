"""ptq.quantizer: every formula against scalar arithmetic, on data that is rich in ties."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptq import quantizer as qz
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import round_half_away_spec
from ptq.graph import Quantization

F = np.float32
FORMULAS = ("mlir_dynamic_range", "legacy_dynamic_range", "mlir_full_integer", "legacy_full_integer")
ALL_INT8 = np.arange(-128, 128).astype(np.int8)


def weights_spec(values: list[float], formula: str, per_tensor: bool) -> tuple[list[int], float]:
    """One channel by scalar arithmetic: Python floats are doubles, np.float32 scalars round each step."""
    m = max((abs(v) for v in values), default=0.0)
    if formula.startswith("mlir"):
        m = m if 2 * m > 1e-6 else max(m, 5e-7)
        scale = F(m / 127)
        if formula == "mlir_dynamic_range":
            quotients = [v / (m / 127) for v in values]
        else:
            inverse = F(1) / scale
            quotients = [float(F(v) * inverse) for v in values]
    elif m == 0:
        return [0] * len(values), 1.0 if per_tensor else 0.0
    else:
        scale = F(m) / F(127)
        inverse = F(127) / F(m)
        quotients = [float(F(v) * inverse) for v in values]
    return [max(-127, min(127, round_half_away_spec(y))) for y in quotients], float(scale)


def tie_rows(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Rows of half-integer multiples of a scale, one of them 127 times it, as float32."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(1e-3, 1, (rows, 1))
    w = (rng.integers(-127, 127, (rows, columns)) + 0.5) * scales
    w[:, :1] = 127 * scales
    return w.astype(F)


# --- weights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, -1])
def test_weight_formulas_on_ties(formula, axis):
    w = tie_rows(12, 5 * 3 * 8).reshape(12, 5, 3, 8)
    if axis is not None:
        w = np.moveaxis(w, 0, axis)  # so that the tie-rich channels are those of the axis
    q, quantization = qz.quantize_weights(w, formula, axis)
    assert q.dtype == np.int8 and q.shape == w.shape and quantization.scale.dtype == F
    channels = [w.ravel()] if axis is None else np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
    found = [q.ravel()] if axis is None else np.moveaxis(q, axis, 0).reshape(w.shape[axis], -1)
    assert quantization.scale.size == quantization.zero_point.size == len(channels)
    assert quantization.quantized_dimension == (0 if axis is None else axis % 4)
    for c, (channel, integers) in enumerate(zip(channels, found, strict=True)):
        expected, scale = weights_spec(channel.tolist(), formula, axis is None)
        assert integers.tolist() == expected
        assert quantization.scale[c] == F(scale)


def test_the_formulas_differ_on_ties_except_the_two_legacy_ones():
    w = tie_rows(64, 256)
    results = {formula: qz.quantize_weights(w, formula, 0)[0] for formula in FORMULAS}
    assert np.array_equal(results["legacy_dynamic_range"], results["legacy_full_integer"])
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert np.any(results[FORMULAS[a]] != results[FORMULAS[b]])


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3, 70001), 0), ((70001, 3), 1), ((7, 4, 5003), 1), ((200_003,), None), ((1, 3, 3, 9001), 3),
        ((90001, 1), 0),
    ],
)
@pytest.mark.parametrize("formula", FORMULAS)
def test_weights_longer_than_a_block(shape, axis, formula):
    w = np.random.default_rng(4).normal(size=shape).astype(F)
    q, quantization = qz.quantize_weights(w, formula, axis)
    m = np.abs(w).max(axis=tuple(set(range(w.ndim)) - {axis}), keepdims=True)
    if formula == "mlir_dynamic_range":
        y = w.astype(np.float64) / (m.astype(np.float64) / 127)
    elif formula == "mlir_full_integer":
        y = (w * (F(1) / (m / F(127)))).astype(np.float64)
    else:
        y = (w * (F(127) / m)).astype(np.float64)
    # no quotient of these lies between 1/2 and the double below it, where this formula would be wrong
    assert np.array_equal(q, np.copysign(np.floor(np.abs(y) + 0.5), y))
    assert np.array_equal(quantization.scale, (m / F(127)).ravel())


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9), st.sampled_from(FORMULAS), st.booleans()
)
def test_weights_of_any_values(values, formula, per_tensor):
    q, quantization = qz.quantize_weights(np.array([values], F), formula, None if per_tensor else 0)
    # 127 / m overflows below this, where the C++ code is undefined
    m = max(map(abs, values))
    if formula.startswith("mlir") or m == 0 or m > 1e-36:
        expected, scale = weights_spec(values, formula, per_tensor)
        assert q[0].tolist() == expected
        assert quantization.scale[0] == F(scale)


@pytest.mark.parametrize(
    ("formula", "axis", "scale"),
    [
        ("mlir_dynamic_range", None, 3.9370081e-09),
        ("mlir_dynamic_range", 0, 3.9370081e-09),
        ("mlir_full_integer", None, 3.9370081e-09),
        ("mlir_full_integer", 0, 3.9370081e-09),
        ("legacy_dynamic_range", None, 1.0),
        ("legacy_dynamic_range", 0, 0.0),
        ("legacy_full_integer", 0, 0.0),
    ],
)
def test_weights_that_are_all_zero(formula, axis, scale):
    q, quantization = qz.quantize_weights(np.zeros((2, 5), F), formula, axis)
    assert not q.any()
    assert np.all(quantization.scale == F(scale))


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (4e-7, [102, -51]),  # widened to 5e-7: 4e-7 / 5e-7 * 127 = 101.6
        (5e-7, [127, -63]),  # float32 has 4.99999987e-7, which is widened too: half of it is at 63.499998
        (6e-7, [127, -64]),  # not widened: half of it is a tie
    ],
)
def test_tiny_weights_are_widened_by_the_mlir_formula(largest, expected):
    w = np.array([largest, -largest / 2], F)
    q, quantization = qz.quantize_weights(w)
    assert q.tolist() == weights_spec(w.tolist(), "mlir_dynamic_range", True)[0] == expected
    assert quantization.scale[0] == F(max(float(w[0]), 5e-7) / 127)


def test_tiny_legacy_weights_whose_inverse_overflows_become_zero():
    q, quantization = qz.quantize_weights(np.array([[1e-38, 0.0], [1.0, 0.5]], F), "legacy_full_integer", 0)
    assert q.tolist() == [[0, 0], [127, 64]]
    assert quantization.scale[0] == F(1e-38) / F(127)


def test_the_extremes_of_float32():
    largest = np.finfo(F).max
    for formula in FORMULAS:
        q, quantization = qz.quantize_weights(np.array([largest, -largest, 0.0], F), formula)
        assert q.tolist() == [127, -127, 0]
        assert np.isfinite(quantization.scale).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_weights_that_are_not_finite_are_rejected_by_name(bad, axis):
    w = np.ones((4, 6), F)
    w[2, 3] = bad
    with pytest.raises(QuantizationError, match=r"tensor 'dense/kernel': 1 of 24 elements") as error:
        qz.quantize_weights(w, axis=axis, name="dense/kernel")
    assert str(bad) in str(error.value)


def test_weights_of_wrong_axis_or_formula():
    with pytest.raises(ShapeError, match="'k': axis 2 found"):
        qz.quantize_weights(np.ones((2, 2), F), axis=2, name="k")
    with pytest.raises(QuantizationError, match="weight formula 'min_max' found, expected one of mlir_"):
        qz.quantize_weights(np.ones(3, F), "min_max")


def test_weights_without_elements():
    assert qz.quantize_weights(np.zeros((0, 3), F))[0].shape == (0, 3)
    q, quantization = qz.quantize_weights(np.zeros((2, 0), F), axis=0)
    assert q.shape == (2, 0) and quantization.scale.size == 2


def test_weights_are_not_changed_and_may_be_any_view():
    w = np.random.default_rng(5).normal(size=(60, 40)).astype(F)
    copy = w.copy()
    for view in (w.T, w[::2, ::3]):
        q, quantization = qz.quantize_weights(view, axis=1)
        expected = qz.quantize_weights(np.ascontiguousarray(view), axis=1)
        assert np.array_equal(q, expected[0]) and np.array_equal(quantization.scale, expected[1].scale)
    assert np.array_equal(w, copy)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_weights_need_little_memory_beyond_the_result(axis):
    w = np.random.default_rng(6).normal(size=(1024, 2048)).astype(F)
    tracemalloc.start()
    q, _ = qz.quantize_weights(w, axis=axis)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < q.nbytes + 1_500_000  # the float64 copy of all would be 16.8 MB


# --- parameters from a range ----------------------------------------------------------------------------


def asymmetric_spec(low: float, high: float, qmin: int = -128, float_scale: bool = True) -> tuple[F, int]:
    qmax = 127
    low, high = min(0.0, low), max(0.0, high)
    if high - low < 1e-6:
        low, high = low - 1e-6, high + 1e-6
    scale = (high - low) / (qmax - qmin)
    from_low, from_high = qmin - low / scale, qmax - high / scale
    better = abs(qmin) + abs(low / scale) < abs(qmax) + abs(high / scale)
    zero_point = from_low if better else from_high
    if float_scale:
        scale = (F(high) - F(low)) / F(qmax - qmin)
        if qmin != -qmax:
            zero_point = float(F(qmin - low / float(scale)))
    return F(scale), max(qmin, min(qmax, round_half_away_spec(zero_point)))


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0, 255, 1.0, -128),
        (-128, 127, 1.0, 0),
        (-1, 1, 2 / 255, -1),  # -0.5, nudged away from zero
        (0, 6, 6 / 255, -128),
        (2, 5, 5 / 255, -128),  # made to include 0
        (-5, -2, 5 / 255, 127),
        (0, 0, 7.8431368e-09, 0),  # widened to 1e-6 on both sides; 2e-6 / 255 in float32
        (-3, 7.2, 0.04, -53),
    ],
)
def test_asymmetric_parameters_literals(low, high, scale, zero_point):
    quantization = qz.asymmetric_parameters(low, high)
    assert quantization.scale.tolist() == [float(F(scale))]
    assert quantization.zero_point.tolist() == [zero_point]
    assert quantization.scale.dtype == F and quantization.zero_point.dtype == np.int64


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.booleans(), st.booleans())
def test_asymmetric_parameters(a, b, narrow_range, float_scale):
    low, high = min(a, b), max(a, b)
    quantization = qz.asymmetric_parameters([low, 0], [high, 1], np.int8, narrow_range, 2, float_scale)
    scale, zero_point = asymmetric_spec(low, high, -127 if narrow_range else -128, float_scale)
    assert quantization.scale[0] == scale
    assert quantization.zero_point[0] == zero_point
    assert quantization.quantized_dimension == 2
    # the real 0 is represented exactly
    single = Quantization(quantization.scale[:1], quantization.zero_point[:1])
    assert qz.dequantize(qz.quantize(np.zeros(1, F), single), single)[0] == 0


def test_float_scale_changes_a_zero_point_that_is_a_tie():
    # 0.1 / (0.2 / 255) is 127.5, a tie in doubles; the float32 scale is a little larger
    assert qz.asymmetric_parameters(-0.1, 0.1, float_scale=False).zero_point[0] == -1
    assert qz.asymmetric_parameters(-0.1, 0.1).zero_point[0] == 0


def test_asymmetric_parameters_of_other_dtypes():
    assert qz.asymmetric_parameters(0, 255, np.uint8).zero_point[0] == 0
    assert qz.asymmetric_parameters(0, 65535, np.int16).zero_point[0] == -32768


@pytest.mark.parametrize(
    ("low", "high", "narrow_range", "scale"),
    [(-1, 0.5, True, 1 / 127), (-0.1, 254, True, 2), (-1, 0.5, False, 2 / 255), (0, 0, True, 5e-7 / 127)],
)
def test_symmetric_parameters_literals(low, high, narrow_range, scale):
    quantization = qz.symmetric_parameters(low, high, narrow_range=narrow_range)
    assert quantization.scale.tolist() == [float(F(scale))]
    assert quantization.zero_point.tolist() == [0]


def test_symmetric_parameters_are_those_of_the_mlir_weights():
    w = np.random.default_rng(7).normal(size=(9, 30)).astype(F)
    quantization = qz.symmetric_parameters(*qz.minimum_maximum(w, 0), axis=0)
    assert np.array_equal(quantization.scale, qz.quantize_weights(w, axis=0)[1].scale)


@pytest.mark.parametrize(("low", "high"), [(1, -1), (math.nan, 1), (0, math.inf)])
def test_impossible_ranges_are_rejected(low, high):
    for parameters in (qz.symmetric_parameters, qz.asymmetric_parameters):
        with pytest.raises(QuantizationError, match="expected finite numbers in ascending order"):
            parameters(low, high)


def test_minimum_maximum():
    x = np.random.default_rng(8).normal(size=(3, 4, 5)).astype(F)
    for axis in (0, 1, 2):
        others = tuple({0, 1, 2} - {axis})
        minimum, maximum = qz.minimum_maximum(x, axis)
        assert np.array_equal(minimum, x.min(axis=others)) and np.array_equal(maximum, x.max(axis=others))
    assert qz.minimum_maximum(x)[0].tolist() == [x.min()]
    with pytest.raises(QuantizationError, match="tensor 'activation'"):
        qz.minimum_maximum(np.array([1, np.nan], F), name="activation")


# --- quantize and dequantize ----------------------------------------------------------------------------


def quantize_spec(x: F, scale: F, zero_point: int, qmin: int = -128, qmax: int = 127) -> int:
    """C on x86: an out-of-range conversion gives -2^31, and the int32 sum wraps."""
    with np.errstate(all="ignore"):
        quotient = float(F(x) / F(scale))
    rounded = -(2**31)
    if math.isfinite(quotient) and -(2**31) <= round_half_away_spec(quotient) < 2**31:
        rounded = round_half_away_spec(quotient)
    total = (rounded + zero_point + 2**31) % 2**32 - 2**31
    return max(qmin, min(qmax, total))


@pytest.mark.parametrize(
    ("x", "scale", "zero_point", "expected"),
    [
        (0.5, 1, 0, 1), (-0.5, 1, 0, -1), (0.49999997, 1, 0, 0), (2.5, 1, -3, 0), (200, 1, 0, 127),
        (-200, 1, 0, -128), (1e10, 1, 5, -128), (1e10, 1, -5, 127), (-1e10, 1, -5, 127), (-1e10, 1, 5, -128),
        (math.nan, 1, 0, -128), (math.nan, 1, -1, 127), (math.inf, 1, -1, 127), (2147483520, 1, 0, 127),
        (2147483648, 1, 0, -128), (1, 0, 0, -128),
    ],
)  # fmt: skip
def test_quantize_literals(x, scale, zero_point, expected):
    quantization = Quantization(np.array([scale], F), np.array([zero_point]))
    assert qz.quantize(np.array([x], F), quantization).tolist() == [expected]


@given(
    st.lists(st.floats(width=32), min_size=1, max_size=8),
    st.floats(2.0**-20, 1e3, width=32),
    st.integers(-128, 127),
)
def test_quantize(values, scale, zero_point):
    quantization = Quantization(np.array([scale], F), np.array([zero_point]))
    result = qz.quantize(np.array(values, F), quantization)
    assert result.tolist() == [quantize_spec(F(v), F(scale), zero_point) for v in values]


def test_quantize_divides_and_does_not_multiply_by_the_inverse():
    scale = F(0.1)
    x = ((np.arange(-128, 128) + 0.5) * 0.1).astype(F)
    quantization = Quantization(np.array([scale]), np.array([0]))
    assert qz.quantize(x, quantization).tolist() == [quantize_spec(v, scale, 0) for v in x]
    by_inverse = [max(-128, min(127, round_half_away_spec(float(v * (F(1) / scale))))) for v in x]
    assert by_inverse != qz.quantize(x, quantization).tolist()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_quantize_and_dequantize_per_channel(axis):
    rng = np.random.default_rng(9)
    x = rng.normal(0, 20, (3, 3, 3)).astype(F)
    scale, zero_point = np.array([0.1, 0.7, 0.33], F), np.array([-5, 0, 99])
    quantization = Quantization(scale, zero_point, axis)
    q = qz.quantize(x, quantization)
    real = qz.dequantize(q, quantization)
    for index, value in np.ndenumerate(x):
        c = index[axis]
        assert q[index] == quantize_spec(value, scale[c], int(zero_point[c]))
        assert real[index] == scale[c] * F(int(q[index]) - int(zero_point[c]))


@pytest.mark.parametrize(("dtype", "qmin", "qmax"), [(np.uint8, 0, 255), (np.int16, -32768, 32767)])
def test_quantize_to_other_dtypes(dtype, qmin, qmax):
    x = np.array([-1e6, -3.5, 0, 2.5, 300, 1e6], F)
    quantization = Quantization(np.array([1], F), np.array([10]))
    result = qz.quantize(x, quantization, dtype)
    assert result.dtype == dtype
    assert result.tolist() == [quantize_spec(v, F(1), 10, qmin, qmax) for v in x]


@pytest.mark.parametrize("scale", [0.1, 1 / 3, 1e-8, 7.3e12])
@pytest.mark.parametrize("zero_point", [-128, -1, 0, 127])
def test_dequantize_every_int8(scale, zero_point):
    quantization = Quantization(np.array([scale], F), np.array([zero_point]))
    # Fraction is exact; the one rounding is that to float32 (through a double that holds 33 bits exactly)
    expected = [F(float(Fraction(float(F(scale))) * (int(q) - zero_point))) for q in ALL_INT8]
    result = qz.dequantize(ALL_INT8, quantization)
    assert result.dtype == F and result.tolist() == [float(e) for e in expected]


def test_dequantize_int32_rounds_as_each_kernel_does():
    q = np.array([16777217, 2**31 - 1, -123456789], np.int32)
    scale = F(0.1)
    per_tensor = qz.dequantize(q, Quantization(np.array([scale]), np.array([0])))
    assert per_tensor.tolist() == [float(F(float(scale) * int(v))) for v in q]  # the product in double
    per_channel = qz.dequantize(q, Quantization(np.array([scale] * 3), np.zeros(3, np.int64)))
    assert per_channel.tolist() == [float(scale * F(int(v))) for v in q]  # in float32
    assert per_tensor.tolist() != per_channel.tolist()


def test_dequantize_then_quantize_is_the_identity_on_every_int8():
    for scale in (1e-6, 0.013, 1 / 3, 5e4):
        for zero_point in (-128, -17, 0, 127):
            quantization = Quantization(np.array([scale], F), np.array([zero_point]))
            assert np.array_equal(qz.quantize(qz.dequantize(ALL_INT8, quantization), quantization), ALL_INT8)


# --- fused activations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "expected"),
    [
        ("NONE", 0.1, 5, (-128, 127)),
        ("RELU", 0.1, 5, (5, 127)),
        ("RELU6", 0.1, -50, (-50, 10)),
        ("RELU6", 0.02, -128, (-128, 127)),  # 6 / 0.02 - 128 = 172 exceeds int8
        ("RELU_N1_TO_1", 0.25, 3, (-1, 7)),
        ("RELU_N1_TO_1", 2.0, 0, (-1, 1)),  # 1 / 2 away from zero
    ],
)
def test_activation_range_quantized(activation, scale, zero_point, expected):
    quantization = Quantization(np.array([scale], F), np.array([zero_point]))
    assert qz.calculate_activation_range_quantized(activation, quantization) == expected


def test_activation_range():
    largest = np.finfo(F).max
    assert qz.calculate_activation_range("NONE") == (-largest, largest)
    assert qz.calculate_activation_range("RELU") == (0, largest)
    assert qz.calculate_activation_range("RELU6") == (0, 6)
    assert qz.calculate_activation_range("RELU_N1_TO_1") == (-1, 1)
    with pytest.raises(UnsupportedError, match="fused activation TANH found, expected one of NONE"):
        qz.calculate_activation_range("TANH")
    with pytest.raises(QuantizationError, match="exceeds int32"):
        qz.calculate_activation_range_quantized("RELU6", Quantization(np.array([1e-10], F), np.array([0])))


# --- error measures -------------------------------------------------------------------------------------


def test_max_error_lsb():
    quantization = Quantization(np.array([0.5], F), np.array([0]))
    x = np.array([0.25, 1.1, 100.0], F)
    assert qz.max_error_lsb(x[:2], np.array([0, 2], np.int8), quantization) == 0.5
    assert qz.max_error_lsb(x, np.array([0, 2, 127], np.int8), quantization) == 73  # 100 - 63.5, clipped
    assert qz.max_error_lsb(np.zeros(0), np.zeros(0, np.int8), quantization) == 0


def test_max_error_lsb_of_weights_is_at_most_half_a_step():
    w = np.random.default_rng(10).normal(size=(20, 50)).astype(F)
    q, quantization = qz.quantize_weights(w, axis=0)
    assert 0.45 < qz.max_error_lsb(w, q, quantization) < 0.5 + 1e-4  # float32 rounds scale and product


def test_sqnr():
    assert qz.sqnr(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(20)  # 25 / 0.25
    assert qz.sqnr(np.ones(3), np.ones(3)) == math.inf
    assert qz.sqnr(np.zeros(3), np.ones(3)) == -math.inf


# --- TensorFlow's converters ----------------------------------------------------------------------------


def dense_weights(axis: int | None) -> np.ndarray:
    """Dense 1200 x 1500 in TensorFlow Lite's order, a sixth of the rows made of ties of their scale."""
    w = np.random.default_rng(11).normal(0, 0.05, (1500, 1200)).astype(F)
    w[::6] = tie_rows(250, 1200, 12) if axis == 0 else tie_rows(1, 250 * 1200, 12).reshape(250, 1200)
    return w


def converted(w: np.ndarray, configure: Callable[[Any], None]) -> Any:
    """The official reader's model of what TensorFlow's converter makes of relu(x @ w.T)."""
    tf = pytest.importorskip("tensorflow")
    tflite = pytest.importorskip("tflite")
    constant = tf.constant(w)
    function = tf.function(
        lambda x: tf.nn.relu(tf.matmul(x, constant, transpose_b=True)),
        input_signature=[tf.TensorSpec([1, w.shape[1]], tf.float32)],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    configure(converter)
    return tflite.Model.GetRootAsModel(converter.convert(), 0)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("formula", "axis"),
    [
        ("mlir_dynamic_range", 0),
        ("mlir_dynamic_range", None),
        ("legacy_dynamic_range", None),
        ("mlir_full_integer", 0),
        ("legacy_full_integer", 0),
    ],
)
def test_weights_equal_those_of_tensorflows_converter(formula, axis):
    def configure(converter: Any) -> None:
        if formula.startswith("legacy"):
            converter.experimental_new_dynamic_range_quantizer = False
            converter._experimental_new_dynamic_range_quantizer = False
        converter._experimental_disable_per_channel_quantization_for_dense_layers = axis is None
        if formula.endswith("full_integer"):
            converter.representative_dataset = lambda: iter([[np.ones((1, w.shape[1]), F)]])
            converter.experimental_new_quantizer = not formula.startswith("legacy")

    w = dense_weights(axis)
    model = converted(w, configure)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    (tensor,) = [t for t in tensors if t.ShapeAsNumpy().tolist() == list(w.shape)]
    # from the file and not from the interpreter, which repeats a single scale for every row
    expected = model.Buffers(tensor.Buffer()).DataAsNumpy().view(np.int8).reshape(w.shape)
    q, quantization = qz.quantize_weights(w, formula, axis)
    assert np.array_equal(q, expected)
    assert np.array_equal(quantization.scale, tensor.Quantization().ScaleAsNumpy())
    # and the data tells the formulas apart (the two legacy ones are the same arithmetic)
    for other in FORMULAS:
        if other != formula and not (other.startswith("legacy") and formula.startswith("legacy")):
            assert np.any(qz.quantize_weights(w, other, axis)[0] != expected)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("low", "high"),
    [(-1, 1), (-0.1, 0.1), (0, 0), (-1e-6, 0), (2, 5), (-5, -2), (-35.166247, 1.8126932), (-51.5, 19.29)],
)
def test_calibrated_parameters_equal_those_of_tensorflows_converter(low, high):
    x = np.array([[low, high, low, high]], F)

    def configure(converter: Any) -> None:
        tf = pytest.importorskip("tensorflow")
        converter.representative_dataset = lambda: iter([[x]])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    graph = converted(np.random.default_rng(13).normal(size=(8, 4)).astype(F), configure).Subgraphs(0)
    expected = graph.Tensors(graph.Inputs(0)).Quantization()
    quantization = qz.asymmetric_parameters(x.min(), x.max())
    assert quantization.scale.tolist() == expected.ScaleAsNumpy().tolist()
    assert quantization.zero_point.tolist() == expected.ZeroPointAsNumpy().tolist()
