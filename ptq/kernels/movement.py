"""Operators that move elements and compute nothing: any dtype, no rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.graph import Tensor
from ptq.kernels.call import Call, Kernel
from ptq.shapes.common import resolve_axes, resolve_axis, resolve_reshape, squeezed_axes

Array = npt.NDArray[Any]


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The elements of x in order, in another shape; one entry may be -1. A view where NumPy can give one.

    Errors: ShapeError if the number of elements differs. Source: `tflite/kernels/reshape.cc`, Eval.
    """
    resolved = resolve_reshape(x.size, shape)
    if resolved is None:
        raise ShapeError(f"RESHAPE: shape {x.shape} found, expected as many elements as {tuple(shape)} has")
    return x.reshape(resolved)


def squeeze(x: Array, axes: Sequence[int] = ()) -> Array:
    """x without the given dimensions of size 1, or without all such dimensions if none is given. A view.

    Errors: ShapeError if a dimension has another size. Source: `tflite/kernels/squeeze.cc`, Prepare.
    """
    resolved = squeezed_axes(x.shape, axes)
    if resolved is None:
        raise ShapeError(f"SQUEEZE: shape {x.shape} found, expected size 1 in the dimensions {tuple(axes)}")
    return np.squeeze(x, resolved)


def expand_dims(x: Array, axis: int) -> Array:
    """x with a new dimension of size 1 before dimension `axis`; -1 is after the last one. A view.

    Errors: ShapeError if there is no such place. Source: `tflite/kernels/expand_dims.cc`, ExpandTensorDim.
    """
    return np.expand_dims(x, resolve_axis("EXPAND_DIMS", axis, x.ndim + 1))


def transpose(x: Array, permutation: Sequence[int]) -> Array:
    """output dimension i = x's dimension permutation[i], copied into the order of memory.

    Errors: ShapeError if `permutation` does not name each axis once.
    Source: `tflite/kernels/internal/reference/transpose.h`, Transpose.
    """
    axes = resolve_axes(permutation, x.ndim)
    if axes is None or not len(axes) == len(permutation) == x.ndim:
        raise ShapeError(
            f"TRANSPOSE: permutation {list(permutation)} found, expected each axis of shape {x.shape} once"
        )
    return np.array(np.transpose(x, permutation), order="C")


def pad(x: Array, paddings: Array, value: float = 0) -> Array:
    """x with `paddings[i]` = (before, after) elements of `value` around dimension i.

    paddings: integers [rank, 2], >= 0. For quantized x the value is the zero point (or PADV2's operand).
    Errors: ShapeError for another shape or a negative number.
    Source: `tflite/kernels/internal/reference/pad.h`, Pad.
    """
    if paddings.shape != (x.ndim, 2) or (paddings.size and paddings.min() < 0):
        raise ShapeError(
            f"PAD: paddings {paddings.tolist()} found, expected numbers >= 0 of shape ({x.ndim}, 2)"
        )
    amounts = [(int(before), int(after)) for before, after in paddings]
    shape = [before + n + after for n, (before, after) in zip(x.shape, amounts, strict=True)]
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, amounts, strict=True))
    padded = np.full(shape, value, x.dtype)
    padded[inside] = x
    return padded


def concatenation(arrays: Sequence[Array], axis: int) -> Array:
    """The arrays one after the other along `axis`.

    Errors: ShapeError if they differ in another dimension or in dtype.
    Source: `tflite/kernels/internal/reference/concatenation.h`, Concatenation.
    """
    first = arrays[0]
    if not -first.ndim <= axis < first.ndim:
        raise ShapeError(f"CONCATENATION: axis {axis} found, expected an axis of shape {first.shape}")
    axis %= first.ndim
    for array in arrays:
        others = array.shape[:axis] + array.shape[axis + 1 :]
        if array.dtype != first.dtype or others != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ShapeError(
                f"CONCATENATION: {array.dtype} of shape {array.shape} found, expected {first.dtype} of "
                f"shape {first.shape} apart from dimension {axis}"
            )
    return np.concatenate(arrays, axis)


def pack(arrays: Sequence[Array], axis: int) -> Array:
    """The arrays one after the other along a new dimension `axis`.

    Errors: ShapeError if they differ in shape or in dtype.
    Source: `tflite/kernels/internal/reference/reference_ops.h`, Pack.
    """
    first = arrays[0]
    for array in arrays:
        if array.dtype != first.dtype or array.shape != first.shape:
            raise ShapeError(
                f"PACK: {array.dtype} of shape {array.shape} found, expected {first.dtype} of {first.shape}"
            )
    return np.stack(arrays, resolve_axis("PACK", axis, first.ndim + 1))


