"""Figures of images under a sliding window: what padding stands for, and where an error lies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ptq.plot.picture import BLACK, ORANGE, SKY, Picture, new_figure

MOST_NUMBERS = 8
"""Rows and columns of a grid whose cells hold their numbers."""


def padded_images(
    image: npt.ArrayLike, fills: Mapping[str, int], scale: float, zero_point: int, border: int = 1
) -> Picture:
    """A small integer image with a border: above in each cell the integer, below the real it stands for.

    fills: for each panel its title and the integer in the border, which is hatched. Real: scale * (q -
    zero_point) (Q1).
    """
    from matplotlib.patches import Rectangle

    inner = np.asarray(image, np.int64)
    size = max(inner.shape) + 2 * border
    figure, (areas,) = new_figure(1, len(fills), (0.85 * size * len(fills) + 0.4, 0.8 * size + 0.9))
    for (title, fill), area in zip(fills.items(), areas, strict=True):
        padded = np.pad(inner, border, constant_values=fill)
        rows, columns = padded.shape
        outside = np.pad(np.zeros(inner.shape, bool), border, constant_values=True)
        for y in range(rows):
            for x in range(columns):
                color, hatch = (ORANGE, "//") if outside[y, x] else (SKY, "")
                place = (x, rows - 1 - y)
                area.add_patch(Rectangle(place, 1, 1, fc=color, ec="white", hatch=hatch, alpha=0.4, lw=1.5))
                real = scale * (int(padded[y, x]) - zero_point)
                middle, plate = place[0] + 0.5, {"fc": "white", "ec": "none", "pad": 1, "alpha": 0.85}
                area.text(middle, place[1] + 0.5, f"{padded[y, x]}\n{real:.3g}", ha="center", va="center",
                          fontsize=9, bbox=plate)  # fmt: skip
        area.set(xlim=(-0.05, columns + 0.05), ylim=(-0.05, rows + 0.05), aspect="equal")
        area.set_title(f"{title}: the border stands for {scale * (fill - zero_point):g}", fontsize=10)
        area.set_axis_off()
    figure.suptitle("in each cell: the integer (LSB), and below it the real number", fontsize=10)
    reals = " and ".join(f"{scale * (fill - zero_point):g}" for fill in fills.values())
    return Picture(figure, f"an image with scale {scale:g} and zero point {zero_point}; borders of {reals}")


def error_map(errors: npt.ArrayLike, step: float, title: str = "") -> Picture:
    """How far each pixel of an output is off, in LSB: a diverging scale whose white is no error.

    Negative errors are hatched, as both ends of the scale are dark in grey. errors: [H, W], in LSB. step:
    the real size of one, for the second label. Up to 8 rows and columns the numbers stand in the cells.
    """
    from matplotlib.patches import Rectangle

    values = np.asarray(errors, np.float64)
    reach = max(float(np.abs(values).max(initial=0)), 1e-9)
    rows, columns = values.shape
    figure, ((area,),) = new_figure(1, 1, (5.6, 4.2))
    shown = area.imshow(values, cmap="PuOr_r", vmin=-reach, vmax=reach)
    bar = figure.colorbar(shown, ax=area, shrink=0.9)
    bar.set_label(f"error in LSB (1 LSB = {step:.3g}); hatched: negative")
    for y, x in np.argwhere(values < 0):
        area.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc="none", ec="white", hatch="//", lw=0))
    if max(rows, columns) <= MOST_NUMBERS:
        for y in range(rows):
            for x in range(columns):
                ink = "white" if abs(values[y, x]) > 0.6 * reach else BLACK
                area.text(x, y, f"{values[y, x]:.3g}", ha="center", va="center", fontsize=9, color=ink)
    area.set(xlabel="column of the output", ylabel="row of the output", title=title)
    for axis in (area.xaxis, area.yaxis):
        axis.get_major_locator().set_params(integer=True)
    wrong, largest = int(np.sum(values != 0)), float(np.abs(values).max(initial=0))
    at_edge = wrong - int(np.sum(values[1:-1, 1:-1] != 0))
    return Picture(
        figure,
        f"{wrong} of {values.size} pixels are off, {at_edge} of them at the edge; "
        f"the largest error is {largest:.3g} LSB, {step * largest:.3g}",
    )
