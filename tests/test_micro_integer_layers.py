"""Quantized layers that multiply by weights, against TensorFlow Lite for Microcontrollers."""

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
from micro import run_micro

from ptq.numerics import TFLITE_MICRO

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("operator", [conv2d, depthwise, fully_connected, transpose_conv])
def test_layers_are_equal(operator, dtype):
    compare(operator(dtype), 400, seed=1, run=run_micro, numerics=TFLITE_MICRO)


@pytest.mark.parametrize("operator", [conv2d, fully_connected])
def test_int16_activations_with_int32_biases_are_equal(operator):
    compare(operator(np.int16, np.int32), 400, seed=2, run=run_micro, numerics=TFLITE_MICRO)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_batch_matmul_is_equal(dtype):
    compare(batch_matmul(dtype, dtype), 400, seed=3, run=run_micro, numerics=TFLITE_MICRO)


@pytest.mark.parametrize(
    "operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"]
)
def test_the_multiplier_is_rounded_as_there(operator):
    compare_tables(operator, np.int8, run_micro, TFLITE_MICRO)


@pytest.mark.parametrize("operator", LAYOUTS)
def test_accumulators_next_to_ties_are_rounded_as_there(operator):
    compare_ties(operator, run_micro, TFLITE_MICRO)
