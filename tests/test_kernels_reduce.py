"""Reductions, against loops that visit one element after the other."""

import itertools
import math

import numpy as np
import pytest

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import reduce
from ptq.kernels.call import Call
from ptq.kernels.reduce import (
    any_over,
    arg_max,
    arg_min,
    maximum_over,
    mean_over,
    minimum_over,
    product_over,
    sum_over,
)
from ptq.numerics import LITERT_REFERENCE, PORTABLE, TFLITE_MICRO

F = np.float32
NAN, INF, LARGEST = float("nan"), float("inf"), float(np.finfo(F).max)
SHAPES = [(3, 4, 5), (7,), (2, 1, 3, 4), (6, 1)]


def row(*values):
    return np.array(values, F)


def groups(x, axes):
    """The elements that each output combines, in the order of memory."""
    found = {}
    for index in np.ndindex(*x.shape):
        key = tuple(0 if axis in axes else i for axis, i in enumerate(index))
        found.setdefault(key, []).append(x[index])
    return found


def add(values):
    total = F(0)
    for value in values:
        total = F(total + value)
    return total


def multiply(values):
    product = F(1)
    for value in values:
        product = F(product * value)
    return product


def mean(values):
    return F(add(values) / F(len(values)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("function", "spec"),
    [(sum_over, add), (product_over, multiply), (mean_over, mean), (maximum_over, max), (minimum_over, min)],
)
def test_every_set_of_axes(function, spec, shape):
    x = (1 + np.random.default_rng(1).normal(size=shape) / 3).astype(F)
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            found = function(x, axes, keep_dims=True)
            assert found.dtype == F
            assert found.shape == tuple(1 if a in axes else n for a, n in enumerate(shape))
            assert all(found[key] == spec(values) for key, values in groups(x, axes).items())
            flat = function(x, [a - len(shape) for a in axes] * 2)
            assert flat.shape == tuple(n for a, n in enumerate(shape) if a not in axes)
            assert flat.tobytes() == found.tobytes()


def test_nothing_is_combined_to_the_neutral_element():
    for axes, shape in ((0, (3,)), ([0, 1], ())):
        for dtype, low, high, none in [(F, -LARGEST, LARGEST, NAN), (np.int32, -(2**31), 2**31 - 1, 0)]:
            x = np.zeros((0, 3), dtype)
            np.testing.assert_array_equal(mean_over(x, axes), np.full(shape, none, dtype))
            for function, neutral in [
                (sum_over, 0), (product_over, 1), (maximum_over, low), (minimum_over, high)
            ]:  # fmt: skip
                found = function(x, axes)
                assert found.dtype == dtype and found.shape == shape and (found == dtype(neutral)).all()
    assert sum_over(np.zeros((0, 3), F), 1).shape == (0,)
    assert not any_over(np.zeros((0, 3), np.bool_), [0, 1])


def test_a_scalar_and_no_axes_change_nothing():
    for function in (sum_over, product_over, mean_over, maximum_over, minimum_over):
        assert function(np.array(-3, F), 0) == -3
        assert function(row(1, -2), []).tolist() == [1, -2]


def test_all_axes_start_at_the_first_element_and_some_at_the_neutral_one():
    zeros, low = row(-0.0, -0.0), row(-INF, -INF)
    assert np.signbit(sum_over(zeros, 0)) and not np.signbit(sum_over(zeros[None], 1)).any()
    assert maximum_over(low, 0) == -INF and maximum_over(low[None], 1).tolist() == [-LARGEST]
    assert minimum_over(-low, 0) == INF and minimum_over(-low[None], 1).tolist() == [LARGEST]
    assert not np.signbit(mean_over(zeros, 0))  # which has a kernel of its own


@pytest.mark.parametrize("function", [maximum_over, minimum_over])
def test_nan_stays_only_where_it_starts(function):
    # (the row, over all axes, over some axes)
    cases = [((NAN, 1), NAN, 1), ((1, NAN), 1, 1), ((NAN, NAN), NAN, -LARGEST), ((-INF, NAN), -INF, -LARGEST)]
    sign = 1 if function is maximum_over else -1
    for values, alone, among in cases:
        x = row(*values) * F(sign)
        np.testing.assert_array_equal(function(x, 0) * F(sign), F(alone))
        np.testing.assert_array_equal(function(x[None], 1) * F(sign), row(among))


def test_micro_starts_at_the_neutral_element_even_over_all_axes():
    assert not np.signbit(sum_over(row(-0.0, -0.0), 0, numerics=TFLITE_MICRO))
    for values, largest in [((NAN, 1), 1), ((-INF, -INF), -LARGEST), ((NAN, NAN), -LARGEST)]:
        assert maximum_over(row(*values), 0, numerics=TFLITE_MICRO) == largest
        assert minimum_over(-row(*values), 0, numerics=TFLITE_MICRO) == -largest


def test_positions_beside_nan_depend_on_the_build():
    lanes, start = row(1, NAN, 9, 3, NAN, NAN, 2, 3), row(NAN, 1, 2)
    hidden = row(NAN, 1, 2, 3, NAN, 5, 6, 7)  # lane 0 has nothing but NaN
    for x, expected in [(lanes, (2, 2, 2)), (start, (2, 2, 0)), (hidden, (0, 7, 0))]:
        found = [int(arg_max(x, numerics=n)) for n in (LITERT_REFERENCE, PORTABLE, TFLITE_MICRO)]
        assert found == list(expected)
        assert [int(arg_min(-x, numerics=n)) for n in (LITERT_REFERENCE, PORTABLE, TFLITE_MICRO)] == found


def test_of_equal_zeros_the_first():
    for first in (0.0, -0.0):
        for function in (maximum_over, minimum_over):
            x = np.tile(row(first, -first), (5, 20))
            assert (np.signbit(function(x, 1)) == np.signbit(first)).all()
            assert np.signbit(function(x, [0, 1])) == np.signbit(first)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_integers_wrap(dtype):
    limits = np.iinfo(dtype)
    x = np.array([[limits.max, limits.max, 2], [limits.min, 3, 5]], dtype)

    def wrapped(value):
        return (value - limits.min) % 2**limits.bits + limits.min

    expected = [wrapped(math.prod(values)) for values in x.tolist()]
    assert product_over(x, 1).tolist() == expected
    assert maximum_over(x, 0).tolist() == [limits.max, limits.max, 5]
    assert minimum_over(x, [0, 1]) == limits.min
    if dtype in (np.int32, np.int64):
        assert sum_over(x, 1).dtype == dtype
        assert sum_over(x, 1).tolist() == [wrapped(sum(values)) for values in x.tolist()]


def test_the_mean_of_integers_is_rounded_toward_zero():
    x = np.array([[7, 0], [-7, 0], [-8, 0], [2**31 - 1, 2**31 - 1]], np.int32)
    assert mean_over(x, 1).tolist() == [3, -3, -4, 2**31 - 1]
    assert mean_over(x, 1).dtype == np.int32


def test_truth_values():
    x = np.array([[True, False], [False, False], [True, True]])
    either, both = [True, False, True], [False, False, True]
    for function, expected in [
        (any_over, either), (sum_over, either), (maximum_over, either), (minimum_over, both),
        (product_over, both)
    ]:  # fmt: skip
        assert function(x, 1).dtype == np.bool_ and function(x, 1).tolist() == expected


def first_largest(values):
    """The comparison of the reference: NaN never wins, and gives way to anything."""
    best = 0
    for i, value in enumerate(values):
        if not math.isnan(value) and (math.isnan(values[best]) or value > values[best]):
            best = i
    return best


def first_largest_of_lanes(values):
    """The same in four lanes of a vector, as x86 wheels run it along the last axis."""
    whole = len(values) // 4 * 4
    winners = [lane + 4 * first_largest(values[lane:whole:4]) for lane in range(4)]
    top = [values[i] for i in winners]
    pairs = [top[1] if top[0] < top[1] else top[0], top[3] if top[2] < top[3] else top[2]]
    largest = pairs[1] if pairs[0] < pairs[1] else pairs[0]
    best = min((i for i in winners if values[i] == largest), default=0)
    for i in range(whole, len(values)):
        if not math.isnan(values[i]) and (math.isnan(largest) or values[i] > largest):
            best, largest = i, values[i]
    return best


@pytest.mark.parametrize("size", [1, 3, 4, 5, 7, 9, 13])
def test_positions_of_floats(size):
    rng = np.random.default_rng(size)
    x = rng.choice(row(NAN, NAN, NAN, -INF, INF, -0.0, 0, 1, -1), (400, size))
    along_last = first_largest if size < 4 else first_largest_of_lanes
    assert arg_max(x).tolist() == [along_last(values) for values in x.tolist()]
    assert arg_min(x).tolist() == [along_last(values) for values in (-x).tolist()]
    assert arg_max(x.T, 0).tolist() == [first_largest(values) for values in x.tolist()]
    assert arg_max(x.reshape(20, 20, size, 1), -2).tolist() == arg_max(x).reshape(20, 20, 1).tolist()


def test_positions_of_other_types():
    x = np.array([[-128, 127, 127], [-128, -128, 0]], np.int8)
    assert arg_max(x).tolist() == [1, 2] and arg_min(x).tolist() == [0, 0]
    assert arg_max(x, 0, np.int64).dtype == np.int64 and arg_max(x, 0).tolist() == [0, 0, 0]
    assert arg_min(np.array([3, 0, 255, 0], np.uint8)) == 1
    truth = np.array([False, True, False])
    assert (arg_max(truth), arg_min(truth)) == (1, 0)


def test_axes_that_do_not_exist():
    with pytest.raises(ShapeError, match=r"axes \[2\]"):
        mean_over(np.zeros((2, 2), F), 2)
    for shape, axis in [((), 0), ((2, 3), 2), ((2, 0), 1)]:
        with pytest.raises(ShapeError, match=f"axis {axis} of an array of shape"):
            arg_max(np.zeros(shape, F), axis)
    assert arg_max(np.zeros((0, 3), F), 1).shape == (0,)


def call(kind, x, operand, **options):
    tensors = [Tensor("x", x.shape), Tensor("axes", operand.shape)]
    return Call(Operator(kind, [0, 1], [2], options), tensors, [x, operand], [Tensor("y", ())])


def test_registry():
    axes, x = np.array([1], np.int32), row(1, 2, 3)[None]
    assert reduce.FLOAT["SUM"](call("SUM", x, axes, keep_dims=True))[0].tolist() == [[6]]
    found = reduce.FLOAT["ARG_MAX"](call("ARG_MAX", x, axes[0], output_type="INT64"))[0]
    assert found.dtype == np.int64 and found.tolist() == [2]
    with pytest.raises(UnsupportedError, match="axes of dtype float32"):
        reduce.FLOAT["SUM"](call("SUM", x, row(1), keep_dims=True))
    with pytest.raises(UnsupportedError, match=r"'x'.*int8"):
        reduce.FLOAT["SUM"](call("SUM", x.astype(np.int8), axes, keep_dims=True))
    with pytest.raises(UnsupportedError, match="FLOAT32"):
        reduce.FLOAT["ARG_MIN"](call("ARG_MIN", x, axes, output_type="FLOAT32"))
    with pytest.raises(ShapeError, match="2 axes"):
        reduce.FLOAT["ARG_MIN"](call("ARG_MIN", x, np.array([0, 1], np.int32), output_type="INT32"))
