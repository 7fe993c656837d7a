"""Where an output comes from, of an operator that only moves elements: axes, permutations, parts, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Operand
from ptq.spec.rules.core import Written

Entry = TypeVar("Entry")


def row_major(index: Index, shape: Index) -> int:
    """The place of an index in row-major order."""
    place = 0
    for i, size in zip(index, shape, strict=True):
        place = place * size + i
    return place


def unravelled(position: int, shape: Index) -> Index:
    """The index of a place in row-major order."""
    index = []
    for size in reversed(shape):
        position, i = divmod(position, size)
        index.append(i)
    return tuple(reversed(index))


class Moving(Written):
    """The rules of the operators that move, repeat and cut out elements of any type."""

    def element_at(self, operand: Operand, index: Index) -> Number:
        """An element of an operand, which the index lies in."""
        return operand.at(*index)

    # --- axes -------------------------------------------------------------------------------------

    def counted_axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front: a negative one counts from the end."""
        return axis % rank

    def added_axis(self, axis: int, rank: int) -> int:
        """A new axis beside `rank` others: a negative one counts from the end of the result."""
        return axis % (rank + 1)

    def entry_of(self, vector: Sequence[Entry], axis: int) -> Entry:
        """What a vector of sizes, starts or paddings says about an axis: the first entry is about axis 0."""
        return vector[axis]

    def reversed_axes(self, axes: Sequence[int], rank: int) -> set[int]:
        """The axes along which REVERSE_V2 turns the order round: all that it names."""
        return {self.counted_axis(axis, rank) for axis in axes}

    # --- memory -----------------------------------------------------------------------------------

    def reshaped_index(self, index: Index, shape: Index, source: Index) -> Index:
        """Where an element of `shape` stood in `source`: at the same place in row-major order."""
        return unravelled(row_major(index, shape), source)

    def transposed_index(self, index: Index, permutation: Sequence[int]) -> Index:
        """Where an output of TRANSPOSE stood: its dimension i was dimension permutation[i]."""
        source = [0] * len(index)
        for i, axis in zip(index, permutation, strict=True):
            source[axis] = i
        return tuple(source)

    def amount_before(self, amounts: tuple[int, int]) -> int:
        """How many elements of padding stand in front: the first of the two numbers."""
        return amounts[0]

    def tiled_place(self, place: int, size: int, multiple: int) -> int:
        """Which of `size` elements TILE has at a place: the whole row comes again and again."""
        return place % size

    # --- parts ------------------------------------------------------------------------------------

    def concatenated_from(
        self, index: Index, shape: Index, axis: int, shapes: Sequence[Index]
    ) -> tuple[int, Index]:
        """Which operand of CONCATENATION an output comes from, and from where in it.

        shape: of the output. shapes: of the operands, which follow one another along the axis.
        """
        place, number = index[axis], 0
        while place >= shapes[number][axis] and number + 1 < len(shapes):
            place -= shapes[number][axis]
            number += 1
        return number, (*index[:axis], place, *index[axis + 1 :])

    def packed_operand(self, place: int, count: int) -> int:
        """Which of `count` operands of PACK an output comes from: the one of its place along the new axis."""
        return place

    def part_sizes(self, size: int, wanted: Sequence[int]) -> list[int]:
        """The sizes of the parts of SPLIT_V: -1 stands for what the others leave."""
        left = size - sum(n for n in wanted if n != -1)
        return [left if n == -1 else n for n in wanted]

    def part_place(self, place: int, part: int, sizes: Sequence[int]) -> int:
        """Where an element of a part stood along the axis: the parts follow one another."""
        return [0, *accumulate(sizes)][part] + place

    # --- tables -----------------------------------------------------------------------------------

    def shared_dimensions(self, batch_dims: int, rank: int) -> int:
        """How many dimensions the table of GATHER shares with its indices, which have `rank` of them."""
        return batch_dims + rank if batch_dims < 0 else batch_dims

    def gathered_row(self, batch: Index, own: Index) -> Index:
        """Which of the indices an output of GATHER follows: those of its own batch."""
        return (*batch, *own)

    # --- blocks of pixels -------------------------------------------------------------------------

    def block_channel(self, i: int, j: int, c: int, block: int, depth: int) -> int:
        """Where channel c of pixel (i, j) of a block goes: the block's pixels one after the other."""
        return (i * block + j) * depth + c

    def block_place(self, channel: int, block: int, depth: int) -> tuple[int, int, int]:
        """Row, column and channel in a block, the other way round."""
        pixel, c = divmod(channel, depth)
        return *divmod(pixel, block), c

    # --- ranges -----------------------------------------------------------------------------------

    def range_terms(self, start: Number, delta: Number, count: int, type: str) -> list[Number]:
        """start, start + delta, start + delta + delta, ...: the last sum plus delta, in float32 for reals."""
        terms = [start]
        while len(terms) < count:
            total = terms[-1] + delta
            terms.append(f32(total) if type == "FLOAT32" else total)
        return terms[:count]
