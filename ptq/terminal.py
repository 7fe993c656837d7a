"""Text for people: aligned tables, sizes, and a progress bar that only a terminal sees."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Collection, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import TextIO

PIPE_WIDTH = 100
"""Columns of a table that is not written to a terminal."""

NARROWEST = 12
"""A column is never squeezed below this; the table then becomes wider than the terminal."""

LONGEST_NAME = 60
"""A tensor's name in a sentence is cut to this; a table has room for more."""

GAP = "  "


def width() -> int:
    """The columns of the terminal on standard output, or 100 where there is none."""
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if sys.stdout.isatty() else PIPE_WIDTH


def printable(text: str) -> str:
    """`text` on one line, with control characters as escapes: names in a file are a stranger's words."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def middle_cut(text: str, columns: int) -> str:
    """`text` in at most `columns`, with "..." for its middle: both ends of a tensor's name tell something."""
    if len(text) <= columns:
        return text
    head = max((columns - 3) // 3, 0)
    tail = max(columns - 3 - head, 0)
    return text[:head] + "..." + text[len(text) - tail :]


def wrapped(text: str) -> str:
    """A paragraph of text in lines that fit the terminal."""
    return textwrap.fill(printable(text), max(width(), NARROWEST), break_on_hyphens=False)


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str] = (),
    cut: str | None = None,
    wrap: str | Sequence[str] = (),
    columns: int | None = None,
) -> str:
    """Aligned columns under a header, in at most `columns` (default: the terminal's).

    right: the headers of the columns that are aligned to the right. Where a row is too long, the column
    `cut` loses the middle of its texts, then the columns `wrap`, one or several, are broken into lines.
    columns 0: no limit.
    """
    cells = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    limit = width() if columns is None else columns
    wraps = [wrap] if isinstance(wrap, str) else list(wrap)
    for name in ([] if cut is None else [cut]) + wraps:
        if limit:
            excess = sum(widths) + len(GAP) * (len(widths) - 1) - limit
            i = header.index(name)
            widths[i] = max(widths[i] - max(excess, 0), min(widths[i], NARROWEST))
    cells.insert(1, ["-" * w for w in widths])
    to_right = [name in right for name in header]
    wrapping = {header.index(name) for name in wraps}
    return "\n".join(line for row in cells for line in _lines(row, widths, to_right, wrapping))


def _lines(row: Sequence[str], widths: list[int], to_right: list[bool], wrapping: set[int]) -> list[str]:
    """The lines of one row: more than one if a cell is wrapped."""
    stacks = [
        textwrap.wrap(cell, w, break_on_hyphens=False) if i in wrapping else [middle_cut(cell, w)]
        for i, (cell, w) in enumerate(zip(row, widths, strict=True))
    ]
    lines = []
    for parts in zip_longest(*stacks, fillvalue=""):
        aligned = [p.rjust(w) if r else p.ljust(w) for p, w, r in zip(parts, widths, to_right, strict=True)]
        lines.append(GAP.join(aligned).rstrip())
    return lines


def shape_text(shape: Sequence[int]) -> str:
    """A shape as 1x28x28x1, unknown sizes as "?", or "scalar"."""
    return "x".join("?" if size < 0 else str(size) for size in shape) or "scalar"


def human_size(count: int) -> str:
    """A number of bytes in three digits: 999 B, 318 kB, 1.88 MB (1 kB = 1,000 bytes)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        # 999.5 would be rounded up to four digits
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    digits = 0 if unit == "B" or size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{size:.{digits}f} {unit}"


class Progress:
    """A progress bar on standard error, for a terminal only; a context manager that cleans up its line.

    >>> with Progress("float", total=3) as progress:
    ...     progress.advance()
    """

    BAR = 30
    INTERVAL = 0.1

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self.label, self.total, self.done = label, total, 0
        self.stream = sys.stderr if stream is None else stream
        self.visible = self.stream.isatty()
        self._start = self._drawn = time.monotonic()
        self._length = 0

    def advance(self, count: int = 1) -> None:
        """Count further steps as done, and draw the bar if it is time to."""
        self.done += count
        now = time.monotonic()
        if self.visible and (now - self._drawn >= self.INTERVAL or self.done >= self.total):
            self._drawn = now
            self._draw(now - self._start)

    def _draw(self, elapsed: float) -> None:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        filled = int(share * self.BAR)
        remaining = elapsed * (1 - share) / share if share else 0.0
        bar = "#" * filled + "." * (self.BAR - filled)
        line = f"{self.label} [{bar}] {self.done:,}/{self.total:,}, {remaining:.0f} s left"
        self.stream.write("\r" + line.ljust(self._length))
        self.stream.flush()
        self._length = len(line)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._length:
            self.stream.write("\r" + " " * self._length + "\r")
            self.stream.flush()
