"""Shapes of the layers that slide a window or multiply a matrix."""

from __future__ import annotations

from ptq.graph import Operator, Tensor
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    image_tensor,
    input_tensor,
    refuse,
    window_size,
)


def _convolution(operator: Operator, tensors: Inputs) -> list[Shape]:
    image, weights = image_tensor(operator, tensors), input_tensor(operator, tensors, 1)
    if len(weights.shape) != 4 or 0 in weights.shape:
        refuse(operator, weights, f"filter of shape {weights.shape}", "[outputs, height, width, inputs]")
    count, height, width, depth = weights.shape
    channels = image.shape[3]
    if not channels or channels % depth or count % (channels // depth):
        expected = f"a multiple of the filter's {depth}, in groups that divide {count} outputs"
        refuse(operator, image, f"{channels} channels", expected)
    _check_bias(operator, tensors, count)
    return [(image.shape[0], *_windows(operator, image, height, width), count)]


def _depthwise(operator: Operator, tensors: Inputs) -> list[Shape]:
    image, weights = image_tensor(operator, tensors), input_tensor(operator, tensors, 1)
    if len(weights.shape) != 4 or weights.shape[0] != 1 or 0 in weights.shape:
        refuse(operator, weights, f"filter of shape {weights.shape}", "[1, height, width, outputs]")
    _, height, width, count = weights.shape
    if not image.shape[3] or count % image.shape[3]:
        refuse(operator, image, f"{image.shape[3]} channels", f"a divisor of the filter's {count} outputs")
    _check_bias(operator, tensors, count)
    return [(image.shape[0], *_windows(operator, image, height, width), count)]


def _pool(operator: Operator, tensors: Inputs) -> list[Shape]:
    image = image_tensor(operator, tensors)
    height, width = operator.options["filter_height"], operator.options["filter_width"]
    return [(image.shape[0], *_windows(operator, image, height, width), image.shape[3])]


def _fully_connected(operator: Operator, tensors: Inputs) -> list[Shape]:
    rows, weights = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    if len(weights.shape) != 2 or not weights.shape[1]:
        refuse(operator, weights, f"weights of shape {weights.shape}", "[outputs, inputs]")
    units, inner = weights.shape
    if operator.options.get("keep_num_dims", False):
        if not rows.shape or rows.shape[-1] != inner:
            refuse(operator, rows, f"shape {rows.shape}", f"a last dimension of {inner}")
        shape: Shape = (*rows.shape[:-1], units)
    else:
        if rows.size % inner:
            refuse(operator, rows, f"shape {rows.shape}", f"a multiple of {inner} elements")
        shape = (rows.size // inner, units)
    _check_bias(operator, tensors, units)
    return [shape]


def _windows(operator: Operator, image: Tensor, height: int, width: int) -> tuple[int, int]:
    options = operator.options
    rows = window_size(
        image.shape[1], height, options["stride_h"], options.get("dilation_h_factor", 1), options["padding"]
    )
    columns = window_size(
        image.shape[2], width, options["stride_w"], options.get("dilation_w_factor", 1), options["padding"]
    )
    if not rows or not columns:
        found = f"an image of {image.shape[1]}x{image.shape[2]}"
        refuse(operator, image, found, f"at least the window of {height}x{width} (or padding SAME)")
    return rows, columns


def _check_bias(operator: Operator, tensors: Inputs, count: int) -> None:
    bias = tensors[2] if len(tensors) > 2 else None
    if bias is not None and bias.size != count:
        refuse(operator, bias, f"bias of shape {bias.shape}", f"{count} elements, one for each output")


RULES: dict[str, Rule] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
}
