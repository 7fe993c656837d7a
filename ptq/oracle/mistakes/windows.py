"""Mistakes of where: windows, groups, channels, transposed matrices and batches."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Index


class PaddingInFront(Mistake):
    """puts the odd row of SAME padding in front of the image, not behind it."""

    title = "odd padding in front"

    def padding_before(self, total: int) -> int:
        """The larger half."""
        return total - total // 2


class PaddingOfStrideOne(Mistake):
    """pads as for a stride of 1, with half of the kernel on each side, whatever the stride is."""

    title = "padding of half a kernel"

    def same_padding(self, size: int, kernel: int, stride: int, dilation: int) -> int:
        """(kernel - 1) * dilation."""
        return (kernel - 1) * dilation


class PaddingWithoutDilation(Mistake):
    """computes SAME padding from the kernel without its dilation."""

    title = "padding without dilation"

    def same_padding(self, size: int, kernel: int, stride: int, dilation: int) -> int:
        """As if the dilation were 1."""
        return super().same_padding(size, kernel, stride, 1)


class SwappedStrides(Mistake):
    """takes the horizontal stride for the vertical one and the other way round."""

    title = "strides swapped"

    def strides(self, options: Mapping[str, Any]) -> tuple[int, int]:
        """(w, h)."""
        down, across = super().strides(options)
        return across, down


class SwappedDilations(Mistake):
    """takes the horizontal dilation for the vertical one and the other way round."""

    title = "dilations swapped"

    def dilations(self, options: Mapping[str, Any]) -> tuple[int, int]:
        """(w, h)."""
        down, across = super().dilations(options)
        return across, down


class NoDilation(Mistake):
    """ignores the dilation of the kernel."""

    title = "no dilation"

    def dilations(self, options: Mapping[str, Any]) -> tuple[int, int]:
        """1."""
        return 1, 1


class FlippedKernel(Mistake):
    """flips the kernel, as mathematicians convolve."""

    title = "kernel flipped"

    def kernel_row(self, tap: int, kernel: int) -> int:
        """From the other end."""
        return kernel - 1 - tap


class TapsRising(Mistake):
    """adds the inputs that reach an output in the order of the kernel, not in that of the input."""

    title = "scattered in the order of the kernel"

    def scatter_order(self, sources: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The last input first."""
        return sources[::-1]


# --- channels -----------------------------------------------------------------------------------------


class InterleavedGroups(Mistake):
    """deals the outputs out to the groups one by one, not in runs."""

    title = "groups interleaved"

    def group_of(self, channel: int, outputs: int, groups: int) -> int:
        """channel mod groups."""
        return channel % groups


class OneGroup(Mistake):
    """reads the inputs of the first group for all outputs."""

    title = "first group for all"

    def group_of(self, channel: int, outputs: int, groups: int) -> int:
        """The first."""
        return 0


class MultiplierFirst(Mistake):
    """takes output channel o for c + m * channels, where it is c * multiplier + m."""

    title = "depthwise channels in another order"

    def depthwise_input(self, channel: int, outputs: int, channels: int) -> int:
        """channel mod channels."""
        return channel % channels


# --- matrices -----------------------------------------------------------------------------------------


class AdjXIgnored(Mistake):
    """reads the left matrix as if adj_x were the other way round."""

    title = "adj_x the other way round"

    def left_place(self, row: int, k: int, rows: int, inner: int, adjoint: bool) -> int:
        """The other layout."""
        return super().left_place(row, k, rows, inner, not adjoint)


class AdjYIgnored(Mistake):
    """reads the right matrix as if adj_y were the other way round."""

    title = "adj_y the other way round"

    def right_place(self, k: int, column: int, inner: int, columns: int, adjoint: bool) -> int:
        """The other layout."""
        return super().right_place(k, column, inner, columns, not adjoint)


class BatchesInTurn(Mistake):
    """takes the matrices of a shorter batch in turn, where they are broadcast along their dimensions."""

    title = "batches in turn"

    def matrix_of(self, batch: Index, full: Index, shape: Index) -> int:
        """The number of the output's matrix, modulo how many there are."""
        number = 0
        for i, size in zip(batch, full, strict=True):
            number = number * size + i
        return number % prod(shape)


MISTAKES = (
    PaddingInFront, PaddingOfStrideOne, PaddingWithoutDilation, SwappedStrides, SwappedDilations, NoDilation,
    FlippedKernel, TapsRising, InterleavedGroups, OneGroup, MultiplierFirst, AdjXIgnored, AdjYIgnored,
    BatchesInTurn,
)  # fmt: skip
