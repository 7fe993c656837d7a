"""Integer kernels with weights against nested loops over Python's integers, and what they refuse.

The loops give accumulators; an output stage whose factor is 1 lets the kernels return them as they are.
"""

from dataclasses import replace

import numpy as np
import pytest
import scalar
from integer_layers import small_layer

import ptq
from ptq.errors import GraphError, QuantizationError, ShapeError, UnsupportedError
from ptq.kernels.integer.batch_matmul import batch_matmul_integer
from ptq.kernels.integer.conv import conv2d_integer
from ptq.kernels.integer.dense import fully_connected_integer
from ptq.kernels.integer.depthwise import depthwise_conv2d_integer
from ptq.kernels.integer.output_stage import OutputStage
from ptq.kernels.integer.parameters import Rescale
from ptq.kernels.integer.product_rescale import WideRescale
from ptq.kernels.integer.transpose_conv import transpose_conv_integer
from ptq.numerics import LITERT_REFERENCE, XNNPACK

KINDS = [(np.int8, 0), (np.uint8, 131), (np.int16, 0)]
GEOMETRIES = [
    {"stride": (1, 1), "dilation": (1, 1), "padding": "SAME"},
    {"stride": (1, 1), "dilation": (2, 3), "padding": "VALID"},
    {"stride": (2, 3), "dilation": (1, 1), "padding": "SAME"},
    {"stride": (3, 2), "dilation": (2, 1), "padding": "SAME"},
]


def unchanged(bias, dtype=np.int8):
    """A stage that adds the bias and multiplies by 2^30 * 2^(1 - 31) = 1."""
    limits, wide = np.iinfo(np.int32), dtype == np.int16
    one = np.array(2**30), np.array(1)
    rescale = WideRescale(*one) if wide else Rescale(*one, LITERT_REFERENCE)
    accumulator = np.int64 if wide else np.int32
    return OutputStage(np.array(bias), rescale, 0, (int(limits.min), int(limits.max)), np.int32, accumulator)


def drawn(rng, dtype, *shape):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(dtype)


def drawn_weights(rng, dtype, *shape):
    return drawn(rng, np.uint8 if dtype == np.uint8 else np.int8, *shape)


def input_zero_point(dtype):
    return {np.int8: -7, np.uint8: 200, np.int16: 0}[dtype]


@pytest.mark.parametrize(("dtype", "zero_point"), KINDS)
def test_fully_connected_is_the_loop_s(dtype, zero_point):
    rng = np.random.default_rng(0)
    x, weights, bias = drawn(rng, dtype, 3, 2, 5), drawn_weights(rng, dtype, 4, 5), rng.integers(-99, 99, 4)
    offset = input_zero_point(dtype)
    expected = [
        [sum((int(q) - offset) * (int(w) - zero_point) for q, w in zip(row, of, strict=True)) + int(b)
         for of, b in zip(weights, bias, strict=True)]
        for row in x.reshape(6, 5)
    ]  # fmt: skip
    found = fully_connected_integer(x, weights, unchanged(bias, dtype), offset, zero_point)
    assert found.tolist() == expected
    kept = fully_connected_integer(x, weights, unchanged(bias, dtype), offset, zero_point, True)
    assert kept.shape == (3, 2, 4) and np.array_equal(kept.reshape(6, 4), found)


