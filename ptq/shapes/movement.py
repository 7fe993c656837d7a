"""Shapes of the operators that move elements."""

from __future__ import annotations

from ptq.graph import Operator
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    constant_values,
    input_tensor,
    numbers,
    refuse,
    resolve_axes,
    resolve_reshape,
    squeezed_axes,
)


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


RULES: dict[str, Rule] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "TRANSPOSE": _transpose,
}
