"""Operators that look elements up, repeat them, or make a tensor out of its size: one output at a time."""

from __future__ import annotations

from ptq.spec.movement import integers, moved
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def gather(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[b..., o..., i..., r...] = input[b..., o..., indices[b..., i...], r...].

    b: the first `batch_dims` dimensions, which input and indices share; o, r: those of the input before and
    after `axis`. Source: `tflite/kernels/internal/reference/gather.h`, Gather.
    """
    x, indices = question.input(0), question.input(1)
    axis = rules.counted_axis(question.options["axis"], len(x.shape))
    shared = rules.shared_dimensions(question.options["batch_dims"], len(indices.shape))
    after = axis + len(indices.shape) - shared
    row = int(rules.element_at(indices, rules.gathered_row(index[:shared], index[axis:after])))
    return moved(rules, question, 0, (*index[:axis], row, *index[after:]))


def tile(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[i, ...] = input[i mod size, ...]: the input as many times as input 1 says, side by side.

    Source: `tflite/kernels/tile.cc`, TileOneDimension.
    """
    multiples, shape = integers(question, 1), question.input(0).shape
    return moved(
        rules, question, 0,
        tuple(
            rules.tiled_place(i, size, multiple)
            for i, size, multiple in zip(index, shape, multiples, strict=True)
        ),
    )  # fmt: skip


def broadcast_to(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the input, whose missing dimensions and those of size 1 are repeated.

    Source: `tflite/kernels/internal/reference/broadcast_to.h`, BroadcastTo.
    """
    return moved(rules, question, 0, rules.broadcast_index(question.input(0).shape, index))


def depth_to_space(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[n, y * b + i, x * b + j, c] = input[n, y, x, (i * b + j) * C + c], b = block_size.

    Source: `tflite/kernels/internal/reference/depth_to_space.h`, DepthToSpace.
    """
    block, depth = question.options["block_size"], question.outputs[0].shape[3]
    n, row, column, c = index
    (y, i), (x, j) = divmod(row, block), divmod(column, block)
    return moved(rules, question, 0, (n, y, x, rules.block_channel(i, j, c, block, depth)))


def space_to_depth(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[n, y, x, (i * b + j) * C + c] = input[n, y * b + i, x * b + j, c], b = block_size.

    Source: `tflite/kernels/internal/reference/space_to_depth.h`, SpaceToDepth.
    """
    block, depth = question.options["block_size"], question.input(0).shape[3]
    n, y, x, channel = index
    i, j, c = rules.block_place(channel, block, depth)
    return moved(rules, question, 0, (n, y * block + i, x * block + j, c))


# --- out of nothing but a size --------------------------------------------------------------------


def shape(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[i] = the size of dimension i of the input. Source: `tflite/kernels/shape.cc`, Prepare."""
    size = rules.entry_of(question.input(0).shape, index[0])
    return rules.write("move", "output", size, "size of dimension {}", index[0])


def fill(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = the one element of input 1 everywhere.

    Source: `tflite/kernels/internal/reference/fill.h`, Fill.
    """
    return rules.write("move", "output", question.input(1).values[0], "value")


def zeros_like(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = 0 everywhere. Source: `tflite/kernels/zeros_like.cc`, Eval."""
    return rules.write("move", "output", 0)


def range_op(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output[0] = start, output[i] = output[i - 1] + delta: rounding errors of float32 add up.

    Source: `tflite/kernels/range.cc`, CalculateRange.
    """
    start, delta, output = question.input(0).values[0], question.input(2).values[0], question.outputs[0]
    terms = question.once("terms", lambda: rules.range_terms(start, delta, output.size, output.type))
    return rules.write(
        "accumulate",
        "output",
        terms[index[0]],
        "{}, and {} added {} times, one by one",
        start,
        delta,
        index[0],
    )


FLOAT: dict[str, Element] = {
    "GATHER": gather,
    "TILE": tile,
    "BROADCAST_TO": broadcast_to,
    "DEPTH_TO_SPACE": depth_to_space,
    "SPACE_TO_DEPTH": space_to_depth,
    "SHAPE": shape,
    "FILL": fill,
    "ZEROS_LIKE": zeros_like,
    "RANGE": range_op,
}
