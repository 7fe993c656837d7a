"""Random quantized layers that multiply by weights, for whichever implementation they are compared with.

The multiplier is drawn first, and the scales follow from it, so that outputs cover their whole range and
saturate at both ends; every third bias puts its accumulators right at a tie between two outputs.
"""

from dataclasses import dataclass

import numpy as np
from configurations import integers, pick
from litert import assert_same_bits

from ptq.build import Builder
from ptq.fixed_point import multiply_by_quantized_multiplier as multiply
from ptq.fixed_point import quantize_multiplier as quantize
from ptq.graph import Quantization, type_of
from ptq.interpreter import Interpreter

ACTIVATIONS = ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]
STRETCH = 1.0
"""How far off the output's range one in ten multipliers is; int16 and XNNPACK end at 2^8."""

LIMITS = {np.int8: 127, np.uint8: 255, np.int16: 32767}


def quantization(scale, zero_point, axis=0):
    scale = np.atleast_1d(np.asarray(scale, np.float32))
    return Quantization(scale, np.full(scale.size, zero_point, np.int64), axis)


def zero_point(rng, dtype):
    """Any, the ends of the type among them; 0 for int16."""
    if dtype == np.int16:
        return 0
    limits = np.iinfo(dtype)
    return int(pick(rng, limits.min, limits.max, rng.integers(limits.min, limits.max + 1)))


@dataclass
class Layer:
    """Integers and quantization of an input, weights, bias (or None) and output.

    input, weights: (array, quantization). bias: int32 or int64 [outputs].
    """

    input: tuple
    weights: tuple
    bias: tuple | None
    output: Quantization


def layer(
    rng, dtype, input_shape, weight_shape, axis, terms, per_channel=None, bias_type=None, without_bias=0.0
):
    """A random layer; terms: how many products an output sums."""
    weight_type = np.uint8 if dtype == np.uint8 else np.int8
    outputs = weight_shape[axis]
    per_channel = dtype != np.uint8 and (bool(rng.integers(2)) if per_channel is None else per_channel)
    weights = integers(rng, weight_shape, weight_type)
    input = integers(rng, input_shape, dtype)
    if rng.random() < 0.2:
        weights, input = np.full_like(weights, weights.flat[0]), np.full_like(input, input.flat[0])
    spread = 40 * LIMITS[dtype] * max(terms, 1) ** 0.5
    # the whole output is reached by accumulators of this spread; often much less, seldom more
    multiplier = LIMITS[dtype] / spread * np.exp(rng.uniform(-3, 2, outputs if per_channel else 1))
    if rng.random() < 0.1:
        multiplier *= np.exp(rng.uniform(-8, 6) * STRETCH)
    input_scale, output_scale = np.exp(rng.uniform(-5, -1, 2)).astype(np.float32)
    weights_scale = (multiplier * output_scale / input_scale).astype(np.float32)
    output = quantization(output_scale, zero_point(rng, dtype))
    bias = None
    if rng.random() >= without_bias:
        bias_type = bias_type or (np.int64 if dtype == np.int16 else np.int32)
        real = np.float64(input_scale) * weights_scale.astype(np.float64) / np.float64(output_scale)
        bias = rng.integers(-int(spread), int(spread) + 1, outputs)
        ties = np.rint((rng.integers(-100, 100, outputs) + 0.5) / real) + rng.integers(-1, 2, outputs)
        ties = np.clip(ties, -(2**30), 2**30).astype(np.int64)
        bias = np.where(rng.random(outputs) < 0.3, ties, bias).astype(bias_type)
        bias = bias, quantization(input_scale * weights_scale, 0)
    return Layer(
        (input, quantization(input_scale, zero_point(rng, dtype))),
        (weights, quantization(weights_scale, zero_point(rng, dtype) if dtype == np.uint8 else 0, axis)),
        bias,
        output,
    )


def constants(builder, drawn, number):
    """Weights and bias as constants of a graph."""
    weights = builder.constant(drawn.weights[0], f"weights_{number}", drawn.weights[1])
    if drawn.bias is None:
        return [weights]
    return [weights, builder.constant(drawn.bias[0], f"bias_{number}", drawn.bias[1])]


def adder(drawn, type, options, version):
    """A function that adds the layer to a builder, for `configurations.compare`."""

    def add(builder, input):
        operands = [input, *constants(builder, drawn, len(builder.graph.operators))]
        return builder.op(type, operands, options, version, quantization=drawn.output)

    return [drawn.input], add


def bias_option(bias_type):
    return {"quantized_bias_type": np.dtype(bias_type).name.upper()} if bias_type else {}


