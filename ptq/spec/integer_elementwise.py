"""Two quantized operands that broadcast, one output at a time: ADD, SUB, MUL, DIV, PRELU, EQUAL, ..."""

from __future__ import annotations

from collections.abc import Callable

from ptq.spec.numbers import Index, Number
from ptq.spec.operands import meeting
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.common_scale import LANES, Common
from ptq.spec.rules.rescaling import Factor

Combine = Callable[[Rules, int, int], int]


def _centred(rules: Rules, question: Question, index: Index) -> tuple[int, int]:
    """Both operands without their zero points."""
    a, b = meeting(rules, question, index)
    # subtract zero points
    return _less(rules, question, 0, int(a), "a"), _less(rules, question, 1, int(b), "b")


def _less(rules: Rules, question: Question, position: int, q: int, name: str) -> int:
    zero_point = question.input(position).only_zero_point
    centred = int(rules.without_zero_point(q, zero_point))
    return rules.write("subtract zero points", f"centred_{name}", centred, "{} - {}", q, zero_point)


def _finish(rules: Rules, question: Question, scaled: int) -> int:
    output = question.outputs[0]
    activation = question.options.get("fused_activation_function", "NONE")
    return rules.finish(scaled, output.only_zero_point, rules.activation_bounds(activation, output))


# --- on a common scale ----------------------------------------------------------------------------


def _on_common_scale(combine: Combine, formula: str, source: str) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        a, b, output = question.input(0), question.input(1), question.outputs[0]
        wanted = bool(question.options.get("pot_scale_int16", False))
        shifts: tuple[int, int] | None = question.once(
            "shifts", lambda: rules.power_of_two_shifts([a, b, output], wanted)
        )
        if shifts is not None:
            return _by_shifts(rules, question, index, shifts, combine)
        common: Common = question.once("common", lambda: rules.meeting_scale(question.operator, a, b, output))
        # subtract zero points
        centred_a, centred_b = _centred(rules, question, index)
        # to the common scale
        common_a = rules.to_common_scale(centred_a, common.left_shift, common.a, "common_a")
        common_b = rules.to_common_scale(centred_b, common.left_shift, common.b, "common_b")
        # accumulate
        total = combine(rules, common_a, common_b)
        # rescale, clamp
        in_group = a.shape == b.shape and output.position(index) < output.size // LANES * LANES
        return _finish(rules, question, rules.rescale_below_one(total, common.output, in_group))

    element.__doc__ = (
        f"output = clamp(rescale({formula}) + z), a' and b' being the operands on a common scale.\n\n"
        f"Source: `{source}`."
    )
    return element


def _by_shifts(
    rules: Rules, question: Question, index: Index, shifts: tuple[int, int], combine: Combine
) -> Number:
    """output = clamp(a / 2^shift_a +- b / 2^shift_b): int16 whose scales are powers of two."""
    a, b = meeting(rules, question, index)
    # to the output's scale
    shifted_a = rules.shifted_operand(int(a), shifts[0], "common_a")
    shifted_b = rules.shifted_operand(int(b), shifts[1], "common_b")
    # accumulate, clamp
    return _finish(rules, question, combine(rules, shifted_a, shifted_b))


# --- products, quotients, slopes ------------------------------------------------------------------


def mul_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale((a - za) * (b - zb)) + z), by a_scale * b_scale / output_scale.        (Q37)

    Source: `tflite/kernels/internal/reference/integer_ops/mul.h`, MulElementwise and BroadcastMul6DSlow.
    """
    a, b, output = question.input(0), question.input(1), question.outputs[0]
    factor: Factor = question.once(
        "factor", lambda: rules.ratio_factor([a.only_scale, b.only_scale], [output.only_scale])
    )
    left, right = meeting(rules, question, index)
    # subtract zero points, accumulate
    product = rules.product_of_operands(int(left), a.only_zero_point, int(right), b.only_zero_point)
    # rescale, clamp
    return _finish(rules, question, rules.rescale(product, factor))


def div_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale((a - za) / (b - zb)) + z), by a_scale / (b_scale * output_scale).

    Source: `tflite/kernels/internal/reference/div.h`, DivElementwise.
    """
    a, b, output = question.input(0), question.input(1), question.outputs[0]
    factor: Factor = question.once(
        "factor", lambda: rules.ratio_factor([a.only_scale], [b.only_scale, output.only_scale])
    )
    # subtract zero points
    dividend, divisor = _centred(rules, question, index)
    # accumulate, rescale, clamp
    return _finish(rules, question, rules.divide_operands(dividend, divisor, factor))


