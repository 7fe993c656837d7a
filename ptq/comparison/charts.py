"""The plots of the report: errors layer by layer, and how the differences of the worst layers are spread."""

from __future__ import annotations

import math

from ptq.comparison.difference import Difference
from ptq.comparison.report import Comparison, Row, largest
from ptq.comparison.svg import Axis, Drawing, number
from ptq.terminal import middle_cut

WIDTH = 960
ROWS_PER_PLOT = 28
"""What fits on a printed page together with its axes."""

ROW, BAR, TOP = 20, 7, 46
LEFT, RIGHT = 446, 774
"""Where the bars begin and end; left of them stand the layers, right of them their size in reals."""

MARKS = {
    "bits": "first difference, by bits",
    "own": "first isolated difference",
    "cause": "first beyond rounding",
}
WORST = 6
"""How many layers get a histogram."""


def error_plots(comparison: Comparison) -> list[str]:
    """Isolated and cumulative error of each layer as bars in LSB, in pieces that fit a page."""
    rows = comparison.rows
    values = [d.max_steps for row in rows for d in (row.isolated, row.cumulative) if d is not None]
    axis = Axis.from_zero(values, LEFT, RIGHT)
    marks = {"bits": comparison.first_difference, "own": comparison.first_isolated,
             "cause": comparison.first_unexplained}  # fmt: skip
    pieces = [rows[i : i + ROWS_PER_PLOT] for i in range(0, len(rows), ROWS_PER_PLOT)]
    return [_error_plot(piece, axis, marks) for piece in pieces]


def _error_plot(rows: tuple[Row, ...], axis: Axis, marks: dict[str, Row | None]) -> str:
    bottom = TOP + ROW * len(rows)
    drawing = Drawing(WIDTH, bottom + 36, "Isolated and cumulative error of each layer in LSB")
    for left, label, kind in (
        (56, "#", "head end"), (64, "operator", "head"), (196, "tensor", "head"),
        (RIGHT + 92, "max error", "head end"), (RIGHT + 186, "1 LSB", "head end"),
    ):  # fmt: skip
        drawing.text(left, TOP - 8, label, kind)
    drawing.text(RIGHT + 92, TOP - 22, "cumulative", "head end")
    drawing.text(RIGHT + 186, TOP - 22, "in reals", "head end")
    for tick in axis.ticks:
        x = axis.at(tick)
        drawing.line(x, TOP, x, bottom, "grid")
        drawing.text(x, TOP - 8, number(tick), "tick mid")
        drawing.text(x, bottom + 14, number(tick), "tick mid")
    scale = ", logarithmic" if axis.logarithmic else ""
    for y in (TOP - 26, bottom + 30):
        drawing.text((LEFT + RIGHT) / 2, y, f"largest difference in LSB{scale}", "label mid")
    for i, row in enumerate(rows):
        _error_row(drawing, row, TOP + ROW * i, axis, [m for m, marked in marks.items() if marked is row])
    drawing.line(LEFT, TOP, LEFT, bottom)
    return str(drawing)


def _error_row(drawing: Drawing, row: Row, y: float, axis: Axis, marks: list[str]) -> None:
    if marks:
        drawing.rect(0, y, WIDTH, ROW, "marked")
    base = y + 14
    drawing.text(56, base, middle_cut(row.number, 9), "name end")
    drawing.text(64, base, middle_cut(row.type, 20), "name", row.type)
    drawing.text(196, base, middle_cut(row.name, 33), "name", row.name)
    for i, mark in enumerate(reversed(marks)):
        draw_mark(drawing, mark, LEFT - 10 - 13 * i, y + ROW / 2)
    for difference, kind, top in ((row.isolated, "isolated", 3), (row.cumulative, "cumulative", 10)):
        _bar(drawing, difference, kind, y + top, axis)
    drawing.text(RIGHT + 92, base, number(row.max_error), "name end")
    drawing.text(RIGHT + 186, base, number(row.cumulative.step), "name end")


def _bar(drawing: Drawing, difference: Difference | None, kind: str, y: float, axis: Axis) -> None:
    if difference is None:
        drawing.text(LEFT + 4, y + BAR, "not isolated", "tiny")
        return
    steps = difference.max_steps
    title = f"{kind}: {number(steps)} LSB, {difference.verdict.brief}"
    if math.isfinite(steps):
        drawing.rect(LEFT, y, axis.at(steps) - LEFT, BAR, kind, title)
    else:
        drawing.rect(LEFT, y, RIGHT - LEFT, BAR, f"{kind} unknown", title)
        drawing.text(RIGHT - 4, y + BAR, number(steps), "tiny end")


