"""What the operators with weights share: which products an output sums, and the factor of its rescaling."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.fixed_point import Rounding
from ptq.spec.numbers import Number, f32
from ptq.spec.question import Operand, Question
from ptq.spec.rules import Rules
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.rescaling import Factor

Pair = tuple[Number, Number | None]
"""A weight and the activation that it meets; None where that lies outside of the image."""


def inside(pairs: Sequence[Pair]) -> list[Term]:
    """The products of what lies inside of the image."""
    return [(w, x) for w, x in pairs if x is not None]


def integer_terms(rules: Rules, pairs: Sequence[Pair], input: Operand, weights: Operand) -> list[Term]:
    """Weights and activations without their zero points."""
    zero_point, weights_zero_point = input.only_zero_point, weights.zero_point[0]
    outside = rules.padding_value(zero_point)
    return [
        (
            rules.without_zero_point(w, weights_zero_point),
            rules.without_zero_point(outside if x is None else x, zero_point),
        )
        for w, x in pairs
    ]


def integer_output(
    rules: Rules, question: Question, terms: Sequence[Term], factor: Factor, bias: int | None, bits: int
) -> int:
    """One output of an integer kernel: accumulate, add bias, rescale, clamp."""
    output = question.outputs[0]
    # accumulate
    accumulator = rules.accumulate(terms, bits)
    # add bias
    total = accumulator if bias is None else rules.add_bias(accumulator, bias, bits)
    # rescale
    scaled = rules.rescale(total, factor)
    # clamp
    activation = question.options.get("fused_activation_function", "NONE")
    return rules.finish(scaled, output.only_zero_point, rules.activation_bounds(activation, output))


def accumulator_bits(question: Question, input: Operand, bias: Operand | None) -> int:
    """The size of the accumulator: 32 bits, for int16 activations 64 or as the bias has."""
    if input.type != "INT16":
        return 32
    declared = "INT32" if question.options.get("quantized_bias_type") == "INT32" else "INT64"
    return 32 if (bias.type if bias is not None else declared) == "INT32" else 64


def product_factor(
    rules: Rules, question: Question, input: Operand, weights: Operand, channel: int, bits: int
) -> Factor:
    """real = input_scale * weights_scale[channel] / output_scale, as the kernel of these numerics keeps it.

    Source: `tflite/kernels/kernel_util.cc`, PopulateConvolutionQuantizationParams and
    GetQuantizedConvolutionMultipler; `tflite/kernels/fully_connected.cc`, PrepareImpl.
    """
    numerics, dense = rules.numerics, question.operator == "FULLY_CONNECTED"
    a, b, c = input.only_scale, weights.scale[rules.channel(weights, channel)], question.outputs[0].only_scale
    single = numerics.product_rescale == "float32" and input.type == "INT8"
    if single:
        real = f32(f32(a * b) / c)
    elif input.type == "UINT8" and not dense:
        real = f32(a * b) / c
    else:
        real = rules.scale_product_over(a, b, c)
    rules.write("prepare", "real_multiplier", real, "{} * {} / {}", a, b, c, key=channel)
    if single or (dense and numerics.integer_kernels == "lite"):
        return rules.factor(real, "float32" if single else "double", channel)
    # XNNPACK leaves these to TensorFlow Lite's own kernels, which round twice
    rounding: Rounding | None = "double" if numerics.product_rescale == "float32" else None
    return rules.factor(real, "fixed" if bits == 32 else "wide", channel, rounding)
