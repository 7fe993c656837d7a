"""Shape inference: which shapes an operator writes, given the tensors that it reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor

Shape = tuple[int, ...]
Inputs = Sequence[Tensor | None]
Rule = Callable[[Operator, Inputs], Shape]


def infer_shapes(operator: Operator, tensors: Inputs) -> list[Shape]:
    """The shapes of the operator's outputs, one entry for each output.

    tensors: the input tensors in order, None for an absent optional input; operands that hold shapes,
    axes or paddings must be constants. Raises ShapeError if the inputs do not fit the operator,
    GraphError if an input or an option is missing, UnsupportedError for an operator without a rule and
    for an operand that is only known at run time.
    Source: the Prepare function of each operator in `tflite/kernels/*.cc`.
    """
    rule = RULES.get(operator.type)
    if rule is None:
        raise UnsupportedError(
            f"operator {operator.custom_code or operator.type}: ptq cannot infer the shape of its output; "
            f"expected one of {', '.join(sorted(RULES))}"
        )
    try:
        return [rule(operator, tensors)]
    except KeyError as error:
        raise GraphError(
            f"operator {operator.type}: option {error} is missing; expected all options of the schema"
        ) from error


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


def squeezed_axes(shape: Shape, wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The axes that SQUEEZE removes: `wanted`, or all of size 1 if empty; None if one has another size."""
    if not len(wanted):
        return tuple(axis for axis, size in enumerate(shape) if size == 1)
    axes = resolve_axes(wanted, len(shape))
    return None if axes is None or any(shape[axis] != 1 for axis in axes) else axes


def _convolution(operator: Operator, tensors: Inputs) -> Shape:
    image, weights = _image(operator, tensors), _input(operator, tensors, 1)
    if len(weights.shape) != 4 or 0 in weights.shape:
        _refuse(operator, weights, f"filter of shape {weights.shape}", "[outputs, height, width, inputs]")
    count, height, width, depth = weights.shape
    channels = image.shape[3]
    if not channels or channels % depth or count % (channels // depth):
        expected = f"a multiple of the filter's {depth}, in groups that divide {count} outputs"
        _refuse(operator, image, f"{channels} channels", expected)
    _check_bias(operator, tensors, count)
    return (image.shape[0], *_windows(operator, image, height, width), count)


def _depthwise(operator: Operator, tensors: Inputs) -> Shape:
    image, weights = _image(operator, tensors), _input(operator, tensors, 1)
    if len(weights.shape) != 4 or weights.shape[0] != 1 or 0 in weights.shape:
        _refuse(operator, weights, f"filter of shape {weights.shape}", "[1, height, width, outputs]")
    _, height, width, count = weights.shape
    if not image.shape[3] or count % image.shape[3]:
        _refuse(operator, image, f"{image.shape[3]} channels", f"a divisor of the filter's {count} outputs")
    _check_bias(operator, tensors, count)
    return (image.shape[0], *_windows(operator, image, height, width), count)


def _pool(operator: Operator, tensors: Inputs) -> Shape:
    image = _image(operator, tensors)
    height, width = operator.options["filter_height"], operator.options["filter_width"]
    return (image.shape[0], *_windows(operator, image, height, width), image.shape[3])


def _fully_connected(operator: Operator, tensors: Inputs) -> Shape:
    rows, weights = _input(operator, tensors, 0), _input(operator, tensors, 1)
    if len(weights.shape) != 2 or not weights.shape[1]:
        _refuse(operator, weights, f"weights of shape {weights.shape}", "[outputs, inputs]")
    units, inner = weights.shape
    if operator.options.get("keep_num_dims", False):
        if not rows.shape or rows.shape[-1] != inner:
            _refuse(operator, rows, f"shape {rows.shape}", f"a last dimension of {inner}")
        shape: Shape = (*rows.shape[:-1], units)
    else:
        if rows.size % inner:
            _refuse(operator, rows, f"shape {rows.shape}", f"a multiple of {inner} elements")
        shape = (rows.size // inner, units)
    _check_bias(operator, tensors, units)
    return shape


def _same(operator: Operator, tensors: Inputs) -> Shape:
    return _input(operator, tensors, 0).shape


def _softmax(operator: Operator, tensors: Inputs) -> Shape:
    shape = _input(operator, tensors, 0).shape
    if not shape:
        _refuse(operator, _input(operator, tensors, 0), "a scalar", "at least one dimension")
    return shape


def _broadcast(operator: Operator, tensors: Inputs) -> Shape:
    a, b = _input(operator, tensors, 0), _input(operator, tensors, 1)
    shape = broadcast_shapes(a.shape, b.shape)
    if shape is None:
        _refuse(operator, b, f"shape {b.shape}", f"one that broadcasts with {a.shape} of '{a.name}'")
    return shape


def _reshape(operator: Operator, tensors: Inputs) -> Shape:
    tensor = _input(operator, tensors, 0)
    given = tensors[1] if len(tensors) > 1 else None
    if given is not None and len(given.shape) == 1 and given.type == "INT32":
        wanted = _constant(operator, tensors, 1)
    else:
        wanted = _numbers(operator.options["new_shape"])
        wanted = [] if wanted == [0] else wanted  # how old files write a scalar
    shape = resolve_reshape(tensor.size, wanted)
    if shape is None:
        _refuse(operator, tensor, f"shape {tensor.shape}", f"as many elements as shape {tuple(wanted)} has")
    return shape


def _squeeze(operator: Operator, tensors: Inputs) -> Shape:
    tensor = _input(operator, tensors, 0)
    wanted = _numbers(operator.options.get("squeeze_dims"))
    axes = squeezed_axes(tensor.shape, wanted)
    if axes is None:
        _refuse(operator, tensor, f"shape {tensor.shape}", f"size 1 in the dimensions {tuple(wanted)}")
    return tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)


def _pad(operator: Operator, tensors: Inputs) -> Shape:
    tensor, amounts = _input(operator, tensors, 0), _input(operator, tensors, 1)
    flat = _constant(operator, tensors, 1)
    if amounts.shape != (len(tensor.shape), 2) or min(flat, default=0) < 0:
        found = f"paddings {flat} of shape {amounts.shape}"
        _refuse(operator, amounts, found, f"numbers >= 0 of shape ({len(tensor.shape)}, 2)")
    return tuple(n + flat[2 * i] + flat[2 * i + 1] for i, n in enumerate(tensor.shape))


def _concatenation(operator: Operator, tensors: Inputs) -> Shape:
    first = _input(operator, tensors, 0)
    rank, wanted = len(first.shape), operator.options["axis"]
    axes = resolve_axes([wanted], rank)
    if axes is None:
        _refuse(operator, first, f"axis {wanted}", f"an axis of shape {first.shape}")
    axis, total = axes[0], 0
    for position in range(len(tensors)):
        tensor = _input(operator, tensors, position)
        if len(tensor.shape) != rank or any(
            a != b for i, (a, b) in enumerate(zip(tensor.shape, first.shape, strict=True)) if i != axis
        ):
            _refuse(operator, tensor, f"shape {tensor.shape}", f"{first.shape} apart from dimension {axis}")
        total += tensor.shape[axis]
    return (*first.shape[:axis], total, *first.shape[axis + 1 :])


def _mean(operator: Operator, tensors: Inputs) -> Shape:
    tensor, wanted = _input(operator, tensors, 0), _constant(operator, tensors, 1)
    axes = resolve_axes(wanted, len(tensor.shape)) if tensor.shape else ()
    if axes is None:
        _refuse(operator, tensor, f"axes {wanted}", f"axes of shape {tensor.shape}")
    if operator.options.get("keep_dims", False):
        return tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))
    return tuple(size for axis, size in enumerate(tensor.shape) if axis not in axes)


