"""Figures of a file: what its bytes are spent on, and what becomes of it when one of them is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ptq.format.regions import KINDS, Region
from ptq.plot.hexdump import SHADES, SIGNS
from ptq.plot.picture import BLUE, ORANGE, RED, Picture, new_figure, quiet

WIDTH = 32
FATES = {"refused": (RED, "x"), "other output": (ORANGE, "o"), "same output": (BLUE, "")}
"""What may become of a file with one wrong byte: a colour, and a sign for print."""


def byte_shares(maps: dict[str, Sequence[Region]], title: str = "") -> Picture:
    """The bytes of files by the kind of their region, as one bar of 100 % for each file."""
    figure, ((area,),) = new_figure(1, 1, (9, 1.3 + 0.5 * len(maps)))
    hatches = dict(zip(KINDS, ("", "//", "..", "", "xx", "\\\\", "++"), strict=True))
    sentences = []
    for number, (name, found) in enumerate(maps.items()):
        sizes = Counter[str]()
        for region in found:
            sizes[region.kind] += region.stop - region.start
        total, left = sizes.total(), 0.0
        for kind in KINDS:
            share = 100 * sizes[kind] / total
            area.barh(
                len(maps) - number, share, 0.6, left=left, color=SHADES[kind], hatch=hatches[kind],
                ec="white", label=f"{SIGNS[kind]} {kind}" if number == 0 else None,
            )  # fmt: skip
            if share >= 6:
                area.text(
                    left + share / 2, len(maps) - number, f"{sizes[kind]:,}", ha="center", va="center",
                    fontsize=9, bbox={"fc": "white", "ec": "none", "pad": 1.5},
                )  # fmt: skip
            left += share
        sentences.append(f"{name}: {sizes['vector'] / total:.0%} of {total:,} bytes are vectors")
    area.set_yticks(range(len(maps), 0, -1), [f"{name}" for name in maps])
    area.set(xlabel="share of the file in % (in the bars: bytes)", xlim=(0, 100))
    area.legend(
        frameon=False, ncols=len(KINDS), fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    quiet(area)
    figure.suptitle(title)
    return Picture(figure, "; ".join(sentences))


def byte_fates(fates: Sequence[str], title: str = "") -> Picture:
    """A square for each byte of a file, coloured by what became of the file when that byte was wrong.

    fates: for each byte one of FATES.
    """
    from matplotlib.patches import Rectangle

    rows = -(-len(fates) // WIDTH)
    figure, ((area,),) = new_figure(1, 1, (9, 0.9 + 0.23 * rows))
    for place, fate in enumerate(fates):
        x, y = place % WIDTH, rows - 1 - place // WIDTH
        color, sign = FATES[fate]
        area.add_patch(Rectangle((x, y), 1, 1, fc=color, alpha=0.6, ec="white", lw=0.6))
        area.text(x + 0.5, y + 0.47, sign, ha="center", va="center", fontsize=7)
    for row in range(rows):
        text = f"{row * WIDTH:06x}"
        area.text(-0.4, rows - 0.5 - row, text, ha="right", va="center", family="monospace", fontsize=8)
    counts = Counter(fates)
    for fate, (color, sign) in FATES.items():
        label = f"{sign} {fate}: {counts[fate]}".strip()
        area.plot([], [], "s", color=color, alpha=0.6, label=label)
    area.legend(frameon=False, ncols=len(FATES), loc="lower left", bbox_to_anchor=(0, 1.0), fontsize="small")
    area.set(xlim=(-3, WIDTH), ylim=(0, rows))
    area.set_axis_off()
    figure.suptitle(title)
    told = ", ".join(f"{counts[fate]} {fate}" for fate in FATES)
    return Picture(figure, f"one wrong byte in each of {len(fates)} places: {told}")
