"""Mistakes in where an element comes from: axes, permutations, paddings, parts, tables, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Index, Number, f32
from ptq.spec.rules.moving import Entry, row_major, unravelled


class NegativeAxisAsZero(Mistake):
    """takes a negative axis for the first one, where it counts from the end."""

    title = "negative axis taken for 0"

    def counted_axis(self, axis: int, rank: int) -> int:
        """max(axis, 0)."""
        return max(axis, 0)

    def added_axis(self, axis: int, rank: int) -> int:
        """max(axis, 0)."""
        return max(axis, 0)


class AddedAxisNotCounted(Mistake):
    """counts a negative new axis among those that the input has, one place too far in front."""

    title = "negative new axis one too far in front"

    def added_axis(self, axis: int, rank: int) -> int:
        """axis + rank."""
        return max(axis + rank, 0) if axis < 0 else axis


class DimensionsReversed(Mistake):
    """reads sizes, starts or paddings from the last dimension on, not from the first."""

    title = "dimensions from the last one on"

    def entry_of(self, vector: Sequence[Entry], axis: int) -> Entry:
        """vector[-1 - axis]."""
        return vector[-1 - axis]


class ColumnMajor(Mistake):
    """reshapes in column-major order, in which the first dimension runs fastest."""

    title = "column-major order"

    def reshaped_index(self, index: Index, shape: Index, source: Index) -> Index:
        """The same with all dimensions in reverse."""
        return super().reshaped_index(index[::-1], shape[::-1], source[::-1])[::-1]


class InversePermutation(Mistake):
    """applies the inverse of the permutation of TRANSPOSE."""

    title = "inverse permutation"

    def transposed_index(self, index: Index, permutation: Sequence[int]) -> Index:
        """Dimension i of the input is dimension permutation[i] of the output."""
        return tuple(index[axis] for axis in permutation)


class OneAxisReversed(Mistake):
    """turns the order round along the first axis alone that REVERSE_V2 names."""

    title = "reversed along one axis"

    def reversed_axes(self, axes: Sequence[int], rank: int) -> set[int]:
        """The first."""
        return super().reversed_axes(axes[:1], rank)


class AllAxesReversed(Mistake):
    """turns the order round along every axis, the whole memory backwards."""

    title = "reversed along all axes"

    def reversed_axes(self, axes: Sequence[int], rank: int) -> set[int]:
        """All."""
        return set(range(rank))


class PaddingBehind(Mistake):
    """swaps the paddings before and after."""

    title = "paddings before and after swapped"

    def amount_before(self, amounts: tuple[int, int]) -> int:
        """The second number."""
        return amounts[1]


class ElementsRepeated(Mistake):
    """repeats each element of TILE, where the whole row comes again and again."""

    title = "repeated, not tiled"

    def tiled_place(self, place: int, size: int, multiple: int) -> int:
        """place // multiple."""
        return place // multiple


class OneAfterTheOther(Mistake):
    """copies the operands of CONCATENATION one after the other into memory, whatever the axis."""

    title = "concatenated in memory"

    def concatenated_from(
        self, index: Index, shape: Index, axis: int, shapes: Sequence[Index]
    ) -> tuple[int, Index]:
        """By the place in memory."""
        place, number = row_major(index, shape), 0
        while place >= prod(shapes[number]):
            place -= prod(shapes[number])
            number += 1
        return number, unravelled(place, shapes[number])


class OperandsInTurn(Mistake):
    """takes the elements of the operands of CONCATENATION in turn."""

    title = "operands interleaved"

    def concatenated_from(
        self, index: Index, shape: Index, axis: int, shapes: Sequence[Index]
    ) -> tuple[int, Index]:
        """Operand place mod count."""
        place, number = divmod(index[axis], len(shapes))
        return number, (*index[:axis], place, *index[axis + 1 :])


class LeftOverAsNumber(Mistake):
    """counts the size -1 of SPLIT_V as -1 when it looks where the next part begins."""

    title = "-1 counted as a size"

    def part_sizes(self, size: int, wanted: Sequence[int]) -> list[int]:
        """As they are."""
        return list(wanted)


class PartsInTurn(Mistake):
    """deals the elements out to the parts in turn, where each part is a run."""

    title = "parts interleaved"

    def part_place(self, place: int, part: int, sizes: Sequence[int]) -> int:
        """place * count + part."""
        return place * len(sizes) + part


class BatchDimsIgnored(Mistake):
    """follows the indices of the first batch for all, as if batch_dims were 0."""

    title = "batch_dims ignored"

    def gathered_row(self, batch: Index, own: Index) -> Index:
        """Those of the first."""
        return (*(0 for _ in batch), *own)


class ChannelsOutside(Mistake):
    """takes the block's pixels of each channel together (CRD), where they are in turn (DCR)."""

    title = "blocks in the order CRD"

    def block_channel(self, i: int, j: int, c: int, block: int, depth: int) -> int:
        """(c * block + i) * block + j."""
        return (c * block + i) * block + j

    def block_place(self, channel: int, block: int, depth: int) -> tuple[int, int, int]:
        """The same the other way round."""
        c, pixel = divmod(channel, block * block)
        return *divmod(pixel, block), c


class ColumnsOutside(Mistake):
    """goes through the pixels of a block column by column."""

    title = "blocks column by column"

    def block_channel(self, i: int, j: int, c: int, block: int, depth: int) -> int:
        """(j * block + i) * depth + c."""
        return super().block_channel(j, i, c, block, depth)

    def block_place(self, channel: int, block: int, depth: int) -> tuple[int, int, int]:
        """The same the other way round."""
        j, i, c = super().block_place(channel, block, depth)
        return i, j, c


class MultiplesOfDelta(Mistake):
    """computes start + i * delta, which rounds twice, where RANGE adds delta again and again."""

    title = "multiples of delta"

    def range_terms(self, start: Number, delta: Number, count: int, type: str) -> list[Number]:
        """start + i * delta."""
        if type != "FLOAT32":
            return super().range_terms(start, delta, count, type)
        return [f32(start + f32(i * delta)) for i in range(count)]


MISTAKES = (
    NegativeAxisAsZero, AddedAxisNotCounted, DimensionsReversed, ColumnMajor, InversePermutation,
    OneAxisReversed, AllAxesReversed, PaddingBehind, ElementsRepeated, OneAfterTheOther, OperandsInTurn,
    LeftOverAsNumber, PartsInTurn, BatchDimsIgnored, ChannelsOutside, ColumnsOutside, MultiplesOfDelta,
)  # fmt: skip
