"""Hybrid kernels and convolutions against LiteRT's reference kernels, random configuration by configuration.

Hybrid outputs and float DEPTHWISE_CONV_2D must be equal bit for bit, and so must float CONV_2D and
FULLY_CONNECTED with ordered sums. By default these two sum through BLAS in another order than the reference's
loops: each of the two sums of K products and a bias is within K * 2^-24 * (1 + small) * (sum |products| +
|bias|) of the real one, so that they differ by at most K * 2^-23 * (sum |products| + |bias|), rounded up here
by K + 2 for K.
"""

import numpy as np
import pytest
from litert import run_litert

import ptq
from ptq.graph import Graph, Operator, Quantization, Tensor
from ptq.kernels.conv import conv2d_float

pytestmark = pytest.mark.peers

CONFIGURATIONS = 300
ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]


def constant(graph, name, data, scale=None, axis=0):
    quantization = None
    if scale is not None:
        quantization = Quantization(scale, np.zeros(scale.size, np.int64), axis)
    kind = "INT8" if scale is not None else "FLOAT32"
    return graph.add_tensor(Tensor(name, data.shape, kind, data, quantization))


def one_operator(type, options_type, version, input_shape, output_shape, weights, scale, axis, bias, options):
    graph = Graph()
    graph.inputs = [graph.add_tensor(Tensor("x", input_shape))]
    inputs = [0, constant(graph, "w", weights, scale, axis)]
    inputs += [constant(graph, "b", bias)] if bias is not None else []
    graph.outputs = [graph.add_tensor(Tensor("y", output_shape))]
    graph.operators = [Operator(type, inputs, graph.outputs[:], options, options_type, version)]
    return graph


def activations(rng, shape):
    """Activations with ties, one-signed rows, zero rows and extreme ranges."""
    x = rng.normal(0, 1, shape).astype(np.float32)
    kind = rng.integers(6)
    if kind == 0:
        x = np.maximum(x, 0)
    elif kind == 1:  # halves of a step of 1: with the range of 127 or 255 everything is a tie
        x = (rng.integers(-254, 255, shape) / 2).astype(np.float32)
        x.flat[0] = 127
    elif kind == 2:
        x = -np.abs(x)
    elif kind == 3:
        x[rng.integers(len(x))] = 0
    return x * np.float32(2.0) ** np.float32(rng.integers(-20, 20))


def weights_and_scale(rng, shape, axis, per_channel):
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    count = shape[axis] if per_channel else 1
    return weights, np.exp(rng.uniform(-9, 3, count)).astype(np.float32)


def check(graph, x, exactly=True, numerics=ptq.LITERT_REFERENCE):
    ours = ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]
    theirs = run_litert(graph, [x])[0]
    assert ours.shape == theirs.shape
    if exactly:
        assert ours.tobytes() == theirs.tobytes(), (graph, np.abs(ours - theirs).max())
    return ours, theirs


def fully_connected(rng, per_channel=None, asymmetric=False):
    rows, inner, outputs = rng.integers(1, 5), rng.integers(1, 150), rng.integers(1, 20)
    scale = None
    if per_channel is None:
        weights = rng.normal(0, 1, (outputs, inner)).astype(np.float32)
    else:
        weights, scale = weights_and_scale(rng, (outputs, inner), 0, per_channel)
    bias = rng.normal(0, 1, outputs).astype(np.float32) if rng.integers(4) else None
    options = {
        "fused_activation_function": str(rng.choice(ACTIVATIONS)),
        "weights_format": "DEFAULT",
        "keep_num_dims": False,
        "asymmetric_quantize_inputs": asymmetric,
        "quantized_bias_type": "FLOAT32",
    }
    graph = one_operator(
        "FULLY_CONNECTED", "FullyConnectedOptions", 9, (int(rows), int(inner)), (int(rows), int(outputs)),
        weights, scale, 0, bias, options,
    )  # fmt: skip
    return graph, activations(rng, (rows, inner))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("asymmetric", [True, False])
def test_hybrid_fully_connected_is_bit_equal(per_channel, asymmetric):
    rng = np.random.default_rng(11)
    for _ in range(CONFIGURATIONS):
        check(*fully_connected(rng, per_channel, asymmetric))


def test_hybrid_fully_connected_with_long_one_signed_rows_is_bit_equal():
    rng = np.random.default_rng(12)
    for inner in (2064, 2072, 4160, 5003, 9997):
        graph, _ = fully_connected(rng, True, True)
        weights = rng.integers(60, 128, (3, inner)).astype(np.int8)
        weight, bias = graph.tensors[1], graph.tensors[2]
        weight.shape, weight.data, weight.quantization.scale = (3, inner), weights, np.ones(3, np.float32)
        weight.quantization.zero_point = np.zeros(3, np.int64)
        graph.operators[0].inputs = [0, 1]
        graph.tensors[0].shape = (2, inner)
        graph.tensors[graph.outputs[0]].shape = (2, 3)
        bias.is_variable = False
        check(graph, rng.normal(0.3, 1, (2, inner)).astype(np.float32))