def reverse(x: Array, axes: Sequence[int]) -> Array:
    """x with the order along each of `axes` reversed, as a recurrent layer that runs backwards needs it.

    Errors: ShapeError unless the axes exist and are neighbours, as the runtime demands.
    Source: `tflite/kernels/reverse.cc`, Eval.
    """
    resolved = resolve_axes(axes, x.ndim)
    if not resolved or len(resolved) != len(axes) or resolved[-1] - resolved[0] >= len(axes):
        raise ShapeError(f"REVERSE_V2: axes {list(axes)} found, expected neighbours of shape {x.shape}")
    return np.array(np.flip(x, resolved), order="C")


# --- for the registry -----------------------------------------------------------------------------


def reshape_op(call: Call) -> list[Array]:
    """RESHAPE: inputs (x[, shape]), option new_shape where there is no shape vector."""
    given = call.optional(1)
    if given is not None and given.ndim == 1 and given.dtype == np.int32:
        return [reshape(call.array(0), given.tolist())]
    wanted = _numbers(call.options["new_shape"])
    return [reshape(call.array(0), [] if wanted == [0] else wanted)]  # [0]: how old files write a scalar


def squeeze_op(call: Call) -> list[Array]:
    """SQUEEZE: inputs (x), option squeeze_dims."""
    return [squeeze(call.array(0), _numbers(call.options.get("squeeze_dims")))]


def expand_dims_op(call: Call) -> list[Array]:
    """EXPAND_DIMS: inputs (x, axis)."""
    check_same_scale(call, call.tensors[:1])
    return [expand_dims(call.array(0), call.array(1).item())]


def transpose_op(call: Call) -> list[Array]:
    """TRANSPOSE: inputs (x, permutation)."""
    return [transpose(call.array(0), call.array(1).ravel().tolist())]


def pad_op(call: Call) -> list[Array]:
    """PAD: inputs (x, paddings); integers are padded with the output's zero point."""
    x, quantized = call.array(0), call.output_tensors[0].quantized
    integers = np.issubdtype(x.dtype, np.integer)
    value = int(quantized.zero_point[0]) if integers and quantized is not None else 0
    return [pad(x, call.array(1), value)]


def padv2_op(call: Call) -> list[Array]:
    """PADV2: inputs (x, paddings, value)."""
    value = call.array(2)
    if value.size != 1:
        raise ShapeError(f"PADV2: a padding value of shape {value.shape} found, expected one element")
    check_same_scale(call, [call.tensors[2]])
    return [pad(call.array(0), call.array(1), value.ravel()[0])]


def concatenation_op(call: Call) -> list[Array]:
    """CONCATENATION: any number of inputs, option axis; an activation cannot be fused."""
    activation = call.options.get("fused_activation_function", "NONE")
    if activation != "NONE":
        raise UnsupportedError(
            f"CONCATENATION: fused activation {activation} found, expected NONE, as in TensorFlow Lite"
        )
    check_same_scale(call, call.tensors)
    return [concatenation([call.array(i) for i in range(len(call.inputs))], call.options["axis"])]


def pack_op(call: Call) -> list[Array]:
    """PACK: any number of inputs, option axis."""
    check_same_scale(call, call.tensors)
    return [pack([call.array(i) for i in range(len(call.inputs))], call.options["axis"])]


def reverse_op(call: Call) -> list[Array]:
    """REVERSE_V2: inputs (x, axes)."""
    return [reverse(call.array(0), call.array(1).ravel().tolist())]


def check_same_scale(call: Call, tensors: Sequence[Tensor | None]) -> None:
    """QuantizationError unless integers that are moved together stand for the same real numbers.

    For the operators whose Prepare function in TensorFlow Lite demands it; the others only copy.
    """
    output = call.output_tensors[0].quantized
    for tensor in tensors:
        quantized = tensor.quantized if tensor is not None else None
        if tensor is None or quantized is None or output is None:
            continue
        found = (quantized.scale.tolist(), quantized.zero_point.tolist())
        expected = (output.scale.tolist(), output.zero_point.tolist())
        if found != expected:
            raise QuantizationError(
                f"{call.operator.type}: tensor '{tensor.name}' has (scale, zero point) {found}, expected "
                f"{expected} as in the output; insert a QUANTIZE operator"
            )


def _numbers(option: Sequence[int] | None) -> list[int]:
    """A vector of the options, which is None where a file has none."""
    return [] if option is None else [int(n) for n in option]


FLOAT: dict[str, Kernel] = {
    "RESHAPE": reshape_op,
    "SQUEEZE": squeeze_op,
    "EXPAND_DIMS": expand_dims_op,
    "TRANSPOSE": transpose_op,
    "PAD": pad_op,
    "PADV2": padv2_op,
    "CONCATENATION": concatenation_op,
    "PACK": pack_op,
    "REVERSE_V2": reverse_op,
}
