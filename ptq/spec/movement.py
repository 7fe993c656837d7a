"""Operators that move elements and compute nothing: any type, no rounding, one output at a time."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import LIMITS, Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def moved(rules: Rules, question: Question, position: int, index: Index, name: str = "input") -> Number:
    """The element of an operand that an output is a copy of, written down as such."""
    value = rules.element_at(question.input(position), index)
    return rules.write("move", "output", value, name + "{}", list(index))


def integers(question: Question, position: int) -> list[int]:
    """The numbers of an operand that holds axes, sizes or starts."""
    return [int(value) for value in question.input(position).values]


def without(index: Index, axis: int) -> Index:
    """An index without one of its entries."""
    return (*index[:axis], *index[axis + 1 :])


def at_place(index: Index, axis: int, place: int) -> Index:
    """An index with another entry along an axis."""
    return (*index[:axis], place, *index[axis + 1 :])


# --- the same elements in another shape -----------------------------------------------------------


def _copied(what: str, source: str) -> Element:
    def element(rules: Rules, question: Question, _: int, index: Index) -> Number:
        shape, before = question.outputs[0].shape, question.input(0).shape
        return moved(rules, question, 0, rules.reshaped_index(index, shape, before))

    element.__doc__ = f"The elements of input 0 in their order in memory, {what}. Source: `{source}`."
    return element


def transpose(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output dimension i = dimension permutation[i] of the input.

    Source: `tflite/kernels/internal/reference/transpose.h`, Transpose.
    """
    rank = len(index)
    axes = [rules.counted_axis(axis, rank) for axis in integers(question, 1)]
    return moved(rules, question, 0, rules.transposed_index(index, axes))


def reverse(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[..., i, ...] = input[..., size - 1 - i, ...] along each of the axes.

    Source: `tflite/kernels/reverse.cc`, Eval; `internal/reference/reference_ops.h`, Reverse.
    """
    shape = question.input(0).shape
    axes = rules.reversed_axes(integers(question, 1), len(shape))
    source = [n - 1 - i if axis in axes else i for axis, (i, n) in enumerate(zip(index, shape, strict=True))]
    return moved(rules, question, 0, tuple(source))


# --- padding --------------------------------------------------------------------------------------


def _inside(rules: Rules, question: Question, index: Index) -> Index | None:
    """Where an output stood before padding; None where it is padding."""
    amounts = integers(question, 1)
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    source = [i - rules.amount_before(rules.entry_of(pairs, axis)) for axis, i in enumerate(index)]
    inside = all(0 <= i < n for i, n in zip(source, question.input(0).shape, strict=True))
    return tuple(source) if inside else None


def pad(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = input inside of the paddings, outside of it 0, or the zero point, which stands for 0.

    Source: `tflite/kernels/pad.cc`, Eval; `internal/reference/pad.h`, Pad.
    """
    source, output = _inside(rules, question, index), question.outputs[0]
    if source is not None:
        return moved(rules, question, 0, source)
    if output.type in LIMITS and output.zero_point:
        value = rules.padding_value(output.only_zero_point)
        return rules.write("move", "output", value, "padding, zero point {}", output.only_zero_point)
    return rules.write("move", "output", 0, "padding")


def padv2(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = input inside of the paddings, outside of it the one element of input 2.

    Source: `tflite/kernels/pad.cc`, Eval; `internal/reference/pad.h`, Pad.
    """
    source = _inside(rules, question, index)
    if source is not None:
        return moved(rules, question, 0, source)
    return rules.write("move", "output", question.input(2).values[0], "padding")


# --- several tensors in one -----------------------------------------------------------------------


def concatenation(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """The inputs one after the other along `axis`.

    Source: `tflite/kernels/internal/reference/concatenation.h`, Concatenation.
    """
    shapes = [question.input(position).shape for position in range(len(question.inputs))]
    axis = rules.counted_axis(question.options["axis"], len(index))
    number, source = rules.concatenated_from(index, question.outputs[0].shape, axis, shapes)
    return moved(rules, question, number, source, f"input {number} ")


def pack(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[..., k, ...] = input k, along a new dimension `axis`.

    Source: `tflite/kernels/internal/reference/reference_ops.h`, Pack.
    """
    axis = rules.added_axis(question.options["axis"], len(question.input(0).shape))
    number = rules.packed_operand(index[axis], len(question.inputs))
    return moved(rules, question, number, without(index, axis), f"input {number} ")


FLOAT: dict[str, Element] = {
    "RESHAPE": _copied("in another shape", "tflite/kernels/reshape.cc, Eval"),
    "SQUEEZE": _copied("without dimensions of size 1", "tflite/kernels/squeeze.cc, SqueezeEval"),
    "EXPAND_DIMS": _copied("with a dimension of size 1 more", "tflite/kernels/expand_dims.cc, Eval"),
    "TRANSPOSE": transpose,
    "REVERSE_V2": reverse,
    "PAD": pad,
    "PADV2": padv2,
    "CONCATENATION": concatenation,
    "PACK": pack,
}
