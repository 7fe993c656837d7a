"""MEAN, SUM, REDUCE_MAX and REDUCE_MIN on integers, one output at a time."""

from __future__ import annotations

from ptq.spec.axes import reduced_count, reduced_elements
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def _sum(rules: Rules, question: Question, index: Index) -> int:
    """The sum of q - z over the axes, in int32."""
    # accumulate
    terms = [int(x) for x in reduced_elements(question, index)]
    total = rules.integer_sum(terms)
    # subtract zero points
    return rules.centred_sum(total, len(terms), question.input(0).only_zero_point)


def _nothing(rules: Rules) -> int:
    return rules.write("clamp", "output", 0, "the integer 0, as there are no elements")


def mean_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(sum over the axes - n * zx) / n + z), by input_scale / output_scale.  (Q18)

    The mean of no elements is the integer 0.
    Source: `tflite/kernels/internal/reference/reduce.h`, QuantizedMeanOrSum.
    """
    x, output = question.input(0), question.outputs[0]
    if not x.size:
        return _nothing(rules)
    total = _sum(rules, question, index)
    # rescale
    factor = rules.reduction_factor(x.only_scale, output.only_scale)
    scaled = rules.mean_of_sum(total, reduced_count(question), factor)
    # clamp
    return rules.finish(scaled, output.only_zero_point, rules.type_limits(output))


def sum_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(sum over the axes - n * zx) + z), by input_scale / output_scale.

    Source: `tflite/kernels/internal/reference/reduce.h`, QuantizedMeanOrSum.
    """
    x, output = question.input(0), question.outputs[0]
    if not x.size:
        return _nothing(rules)
    total = _sum(rules, question, index)
    # rescale
    scaled = rules.rescale(total, rules.reduction_factor(x.only_scale, output.only_scale))
    # clamp
    return rules.finish(scaled, output.only_zero_point, rules.type_limits(output))


def reduce_max_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the largest element over the axes; the lowest integer for none.

    Source: `tflite/kernels/reduce.cc`, EvalType; `reference/reduce.h`, ReduceGeneric.
    """
    integers = [int(x) for x in reduced_elements(question, index)]
    largest = rules.largest(integers, question.input(0).limits[0])
    return rules.write("accumulate", "output", largest, "the largest of {}", integers)


def reduce_min_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the smallest element over the axes; the highest integer for none.

    Source: as above.
    """
    integers = [int(x) for x in reduced_elements(question, index)]
    smallest = rules.smallest(integers, question.input(0).limits[1])
    return rules.write("accumulate", "output", smallest, "the smallest of {}", integers)


INTEGER: dict[str, Element] = {
    "MEAN": mean_integer,
    "SUM": sum_integer,
    "REDUCE_MAX": reduce_max_integer,
    "REDUCE_MIN": reduce_min_integer,
}
