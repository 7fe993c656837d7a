"""Where a sliding window lies over an image: convolutions and pools. Source: `tflite/kernels/padding.h`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ptq.spec.numbers import Index
from ptq.spec.question import Question
from ptq.spec.rules import Rules


@dataclass(frozen=True)
class Axis:
    """One spatial dimension: output o and element k meet at o * stride - before + k * dilation."""

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


def axis(rules: Rules, size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """The geometry of one dimension (Q8): with SAME, the odd row of padding goes after the image."""
    total = rules.same_padding(size, kernel, stride, dilation) if padding == "SAME" else 0
    return Axis(size, kernel, stride, dilation, rules.padding_before(total))


def axes(rules: Rules, question: Question, image: Index, kernel: Index) -> tuple[Axis, Axis]:
    """The vertical and the horizontal geometry, by the options; image, kernel: height and width."""
    options = question.options
    strides, dilations = rules.strides(options), rules.dilations(options)
    vertical, horizontal = (
        axis(rules, image[n], kernel[n], strides[n], dilations[n], options["padding"]) for n in range(2)
    )
    return vertical, horizontal


Tap = tuple[int, int, int | None, int | None]


def taps(rules: Rules, question: Question, image: Index, kernel: Index, y: int, x: int) -> list[Tap]:
    """(i, j, row, column) of every element of the window at output (y, x); None where it is outside."""
    vertical, horizontal = question.once(("axes", kernel), lambda: axes(rules, question, image, kernel))
    return [
        (i, j, row, column) if row is not None and column is not None else (i, j, None, None)
        for i, row in vertical.taps(y)
        for j, column in horizontal.taps(x)
    ]
