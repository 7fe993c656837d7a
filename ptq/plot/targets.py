"""The picture of an exercise: where the answers should lie, where the learner's lie, and how far apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLUE, ORANGE, RED, Picture, new_figure, quiet

Array = npt.NDArray[Any]

MOST_LABELS = 16
"""Results that are labelled with their number."""

LABEL_WIDTHS = 24, 18
"""Characters for which the heights of the two axes have room."""


def target_and_yours(
    cases: Sequence[Any], targets: Sequence[Any], found: Sequence[Any], unit: str = "LSB"
) -> Picture:
    """Two rows: each result as a ring (the target) and a dot (yours), and below the differences.

    Results that are no numbers, or of another shape than the target, are crosses on the axis.
    """
    wanted, yours = _flat(targets), _aligned(targets, found)
    places = np.arange(wanted.size)
    figure, ((above,), (below,)) = new_figure(2, 1, (7, 3.6), sharex=True, height_ratios=[3, 2])
    above.plot(places, wanted, "o", mfc="none", mec=BLUE, ms=10, label="target")
    known = np.isfinite(yours)
    above.plot(places[known], yours[known], ".", color=ORANGE, ms=8, label="yours")
    difference = np.where(known, yours - wanted, 0)
    below.bar(places, difference, color=RED, width=0.6)
    below.plot(places[~known], np.zeros(np.sum(~known)), "x", color=RED, ms=8)
    if not known.all():
        above.plot([], [], "x", color=RED, ms=8, label="yours is no number")
    below.axhline(0, color="black", lw=0.8)
    above.margins(y=0.12)
    if not difference.any():
        below.set_ylim(-1, 1)
    if wanted.size <= MOST_LABELS:
        below.set_xticks(places)
    for area, quantity, width in zip((above, below), ("result", "yours - target"), LABEL_WIDTHS, strict=True):
        area.set_ylabel(textwrap.fill(f"{quantity} in\u00a0{unit}", width), fontsize=9)
        area.yaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")  # whole numbers, no offset beside
    below.set_xlabel("result number")
    above.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, 1.22))
    quiet(above, below)
    same = int(np.sum(known & (difference == 0)))
    return Picture(figure, f"{same} of {wanted.size} results are the target")


def _flat(values: Sequence[Any]) -> Array:
    """All numbers of all results in a row."""
    return np.concatenate([np.zeros(0), *(_numbers(v) for v in values)])


def _numbers(value: Any) -> Array:
    if isinstance(value, tuple | list):
        return _flat(value)
    try:
        return np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.array([np.nan])


def _aligned(targets: Sequence[Any], found: Sequence[Any]) -> Array:
    """The results in the places of their targets; NaN where there is no number or another count of them."""
    parts = []
    for target, result in zip(targets, found, strict=True):
        wanted, yours = _numbers(target), _numbers(result)
        parts.append(yours if yours.size == wanted.size else np.full(wanted.size, np.nan))
    return np.concatenate([np.zeros(0), *parts])
