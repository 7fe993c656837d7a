"""RSQRT and L2_NORMALIZATION on integers, one output at a time: 1 / sqrt(x) in fixed point."""

from __future__ import annotations

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def rsqrt_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(1 / sqrt(q - z)) + z'), by 1 / (sqrt(scale) * scale').

    For 0 it is the highest integer.
    Source: `tflite/kernels/elementwise.cc`, RsqrtEvalQuantizedInt8.
    """
    x, output = question.input(0), question.outputs[0]
    q, zero_point = int(x.at(*index)), x.only_zero_point
    # subtract zero points
    centred = int(rules.input_without_zero_point(q, zero_point))
    rules.write("subtract zero points", "centred", centred, "{} - {}", q, zero_point)
    if centred == 0:
        return rules.root_of_nothing(output.limits[1])
    # rescale
    scaled = rules.scaled_root(centred, x.only_scale, output.only_scale)
    # clamp
    return rules.finish(scaled, output.only_zero_point, rules.type_limits(output))


def l2_normalization_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = (q - z) / sqrt(sum of (q - z)^2) along the last axis, in steps of 1/128.

    Source: `tflite/kernels/internal/reference/integer_ops/l2normalization.h`, L2Normalization, and
    `reference/l2normalization.h` for uint8.
    """
    x, output = question.input(0), question.outputs[0]
    length = x.shape[-1]
    row = x.position(index) // length
    # subtract zero points
    integers = x.values[row * length : (row + 1) * length]
    centred = [int(rules.input_without_zero_point(q, x.only_zero_point)) for q in integers]
    own = centred[index[-1]]
    rules.write("subtract zero points", "centred", own, "{} - {}", integers[index[-1]], x.only_zero_point)
    # accumulate
    total = rules.write(
        "accumulate", "accumulator", wrap_spec(sum(c * c for c in centred)), "sum of {} squares", length,
        terms=[(c, c) for c in centred], key=row,
    )  # fmt: skip
    # rescale
    scaled = rules.normalized(own, total, x.type == "UINT8", row)
    # clamp
    return rules.finish(scaled, output.only_zero_point, rules.type_limits(output))


INTEGER: dict[str, Element] = {"RSQRT": rsqrt_integer, "L2_NORMALIZATION": l2_normalization_integer}
