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


def _softmax(operator: Operator, tensors: Inputs) -> list[Shape]:
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


def _mean(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, wanted = input_tensor(operator, tensors, 0), constant_values(operator, tensors, 1)
    axes = resolve_axes(wanted, len(tensor.shape)) if tensor.shape else ()
    if axes is None:
        refuse(operator, tensor, f"axes {wanted}", f"axes of shape {tensor.shape}")
    if operator.options.get("keep_dims", False):
        return [tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))]
    return [tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)]


RULES: dict[str, Rule] = {
    "ADD": _broadcast,
    "SUB": _broadcast,
    "MUL": _broadcast,
    "MEAN": _mean,
    "SOFTMAX": _softmax,
    **dict.fromkeys(
        ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "QUANTIZE", "DEQUANTIZE"), _same
    ),
}  # fmt: skip
