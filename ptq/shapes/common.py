"""What the rules of shape inference share: how they read operands, and the sizes that several need."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor

Shape = tuple[int, ...]
Inputs = Sequence[Tensor | None]
Rule = Callable[[Operator, Inputs], list[Shape]]
"""The shapes of an operator's outputs, given the operator and its input tensors."""


def window_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """How many positions a sliding window has along a dimension of `size` elements; 0 if none fits.

    SAME:  out = ceil(size / stride)
    VALID: out = floor((size + stride - extent) / stride),  extent = (kernel - 1) * dilation + 1
    Raises ShapeError for another padding or numbers below 1.
    Source: `tflite/kernels/padding.h`, ComputeOutSize.
    """
    if min(kernel, stride, dilation) < 1:
        raise ShapeError(
            f"sliding window: kernel {kernel}, stride {stride}, dilation {dilation} found; "
            "expected positive numbers"
        )
    if padding == "SAME":
        return -(-size // stride)
    if padding == "VALID":
        return max((size + stride - (kernel - 1) * dilation - 1) // stride, 0)
    raise ShapeError(f"sliding window: padding {padding!r} found, expected 'SAME' or 'VALID'")


def broadcast_shapes(a: Shape, b: Shape) -> Shape | None:
    """The shape in which arrays of shapes `a` and `b` meet, aligned at the last dimension, or None."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    out = [x if y == 1 else y if x == 1 or x == y else -1 for x, y in pairs]
    return None if -1 in out else tuple(out)


def resolve_reshape(size: int, wanted: Sequence[int]) -> Shape | None:
    """`wanted` with its one -1 replaced so that the shape has `size` elements; None if that is impossible.

    Source: `tflite/kernels/internal/reshape_utils.h`, ResolveOutputShape.
    """
    known = math.prod(n for n in wanted if n != -1)
    if min(wanted, default=0) < -1 or list(wanted).count(-1) > 1:
        return None
    if -1 in wanted:
        stretched = size // known if known else 0
        if stretched * known != size:
            return None
        return tuple(stretched if n == -1 else int(n) for n in wanted)
    return tuple(map(int, wanted)) if known == size else None


def resolve_axes(axes: Sequence[int], rank: int) -> tuple[int, ...] | None:
    """Axes counted from the front, sorted and each once; None if one is out of range."""
    if any(not -rank <= axis < rank for axis in axes):
        return None
    return tuple(sorted({int(axis) % rank for axis in axes}))


def resolve_axis(operator: str, axis: int, rank: int) -> int:
    """One axis counted from the front; ShapeError if there is none such."""
    if not -rank <= axis < rank:
        raise ShapeError(f"{operator}: axis {axis} found, expected one of {rank} dimensions")
    return int(axis) % rank


def squeezed_axes(shape: Shape, wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The axes that SQUEEZE removes: `wanted`, or all of size 1 if empty; None if one has another size."""
    if not len(wanted):
        return tuple(axis for axis, size in enumerate(shape) if size == 1)
    axes = resolve_axes(wanted, len(shape))
    return None if axes is None or any(shape[axis] != 1 for axis in axes) else axes


def input_tensor(operator: Operator, tensors: Inputs, position: int) -> Tensor:
    """A mandatory input; GraphError if it is absent."""
    tensor = tensors[position] if position < len(tensors) else None
    if tensor is None:
        raise GraphError(f"operator {operator.type}: input {position} is absent, expected a tensor")
    return tensor


def image_tensor(operator: Operator, tensors: Inputs) -> Tensor:
    """Input 0, which must have four dimensions."""
    image = input_tensor(operator, tensors, 0)
    if len(image.shape) != 4:
        refuse(operator, image, f"shape {image.shape}", "[batch, height, width, channels]")
    return image


def constant_values(operator: Operator, tensors: Inputs, position: int) -> list[int]:
    """The integers of a constant operand; UnsupportedError if it is computed at run time."""
    tensor = input_tensor(operator, tensors, position)
    if tensor.data is None:
        raise UnsupportedError(
            f"operator {operator.type}: input '{tensor.name}' is computed at run time; expected a constant, "
            "as the shape of the output depends on it"
        )
    if not np.issubdtype(tensor.data.dtype, np.integer):
        refuse(operator, tensor, f"type {tensor.type}", "INT32 or INT64")
    values: list[Any] = tensor.data.ravel().tolist()
    return values


def constant_value(operator: Operator, tensors: Inputs, position: int) -> int:
    """The integer of a constant operand with one element, such as an axis."""
    values = constant_values(operator, tensors, position)
    if len(values) != 1:
        tensor = input_tensor(operator, tensors, position)
        refuse(operator, tensor, f"{len(values)} integers", "a single one")
    return values[0]


def numbers(option: Sequence[int] | None) -> list[int]:
    """A vector of the options, which is None where a file has none."""
    return [] if option is None else [int(n) for n in option]


def refuse(operator: Operator, tensor: Tensor, found: str, expected: str) -> NoReturn:
    """Raise ShapeError, naming the tensor, what was found and what was expected."""
    raise ShapeError(f"operator {operator.type}, tensor '{tensor.name}': {found} found, expected {expected}")
