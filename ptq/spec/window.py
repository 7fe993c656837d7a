"""Where a sliding window lies over an image: convolutions and pools. Source: `tflite/kernels/padding.h`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ptq.spec.question import Question


@dataclass(frozen=True)
class Axis:
    """One spatial dimension: output o and element k of the window meet at o * stride - before + k * dilation."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def taps(self, output: int) -> Iterator[tuple[int, int | None]]:
        """For each element of the window its position in the image, None outside."""
        for k in range(self.kernel):
            position = output * self.stride - self.before + k * self.dilation
            yield k, position if 0 <= position < self.size else None


def axis(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """The geometry of one dimension (Q8): with SAME, the odd row of padding goes after the image."""
    extent = (kernel - 1) * dilation + 1
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + extent - size, 0) if padding == "SAME" else 0
    return Axis(size, kernel, stride, dilation, total // 2)


def axes(question: Question, image: tuple[int, int], kernel: tuple[int, int]) -> tuple[Axis, Axis]:
    """The vertical and the horizontal geometry, by the operator's options."""
    options = question.options
    vertical, horizontal = (
        axis(
            image[n], kernel[n], options[f"stride_{side}"], options.get(f"dilation_{side}_factor", 1),
            options["padding"],
        )
        for n, side in enumerate("hw")
    )  # fmt: skip
    return vertical, horizontal


Tap = tuple[int, int, int | None, int | None]


def taps(question: Question, image: tuple[int, int], kernel: tuple[int, int], y: int, x: int) -> list[Tap]:
    """(i, j, row, column) of every element of the window at output (y, x); None where it is outside."""
    vertical, horizontal = question.once(("axes", kernel), lambda: axes(question, image, kernel))
    return [
        (i, j, row, column) if row is not None and column is not None else (i, j, None, None)
        for i, row in vertical.taps(y)
        for j, column in horizontal.taps(x)
    ]