def window_options(rng, kernel):
    dilation = rng.integers(1, 4, 2) if rng.integers(2) else np.array([1, 1])
    stride = rng.integers(1, 4, 2) if dilation.max() == 1 else np.array([1, 1])
    extent = (kernel - 1) * dilation + 1
    return extent, {
        "padding": str(rng.choice(["SAME", "VALID"])),
        "stride_h": int(stride[0]), "stride_w": int(stride[1]),
        "dilation_h_factor": int(dilation[0]), "dilation_w_factor": int(dilation[1]),
        "fused_activation_function": str(rng.choice(ACTIVATIONS)),
    }  # fmt: skip


def conv2d(dtype, bias_type=None):
    def configure(rng):
        groups = int(pick(rng, 1, 1, 2, 3)) if dtype != np.uint8 else 1
        depth, outputs = int(rng.integers(1, 5)), int(rng.integers(1, 5)) * groups
        kernel = rng.integers(1, 4, 2)
        extent, options = window_options(rng, kernel)
        image = (int(rng.integers(1, 3)), *(int(n) for n in extent + rng.integers(0, 6, 2)), depth * groups)
        shape = (outputs, *(int(n) for n in kernel), depth)
        drawn = layer(rng, dtype, image, shape, 0, np.prod(shape[1:]), bias_type=bias_type)
        return adder(drawn, "CONV_2D", options | bias_option(bias_type), 3)

    return configure


def depthwise(dtype, without_bias=0.2):
    def configure(rng):
        channels, multiplier = int(rng.integers(1, 7)), int(pick(rng, 1, 1, 2, 3))
        kernel = rng.integers(1, 5, 2)
        extent, options = window_options(rng, kernel)
        options["depth_multiplier"] = multiplier
        image = (int(rng.integers(1, 3)), *(int(n) for n in extent + rng.integers(0, 6, 2)), channels)
        shape = (1, *(int(n) for n in kernel), channels * multiplier)
        drawn = layer(rng, dtype, image, shape, 3, np.prod(kernel), without_bias=without_bias)
        return adder(drawn, "DEPTHWISE_CONV_2D", options, 3)

    return configure


def fully_connected(dtype, bias_type=None, per_channel=None, weights_zero_point=False):
    def configure(rng):
        inner, outputs = int(rng.integers(1, 80)), int(rng.integers(1, 20))
        shape = [(int(rng.integers(1, 5)), inner), (2, int(rng.integers(1, 4)), inner)][int(rng.integers(2))]
        options = {
            "fused_activation_function": str(rng.choice(ACTIVATIONS)),
            "keep_num_dims": bool(rng.integers(2)),
        }
        drawn = layer(rng, dtype, shape, (outputs, inner), 0, inner, per_channel, bias_type, without_bias=0.2)
        if weights_zero_point:
            drawn.weights[1].zero_point[:] = zero_point(rng, np.int8)
        return adder(drawn, "FULLY_CONNECTED", options | bias_option(bias_type), 4)

    return configure


