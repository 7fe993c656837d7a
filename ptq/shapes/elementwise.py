"""Shapes of what works element by element, and of what reduces dimensions."""

from __future__ import annotations

from ptq.graph import Operator
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    broadcast_shapes,
    constant_values,
    input_tensor,
    refuse,
    resolve_axes,
)


def _same(operator: Operator, tensors: Inputs) -> list[Shape]:
    return [input_tensor(operator, tensors, 0).shape]


def _last_axis(operator: Operator, tensors: Inputs) -> list[Shape]:
    shape = input_tensor(operator, tensors, 0).shape
    if not shape:
        refuse(operator, input_tensor(operator, tensors, 0), "a scalar", "at least one dimension")
    return [shape]


def _broadcast(operator: Operator, tensors: Inputs) -> list[Shape]:
    a, b = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    shape = broadcast_shapes(a.shape, b.shape)
    if shape is None:
        refuse(operator, b, f"shape {b.shape}", f"one that broadcasts with {a.shape} of '{a.name}'")
    return [shape]


def _prelu(operator: Operator, tensors: Inputs) -> list[Shape]:
    x, slopes = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    if broadcast_shapes(x.shape, slopes.shape) != x.shape:
        refuse(operator, slopes, f"shape {slopes.shape}", f"one that broadcasts to {x.shape} of '{x.name}'")
    return [x.shape]


def _select(operator: Operator, tensors: Inputs) -> list[Shape]:
    condition, x, y = (input_tensor(operator, tensors, position) for position in range(3))
    if condition.size == x.size == y.size == 1:
        return [x.shape]
    if y.shape != x.shape:
        refuse(operator, y, f"shape {y.shape}", f"{x.shape}, as '{x.name}' has")
    if condition.shape not in (x.shape, x.shape[:1], ()):
        refuse(operator, condition, f"shape {condition.shape}", f"{x.shape}, {x.shape[:1]} or a scalar")
    return [x.shape]


def _select_v2(operator: Operator, tensors: Inputs) -> list[Shape]:
    condition, x, y = (input_tensor(operator, tensors, position) for position in range(3))
    values = broadcast_shapes(x.shape, y.shape)
    shape = None if values is None else broadcast_shapes(condition.shape, values)
    if shape is None:
        refuse(
            operator, condition, f"shape {condition.shape}",
            f"one that broadcasts with {x.shape} of '{x.name}' and {y.shape} of '{y.name}'"
        )  # fmt: skip
    return [shape]


def _reduce(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, wanted = input_tensor(operator, tensors, 0), constant_values(operator, tensors, 1)
    axes = resolve_axes(wanted, len(tensor.shape)) if tensor.shape else ()
    if axes is None:
        refuse(operator, tensor, f"axes {wanted}", f"axes of shape {tensor.shape}")
    if operator.options.get("keep_dims", False):
        return [tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))]
    return [tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)]


def _position(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, wanted = input_tensor(operator, tensors, 0), constant_values(operator, tensors, 1)
    axes = resolve_axes(wanted, len(tensor.shape))
    if axes is None or len(wanted) != 1 or not tensor.shape[axes[0]]:
        refuse(operator, tensor, f"axes {wanted}", f"a single axis of shape {tensor.shape} that has elements")
    return [tensor.shape[: axes[0]] + tensor.shape[axes[0] + 1 :]]


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "EQUAL", "NOT_EQUAL", "LESS",
         "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "LOGICAL_AND", "LOGICAL_OR"), _broadcast
    ),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY"), _reduce),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _position),
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION"), _last_axis),
    "PRELU": _prelu,
    "SELECT": _select,
    "SELECT_V2": _select_v2,
    **dict.fromkeys(
        ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "LEAKY_RELU", "ELU", "HARD_SWISH", "EXP", "LOG",
         "SQRT", "RSQRT", "SQUARE", "NEG", "ABS", "FLOOR", "LOGICAL_NOT", "CAST", "QUANTIZE", "DEQUANTIZE"),
        _same
    ),
}  # fmt: skip
