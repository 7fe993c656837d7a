"""BATCH_MATMUL, one output at a time.

Layouts: lhs [..., M, K], or [..., K, M] with adj_x; rhs [..., K, N], or [..., N, K] with adj_y; output
[..., M, N]; the dimensions in front broadcast.
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.products import Pair, inside, integer_layer, weights_scale
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _row(rules: Rules, question: Question, index: Index) -> tuple[int, list[Number]]:
    """The number of the row of lhs that an output belongs to, and the row."""
    lhs, adjoint = question.input(0), question.options["adj_x"]
    *batch, a, b = lhs.shape
    rows, inner = (b, a) if adjoint else (a, b)
    matrix = rules.matrix_of(index[:-2], question.outputs[0].shape[:-2], tuple(batch))
    m = index[-2]
    places = [rules.left_place(m, k, rows, inner, adjoint) for k in range(inner)]
    return matrix * rows + m, [lhs.values[matrix * rows * inner + place] for place in places]


def _column(rules: Rules, question: Question, index: Index) -> list[Number]:
    """The column of rhs that an output belongs to."""
    rhs, adjoint = question.input(1), question.options["adj_y"]
    *batch, a, b = rhs.shape
    inner, columns = (b, a) if adjoint else (a, b)
    first = rules.matrix_of(index[:-2], question.outputs[0].shape[:-2], tuple(batch)) * inner * columns
    return [
        rhs.values[first + rules.right_place(k, index[-1], inner, columns, adjoint)] for k in range(inner)
    ]


def _pairs(rules: Rules, question: Question, index: Index) -> list[Pair]:
    """(rhs, lhs) for k = 0, 1, ..."""
    return list(zip(_column(rules, question, index), _row(rules, question, index)[1], strict=True))


def batch_matmul_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(sum_k (lhs - z_lhs) * (rhs - z_rhs)) + z).

    Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul.
    """
    operands = question.input(0), question.input(1), None
    return integer_layer(rules, question, _pairs(rules, question, index), index, operands)


def batch_matmul_hybrid(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = (sum_k q rhs - z * sum_k rhs) * (row_scale * rhs_scale[n]), each row of lhs quantized.   (Q24)

    The sums are int32, but multiplied and subtracted as float32, which rounds beyond 2^24.
    Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid).
    """
    lhs, rhs = question.input(0), question.input(1)
    number, reals = _row(rules, question, index)
    # quantize input
    symmetric = not question.options["asymmetric_quantize_inputs"]
    row = question.once(("row", number), lambda: rules.quantize_row(reals, symmetric, number, lhs.values))
    # accumulate
    column = [int(w) for w in _column(rules, question, index)]
    total = rules.accumulate(list(zip(column, row.values, strict=True)), what="w * q")
    accumulator = rules.subtract_row_sum_as_floats(total, row.zero_point, column)
    # rescale
    scale = weights_scale(rules, rhs, index, question.outputs[0].shape[-1])
    product = rules.scale_at_once(accumulator, row.scale, scale)
    # the kernel adds to 0, which makes +0 of -0
    return rules.write("rescale", "output", product + 0.0, "0 + {}", product)


def batch_matmul_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = sum_k lhs * rhs, k = 0, 1, ...

    Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul.
    """
    # accumulate
    total = rules.sum_with_bias(inside(_pairs(rules, question, index)), None)
    return rules.write("accumulate", "output", total)


FLOAT: dict[str, Element] = {"BATCH_MATMUL": batch_matmul_float}
HYBRID: dict[str, Element] = {"BATCH_MATMUL": batch_matmul_hybrid}
INTEGER: dict[str, Element] = {"BATCH_MATMUL": batch_matmul_integer}
