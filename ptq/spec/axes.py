"""Which elements of a tensor a reduction over axes turns into one: MEAN, SUM, REDUCE_MAX, ..."""

from __future__ import annotations

from itertools import product
from math import prod

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question


def reduced_axes(question: Question) -> set[int]:
    """The axes of input 0 that input 1 names, counted from the front; a scalar has none."""
    rank = len(question.input(0).shape)
    return {int(axis) % rank for axis in question.input(1).values} if rank else set()


def reduced_count(question: Question) -> int:
    """How many elements make one of the output."""
    return prod(question.input(0).shape[axis] for axis in reduced_axes(question))


def reduced_elements(question: Question, index: Index) -> list[Number]:
    """The elements of input 0 that make the output at `index`, in the order of memory."""
    x, axes = question.input(0), question.once("axes", lambda: reduced_axes(question))
    if question.options["keep_dims"] and x.shape:
        kept = {axis: place for axis, place in enumerate(index) if axis not in axes}
    else:
        kept = dict(zip((axis for axis in range(len(x.shape)) if axis not in axes), index, strict=True))
    ranges = [[kept[axis]] if axis in kept else range(size) for axis, size in enumerate(x.shape)]
    return [x.at(*place) for place in product(*ranges)]
