"""Figures of rounding: what rules make of the same numbers, and why two roundings may differ from one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from ptq.fixed_point import rounding_divide_by_pot_spec
from ptq.plot.picture import BLACK, BLUE, GREEN, ORANGE, RED, Picture, new_figure

MOST_PLACES = 5
"""Binary places whose grid is drawn between two integers."""


def rounding_rules(
    rules: Mapping[str, Callable[[float], int]], values: Sequence[float], title: str = ""
) -> Picture:
    """A row for each rule, a column for each number: the integer it becomes, and whether that is up or down.

    Columns on which all rules agree are pale.
    """
    from matplotlib.patches import Rectangle

    results = {name: [int(rule(value)) for value in values] for name, rule in rules.items()}
    agreed = [len({row[column] for row in results.values()}) == 1 for column in range(len(values))]
    figure, ((area,),) = new_figure(1, 1, (0.72 * len(values) + 2.6, 0.42 * len(rules) + 1.1))
    for y, (name, row) in zip(range(len(rules) - 1, -1, -1), results.items(), strict=True):
        area.text(-0.15, y + 0.5, name, ha="right", va="center", fontsize=9)
        for x, (value, result) in enumerate(zip(values, row, strict=True)):
            up = result > value
            color, mark = (BLUE, "▲") if up else (ORANGE, "▼")
            if result == value:
                color, mark = "#888888", "="
            alpha = 0.12 if agreed[x] else 0.5
            area.add_patch(Rectangle((x, y), 1, 1, fc=color, alpha=alpha, ec="white", lw=2))
            area.text(x + 0.42, y + 0.5, f"{result}", ha="right", va="center", fontsize=10)
            area.text(x + 0.55, y + 0.5, mark, ha="left", va="center", fontsize=7)
    for x, value in enumerate(values):
        area.text(x + 0.5, len(rules) + 0.15, f"{value:g}", ha="center", va="bottom", weight="bold")
    area.plot([], [], "s", color=BLUE, alpha=0.5, label="▲ rounded up")
    area.plot([], [], "s", color=ORANGE, alpha=0.6, label="▼ rounded down")
    if any(agreed):
        area.plot([], [], "s", color="#DDDDDD", label="pale: all rules agree")
    area.legend(frameon=False, ncols=3, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.02))
    widest = max(len(name) for name in rules)
    area.set(xlim=(-0.13 * widest - 0.3, len(values)), ylim=(-0.25, len(rules) + 0.8), title=title)
    area.set_axis_off()
    differing = len(values) - sum(agreed)
    return Picture(figure, f"{len(rules)} rules differ on {differing} of {len(values)} numbers")


def two_roundings(accumulator: int, multiplier: int, shift: int, bits: int = 31) -> Picture:
    """The way of one number between two integers, in two roundings and in one (Q22).

    The real number accumulator * multiplier * 2^(shift - bits); the first of the two roundings leaves
    max(-shift, 0) binary places. bits: of the multiplier, 31 in TensorFlow Lite, fewer on paper.
    """
    right = max(-shift, 0)
    product = (accumulator << max(shift, 0)) * multiplier
    exact = Fraction(product, 1 << (bits + right))
    high = (product + (1 << (bits - 1))) >> bits
    first, double = Fraction(high, 1 << right), rounding_divide_by_pot_spec(high, right)
    single = (product + (1 << (bits + right - 1))) >> (bits + right)
    low = exact.__floor__()
    figure, ((area,),) = new_figure(1, 1, (9, 3.0))
    rows = [
        ("two roundings", 1.0, [exact, first, Fraction(double)], BLUE),
        ("one rounding", 0.0, [exact, Fraction(single)], ORANGE),
    ]
    for name, y, stops, color in rows:
        area.plot([low, low + 1], [y, y], color=BLACK, lw=1)
        if right <= MOST_PLACES and len(stops) == 3:
            places = [low + n / (1 << right) for n in range((1 << right) + 1)]
            area.vlines(places, y - 0.06, y + 0.06, color="#888888", lw=0.8)
        area.vlines([low, low + 1], y - 0.13, y + 0.13, color=BLACK, lw=1.6)
        area.plot([low + 0.5], [y], "|", color=RED, ms=16)
        area.text(low - 0.09, y, name, ha="right", va="center", color=color, weight="bold")
        for number, (start, end) in enumerate(pairwise(stops)):
            arch = f"arc3,rad={-0.35 if end >= start else 0.35}"  # above the line in both directions
            arrow = {"arrowstyle": "->", "color": color, "lw": 1.6, "connectionstyle": arch}
            area.annotate("", (float(end), y + 0.05), (float(start), y + 0.05), arrowprops=arrow)
            label = f"{number + 1}." if len(stops) > 2 else ""
            area.text(float(start + end) / 2, y + 0.3, label, ha="center", color=color, fontsize=9)
        area.plot([float(exact)], [y], "o", color=GREEN, ms=7, zorder=3)
        for stop in sorted(set(stops[1:])):
            words = {"ha": "center", "va": "top", "color": color, "weight": "bold"}
            area.text(float(stop), y - 0.2, f"{float(stop):g}", **words)
    area.text(float(exact), -0.42, f"exact: {float(exact):.6g}", ha="center", va="top", color=GREEN)
    area.plot([], [], "|", color=RED, ms=12, label="the tie")
    area.plot([], [], "o", color=GREEN, label="the exact product")
    if right <= MOST_PLACES:
        area.plot([], [], "|", color="#888888", label=f"grid of the first rounding: 1/{1 << right}")
    area.legend(frameon=False, ncols=3, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.02))
    area.set(xlim=(low - 0.42, low + 1.1), ylim=(-0.75, 1.75))
    area.set_axis_off()
    return Picture(figure, f"{float(exact):.6g} becomes {double} in two roundings and {single} in one")
