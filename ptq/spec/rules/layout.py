"""Which element of a tensor an operator means: windows, groups, channels, transposed matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptq.spec.numbers import Index
from ptq.spec.rules.core import Written


class Layout(Written):
    """The rules by which outputs find their operands."""

    # --- windows ----------------------------------------------------------------------------------

    def strides(self, options: Mapping[str, Any]) -> tuple[int, int]:
        """The steps of a window down and to the right."""
        return options["stride_h"], options["stride_w"]

    def dilations(self, options: Mapping[str, Any]) -> tuple[int, int]:
        """The steps between the elements of a window, down and to the right."""
        return options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1)

    def same_padding(self, size: int, kernel: int, stride: int, dilation: int) -> int:
        """How many rows SAME adds, on both sides together, so that ceil(size / stride) windows fit.

        Source: `tflite/kernels/padding.h`, ComputePaddingWithOffset.
        """
        outputs = -(-size // stride)
        return max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)

    def padding_before(self, total: int) -> int:
        """How many of the added rows stand in front: the odd one stands behind the image."""
        return total // 2

    # --- channels ---------------------------------------------------------------------------------

    def channel_of(self, index: Index, channels: int) -> int:
        """The channel of an output, whose scale its weights have: its last index; of that many channels."""
        return index[-1]

    def group_of(self, channel: int, outputs: int, groups: int) -> int:
        """The group of inputs that an output channel reads: the first outputs / groups outputs the first."""
        return channel // (outputs // groups)

    def depthwise_input(self, channel: int, outputs: int, channels: int) -> int:
        """The input channel c of output channel o = c * multiplier + m."""
        return channel // (outputs // channels)

    # --- scattering -------------------------------------------------------------------------------

    def scattered_from(self, output: int, tap: int, stride: int, before: int) -> int | None:
        """The input y whose tap reaches an output: y * stride = output + before - tap; None if none does."""
        y, rest = divmod(output + before - tap, stride)
        return None if rest else y

    def kernel_row(self, tap: int, kernel: int) -> int:
        """The row of the kernel that stands for a tap: the kernel is not flipped."""
        return tap

    def scatter_order(self, sources: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The inputs that reach an output, in the order in which they are added: that of the input."""
        return sources

    # --- rows of tables ---------------------------------------------------------------------------

    def looked_up_scale(self, row: int, position: int, rows: int) -> int:
        """Which scale an element of a table of so many rows has: that of its row, wherever it is written."""
        return row

    # --- matrices ---------------------------------------------------------------------------------

    def left_place(self, row: int, k: int, rows: int, inner: int, adjoint: bool) -> int:
        """Where element (row, k) of a left matrix [rows, inner] is stored: as [inner, rows] if adjoint."""
        return k * rows + row if adjoint else row * inner + k

    def right_place(self, k: int, column: int, inner: int, columns: int, adjoint: bool) -> int:
        """Where element (k, column) of a right matrix [inner, columns] is: as [columns, inner] if adjoint."""
        return column * inner + k if adjoint else k * columns + column

    def matrix_of(self, batch: Index, full: Index, shape: Index) -> int:
        """Which matrix of an operand with batch dimensions `shape` meets in matrix `batch` of the output.

        Dimensions are aligned at the last; along those of size 1 there is only the first. full: those of
        the output.
        """
        number = 0
        for i, size in zip(batch[len(batch) - len(shape) :], shape, strict=True):
            number = number * size + (0 if size == 1 else i)
        return number
