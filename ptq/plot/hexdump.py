"""A file as a coloured hex dump: each region of a FlatBuffer in the colour of its kind."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ptq.format.regions import Region
from ptq.plot.picture import BLUE, GREEN, ORANGE, PINK, RED, SKY, YELLOW, Picture, new_figure

SHADES = {
    "header": RED, "vtable": ORANGE, "table": SKY, "vector": GREEN, "string": PINK, "reference": BLUE,
    "gap": "#BBBBBB", "": YELLOW,
}  # fmt: skip
SIGNS = {
    "header": "H",
    "vtable": "V",
    "table": "T",
    "vector": "v",
    "string": "S",
    "reference": "R",
    "gap": "-",
}
"""A letter beside the colour, at the first byte of a region, for readers in print."""

WIDTH = 16
LABEL_WIDTH = 95
"""Characters for which there is room beside the bytes."""

NO_BREAK = "\u00a0"


def hex_dump(content: bytes, regions: Sequence[Region], start: int = 0, stop: int | None = None) -> Picture:
    """Bytes start to stop as rows of 16, coloured by the kind of their region, with what the regions are.

    The label of a region stands at the right of the row in which it begins; a row with long labels is higher.
    """
    from matplotlib.patches import Rectangle

    end = len(content) if stop is None else min(stop, len(content))
    rows = range(start // WIDTH * WIDTH, end, WIDTH)
    labels = [_label(regions, row, min(row + WIDTH, end)) for row in rows]
    heights = [max(1, 0.6 * len(lines)) for lines in labels]
    total = sum(heights)
    figure, ((area,),) = new_figure(1, 1, (11, 0.9 + 0.24 * total))
    y = total
    for row, lines, height in zip(rows, labels, heights, strict=True):
        y -= height
        middle = y + height / 2
        area.text(-0.4, middle, f"{row:06x}", ha="right", va="center", family="monospace", fontsize=8)
        for byte in range(max(row, start), min(row + WIDTH, end)):
            region = _region(regions, byte)
            color = SHADES[region.kind if region else ""]
            area.add_patch(Rectangle((byte - row, y), 1, height, fc=color, alpha=0.35, ec="none"))
            area.text(
                byte - row + 0.5, middle, f"{content[byte]:02x}", ha="center", va="center",
                family="monospace", fontsize=8,
            )  # fmt: skip
            if region and region.start == byte:
                area.plot([byte - row] * 2, [y, y + height], color=color, lw=1.5)
        area.text(WIDTH + 0.4, middle, "\n".join(lines), va="center", fontsize=7)
    for kind, sign in SIGNS.items():
        area.plot([], [], "s", color=SHADES[kind], alpha=0.5, label=f"{sign} {kind}")
    area.legend(frameon=False, ncols=len(SIGNS), loc="lower left", bbox_to_anchor=(0, 1.0), fontsize="small")
    area.set(xlim=(-2.6, WIDTH + 20), ylim=(-0.1, total + 0.1))
    area.set_axis_off()
    return Picture(figure, f"bytes {start} to {end} of {len(content):,}")


def _label(regions: Sequence[Region], row: int, end: int) -> list[str]:
    """What begins in a row, in as many lines as it takes; a line ends behind a label if it can."""
    begun = [r for r in regions if row <= r.start < end and r.kind != "gap"]
    whole = ";  ".join(f"{SIGNS[r.kind]} {r.label}".replace(" ", NO_BREAK) for r in begun)
    return [line.replace(NO_BREAK, " ") for line in textwrap.wrap(whole, LABEL_WIDTH, break_on_hyphens=False)]


def _region(regions: Sequence[Region], byte: int) -> Region | None:
    return next((region for region in regions if region.start <= byte < region.stop), None)
