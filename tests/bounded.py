"""Real numbers with a bound on what float32 makes of them, for references that say how far off one may be."""

from dataclasses import dataclass

import numpy as np

ROUNDING = 2.0**-24
FUNCTION = 3e-7
"""The error of the runtimes' tanh and logistic, see test_kernels_activation.py."""


@dataclass(frozen=True)
class Bounded:
    """value: float64, exact but for its own rounding. error: no float32 computation of it is further away."""

    value: np.ndarray
    error: np.ndarray

    def __add__(self, other):
        return _rounded(self.value + other.value, self.error + other.error)

    def __mul__(self, other):
        a, b = np.abs(self.value), np.abs(other.value)
        error = a * other.error + b * self.error + self.error * other.error
        return _rounded(self.value * other.value, error)

    def __getitem__(self, key):
        return Bounded(self.value[key], self.error[key])


def exactly(value):
    """What float32 holds as it is."""
    value = np.asarray(value, np.float64)
    return Bounded(value, np.zeros_like(value))


def _rounded(value, error):
    return Bounded(value, error + ROUNDING * (np.abs(value) + error))


def affine(*products, bias=0.0):
    """x W + h R + ... + b for pairs (x, W), summed in any order.

    A sum of n products is within n ROUNDING times the sum of their magnitudes, two more for second order.
    """
    terms = sum(weights.shape[0] for _, weights in products) + 3
    value, error, size = np.float64(bias), 0.0, np.abs(np.float64(bias))
    for x, weights in products:
        weights = np.asarray(weights, np.float64)
        value = value + x.value @ weights
        error = error + x.error @ np.abs(weights)
        size = size + (np.abs(x.value) + x.error) @ np.abs(weights)
    return Bounded(value, error + terms * ROUNDING * size)


def sigmoid(x):
    """Its slope is at most 1/4."""
    return Bounded(1 / (1 + np.exp(-x.value)), x.error / 4 + FUNCTION)


def tanh(x):
    """Its slope is at most 1."""
    return Bounded(np.tanh(x.value), x.error + FUNCTION)


def relu(x):
    """Its slope is at most 1."""
    return Bounded(np.maximum(x.value, 0), x.error)


def stack(values, axis):
    """Several along a new axis."""
    return Bounded(np.stack([v.value for v in values], axis), np.stack([v.error for v in values], axis))


def concatenate(values, axis):
    """Several along an axis that they have."""
    return Bounded(
        np.concatenate([v.value for v in values], axis), np.concatenate([v.error for v in values], axis)
    )


def assert_within(found, expected, context=""):
    """`found` is float32 and as near as `expected` says."""
    assert found.dtype == np.float32 and found.shape == expected.value.shape, context
    excess = np.abs(found - expected.value) - expected.error
    assert (excess <= 0).all(), (context, excess.max(), expected.error.max())


# --- recurrent layers, as Keras defines them ------------------------------------------------------


def _split(x, count):
    width = x.value.shape[1] // count
    return [x[:, k * width : (k + 1) * width] for k in range(count)]


def lstm(x, kernel, recurrent, bias=0.0, backwards=False):
    """The outputs of all steps [batch, time, units] in the order of running, and the last cell state."""
    units = recurrent.shape[0]
    h = c = exactly(np.zeros((x.value.shape[0], units)))
    outputs = []
    for step in _steps(x, backwards):
        i, f, g, o = _split(affine((step, kernel), (h, recurrent), bias=bias), 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        outputs.append(h)
    return stack(outputs, 1), c


def simple_rnn(x, kernel, recurrent, bias=0.0, activation=tanh):
    """The outputs of all steps."""
    h, outputs = exactly(np.zeros((x.value.shape[0], recurrent.shape[0]))), []
    for step in _steps(x):
        h = activation(affine((step, kernel), (h, recurrent), bias=bias))
        outputs.append(h)
    return stack(outputs, 1)


def gru(x, kernel, recurrent, bias, backwards=False):
    """The outputs of all steps; reset_after=True, bias [2, 3 * units]."""
    units, outputs = recurrent.shape[0], []
    h = exactly(np.zeros((x.value.shape[0], units)))
    for step in _steps(x, backwards):
        xz, xr, xh = _split(affine((step, kernel), bias=bias[0]), 3)
        hz, hr, hh = _split(affine((h, recurrent), bias=bias[1]), 3)
        z = sigmoid(xz + hz)
        candidate = tanh(xh + sigmoid(xr + hr) * hh)
        rest = _rounded(1 - z.value, z.error)
        h = z * h + rest * candidate
        outputs.append(h)
    return stack(outputs, 1)


def _steps(x, backwards=False):
    count = x.value.shape[1]
    return [x[:, t] for t in (range(count - 1, -1, -1) if backwards else range(count))]
