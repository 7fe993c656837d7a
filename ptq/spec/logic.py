"""Truth values: comparisons that make them, LOGICAL_AND, OR and NOT, and SELECT, which chooses by them."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.operands import meeting
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _comparison(relation: str, function: str) -> Element:
    source = f"tflite/kernels/comparisons.cc, {function}"

    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        a, b = meeting(rules, question, index)
        return rules.write(
            "compare", "output", rules.holds(relation, a, b), f"{{}} {relation} {{}}", a, b, source=source
        )

    element.__doc__ = f"output = (a {relation} b), by broadcasting. Source: `{source}`."
    return element


def logical_and(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = a and b, by broadcasting. Source: `tflite/kernels/logical.cc`, LogicalAnd."""
    a, b = meeting(rules, question, index)
    return rules.write("compare", "output", bool(a and b), "{} and {}", a, b)


def logical_or(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = a or b, by broadcasting. Source: `tflite/kernels/logical.cc`, LogicalOr."""
    a, b = meeting(rules, question, index)
    return rules.write("compare", "output", bool(a or b), "{} or {}", a, b)


def logical_not(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = not x. Source: `tflite/kernels/elementwise.cc`, LogicalNotEval."""
    x = question.input(0).at(*index)
    return rules.write("compare", "output", not x, "not {}", x)


def select(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x where the condition holds, else y; a condition with one dimension chooses whole rows.

    Source: `tflite/kernels/select.cc`, SelectPrepare<kVersionOne> and RankOneSelect.
    """
    condition, x, y = (question.input(position) for position in range(3))
    if x.size == condition.size == y.size == 1:  # whatever dimensions they have
        return _chosen(rules, condition.values[0], x.values[0], y.values[0])
    return _chosen(rules, condition.at(*rules.rows_index(condition.shape, index)), x.at(*index), y.at(*index))


def select_v2(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x where the condition holds, else y; all three broadcast.

    Source: `tflite/kernels/select.cc`, SelectPrepare<kVersionTwo>; `reference/select.h`.
    """
    return _chosen(rules, *meeting(rules, question, index))


def _chosen(rules: Rules, condition: Number, x: Number, y: Number) -> Number:
    return rules.write("move", "output", x if condition else y, "{1} if {0}, else {2}", condition, x, y)


FLOAT: dict[str, Element] = {
    "EQUAL": _comparison("==", "EqualEval"),
    "NOT_EQUAL": _comparison("!=", "NotEqualEval"),
    "LESS": _comparison("<", "LessEval"),
    "LESS_EQUAL": _comparison("<=", "LessEqualEval"),
    "GREATER": _comparison(">", "GreaterEval"),
    "GREATER_EQUAL": _comparison(">=", "GreaterEqualEval"),
    "LOGICAL_AND": logical_and,
    "LOGICAL_OR": logical_or,
    "LOGICAL_NOT": logical_not,
    "SELECT": select,
    "SELECT_V2": select_v2,
}
