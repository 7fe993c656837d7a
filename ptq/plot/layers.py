"""Figures of whole models: the error of every layer, and what quantization does to size and speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ptq.plot.picture import BLACK, BLUE, COLORS, HATCHES, ORANGE, RED, Picture, new_figure, quiet

MOST_NAMES = 40


def layer_errors(
    names: Sequence[str],
    isolated: Sequence[float],
    cumulative: Sequence[float],
    unit: str = "LSB",
    title: str = "",
) -> Picture:
    """The largest error of each layer in execution order: by itself, and after all layers before it.

    isolated: each layer fed with the reference's input. cumulative: as the model runs. The first layer that
    differs at all is marked: where the two part is where errors arise; the rest has come down from above.
    """
    alone, together = np.asarray(isolated, float), np.asarray(cumulative, float)
    places = np.arange(len(names))
    figure, ((area,),) = new_figure(1, 1, (max(7, 0.28 * len(names) + 2), 3.8))
    area.bar(places - 0.2, together, 0.4, color=BLUE, label="cumulative: as the model runs")
    area.bar(places + 0.2, alone, 0.4, color=ORANGE, hatch="//", label="isolated: by itself")
    differing = np.flatnonzero(together > 0)
    note = "no layer differs"
    if differing.size:
        first = int(differing[0])
        area.axvline(first, color=RED, ls="--", lw=1.2)
        top = max(together.max(), alone.max())
        area.annotate(
            f"first divergence: {names[first]}", (first, top), xytext=(6, 2), textcoords="offset points",
            color=RED, fontsize=9,
        )  # fmt: skip
        note = f"the first layer that differs is {names[first]}"
    step = -(-len(names) // MOST_NAMES)
    area.set_xticks(places[::step], [names[i] for i in places[::step]], rotation=60, ha="right", fontsize=8)
    area.set(ylabel=f"largest |difference| in {unit}", title=title)
    area.margins(y=0.18)
    area.legend(frameon=False, fontsize="small", ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.3))
    quiet(area)
    return Picture(figure, f"{title}: {note}" if title else note)


@dataclass(frozen=True)
class Measured:
    """One model in one form. value: bytes, milliseconds, per cent; published: what was announced, or None."""

    model: str
    form: str
    value: float
    published: float | None = None


def grouped_bars(measured: Sequence[Measured], label: str, title: str = "", digits: int = 1) -> Picture:
    """A group of bars for each model, a bar for each of its forms, a black line for a published number."""
    models = list(dict.fromkeys(m.model for m in measured))
    forms = list(dict.fromkeys(m.form for m in measured))
    figure, ((area,),) = new_figure(1, 1, (1.9 * len(models) + 2.5, 3.6))
    width = 0.8 / len(forms)
    for number, form in enumerate(forms):
        rows = [m for m in measured if m.form == form]
        places = [models.index(m.model) + (number - (len(forms) - 1) / 2) * width for m in rows]
        color, hatch = COLORS[number % len(COLORS)], HATCHES[number % len(HATCHES)]
        area.bar(
            places, [m.value for m in rows], width * 0.92, color=color, hatch=hatch, ec="white", label=form
        )
        for place, m in zip(places, rows, strict=True):
            area.annotate(
                f"{m.value:,.{digits}f}", (place, m.value), (0, 3), textcoords="offset points", ha="center",
                va="bottom", fontsize=8,
            )  # fmt: skip
            if m.published is not None:
                area.plot([place - width / 2, place + width / 2], [m.published] * 2, color=BLACK, lw=2)
    if any(m.published is not None for m in measured):
        area.plot([], [], color=BLACK, lw=2, label="published")
    area.set_xticks(range(len(models)), models)
    area.set(ylabel=label, title=title)
    area.margins(y=0.15)
    area.legend(
        frameon=False, fontsize="small", ncols=len(forms) + 1, loc="upper center", bbox_to_anchor=(0.5, -0.1)
    )
    quiet(area)
    return Picture(figure, title or label)
