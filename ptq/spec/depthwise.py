"""DEPTHWISE_CONV_2D, one output at a time: every channel is filtered by itself.

Layouts: input [N, H, W, C]; filter [1, kernel_h, kernel_w, C * multiplier], whose outputs are O in all;
bias [O]; output [N, h, w, O].
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
    """The weights of an output channel o = c * multiplier + m, and the pixels of channel c that they meet."""
    filter = question.input(1)
    n, y, x, o = index
    c = rules.depthwise_input(o, filter.shape[3], image.shape[3])
    return [
        (filter.at(0, i, j, o), pixel(image, n, row, column, c))
        for i, j, row, column in taps(rules, question, image.shape[1:3], filter.shape[1:3], y, x)
    ]


def depthwise_conv2d_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias[o] + sum_{i,j} (w - z_w) * (q - z_q)) + z).

    Source: `tflite/kernels/internal/reference/integer_ops/depthwise_conv.h`, DepthwiseConvPerChannel;
    `reference/depthwiseconv_uint8.h`, DepthwiseConv.
    """
    input, filter, bias = question.input(0), question.input(1), question.optional(2)
    return integer_layer(
        rules, question, pairs_of(rules, question, index, input), index, (input, filter, bias)
    )


def depthwise_conv2d_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(acc * (image_scale * filter_scale[o]) + bias[o]), acc = sum_{i,j} w * (q - z).    (Q12)

    Each image is quantized asymmetrically, and every output channel has a scale of its own.
    Source: `tflite/kernels/depthwise_conv.cc`, EvalHybridPerChannel; `integer_ops/depthwise_conv_hybrid.h`.
    """
    input, filter, bias = question.input(0), question.input(1), question.optional(2)
    n, *place = index
    # quantize input
    row, image = quantized_image(rules, question, input, n, symmetric=False)
    # accumulate
    terms = row_terms(rules, pairs_of(rules, question, (0, *place), image), row)
    accumulator = f32(rules.accumulate(terms, what="w * (q - z)"))
    # rescale
    scale = weights_scale(rules, filter, index, filter.shape[3])
    scaled = rules.scale_at_once(accumulator, row.scale, scale)
    return real_output(rules, question, scaled, index, bias)


def depthwise_conv2d_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum_{i,j} w * x + bias[o]), the sum over i, then j.                              (Q11)

    Source: `tflite/kernels/internal/reference/depthwiseconv_float.h`, DepthwiseConv.
    """
    pairs = pairs_of(rules, question, index, question.input(0))
    return float_layer(rules, question, pairs, index, question.optional(2))


FLOAT: dict[str, Element] = {"DEPTHWISE_CONV_2D": depthwise_conv2d_float}
HYBRID: dict[str, Element] = {"DEPTHWISE_CONV_2D": depthwise_conv2d_hybrid}
INTEGER: dict[str, Element] = {"DEPTHWISE_CONV_2D": depthwise_conv2d_integer}
