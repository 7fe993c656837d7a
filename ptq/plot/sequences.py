"""Figures of layers with a memory: what a state says letter by letter, what waits for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLACK, COLORS, MARKERS, ORANGE, SKY, STYLES, Picture, new_figure, quiet

WRITTEN = 0.1
"""Shares from this on are written into their cell."""


def letter_by_letter(
    shares: npt.ArrayLike, letters: Sequence[str], classes: Sequence[str], title: str = ""
) -> Picture:
    """How sure a classifier is of each class after each letter: shares [letters, classes], 0 to 1."""
    values = np.asarray(shares, np.float64)
    figure, ((area,),) = new_figure(1, 1, (0.62 * len(letters) + 2.6, 0.3 * len(classes) + 1.1))
    image = area.imshow(values.T, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for step, kind in zip(*np.nonzero(values >= WRITTEN), strict=True):
        share = values[step, kind]
        area.text(
            step, kind, f"{100 * share:.0f}", ha="center", va="center", fontsize=8,
            color="white" if share < 0.5 else BLACK,
        )  # fmt: skip
    area.set_xticks(range(len(letters)), letters)
    area.set_yticks(range(len(classes)), classes, fontsize=8)
    area.set(xlabel="letters read so far, one a step", title=title)
    figure.colorbar(image, label="probability (in the cells: per cent)")
    last = int(values[-1].argmax())
    return Picture(figure, f"after {len(letters)} letters: {classes[last]}, {values[-1, last]:.0%}")


def waiting(steps: int = 4) -> Picture:
    """Which products of an LSTM wait for what: W x for nothing but x, R h for all the steps before (Q27)."""
    from matplotlib.patches import Rectangle

    figure, ((area,),) = new_figure(1, 1, (2.0 * steps + 1.5, 3.4))

    def box(x: float, y: float, text: str, color: str, hatch: str = "") -> None:
        area.add_patch(Rectangle((x, y), 1.3, 0.55, fc=color, ec=BLACK, alpha=0.45, hatch=hatch, lw=1))
        plate = {"fc": "white", "ec": "none", "pad": 1}
        area.text(x + 0.65, y + 0.27, text, ha="center", va="center", fontsize=9, bbox=plate)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        area.annotate("", end, start, arrowprops={"arrowstyle": "->", "lw": 1.1})

    for t in range(steps):
        x = 2.0 * t
        box(x, 2.6, f"W x[{t}]", SKY)
        box(x, 1.4, f"+ R h[{t - 1}]" if t else "+ R h (state)", ORANGE, "//")
        box(x, 0.2, f"gates, c[{t}], h[{t}]", "white")
        arrow((x + 0.65, 2.6), (x + 0.65, 1.97))
        arrow((x + 0.65, 1.4), (x + 0.65, 0.77))
        if t + 1 < steps:
            arrow((x + 1.3, 0.47), (x + 2.0, 1.6))
    area.text(2.0 * steps - 0.55, 2.87, "all steps in\none product", va="center", fontsize=9)
    area.text(2.0 * steps - 0.55, 1.67, "one step after\nthe other", va="center", fontsize=9)
    area.set(xlim=(-0.1, 2.0 * steps + 1.2), ylim=(0, 3.3))
    area.set_axis_off()
    figure.suptitle("W x waits for nothing, R h for the step before")
    return Picture(
        figure,
        f"the {steps} products W x wait for nothing; each of the {steps} products R h for the one before",
    )


def lines(
    x: npt.ArrayLike, y: Mapping[str, npt.ArrayLike], xlabel: str, ylabel: str, title: str = "", **axes: Any
) -> Picture:
    """Several lines over one axis, each with its colour, its dashes and its markers.

    axes: what matplotlib's `Axes.set` takes, such as yscale="log".
    """
    places = np.asarray(x)
    figure, ((area,),) = new_figure(1, 1, (8, 3.2))
    every = max(places.size // 12, 1)
    for number, (label, values) in enumerate(y.items()):
        color = COLORS[number % len(COLORS)]
        style, marker = STYLES[number % len(STYLES)], MARKERS[number % len(MARKERS)]
        area.plot(
            places, np.asarray(values), color=color, ls=style, marker=marker, markevery=every, lw=1.4, ms=5,
            label=label,
        )  # fmt: skip
    area.set(xlabel=xlabel, ylabel=ylabel, title=title, **axes)
    area.legend(
        frameon=False, fontsize="small", ncols=len(y), loc="upper center", bbox_to_anchor=(0.5, -0.18)
    )
    quiet(area)
    return Picture(figure, f"{ylabel} over {xlabel}: {', '.join(y)}")
