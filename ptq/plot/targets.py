"""The picture of an exercise: where the answers should lie, where the learner's lie, and how far apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLACK, BLUE, ORANGE, RED, Picture, new_figure, quiet

Array = npt.NDArray[Any]

MOST_CASES = 24
"""Cases that are all numbered; of more only some are."""

LABEL_WIDTHS = 24, 18
"""Characters for which the heights of the two axes have room."""


def target_and_yours(
    cases: Sequence[Any], targets: Sequence[Any], found: Sequence[Any], unit: str = "LSB"
) -> Picture:
    """Two rows: each result as a ring (the target) and a mark (yours), and below the differences.

    Yours is a dot where it is the target, else a cross. The results of a case stand side by side, cases
    between dotted lines. What is no number, or of another shape than the target, is a star on the axis.
    """
    wanted, yours = _flat(targets), _aligned(targets, found)
    places = np.arange(wanted.size)
    figure, ((above,), (below,)) = new_figure(2, 1, (6.4, 3.4), sharex=True, height_ratios=[3, 2])
    known = np.isfinite(yours)
    right = known & (yours == wanted)
    above.plot(places, wanted, "o", mfc="none", mec=BLUE, ms=10, label="target")
    if right.any():
        above.plot(places[right], yours[right], ".", color=ORANGE, ms=8, label="yours: the target")
    if (known & ~right).any():
        above.plot(places[known & ~right], yours[known & ~right], "x", color=RED, ms=7, mew=2,
                   label="yours: another number")  # fmt: skip
    if not known.all():
        above.plot([], [], "*", color=BLACK, ms=9, label="yours: no number, or another shape")
    difference = np.where(known, yours - wanted, 0)
    below.bar(places, difference, color=RED, width=0.6)
    below.plot(places[~known], np.zeros(np.sum(~known)), "*", color=BLACK, ms=9, clip_on=False)
    below.axhline(0, color=BLACK, lw=0.8)
    above.margins(y=0.15)
    _number_cases((above, below), [_numbers(target).size for target in targets])
    if not difference.any():
        below.set_ylim(-1, 1)
    for area, quantity, width in zip((above, below), ("result", "yours - target"), LABEL_WIDTHS, strict=True):
        area.set_ylabel(textwrap.fill(f"{quantity} in\u00a0{unit}", width), fontsize=9)
        area.yaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")  # whole numbers, no offset beside
    below.set_xlabel("case")
    figure.legend(frameon=False, ncols=4, fontsize="small", loc="outside upper center")
    figure.align_ylabels()
    quiet(above, below)
    same = int(np.sum(right))
    return Picture(figure, f"{same} of {wanted.size} results are the target")


def _number_cases(areas: Sequence[Any], sizes: Sequence[int]) -> None:
    """The number of each case below the middle of its results, a dotted line between it and the next."""
    ends = np.cumsum([0, *sizes]) - 0.5
    middles = (ends[:-1] + ends[1:]) / 2
    every = -(-len(sizes) // MOST_CASES)
    for area in areas:
        area.set_xticks(middles[::every], range(1, len(sizes) + 1, every))
        area.tick_params(axis="x", length=0)
        if max(sizes, default=0) > 1:
            for end in ends[1:-1]:
                area.axvline(end, color=BLACK, lw=0.6, ls=":", alpha=0.6)


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
