"""Bars of models side by side: size, speed and accuracy, float and quantized, beside what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptq.plot.picture import BLACK, COLORS, HATCHES, Picture, new_figure, quiet

GROUP, WHISKER = 0.8, "one standard error"
"""The share of a group's place that its bars take; what the legend says of whiskers."""

CHARACTER, HANDLE = 0.095, 0.5
"""Inches that a character takes, and a mark of the legend: a figure of few bars must hold its words."""


@dataclass(frozen=True)
class Measured:
    """One model in one form. value: bytes, milliseconds, per cent; published: what was announced, or None.

    error: a standard error, for a whisker; 0 for none. note: stands below the number on the bar.
    """

    model: str
    form: str
    value: float
    published: float | None = None
    error: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """A pair of axes with a group of bars for each model, and a bar for each form in it.

    measured: in the order in which models and forms are to stand. label: of the vertical axis. digits: of the
    numbers on the bars. published: a number for a whole group, by model. level: a horizontal line, and the
    words for it. top: where the vertical axis ends. pale: for bars that were not measured here.
    """

    measured: Sequence[Measured]
    label: str
    title: str = ""
    digits: int = 1
    published: Mapping[str, float] = field(default_factory=dict)
    level: tuple[float, str] | None = None
    top: float | None = None
    pale: bool = False

    @property
    def models(self) -> list[str]:
        """The models in their order."""
        return list(dict.fromkeys(m.model for m in self.measured))

    @property
    def forms(self) -> list[str]:
        """The forms in their order."""
        return list(dict.fromkeys(m.form for m in self.measured))


def grouped_bars(measured: Sequence[Measured], label: str, title: str = "", digits: int = 1) -> Picture:
    """A group of bars for each model, a bar for each of its forms, a black line for a published number."""
    figure = bar_panels([Panel(measured, label, title, digits)]).figure
    told = "; ".join(f"{bar.model}, {bar.form} {bar.value:.{digits}f}" for bar in measured)
    return Picture(figure, f"{title or label}: {told}")


def bar_panels(
    panels: Sequence[Panel], title: str = "", stacked: bool = False, published: str = "published",
    first_color: int = 0,
) -> Picture:  # fmt: skip
    """Grouped bars on several axes with one legend: a form has the same colour and hatch on all of them.

    stacked: the axes are one above the other, of the same models. published: the words for the black lines.
    first_color: of the first form, a position in COLORS; other things than in another figure need others.
    """
    widths = [
        max(len(panel.models) * (0.35 + 0.36 * len(panel.forms)), CHARACTER * len(panel.title))
        for panel in panels
    ]
    names = list(dict.fromkeys(form for panel in panels for form in panel.forms))
    least = max(4.0, CHARACTER * len(title))
    if stacked:
        size = (max(*widths, least) + 0.9, 1 + 2.3 * len(panels))
        figure, axes = new_figure(len(panels), 1, size, sharex=True)
    else:
        size = (max(sum(widths), least) + 0.9 * len(panels), 3.8)
        figure, axes = new_figure(1, len(panels), size, width_ratios=widths)
    styles = {name: (first_color + number) % len(COLORS) for number, name in enumerate(names)}
    marks: dict[str, Any] = {}
    for panel, area in zip(panels, axes.flat, strict=True):
        _draw(area, panel, styles, marks)
        _draw_lines(area, panel, marks, published)
        quiet(area)
    order = [*names, *(label for label in marks if label not in names)]
    figure.legend(
        [marks[label] for label in order], order, frameon=False, fontsize="small", loc="outside lower center",
        ncols=_columns(order, size[0]),
    )  # fmt: skip
    if title:
        figure.suptitle(title)
    return Picture(figure, title or panels[0].title or panels[0].label)


def _columns(labels: Sequence[str], width: float) -> int:
    """How many columns of a legend fit: a column is as wide as its longest label, in small type."""
    for columns in range(min(len(labels), 5), 1, -1):
        rows = -(-len(labels) // columns)
        longest = [max(map(len, labels[start : start + rows])) for start in range(0, len(labels), rows)]
        if sum(0.75 * CHARACTER * length + HANDLE for length in longest) <= width:
            return columns
    return 1


def _draw(area: Any, panel: Panel, styles: Mapping[str, int], marks: dict[str, Any]) -> None:
    """The bars of a panel with their numbers; marks: what stands for each label in the legend, added to."""
    width = GROUP / len(panel.forms)
    for m in panel.measured:
        place, style = _place(panel, m), styles[m.form]
        bar = area.bar(
            place, m.value, width * 0.92, color=COLORS[style], hatch=HATCHES[style], ec="white",
            alpha=0.4 if panel.pale else 1,
        )  # fmt: skip
        if not panel.pale or m.form not in marks:
            marks[m.form] = bar
        if m.error:
            marks[WHISKER] = area.errorbar(place, m.value, m.error, color=BLACK, capsize=3, lw=1)
        _annotate(area, panel, m, place)
    area.set_xticks(range(len(panel.models)), panel.models)
    area.set(ylabel=panel.label, title=panel.title)
    area.margins(y=0.18)
    if panel.top is not None:
        area.set_ylim(0, panel.top)


def _annotate(area: Any, panel: Panel, m: Measured, place: float) -> None:
    """The number above its bar; inside of it where the group's published line would run through it."""
    number = f"{m.value:,.{panel.digits}f}" + (f"\n{m.note}" if m.note else "")
    room = 0.15 * max(other.value for other in panel.measured)
    inside = m.value <= panel.published.get(m.model, -1) < m.value + room
    height = m.value if inside else max(m.value + m.error, m.published or 0)
    area.annotate(
        number, (place, height), (0, -3 if inside else 4), textcoords="offset points", ha="center",
        va="top" if inside else "bottom", fontsize=8, zorder=4,
        bbox={"fc": "white", "ec": "none", "alpha": 0.9, "pad": 0.8},
    )  # fmt: skip


def _draw_lines(area: Any, panel: Panel, marks: dict[str, Any], published: str) -> None:
    """Published numbers, of bars and of whole groups, and the level."""
    half = GROUP / len(panel.forms) / 2
    lines = [(_place(panel, m), half, m.published) for m in panel.measured if m.published is not None]
    lines += [(panel.models.index(model), GROUP / 2, value) for model, value in panel.published.items()]
    for place, reach, value in lines:
        (marks[published],) = area.plot([place - reach, place + reach], [value] * 2, color=BLACK, lw=2)
    if panel.level is not None:
        marks[panel.level[1]] = area.axhline(panel.level[0], color=BLACK, lw=0.9, ls=":")


def _place(panel: Panel, m: Measured) -> float:
    """The middle of a bar on the horizontal axis; groups are 1 apart."""
    forms = panel.forms
    return panel.models.index(m.model) + (forms.index(m.form) - (len(forms) - 1) / 2) * GROUP / len(forms)
