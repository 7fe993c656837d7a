"""A factor or an offset that explains differences: a wrong scale, a scale of another channel, a zero point.

Of n pairs (x, y) in steps, three models are tried, the simplest first:

    y = x + c,     c = mean(y - x)
    y = f x,       f = sum(x y) / sum(x^2)
    y = f x + c    by least squares

A model counts if it is far from y = x and explains the difference.

Far: farther than any rounding can lead. If y = x + e with |e| <= t, then |c| <= t in the first model,
|f - 1| <= t sum|x| / sum(x^2) in the second, and |f - 1| <= t sum|x - mean x| / sum((x - mean x)^2) in the
third, where |mean(y - x)| > t is far as well. These are bounds, not estimates.

Explains: what is left, y - f x - c, is at most t everywhere, or its power is at most a hundredth (-20 dB) of
the power of y - x. Noise that has nothing to do with x loses so much with a chance of 0.01^((n - 2) / 2):
a millionth for n = 8, the fewest pairs that are fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.graph import Array

FEWEST = 8
"""Pairs; with fewer, a good fit may be a coincidence."""

REMAINDER = 0.01
"""The share of the difference's power that may be left: -20 dB."""


SLACK = 1 + 1e-9
"""For the rounding of the sums, which are float64."""


@dataclass(frozen=True)
class Fit:
    """y = factor * x + offset, the offset in steps."""

    factor: float
    offset: float


def fit(x: Array, y: Array, tolerance: float) -> Fit | None:
    """The simplest model that is far from y = x and explains the difference; None if none does.

    x, y: float64 of one shape, in steps. tolerance: t above, in steps.
    """
    with np.errstate(all="ignore"):
        if x.size < FEWEST or not np.isfinite(np.sum(x) + np.sum(y)) or np.ptp(x) == 0:
            return None
        for model in (_offset, _factor, _both):
            found, far = model(x, y, tolerance)
            if far and _explains(found, x, y, tolerance):
                return found
    return None


def _offset(x: Array, y: Array, tolerance: float) -> tuple[Fit, bool]:
    offset = float(np.mean(y - x))
    return Fit(1.0, offset), abs(offset) > tolerance * SLACK


def _factor(x: Array, y: Array, tolerance: float) -> tuple[Fit, bool]:
    power = float(np.sum(x * x))
    factor = float(np.sum(x * y)) / power
    return Fit(factor, 0.0), abs(factor - 1) > tolerance * SLACK * float(np.sum(np.abs(x))) / power


def _both(x: Array, y: Array, tolerance: float) -> tuple[Fit, bool]:
    centred = x - np.mean(x)
    power = float(np.sum(centred * centred))
    factor = float(np.sum(centred * y)) / power
    offset = float(np.mean(y) - factor * np.mean(x))
    far = abs(factor - 1) > tolerance * SLACK * float(np.sum(np.abs(centred))) / power
    return Fit(factor, offset), far or abs(float(np.mean(y - x))) > tolerance * SLACK


def _explains(found: Fit, x: Array, y: Array, tolerance: float) -> bool:
    left = y - found.factor * x - found.offset
    if float(np.abs(left).max()) <= tolerance:
        return True
    return float(np.sum(left * left)) <= REMAINDER * float(np.sum((y - x) ** 2))


@dataclass(frozen=True)
class ChannelFits:
    """What explains a tensor: one fit for all (channel None), or one for each channel that needs it."""

    fits: dict[int | None, Fit]
    channels: int


def fit_channels(
    x: Array, y: Array, usable: npt.NDArray[np.bool_], beyond: npt.NDArray[np.bool_], tolerance: float
) -> ChannelFits | None:
    """Explain the differences in `beyond` by one fit, or by fits of channels, the last axis; else None.

    usable: the elements that count; those that one side has clamped tell nothing about a factor.
    """
    whole = fit(x[usable], y[usable], tolerance)
    channels = x.shape[-1] if x.ndim > 1 else 1
    if whole is not None:
        return ChannelFits({None: whole}, channels)
    fits: dict[int | None, Fit] = {}
    for channel in _channels_with(beyond) if channels > 1 else []:
        chosen = usable[..., channel]
        found = fit(x[..., channel][chosen], y[..., channel][chosen], tolerance)
        if found is None:
            return None
        fits[channel] = found
    return ChannelFits(fits, channels) if fits else None


def _channels_with(beyond: npt.NDArray[Any]) -> list[int]:
    axes = tuple(range(beyond.ndim - 1))
    return [int(i) for i in np.flatnonzero(beyond.any(axis=axes))]


def fits_rule(found: ChannelFits) -> str:
    """What kind of explanation was found."""
    factor = any(each.factor != 1 for each in found.fits.values())
    offset = any(each.offset != 0 for each in found.fits.values())
    what = " and ".join(word for word, there in (("a factor", factor), ("an offset", offset)) if there)
    return f"{what} of {'all values' if None in found.fits else 'single channels'}"


def fits_text(found: ChannelFits, step: float) -> str:
    """What was found in numbers: factors, and offsets in steps and in reals."""
    parts = []
    for channel, each in list(found.fits.items())[:3]:
        words = [] if each.factor == 1 else [f"factor {each.factor:.4g}"]
        if each.offset:
            words.append(f"offset {each.offset:+.4g} LSB ({each.offset * step:+.3g})")
        parts.append(("" if channel is None else f"channel {channel}: ") + ", ".join(words))
    if len(found.fits) > 3:
        parts.append("...")
    where = "" if None in found.fits else f"{len(found.fits)} of {found.channels} channels; "
    return where + "; ".join(parts)
