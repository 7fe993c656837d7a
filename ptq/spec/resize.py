"""RESIZE_BILINEAR on float32 and RESIZE_NEAREST_NEIGHBOR, one output at a time. Layout: [N, H, W, C]."""

from __future__ import annotations

from ptq.spec.integer_resize import neighbours_of
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def resize_bilinear_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[y, x] = weighted mean of the four pixels around the point (y', x') of the image.

    Source: `tflite/kernels/internal/reference/resize_bilinear.h`, ResizeBilinear.
    """
    n, y, x, c = index
    image = question.input(0)
    # place
    top, bottom, down = neighbours_of(rules, question, 1, y, real=True)
    left, right, across = neighbours_of(rules, question, 2, x, real=True)
    # accumulate
    corners = [image.at(n, i, j, c) for j in (left, right) for i in (top, bottom)]
    mean = rules.weighted_mean(corners, down, across, 0.0)
    return rules.write("accumulate", "output", mean)


def resize_nearest_neighbor(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[y, x] = the pixel at floor(y'), floor(x') of the image; with align_corners the nearest one.

    Source: `tflite/kernels/internal/reference/resize_nearest_neighbor.h`, GetNearestNeighbor.
    """
    image = question.input(0)
    n, y, x, c = index
    row, column = (_nearest(rules, question, axis, place) for axis, place in ((1, y), (2, x)))
    value = image.at(n, row, column, c)
    return rules.write("move", "output", value, f"input[{n}, {row}, {column}, {c}]")


def _nearest(rules: Rules, question: Question, axis: int, output: int) -> int:
    size, outputs, options = question.input(0).shape[axis], question.outputs[0].shape[axis], question.options
    corners, half = options["align_corners"], options["half_pixel_centers"]
    scale = rules.real_resize_scale(*rules.resize_spans(size, outputs, corners))
    return rules.nearest_pixel(rules.nearest_place(output, scale, half), size, corners)


FLOAT: dict[str, Element] = {
    "RESIZE_BILINEAR": resize_bilinear_float,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
}
