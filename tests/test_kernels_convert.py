"""QUANTIZE and DEQUANTIZE, against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Operator, Quantization, Tensor
from ptq.kernels import convert
from ptq.kernels.call import Call
from ptq.kernels.convert import dequantize_float, quantize_float

F = np.float32


def parameters(scale, zero_point, axis=0):
    scale, zero_point = np.array(scale, F), np.array(zero_point, np.int64)
    return Quantization(np.atleast_1d(scale), np.atleast_1d(zero_point), axis)


def half_away(value):
    magnitude = int(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_ties_go_away_from_zero_and_the_rest_to_the_nearest(dtype):
    limits = np.iinfo(dtype)
    x = (np.arange(-700, 700) / 4).astype(F)
    for zero_point in (limits.min, 3, limits.max):
        found = quantize_float(x, parameters(0.5, zero_point), dtype)
        assert found.dtype == dtype
        exact = [half_away(Fraction(float(v)) * 2) + zero_point for v in x]
        assert found.tolist() == [min(max(q, limits.min), limits.max) for q in exact]


def test_the_quotient_is_rounded_to_float_before_it_is_rounded_to_an_integer():
    scale = F(0.1)
    x = np.array([np.nextafter(F(scale * F(k + 0.5)), F(0)) for k in range(100)], F)
    found = quantize_float(x, parameters(scale, 0))
    assert found.tolist() == [half_away(Fraction(float(F(v / scale)))) for v in x]
    assert quantize_float(np.array([0.49999997], F), parameters(1, 0)).tolist() == [0]


def test_what_int32_does_not_hold_wraps_with_the_zero_point():
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], F)
    assert quantize_float(x, parameters(1, -1)).tolist() == [127] * 5
    assert quantize_float(x, parameters(1, 0)).tolist() == [-128] * 5


def test_per_channel():
    x = np.array([[1, 1, 1], [-2, -2, -2]], F)
    q = quantize_float(x, parameters([1, 0.5, 0.25], [0, 1, 2], axis=1))
    assert q.tolist() == [[1, 3, 6], [-2, -3, -6]]
    np.testing.assert_array_equal(dequantize_float(q, parameters([1, 0.5, 0.25], [0, 1, 2], axis=1)), x)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_dequantize_rounds_the_exact_product_once(dtype):
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    q = rng.integers(limits.min, limits.max, 500, dtype, endpoint=True)
    for scale in np.exp(rng.uniform(-20, 20, 5)).astype(F):
        found = dequantize_float(q, parameters(scale, limits.min))
        # a double holds the product of 24 and 17 bits exactly
        assert found.tolist() == [float(F(float(scale) * (int(v) - limits.min))) for v in q]


def test_float16_is_widened():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(dequantize_float(halves), np.array([float(h) for h in halves], F))


def test_types_that_cannot_be_converted():
    with pytest.raises(UnsupportedError, match="int32"):
        quantize_float(np.zeros(1, F), parameters(1, 0), np.int32)
    with pytest.raises(UnsupportedError, match="int8 to int8"):
        quantize_float(np.zeros(1, np.int8), parameters(1, 0))
    with pytest.raises(UnsupportedError, match="int64"):
        dequantize_float(np.zeros(1, np.int64), parameters(1, 0))
    with pytest.raises(GraphError, match="scale"):
        dequantize_float(np.zeros(1, np.int8))


def test_registry():
    quantization = parameters(0.5, 1)
    x, q = np.array([1, -1], F), np.array([3, -1], np.int8)
    real, whole = Tensor("x", (2,)), Tensor("q", (2,), "INT8", quantization=quantization)
    there = Call(Operator("QUANTIZE", [0], [1]), [real], [x], [whole])
    assert convert.FLOAT["QUANTIZE"](there)[0].tolist() == [3, -1]
    back = Call(Operator("DEQUANTIZE", [1], [0]), [whole], [q], [real])
    assert convert.FLOAT["DEQUANTIZE"](back)[0].tolist() == [1, -1]
    with pytest.raises(GraphError, match="'x'"):
        convert.FLOAT["QUANTIZE"](Call(Operator("QUANTIZE", [0], [1]), [real], [x], [real]))


def test_a_constant_is_dequantized_once():
    q = np.array([3, -1], np.int8)
    tensor = Tensor("q", (2,), "INT8", q, parameters(0.5, 1))
    call = Call(Operator("DEQUANTIZE", [0], [1]), [tensor], [q], [Tensor("x", (2,))])
    first, second = (convert.FLOAT["DEQUANTIZE"](call)[0] for _ in range(2))
    assert first is second and first.tolist() == [1, -1]
