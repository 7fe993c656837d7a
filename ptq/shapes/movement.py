"""Shapes of the operators that move, look up or repeat elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Array, Operator
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    broadcast_shapes,
    constant_value,
    constant_values,
    image_tensor,
    input_tensor,
    numbers,
    refuse,
    resolve_axes,
    resolve_axis,
    resolve_reshape,
    squeezed_axes,
)


def gather_shape(x: Shape, indices: Shape, axis: int, batch_dims: int) -> Shape:
    """x with its dimension `axis` replaced by those of `indices` that follow the shared batch dimensions.

    Source: `tflite/kernels/gather.cc`, Prepare.
    """
    axis = resolve_axis("GATHER", axis, len(x))
    shared = batch_dims + len(indices) if batch_dims < 0 else batch_dims
    if not 0 <= shared <= min(axis, len(indices)) or x[:shared] != indices[:shared]:
        raise ShapeError(
            f"GATHER: batch_dims {batch_dims} with shape {x}, axis {axis} and indices of shape {indices} "
            "found, expected equal batch dimensions, which come before the axis"
        )
    return (*x[:axis], *indices[shared:], *x[axis + 1 :])


def filled_shape(sizes: Sequence[int]) -> Shape:
    """The shape that FILL writes; ShapeError for a negative size."""
    if min(sizes, default=0) < 0:
        raise ShapeError(f"FILL: shape {list(sizes)} found, expected numbers >= 0")
    return tuple(map(int, sizes))


def tiled_shape(shape: Shape, multiples: Sequence[int]) -> Shape:
    """Each size times its multiple; ShapeError unless there is one multiple >= 0 for each dimension."""
    if len(multiples) != len(shape) or min(multiples, default=0) < 0:
        raise ShapeError(f"TILE: {list(multiples)} found, expected a number >= 0 for each of shape {shape}")
    return tuple(int(n * times) for n, times in zip(shape, multiples, strict=True))


def broadcast_to_shape(shape: Shape, wanted: Sequence[int]) -> Shape:
    """`wanted`, if an array of `shape` broadcasts to it without changing it; else ShapeError."""
    target = tuple(map(int, wanted))
    if min(target, default=0) < 0 or broadcast_shapes(shape, target) != target:
        raise ShapeError(f"BROADCAST_TO: shape {target} found, expected one that {shape} broadcasts to")
    return target


def range_size(start: Array, limit: Array, delta: Array) -> int:
    """How many of start, start + delta, ... come before `limit`; one element each, of one dtype.

    integers: ceil(|limit - start| / |delta|). float32: the difference and the quotient round before.
    Source: `tflite/kernels/range.cc`, GetSize.
    """
    operands = (start, limit, delta)
    if any(operand.size != 1 or operand.dtype != start.dtype for operand in operands):
        found = ", ".join(f"{operand.dtype} {operand.shape}" for operand in operands)
        raise ShapeError(f"RANGE: {found} found, expected three scalars of one type")
    first, last, step = (operand.item() for operand in operands)
    problem = f"RANGE: from {first} to {last} by {step} found, expected"
    if not (math.isfinite(first) and math.isfinite(last) and step and (last - first) * step >= 0):
        raise ShapeError(f"{problem} finite numbers and a step towards the limit")
    if isinstance(first, int):
        distance, stride = abs(last - first), abs(step)
        if distance + stride > 2 ** (8 * start.itemsize - 1):
            found = f"{first} to {last} by {step} in {start.dtype}"
            raise UnsupportedError(defects.RANGE_OVERFLOW.message(found))
        return int(-(-distance // stride))
    with np.errstate(over="ignore"):
        quotient = abs((np.float32(last) - np.float32(first)) / np.float32(step))
    if not np.isfinite(quotient):
        raise ShapeError(f"{problem} a quotient that is finite in float32")
    return math.ceil(quotient)


def _reshape(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 0)
    given = tensors[1] if len(tensors) > 1 else None
    if given is not None and len(given.shape) == 1 and given.type == "INT32":
        wanted = constant_values(operator, tensors, 1)
    else:
        wanted = numbers(operator.options["new_shape"])
        wanted = [] if wanted == [0] else wanted  # how old files write a scalar
    shape = resolve_reshape(tensor.size, wanted)
    if shape is None:
        refuse(operator, tensor, f"shape {tensor.shape}", f"as many elements as shape {tuple(wanted)} has")
    return [shape]


def _squeeze(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 0)
    wanted = numbers(operator.options.get("squeeze_dims"))
    axes = squeezed_axes(tensor.shape, wanted)
    if axes is None:
        refuse(operator, tensor, f"shape {tensor.shape}", f"size 1 in the dimensions {tuple(wanted)}")
    return [tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)]


def _pad(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, amounts = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    flat = constant_values(operator, tensors, 1)
    if amounts.shape != (len(tensor.shape), 2) or min(flat, default=0) < 0:
        found = f"paddings {flat} of shape {amounts.shape}"
        refuse(operator, amounts, found, f"numbers >= 0 of shape ({len(tensor.shape)}, 2)")
    return [tuple(n + flat[2 * i] + flat[2 * i + 1] for i, n in enumerate(tensor.shape))]


def _concatenation(operator: Operator, tensors: Inputs) -> list[Shape]:
    first = input_tensor(operator, tensors, 0)
    rank, wanted = len(first.shape), operator.options["axis"]
    axes = resolve_axes([wanted], rank)
    if axes is None:
        refuse(operator, first, f"axis {wanted}", f"an axis of shape {first.shape}")
    axis, total = axes[0], 0
    for position in range(len(tensors)):
        tensor = input_tensor(operator, tensors, position)
        if len(tensor.shape) != rank or any(
            a != b for i, (a, b) in enumerate(zip(tensor.shape, first.shape, strict=True)) if i != axis
        ):
            refuse(operator, tensor, f"shape {tensor.shape}", f"{first.shape} apart from dimension {axis}")
        total += tensor.shape[axis]
    return [(*first.shape[:axis], total, *first.shape[axis + 1 :])]


def _transpose(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, order = input_tensor(operator, tensors, 0), constant_values(operator, tensors, 1)
    axes = resolve_axes(order, len(tensor.shape))
    if axes is None or not len(axes) == len(order) == len(tensor.shape):
        refuse(operator, tensor, f"permutation {order}", f"each axis of shape {tensor.shape} once")
    return [tuple(tensor.shape[axis] for axis in order)]


def _expand_dims(operator: Operator, tensors: Inputs) -> list[Shape]:
    shape = input_tensor(operator, tensors, 0).shape
    axis = resolve_axis(operator.type, constant_value(operator, tensors, 1), len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def _pack(operator: Operator, tensors: Inputs) -> list[Shape]:
    first = input_tensor(operator, tensors, 0)
    for tensor in (input_tensor(operator, tensors, position) for position in range(len(tensors))):
        if tensor.shape != first.shape:
            refuse(operator, tensor, f"shape {tensor.shape}", f"{first.shape} as the first input has")
    axis = resolve_axis(operator.type, operator.options["axis"], len(first.shape) + 1)
    return [(*first.shape[:axis], len(tensors), *first.shape[axis:])]


def _gather(operator: Operator, tensors: Inputs) -> list[Shape]:
    x, indices = (input_tensor(operator, tensors, position).shape for position in (0, 1))
    return [gather_shape(x, indices, operator.options["axis"], operator.options["batch_dims"])]


def _shape(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [(len(input_tensor(operator, tensors, 0).shape),)]


def _same(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [input_tensor(operator, tensors, 0).shape]


def _fill(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [filled_shape(constant_values(operator, tensors, 0))]


def _tile(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [tiled_shape(input_tensor(operator, tensors, 0).shape, constant_values(operator, tensors, 1))]


def _broadcast_to(operator: Operator, tensors: Inputs) -> list[Shape]:
    shape = input_tensor(operator, tensors, 0).shape
    return [broadcast_to_shape(shape, constant_values(operator, tensors, 1))]


def _range(operator: Operator, tensors: Inputs) -> list[Shape]:
    operands = [input_tensor(operator, tensors, position).data for position in range(3)]
    if any(data is None for data in operands):
        raise UnsupportedError("operator RANGE: an operand is computed at run time; expected constants")
    return [(range_size(*(np.asarray(data) for data in operands)),)]


def _resize(operator: Operator, tensors: Inputs) -> list[Shape]:
    image, size = image_tensor(operator, tensors), constant_values(operator, tensors, 1)
    if len(size) != 2 or min(size) < 1 or 0 in image.shape[1:3]:
        refuse(operator, image, f"size {size} for shape {image.shape}", "[height, width], all positive")
    return [(image.shape[0], *size, image.shape[3])]


def _depth_to_space(operator: Operator, tensors: Inputs) -> list[Shape]:
    image, block = image_tensor(operator, tensors), operator.options["block_size"]
    batch, height, width, channels = image.shape
    if block < 1 or channels % block**2:
        refuse(operator, image, f"{channels} channels", f"a multiple of {block} * {block}, which is positive")
    return [(batch, height * block, width * block, channels // block**2)]


def _space_to_depth(operator: Operator, tensors: Inputs) -> list[Shape]:
    image, block = image_tensor(operator, tensors), operator.options["block_size"]
    batch, height, width, channels = image.shape
    if block < 1 or height % block or width % block:
        refuse(operator, image, f"an image of {height}x{width}", f"multiples of {block}, which is positive")
    return [(batch, height // block, width // block, channels * block**2)]


RULES: dict[str, Rule] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "TRANSPOSE": _transpose,
    "EXPAND_DIMS": _expand_dims,
    "PACK": _pack,
    "REVERSE_V2": _same,
    "GATHER": _gather,
    "SHAPE": _shape,
    "FILL": _fill,
    "ZEROS_LIKE": _same,
    "TILE": _tile,
    "BROADCAST_TO": _broadcast_to,
    "RANGE": _range,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "DEPTH_TO_SPACE": _depth_to_space,
    "SPACE_TO_DEPTH": _space_to_depth,
}
