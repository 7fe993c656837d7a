"""Shapes of the layers that slide a window or multiply a matrix."""

from __future__ import annotations

from ptq.graph import Operator, Tensor
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    broadcast_shapes,
    constant_values,
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


def matmul_shape(lhs: Shape, rhs: Shape, adj_x: bool, adj_y: bool) -> Shape | None:
    """The shape of the product of [..., M, K] and [..., K, N], the last two swapped by adj_x, adj_y, or None.

    Source: `tflite/kernels/batch_matmul.cc`, Prepare.
    """
    if not (2 <= len(lhs) <= 5 and 2 <= len(rhs) <= 5):
        return None
    rows, inner = (lhs[-1], lhs[-2]) if adj_x else (lhs[-2], lhs[-1])
    height, columns = (rhs[-1], rhs[-2]) if adj_y else (rhs[-2], rhs[-1])
    batch = broadcast_shapes(lhs[:-2], rhs[:-2])
    return None if inner != height or batch is None else (*batch, rows, columns)


def _batch_matmul(operator: Operator, tensors: Inputs) -> list[Shape]:
    lhs, rhs = input_tensor(operator, tensors, 0), input_tensor(operator, tensors, 1)
    adj_x, adj_y = operator.options["adj_x"], operator.options["adj_y"]
    shape = matmul_shape(lhs.shape, rhs.shape, adj_x, adj_y)
    if shape is None:
        expected = f"one of two to five dimensions that multiplies '{lhs.name}' of shape {lhs.shape}"
        refuse(operator, rhs, f"shape {rhs.shape}", f"{expected}, with adj_x={adj_x} and adj_y={adj_y}")
    return [shape]


def _transpose_conv(operator: Operator, tensors: Inputs) -> list[Shape]:
    weights, image = input_tensor(operator, tensors, 1), input_tensor(operator, tensors, 2)
    if len(weights.shape) != 4 or 0 in weights.shape:
        refuse(operator, weights, f"weights of shape {weights.shape}", "[outputs, height, width, inputs]")
    count, *kernel, depth = weights.shape
    if len(image.shape) != 4 or image.shape[3] != depth:
        refuse(operator, image, f"shape {image.shape}", f"[batch, height, width, {depth}]")
    _check_bias(operator, tensors, count, position=3)
    shape = constant_values(operator, tensors, 0)
    if input_tensor(operator, tensors, 0).shape != (4,) or (shape[0], shape[3]) != (image.shape[0], count):
        found = f"output shape {shape}"
        refuse(operator, image, found, f"[{image.shape[0]}, height, width, {count}]")
    _check_scattered(operator, image, shape, kernel)
    return [tuple(shape)]


def _check_scattered(operator: Operator, image: Tensor, shape: list[int], kernel: list[int]) -> None:
    """A convolution of the output must lead back to the size of the input."""
    options = operator.options
    rows = window_size(shape[1], kernel[0], options["stride_h"], 1, options["padding"])
    columns = window_size(shape[2], kernel[1], options["stride_w"], 1, options["padding"])
    if (rows, columns) != image.shape[1:3] or not rows or not columns:
        found = f"an output of {shape[1]}x{shape[2]}, made of {rows}x{columns} inputs,"
        refuse(operator, image, found, f"one made of {image.shape[1]}x{image.shape[2]} (or another padding)")


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


def _check_bias(operator: Operator, tensors: Inputs, count: int, position: int = 2) -> None:
    bias = tensors[position] if len(tensors) > position else None
    if bias is not None and bias.size != count:
        refuse(operator, bias, f"bias of shape {bias.shape}", f"{count} elements, one for each output")


RULES: dict[str, Rule] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "BATCH_MATMUL": _batch_matmul,
    "TRANSPOSE_CONV": _transpose_conv,
}