def draw_mark(drawing: Drawing, mark: str, x: float, y: float) -> None:
    """One of MARKS: a triangle, a diamond or a square, so that shape tells them apart as well as colour."""
    shapes = {
        "bits": [(x - 5, y - 6), (x + 6, y), (x - 5, y + 6)],
        "own": [(x - 6, y), (x, y - 6), (x + 6, y), (x, y + 6)],
        "cause": [(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)],
    }
    drawing.shape(shapes[mark], f"mark-{mark}")


def legend(comparison: Comparison) -> str:
    """What bars and marks stand for, those that there are."""
    marked = {"bits": comparison.first_difference, "own": comparison.first_isolated,
              "cause": comparison.first_unexplained}  # fmt: skip
    drawing = Drawing(WIDTH, 24, "Legend")
    x = 4.0
    for kind, words in (("isolated", "isolated"), ("cumulative", "cumulative")):
        drawing.rect(x, 8, 22, BAR, kind)
        drawing.text(x + 28, 16, words, "name")
        x += 40 + 7 * len(words)
    for mark, words in MARKS.items():
        if marked[mark] is None:
            continue
        draw_mark(drawing, mark, x + 8, 12)
        drawing.text(x + 20, 16, words, "name")
        x += 34 + 6.5 * len(words)
    return str(drawing)


def worst_rows(comparison: Comparison) -> list[Row]:
    """The layers with the largest isolated differences; by cumulative ones where there are none."""
    own = [row for row in comparison.rows if row.isolated is not None and row.isolated.counts is not None]
    if own:
        return sorted(own, key=lambda row: _badness(row.isolated))[:WORST]
    whole = [row for row in comparison.rows if row.cumulative.counts is not None]
    return sorted(whole, key=lambda row: _badness(row.cumulative))[:WORST]


def _badness(difference: Difference | None) -> tuple[float, float]:
    """For sorting: by the largest difference, then by how many values differ."""
    return -largest(difference), -difference.differing / difference.count if difference else 0.0


def _short(power: int) -> str:
    """A power of ten: 1, 10, 100, 1k, ..., 1M."""
    unit = ("", "k", "M", "G", "T")[power // 3]
    return f"{10 ** (power % 3)}{unit}"


def histogram(difference: Difference, title: str) -> str:
    """How many values differ by how many LSB: counts on a logarithmic axis, reals along the upper edge."""
    counts = difference.counts
    assert counts is not None, "only differences that were measured have a histogram"
    width, left, right, top, bottom = 310.0, 46.0, 300.0, 44.0, 168.0
    drawing = Drawing(width, 204, title)
    half = counts.width * (len(counts.counts) // 2 + 0.5)
    across = Axis(-half, half, left, right)
    most = max(counts.counts, default=1)
    up = Axis(0.5, 10.0 ** math.ceil(math.log10(max(most, 2))), bottom, top, True)
    for power in range(round(math.log10(up.high)) + 1):
        y = up.at(10.0**power)
        drawing.line(left, y, right, y, "grid")
        drawing.text(left - 4, y + 3, _short(power), "tick end")
    for tick in _few([t for t in across.ticks if abs(t) < half]):
        x = across.at(tick)
        drawing.line(x, bottom, x, bottom + 4)
        drawing.text(x, bottom + 15, number(tick), "tick mid")
        drawing.text(x, top - 6, number(tick * difference.step), "tick mid")
    for i, count in enumerate(counts.counts):
        value = counts.lowest + i * counts.width
        x = across.at(value - counts.width / 2)
        step = (right - left) / len(counts.counts)
        if count:
            kind = "zero" if value == 0 else "isolated"
            y = up.at(count)
            drawing.rect(x + 0.6, y, step - 1.2, bottom - y, kind, f"{number(value)} LSB: {count:,} values")
    drawing.line(left, bottom, right, bottom)
    drawing.text((left + right) / 2, bottom + 30, "b - a in LSB", "label mid")
    drawing.text((left + right) / 2, top - 22, "b - a in reals", "label mid")
    drawing.text(4, top - 22, "values", "label")
    return str(drawing)


def _few(ticks: list[float]) -> list[float]:
    """At most five ticks, 0 among them."""
    every = math.ceil(len(ticks) / 5)
    middle = min(range(len(ticks)), key=lambda i: abs(ticks[i]), default=0)
    return [t for i, t in enumerate(ticks) if (i - middle) % every == 0] if every else []