def transpose_conv(dtype, bias_type=None, stride_limit=4):
    def configure(rng):
        channels, outputs = int(rng.integers(1, 5)), int(rng.integers(1, 6))
        kernel, stride = rng.integers(1, 5, 2), rng.integers(1, stride_limit, 2)
        same, size = bool(rng.integers(2)), rng.integers(1, 7, 2)
        # any output that a convolution of this padding and stride takes to the input's size
        least = (size - 1) * stride + 1 if same else (size - 1) * stride + kernel
        spatial = [int(n) for n in least + rng.integers(0, stride)]
        batch = int(rng.integers(1, 3))
        image = (batch, *(int(n) for n in size), channels)
        shape = (outputs, *(int(n) for n in kernel), channels)
        terms = channels * np.prod(-(-kernel // stride))
        drawn = layer(rng, dtype, image, shape, 0, terms, bias_type=bias_type, without_bias=0.3)
        options = {
            "padding": "SAME" if same else "VALID",
            "stride_h": int(stride[0]), "stride_w": int(stride[1]),
            "fused_activation_function": str(rng.choice(ACTIVATIONS)),
        }  # fmt: skip

        def add(builder, input):
            number = len(builder.graph.operators)
            weights, *bias = constants(builder, drawn, number)
            output_shape = builder.constant(np.array([batch, *spatial, outputs], np.int32), f"shape_{number}")
            operands = [output_shape, weights, input, *bias]
            return builder.op(
                "TRANSPOSE_CONV", operands, options | bias_option(bias_type), 4,
                output_type=input.type, quantization=drawn.output,
            )  # fmt: skip

        return [drawn.input], add

    return configure


def batch_matmul(lhs_type, rhs_type):
    def configure(rng):
        rows, inner, columns = (int(n) for n in rng.integers(1, 20, 3))
        adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
        batch = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 4)))
        shared = tuple(1 if rng.random() < 0.3 else n for n in batch)[int(rng.integers(len(batch) + 1)) :]
        left = (*batch, inner, rows) if adj_x else (*batch, rows, inner)
        right = (*shared, columns, inner) if adj_y else (*shared, inner, columns)
        lhs, rhs = integers(rng, left, lhs_type), integers(rng, right, rhs_type)
        spread = (0.3 * LIMITS[lhs_type]) * (0.3 * LIMITS[rhs_type]) * inner**0.5
        multiplier = LIMITS[lhs_type] / spread * np.exp(rng.uniform(-3, 2))
        lhs_scale, output_scale = np.exp(rng.uniform(-5, -1, 2)).astype(np.float32)
        rhs_scale = np.float32(multiplier * output_scale / lhs_scale)
        rhs_zero_point = zero_point(rng, rhs_type) if lhs_type == np.int8 else 0
        output = quantization(output_scale, zero_point(rng, lhs_type))
        operands = [
            (lhs, quantization(lhs_scale, zero_point(rng, lhs_type))),
            (rhs, quantization(rhs_scale, rhs_zero_point)),
        ]
        constant = bool(rng.integers(2))

        def add(builder, *tensors):
            if constant:
                name = f"rhs_{len(builder.graph.operators)}"
                tensors = *tensors, builder.constant(*operands[1][:1], name, operands[1][1])
            return builder.op(
                "BATCH_MATMUL", tensors, {"adj_x": adj_x, "adj_y": adj_y}, 3, quantization=output
            )

        return operands[: 1 if constant else 2], add

    return configure


def small_layer(
    operator="CONV_2D", dtype=np.int8, bias=0, scales=(0.5, 0.25, 1.0), zero_points=(3, 0, -1), **changes
):
    """A 1x1 layer of two channels, run on zeros; changes: of bias type, bias scale, weights type, options."""
    builder, wide = Builder(), dtype == np.int16
    shape = (1, 2) if operator == "FULLY_CONNECTED" else (1, 2, 2, 2)
    weight_shape = {"CONV_2D": (2, 1, 1, 2), "DEPTHWISE_CONV_2D": (1, 1, 1, 2), "FULLY_CONNECTED": (2, 2)}
    zero_points = (0, 0, 0) if wide and zero_points == (3, 0, -1) else zero_points
    input, weights, output = (quantization(s, z) for s, z in zip(scales, zero_points, strict=True))
    weights.quantized_dimension = changes.pop("axis", 0)
    weight_type = changes.pop("weights", np.uint8 if dtype == np.uint8 else np.int8)
    bias_type = changes.pop("bias_type", np.int64 if wide else np.int32)
    bias_quantization = quantization(changes.pop("bias_scale", 0.125), changes.pop("bias_zero_point", 0))
    x = builder.input("x", shape, type_of(dtype), input)
    operands = [x, builder.constant(np.ones(weight_shape[operator], weight_type), "w", weights)]
    if bias is not None:
        operands.append(builder.constant(np.full(2, bias, bias_type), "b", bias_quantization))
    options = {} if operator == "FULLY_CONNECTED" else {"stride_h": 1, "stride_w": 1}
    graph = builder.finish(builder.op(operator, operands, options | changes, quantization=output))
    return graph, np.zeros(shape, dtype)


# --- whether a product of scales is rounded to float32 ----------------------------------------------


def telling_scales(dtype, count, seed=0):
    """Scales of input, weights and output where it shows in a table of all products of two 8-bit integers.

    The multiplier is input * weights / output in double precision, or the first product is a float32.
    """
    rng, found = np.random.default_rng(seed), []
    integers = centred_integers(dtype)
    table = np.multiply.outer(integers, integers)
    while len(found) < count:
        input, weights = np.exp(rng.uniform(-5, -1, 2)).astype(np.float32)
        output = np.float32(input * weights * rng.uniform(60, 200))
        multipliers = np.float64(input) * np.float64(weights), np.float64(input * weights)
        tables = [multiply(table, *quantize(m / np.float64(output))) for m in multipliers]
        if np.any(np.clip(tables[0], -127, 127) != np.clip(tables[1], -127, 127)):
            found.append((input, weights, output))
    return found


def centred_integers(dtype):
    limits = np.iinfo(dtype)
    return np.arange(limits.min, limits.max + 1) - (128 if dtype == np.uint8 else 0)


