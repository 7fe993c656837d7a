"""Activations, against formulas one number at a time and against exact arithmetic."""

import platform
from decimal import Decimal, localcontext

import numpy as np
import pytest

from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import activation, libm
from ptq.kernels.activation import (
    activate_float,
    clamp_float,
    elu_float,
    hard_swish_float,
    l2_normalization_float,
    leaky_relu_float,
    log_softmax_float,
    logistic_float,
    relu6_float,
    relu_float,
    relu_n1_to_1_float,
    sequential_sum,
    softmax_float,
    tanh_float,
)
from ptq.kernels.call import Call
from ptq.kernels.eigen import eigen_logistic, eigen_tanh, outside_packets

F = np.float32
LARGEST = np.finfo(F).max
NAN, INF = F(np.nan), F(np.inf)


def row(*values):
    return np.array(values, F)


def ulps(found, exact):
    """Distance from double-precision values in units in the last place of the nearest float."""
    return np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(F)).astype(np.float64)


def test_clamp_keeps_nan_and_bounds_infinity():
    x = row(-INF, -7, -0.5, 0, 0.5, 7, INF, NAN)
    expected = {
        "NONE": row(-LARGEST, -7, -0.5, 0, 0.5, 7, LARGEST, NAN),
        "RELU": row(0, 0, 0, 0, 0.5, 7, LARGEST, NAN),
        "RELU6": row(0, 0, 0, 0, 0.5, 6, 6, NAN),
        "RELU_N1_TO_1": row(-1, -1, -0.5, 0, 0.5, 1, 1, NAN),
    }
    for name, wanted in expected.items():
        np.testing.assert_array_equal(clamp_float(x, name), wanted)


def test_clamp_writes_where_it_is_told_and_not_elsewhere():
    x = row(-3, 3)
    fresh = clamp_float(x, "RELU")
    assert x.tolist() == [-3, 3] and fresh.tolist() == [0, 3]
    assert clamp_float(x, "RELU", out=x) is x and x.tolist() == [0, 3]


def test_activation_alone_keeps_infinity():
    x = row(-INF, INF, NAN, 2)
    np.testing.assert_array_equal(activate_float(x, "NONE"), x)
    np.testing.assert_array_equal(activate_float(x, "RELU"), row(0, INF, 0, 2))
    np.testing.assert_array_equal(activate_float(x, "RELU_N1_TO_1"), row(-1, 1, -1, 1))
    out = np.empty_like(x)
    assert activate_float(x, "NONE", out=out) is out
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(activate_float(row(0.25), "TANH"), eigen_tanh(row(0.25)))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the sign of zero is x86's")
@pytest.mark.parametrize("size", [1, 3, 16, 100])
def test_the_sign_of_zero(size):
    minus = np.full(size, -0.0, F)
    for name in ("NONE", "RELU", "RELU6"):
        assert np.signbit(clamp_float(minus, name)).all()
        assert not np.signbit(clamp_float(-minus, name)).any()
    for name in ("RELU", "RELU6"):
        assert not np.signbit(activate_float(minus, name)).any()


@pytest.mark.parametrize("function", [clamp_float, activate_float])
def test_an_unknown_activation_is_refused_by_name(function):
    with pytest.raises(UnsupportedError, match="SIGN_BIT"):
        function(row(1), "SIGN_BIT")


def test_the_relu_family():
    x = row(-2, -1, -0.5, 0, 0.5, 5.5, 6.5, INF)
    assert relu_float(x).tolist() == [0, 0, 0, 0, 0.5, 5.5, 6.5, np.inf]
    assert relu6_float(x).tolist() == [0, 0, 0, 0, 0.5, 5.5, 6, 6]
    assert relu_n1_to_1_float(x).tolist() == [-1, -1, -0.5, 0, 0.5, 1, 1, 1]


def test_powers_in_the_table_of_exp_are_correctly_rounded():
    with localcontext() as context:
        context.prec = 60
        exact = [(Decimal(2).ln() * i / 32).exp() for i in range(32)]
    for power, wanted in zip(libm._POWERS, exact, strict=True):
        error = abs(Decimal(float(power)) - wanted)
        assert error <= Decimal(float(np.spacing(power))) / 2


def test_exp_is_within_its_stated_error():
    x = np.random.default_rng(0).uniform(-87, 88, 300_000).astype(F)
    assert ulps(libm.expf(x), np.exp(x.astype(np.float64))).max() <= 0.502 + 1e-6
    near_zero = np.random.default_rng(1).uniform(-103, -87.4, 50_000).astype(F)
    assert ulps(libm.expf(near_zero), np.exp(near_zero.astype(np.float64))).max() <= 0.502


def test_exp_at_the_ends():
    x = row(0, -0.0, INF, -INF, NAN, 88.73, 1e30, -104, -1e30)
    np.testing.assert_array_equal(libm.expf(x), row(1, 1, INF, 0, NAN, INF, INF, 0, 0))


