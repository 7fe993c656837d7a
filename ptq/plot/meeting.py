"""Figures of integers with different scales: rulers that lie side by side, and a function as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptq.graph import Quantization
from ptq.plot.picture import BLACK, BLUE, MARKERS, ORANGE, RED, SKY, Picture, new_figure, quiet

SHOWN = 34
"""Ticks of a ruler that are numbered; of more, only every second, fourth, ..."""


@dataclass(frozen=True)
class Ruler:
    """A scale and zero point, and the integers from lowest to highest. marks: words for some of them."""

    label: str
    scale: float
    zero_point: int = 0
    lowest: int = -8
    highest: int = 7
    marks: Mapping[int, str] = field(default_factory=dict)

    def real(self, q: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """What integers stand for (Q1)."""
        return self.scale * (np.asarray(q, np.float64) - self.zero_point)


def rulers(rows: Sequence[Ruler], title: str = "") -> Picture:
    """One ruler below the other over one axis of real numbers: which integer stands where.

    A line goes down from each marked integer, so that the same real number is found on the other rulers.
    """
    figure, ((area,),) = new_figure(1, 1, (9, 0.9 + 0.95 * len(rows)))
    for number, row in enumerate(rows):
        y = -float(number)
        integers = np.arange(row.lowest, row.highest + 1)
        reals = row.real(integers)
        area.plot(reals[[0, -1]], [y, y], color=BLACK, lw=1.2)
        area.vlines(reals, y, y + 0.14, color=BLUE, lw=0.9)
        step = max(-(-integers.size // SHOWN), 1)
        for q, real in zip(integers.tolist(), reals.tolist(), strict=True):
            if (q - row.zero_point) % step == 0 and q not in row.marks:
                weight = "bold" if q == row.zero_point else "normal"
                area.text(
                    real, y - 0.07, str(q), ha="center", va="top", fontsize=7, color=BLUE, weight=weight
                )
        for q, words in row.marks.items():
            real = float(row.real(q))
            area.plot([real, real], [y, 1 - len(rows) - 0.3], ":", color=RED, lw=1)
            area.plot(real, y + 0.07, MARKERS[number % len(MARKERS)], color=RED, ms=7, zorder=3)
            plate = {"fc": "white", "ec": "none", "pad": 0.5, "alpha": 0.9}
            area.text(real, y - 0.07, str(q), ha="center", va="top", fontsize=8, color=RED, weight="bold",
                      bbox=plate, zorder=4)  # fmt: skip
            area.text(
                real, y + 0.22, words, ha="center", va="bottom", fontsize=8.5, color=RED, bbox=plate, zorder=4
            )
    labels = [f"{row.label}\n1 LSB = {row.scale:g}" for row in rows]
    area.set_yticks([-number for number in range(len(rows))], labels, fontsize=9)
    area.set(ylim=(0.7 - len(rows), 0.62), xlabel="real number; on each ruler the integers that stand for it")
    quiet(area)
    area.spines[["left"]].set_visible(False)
    area.tick_params(axis="y", length=0)
    figure.suptitle(title)
    steps = ", ".join(f"{row.label} {row.scale:g}" for row in rows)
    return Picture(figure, f"{len(rows)} tensors, {len(rows)} rulers; one step is: {steps}")


def table_curve(table: npt.ArrayLike, input: Quantization, output: Quantization, title: str = "") -> Picture:
    """A function of one int8 as the table that it is: 256 inputs, as many outputs, and the differences.

    table: int8 [256], the result for -128, -127, ..., 127. Below: how far the output moves from one input
    to the next; more than 1 LSB is a step that the output's own grid could tell apart.
    """
    values = np.asarray(table, np.int64)
    places = np.arange(-128, 128)
    s_x, z_x = float(input.scale[0]), int(input.zero_point[0])
    s_y, z_y = float(output.scale[0]), int(output.zero_point[0])
    figure, ((above,), (below,)) = new_figure(2, 1, (9, 4.8), sharex=True, height_ratios=[3, 1])
    above.step(places, values, where="mid", color=BLUE, lw=1.2)
    above.plot(places, values, ".", color=BLUE, ms=3)
    above.axvline(z_x, color=BLACK, ls=":", lw=1)
    above.axhline(z_y, color=BLACK, ls=":", lw=1)
    real_y = above.secondary_yaxis("right", functions=(lambda q: s_y * (q - z_y), lambda r: r / s_y + z_y))
    real_y.set_ylabel("what it stands for")
    real_x = above.secondary_xaxis("top", functions=(lambda q: s_x * (q - z_x), lambda r: r / s_x + z_x))
    real_x.set_xlabel("what the input stands for")
    above.set(ylabel="output integer (LSB)")
    moves = np.diff(values)
    below.bar(places[1:] - 0.5, moves, 1, color=ORANGE)
    below.axhspan(0, 1, color=SKY, alpha=0.5, lw=0, zorder=0, label="up to 1 LSB")
    below.legend(frameon=False, fontsize="small", loc="upper right")
    below.set(
        xlabel=f"input integer (1 LSB = {s_x:.3g}; dotted: the zero points)", ylabel="step to the\nnext (LSB)"
    )
    quiet(below)
    if title:
        figure.suptitle(title)
    distinct = np.unique(values).size
    largest = int(np.abs(moves).max(initial=0))
    return Picture(
        figure, f"256 inputs give {distinct} different outputs; neighbours differ by up to {largest} LSB"
    )
