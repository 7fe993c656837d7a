"""Figures of whole models: the error of every layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ptq.plot.picture import BLUE, ORANGE, RED, Picture, new_figure, quiet

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
    figure.legend(frameon=False, fontsize="small", ncols=2, loc="outside lower center")
    quiet(area)
    return Picture(figure, f"{title}: {note}" if title else note)