def prelu_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(identity(x - zx) + z) if x >= zx else clamp(slope((x - zx) * (alpha - za)) + z).

    identity is x_scale / output_scale, slope x_scale * alpha_scale / output_scale.
    Source: `tflite/kernels/internal/reference/prelu.h`, Prelu and BroadcastPrelu4DSlow.
    """
    x, alpha, output = question.input(0), question.input(1), question.outputs[0]
    identity: Factor = question.once(
        "identity", lambda: rules.ratio_factor([x.only_scale], [output.only_scale], 0)
    )
    slope: Factor = question.once(
        "slope", lambda: rules.ratio_factor([x.only_scale, alpha.only_scale], [output.only_scale], 1)
    )
    q, steepness = (int(operand) for operand in meeting(rules, question, index))
    # subtract zero points
    centred = _less(rules, question, 0, q, "x")
    steepness = rules.slope_without_zero_point(steepness, alpha.only_zero_point)
    rules.write("subtract zero points", "centred_alpha", steepness, "alpha - {}", alpha.only_zero_point)
    # accumulate
    negative = rules.is_negative(q, x.only_zero_point)
    product = rules.sloped(q, centred) * steepness if negative else centred
    rules.write("accumulate", "accumulator", product, f"{{}} * {steepness if negative else 1}", centred)
    # rescale, clamp
    return _finish(rules, question, rules.rescale(product, slope if negative else identity))


# --- comparing ------------------------------------------------------------------------------------


def maximum_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the larger integer, both having the output's scale.

    Source: `tflite/kernels/maximum_minimum.cc`, MaximumOp.
    """
    a, b = meeting(rules, question, index)
    return rules.write("compare", "output", rules.larger(a, b), "the larger of {} and {}", a, b)


def minimum_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the smaller integer, both having the output's scale. Source: as above, MinimumOp."""
    a, b = meeting(rules, question, index)
    return rules.write("compare", "output", rules.smaller(a, b), "the smaller of {} and {}", a, b)


def _comparison(relation: str) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        a, b = question.input(0), question.input(1)
        if rules.compared_as_they_are(relation, a, b):
            left, right = meeting(rules, question, index)
        else:
            factors: list[Factor] = question.once(
                "factors", lambda: [rules.comparison_factor(x, key) for key, x in enumerate((a, b))]
            )
            # subtract zero points
            centred_a, centred_b = _centred(rules, question, index)
            # rescale
            left = rules.comparable(centred_a, factors[0], "scaled_a")
            right = rules.comparable(centred_b, factors[1], "scaled_b")
        # compare
        holds = rules.holds(relation, left, right)
        return rules.write("compare", "output", holds, f"{{}} {relation} {{}}", left, right)

    element.__doc__ = (
        f"output = (a {relation} b), both as reals in steps of 1/256; int16 of one scale as it is.\n\n"
        "Source: `tflite/kernels/internal/reference/comparisons.h`, ComparisonWithScaling."
    )
    return element


INTEGER_OPS = "tflite/kernels/internal/reference"

INTEGER: dict[str, Element] = {
    "ADD": _on_common_scale(
        lambda rules, a, b: rules.sum_of_operands(a, b), "a' + b'",
        f"{INTEGER_OPS}/integer_ops/add.h, AddFunc; {INTEGER_OPS}/add.h, AddElementwise and Add (int16)",
    ),
    "SUB": _on_common_scale(
        lambda rules, a, b: rules.difference_of_operands(a, b), "a' - b'",
        f"{INTEGER_OPS}/sub.h, SubElementwise and BroadcastSub16POTSlow",
    ),
    "SQUARED_DIFFERENCE": _on_common_scale(
        lambda rules, a, b: rules.square_of_difference(a, b), "(a' - b')^2",
        "tflite/kernels/squared_difference.cc, SquaredDifference",
    ),
    "MUL": mul_integer,
    "DIV": div_integer,
    "PRELU": prelu_integer,
    "MAXIMUM": maximum_integer,
    "MINIMUM": minimum_integer,
    "EQUAL": _comparison("=="),
    "NOT_EQUAL": _comparison("!="),
    "LESS": _comparison("<"),
    "LESS_EQUAL": _comparison("<="),
    "GREATER": _comparison(">"),
    "GREATER_EQUAL": _comparison(">="),
}  # fmt: skip
