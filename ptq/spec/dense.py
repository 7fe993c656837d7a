"""FULLY_CONNECTED, one output at a time.

Layouts: input [..., K]; weights [N, K]; bias [N]; output [..., N].
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.products import Pair, float_layer, integer_layer, weights_scale
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _row(question: Question, index: Index) -> slice:
    """Where the row of the input is that an output belongs to, in row-major order."""
    count, inner = question.input(1).shape
    row = question.outputs[0].position(index) // count
    return slice(row * inner, (row + 1) * inner)


def _pairs(question: Question, index: Index) -> list[Pair]:
    """The weights of an output and the activations that they meet."""
    input, weights = question.input(0), question.input(1)
    inner = weights.shape[1]
    first = index[-1] * inner
    own = weights.values[first : first + inner]
    return list(zip(own, input.values[_row(question, index)], strict=True))


def fully_connected_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(bias[n] + sum_k (w_k - z_w) * (q_k - z_q)) + z).                         (Q34)

    Source: `tflite/kernels/internal/reference/integer_ops/fully_connected.h`, FullyConnected and
    FullyConnectedPerChannel.
    """
    operands = question.input(0), question.input(1), question.optional(2)
    return integer_layer(rules, question, _pairs(question, index), index, operands)


def fully_connected_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = activation(bias + (sum_k w_k q_k - z * sum_k w_k) * (row_scale * weights_scale)).    (Q6)

    An input that is all zero gives activation(bias).
    Source: `tflite/kernels/fully_connected.cc`, EvalHybridDense.
    """
    input, weights, bias = question.input(0), question.input(1), question.optional(2)
    place, inner = _row(question, index), weights.shape[1]
    total = 0.0 if bias is None else float(bias.values[index[-1]])
    activation = question.options["fused_activation_function"]
    if not any(input.values):
        return rules.activate(total, activation)
    # quantize input
    symmetric = not question.options["asymmetric_quantize_inputs"]
    row = question.once(
        ("row", place.start),
        lambda: rules.quantize_row(input.values[place], symmetric, place.start // inner, input.values),
    )
    # accumulate
    integers = [int(w) for w, _ in _pairs(question, index)]
    accumulator = rules.accumulate(list(zip(integers, row.values, strict=True)), what="w * q")
    accumulator = rules.subtract_row_sum(accumulator, row.zero_point, integers)
    # rescale
    scale = weights_scale(rules, weights, index, weights.shape[0])
    product = rules.scale_at_once(f32(accumulator), row.scale, scale)
    # add bias
    total = rules.add_real_bias(product, total)
    # clamp
    return rules.activate(total, activation)


def fully_connected_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum_k w_k x_k + bias[n]), k = 0, 1, ...                                           (Q5)

    Source: `tflite/kernels/internal/reference/fully_connected.h`, FullyConnected.
    """
    return float_layer(rules, question, _pairs(question, index), index, question.optional(2))


FLOAT: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_float}
HYBRID: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_hybrid}
INTEGER: dict[str, Element] = {"FULLY_CONNECTED": fully_connected_integer}
