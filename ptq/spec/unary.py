"""Functions of one operand, element by element: EXP, LOG, SQRT, RSQRT, SQUARE, NEG, ABS and FLOOR.

They have no bounds: an infinite result stays infinite.
"""

from __future__ import annotations

from collections.abc import Callable

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules

ELEMENTWISE = "tflite/kernels/elementwise.cc"
INTERNAL = "tflite/kernels/internal/reference"


def element_by_element(
    function: Callable[[Rules, Number, str], Number], formula: str, source: str
) -> Element:
    """The element of an operator that applies a function to each element of its operand, by its type."""

    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        x = question.input(0)
        value = x.at(*index)
        return rules.write("compute", "output", function(rules, value, x.type), formula, value, source=source)

    element.__doc__ = f"output = {formula.replace('{}', 'x')}. Source: `{source}`."
    return element


FLOAT: dict[str, Element] = {
    "EXP": element_by_element(
        lambda rules, x, _: rules.expf(x), "e^({}), as the C library rounds it", f"{INTERNAL}/exp.h, Exp"
    ),
    "LOG": element_by_element(
        lambda rules, x, _: rules.logf(x), "ln {}, as the C library rounds it", f"{ELEMENTWISE}, LogEval"
    ),
    "SQRT": element_by_element(
        lambda rules, x, _: rules.sqrtf(x), "the square root of {}", f"{ELEMENTWISE}, SqrtEval"
    ),
    "RSQRT": element_by_element(
        lambda rules, x, _: rules.reciprocal_root(x),
        "1 / sqrt({}), rounded twice",
        f"{ELEMENTWISE}, RsqrtEval",
    ),
    "SQUARE": element_by_element(
        lambda rules, x, type: rules.held(x * x, type), "{0} * {0}", f"{ELEMENTWISE}, SquareEval"
    ),
    "NEG": element_by_element(
        lambda rules, x, type: rules.held(-x, type), "-({})", "tflite/kernels/neg.cc, Eval"
    ),
    "ABS": element_by_element(
        lambda rules, x, type: rules.held(abs(x), type), "|{}|", f"{ELEMENTWISE}, AbsEval"
    ),
    "FLOOR": element_by_element(
        lambda rules, x, _: rules.floor(x), "the largest whole number <= {}", f"{INTERNAL}/floor.h, Floor"
    ),
}
