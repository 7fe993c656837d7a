"""Factors and offsets: what is far, what explains, and what is a coincidence."""

import numpy as np
import pytest

from ptq.comparison.fit import FEWEST, Fit, fit, fit_channels, fits_rule, fits_text

X = np.arange(-8.0, 8.0)


def test_the_simplest_model_is_found_exactly():
    assert fit(X, X + 5, 1.0) == Fit(1.0, 5.0)
    assert fit(X, 2 * X, 1.0) == Fit(2.0, 0.0)
    found = fit(X, 3 * X + 40, 1.0)
    assert found.factor == pytest.approx(3) and found.offset == pytest.approx(40)


def test_what_rounding_can_do_is_not_far():
    # every error is at most one step, even where all are of one sign
    assert fit(X, X + 1, 1.0) is None
    assert fit(X, X + np.sign(X), 1.0) is None
    # the largest factor that errors of one step can pretend: 1 + sum|x| / sum x^2
    largest = 1 + np.abs(X).sum() / (X**2).sum()
    assert fit(X, largest * X - 1e-9 * X, 1.0) is None
    assert fit(X, (largest + 1e-6) * X, 1.0).factor == pytest.approx(largest + 1e-6)


def test_noise_is_not_explained():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        x, noise = rng.normal(0, 50, FEWEST), rng.normal(0, 10, FEWEST)
        assert fit(x, x + noise, 1.5) is None


def test_a_factor_under_noise_of_a_tenth_of_the_difference_is_found():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 50, 1000)
    assert fit(x, 2 * x + rng.normal(0, 4, 1000), 1.0).factor == pytest.approx(2, abs=0.01)
    assert fit(x, 2 * x + rng.normal(0, 6, 1000), 1.0) is None  # more than -20 dB is left


@pytest.mark.parametrize("x", [X[: FEWEST - 1], np.full(20, 3.0), np.array([np.nan, *X]), np.zeros(0)])
def test_too_few_or_useless_values_have_no_fit(x):
    assert fit(x, 2 * x, 1.0) is None


def channels(*factors):
    x = np.stack([X] * len(factors), axis=-1)
    return x, x * np.array(factors)


def explain(x, y, usable=None):
    everything = np.ones(x.shape, bool)
    usable = everything if usable is None else usable
    return fit_channels(x, y, usable, usable & (np.abs(y - x) > 1), 1.0)


def test_single_channels_have_their_own_factors():
    found = explain(*channels(1, 2, 1, 0.5))
    assert found.fits == {1: Fit(2.0, 0.0), 3: Fit(0.5, 0.0)}
    assert fits_rule(found) == "a factor of single channels"
    assert fits_text(found, 0.1) == "2 of 4 channels; channel 1: factor 2; channel 3: factor 0.5"


def test_one_factor_for_all_comes_first():
    found = explain(*channels(2, 2, 2))
    assert found.fits == {None: Fit(2.0, 0.0)}
    assert (fits_rule(found), fits_text(found, 0.1)) == ("a factor of all values", "factor 2")


def test_an_offset_is_told_in_steps_and_in_reals():
    x, _ = channels(1, 1)
    found = explain(x, x + 12)
    assert fits_rule(found) == "an offset of all values"
    assert fits_text(found, 0.25) == "offset +12 LSB (+3)"


def test_a_channel_that_nothing_explains_explains_nothing():
    x, y = channels(2, 1, 1)
    y[:, 1] += np.resize([30, -30], len(y))
    assert explain(x, y) is None


def test_clamped_values_do_not_count():
    x, y = channels(2, 1, 1)
    y = np.clip(y, -6, 6)
    usable = np.abs(y) < 6
    assert explain(x, y, usable) is None  # five values are too few
    x, y = np.repeat(x, 2, axis=0), np.repeat(y, 2, axis=0)
    assert explain(x, y, np.abs(y) < 6).fits == {0: Fit(2.0, 0.0)}
