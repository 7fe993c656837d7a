"""Functions of one operand, against exact arithmetic and Python's numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest

from ptq.errors import UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import unary
from ptq.kernels.call import Call
from ptq.kernels.unary import (
    absolute,
    exp_float,
    floor,
    log_float,
    negate,
    rsqrt_float,
    sqrt_float,
    square_float,
)

F = np.float32
NAN, INF = F(np.nan), F(np.inf)
EVERYTHING = np.array([-INF, -4, -0.5, -1e-40, -0.0, 0, 1e-40, 0.25, 4, INF, NAN], F)


def bits(*values):
    return np.array(values, F).view(np.uint32).tolist()


def same(found, *expected):
    assert found.dtype == F
    np.testing.assert_array_equal(found, np.array(expected, F))
    number = ~np.isnan(found)
    assert np.signbit(found)[number].tolist() == np.signbit(np.array(expected, F))[number].tolist()


def test_the_ends_of_the_line_and_its_middle():
    tiny = F(1e-40)
    same(exp_float(EVERYTHING), 0, exp_float(F([-4]))[0], exp_float(F([-0.5]))[0], 1, 1, 1, 1,
         exp_float(F([0.25]))[0], exp_float(F([4]))[0], INF, NAN)  # fmt: skip
    assert log_float(EVERYTHING)[[4, 5]].tolist() == [-np.inf] * 2 and log_float(EVERYTHING)[9] == INF
    assert np.isnan(log_float(EVERYTHING)[[0, 1, 2, 3, 10]]).all()
    assert np.isnan(sqrt_float(EVERYTHING)[[0, 1, 2, 3, 10]]).all()
    same(sqrt_float(EVERYTHING)[[4, 5, 7, 8, 9]], -0.0, 0, 0.5, 2, INF)
    same(rsqrt_float(EVERYTHING)[[4, 5, 7, 8, 9]], -INF, INF, 2, 0.5, 0)
    same(square_float(EVERYTHING), INF, 16, 0.25, 0, 0, 0, 0, 0.0625, 16, INF, NAN)
    same(negate(EVERYTHING), INF, 4, 0.5, tiny, 0, -0.0, -tiny, -0.25, -4, -INF, NAN)
    same(absolute(EVERYTHING), INF, 4, 0.5, tiny, 0, 0, tiny, 0.25, 4, INF, NAN)
    same(floor(EVERYTHING), -INF, -4, -1, -1, -0.0, 0, 0, 0, 4, INF, NAN)


def test_a_root_is_rounded_once_and_its_reciprocal_twice():
    x = np.exp(np.random.default_rng(0).uniform(-80, 80, 500)).astype(F)
    for value, root, reciprocal in zip(x, sqrt_float(x), rsqrt_float(x), strict=True):
        # the nearest float: the exact root lies between the midpoints to both neighbours
        below, above = (np.nextafter(root, end) for end in (F(0), INF))
        low, high = (Fraction(float(root)) + Fraction(float(n)) for n in (below, above))
        assert (low / 2) ** 2 <= Fraction(float(value)) <= (high / 2) ** 2
        assert reciprocal == F(1 / float(root))


def test_known_bits():
    # correctly rounded ln 2, ln 10 and e, from their decimals
    x = np.array([2, 10], F)
    assert log_float(x).view(np.uint32).tolist() == bits(0.6931471805599453, 2.302585092994046)
    assert exp_float(np.ones(1, F)).view(np.uint32).tolist() == bits(math.e)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_the_smallest_integer_has_no_opposite(dtype):
    limits = np.iinfo(dtype)
    x = np.array([limits.min, limits.min + 1, -1, 0, limits.max], dtype)
    assert negate(x).tolist() == [limits.min, limits.max, 1, 0, -limits.max]
    assert absolute(x).tolist() == [limits.min, limits.max, 1, 0, limits.max]


def test_half_precision_is_rounded_down_too():
    x = np.array([-1.5, -0.0, 2.75, 65504], np.float16)
    assert floor(x).dtype == np.float16 and floor(x).tolist() == [-2, 0, 2, 65504]
    assert np.signbit(floor(x)).tolist() == [True, True, False, False]


def test_scalars_and_empty_arrays():
    for function in (exp_float, log_float, sqrt_float, rsqrt_float, square_float, negate, absolute, floor):
        assert function(np.array(1, F)).shape == ()
        assert function(np.zeros((0, 3), F)).shape == (0, 3)


def test_registry_names_a_wrong_type():
    x = np.ones(2, np.int64)
    call = Call(Operator("ABS", [0], [1]), [Tensor("ages", (2,), "INT64")], [x], [Tensor("y", (2,))])
    with pytest.raises(UnsupportedError, match=r"ABS.*'ages'.*int64 found, expected float32 or int16"):
        unary.FLOAT["ABS"](call)
