"""AVERAGE_POOL_2D and MAX_POOL_2D on float32, one output at a time. Layout: [N, H, W, C]."""

from __future__ import annotations

from ptq.spec.integer_pool import window_of
from ptq.spec.numbers import Index, Number, divide, f32
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def average_pool_2d_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = activation(sum of the window / number of its elements inside the image).            (Q16)

    Source: `tflite/kernels/internal/reference/pooling.h`, AveragePool.
    """
    window = window_of(rules, question, index)
    inside = rules.window_elements(window)
    # accumulate
    total = rules.sum_of(inside, "FLOAT32")
    rules.write(
        "accumulate", "sum", total, "sum of {} elements in order, in float32", len(inside),
        terms=[(x,) for x in inside], rule="ordered float sums",
    )  # fmt: skip
    # rescale
    count = rules.window_count(window)
    average = rules.write("rescale", "average", f32(divide(total, count)), "{} / {}", total, count)
    # clamp
    return rules.clamp_real(average, question.options["fused_activation_function"])


def max_pool_2d_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = activation(largest element of the window, and at least -FLT_MAX); NaN is passed over. (Q17)

    Source: `tflite/kernels/internal/reference/pooling.h`, MaxPool.
    """
    elements = rules.window_elements(window_of(rules, question, index))
    # accumulate
    largest = rules.largest_of(elements, rules.lowest("FLOAT32"))
    rules.write("accumulate", "largest", largest, "the largest of {}, and at least -FLT_MAX", elements)
    # clamp
    return rules.clamp_real(largest, question.options["fused_activation_function"])


FLOAT: dict[str, Element] = {
    "AVERAGE_POOL_2D": average_pool_2d_float,
    "MAX_POOL_2D": max_pool_2d_float,
}
