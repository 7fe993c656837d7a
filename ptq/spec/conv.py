"""CONV_2D, one output at a time.

Layouts: input [N, H, W, C]; filter [O, kernel_h, kernel_w, C / groups]; bias [O]; output [N, h, w, O].
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.products import (
    Pair,
    float_layer,
    integer_layer,
    pixel,
    quantized_image,
    real_output,
    row_terms,
    weights_scale,
)
from ptq.spec.question import Operand, Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.window import taps


def pairs_of(rules: Rules, question: Question, index: Index, image: Operand) -> list[Pair]:
    """The weights of an output, in their order, and the pixels that they meet."""
    filter = question.input(1)
    n, y, x, o = index
    depth = filter.shape[3]
    first = rules.group_of(o, filter.shape[0], image.shape[3] // depth) * depth
    return [
        (filter.at(o, i, j, k), pixel(image, n, row, column, first + k))
        for i, j, row, column in taps(rules, question, image.shape[1:3], filter.shape[1:3], y, x)
        for k in range(depth)
    ]


def conv2d_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias[o] + sum_{i,j,c} (w - z_w) * (q - z_q)) + z).                       (Q34)

    Source: `tflite/kernels/internal/reference/integer_ops/conv.h`, ConvPerChannel; `reference/conv.h`, Conv.
    """
    input, filter, bias = question.input(0), question.input(1), question.optional(2)
    return integer_layer(
        rules, question, pairs_of(rules, question, index, input), index, (input, filter, bias)
    )


def conv2d_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(acc * (image_scale * filter_scale) + bias[o]), acc = sum_{i,j,c} w * (q - z).    (Q10)

    Several scales: (acc * filter_scale[o]) * image_scale + bias[o]. Outside of the image q is z.
    Source: `tflite/kernels/conv.cc`, EvalHybrid and EvalHybridPerChannel.
    """
    input, filter, bias = question.input(0), question.input(1), question.optional(2)
    n, *place = index
    per_channel = any(scale != filter.scale[0] for scale in filter.scale)
    # quantize input
    row, image = quantized_image(rules, question, input, n, symmetric=not per_channel)
    # accumulate
    terms = row_terms(rules, pairs_of(rules, question, (0, *place), image), row)
    accumulator = f32(rules.accumulate(terms, what="w * (q - z)"))
    # rescale
    if per_channel:
        scaled = rules.scale_in_turn(
            accumulator, weights_scale(rules, filter, index, filter.shape[0]), row.scale
        )
    else:
        scaled = rules.scale_at_once(accumulator, row.scale, filter.scale[0])
    return real_output(rules, question, scaled, index, bias)


def conv2d_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum w * x + bias[o]), the sum over i, j, c in this order.                        (Q9)

    Source: `tflite/kernels/internal/reference/conv.h`, Conv.
    """
    pairs = pairs_of(rules, question, index, question.input(0))
    return float_layer(rules, question, pairs, index, question.optional(2))


FLOAT: dict[str, Element] = {"CONV_2D": conv2d_float}
HYBRID: dict[str, Element] = {"CONV_2D": conv2d_hybrid}
INTEGER: dict[str, Element] = {"CONV_2D": conv2d_integer}
