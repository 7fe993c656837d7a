"""LOGISTIC, TANH, EXP and ELU on integers, one output at a time."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.lookup import Points


def _byte(rules: Rules, question: Question, index: Index) -> int:
    """The function of an 8-bit integer."""
    input = question.input(0)
    return rules.function_of_byte(question.operator, int(input.at(*index)), input, question.outputs[0])


def _sigmoid(
    rules: Rules, question: Question, index: Index, bits: int, saturated: int, *exact_shifts: int
) -> tuple[int, bool]:
    """2^bits times the sigmoid of |x|, and whether x is negative."""
    input = question.input(0)
    multiplier, right_shift = rules.sigmoid_multiplier(input.only_scale, exact_shifts)
    rules.write("prepare", "input_multiplier", multiplier, "{} * 3 * 4096", input.only_scale, key=0)
    rules.write("prepare", "input_right_shift", right_shift, "the same", key=0)
    # rescale
    x = rules.sigmoid_input(int(input.at(*index)), multiplier, right_shift)
    # look up
    return rules.sigmoid_line(abs(x), bits, saturated), x < 0


def logistic_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = 1 / (1 + e^-x): a table, in micro fixed point; int16: lines between points 1/24 apart.

    Source: `tflite/kernels/activations.cc`, SigmoidPrepare; `integer_ops/logistic.h`, Logistic.
    """
    if question.input(0).type != "INT16":
        return _byte(rules, question, index)
    line, negative = _sigmoid(rules, question, index, 9, 0x7FFF << 10, 0)
    return rules.cut_down((1 << 25) - line if negative else line, 10, negative)


def tanh_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = tanh x: a table, in micro fixed point; int16: 2 / (1 + e^-2x) - 1 by the points of LOGISTIC.

    Source: `tflite/kernels/activations.cc`, TanhPrepare; `integer_ops/tanh.h`, Tanh.
    """
    if question.input(0).type != "INT16":
        return _byte(rules, question, index)
    line, negative = _sigmoid(rules, question, index, 8, 0xFFFF << 8, 0, 1)
    doubled = line - (1 << 23)
    return rules.cut_down(-doubled if negative else doubled, 8, negative)


def exp_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = e^x: a table; int16: lines between 513 points.

    Source: `tflite/kernels/exp.cc`, ExpPrepare; `internal/common.h`, LUTLookup.
    """
    input, output = question.input(0), question.outputs[0]
    if input.type != "INT16":
        return _byte(rules, question, index)
    points = Points(input.only_scale, 0, output.only_scale, rules.expf)

    def point(step: int) -> int:
        return question.once(("point", step), lambda: rules.point(points, step))

    return rules.interpolate(int(input.at(*index)), point, "output")


def elu_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x if x >= 0 else e^x - 1: a table.

    Source: `tflite/kernels/activations.cc`, EluPrepare; tflite-micro, `micro/kernels/elu.cc`.
    """
    return _byte(rules, question, index)


INTEGER: dict[str, Element] = {
    "LOGISTIC": logistic_integer,
    "TANH": tanh_integer,
    "EXP": exp_integer,
    "ELU": elu_integer,
}
