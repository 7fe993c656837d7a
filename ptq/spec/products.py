"""What the operators with weights share: which products an output sums, and the factor of its rescaling."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.fixed_point import Rounding
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Operand, Question
from ptq.spec.rules import Rules
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.rescaling import Factor
from ptq.spec.rules.running import Row

Pair = tuple[Number, Number | None]
"""A weight and the activation that it meets; None where that lies outside of the image."""

Operands = tuple[Operand, Operand, Operand | None]
"""Input, weights and bias of a layer."""


def pixel(image: Operand, n: int, row: int | None, column: int | None, channel: int) -> Number | None:
    """A pixel's channel; None outside of the image."""
    return None if row is None or column is None else image.at(n, row, column, channel)


def inside(pairs: Sequence[Pair]) -> list[Term]:
    """The products of what lies inside of the image."""
    return [(w, x) for w, x in pairs if x is not None]


# --- integer kernels --------------------------------------------------------------------------------


def integer_layer(
    rules: Rules, question: Question, pairs: Sequence[Pair], index: Index, operands: Operands
) -> int:
    """One output of an integer kernel: clamp(rescale(bias + sum (w - z_w) * (q - z_q)) + z)."""
    input, weights, bias = operands
    output = question.outputs[0]
    bits = accumulator_bits(rules, question, input, bias)
    # subtract zero points
    terms = integer_terms(rules, pairs, input, weights)
    factor = product_factor(rules, question, input, weights, rules.channel_of(index, output.shape[-1]), bits)
    # accumulate
    accumulator = rules.accumulate(terms, bits)
    # add bias, rescale
    own_bias = None if bias is None else int(bias.values[index[-1]])
    scaled = rules.rescale_with_bias(accumulator, own_bias, factor, bits)
    # clamp
    activation = question.options.get("fused_activation_function", "NONE")
    if factor.kind == "float32":
        bounds = rules.activation_bounds_in_float32(activation, output)
    else:
        bounds = rules.activation_bounds(activation, output)
    return rules.finish(scaled, output.only_zero_point, bounds)


def integer_terms(rules: Rules, pairs: Sequence[Pair], input: Operand, weights: Operand) -> list[Term]:
    """Weights and activations without their zero points."""
    zero_point, weights_zero_point = input.only_zero_point, weights.zero_point[0]
    outside = rules.padding_value(zero_point)
    return [
        (
            rules.weight_without_zero_point(w, weights_zero_point),
            rules.input_without_zero_point(outside if x is None else x, zero_point),
        )
        for w, x in pairs
    ]


def accumulator_bits(rules: Rules, question: Question, input: Operand, bias: Operand | None) -> int:
    """The size of the accumulator: 32 bits, for int16 activations 64, or as bias or options say.

    Without a bias, micro looks at the options in CONV_2D and FULLY_CONNECTED alone.
    """
    if input.type != "INT16":
        return 32
    if bias is not None:
        return 32 if bias.type == "INT32" else 64
    micro = rules.numerics.integer_kernels == "micro"
    looks = not micro or question.operator in ("CONV_2D", "FULLY_CONNECTED")
    return 32 if looks and question.options.get("quantized_bias_type") == "INT32" else 64


def product_factor(
    rules: Rules, question: Question, input: Operand, weights: Operand, channel: int, bits: int
) -> Factor:
    """real = input_scale * weights_scale[channel] / output_scale, as the kernel of these numerics keeps it.

    Source: `tflite/kernels/kernel_util.cc`, PopulateConvolutionQuantizationParams and
    GetQuantizedConvolutionMultipler; `tflite/kernels/fully_connected.cc`, PrepareImpl;
    `tflite/kernels/batch_matmul.cc`, Prepare.
    """
    numerics, operator = rules.numerics, question.operator
    dense, matmul = operator == "FULLY_CONNECTED", operator == "BATCH_MATMUL"
    a, b, c = input.only_scale, weights.scale[rules.channel(weights, channel)], question.outputs[0].only_scale
    single = numerics.product_rescale == "float32" and input.type == "INT8" and not matmul
    legacy = input.type == "UINT8" and not dense
    if single:
        real = rules.scale_product_over_in_float32(a, b, c)
    elif legacy or (matmul and numerics.integer_kernels == "lite"):
        real = rules.rounded_scale_product_over(a, b, c)
    else:
        real = rules.scale_product_over(a, b, c)
    rules.write("prepare", "real_multiplier", real, "{} * {} / {}", a, b, c, key=channel)
    if single or (dense and numerics.integer_kernels == "lite"):
        return rules.factor(real, "float32" if single else "double", channel)
    # XNNPACK leaves these to TensorFlow Lite's own kernels, which round twice
    rounding: Rounding | None = "double" if numerics.product_rescale == "float32" else None
    return rules.factor(real, "fixed" if bits == 32 else "wide", channel, rounding)


# --- float and hybrid kernels ---------------------------------------------------------------------


def quantized_image(
    rules: Rules, question: Question, input: Operand, n: int, symmetric: bool
) -> tuple[Row, Operand]:
    """Image n quantized as one row, and the same as an operand [1, H, W, C]."""

    def compute() -> tuple[Row, Operand]:
        size = input.size // input.shape[0]
        row = rules.quantize_row(input.values[n * size : (n + 1) * size], symmetric, n, input.values)
        return row, Operand("INT8", (1, *input.shape[1:]), row.values)

    return question.once(("image", n), compute)


def row_terms(rules: Rules, pairs: Sequence[Pair], row: Row) -> list[Term]:
    """Weights and quantized activations without the zero point of their row."""
    zero_point = row.zero_point
    outside = rules.padding_value(zero_point)
    return [(w, rules.input_without_zero_point(outside if q is None else q, zero_point)) for w, q in pairs]


def float_layer(
    rules: Rules, question: Question, pairs: Sequence[Pair], index: Index, bias: Operand | None
) -> float:
    """One output of a float kernel: clamp(sum w * x + bias), the sum in order."""
    # accumulate, add bias
    own_bias = None if bias is None else float(bias.values[index[-1]])
    total = rules.sum_with_bias(inside(pairs), own_bias)
    # clamp
    return rules.clamp_real(total, question.options["fused_activation_function"])


def real_output(rules: Rules, question: Question, scaled: float, index: Index, bias: Operand | None) -> float:
    """The end of a hybrid kernel: add bias, clamp."""
    # add bias
    if bias is not None:
        scaled = rules.add_real_bias(scaled, float(bias.values[index[-1]]))
    # clamp
    return rules.clamp_real(scaled, question.options["fused_activation_function"])


def weights_scale(rules: Rules, weights: Operand, index: Index, channels: int) -> float:
    """The scale of the weights of an output."""
    return weights.scale[rules.channel(weights, rules.channel_of(index, channels))]
