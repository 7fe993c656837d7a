"""Convolutions and the dense layer against loops over Python numbers."""

import numpy as np
import pytest
import scalar

from ptq.errors import QuantizationError, ShapeError
from ptq.kernels.conv import conv2d_float, conv2d_hybrid
from ptq.kernels.dense import fully_connected_float, fully_connected_hybrid
from ptq.kernels.depthwise import depthwise_conv2d_float, depthwise_conv2d_hybrid
from ptq.kernels.hybrid import wrapped_row_sums
from ptq.numerics import LITERT_REFERENCE, PORTABLE

GEOMETRIES = [
    {"stride": (1, 1), "dilation": (1, 1), "padding": "SAME"},
    {"stride": (2, 1), "dilation": (1, 1), "padding": "SAME"},
    {"stride": (2, 3), "dilation": (1, 1), "padding": "VALID"},
    {"stride": (1, 1), "dilation": (2, 3), "padding": "SAME"},
    {"stride": (1, 1), "dilation": (2, 1), "padding": "VALID"},
]
NUMERICS = [LITERT_REFERENCE, PORTABLE]


def arrays(rng, depthwise, groups=1):
    image = rng.normal(0.3, 1, (2, 7, 8, 4)).astype(np.float32)
    shape = (1, 3, 2, 8) if depthwise else (6, 3, 2, 4 // groups)
    filter = rng.integers(-127, 128, shape).astype(np.int8)
    outputs = 8 if depthwise else 6
    scales = rng.uniform(0.01, 0.1, outputs).astype(np.float32)
    return image, filter, scales, rng.normal(0, 1, outputs).astype(np.float32)


@pytest.mark.parametrize("numerics", NUMERICS, ids=lambda n: n.name)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_conv2d_hybrid_equals_the_loops(numerics, geometry, groups, per_channel):
    image, filter, scales, bias = arrays(np.random.default_rng(groups), False, groups)
    scales = scales if per_channel else scales[:1]
    result = conv2d_hybrid(image, filter, scales, bias, **geometry, activation="RELU6", numerics=numerics)
    for n, one in enumerate(image):
        q, s, zero = scalar.quantize_row(list(one.ravel()), not per_channel, numerics is PORTABLE)
        integers = np.array(q).reshape(one.shape)
        acc = scalar.convolution_accumulators(integers, filter, zero, result.shape[1:3], False, **geometry)
        f32 = acc.astype(np.float32)
        scaled = (f32 * scales) * s if per_channel else f32 * (s * scales[0])
        expected = np.clip(scaled + bias, np.float32(0), np.float32(6))
        assert result[n].tobytes() == expected.tobytes()


@pytest.mark.parametrize("numerics", NUMERICS, ids=lambda n: n.name)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_depthwise_hybrid_equals_the_loops(numerics, geometry):
    image, filter, scales, bias = arrays(np.random.default_rng(5), True)
    result = depthwise_conv2d_hybrid(
        image, filter, scales, bias, **geometry, activation="RELU", numerics=numerics
    )
    for n, one in enumerate(image):
        q, s, zero = scalar.quantize_row(list(one.ravel()), False, numerics is PORTABLE)
        integers = np.array(q).reshape(one.shape)
        acc = scalar.convolution_accumulators(integers, filter, zero, result.shape[1:3], True, **geometry)
        expected = np.maximum(acc.astype(np.float32) * (scales * s) + bias, np.float32(0))
        assert result[n].tobytes() == expected.tobytes()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_depthwise_float_adds_in_the_order_of_the_taps(geometry):
    rng = np.random.default_rng(6)
    image, filter, _, bias = arrays(rng, True)
    filter = rng.normal(0, 1, filter.shape).astype(np.float32)
    result = depthwise_conv2d_float(image, filter, bias, **geometry)
    for n, y, x, o in np.ndindex(result.shape):
        total = np.float32(0)
        for i, j, row, column in scalar.taps(image[n], (3, 2), y, x, **geometry):
            total += filter[0, i, j, o] * image[n, row, column, o // 2]
        assert result[n, y, x, o] == total + bias[o]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("groups", [1, 4])
def test_conv2d_float_is_within_its_stated_bound(geometry, groups):
    rng = np.random.default_rng(7)
    image = rng.normal(0, 1, (2, 7, 8, 4)).astype(np.float32)
    filter = rng.normal(0, 1, (8, 3, 2, 4 // groups)).astype(np.float32)
    bias = rng.normal(0, 1, 8).astype(np.float32)
    result = conv2d_float(image, filter, bias, **geometry)
    for n, y, x, o in np.ndindex(result.shape):
        group = o // (8 // groups) * (4 // groups)
        inside = scalar.taps(image[n], (3, 2), y, x, **geometry)
        terms = [
            float(filter[o, i, j, k]) * float(image[n, row, column, group + k])
            for i, j, row, column in inside
            for k in range(4 // groups)
        ]
        bound = filter[0].size * 2**-23 * (sum(map(abs, terms)) + abs(float(bias[o])))
        assert abs(float(result[n, y, x, o]) - (sum(terms) + float(bias[o]))) <= bound


@pytest.mark.parametrize("numerics", NUMERICS, ids=lambda n: n.name)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("inner", [5, 8, 40])
def test_fully_connected_hybrid_equals_the_loops(numerics, symmetric, per_channel, inner):
    rng = np.random.default_rng(inner)
    rows = rng.normal(0, 2, (4, inner)).astype(np.float32)
    rows[2] = 0
    weights = rng.integers(-127, 128, (6, inner)).astype(np.int8)
    scales = rng.uniform(0.001, 0.1, 6 if per_channel else 1).astype(np.float32)
    bias = rng.normal(0, 1, 6).astype(np.float32)
    for b, activation in ((bias, "RELU"), (None, "NONE"), (bias, "RELU_N1_TO_1")):
        result = fully_connected_hybrid(
            rows, weights, scales, b, activation, False, not symmetric, numerics
        )
        expected = scalar.fully_connected(
            rows, weights, scales, b, activation, symmetric, numerics is PORTABLE
        )
        assert result.tobytes() == expected.tobytes()


def test_an_input_of_zeros_gives_the_activated_bias():
    bias = np.array([-1, 7, -0.0], np.float32)
    weights = np.ones((3, 4), np.int8)
    zeros, one = np.zeros((2, 4), np.float32), np.ones(1, np.float32)
    assert fully_connected_hybrid(zeros, weights, one, bias, "RELU6").tolist() == [[0, 6, 0]] * 2
    # nothing is added to the bias: -0 would become +0
    assert fully_connected_hybrid(zeros, weights, one, bias).tobytes() == np.stack([bias, bias]).tobytes()


@pytest.mark.parametrize("inner", [15, 16, 24, 31, 2064, 3000, 9997])
def test_wrapped_row_sums_against_eight_scalar_lanes(inner):
    weights = np.full((2, inner), 127, np.int8)
    weights[1] = np.random.default_rng(inner).integers(-127, 128, inner)
    for row, total in zip(weights, wrapped_row_sums(weights), strict=True):
        lanes = [0] * 8
        blocks = inner // 16
        for k in range(16 * blocks):
            lanes[k % 16 // 2] += int(row[k])
        done = 16 * blocks
        if inner - done >= 8:
            for lane in range(8):
                lanes[lane] += int(row[done + lane])
            done += 8
        wrapped = [(lane + 32768) % 65536 - 32768 for lane in lanes]
        assert total == sum(wrapped) + sum(int(w) for w in row[done:])


def test_long_one_signed_rows_reproduce_the_wrap_only_where_it_is_asked_for():
    weights = np.full((1, 4160), 127, np.int8)
    rows = np.linspace(0, 1, 4160, dtype=np.float32)[None]
    exact, wrapped = (
        fully_connected_hybrid(
            rows, weights, np.ones(1, np.float32), asymmetric_quantize_inputs=True, numerics=n
        )[0, 0]
        for n in (PORTABLE, LITERT_REFERENCE)
    )
    real = 127 * rows.sum(dtype=np.float64)
    # each of the 4160 quantized activations is at most half a step of 1 / 255 away
    assert abs(exact - real) <= 127 * 4160 * 0.5 / 255 * 1.001
    # eight lanes of 66040 wrap to 504: the missing 8 * 65536 come back times zero point and scale
    assert abs(wrapped - (exact - 128 * 8 * 65536 / 255)) < 1


def test_minus_128_is_refused_where_its_product_has_the_wrong_sign():
    weights = np.array([[-128, 3]], np.int8)
    rows = np.ones((1, 2), np.float32)
    with pytest.raises(QuantizationError, match="-128"):
        fully_connected_hybrid(rows, weights, np.ones(1, np.float32))
    assert fully_connected_hybrid(rows, weights, np.ones(1, np.float32), numerics=PORTABLE)[0, 0] == -125
    image, filter = np.ones((1, 2, 2, 1), np.float32), np.full((2, 1, 1, 1), -128, np.int8)
    with pytest.raises(QuantizationError, match=r"CONV_2D.*-128"):
        conv2d_hybrid(image, filter, np.ones(1, np.float32))
    per_channel = conv2d_hybrid(image, filter, np.array([1, 2], np.float32))  # runs the plain loops
    assert per_channel[0, 0, 0].tolist() == [-128, -256]


def test_fully_connected_float_is_within_its_stated_bound_and_shapes_its_output():
    rng = np.random.default_rng(1)
    x, w = rng.normal(0, 1, (2, 3, 50)).astype("f4"), rng.normal(0, 1, (4, 50)).astype("f4")
    result = fully_connected_float(x, w, None, "NONE", keep_num_dims=True)
    assert result.shape == (2, 3, 4)
    exact = x.astype(np.float64) @ w.T.astype(np.float64)
    assert np.all(abs(result - exact) <= 50 * 2**-23 * (abs(x).astype(np.float64) @ abs(w.T)))
    assert fully_connected_float(x, w).shape == (6, 4)


def test_what_does_not_fit_is_refused():
    image, filter = np.zeros((1, 4, 4, 3), np.float32), np.zeros((2, 3, 3, 2), np.float32)
    with pytest.raises(ShapeError, match="CONV_2D"):
        conv2d_float(image, filter)
    with pytest.raises(ShapeError, match="do not fit into"):
        conv2d_float(image[:, :2], np.zeros((2, 3, 3, 3), np.float32), padding="VALID")
    with pytest.raises(ShapeError, match="rows of 5"):
        fully_connected_float(image, np.zeros((2, 5), np.float32))
    with pytest.raises(ShapeError, match="one for each"):
        depthwise_conv2d_hybrid(image, np.zeros((1, 2, 2, 3), np.int8), np.ones(1, np.float32))
    with pytest.raises(ShapeError, match="multiplier"):
        depthwise_conv2d_float(image, np.zeros((1, 2, 2, 4), np.float32))
