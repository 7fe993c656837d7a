"""SUM, MEAN, REDUCE_PROD, ..., ARG_MAX and ARG_MIN of reals and plain integers, one output at a time.

Over some of the axes a reduction starts at a neutral element, over all of them at the first element: the
difference shows in -0, NaN and infinities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod

from ptq.spec.axes import reduced_axes, reduced_elements
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.plain import REDUCE

GENERIC = f"tflite/kernels/reduce.cc, EvalType and ReduceAllDims; {REDUCE}, ReduceGeneric"


def _reduction(
    reduce: Callable[[Rules, list[Number], str, bool], Number], formula: str, docstring: str
) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        terms = reduced_elements(question, index)
        everything = question.once("everything", lambda: _over_everything(question))
        # accumulate
        value = reduce(rules, terms, question.input(0).type, everything)
        return rules.write(
            "accumulate", "output", value, formula, len(terms), terms=[(x,) for x in terms], source=GENERIC
        )

    element.__doc__ = docstring
    return element


def _over_everything(question: Question) -> bool:
    """Whether a reduction is over all axes, of something."""
    x = question.input(0)
    return len(reduced_axes(question)) == len(x.shape) and x.size > 0


def mean(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = sum over the axes / number of elements summed; of integers rounded toward zero.      (Q18)

    The mean of no elements is NaN, or 0. Source: `tflite/kernels/internal/reference/reduce.h`, Mean.
    """
    x, terms = question.input(0), reduced_elements(question, index)
    if not x.size:
        nothing: Number = math.nan if x.type == "FLOAT32" else 0
        return rules.write("divide", "output", nothing, "the mean of no elements")
    # accumulate, divide
    return rules.mean_of(terms, x.type)


# --- positions ------------------------------------------------------------------------------------


def _position(sign: int, docstring: str) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        x = question.input(0)
        axis = int(question.input(1).values[0]) % len(x.shape)
        line = [x.at(*index[:axis], i, *index[axis:]) for i in range(x.shape[axis])]
        # "~" turns the order of integers around, and of bool, without overflow; "-" that of floats
        signed = line if sign > 0 else [-v if isinstance(v, float) else -1 - v for v in line]
        in_lanes = x.type == "FLOAT32" and prod(x.shape[axis + 1 :]) == 1 and rules.has_lanes(len(line))
        find = rules.first_largest_in_lanes if in_lanes else rules.first_largest
        which = "largest" if sign > 0 else "smallest"
        rule = "four lanes" if in_lanes else ""
        return rules.write(
            "compare", "output", find(signed), f"position of the first {which} of {{}}", line, rule=rule,
            source="tflite/kernels/internal/optimized/optimized_ops.h, ArgMinMax",
        )  # fmt: skip

    element.__doc__ = docstring
    return element


FLOAT: dict[str, Element] = {
    "SUM": _reduction(
        lambda rules, terms, type, everything: rules.sum_of(terms, type, rules.start_of(0, everything)),
        "sum of {} elements in order",
        'output = the sum over the axes, in the order of memory; of bool "or".',
    ),
    "REDUCE_ANY": _reduction(
        lambda rules, terms, type, everything: rules.sum_of(terms, type, rules.start_of(0, everything)),
        "whether any of {} elements is true",
        "output = whether any element over the axes is true.",
    ),
    "REDUCE_PROD": _reduction(
        lambda rules, terms, type, _: rules.product_of(terms, type),
        "product of {} elements in order",
        'output = the product over the axes, in the order of memory; of bool "and".',
    ),
    "REDUCE_MAX": _reduction(
        lambda rules, terms, type, everything: rules.largest_of(
            terms, rules.start_of(rules.lowest(type), everything)
        ),
        "the largest of {} elements",
        "output = the largest element over the axes; of equal ones the first.",
    ),
    "REDUCE_MIN": _reduction(
        lambda rules, terms, type, everything: rules.smallest_of(
            terms, rules.start_of(rules.highest(type), everything)
        ),
        "the smallest of {} elements",
        "output = the smallest element over the axes; of equal ones the first.",
    ),
    "MEAN": mean,
    "ARG_MAX": _position(1, "output = the position of the first largest element along the axis."),
    "ARG_MIN": _position(-1, "output = the position of the first smallest element along the axis."),
}
