"""Figures of quantization at run time: a scale for each row, and which numbers of a kernel are integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLACK, BLUE, ORANGE, SKY, Picture, new_figure, quiet

BOX, GAP = 2.0, 0.55
"""The width of a step, and the arrow between two of them."""


def row_ranges(rows: npt.ArrayLike, names: Sequence[str] = (), title: str = "") -> Picture:
    """The numbers of each row on a line, and the two ranges that a kernel may take for them (Q4).

    rows: [n, K]. Above each line the symmetric range, -max|x| to max|x|, below it the asymmetric one, min to
    max; both hold 0. At the right the steps, 1 LSB = range / 254 or range / 255.
    """
    values = np.asarray(rows, np.float64)
    low, high = values.min(axis=1, initial=0), values.max(axis=1, initial=0)
    reach = np.maximum(-low, high)
    figure, ((area,),) = new_figure(1, 1, (9, 0.95 + 0.62 * len(values)))
    for number, row in enumerate(values):
        y = len(values) - number
        first = number == 0
        area.barh(
            y + 0.2, 2 * reach[number], 0.2, left=-reach[number], color=ORANGE, hatch="//", ec="white",
            label="symmetric range, 254 steps" if first else None,
        )  # fmt: skip
        area.barh(
            y - 0.2, high[number] - low[number], 0.2, left=low[number], color=SKY, ec="white",
            label="asymmetric range, 255 steps" if first else None,
        )  # fmt: skip
        area.plot(row, np.full(row.size, y), "|", color=BLACK, ms=7, label="activations" if first else None)
        one, other = reach[number] / 127, (high[number] - low[number]) / 255
        steps = f"1 LSB: {one:.4f} symmetric\n1 LSB: {other:.4f} asymmetric"
        area.text(1.02, y, steps, transform=area.get_yaxis_transform(), va="center", fontsize=8)
    area.axvline(0, color=BLACK, lw=0.8, ls=":")
    labels = list(names) or [f"row {number}" for number in range(len(values))]
    area.set_yticks(np.arange(len(values), 0, -1), labels)
    area.set(xlabel="real number", ylim=(0.4, len(values) + 0.6))
    area.legend(frameon=False, ncols=3, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1.0))
    quiet(area)
    area.spines[["left"]].set_visible(False)
    figure.suptitle(title)
    times = reach.max() / max(reach.min(), 1e-30)
    count = len(values)
    return Picture(figure, f"{count} rows, {count} ranges: the widest step is {times:.1f} times the finest")


@dataclass(frozen=True)
class Step:
    """A step of a kernel. what: in a few words. type: of its numbers, "float32", "int8", ..."""

    what: str
    type: str


def number_types(chains: dict[str, Sequence[Step]], title: str = "") -> Picture:
    """The steps of kernels as boxes, coloured by what numbers leave them: floats are hatched."""
    from matplotlib.patches import Rectangle

    longest = max(map(len, chains.values()))
    figure, ((area,),) = new_figure(1, 1, (11, 0.9 + 1.0 * len(chains)))
    for number, (name, steps) in enumerate(chains.items()):
        y = len(chains) - 1 - number
        area.text(-0.3, y + 0.4, name, ha="right", va="center", fontsize=10, weight="bold")
        for place, step in enumerate(steps):
            x = place * (BOX + GAP)
            real = step.type.startswith("float")
            color, hatch = (ORANGE, "///") if real else (BLUE, "")
            area.add_patch(Rectangle((x, y), BOX, 0.8, fc="white", ec=color, lw=1.8))
            area.add_patch(Rectangle((x, y), BOX, 0.26, fc=color, ec="white", hatch=hatch, alpha=0.55, lw=0))
            area.text(x + BOX / 2, y + 0.53, step.what, ha="center", va="center", fontsize=8)
            plate = {"fc": "white", "ec": "none", "pad": 1}
            area.text(x + BOX / 2, y + 0.13, step.type, ha="center", va="center", fontsize=8, bbox=plate)
            if place + 1 < len(steps):
                ends = (x + BOX + GAP, y + 0.4), (x + BOX, y + 0.4)
                area.annotate("", *ends, arrowprops={"arrowstyle": "->"})
    area.plot([], [], "s", color=BLUE, alpha=0.6, label="integers")
    area.plot([], [], "s", color=ORANGE, alpha=0.6, label="floats (hatched)")
    area.legend(frameon=False, ncols=2, fontsize="small", loc="upper left", bbox_to_anchor=(0, 0.02))
    area.set(xlim=(-2.2, longest * (BOX + GAP)), ylim=(-0.1, len(chains) - 0.05))
    area.set_axis_off()
    figure.suptitle(title)
    counts = ", ".join(
        f"{name} {sum(not s.type.startswith('float') for s in steps)} of {len(steps)}"
        for name, steps in chains.items()
    )
    return Picture(figure, f"steps whose result is an integer: {counts}")
