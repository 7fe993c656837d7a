"""The answers of lessons 3 to 5 are what ptq's kernels, or its scalar specification, compute."""

import math

import numpy as np
import pytest

import ptq
from ptq.fixed_point import wrap_spec
from ptq.gemm import integer_matmul_loops
from ptq.kernels.padding import window
from ptq.lessons import convolution_and_per_channel, exact_integer_matmul, one_dense_layer
from ptq.passes.integer_constants import quantize_bias
from ptq.quantizer import calculate_activation_range_quantized, quantize_weights

NUMBER_OF = {"exact_integer_matmul": 3, "one_dense_layer": 4, "convolution_and_per_channel": 5}
MODULES = (exact_integer_matmul, one_dense_layer, convolution_and_per_channel)


def solved(exercise):
    """The cases and what the answer makes of them."""
    return zip(exercise.cases, exercise.results(exercise.function(exercise.answer)), strict=True)


def accumulator(operator, operands, scales, **arguments):
    """The last sum on the sheet of the scalar specification, before the rescale."""
    lines = ptq.trace(operator, operands, scales, "INT8", (1.0, 0), **arguments).lines
    return next(line.value for line in lines if line.name == "accumulator")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[-1])
def test_the_lessons_have_their_numbers(module):
    assert module.lesson.number == NUMBER_OF[module.__name__.rsplit(".", 1)[-1]]


def test_four_terms_are_the_product_of_the_differences():
    for (x, w, z_x, z_w), found in solved(exact_integer_matmul.TERMS):
        wanted = integer_matmul_loops(x.astype(np.int64) - z_x, w.astype(np.int64) - z_w)
        np.testing.assert_array_equal(found, wanted)


def test_a_folded_bias_replaces_the_zero_point():
    x = np.arange(-8, 8, dtype=np.int64)
    for (w, bias, z_x), folded in solved(exact_integer_matmul.FOLD):
        rows = np.resize(x, (3, w.shape[1]))
        wanted = integer_matmul_loops(rows - z_x, w) + bias
        np.testing.assert_array_equal(integer_matmul_loops(rows, w) + folded, wanted)


def test_the_longest_sum_is_the_longest_that_does_not_wrap():
    for (bits, x, w), longest in solved(exact_integer_matmul.LONGEST):
        assert wrap_spec(longest * x * w, bits) == longest * x * w
        assert wrap_spec((longest + 1) * x * w, bits) != (longest + 1) * x * w


def test_a_wrapped_total_is_that_of_the_specification():
    for (total, bits), found in solved(exact_integer_matmul.WRAP):
        assert found == wrap_spec(total, bits)


def test_the_bound_is_that_of_the_worst_row():
    for (w, largest), exact in solved(exact_integer_matmul.EXACT):
        worst = max(sum(abs(int(v)) for v in row) for row in w)
        assert exact == (worst * largest <= 2**24)


def test_the_multiplier_is_the_one_on_the_sheet():
    q, w = np.array([[1]], np.int8), np.array([[1]], np.int8)
    for (a, b, c), found in solved(one_dense_layer.MULTIPLIER):
        lines = ptq.trace("FULLY_CONNECTED", [q, w], [(a, 0), (b, 0)], "INT8", (c, 0), element=(0, 0)).lines
        assert found == next(line.value for line in lines if line.name == "real_multiplier")


def test_the_bias_is_the_converters():
    for (bias, scale_x, scale_w), found in solved(one_dense_layer.BIAS):
        scale = np.array([scale_x * scale_w])
        assert found == quantize_bias(np.array([bias]), scale, np.int32)[0]


def test_the_bounds_are_the_kernels():
    for (activation, scale, zero_point), found in solved(one_dense_layer.BOUNDS):
        quantization = ptq.Quantization(np.array([scale], np.float32), np.array([zero_point]))
        assert found == calculate_activation_range_quantized(activation, quantization)


def test_the_dense_output_is_the_specifications():
    inside = 0
    for (q, w, bias, z_x, m, z_y, lowest, highest), found in solved(one_dense_layer.DENSE):
        wanted = accumulator(
            "FULLY_CONNECTED", [q[None], w[None], np.array([bias], np.int32)],
            [(1.0, z_x), (1.0, 0), (1.0, 0)], element=(0, 0),
        )  # fmt: skip
        rescaled = math.copysign(math.floor(abs((wanted + bias) * m) + 0.5), wanted + bias)
        assert found == min(max(int(rescaled) + z_y, lowest), highest)
        inside += lowest < found < highest
    assert inside >= 4


def test_same_padding_is_the_kernels():
    for arguments, found in solved(convolution_and_per_channel.PADDING):
        wanted = window(*arguments, "SAME")
        assert found == (wanted.size, wanted.before, wanted.after)


def test_borders_are_the_specifications():
    options = {"padding": "SAME", "stride_h": 1, "stride_w": 1}
    for (q, w, z), found in solved(convolution_and_per_channel.BORDER):
        operands = [q.reshape(1, 1, -1, 1), w.reshape(1, 1, -1, 1), np.zeros(1, np.int32)]
        scales = [(1.0, z), (1.0, 0), (1.0, 0)]
        assert found == [
            accumulator("CONV_2D", operands, scales, options=options, element=(0, 0, x, 0))
            for x in range(q.size)
        ]


def test_scales_are_the_converters():
    for (operator, w), found in solved(convolution_and_per_channel.SCALES):
        axis = 3 if operator == "DEPTHWISE_CONV_2D" else 0
        np.testing.assert_array_equal(found, quantize_weights(w, "legacy_dynamic_range", axis)[1].scale)


def test_depthwise_sums_are_the_specifications():
    options = {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    for (q, w, z, y, x, o, multiplier), found in solved(convolution_and_per_channel.DEPTHWISE):
        operands = [q[None], w[None], np.zeros(w.shape[2], np.int32)]
        scales = [(1.0, z), (1.0, 0), (1.0, 0)]
        place = {"options": {**options, "depth_multiplier": multiplier}, "element": (0, y, x, o)}
        assert found == accumulator("DEPTHWISE_CONV_2D", operands, scales, **place)


def test_erased_channels_have_no_weight_left():
    for (largest,), found in solved(convolution_and_per_channel.LOST):
        integers, _ = quantize_weights(largest.astype(np.float32), "mlir_dynamic_range")
        assert found == np.sum(integers == 0)
