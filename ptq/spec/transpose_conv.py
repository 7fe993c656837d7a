"""TRANSPOSE_CONV, one output at a time: what all input pixels scatter to it.

Layouts: output_shape [4]; weights [O, kernel_h, kernel_w, C]; input [N, H, W, C]; bias [O];
output [N, h, w, O].
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.products import (
    Pair,
    float_layer,
    integer_layer,
    quantized_image,
    real_output,
    row_terms,
    weights_scale,
)
from ptq.spec.question import Operand, Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.window import axes

Source = tuple[int, int]
"""An input row and the row of the kernel by which it reaches an output."""


def _sources(rules: Rules, output: int, size: int, kernel: int, stride: int, before: int) -> list[Source]:
    """All sources of one dimension, in the order of the input: the taps fall."""
    found = []
    for tap in reversed(range(kernel)):
        y = rules.scattered_from(output, tap, stride, before)
        if y is not None and 0 <= y < size:
            found.append((y, rules.kernel_row(tap, kernel)))
    return rules.scatter_order(found)


def pairs_of(rules: Rules, question: Question, index: Index, image: Operand) -> list[Pair]:
    """The weights that meet in an output and their pixels, in the order of the input: y, x, c.

    The padding is the one of the convolution that leads from an output of this size to the input.
    """
    weights, output = question.input(1), question.outputs[0]
    n, y, x, o = index
    kernel = weights.shape[1:3]
    down, across = question.once("axes", lambda: axes(rules, question, output.shape[1:3], kernel))
    rows = _sources(rules, y, image.shape[1], kernel[0], down.stride, down.before)
    columns = _sources(rules, x, image.shape[2], kernel[1], across.stride, across.before)
    return [
        (weights.at(o, i, j, c), image.at(n, row, column, c))
        for row, i in rows
        for column, j in columns
        for c in range(weights.shape[3])
    ]


def transpose_conv_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias[o] + sum_{y,x,c} (w - z_w) * (q - z_q)) + z).

    Source: `tflite/kernels/internal/reference/integer_ops/transpose_conv.h`, TransposeConv;
    `reference/transpose_conv.h`, TransposeConv (uint8).
    """
    weights, input, bias = question.input(1), question.input(2), question.optional(3)
    pairs = pairs_of(rules, question, index, input)
    return integer_layer(rules, question, pairs, index, (input, weights, bias))


def transpose_conv_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum_{y,x,c} ((w * (q - z)) * weights_scale[o]) * image_scale + bias[o]).

    Each image is quantized asymmetrically. Every product is rescaled by itself; all is float32.
    Source: `tflite/kernels/internal/reference/transpose_conv.h`, HybridTransposeConv.
    """
    weights, input, bias = question.input(1), question.input(2), question.optional(3)
    n, *place = index
    # quantize input
    row, image = quantized_image(rules, question, input, n, symmetric=False)
    # accumulate, rescale
    terms = row_terms(rules, pairs_of(rules, question, (0, *place), image), row)
    scale = weights_scale(rules, weights, index, weights.shape[0])
    total = rules.sum_of_rescaled_products(terms, scale, row.scale)
    return real_output(rules, question, total, index, bias)


def transpose_conv_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum_{y,x,c} w * x + bias[o]), the sum in the order of the input.                 (Q25)

    Source: `tflite/kernels/internal/reference/transpose_conv.h`, TransposeConv.
    """
    pairs = pairs_of(rules, question, index, question.input(2))
    return float_layer(rules, question, pairs, index, question.optional(3))


FLOAT: dict[str, Element] = {"TRANSPOSE_CONV": transpose_conv_float}
HYBRID: dict[str, Element] = {"TRANSPOSE_CONV": transpose_conv_hybrid}
INTEGER: dict[str, Element] = {"TRANSPOSE_CONV": transpose_conv_integer}
