"""TRANSPOSE_CONV in float and hybrid arithmetic: each input pixel adds its products to a patch of the output.

Layouts: input [N, H, W, C]; weights [O, kernel_h, kernel_w, C]; bias [O]; output [N, h, w, O].
The output's size is an operand, as a convolution leads back from several sizes to that of the input. The
padding is the one of that convolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.activation import clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.padding import Pair, window
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]


def transpose_conv_float(
    output_shape: Array,
    weights: Array,
    input: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """output[n, y', x', o] = activation(bias[o] + sum_{y,x,c} input[n, y, x, c] * weights[o, i, j, c])  (Q25)

    with i = y' + before - y * stride and j likewise, where they lie inside the kernel. output_shape: four
    integers. All other arrays float32. With ordered float sums the products are added over y, x, c as the
    reference adds them. BLAS chooses another order over c, whose result differs by at most
    K * 2^-23 * (sum |input * weights| + |bias|), with K = kernel_h * kernel_w * C.
    Raises ShapeError if the shapes do not fit.
    Source: `tflite/kernels/internal/reference/transpose_conv.h`, TransposeConv.
    """
    before = padding_before(output_shape, weights, input, stride, padding)
    output = np.zeros(tuple(map(int, output_shape)), np.float32)
    for image, result in zip(input, output, strict=True):
        # accumulate
        for pixels, tap, patch in _taps(image, weights, result, stride, before):
            if numerics.float_sums == "ordered":
                _add_terms(pixels, tap, patch)
            else:
                patch += (pixels.reshape(-1, tap.shape[1]) @ tap.T).reshape(patch.shape)
    # add bias
    if bias is not None:
        output += bias
    # clamp
    return clamp_float(output, activation, out=output)


def transpose_conv_hybrid(
    output_shape: Array,
    weights: Array,
    weights_scale: Array,
    input: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """As `transpose_conv_float`, with int8 weights and each image quantized asymmetrically at run time:

    output[n, y', x', o] = activation(bias[o] + sum_{y,x,c} (acc * weights_scale[o]) * image_scale)
    where acc = weights[o, i, j, c] * (q[n, y, x, c] - zero_point) is an exact integer. Unlike all other
    hybrid kernels this one adds no integers: every product is rescaled by itself, rounded to float32 twice,
    and added in float32, over y, x, c. weights_scale: float32 [1] or [O].
    Raises ShapeError if the shapes do not fit, QuantizationError as `quantize_rows` does.
    Source: `tflite/kernels/transpose_conv.cc`, EvalHybrid; `internal/reference/transpose_conv.h`,
    HybridTransposeConv.
    """
    before = padding_before(output_shape, weights, input, stride, padding)
    if weights_scale.size not in (1, len(weights)):
        raise ShapeError(
            f"TRANSPOSE_CONV: {weights_scale.size} scales found, expected 1 or {len(weights)}, one per output"
        )
    integers = weights.astype(np.float32)
    output = np.zeros(tuple(map(int, output_shape)), np.float32)
    for image, result in zip(input, output, strict=True):
        # quantize input
        quantized = quantize_rows(image.reshape(1, -1), symmetric=False, numerics=numerics)
        centred = quantized.centred.reshape(image.shape)
        # accumulate, rescale
        for pixels, tap, patch in _taps(centred, integers, result, stride, before):
            _add_terms(pixels, tap, patch, weights_scale, quantized.scale[0])
    # add bias
    if bias is not None:
        output += bias
    # clamp
    return clamp_float(output, activation, out=output)


Tap = tuple[Array, Array, Array]


def _taps(image: Array, weights: Array, result: Array, stride: Pair, before: Pair) -> Iterator[Tap]:
    """(pixels [h, w, C], weights [O, C], the part of result [h, w, O] that they reach) for each tap.

    The reference walks over the input, in_y before in_x, and so the taps that reach one output pixel come in
    falling order: in_y = (out_y + before - tap) / stride.
    """
    for i in reversed(range(weights.shape[1])):
        rows, out_rows = reached(image.shape[0], result.shape[0], stride[0], before[0] - i)
        for j in reversed(range(weights.shape[2])):
            columns, out_columns = reached(image.shape[1], result.shape[1], stride[1], before[1] - j)
            yield image[rows, columns], weights[:, i, j], result[out_rows, out_columns]


def reached(size: int, out_size: int, stride: int, shift: int) -> tuple[slice, slice]:
    """The positions y whose y * stride - shift lies in the output, and where these lie."""
    first = max(-(-shift // stride), 0)
    count = max(min((out_size - 1 + shift) // stride + 1, size) - first, 0)
    start = first * stride - shift
    return slice(first, first + count), slice(start, start + count * stride, stride)


def _add_terms(pixels: Array, tap: Array, patch: Array, *scales: Array) -> None:
    """patch[h, w, o] += ((pixels[h, w, c] * tap[o, c]) * scales[0][o]) * ..., for one c after the other."""
    total = np.ascontiguousarray(patch)
    term = np.empty_like(total)
    for values, weights in zip(np.moveaxis(pixels, -1, 0), tap.T, strict=True):
        np.multiply(values[:, :, None], weights, out=term)
        for scale in scales:
            term *= scale
        total += term
    patch[...] = total


def padding_before(
    output_shape: Array, weights: Array, input: Array, stride: Pair, padding: str
) -> tuple[int, int]:
    """The padding above and on the left of the output; ShapeError if the operands do not fit."""
    shape, kernel = tuple(map(int, np.ravel(output_shape))), weights.shape[1:3]
    expected = "expected [N, h, w, O], [O, kernel_h, kernel_w, C] and [N, H, W, C]"
    if np.shape(output_shape) == (4,) and weights.ndim == input.ndim == 4 and weights.size:
        sides = [window(shape[1 + axis], kernel[axis], stride[axis], 1, padding) for axis in (0, 1)]
        sizes = (len(input), sides[0].size, sides[1].size, weights.shape[3])
        if sizes == input.shape and (shape[0], shape[3]) == (len(input), len(weights)):
            return sides[0].before, sides[1].before
        expected = f"expected an input of shape {sizes} for this output and {len(weights)} outputs"
    raise ShapeError(
        f"TRANSPOSE_CONV: output {shape}, weights {weights.shape}, input {input.shape} do not fit; {expected}"
    )


# --- for the registry -------------------------------------------------------------------------------


def output_shape_of(call: Call) -> Array:
    """The operand that says how large the output is; UnsupportedError unless it is int32."""
    shape = call.array(0)
    if shape.dtype != np.int32:
        raise UnsupportedError(
            f"TRANSPOSE_CONV: output shape of dtype {shape.dtype} found, expected int32; the runtime reads "
            "no other; build the model again with an int32 shape"
        )
    return shape


def _arguments(call: Call) -> dict[str, Any]:
    options = call.options
    return {
        "input": call.float_array(2),
        "bias": call.optional_float_array(3),
        "stride": (options["stride_h"], options["stride_w"]),
        "padding": options["padding"],
        "activation": options["fused_activation_function"],
        "numerics": call.numerics,
    }


def _float(call: Call) -> list[Array]:
    return [transpose_conv_float(output_shape_of(call), call.float_array(1), **_arguments(call))]


def _hybrid(call: Call) -> list[Array]:
    _check_scales(call)
    return [transpose_conv_hybrid(output_shape_of(call), call.array(1), call.scale(1), **_arguments(call))]


def _check_scales(call: Call) -> None:
    """Raise UnsupportedError where the runtime would read scales that do not belong to the outputs.

    See `ptq.defects.TRANSPOSE_CONV_SCALES`.
    """
    tensor, count, shape = call.tensors[1], call.scale(1).size, call.array(1).shape
    axis = tensor.quantized.quantized_dimension if tensor is not None and tensor.quantized is not None else 0
    if axis and count > 1:
        raise UnsupportedError(
            f"hybrid TRANSPOSE_CONV: weights of shape {shape} with scales along dimension {axis} found, "
            "expected dimension 0, the outputs; convert the model again"
        )
    if axis >= len(shape) or shape[axis] < shape[0]:
        found = f"{shape[0]} outputs and one scale, along dimension {axis} of {shape}"
        defects.TRANSPOSE_CONV_SCALES.reproduced(call.numerics, found)


FLOAT: dict[str, Kernel] = {"TRANSPOSE_CONV": _float}
HYBRID: dict[str, Kernel] = {"TRANSPOSE_CONV": _hybrid}
