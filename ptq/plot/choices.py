"""Figures of what a conversion chose: the range of a tensor, and the arithmetic of each operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import (
    BLACK,
    BLUE,
    COLORS,
    GREEN,
    HATCHES,
    MARKERS,
    ORANGE,
    Picture,
    new_figure,
    quiet,
)

Range = tuple[float, float]

LEVELS = 255
"""Steps between the lowest and the highest int8."""

PER_LINE = 14
"""Boxes of a chain in a line."""

FILLS = {
    "float": (ORANGE, "///"),
    "hybrid": (GREEN, ".."),
    "integer": (BLUE, ""),
    "any": ("#BBBBBB", "\\\\"),
}
"""The colour and hatch of each arithmetic."""

SHORT = {
    "FULLY_CONNECTED": "DENSE", "DEPTHWISE_CONV_2D": "DEPTHW.", "CONV_2D": "CONV", "MAX_POOL_2D": "MAXPOOL",
    "AVERAGE_POOL_2D": "AVGPOOL", "DEQUANTIZE": "DEQUANT", "CONCATENATION": "CONCAT",
}  # fmt: skip


def chosen_ranges(values: npt.ArrayLike, ranges: Mapping[str, Range], title: str = "") -> Picture:
    """The values of a tensor as a histogram, and below it the range that each way of choosing gives.

    What lies outside of a range is clipped; at the right stands how much, and how large one of the 255 steps
    is. The counts are logarithmic: a handful of outliers decides.
    """
    real = np.asarray(values, np.float64).reshape(-1)
    ends = [end for pair in ranges.values() for end in pair]
    low, high = min(real.min(), *ends), max(real.max(), *ends)
    size = (9, 3.0 + 0.36 * len(ranges))
    figure, ((above,), (below,)) = new_figure(
        2, 1, size, sharex=True, height_ratios=[2.3, 0.36 * len(ranges) + 0.3]
    )
    above.hist(real, np.linspace(low, high, 150), color=BLUE)
    above.set(yscale="log", ylabel="how many\n(logarithmic)")
    places = -np.arange(len(ranges))
    notes = []
    for place, (name, (bottom, top)), number in zip(places, ranges.items(), range(len(ranges)), strict=True):
        color, hatch = COLORS[number % len(COLORS)], HATCHES[number % len(HATCHES)]
        below.barh(place, top - bottom, 0.62, left=bottom, color=color, hatch=hatch, ec="white")
        below.plot([bottom, top], [place, place], MARKERS[number % len(MARKERS)], color=BLACK, ms=4)
        lost = float(np.mean((real < bottom) | (real > top)))
        notes.append(f"{name} clips {lost:.2%}")
        words = f"clips {lost:.2%}; 1 LSB = {(top - bottom) / LEVELS:.3g}"
        below.text(1.01, place, words, transform=below.get_yaxis_transform(), va="center", fontsize=8)
    below.set_yticks(places, list(ranges))
    below.set(xlabel="real number", ylim=(-len(ranges) + 0.4, 0.6))
    quiet(above, below)
    if title:
        figure.suptitle(title)
    return Picture(
        figure, f"{real.size:,} values from {real.min():.3g} to {real.max():.3g}: {', '.join(notes)}"
    )


def operator_chains(chains: Mapping[str, Sequence[tuple[str, str]]], title: str = "") -> Picture:
    """The operators of models as boxes in their order, coloured and hatched by their arithmetic.

    chains: for each model (type, arithmetic) of its operators; arithmetic: float, hybrid, integer or any.
    """
    from matplotlib.patches import Rectangle

    heights = {name: -(-len(chain) // PER_LINE) for name, chain in chains.items()}
    figure, ((area,),) = new_figure(1, 1, (10, 0.8 + 0.4 * sum(heights.values()) + 0.22 * len(chains)))
    y = 0.0
    for name, chain in chains.items():
        area.text(0, y, name, ha="left", va="center", fontsize=9.5, weight="bold")
        y -= 1.05
        for number, (kind, arithmetic) in enumerate(chain):
            line, column = divmod(number, PER_LINE)
            color, hatch = FILLS[arithmetic]
            place = (column, y - line)
            area.add_patch(Rectangle(place, 0.94, 0.72, fc=color, ec="white", alpha=0.45, hatch=hatch, lw=0))
            area.add_patch(Rectangle(place, 0.94, 0.72, fc="none", ec=color, lw=1.3))
            plate = {"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.85}
            area.text(column + 0.47, place[1] + 0.36, SHORT.get(kind, kind), ha="center", va="center",
                      fontsize=6.5, bbox=plate)  # fmt: skip
        y -= heights[name] - 0.5
    used = [a for a in FILLS if any(a == found for chain in chains.values() for _, found in chain)]
    for arithmetic in used:
        color, hatch = FILLS[arithmetic]
        area.bar(0, 0, color=color, hatch=hatch, ec="white", alpha=0.6, label=_named(arithmetic))
    area.legend(frameon=False, ncols=4, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.0))
    area.set(xlim=(-0.1, PER_LINE), ylim=(y + 0.4, 0.35))
    area.set_axis_off()
    if title:
        figure.suptitle(title)
    parts = [f"{name}: {_counted(chain)}" for name, chain in chains.items()]
    return Picture(figure, "; ".join(parts))


def _named(arithmetic: str) -> str:
    return "any: moves or converts data" if arithmetic == "any" else arithmetic


def _counted(chain: Sequence[tuple[str, str]]) -> str:
    counts = {a: sum(found == a for _, found in chain) for a in FILLS}
    return f"{len(chain)} operators, " + ", ".join(f"{n} {a}" for a, n in counts.items() if n)
