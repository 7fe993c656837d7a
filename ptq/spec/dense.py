"""FULLY_CONNECTED, one output at a time. Layouts: input [..., K]; weights [N, K]; bias [N]; output [..., N]."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.products import accumulator_bits, integer_output, integer_terms, product_factor
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _place(question: Question, index: Index) -> tuple[int, int]:
    """The row of the input and the row of the weights that meet in an output."""
    return divmod(question.outputs[0].position(index), question.input(1).shape[0])


def fully_connected_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias + sum_k (w_k - z_w) * (q_k - z_q)) + z).                         (Q34)

    Source: `tflite/kernels/internal/reference/integer_ops/fully_connected.h`.
    """
    input, weights, bias = question.input(0), question.input(1), question.optional(2)
    row, channel = _place(question, index)
    inner = weights.shape[1]
    bits = accumulator_bits(question, input, bias)
    pairs = [(weights.at(channel, k), input.values[row * inner + k]) for k in range(inner)]
    # subtract zero points
    terms = integer_terms(rules, pairs, input, weights)
    factor = product_factor(rules, question, input, weights, channel, bits)
    return integer_output(
        rules, question, terms, factor, None if bias is None else int(bias.values[channel]), bits
    )


def fully_connected_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = activation(bias + (sum_k w_k q_k - z * sum_k w_k) * (row_scale * weights_scale)).    (Q6)

    Source: `tflite/kernels/fully_connected.cc`, EvalHybridDense.
    """
    input, weights, bias = question.input(0), question.input(1), question.optional(2)
    row, channel = _place(question, index)
    inner = weights.shape[1]
    total = 0.0 if bias is None else float(bias.values[channel])
    activation = question.options["fused_activation_function"]
    if not any(input.values):
        return rules.activate(total, activation)
    # quantize input
    symmetric = not question.options["asymmetric_quantize_inputs"]
    reals = input.values[row * inner : (row + 1) * inner]
    quantized = question.once(("row", row), lambda: rules.quantize_row(reals, symmetric, row))
    # accumulate
    integers = [int(weights.at(channel, k)) for k in range(inner)]
    accumulator = rules.accumulate(list(zip(integers, quantized.values, strict=True)), what="w * q")
    accumulator = rules.subtract_row_sum(accumulator, quantized.zero_point, integers)
    # rescale
    scale = weights.scale[rules.channel(weights, channel)]
    product = rules.scale_at_once(f32(accumulator), quantized.scale, scale)
    # add bias
    total = rules.add_real_bias(total, product)
    # clamp
    return rules.activate(total, activation)


def fully_connected_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(bias + sum_k w_k x_k), k = 0, 1, ...                                           (Q5)

    Source: `tflite/kernels/internal/reference/fully_connected.h`, FullyConnected.
    """
    input, weights, bias = question.input(0), question.input(1), question.optional(2)
    row, channel = _place(question, index)
    inner = weights.shape[1]
    # accumulate
    total = rules.sum_of_products(
        [(weights.at(channel, k), input.values[row * inner + k]) for k in range(inner)]
    )
    # add bias
    if bias is not None:
        total = rules.add_real_bias(total, float(bias.values[channel]))
    # clamp
    return rules.clamp_real(total, question.options["fused_activation_function"])


FLOAT: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_float}
HYBRID: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_hybrid}
INTEGER: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_integer}
