"""RESIZE_BILINEAR on integers, one output at a time. Layout: [N, H, W, C]."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.resizing import UNIT, Neighbours

AXES = {1: "row", 2: "column"}


def neighbours_of(rules: Rules, question: Question, axis: int, output: int, real: bool) -> Neighbours:
    """The rows or columns around the place of an output."""
    size, outputs, name = question.input(0).shape[axis], question.outputs[0].shape[axis], AXES[axis]
    corners, half = question.options["align_corners"], question.options["half_pixel_centers"]
    span, steps = rules.resize_spans(size, outputs, corners)
    scale = (rules.real_resize_scale if real else rules.resize_scale)(span, steps)
    unit = "{} / {} as float32" if real else "round({} * 1024 / {})"
    rules.write("prepare", f"{name}_scale", scale, unit, span, steps, key=0)
    centre = ", of the pixel's centre" if half else ""
    if real:
        place = rules.real_resize_place(output, scale, half)
        rules.write("place", f"{name}_place", place, "{} * {}" + centre, output, scale)
        return rules.real_resize_neighbours(place, size)
    whole = rules.resize_place(output, int(scale), half)
    rules.write("place", f"{name}_place", whole, "{} * {}" + centre, output, scale)
    return rules.resize_neighbours(whole, size)


def resize_bilinear_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[y, x] = weighted mean of the four pixels around the point (y', x') of the image, rounded.

    Places and weights are in 1/1024 of a pixel; for uint8 in float32.
    Source: `tflite/kernels/internal/reference/resize_bilinear.h`, ResizeBilinearInteger, ResizeBilinear.
    """
    n, y, x, c = index
    image = question.input(0)
    real = rules.resizes_in_floats(image.type)
    # place
    top, bottom, down = neighbours_of(rules, question, 1, y, real)
    left, right, across = neighbours_of(rules, question, 2, x, real)
    corners = [image.at(n, i, j, c) for j in (left, right) for i in (top, bottom)]
    # accumulate
    if real:
        mean = rules.weighted_mean([float(q) for q in corners], down, across, 0.5)
        # rescale
        return rules.write("rescale", "output", rules.whole_pixel(mean), "the integer part of {}", mean)
    vertical, horizontal = (UNIT - int(down), int(down)), (UNIT - int(across), int(across))
    weights = [v * h for h in horizontal for v in vertical]
    total = rules.accumulate(list(zip(corners, weights, strict=True)), 64, "pixel * weight")
    # rescale
    return rules.divide_by_units(total)


INTEGER: dict[str, Element] = {"RESIZE_BILINEAR": resize_bilinear_integer}