def convolution(rng, depthwise, per_channel=None):
    """A random convolution; per_channel None: a float filter."""
    groups = int(rng.choice([1, 1, 2])) if not depthwise and per_channel is not False else 1
    multiplier = int(rng.integers(1, 4))
    channels = int(rng.integers(1, 6)) * groups
    outputs = channels * multiplier if depthwise else int(rng.integers(1, 7)) * groups
    kernel = rng.integers(1, 5, 2)
    dilation = rng.integers(1, 4, 2) if rng.integers(2) else np.array([1, 1])
    stride = rng.integers(1, 4, 2) if dilation.max() == 1 else np.array([1, 1])
    extent = (kernel - 1) * dilation + 1
    image = (int(rng.integers(1, 3)), *(int(n) for n in extent + rng.integers(0, 7, 2)), channels)
    shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, channels // groups)
    shape = tuple(int(n) for n in shape)
    axis = 3 if depthwise else 0
    scale = None
    if per_channel is None:
        weights = rng.normal(0, 1, shape).astype(np.float32)
    else:
        weights, scale = weights_and_scale(rng, shape, axis, per_channel)
    bias = rng.normal(0, 1, outputs).astype(np.float32)
    options = {
        "padding": str(rng.choice(["SAME", "VALID"])),
        "stride_h": int(stride[0]), "stride_w": int(stride[1]),
        "dilation_h_factor": int(dilation[0]), "dilation_w_factor": int(dilation[1]),
        "fused_activation_function": str(rng.choice(ACTIVATIONS)),
    }  # fmt: skip
    if depthwise:
        options["depth_multiplier"] = multiplier
        names = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 6)
    else:
        options["quantized_bias_type"] = "FLOAT32"
        names = ("CONV_2D", "Conv2DOptions", 6)
    graph = one_operator(*names, image, (1, 1, 1, outputs), weights, scale, axis, bias, options)
    return graph, activations(rng, image)


@pytest.mark.parametrize("per_channel", [True, False])
def test_hybrid_conv2d_is_bit_equal(per_channel):
    rng = np.random.default_rng(13)
    for _ in range(CONFIGURATIONS):
        check(*convolution(rng, depthwise=False, per_channel=per_channel))


@pytest.mark.parametrize("depthwise", [True, False])
def test_minus_128_is_bit_equal_where_it_is_not_refused(depthwise):
    rng = np.random.default_rng(19)
    compared = 0
    for _ in range(CONFIGURATIONS):
        graph, x = convolution(rng, depthwise, per_channel=True)
        weights = graph.tensors[1]
        if not depthwise and len(set(weights.quantization.scale)) == 1:
            continue  # one output channel is one scale
        weights.data = np.where(rng.random(weights.shape) < 0.2, np.int8(-128), weights.data)
        check(graph, x)
        compared += 1
    assert compared > CONFIGURATIONS / 2


def test_hybrid_depthwise_conv2d_is_bit_equal():
    rng = np.random.default_rng(14)
    for _ in range(CONFIGURATIONS):
        check(*convolution(rng, depthwise=True, per_channel=True))


def test_float_depthwise_conv2d_is_bit_equal():
    rng = np.random.default_rng(15)
    for _ in range(CONFIGURATIONS):
        check(*convolution(rng, depthwise=True))


def test_float_conv2d_and_fully_connected_are_bit_equal_with_ordered_sums():
    rng = np.random.default_rng(18)
    for _ in range(CONFIGURATIONS):
        check(*convolution(rng, depthwise=False), numerics=ptq.LITERT_REFERENCE_ORDERED)
        check(*fully_connected(rng), numerics=ptq.LITERT_REFERENCE_ORDERED)


def test_float_conv2d_is_within_the_bound_of_two_summation_orders():
    rng = np.random.default_rng(16)
    for _ in range(CONFIGURATIONS):
        graph, x = convolution(rng, depthwise=False)
        ours, theirs = check(graph, x, exactly=False)
        options, weights, bias = graph.operators[0].options, graph.tensors[1].data, graph.tensors[2].data
        magnitude = conv2d_float(
            np.abs(x), np.abs(weights), np.abs(bias),
            (options["stride_h"], options["stride_w"]),
            (options["dilation_h_factor"], options["dilation_w_factor"]), options["padding"],
        )  # fmt: skip
        bound = (weights[0].size + 2) * 2.0**-23 * magnitude.astype(np.float64)
        assert np.all(np.abs(ours.astype(np.float64) - theirs) <= bound)


def test_float_fully_connected_is_within_the_bound_of_two_summation_orders():
    rng = np.random.default_rng(17)
    for _ in range(CONFIGURATIONS):
        graph, x = fully_connected(rng)
        ours, theirs = check(graph, x, exactly=False)
        weights = np.abs(graph.tensors[1].data.astype(np.float64))
        bias = 0 if len(graph.operators[0].inputs) < 3 else np.abs(graph.tensors[2].data)
        magnitude = np.abs(x.astype(np.float64)) @ weights.T + bias
        assert np.all(np.abs(ours.astype(np.float64) - theirs) <= (x.shape[1] + 2) * 2.0**-23 * magnitude)
