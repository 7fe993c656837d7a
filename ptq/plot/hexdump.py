"""A file as a coloured hex dump: each region of a FlatBuffer in the colour of its kind."""

from __future__ import annotations

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


def hex_dump(content: bytes, regions: Sequence[Region], start: int = 0, stop: int | None = None) -> Picture:
    """Bytes start to stop as rows of 16, coloured by the kind of their region, with what the regions are.

    The label of a region stands at the right of the row in which it begins.
    """
    from matplotlib.patches import Rectangle

    end = len(content) if stop is None else min(stop, len(content))
    first = start // WIDTH * WIDTH
    rows = range(first, end, WIDTH)
    figure, ((area,),) = new_figure(1, 1, (11, 0.9 + 0.24 * len(rows)))
    for number, row in enumerate(rows):
        y = len(rows) - number
        area.text(-0.4, y + 0.5, f"{row:06x}", ha="right", va="center", family="monospace", fontsize=8)
        for byte in range(max(row, start), min(row + WIDTH, end)):
            region = _region(regions, byte)
            color = SHADES[region.kind if region else ""]
            area.add_patch(Rectangle((byte - row, y), 1, 1, fc=color, alpha=0.35, ec="none"))
            area.text(
                byte - row + 0.5, y + 0.5, f"{content[byte]:02x}", ha="center", va="center",
                family="monospace", fontsize=8,
            )  # fmt: skip
            if region and region.start == byte:
                area.plot([byte - row] * 2, [y, y + 1], color=color, lw=1.5)
        begun = [r for r in regions if row <= r.start < min(row + WIDTH, end) and r.kind != "gap"]
        text = ";  ".join(f"{SIGNS[r.kind]} {r.label}" for r in begun)
        area.text(
            WIDTH + 0.4, y + 0.5, text[:95] + ("..." if len(text) > 95 else ""), va="center", fontsize=7
        )
    for kind, sign in SIGNS.items():
        area.plot([], [], "s", color=SHADES[kind], alpha=0.5, label=f"{sign} {kind}")
    area.legend(frameon=False, ncols=len(SIGNS), loc="lower left", bbox_to_anchor=(0, 1.0), fontsize="small")
    area.set(xlim=(-2.6, WIDTH + 20), ylim=(0.9, len(rows) + 1.1))
    area.set_axis_off()
    return Picture(figure, f"bytes {start} to {end} of {len(content):,}")


def _region(regions: Sequence[Region], byte: int) -> Region | None:
    return next((region for region in regions if region.start <= byte < region.stop), None)
