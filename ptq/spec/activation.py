"""Activations on float32: RELU and its kin, LOGISTIC, TANH; along the last axis SOFTMAX and its kin."""

from __future__ import annotations

import math

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.unary import element_by_element

REFERENCE = "tflite/kernels/internal/reference"

# --- element by element ---------------------------------------------------------------------------


def _bounded(low: float, high: float, source: str) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        return rules.bound(question.input(0).at(*index), low, high)

    element.__doc__ = f"output = min(max(x, {low:g}), {high:g}). Source: `{source}`."
    return element


def logistic(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = 1 / (1 + e^-x); e^x below -9, 1 above 16.6.

    Source: `tflite/kernels/internal/reference/logistic.h`, Logistic.
    """
    return rules.logistic(question.input(0).at(*index))


def leaky_relu(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x if x > 0 else alpha * x.

    Source: `tflite/kernels/internal/reference/leaky_relu.h`, LeakyRelu.
    """
    x, slope = question.input(0).at(*index), f32(question.options["alpha"])
    return rules.write("compute", "output", rules.leaky(x, slope), "{0} if {0} > 0, else {0} * {1}", x, slope)


def hard_swish(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x * min(6, max(0, x + 3)) / 6, in this order; -infinity gives NaN.

    Source: `tflite/kernels/internal/reference/hard_swish.h`, HardSwish.
    """
    x = question.input(0).at(*index)
    gate = rules.write("compute", "gate", rules.gate_of_hard_swish(x), "min(6, max(0, {} + 3))", x)
    return rules.write("compute", "output", rules.hard_swish(x, gate), "{} * {} / 6", x, gate)


# --- along the last axis --------------------------------------------------------------------------


def _row(question: Question, index: Index) -> tuple[int, list[Number]]:
    """The number of the row of an element, and its elements."""
    x = question.input(0)
    size = x.shape[-1]
    row = x.position(index) // size
    return row, list(x.values[row * size : (row + 1) * size])


def _largest(rules: Rules, question: Question, index: Index) -> float:
    row, values = _row(question, index)
    largest = question.once(("largest", row), lambda: rules.largest_of_row(values))
    formula = "the largest of row {}, and at least -FLT_MAX"
    return rules.write("shift", "maximum", largest, formula, row, key=row)


def _sum(rules: Rules, question: Question, index: Index, terms: list[Number], what: str) -> float:
    row = _row(question, index)[0]
    total = question.once(("sum", row), lambda: rules.sum_of(terms, "FLOAT32"))
    formula = f"sum of {{}} {what} in order, in float32"
    return rules.write(
        "accumulate", "sum", total, formula, len(terms), key=row, terms=[(term,) for term in terms],
        rule="ordered float sums",
    )  # fmt: skip


def softmax(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = e^(beta * (x - max)) / sum of the same, along the last axis.                        (Q15)

    Source: `tflite/kernels/internal/reference/softmax.h`, Softmax.
    """
    x, beta = question.input(0).at(*index), f32(question.options["beta"])
    row, values = _row(question, index)
    # shift
    largest = _largest(rules, question, index)
    # exponentiate
    powers = question.once(
        ("powers", row), lambda: [rules.expf(rules.softmax_exponent(x, largest, beta)) for x in values]
    )
    exponent = rules.softmax_exponent(x, largest, beta)
    rules.write("exponentiate", "exponent", exponent, "({} - {}) * {}", x, largest, beta)
    power = rules.write("exponentiate", "power", powers[index[-1]], "e^({})", exponent)
    # accumulate
    total = _sum(rules, question, index, powers, "powers")
    # divide
    return rules.write("divide", "output", rules.softmax_share(power, total), "{} / {}", power, total)


def log_softmax(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = (x - max) - ln(sum of e^(x - max)), along the last axis.

    Source: `tflite/kernels/internal/reference/log_softmax.h`, LogSoftmax.
    """
    x = question.input(0).at(*index)
    row, values = _row(question, index)
    # shift
    largest = _largest(rules, question, index)
    shifted = rules.write("shift", "shifted", f32(x - largest), "{} - {}", x, largest)
    # accumulate
    powers = question.once(("powers", row), lambda: [rules.expf(f32(x - largest)) for x in values])
    total = _sum(rules, question, index, powers, "powers")
    # logarithm
    logarithm = rules.write("logarithm", "logarithm", rules.logf(total), "ln {}", total, key=row)
    return rules.write("logarithm", "output", f32(shifted - logarithm), "{} - {}", shifted, logarithm)


def l2_normalization(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x / max(sqrt(sum of x^2), 10^-6), along the last axis.

    Source: `tflite/kernels/internal/reference/l2normalization.h`, L2Normalization.
    """
    x = question.input(0).at(*index)
    row, values = _row(question, index)
    # accumulate
    squares: list[Number] = question.once(("squares", row), lambda: [f32(x * x) for x in values])
    total = _sum(rules, question, index, squares, "squares")
    # divide
    norm = rules.write("divide", "norm", rules.norm(total), "max(sqrt({}), 10^-6)", total, key=row)
    return rules.write("divide", "output", rules.quotient(x, norm), "{} / {}", x, norm)


FLOAT: dict[str, Element] = {
    "RELU": _bounded(0.0, math.inf, "tflite/kernels/internal/optimized/optimized_ops.h, Relu"),
    "RELU6": _bounded(0.0, 6.0, f"{REFERENCE}/reference_ops.h, Relu6"),
    "RELU_N1_TO_1": _bounded(-1.0, 1.0, f"{REFERENCE}/reference_ops.h, Relu1"),
    "LOGISTIC": logistic,
    "TANH": element_by_element(lambda rules, x, _: rules.tanhf(x), "tanh {}", f"{REFERENCE}/tanh.h, Tanh"),
    "ELU": element_by_element(
        lambda rules, x, _: rules.exponential_linear(x), "{0} if {0} >= 0, else e^({0}) - 1",
        f"{REFERENCE}/elu.h, Elu",
    ),
    "LEAKY_RELU": leaky_relu,
    "HARD_SWISH": hard_swish,
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": log_softmax,
    "L2_NORMALIZATION": l2_normalization,
}  # fmt: skip
