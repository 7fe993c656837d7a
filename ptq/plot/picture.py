"""What every figure is made of: a picture that shows itself in a notebook, colours, quiet axes."""

from __future__ import annotations

import io
import os
from typing import Any

from ptq.errors import InputError

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, BLACK = "#56B4E9", "#D55E00", "#F0E442", "#000000"
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
"""The Okabe-Ito colours, which people with any kind of colour vision can tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
"""What tells lines apart beside their colours, in print and for everybody."""

HATCHES = ("", "//", "..", "xx", "\\\\", "++")

DPI = 100
PALETTE = 256
"""Colours of an image in a notebook; no figure has nearly as many that matter."""


class Picture:
    """A figure with the sentence that says what it shows. figure: matplotlib's.

    Notebooks show it as a PNG image; `axes` are those of the figure.
    """

    def __init__(self, figure: Any, sentence: str = "") -> None:
        self.figure, self.sentence = figure, sentence

    @property
    def axes(self) -> list[Any]:
        """The figure's axes."""
        axes: list[Any] = self.figure.axes
        return axes

    def savefig(self, path: Any, **options: Any) -> None:
        """Write the figure, as matplotlib does."""
        self.figure.savefig(path, **options)

    def png(self) -> bytes:
        """The image, in at most 256 colours: a third of the bytes, in notebooks that are kept with theirs."""
        from PIL import Image  # which matplotlib brings along

        drawn, buffer = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=DPI)
        Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(
            buffer, "png", optimize=True
        )
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        return self.sentence or "Picture"


def new_figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 3), **options: Any) -> Any:
    """A figure and its axes as an array [rows, columns]; InputError without matplotlib.

    The figure does not belong to pyplot: nothing shows it twice, and nothing keeps it alive.
    """
    try:
        import matplotlib  # noqa: F401  (first: without it, what it is part of may still be in memory)
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "figures need matplotlib, which is not installed; install it with: pip install 'ptq[notebooks]'"
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def quiet(*areas: Any) -> None:
    """Take away the frame's upper and right line, which hold no data."""
    for area in areas:
        area.spines[["top", "right"]].set_visible(False)


def save(picture: Picture, path: str | os.PathLike[str]) -> None:
    """Write a picture to a file whose ending chooses the format; InputError if it cannot be written."""
    try:
        picture.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise InputError(f"figure '{path}' cannot be written ({error}); use a path like out.png") from error
