"""EMBEDDING_LOOKUP, one output at a time.

Layouts: indices [count]; table [rows, ...]; output [count, ...].
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _looked_up(question: Question, index: Index) -> tuple[int, Number]:
    """The row that an output reads, and its element there."""
    row = int(question.input(0).values[index[0]])
    return row, question.input(1).at(row, *index[1:])


def embedding_lookup_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[i, ...] = table[indices[i], ...], of any type.

    Source: `tflite/kernels/embedding_lookup.cc`, EvalSimple.
    """
    row, element = _looked_up(question, index)
    # move
    return rules.write("move", "output", element, "table[{}, ...]", row)


def embedding_lookup_hybrid(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """output[i, ...] = scale[indices[i]] * table[indices[i], ...]; an int8 output gets the integers.    (Q23)

    Source: `tflite/kernels/embedding_lookup.cc`, EvalHybrid.
    """
    if question.outputs[0].type != "FLOAT32":
        return embedding_lookup_float(rules, question, output, index)
    table = question.input(1)
    row, q = _looked_up(question, index)
    # rescale
    scale = table.scale[rules.channel(table, rules.looked_up_scale(row, index[0], table.shape[0]))]
    return rules.write("rescale", "output", f32(q * scale), "{} * {}", q, scale)


FLOAT: dict[str, Element] = {"EMBEDDING_LOOKUP": embedding_lookup_float}
HYBRID: dict[str, Element] = {"EMBEDDING_LOOKUP": embedding_lookup_hybrid}
