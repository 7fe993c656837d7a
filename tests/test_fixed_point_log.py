"""ptq.fixed_point_log: the array twin against the spec, and the spec against the logarithm."""

import math

import numpy as np

from ptq.fixed_point_log import log_of_at_least_one, log_of_at_least_one_spec

ONE = 1 << 19  # with 12 integer bits


def arguments():
    powers = [1 << k for k in range(19, 31)]
    rng = np.random.default_rng(0)
    anything = rng.integers(ONE, 1 << 31, 3000).tolist()
    # the mantissa where the two ways to write x meet is sqrt(1/2)
    meeting = [int(math.sqrt(0.5) * 2**k) + d for k in range(20, 32) for d in (-1, 0, 1)]
    return sorted({ONE, ONE + 1, (1 << 31) - 1, *powers, *(p - 1 for p in powers[1:]), *meeting, *anything})


def test_twin_equals_spec():
    x = arguments()
    assert log_of_at_least_one(np.array(x)).tolist() == [log_of_at_least_one_spec(value) for value in x]


def test_known_logarithms():
    """ln 1 is off by one unit of 2^-26, ln 2 and ln 4095 are right to the last."""
    known = {x: log_of_at_least_one_spec(x * ONE) for x in (1, 2, 4095)}
    assert all(abs(raw / 2**26 - math.log(x)) < 2.0**-24 for x, raw in known.items())


def test_the_error_is_far_below_what_log_softmax_resolves():
    """It writes steps of 1/16 = 2^-4."""
    error = [abs(log_of_at_least_one_spec(x) / 2**26 - math.log(x / ONE)) for x in arguments()]
    assert max(error) < 2.0**-20
