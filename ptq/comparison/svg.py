"""A few shapes of SVG, and axes; every text is escaped, so that a name in a file stays a name."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field

from ptq.terminal import printable


def escaped(text: str) -> str:
    """Text for HTML or SVG, also inside of quoted attributes; control characters become escapes."""
    return html.escape(printable(text), quote=True)


@dataclass
class Drawing:
    """An SVG under construction; lengths are in pixels of a drawing that is `width` wide."""

    width: float
    height: float
    title: str
    parts: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, width: float, height: float, kind: str, title: str = "") -> None:
        """A bar of a CSS class; its title is shown when the mouse is on it."""
        shown = f"<title>{escaped(title)}</title>" if title else ""
        box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
        self.parts.append(f'<rect class="{kind}" {box}>{shown}</rect>')

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> None:
        """A straight line."""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.parts.append(f'<line class="{kind}" {ends}/>')

    def text(self, x: float, y: float, text: str, kind: str = "", title: str = "") -> None:
        """Text at a baseline; CSS classes "mid" and "end" centre it at x or end it there."""
        shown = f"<title>{escaped(title)}</title>" if title else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escaped(text)}{shown}</text>')

    def shape(self, points: list[tuple[float, float]], kind: str) -> None:
        """A filled polygon."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon class="{kind}" points="{places}"/>')

    def __str__(self) -> str:
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}"'
        head = f'<svg {size} role="img" aria-label="{escaped(self.title)}">'
        return "\n".join([head, *self.parts, "</svg>"])


@dataclass(frozen=True)
class Axis:
    """From numbers to pixels: `start` to `end` in the drawing stand for `low` to `high`.

    logarithmic: equal factors have equal lengths; what is below `low` lies at `start`.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    @staticmethod
    def from_zero(values: list[float], start: float, end: float) -> Axis:
        """An axis for magnitudes: from 0, or by powers of ten where they differ by more than a hundred."""
        some = [v for v in values if 0 < v < math.inf]
        if not some:
            return Axis(0.0, 1.0, start, end)
        if max(some) > 100 * min(some):
            high = _round_up(max(some))
            bottom = max(math.floor(math.log10(min(some))), math.ceil(math.log10(high)) - 8)
            return Axis(10.0**bottom, high, start, end, True)
        return Axis(0.0, _ticks(0.0, max(some))[-1], start, end)

    def at(self, value: float) -> float:
        """The pixel of a number; beyond the axis, its end."""
        if self.logarithmic:
            if value <= self.low:
                return self.start
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round numbers along the axis."""
        if not self.logarithmic:
            return [t for t in _ticks(self.low, self.high) if self.low <= t <= self.high * (1 + 1e-9)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first) / 8))
        return [10.0**power for power in range(first, last + 1, every)]


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten that cover low to high, about five of them."""
    step = _round_up((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def _round_up(value: float) -> float:
    """The next number that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))


def number(value: float) -> str:
    """A number on an axis or in a table: three digits; powers of ten as such where they are long."""
    if value != value:
        return "NaN"
    digits = 4 if 1000 <= abs(value) < 10000 else 3
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e")
