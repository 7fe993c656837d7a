"""Figures of models and their layers: sizes and accuracies, the ranges of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import COLORS, ORANGE, Picture, new_figure, quiet


@dataclass(frozen=True)
class Bar:
    """One model: bytes of its file, and how many of `images` it classified right."""

    label: str
    size: int
    right: int
    images: int


def size_and_accuracy(bars: Sequence[Bar], title: str) -> Picture:
    """Two bar charts side by side, file size in kB and test accuracy in per cent.

    The whisker on an accuracy is one standard error, sqrt(p * (1 - p) / images): differences that are
    smaller than it mean nothing.
    """
    figure, ((left, right),) = new_figure(1, 2, (8, 2.6), sharey=True)
    positions = range(len(bars))
    colors = COLORS[: len(bars)]
    left.barh(positions, [bar.size / 1000 for bar in bars], color=colors)
    for position, bar in enumerate(bars):
        share = bar.size / bars[0].size
        left.text(bar.size / 1000, position, f" {bar.size / 1000:,.0f} kB ({share:.2f})", va="center")
    left.set(xlabel="file size in kB (and relative to float)", xlim=(0, bars[0].size / 1000 * 1.35))
    left.set_yticks(positions, [bar.label for bar in bars])
    left.invert_yaxis()
    for position, (bar, color) in enumerate(zip(bars, colors, strict=True)):
        p = bar.right / bar.images
        error = 100 * (p * (1 - p) / bar.images) ** 0.5
        right.barh(position, 100 * p, xerr=error, color=color, capsize=3)
        ink = "black" if color == ORANGE else "white"  # readable on its bar
        right.text(50, position, f"{100 * p:.2f} %", va="center", ha="center", color=ink, weight="bold")
    right.set(xlabel=f"of {bars[0].images:,} test images classified right, in %", xlim=(0, 100))
    quiet(left, right)
    figure.suptitle(title)
    best = max(bars, key=lambda bar: bar.right)
    return Picture(figure, f"{title}: {bars[0].size:,} bytes as float; most right: {best.label}")


@dataclass(frozen=True)
class Ranges:
    """The largest |weight| of each channel of a layer."""

    label: str
    largest: npt.ArrayLike


def channel_ranges(panels: Sequence[Ranges], title: str) -> Picture:
    """The channels of a layer as bars, widest first, with the steps of the one scale for all.

    A pair of axes for each panel, the vertical one logarithmic and shared: a step is the widest channel's
    largest / 127, and a weight below half a step becomes 0. A channel of zeros has no bar.
    """
    figure, axes = new_figure(1, len(panels), (4.2 * len(panels), 3.4), sharey=True)
    for panel, area in zip(panels, axes[0], strict=True):
        largest = np.sort(np.asarray(panel.largest, np.float64))[::-1]
        step, positions = largest[0] / 127, np.arange(1, largest.size + 1)
        coarse = largest < 4 * step
        groups = [(~coarse, COLORS[0], "4 steps or more"), (coarse, COLORS[1], "less than 4 steps")]
        for chosen, color, what in (group for group in groups if group[0].any()):
            label = f"{np.sum(chosen)} channels of {what}"
            area.bar(positions[chosen], largest[chosen], color=color, width=0.8, label=label)
        area.axhline(step, color="black", linewidth=1.2, label=f"one step: {step:.3g}")
        area.axhline(step / 2, color="black", linewidth=1.2, linestyle=":", label="below, all becomes 0")
        area.set(yscale="log", xlabel="channel, widest first", title=panel.label, xlim=(0, largest.size + 1))
        area.legend(fontsize="small", frameon=False, loc="upper right")
        quiet(area)
    axes[0, 0].set_ylabel("largest |weight| of a channel")
    figure.suptitle(title)
    return Picture(figure, title)