def test_tanh_is_odd_and_within_its_stated_error():
    x = np.random.default_rng(2).uniform(0, 12, 200_000).astype(F)
    np.testing.assert_array_equal(tanh_float(-x), -tanh_float(x))
    assert ulps(tanh_float(x), np.tanh(x.astype(np.float64))).max() < 2.5
    special = row(0, -0.0, INF, -INF, NAN, 25, 1e-20, -1e-45)
    found = tanh_float(special)
    np.testing.assert_array_equal(found, row(0, 0, 1, -1, NAN, 1, 1e-20, -1e-45))
    assert np.signbit(found).tolist() == np.signbit(special).tolist()


def test_eigen_logistic_is_near_the_logistic_function_in_packets_and_outside():
    x = np.random.default_rng(4).uniform(-20, 20, 100_002).astype(F)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    index = 3 + np.arange(x.size)
    single = outside_packets(index, 3, x.size)  # one float before a boundary, and one after the last
    assert np.flatnonzero(single).tolist() == [0, x.size - 1]
    packets, shifted = eigen_logistic(x), eigen_logistic(x, single)
    assert np.abs(packets - exact).max() < 3e-7
    assert np.abs(shifted - exact).max() < 3e-7
    assert (packets == shifted)[~single].all()
    assert eigen_logistic(np.array([-105, -500, 500, 0], F)).tolist() == [0, 0, 1, 0.5]


def test_eigen_tanh_is_near_tanh():
    x = np.random.default_rng(3).uniform(-9, 9, 100_000).astype(F)
    assert np.abs(eigen_tanh(x) - np.tanh(x.astype(np.float64))).max() < 3e-7


def test_logistic():
    x = np.random.default_rng(4).uniform(-80, 30, 100_000).astype(F)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    below, found = x < -9, logistic_float(x)
    assert np.all(np.abs(found - exact)[~below] <= 2e-7 * exact[~below])
    np.testing.assert_array_equal(found[below], libm.expf(x[below]))  # the reference's short cut
    special = row(-INF, INF, NAN, 0, 16.7)
    np.testing.assert_array_equal(logistic_float(special), row(0, 1, NAN, 0.5, 1))
    assert logistic_float(np.array(0, F)) == 0.5  # without any dimension


def scalar_softmax(values, beta):
    """The reference's loops, with the real exp rounded once."""
    largest = max([-LARGEST, *values])
    powers = [F(np.exp(float(F(F(v - largest) * F(beta))))) for v in values]
    total = F(0)
    for power in powers:
        total = F(total + power)
    return [F(power / total) for power in powers]


@pytest.mark.parametrize("shape", [(7,), (3, 10), (2, 3, 1), (1, 1, 2, 5)])
def test_softmax_sums_in_order(shape):
    x = (np.random.default_rng(5).normal(size=shape) * 5).astype(F)
    for beta in (1.0, 0.3):
        found = softmax_float(x, beta).reshape(-1, shape[-1])
        for given, result in zip(x.reshape(-1, shape[-1]), found, strict=True):
            expected = np.array(scalar_softmax(given, beta))
            assert np.all(np.abs(result - expected) <= 4 * np.spacing(expected))
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)


def test_softmax_of_rows_that_have_no_sum():
    x = np.array([[1, NAN], [INF, 0], [-INF, -INF], [-INF, 3]], F)
    np.testing.assert_array_equal(softmax_float(x), [[NAN, NAN], [NAN, NAN], [NAN, NAN], [0, 1]])
    with pytest.raises(ShapeError, match="scalar"):
        softmax_float(np.array(1, F))


@pytest.mark.parametrize("width", [1, 2, 3, 16, 100])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 200, 1000])
def test_sums_run_in_order(width, count):
    terms = (np.random.default_rng(count).normal(size=(count, width)) * 1e3).astype(F)
    total = np.zeros(width, F)
    for term in terms:
        total = total + term
    for layout in (terms, np.asfortranarray(terms)):
        assert sequential_sum(layout).tobytes() == total.tobytes()


def test_a_sum_of_negative_zeros_is_positive_zero():
    for width in (1, 4):
        assert not np.signbit(sequential_sum(np.full((3, width), -0.0, F))).any()


def test_centres_in_the_table_of_log_are_correctly_rounded():
    with localcontext() as context:
        context.prec = 60
        exact = [-Decimal(float(inverse)).ln() for inverse in libm._INVERSE]
    for logarithm, wanted in zip(libm._LOGARITHM, exact, strict=True):
        error = abs(Decimal(float(logarithm)) - wanted)
        assert error <= Decimal(float(np.spacing(abs(logarithm)))) / 2


