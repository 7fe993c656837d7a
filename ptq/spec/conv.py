"""CONV_2D, one output at a time.

Layouts: input [N, H, W, C]; filter [O, kernel_h, kernel_w, C / groups]; bias [O]; output [N, h, w, O].
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.products import (
    Pair,
    accumulator_bits,
    inside,
    integer_output,
    integer_terms,
    product_factor,
)
from ptq.spec.question import Operand, Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.running import Row
from ptq.spec.window import taps


def pairs_of(question: Question, index: Index, image: Operand) -> list[Pair]:
    """The weights of an output, in their order, and the pixels that they meet."""
    filter = question.input(1)
    n, y, x, o = index
    depth = filter.shape[3]
    first = o // (filter.shape[0] // (image.shape[3] // depth)) * depth
    return [
        (filter.at(o, i, j, k), None if row is None or column is None else image.at(n, row, column, first + k))
        for i, j, row, column in taps(question, image.shape[1:3], filter.shape[1:3], y, x)
        for k in range(depth)
    ]


def conv2d_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias + sum (w - z_w) * (q - z_q)) + z).                               (Q33)

    Source: `tflite/kernels/internal/reference/integer_ops/conv.h`, ConvPerChannel; `reference/conv.h`, Conv.
    """
    input, filter, bias = question.input(0), question.input(1), question.optional(2)
    channel = index[3]
    bits = accumulator_bits(question, input, bias)
    # subtract zero points
    terms = integer_terms(rules, pairs_of(question, index, input), input, filter)
    factor = product_factor(rules, question, input, filter, channel, bits)
    return integer_output(
        rules, question, terms, factor, None if bias is None else int(bias.values[channel]), bits
    )


def quantized_image(rules: Rules, question: Question, n: int, symmetric: bool) -> tuple[Row, Operand]:
    """Image n quantized as one row, and the same as an operand; its zero point is that of the row."""
    input = question.input(0)

    def compute() -> tuple[Row, Operand]:
        size = input.size // input.shape[0]
        row = rules.quantize_row(input.values[n * size : (n + 1) * size], symmetric, n)
        return row, Operand("INT8", (1, *input.shape[1:]), row.values)

    return question.once(("image", n), compute)


def conv2d_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """One scale: acc * (image_scale * filter_scale) + bias; several: (acc * filter_scale[o]) * image_scale + bias.

    acc = sum w * (q - z) over what lies inside of the image; every product and sum in float32.     (Q10)
    Source: `tflite/kernels/conv.cc`, EvalHybrid and EvalHybridPerChannel.
    """
    filter, bias = question.input(1), question.optional(2)
    n, y, x, channel = index
    per_channel = any(scale != filter.scale[0] for scale in filter.scale)
    # quantize input
    row, image = quantized_image(rules, question, n, symmetric=not per_channel)
    # accumulate
    terms = [
        (w, rules.without_zero_point(q, row.zero_point))
        for w, q in inside(pairs_of(question, (0, y, x, channel), image))
    ]
    accumulator = f32(rules.accumulate(terms, what="w * (q - z)"))
    # rescale
    if per_channel:
        scale = filter.scale[rules.channel(filter, channel)]
        scaled = rules.scale_in_turn(accumulator, scale, row.scale)
    else:
        scaled = rules.scale_at_once(accumulator, row.scale, filter.scale[0])
    # add bias
    if bias is not None:
        scaled = rules.add_real_bias(scaled, float(bias.values[channel]))
    # clamp
    return rules.clamp_real(scaled, question.options["fused_activation_function"])


def conv2d_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(bias + sum w * x), the sum over i, j, c in this order.                         (Q9)

    Source: `tflite/kernels/internal/reference/conv.h`, Conv.
    """
    bias = question.optional(2)
    # accumulate
    total = rules.sum_of_products(inside(pairs_of(question, index, question.input(0))))
    # add bias
    if bias is not None:
        total = rules.add_real_bias(total, float(bias.values[index[3]]))
    # clamp
    return rules.clamp_real(total, question.options["fused_activation_function"])


FLOAT: dict[str, Element] = {"CONV_2D": conv2d_float}
HYBRID: dict[str, Element] = {"CONV_2D": conv2d_hybrid}
INTEGER: dict[str, Element] = {"CONV_2D": conv2d_integer}