@pytest.mark.parametrize(("dtype", "zero_point"), KINDS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d_is_the_loop_s(geometry, dtype, zero_point, groups):
    rng = np.random.default_rng(1)
    x, bias = drawn(rng, dtype, 2, 7, 8, 4), rng.integers(-99, 99, 6)
    filter = drawn_weights(rng, dtype, 6, 3, 2, 4 // groups)
    offset = input_zero_point(dtype)
    found = conv2d_integer(x, filter, unchanged(bias, dtype), offset, zero_point, **geometry)
    for image, result in zip(x, found, strict=True):
        centred, size = filter.astype(np.int64) - zero_point, result.shape[:2]
        sums = scalar.convolution_accumulators(image, centred, offset, size, False, **geometry)
        assert np.array_equal(result, sums + bias)


@pytest.mark.parametrize(("dtype", "zero_point"), KINDS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_conv2d_is_the_loop_s(geometry, dtype, zero_point, multiplier):
    rng = np.random.default_rng(2)
    x, bias = drawn(rng, dtype, 2, 9, 8, 3), rng.integers(-99, 99, 3 * multiplier)
    filter = drawn_weights(rng, dtype, 1, 3, 2, 3 * multiplier)
    offset = input_zero_point(dtype)
    found = depthwise_conv2d_integer(x, filter, unchanged(bias, dtype), offset, zero_point, **geometry)
    for image, result in zip(x, found, strict=True):
        centred, size = filter.astype(np.int64) - zero_point, result.shape[:2]
        sums = scalar.convolution_accumulators(image, centred, offset, size, True, **geometry)
        assert np.array_equal(result, sums + bias)


def test_depthwise_conv2d_on_long_lines():
    # several chunks of several runs, the last of each incomplete: the sums of a filter of ones, by slices
    x = drawn(np.random.default_rng(3), np.int8, 1, 60, 70, 13)
    found = depthwise_conv2d_integer(
        x, np.ones((1, 3, 3, 13), np.int8), unchanged(np.zeros(13, int)), padding="VALID"
    )
    wide = x[0].astype(np.int64)
    assert np.array_equal(found[0], sum(wide[i : i + 58, j : j + 68] for i in range(3) for j in range(3)))


@pytest.mark.parametrize(("dtype", "zero_point"), KINDS)
@pytest.mark.parametrize(("size", "padding"), [((6, 7), "SAME"), ((8, 9), "VALID")])
def test_transpose_conv_is_the_loop_s(dtype, zero_point, size, padding):
    rng = np.random.default_rng(4)
    x, weights, bias = drawn(rng, dtype, 2, 3, 4, 2), drawn_weights(rng, dtype, 5, 3, 2, 2), np.arange(5)
    offset, shape = input_zero_point(dtype), np.array([2, *size, 5], np.int32)
    before = (0, 0) if padding == "VALID" else ((2 * 2 + 3 - 6) // 2, (3 * 2 + 2 - 7) // 2)
    expected = np.zeros((2, *size, 5), np.int64) + bias
    for n, y, column, i, j, o, c in np.ndindex(2, 3, 4, 3, 2, 5, 2):
        row, across = y * 2 + i - before[0], column * 2 + j - before[1]
        if 0 <= row < size[0] and 0 <= across < size[1]:
            product = (int(x[n, y, column, c]) - offset) * (int(weights[o, i, j, c]) - zero_point)
            expected[n, row, across, o] += product
    stage = unchanged(bias, dtype)
    found = transpose_conv_integer(shape, weights, x, stage, offset, zero_point, (2, 2), padding)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "types", [(np.int8, np.int8, 50, -128), (np.int16, np.int8, 0, 0), (np.int16, np.int16, 0, 0)]
)
@pytest.mark.parametrize("adjoint", [(False, False), (True, True)])
def test_batch_matmul_is_the_loop_s(types, adjoint):
    rng = np.random.default_rng(5)
    left_type, right_type, *offsets = types
    lhs, rhs = drawn(rng, left_type, 2, 3, 4), drawn(rng, right_type, 1, 4, 5)
    if left_type == np.int16:
        lhs //= 64  # so that the sums are int32
    expected = [
        [
            [
                sum((int(a[m, k]) - offsets[0]) * (int(rhs[0, k, n]) - offsets[1]) for k in range(4))
                for n in range(5)
            ]
            for m in range(3)
        ]
        for a in lhs
    ]
    operands = [np.swapaxes(x, 1, 2) if turned else x for x, turned in zip((lhs, rhs), adjoint, strict=True)]
    found = batch_matmul_integer(*operands, unchanged([0], left_type), *offsets, *adjoint)
    assert found.tolist() == expected


# --- what is refused --------------------------------------------------------------------------------


def run(graph, x, numerics=LITERT_REFERENCE):
    return ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]


def test_the_layer_that_the_refusals_change_is_right():
    # (0 - 3) * 1 * 2 = -6 -> -6 * 0.125 = -0.75 -> -1, less 1
    assert np.all(run(*small_layer()) == -2)


@pytest.mark.parametrize(
    ("error", "message", "changes"),
    [
        (GraphError, "no bias found, expected one", {"bias": None}),
        (QuantizationError, "weights 'w' with zero point 4 found, expected 0", {"zero_points": (3, 4, -1)}),
        (UnsupportedError, "ignores the zero point of int8 weights",
         {"operator": "DEPTHWISE_CONV_2D", "zero_points": (3, 4, -1)}),
        (UnsupportedError, "weights INT16", {"weights": np.int16}),
        (UnsupportedError, "with bias INT64 found", {"bias_type": np.int64}),
        (UnsupportedError, "with bias FLOAT32 found", {"bias_type": np.float32}),
        (QuantizationError, "bias 'b' of shape", {"bias_zero_point": 1}),
        (QuantizationError, "bias 'b' with scale 0.2",
         {"operator": "FULLY_CONNECTED", "bias_scale": 0.2, "scales": (0.5, 0.25, 1.0)}),
        (QuantizationError, "bias 'b' with scale 0.2", {"dtype": np.uint8, "bias_scale": 0.2}),
        (QuantizationError, "2 scales along dimension 3", {"scales": (0.5, [0.25, 0.5], 1.0), "axis": 3}),
        (QuantizationError, "uint8 weights 'w' with 2 scales",
         {"dtype": np.uint8, "scales": (0.5, [0.25, 0.5], 1.0)}),
        (QuantizationError, "tensor 'x' with scales", {"scales": (0.0, 0.25, 1.0)}),
        (QuantizationError, "tensor 'x' with zero point 300", {"zero_points": (300, 0, -1)}),
        (QuantizationError, "with zero point 1 found, expected 0 to 0",
         {"dtype": np.int16, "zero_points": (0, 0, 1)}),
        (UnsupportedError, "it reads the bias as int64", {"dtype": np.int16, "bias_type": np.int32}),
        (QuantizationError, "output shift 32 found", {"scales": (2.0**20, 2.0**11, 1.0)}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(error, message, changes):
    with pytest.raises(error, match=message):
        run(*small_layer(**changes))


def test_an_int32_bias_of_int16_activations_is_read_as_what_it_is_where_that_is_meant():
    graph, x = small_layer(dtype=np.int16, bias=9, bias_type=np.int32)
    found = run(graph, x, replace(LITERT_REFERENCE, upstream_defects="intended"))
    declared = small_layer(dtype=np.int16, bias=9, bias_type=np.int32, quantized_bias_type="INT32")
    assert np.array_equal(found, run(*declared))
    assert np.all(found == 1)  # 9 * 0.125 = 1.125


def test_the_ignored_zero_point_can_be_reproduced():
    numerics = replace(LITERT_REFERENCE, upstream_defects="reproduce")
    graph, x = small_layer("DEPTHWISE_CONV_2D", zero_points=(3, 4, -1))
    assert np.array_equal(run(graph, x, numerics), run(*small_layer("DEPTHWISE_CONV_2D")))


def test_fully_connected_honours_the_zero_point_of_weights_with_one_scale():
    # (0 - 3) * (1 - 4) * 2 = 18 -> 2.25 -> 2, less 1
    assert run(*small_layer("FULLY_CONNECTED", zero_points=(3, 4, -1))).tolist() == [[1, 1]]


@pytest.mark.parametrize(("zero_point", "numerics", "bound"), [
    (-30, LITERT_REFERENCE, 45), (-31, LITERT_REFERENCE, 44), (-30, XNNPACK, 44), (-31, XNNPACK, 44)
])  # fmt: skip
def test_xnnpack_rounds_bounds_of_activations_with_their_zero_point_to_even(zero_point, numerics, bound):
    # 6 is 74.5 steps: 75 less 30 or 31, but 44.5 and 43.5 to the even 44
    layer = small_layer(
        "FULLY_CONNECTED", bias=30000, bias_scale=1, scales=(1, 1, 12 / 149), zero_points=(0, 0, zero_point),
        fused_activation_function="RELU6",
    )  # fmt: skip
    assert np.all(run(*layer, numerics) == bound)


def test_channels_that_do_not_fit_are_refused():
    stage = unchanged(np.zeros(3, int))
    with pytest.raises(ShapeError, match="CONV_2D"):
        conv2d_integer(np.zeros((1, 2, 2, 3), np.int8), np.zeros((3, 1, 1, 2), np.int8), stage)
    with pytest.raises(ShapeError, match="DEPTHWISE_CONV_2D"):
        depthwise_conv2d_integer(np.zeros((1, 2, 2, 2), np.int8), np.zeros((1, 1, 1, 3), np.int8), stage)
    with pytest.raises(ShapeError, match="cannot be cut into rows"):
        fully_connected_integer(np.zeros((1, 3), np.int8), np.zeros((3, 2), np.int8), stage)


def test_a_bias_that_is_computed_is_read_every_time():
    graph, x = small_layer()
    bias = next(i for i, tensor in enumerate(graph.tensors) if tensor.name == "b")
    graph.tensors[bias].data = None
    graph.inputs.append(bias)
    interpreter = ptq.Interpreter(graph=graph)
    for value in (0, 80):
        found = interpreter.run([x, np.full(2, value, np.int32)])[0]
        assert np.array_equal(found, run(*small_layer(bias=value)))
