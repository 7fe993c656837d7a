"""A figure of test vectors: which of them notice which mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from ptq.plot.picture import BLACK, ORANGE, SKY, Picture, new_figure


def catches(mistakes: Mapping[str, Sequence[bool]], kinds: Sequence[str], title: str = "") -> Picture:
    """A row for each mistake, a column for each vector: a cross where the vector's result would be wrong.

    mistakes: for each of them whether each vector catches it. kinds: of each vector, "boundary" or "random";
    those of a kind stand together. At the right of a row, how many vectors catch it.
    """
    from matplotlib.patches import Rectangle

    columns, rows = len(kinds), len(mistakes)
    figure, ((area,),) = new_figure(1, 1, (0.3 * columns + 3.2, 0.3 * rows + 1.1))
    for y, (name, caught) in zip(range(rows - 1, -1, -1), mistakes.items(), strict=True):
        area.text(-0.3, y + 0.5, name, ha="right", va="center", fontsize=9)
        area.text(columns + 0.3, y + 0.5, f"{sum(map(bool, caught))} of {columns}", va="center", fontsize=9)
        for x, wrong in enumerate(caught):
            color = ORANGE if wrong else SKY
            alpha = 0.9 if wrong else 0.25
            area.add_patch(Rectangle((x, y), 1, 1, fc=color, alpha=alpha, ec="white", lw=1.5))
            area.text(x + 0.5, y + 0.46, "x" if wrong else "", ha="center", va="center", fontsize=9)
    start = 0
    for kind, group in groupby(kinds):
        size = len(list(group))
        area.text(start + size / 2, rows + 0.15, f"{kind} vectors", ha="center", va="bottom", fontsize=9)
        if start:
            area.plot([start, start], [-0.2, rows + 0.6], color=BLACK, lw=1.2)
        start += size
    area.plot([], [], "s", color=ORANGE, label="x the vector catches it")
    area.plot([], [], "s", color=SKY, alpha=0.4, label="it passes unnoticed")
    area.legend(frameon=False, ncols=2, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.02))
    widest = max(map(len, mistakes))
    area.set(xlim=(-0.26 * widest - 0.5, columns + 3), ylim=(-0.25, rows + 0.9), title=title)
    area.set_axis_off()
    grid = np.array(list(mistakes.values()), bool)
    told = f"{grid.any(axis=1).sum()} of {rows} mistakes are caught by one of {columns} vectors"
    boundary = grid[:, [kind == "boundary" for kind in kinds]].any(axis=1).sum()
    return Picture(figure, f"{told}, {boundary} of them by a boundary vector")
