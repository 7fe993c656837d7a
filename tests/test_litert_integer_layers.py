"""Quantized layers that multiply by weights, against LiteRT: its reference kernels, and XNNPACK by default.

All outputs are integers and must be equal. A bias at every third channel puts accumulators at a tie between
two outputs, where the rules of rounding differ.
"""

import numpy as np
import pytest
from configurations import compare
from integer_layers import conv2d, depthwise, fully_connected

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


def test_int16_activations_with_int32_biases_are_equal():
    compare(conv2d(np.int16, np.int32), 400, seed=4)
    compare(fully_connected(np.int16, np.int32), 400, seed=5)
