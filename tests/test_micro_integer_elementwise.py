"""Integer kernels without weights against TensorFlow Lite for Microcontrollers, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import quantized_operators as q
from micro import run_micro

from ptq.numerics import TFLITE_MICRO

pytestmark = pytest.mark.peers
pytest.importorskip("tflite_micro")

COUNT = 300
REPRODUCE = replace(TFLITE_MICRO, upstream_defects="reproduce")
I8, I16 = np.int8, np.int16
BOTH = [I8, I16]


@pytest.fixture(autouse=True)
def no_odd_shapes(monkeypatch):
    monkeypatch.setattr(q, "ODD_SHAPES", False)


def check(operation, numerics=TFLITE_MICRO, count=COUNT):
    q.compare(operation, count, run_micro, numerics)


@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_addition(kind):
    check(q.addition(kind, I8))
    check(q.addition(kind, I16))  # micro does not look at pot_scale_int16


@pytest.mark.parametrize("dtype", BOTH)
def test_products(dtype):
    check(q.multiplication(dtype))
    check(q.squared_difference(dtype))
    check(q.prelu(dtype))


def test_division():
    check(q.division(I8), REPRODUCE)


@pytest.mark.parametrize("dtype", BOTH)
def test_extremes(dtype):
    check(q.extreme("MAXIMUM", dtype))
    check(q.extreme("MINIMUM", dtype))


@pytest.mark.parametrize("kind", ["EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"])
def test_comparisons(kind):
    check(q.comparison(kind, I8))


@pytest.mark.parametrize("dtype", BOTH)
def test_unary(dtype):
    for kind in ("RELU", "RELU6", "ABS"):
        check(q.unary(kind, dtype))
    check(q.unary("LEAKY_RELU", dtype, options=q.alpha))


def test_hard_swish_rsqrt_and_l2_normalization():
    check(q.unary("HARD_SWISH", I8, low=-6.9, high=14))
    check(q.rsqrt)
    check(q.l2_normalization(I8))


@pytest.mark.parametrize("dtype", BOTH)
def test_pools_and_reductions(dtype):
    for kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        check(q.pool(kind, dtype))
    for kind in ("MEAN", "SUM"):
        check(q.reduction(kind, dtype))


@pytest.mark.parametrize("kind", ["REDUCE_MAX", "REDUCE_MIN"])
def test_extremes_over_axes(kind):
    check(q.reduction(kind, I8))
