"""Why the constants of batch normalization are not TensorFlow's to the last bit: what its 1 / sqrt(x) is."""

import os

import numpy as np
import pytest

from ptq.saved_model.pointwise import reciprocal_root

LANES = 8
"""Elements that Eigen computes at once, with AVX."""


@pytest.fixture(scope="module")
def numbers():
    return np.random.default_rng(0).uniform(0.01, 100, 40 * LANES * 17).astype(np.float32)


def steps(a, b):
    """How many float32 numbers lie between positive numbers."""
    return np.abs(a.view(np.int32).astype(np.int64) - b.view(np.int32))


def tensorflows(x):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    return tf.math.rsqrt(x).numpy()


def test_ptqs_root_is_correctly_rounded(numbers):
    """No neighbour in float32 is nearer to 1 / sqrt(x) in more than double precision."""
    found = reciprocal_root(numbers)
    below, above = (np.nextafter(found, np.float32(end)) for end in (0, np.inf))
    exact = 1 / np.sqrt(numbers.astype(np.longdouble))
    error = np.abs(found - exact)
    assert (error <= np.abs(below - exact)).all() and (error <= np.abs(above - exact)).all()


@pytest.mark.peers
def test_tensorflows_root_is_up_to_two_steps_off(numbers):
    """On x86 it starts from the processor's own approximation; elsewhere Eigen has other instructions."""
    found, exact = tensorflows(numbers), reciprocal_root(numbers)
    assert steps(found, exact).max() <= 2
    assert (found != exact).any()


@pytest.mark.peers
@pytest.mark.parametrize("length", [LANES + 1, 2 * LANES + 1, 4 * LANES - 1])
def test_tensorflows_root_depends_on_the_position(numbers, length):
    """What is left after the last eight elements has other bits than the same numbers among eight."""
    whole = tensorflows(numbers).reshape(-1, LANES)
    rows = numbers[: numbers.size // length * length].reshape(-1, length)
    found = np.stack([tensorflows(row) for row in rows])
    full = length // LANES * LANES
    among = whole.reshape(-1)[: rows.size].reshape(rows.shape)
    assert found[:, :full].tobytes() == among[:, :full].tobytes()
    assert found[:, full:].tobytes() == (np.float32(1) / np.sqrt(rows[:, full:])).tobytes()
    assert (found[:, full:] != among[:, full:]).any()