def test_log_is_within_its_stated_error():
    rng = np.random.default_rng(6)
    x = np.concatenate([np.exp(rng.uniform(-103, 88, 200_000)), rng.uniform(0.5, 1.5, 200_000)]).astype(F)
    x = x[(x > 0) & (x != 1)]
    assert ulps(libm.logf(x), np.log(x.astype(np.float64))).max() <= 0.818 + 1e-6
    special = libm.logf(row(1, 0, -0.0, INF, -INF, -1, NAN, 1e-45))
    np.testing.assert_array_equal(special, row(0, -INF, -INF, INF, NAN, NAN, NAN, np.log(2.0**-149)))
    assert not np.signbit(special[0])


def test_expm1_is_within_a_unit_in_the_last_place():
    x = np.random.default_rng(7).uniform(-30, 88.7, 300_000).astype(F)
    x = np.concatenate([x, x * F(1e-3), x * F(1e-9)])
    assert ulps(libm.expm1f(x), np.expm1(x.astype(np.float64))).max() <= 1
    special = row(0, -0.0, INF, -INF, NAN, 88.73, -18.8, -1e30, 1e-45)
    found = libm.expm1f(special)
    np.testing.assert_array_equal(found, row(0, 0, INF, -1, NAN, INF, -1, -1, 1e-45))
    assert np.signbit(found[:2]).tolist() == [False, True]


def test_activations_that_bend_below_zero():
    x = row(-INF, -2, -0.0, 0, 2, INF, NAN)
    np.testing.assert_array_equal(leaky_relu_float(x, 0.5), row(-INF, -1, 0, 0, 2, INF, NAN))
    np.testing.assert_array_equal(leaky_relu_float(x, 3), row(-INF, -6, 0, 0, 2, INF, NAN))
    np.testing.assert_array_equal(elu_float(x), row(-1, libm.expm1f(row(-2))[0], 0, 0, 2, INF, NAN))
    for bent in (leaky_relu_float(x, 0.5), elu_float(x)):
        assert np.signbit(bent[2:4]).tolist() == [True, False]


def test_hard_swish_multiplies_before_it_divides():
    x = np.random.default_rng(8).uniform(-4, 4, 300).astype(F)
    for given, found in zip(x, hard_swish_float(x), strict=True):
        gate = min(max(F(given + F(3)), F(0)), F(6))
        assert found == F(F(given * gate) / F(6))
    np.testing.assert_array_equal(hard_swish_float(row(-INF, -9, 9, INF, NAN)), row(NAN, 0, 9, INF, NAN))


def test_log_softmax_sums_in_order():
    x = (np.random.default_rng(9).normal(size=(40, 11)) * 4).astype(F)
    for given, found in zip(x, log_softmax_float(x), strict=True):
        shifted = [F(value - max(given)) for value in given]
        total = F(0)
        for value in shifted:
            total = F(total + libm.expf(row(value))[0])
        assert found.tolist() == [F(value - libm.logf(row(total))[0]) for value in shifted]
    lost = row(1, NAN), row(INF, 0), row(-INF, -INF)
    assert all(np.isnan(log_softmax_float(values)).all() for values in lost)
    np.testing.assert_array_equal(log_softmax_float(row(-INF, 3)), row(-INF, 0))


def test_l2_normalization_sums_in_order_and_never_divides_by_less_than_a_millionth():
    x = np.random.default_rng(10).normal(size=(40, 11)).astype(F)
    for given, found in zip(x, l2_normalization_float(x), strict=True):
        total = F(0)
        for value in given:
            total = F(total + F(value * value))
        assert found.tolist() == [F(value / F(np.sqrt(total))) for value in given]
    small = row(3e-8, -4e-8)
    assert l2_normalization_float(small).tolist() == [F(value / F(1e-6)) for value in small]
    assert np.isnan(l2_normalization_float(row(1, NAN))).all()


@pytest.mark.parametrize("function", [softmax_float, log_softmax_float, l2_normalization_float])
def test_a_last_axis_may_be_empty_but_must_exist(function):
    assert function(np.zeros((2, 0), F)).shape == (2, 0)
    assert function(np.zeros((0, 2), F)).shape == (0, 2)
    with pytest.raises(ShapeError, match="scalar"):
        function(np.array(1, F))


def test_registry():
    further = {"LEAKY_RELU", "ELU", "HARD_SWISH", "LOG_SOFTMAX", "L2_NORMALIZATION"}
    first = {"RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "SOFTMAX"}
    assert set(activation.FLOAT) == first | further
    operator = Operator("L2_NORMALIZATION", [0], [1], {"fused_activation_function": "RELU"})
    call = Call(operator, [Tensor("x", (1,))], [row(1)], [Tensor("y", (1,))])
    with pytest.raises(UnsupportedError, match="RELU found, expected NONE"):
        activation.FLOAT["L2_NORMALIZATION"](call)