def table_layer(operator, dtype, scales):
    """A graph whose output is the table of all products, rescaled, and its inputs."""
    limits, offset = np.iinfo(dtype), 128 if dtype == np.uint8 else 0
    numbers = np.arange(limits.min, limits.max + 1).astype(dtype)
    input, weights, output = (quantization(scale, offset) for scale in scales)
    builder, type = Builder(), type_of(np.dtype(dtype))
    if operator == "BATCH_MATMUL":
        x, rhs = builder.input("x", (256, 1), type, input), builder.input("rhs", (1, 256), type, weights)
        graph = builder.finish(builder.op(operator, [x, rhs], quantization=output))
        return graph, [numbers[:, None], numbers[None]]
    shape = (256, 1) if operator == "FULLY_CONNECTED" else (256, 1, 1, 1)
    depthwise = operator == "DEPTHWISE_CONV_2D"
    constant = builder.constant(numbers.reshape((1, 1, 1, 256) if depthwise else shape), "w", weights)
    bias = builder.constant(np.zeros(256, np.int32), "b", quantization(scales[0] * scales[1], 0))
    x = builder.input("x", shape, type, input)
    operands = [x, constant, bias]
    if operator == "TRANSPOSE_CONV":
        operands = [builder.constant(np.array([256, 1, 1, 256], np.int32), "shape"), constant, x, bias]
    options = {} if operator == "FULLY_CONNECTED" else {"stride_h": 1, "stride_w": 1}
    options |= {"depth_multiplier": 256} if depthwise else {}
    layer = builder.op(operator, operands, options, output_type=type, quantization=output)
    return builder.finish(layer), [numbers.reshape(shape)]


def compare_tables(operator, dtype, run, numerics):
    for scales in telling_scales(dtype, 8):
        graph, inputs = table_layer(operator, dtype, scales)
        found = Interpreter(graph=graph, numerics=numerics).run(inputs)[0]
        assert_same_bits(found, run(graph, inputs)[0], (operator, scales))


# --- accumulators next to ties ----------------------------------------------------------------------


def layer_of_ties(rng, operator, outputs=4096):
    """A graph of one pixel, whose bias takes each accumulator to a tie between two outputs, or one off it."""
    scales = [np.exp(rng.uniform(-3, -2)), np.exp(rng.uniform(-9, -3, pick(rng, 1, outputs))), 0.1]
    input, weights, output = (np.asarray(scale, np.float32) for scale in scales)
    multiplier = np.float64(input) * weights.astype(np.float64) / np.float64(output)
    halves = rng.integers(-100, 100, outputs) + 0.5
    accumulators = np.rint(halves / multiplier).astype(np.int64) + rng.integers(-1, 2, outputs)
    factors, pixel = rng.integers(-127, 128, outputs), int(rng.integers(-128, 128))
    bias = (accumulators - (pixel + 5) * factors).astype(np.int32)
    axis, shapes = LAYOUTS[operator]
    builder = Builder()
    channels = outputs if operator == "DEPTHWISE_CONV_2D" else 1
    shape = (1, 1, 1, channels) if len(shapes) == 4 else (1, 1)
    operands = [
        builder.input("x", shape, "INT8", quantization(input, -5)),
        builder.constant(factors.astype(np.int8).reshape(shapes), "w", quantization(weights, 0, axis)),
        builder.constant(bias, "b", quantization(input * weights, 0)),
    ]
    options = {"stride_h": 1, "stride_w": 1} if len(shapes) == 4 else {}
    options |= {"depth_multiplier": 1} if operator == "DEPTHWISE_CONV_2D" else {}
    layer = builder.op(operator, operands, options, quantization=quantization(output, 3))
    return builder.finish(layer), [np.full(shape, pixel, np.int8)]


LAYOUTS = {
    "CONV_2D": (0, (-1, 1, 1, 1)),
    "DEPTHWISE_CONV_2D": (3, (1, 1, 1, -1)),
    "FULLY_CONNECTED": (0, (-1, 1)),
}
"""The dimension of the weights that counts the outputs, and their shape for one factor an output."""


def compare_ties(operator, run, numerics, layers=20):
    """80,000 outputs: one rounding instead of two shows in a quarter, a float instead of it in one of 800."""
    rng = np.random.default_rng(1)
    for _ in range(layers):
        graph, inputs = layer_of_ties(rng, operator)
        found = Interpreter(graph=graph, numerics=numerics).run(inputs)[0]
        assert_same_bits(found, run(graph, inputs)[0], operator)
