"""Quantized layers that multiply by weights, against LiteRT: its reference kernels, and XNNPACK by default.

All outputs are integers and must be equal. A bias at every third channel puts accumulators at a tie between
two outputs, where the rules of rounding differ.
"""

import integer_layers
import numpy as np
import pytest
from configurations import compare
from integer_layers import (
    LAYOUTS,
    batch_matmul,
    compare_tables,
    compare_ties,
    conv2d,
    depthwise,
    fully_connected,
    transpose_conv,
)
from litert import assert_same_bits, run_litert

from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, XNNPACK

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8])
def test_conv2d_is_equal(dtype):
    compare(conv2d(dtype), 400, seed=1)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8])
def test_depthwise_conv2d_is_equal(dtype):
    compare(depthwise(dtype), 400, seed=2)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8])
def test_fully_connected_is_equal(dtype):
    compare(fully_connected(dtype), 400, seed=3)


def test_fully_connected_subtracts_the_zero_point_of_int8_weights_with_one_scale():
    compare(fully_connected(np.int8, per_channel=False, weights_zero_point=True), 400, seed=9)


@pytest.mark.parametrize("operator", [conv2d, depthwise, transpose_conv, fully_connected])
def test_extreme_multipliers_are_equal(operator, monkeypatch):
    monkeypatch.setattr(integer_layers, "STRETCH", 2.5)
    compare(operator(np.int8), 400, seed=10)


def test_int16_activations_with_int32_biases_are_equal():
    compare(conv2d(np.int16, np.int32), 400, seed=4)
    compare(fully_connected(np.int16, np.int32), 400, seed=5)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8])
def test_transpose_conv_is_equal(dtype):
    compare(transpose_conv(dtype), 400, seed=7)


@pytest.mark.parametrize("types", [(np.int8, np.int8), (np.int16, np.int8), (np.int16, np.int16)])
def test_batch_matmul_is_equal(types):
    compare(batch_matmul(*types), 400, seed=8)


def run_xnnpack(graph, arrays):
    return run_litert(graph, arrays, "AUTO")


@pytest.mark.parametrize(
    "configure",
    # without a bias, its DEPTHWISE_CONV_2D ends the process
    [conv2d(np.int8), depthwise(np.int8, without_bias=0), fully_connected(np.int8)],
    ids=["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"],
)
def test_xnnpack_is_equal_on_int8(configure):
    compare(configure, 400, seed=6, run=run_xnnpack, numerics=XNNPACK)


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_xnnpack_s_bounds_of_activations_next_to_ties_are_equal(operator):
    rng = np.random.default_rng(11)
    for _ in range(200):
        activation, bound = [("RELU6", 6), ("RELU_N1_TO_1", 1)][int(rng.integers(2))]
        scale = np.float32(bound / (int(rng.integers(5, 90)) + 0.5))
        scale = np.nextafter(scale, np.float32(rng.integers(2) * 9)) if rng.integers(2) else scale
        zero_points = (0, 0, int(rng.integers(-60, 40)))
        options = {"depth_multiplier": 1} if operator == "DEPTHWISE_CONV_2D" else {}  # else XNNPACK refuses
        graph, x = integer_layers.small_layer(
            operator, bias=int(rng.choice([-30000, 30000])), bias_scale=1, scales=(1, 1, scale), axis=0,
            zero_points=zero_points, fused_activation_function=activation, **options,
        )  # fmt: skip
        found = Interpreter(graph=graph, numerics=XNNPACK).run([x])[0]
        assert_same_bits(found, run_xnnpack(graph, [x])[0], (operator, scale, zero_points))


CONVOLUTIONS = ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"]


@pytest.mark.parametrize(
    ("operator", "dtype"),
    [
        *((o, t) for o in [*CONVOLUTIONS, "FULLY_CONNECTED"] for t in (np.int8, np.uint8)),
        ("BATCH_MATMUL", np.int8),
    ],
)
def test_the_multiplier_is_rounded_as_there(operator, dtype):
    compare_tables(operator, dtype, run_litert, LITERT_REFERENCE)


@pytest.mark.parametrize("operator", LAYOUTS)
@pytest.mark.parametrize(("run", "numerics"), [(run_litert, LITERT_REFERENCE), (run_xnnpack, XNNPACK)])
def test_accumulators_next_to_ties_are_rounded_as_there(operator, run, numerics):
    compare_ties(operator, run, numerics)
