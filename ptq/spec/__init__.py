"""The specification: every operator on plain Python numbers, one output element at a time.

It is slow and obvious, and shares no arithmetic with the vectorised kernels, which the tests hold against it:
a Python int cannot wrap, so that every wrap and saturation is spelled out, and a float is rounded to float32
by name. Each step may be written down on a `Sheet`, so that the specification also explains itself.
"""

from __future__ import annotations

from ptq.errors import UnsupportedError
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.spec import (
    activation,
    batch_matmul,
    conv,
    convert,
    dense,
    depthwise,
    elementwise,
    embedding,
    filling,
    integer_activation,
    integer_elementwise,
    integer_lstm,
    integer_pool,
    integer_reduce,
    integer_resize,
    integer_roots,
    integer_softmax,
    integer_tables,
    logic,
    lstm,
    movement,
    pool,
    reduce,
    resize,
    rnn,
    slicing,
    svdf,
    transpose_conv,
    unary,
)
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.sheet import Sheet

ELEMENTS: dict[str, dict[str, Element]] = {
    "float": {
        **dense.FLOAT,
        **conv.FLOAT,
        **depthwise.FLOAT,
        **transpose_conv.FLOAT,
        **batch_matmul.FLOAT,
        **embedding.FLOAT,
        **pool.FLOAT,
        **activation.FLOAT,
        **unary.FLOAT,
        **elementwise.FLOAT,
        **lstm.FLOAT,
        **rnn.FLOAT,
        **svdf.FLOAT,
        **logic.FLOAT,
        **reduce.FLOAT,
        **resize.FLOAT,
        **convert.FLOAT,
        **movement.FLOAT,
        **slicing.FLOAT,
        **filling.FLOAT,
    },
    "hybrid": {
        **dense.HYBRID,
        **conv.HYBRID,
        **depthwise.HYBRID,
        **transpose_conv.HYBRID,
        **batch_matmul.HYBRID,
        **embedding.HYBRID,
        **lstm.HYBRID,
        **rnn.HYBRID,
        **svdf.HYBRID,
    },
    "integer": {
        **dense.INTEGER,
        **conv.INTEGER,
        **depthwise.INTEGER,
        **transpose_conv.INTEGER,
        **batch_matmul.INTEGER,
        **integer_elementwise.INTEGER,
        **integer_activation.INTEGER,
        **integer_lstm.INTEGER,
        **integer_pool.INTEGER,
        **integer_reduce.INTEGER,
        **integer_resize.INTEGER,
        **integer_roots.INTEGER,
        **integer_softmax.INTEGER,
        **integer_tables.INTEGER,
    },
}
"""The specification of each operator in each arithmetic; "float" has what moves data of any type, too."""


def element_of(question: Question) -> Element:
    """The specification that answers a question; UnsupportedError if there is none."""
    arithmetic = "float" if question.arithmetic == "any" else question.arithmetic
    element = ELEMENTS.get(arithmetic, {}).get(question.operator)
    if element is None:
        raise UnsupportedError(
            f"{question.operator}: no scalar specification of its {arithmetic} arithmetic found, expected "
            f"one of {', '.join(sorted(ELEMENTS.get(arithmetic, ELEMENTS)))}"
        )
    return element


def answer(question: Question, rules: Rules | None = None) -> list[list[Number]]:
    """All elements of everything that the operator writes, in row-major order."""
    question, element, rules = question.afresh(), element_of(question), rules or Rules()
    return [
        [element(rules, question, output, index) for index in place.indices()]
        for output, place in enumerate(question.places)
    ]


def trace(
    question: Question, index: Index, output: int = 0, numerics: Numerics = LITERT_REFERENCE
) -> tuple[Sheet, Number]:
    """The sheet on which one element is worked out, and the element."""
    sheet = Sheet()
    value = element_of(question)(Rules(numerics, sheet), question.afresh(), output, index)
    return sheet, value
