"""Arithmetic of two operands, against Python's numbers."""

import operator

import numpy as np
import pytest

from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import elementwise
from ptq.kernels.call import Call
from ptq.kernels.elementwise import (
    add_float,
    add_int,
    div_float,
    div_int,
    maximum,
    minimum,
    mul_float,
    mul_int,
    prelu_float,
    squared_difference,
    sub_float,
    sub_int,
)

F = np.float32
ON_FLOAT = [(add_float, operator.add), (sub_float, operator.sub), (mul_float, operator.mul)]
ON_INT = [(add_int, operator.add), (sub_int, operator.sub), (mul_int, operator.mul)]


@pytest.mark.parametrize(("function", "combine"), ON_FLOAT)
def test_floats_are_combined_and_broadcast(function, combine):
    rng = np.random.default_rng(0)
    shapes = [((3, 4), (4,)), ((2, 1, 3), (5, 1)), ((1,), (2, 2)), ((), (3,)), ((2, 3), (2, 3))]
    for a_shape, b_shape in shapes:
        a, b = rng.normal(size=a_shape).astype(F), rng.normal(size=b_shape).astype(F)
        found = function(a, b)
        assert found.dtype == F
        wide_a, wide_b = np.broadcast_arrays(a, b)
        for index in np.ndindex(*wide_a.shape):
            # the exact sum, difference or product of two floats, rounded once
            assert found[index] == F(combine(float(wide_a[index]), float(wide_b[index])))


def test_infinite_results_become_the_largest_float():
    large = np.array([3e38, -3e38, np.nan, np.inf], F)
    largest = np.finfo(F).max
    np.testing.assert_array_equal(add_float(large, large), np.array([largest, -largest, np.nan, largest], F))
    np.testing.assert_array_equal(sub_float(large[3:], large[3:]), [np.nan])
    assert mul_float(large[:1], large[:1], "RELU6").tolist() == [6]
    found = div_float(np.array([1, -1, 0, 3], F), np.array([0, 0, 0, np.inf], F))
    np.testing.assert_array_equal(found, np.array([largest, -largest, np.nan, 0], F))


def test_a_quotient_is_rounded_once():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=200).astype(F), rng.normal(size=200).astype(F)
    # a double holds more than twice the digits of a float: rounding its quotient again changes nothing
    assert div_float(a, b).tolist() == [float(F(float(x) / float(y))) for x, y in zip(a, b, strict=True)]


def test_integers_are_divided_toward_zero():
    a = np.array([7, -7, 7, -7, -(2**31), -(2**31), 2**31 - 1], np.int32)
    b = np.array([2, 2, -2, -2, -1, 1, -(2**31)], np.int32)
    assert div_int(a, b).tolist() == [3, -3, -3, 3, 2**31 - 1, -(2**31), 0]
    assert div_int(a, b, "RELU6").tolist() == [3, 0, 0, 3, 6, 0, 0]
    with pytest.raises(InputError, match="DIV: a zero"):
        div_int(np.zeros(0, np.int32), np.zeros(1, np.int32))


def test_the_larger_and_the_smaller_are_the_second_in_doubt():
    a = np.array([1, 2, np.nan, 1, -0.0, 0], F)
    b = np.array([2, 1, 1, np.nan, 0, -0.0], F)
    np.testing.assert_array_equal(maximum(a, b), np.array([2, 2, 1, np.nan, 0, 0], F))
    np.testing.assert_array_equal(minimum(a, b), np.array([1, 1, 1, np.nan, 0, 0], F))
    for function in (maximum, minimum):
        assert np.signbit(function(a, b))[4:].tolist() == [False, True]
    assert maximum(np.array([[3], [200]], np.uint8), np.array([100], np.uint8)).tolist() == [[100], [200]]


def test_squared_differences_have_no_bounds_but_wrap():
    assert squared_difference(np.array([3, -3e38], F), np.array([5, 3e38], F)).tolist() == [4, np.inf]
    a, b = 2**31 - 1, -5
    exact = (((a - b) + 2**31) % 2**32 - 2**31) ** 2
    found = squared_difference(np.array([a], np.int32), np.array([b], np.int32))
    assert found.dtype == np.int32 and found.tolist() == [(exact + 2**31) % 2**32 - 2**31]


def test_slopes_are_broadcast():
    x = np.array([[-2, 3, -0.0], [4, -5, np.nan]], F)
    found = prelu_float(x, np.array([10, 100, 1000], F))
    np.testing.assert_array_equal(found, np.array([[-20, 3, 0], [4, -500, np.nan]], F))
    assert np.signbit(found[0, 2])
    with pytest.raises(ShapeError, match=r"PRELU: slopes of shape \(4, 1, 1\)"):
        prelu_float(x, np.ones((4, 1, 1), F))


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize(("function", "combine"), ON_INT)
def test_integers_wrap(function, combine, bits):
    dtype = np.dtype(f"int{bits}")
    edges = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1, 0, 1, 2, 12345]
    a, b = (array.ravel() for array in np.meshgrid(np.array(edges, dtype), np.array(edges, dtype)))
    bounds = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
    for activation, (low, high) in bounds.items():
        expected = []
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            value = (combine(x, y) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
            value = value if low is None else max(value, low)
            expected.append(value if high is None else min(value, high))
        found = function(a, b, activation)
        assert found.dtype == dtype and found.tolist() == expected


def test_operands_that_do_not_fit():
    a = np.zeros((2, 3), F)
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2,\)"):
        add_float(a, np.zeros(2, F))
    with pytest.raises(UnsupportedError, match="float32 and int32"):
        mul_float(a, np.zeros((2, 3), np.int32))
    assert sub_float(np.zeros((1,) * 8, F), np.zeros((2,), F)).shape == (1, 1, 1, 1, 1, 1, 1, 2)
    with pytest.raises(ShapeError, match="8 dimensions"):
        sub_float(np.zeros((1,) * 9, F), np.zeros((2,), F))
    with pytest.raises(UnsupportedError, match="TANH"):
        add_int(np.zeros(1, np.int32), np.zeros(1, np.int32), "TANH")


def call(kind, *inputs):
    tensors = [Tensor(f"x{i}", array.shape) for i, array in enumerate(inputs)]
    options = {"fused_activation_function": "NONE"}
    return Call(Operator(kind, [0, 1], [2], options), tensors, list(inputs), [Tensor("y", ())])


def test_registry_chooses_by_dtype_and_refuses_others():
    (found,) = elementwise.FLOAT["SUB"](call("SUB", np.array([5, 1], np.int32), np.array([7], np.int32)))
    assert found.dtype == np.int32 and found.tolist() == [-2, -6]
    (found,) = elementwise.FLOAT["MUL"](call("MUL", np.array([5, 1], F), np.array([0.5], F)))
    assert found.tolist() == [2.5, 0.5]
    with pytest.raises(UnsupportedError, match=r"ADD: .*dtype int8"):
        elementwise.FLOAT["ADD"](call("ADD", np.zeros(1, np.int8), np.zeros(1, np.int8)))
