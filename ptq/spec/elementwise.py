"""Arithmetic on two operands that broadcast, of reals or plain integers: ADD, MAXIMUM, PRELU, ..."""

from __future__ import annotations

from collections.abc import Callable

from ptq.spec.numbers import Index, Number
from ptq.spec.operands import meeting
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules

Combine = Callable[[Rules, Number, Number, str], Number]
REFERENCE = "tflite/kernels/internal/reference"


def _fused(name: str, sign: str, combine: Combine, source: str) -> Element:
    """The element of an operator with a fused activation."""

    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        type, activation = question.input(0).type, question.options["fused_activation_function"]
        a, b = meeting(rules, question, index)
        # combine
        combined = combine(rules, a, b, type)
        rules.write("combine", name, combined, f"{{}} {sign} {{}}", a, b, source=source)
        # clamp
        if type == "FLOAT32":
            return rules.clamp_real(combined, activation)
        return rules.clamp_plain(combined, type, activation)

    element.__doc__ = (
        f"output = activation(a {sign} b): an infinite float32 becomes FLT_MAX; integers wrap.  (Q19)\n\n"
        f"Source: `{source}`."
    )
    return element


def _divided(rules: Rules, a: Number, b: Number, type: str) -> Number:
    if type == "FLOAT32":
        return rules.quotient(a, b)
    return rules.integer_quotient(int(a), int(b), type)


def _plain(combine: Combine, formula: str, source: str) -> Element:
    """The element of an operator without an activation."""

    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        type = question.input(0).type
        a, b = meeting(rules, question, index)
        return rules.write("combine", "output", combine(rules, a, b, type), formula, a, b, source=source)

    element.__doc__ = f"output = {formula.format('a', 'b')}. Source: `{source}`."
    return element


def squared_difference(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = (a - b)^2, without bounds: infinity stays. Reals, or integers that wrap.

    Source: `tflite/kernels/squared_difference.cc`, SquaredDifference.
    """
    type = question.input(0).type
    a, b = meeting(rules, question, index)
    # combine
    difference = rules.write("combine", "difference", rules.held(a - b, type), "{} - {}", a, b)
    square = rules.held(difference * difference, type)
    return rules.write("combine", "output", square, "({0}) * ({0})", difference)


FLOAT: dict[str, Element] = {
    "ADD": _fused("sum", "+", lambda rules, a, b, type: rules.held(a + b, type), f"{REFERENCE}/add.h, Add"),
    "SUB": _fused(
        "difference",
        "-",
        lambda rules, a, b, type: rules.held(a - b, type),
        f"{REFERENCE}/sub.h, SubNonBroadcast",
    ),
    "MUL": _fused(
        "product", "*", lambda rules, a, b, type: rules.held(a * b, type), f"{REFERENCE}/mul.h, Mul"
    ),
    "DIV": _fused("quotient", "/", _divided, f"{REFERENCE}/div.h, Div"),
    "MAXIMUM": _plain(
        lambda rules, a, b, _: rules.larger(a, b),
        "{0} if {0} > {1}, else {1}",
        "tflite/kernels/maximum_minimum.cc, MaximumOp",
    ),
    "MINIMUM": _plain(
        lambda rules, a, b, _: rules.smaller(a, b),
        "{0} if {0} < {1}, else {1}",
        "tflite/kernels/maximum_minimum.cc, MinimumOp",
    ),
    "SQUARED_DIFFERENCE": squared_difference,
    "PRELU": _plain(
        lambda rules, x, slope, _: rules.parametric(x, slope),
        "{0} if {0} >= 0, else {0} * {1}",
        "tflite/kernels/activations.cc, ApplyPrelu",
    ),
}