def _transpose(operator: Operator, tensors: Inputs) -> Shape:
    tensor, order = _input(operator, tensors, 0), _constant(operator, tensors, 1)
    axes = resolve_axes(order, len(tensor.shape))
    if axes is None or not len(axes) == len(order) == len(tensor.shape):
        _refuse(operator, tensor, f"permutation {order}", f"each axis of shape {tensor.shape} once")
    return tuple(tensor.shape[axis] for axis in order)


def _numbers(option: Sequence[int] | None) -> list[int]:
    """A vector of the options, which is None where a file has none."""
    return [] if option is None else [int(n) for n in option]


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
        _refuse(operator, image, found, f"at least the window of {height}x{width} (or padding SAME)")
    return rows, columns


def _check_bias(operator: Operator, tensors: Inputs, count: int) -> None:
    bias = tensors[2] if len(tensors) > 2 else None
    if bias is not None and bias.size != count:
        _refuse(operator, bias, f"bias of shape {bias.shape}", f"{count} elements, one for each output")


def _input(operator: Operator, tensors: Inputs, position: int) -> Tensor:
    tensor = tensors[position] if position < len(tensors) else None
    if tensor is None:
        raise GraphError(f"operator {operator.type}: input {position} is absent, expected a tensor")
    return tensor


def _image(operator: Operator, tensors: Inputs) -> Tensor:
    image = _input(operator, tensors, 0)
    if len(image.shape) != 4:
        _refuse(operator, image, f"shape {image.shape}", "[batch, height, width, channels]")
    return image


def _constant(operator: Operator, tensors: Inputs, position: int) -> list[int]:
    tensor = _input(operator, tensors, position)
    if tensor.data is None:
        raise UnsupportedError(
            f"operator {operator.type}: input '{tensor.name}' is computed at run time; expected a constant, "
            "as the shape of the output depends on it"
        )
    if not np.issubdtype(tensor.data.dtype, np.integer):
        _refuse(operator, tensor, f"type {tensor.type}", "INT32 or INT64")
    values: list[Any] = tensor.data.ravel().tolist()
    return values


def _refuse(operator: Operator, tensor: Tensor, found: str, expected: str) -> NoReturn:
    raise ShapeError(f"operator {operator.type}, tensor '{tensor.name}': {found} found, expected {expected}")


RULES: dict[str, Rule] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "SOFTMAX": _softmax,
    "ADD": _broadcast,
    "SUB": _broadcast,
    "MUL": _broadcast,
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "MEAN": _mean,
    "TRANSPOSE": _transpose,
    **dict.fromkeys(
        ("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "QUANTIZE", "DEQUANTIZE"), _same
    ),
}  # fmt: skip
"""The rule of each operator that ptq computes."""
