"""Operators that take a tensor apart: any type, no rounding, one output at a time."""

from __future__ import annotations

from itertools import product

from ptq.spec.movement import at_place, integers, moved
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.striding import Term


def split(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """Part `output` of the equal parts of input 1 along the axis in input 0.

    Source: `tflite/kernels/split.cc`, Eval; `internal/reference/reference_ops.h`, Split.
    """
    x = question.input(1)
    axis = rules.counted_axis(integers(question, 0)[0], len(x.shape))
    count = question.options["num_splits"]
    sizes = [x.shape[axis] // count] * count
    return moved(rules, question, 1, at_place(index, axis, rules.part_place(index[axis], output, sizes)))


def split_v(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """Part `output` of the parts of input 0 along the axis in input 2, whose sizes are in input 1.

    Source: `tflite/kernels/split_v.cc`, ResizeOutputTensors and Eval.
    """
    x = question.input(0)
    axis = rules.counted_axis(integers(question, 2)[0], len(x.shape))
    sizes = rules.part_sizes(x.shape[axis], integers(question, 1))
    return moved(rules, question, 0, at_place(index, axis, rules.part_place(index[axis], output, sizes)))


def unpack(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """output k = input[..., k, ...] along `axis`, without that dimension.

    Source: `tflite/kernels/internal/reference/reference_ops.h`, Unpack.
    """
    axis = rules.counted_axis(question.options["axis"], len(question.input(0).shape))
    return moved(rules, question, 0, (*index[:axis], output, *index[axis:]))


def slice_op(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[i, ...] = input[begin[0] + i, ...].

    Source: `tflite/kernels/internal/reference/slice.h`, Slice.
    """
    begin = integers(question, 1)
    return moved(rules, question, 0, tuple(rules.entry_of(begin, axis) + i for axis, i in enumerate(index)))


def strided_slice(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """What loops over the ranges begin, begin + stride, ... before end of each dimension meet, in order.

    Source: `tflite/kernels/strided_slice.cc`, BuildStridedSliceParams; `internal/reference/strided_slice.h`,
    StridedSlice.
    """
    places = question.once("places", lambda: list(product(*_ranges(rules, question))))
    position = question.outputs[0].position(index)
    value = rules.written_element(question.input(0), places, position)
    place = places[position] if position < len(places) else ()
    return rules.write("move", "output", value, "input{}", list(place))


MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _ranges(rules: Rules, question: Question) -> list[range]:
    """What is taken of each dimension of the input: the terms in order, an ellipsis for those between."""
    shape, options = question.input(0).shape, question.options
    begin, end, strides = (integers(question, position) for position in (1, 2, 3))
    vectors = list(zip(begin, end, strides, strict=True))

    def bits(term: int) -> list[bool]:
        dimension = min(len(ranges), len(shape) - 1)
        return [rules.mask_bit(name, options[name], term, dimension) for name in MASKS]

    ranges: list[range] = []
    for number, vector in enumerate(vectors):
        open_begin, open_end, ellipsis, new_axis, single = bits(number)
        if ellipsis:
            named = sum(not any(bits(later)[2:4]) for later in range(number + 1, len(vectors)))
            ranges += [range(size) for size in shape[len(ranges) : len(shape) - named]]
        elif not new_axis and len(ranges) < len(shape):
            term = Term(*vector, open_begin, open_end)
            ranges.append(_range(rules, term, shape[len(ranges)], single, options["offset"]))
    return [*ranges, *(range(size) for size in shape[len(ranges) :])]


def _range(rules: Rules, term: Term, size: int, single: bool, offset: bool) -> range:
    """The elements of a dimension that one term takes."""
    if single:
        return rules.single_element(term, size)
    start = rules.strided_start(term, size)
    if offset and not term.open_end:
        term = rules.moved_end(start, term)
    return range(start, rules.strided_stop(term, size), term.stride)


FLOAT: dict[str, Element] = {
    "SPLIT": split,
    "SPLIT_V": split_v,
    "UNPACK": unpack,
    "SLICE": slice_op,
    "STRIDED_SLICE": strided_slice,
}
