"""QUANTIZE, DEQUANTIZE and CAST, against exact rational arithmetic and Python's numbers."""

from fractions import Fraction

import numpy as np
import pytest

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Operator, Quantization, Tensor
from ptq.kernels import convert
from ptq.kernels.call import Call
from ptq.kernels.convert import cast, dequantize_float, quantize_float
from ptq.numerics import TFLITE_MICRO

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


CORNERS = [-1e30, -129, -128.9, -1.5, -0.9, -0.0, 0.9, 1.5, 127.9, 128, 255.5, 256, 1e30]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
def test_reals_lose_their_fraction_and_saturate(dtype):
    limits = np.iinfo(dtype)
    edges = [limits.max + 1, limits.min - 1, limits.max / 2, *CORNERS]
    for source in (np.float32, np.float64):
        x = np.array(edges, source)
        expected = [min(max(int(value), limits.min), limits.max) for value in x.tolist()]
        found = cast(x, dtype)
        assert found.dtype == dtype and found.tolist() == expected
    odd = np.array([np.nan, np.inf, -np.inf], np.float16)
    assert cast(odd, dtype).tolist() == [limits.max, limits.max, limits.min]
    assert cast(odd, dtype, TFLITE_MICRO).tolist() == [0, limits.max, limits.min]


def test_integers_keep_their_low_bits():
    x = np.array([-(2**31), -1, 255, 256, 2**31 - 1], np.int32)
    assert cast(x, np.int8).tolist() == [0, -1, -1, 0, -1]
    assert cast(x, np.uint32).tolist() == [2**31, 2**32 - 1, 255, 256, 2**31 - 1]
    assert cast(x, np.bool_).tolist() == [True] * 5
    assert cast(x, np.float32).tolist() == [-(2.0**31), -1, 255, 256, 2.0**31]


def test_half_precision_is_reached_through_float32():
    # halfway between two halves in float32, but a little more in double: rounded twice it goes down, to even
    x = np.array([1 + 2.0**-11 + 2.0**-40, 70000, np.nan])
    np.testing.assert_array_equal(cast(x, np.float16), np.array([1, np.inf, np.nan], np.float16))


def test_other_casts():
    x = np.array([2 + 3j, 0 + 1j], np.complex64)
    assert cast(x, np.int16).tolist() == [2, 0] and cast(x, np.bool_).tolist() == [True, False]
    assert cast(x, np.complex64).tolist() == [2 + 3j, 1j]
    assert cast(np.array([np.nan, -0.0], F), np.bool_).tolist() == [True, False]
    assert cast(np.array([True, False]), F).tolist() == [1, 0]
    for unknown in (np.uint64, np.complex128):
        with pytest.raises(UnsupportedError, match=f"float32 to {np.dtype(unknown)}"):
            cast(np.zeros(1, F), unknown)


def test_the_type_of_a_cast_is_that_of_its_output():
    options = {"in_data_type": "FLOAT32", "out_data_type": "FLOAT32"}
    x = np.array([1.5, -2.5], F)
    call = Call(Operator("CAST", [0], [1], options), [Tensor("x", (2,))], [x], [Tensor("y", (2,), "INT16")])
    (found,) = convert.FLOAT["CAST"](call)
    assert found.dtype == np.int16 and found.tolist() == [1, -2]
    call.output_tensors = [Tensor("y", (2,), "INT4")]
    with pytest.raises(UnsupportedError, match="'y' of type INT4"):
        convert.FLOAT["CAST"](call)


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
