"""AVERAGE_POOL_2D and MAX_POOL_2D on integers, one output at a time. Layout: [N, H, W, C].

Input and output share scale and zero point, and neither matters.
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.window import taps


def window_of(rules: Rules, question: Question, index: Index) -> list[Number | None]:
    """The elements of the window of an output, row by row; None where it is outside of the image."""
    image, options = question.input(0), question.options
    n, y, x, c = index
    size = options["filter_height"], options["filter_width"]
    return [
        None if row is None or column is None else image.at(n, row, column, c)
        for _, _, row, column in taps(rules, question, image.shape[1:3], size, y, x)
    ]


def _clamp(rules: Rules, question: Question, x: int) -> int:
    output = question.outputs[0]
    return rules.clamp(x, *rules.activation_bounds(question.options["fused_activation_function"], output))


def average_pool_2d_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(sum of the window / number of its elements inside the image), ties away from zero. (Q16)

    Source: `tflite/kernels/internal/reference/integer_ops/pooling.h`, AveragePool; `reference/pooling.h`.
    """
    window = window_of(rules, question, index)
    # accumulate
    total = rules.integer_sum([int(q) for q in rules.window_elements(window)])
    # rescale
    average = rules.average(total, rules.window_count(window))
    # clamp
    return _clamp(rules, question, average)


def max_pool_2d_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(largest element of the window).                                               (Q17)

    Source: `tflite/kernels/internal/reference/integer_ops/pooling.h`, MaxPool; `reference/pooling.h`.
    """
    integers = [int(q) for q in rules.window_elements(window_of(rules, question, index))]
    # accumulate
    largest = rules.largest(integers, question.input(0).limits[0])
    rules.write("accumulate", "largest", largest, "the largest of {}", integers)
    # clamp
    return _clamp(rules, question, largest)


INTEGER: dict[str, Element] = {"AVERAGE_POOL_2D": average_pool_2d_integer, "MAX_POOL_2D": max_pool_2d_integer}
