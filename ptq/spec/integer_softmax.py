"""SOFTMAX and LOG_SOFTMAX on integers, one output at a time, along the last axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ptq.spec.numbers import Index, Number, divide, f32
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.exponentials import BEYOND, Reach
from ptq.spec.rules.lookup import Points

Distances = tuple[int, Sequence[int], int]
"""The number of a row, the distances of its integers from the largest one, and that of an element."""


def _distances(rules: Rules, question: Question, index: Index) -> Distances:
    """How far an integer and those beside it are below the largest one of the row."""
    q = question.input(0)
    length = q.shape[-1]
    row = q.position(index) // length
    integers = [int(x) for x in q.values[row * length : (row + 1) * length]]
    largest = rules.row_reference(integers, q.limits[1])
    rules.write("subtract maximum", "largest", largest, "the largest of {}", integers, key=row)
    own = integers[index[-1]]
    distance = rules.write("subtract maximum", "distance", largest - own, "{} - {}", largest, own)
    return row, [largest - x for x in integers], distance


def _sum(rules: Rules, question: Question, distances: Sequence[int], reach: Reach, row: int) -> int:
    """The sum of the exponentials of a row."""

    def exponential(distance: int) -> int:
        return question.once(
            ("exponential", distance), lambda: rules.exponential(rules.scaled_distance(distance, reach))
        )

    with rules.quietly():
        terms = [exponential(d) for d in distances]
    return rules.sum_of_exponentials(terms, row)


def softmax_integer(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """output = e^(-d) / sum of the same, where d is the distance to the largest of the row.        (Q38)

    Source: `tflite/kernels/internal/reference/softmax.h`, Softmax (quantized).
    """
    q = question.input(0)
    if q.type == "INT16":
        return softmax_int16(rules, question, output, index)
    reach = rules.distance_reach(rules.scale_times_beta(question.options["beta"], q.only_scale))
    # subtract maximum
    row, distances, distance = _distances(rules, question, index)
    # exponentials, and their sum
    exponential = rules.exponential(rules.scaled_distance(distance, reach))
    total = _sum(rules, question, distances, reach, row)
    # divide
    lowest, highest = question.outputs[0].limits
    probability = rules.probability(exponential, total, (highest - lowest).bit_length(), row)
    # clamp
    return rules.finish(probability, lowest, rules.type_limits(question.outputs[0]))


def log_softmax_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = -d - ln(sum of e^(-d)), where d is the distance to the largest of the row, in steps of 1/16.

    Source: `tflite/kernels/internal/reference/log_softmax.h`, LogSoftmaxQuantized.
    """
    q, output = question.input(0), question.outputs[0]
    reach = rules.distance_reach(q.only_scale)
    # subtract maximum
    row, distances, distance = _distances(rules, question, index)
    # the sum of exponentials, and its logarithm
    scaled = rules.scaled_distance(distance, reach)
    logarithm = rules.logarithm(_sum(rules, question, distances, reach, row), row)
    # subtract
    lowest, highest = rules.type_limits(output)
    steps = rules.log_probability(BEYOND if scaled is None else scaled, logarithm)
    total = rules.add_zero_point(steps, output.limits[1])
    # clamp, and leave out what the fixed point of the difference does not hold
    if -distance <= rules.lowest_difference(logarithm, reach, row):
        formula = "the lowest integer, as {} is beyond all that differs"
        return rules.write("clamp", "output", lowest, formula, distance)
    return rules.clamp(total, lowest, highest)


# --- 16 bits ----------------------------------------------------------------------------------------


def _inverse_of_one_more(x: float, number: Callable[[float], float]) -> float:
    return number(divide(1.0, number(1 + x)))


def tables_of(rules: Rules) -> tuple[Points, Points]:
    """e^x for x in [-10, 0], and 1 / (1 + x) for x in [0, 1]: of doubles; in micro of floats.

    Source: `tflite/kernels/activations.cc`, SoftmaxPrepare; tflite-micro, `softmax_common.cc`,
    InitializeLutForInt16.
    """
    double = rules.tables_in_double()
    number = float if double else f32
    unit, half, ten = number(1 / 65535), number(2 / 65535), number(10 / 65535)
    return (
        Points(ten, 32767, half, math.exp if double else rules.expf, number),
        Points(unit, -32768, half, lambda x: _inverse_of_one_more(x, number), number),
    )


def softmax_int16(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = e^(-d) / sum of the same on int16: e^x and 1 / (1 + x) are tables.

    Source: `tflite/kernels/internal/reference/softmax.h`, SoftmaxInt16.
    """
    q = question.input(0)
    factor = rules.int16_factor(question.options["beta"], q.only_scale)
    exponential, inverse = tables_of(rules)

    def point(points: Points, step: int) -> int:
        return question.once((points.input_zero_point, step), lambda: rules.point(points, step))

    def power(distance: int) -> int:
        place = rules.table_place(rules.rescale(-distance, factor))
        return rules.interpolate(place, lambda step: point(exponential, step), "exponential")

    # subtract maximum
    row, distances, distance = _distances(rules, question, index)
    # exponentials, and their sum
    own = power(distance)
    with rules.quietly():
        terms = [power(d) for d in distances]
    total = rules.sum_of_tabled(terms, row)
    # divide
    headroom = 31 - total.bit_length()
    mantissa = rules.mantissa_of_sum(total, headroom)
    rules.write("divide", "mantissa", mantissa, "round({} * 2^{} / 2^14)", total, headroom, key=row)
    place = rules.table_place(mantissa - (1 << 15) - (1 << 16) - 32767)
    reciprocal = rules.interpolate(place, lambda step: point(inverse, step), "reciprocal", row)
    probability = rules.probability_int16(own, reciprocal, 30 - headroom)
    # clamp
    return rules.clamp(probability, 0, 32767)


INTEGER: dict[str, Element] = {"SOFTMAX": softmax_integer, "LOG_SOFTMAX": log_softmax_integer}
