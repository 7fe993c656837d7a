"""Quantized layers that multiply by weights, against TensorFlow Lite for Microcontrollers."""

import numpy as np
import pytest
from configurations import compare
from integer_layers import conv2d, depthwise, fully_connected
from micro import run_micro

from ptq.numerics import TFLITE_MICRO

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("operator", [conv2d, depthwise, fully_connected])
def test_layers_are_equal(operator, dtype):
    compare(operator(dtype), 400, seed=1, run=run_micro, numerics=TFLITE_MICRO)
