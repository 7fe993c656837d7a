"""DEPTHWISE_CONV_2D in float and hybrid arithmetic: every channel is filtered by itself.

Layouts: input [N, H, W, C]; filter [1, kernel_h, kernel_w, O] with O = C * multiplier, where output
channel o = c * multiplier + m reads input channel c; bias [O]; output [N, h, w, O].

There is no matrix product here: a tap of the filter is a shifted image times one weight per channel. In
float the taps are added one after the other, which is also the reference kernel's order, so that the result
is the reference's, bit for bit; integers are exact in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from ptq.errors import ShapeError
from ptq.kernels.activation import clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.conv import Finish, Geometry, geometry_options
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.padding import Pair, pad_image
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]

CHUNK = 49_152
"""Elements of the output that all taps are applied to at once, so that they stay in the cache."""

SumTaps = Callable[[Array, Array, Array], None]
"""Writes sum_{i,j} taps[i,j] * weights[i,j] to its third argument."""

def depthwise_conv2d_float(
    input: Array,
    filter: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
) -> Array:
    """output[n,y,x,o] = activation(bias[o] + sum_{i,j} filter[0,i,j,o] * image[n, y', x', c])   (Q11)

    All arrays float32; sums run over i, then j, each product and sum rounded: the reference's order.
    Raises ShapeError if the channels do not fit. Source: `reference/depthwiseconv_float.h`.
    """
    geometry = Geometry(stride, dilation, padding)
    output = _allocate(input, filter, geometry)

    def finish(out: Array) -> None:
        # add bias
        if bias is not None:
            out += bias
        # clamp
        clamp_float(out, activation, out=out)

    for image, result in zip(input, output, strict=True):
        # accumulate
        _accumulate(image, result, filter[0], geometry, _sum_in_order, finish)
    return output


def depthwise_conv2d_hybrid(
    input: Array,
    filter: Array,
    filter_scale: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """As `depthwise_conv2d_float`, with an int8 filter and asymmetric images quantized at run time.

    output = activation(acc * (filter_scale[o] * image_scale) + bias): the scales are multiplied first,
    unlike in CONV_2D (Q12). filter_scale: float32 [O]. The accumulator is exact: |q - zero_point| <= 255
    and |filter| <= 128, so that up to 514 taps stay below 2^24; larger filters are refused.
    Source: `tflite/kernels/depthwise_conv.cc`, EvalHybridPerChannel; `integer_ops/depthwise_conv_hybrid.h`.
    """
    geometry = Geometry(stride, dilation, padding)
    output = _allocate(input, filter, geometry)
    _check_hybrid(filter, filter_scale)
    weights = filter[0].astype(np.float32)
    for image, result in zip(input, output, strict=True):
        # quantize input
        quantized = quantize_rows(image.reshape(1, -1), symmetric=False, numerics=numerics)
        centred, scale = quantized.centred.reshape(image.shape), filter_scale * quantized.scale[0]

        def finish(out: Array, scale: Array = scale) -> None:
            # rescale
            out *= scale
            # add bias
            if bias is not None:
                out += bias
            # clamp
            clamp_float(out, activation, out=out)

        # accumulate
        _accumulate(centred, result, weights, geometry, _sum_exactly, finish)
    return output


def _check_hybrid(filter: Array, filter_scale: Array) -> None:
    taps = filter.shape[1] * filter.shape[2]
    if taps > 514:
        raise ShapeError(f"hybrid DEPTHWISE_CONV_2D: {taps} taps found, expected at most 514")
    if filter_scale.size != filter.shape[3]:
        raise ShapeError(
            f"hybrid DEPTHWISE_CONV_2D: {filter_scale.size} scales for {filter.shape[3]} output channels; "
            "expected one for each; the runtime has no per-tensor form of this kernel"
        )


def check_channels(input: Array, filter: Array) -> None:
    """Raise ShapeError unless the filter has a whole number of outputs for each channel of the input."""
    if input.ndim != 4 or filter.ndim != 4 or len(filter) != 1 or filter.shape[3] % max(input.shape[3], 1):
        raise ShapeError(
            f"DEPTHWISE_CONV_2D: input {input.shape} and filter {filter.shape} do not fit; expected "
            "[N, H, W, C] and [1, h, w, C * multiplier]"
        )


def _allocate(input: Array, filter: Array, geometry: Geometry) -> Array:
    check_channels(input, filter)
    vertical, horizontal = geometry.windows(input.shape, filter.shape[1:3])
    return np.empty((len(input), vertical.size, horizontal.size, filter.shape[3]), np.float32)


def _accumulate(
    image: Array, result: Array, weights: Array, geometry: Geometry, sum_taps: SumTaps, finish: Finish
) -> None:
    """result[y,x,o] = sum over taps of weights[i,j,o] * image[y', x', c], for one image [H, W, C].

    A few rows of the result are `finish`ed as soon as they are summed, while they are in the cache.
    """
    multiplier = weights.shape[2] // image.shape[2]
    if multiplier > 1:
        image = np.repeat(image, multiplier, axis=2)
    padded = pad_image(image, *geometry.windows(image.shape, weights.shape[:2]))
    if geometry.stride == (1, 1):
        _accumulate_flat(padded, result, weights, geometry.dilation, sum_taps, finish)
    else:
        _accumulate_strided(padded, result, weights, geometry, sum_taps, finish)


def _accumulate_strided(
    padded: Array, result: Array, weights: Array, geometry: Geometry, sum_taps: SumTaps, finish: Finish
) -> None:
    """A few output rows at a time."""
    height, width, channels = result.shape
    (stride_h, stride_w), (dilation_h, dilation_w) = geometry.stride, geometry.dilation
    row, column, element = padded.strides
    strides = (row * dilation_h, column * dilation_w, row * stride_h, column * stride_w, element)
    step = max(CHUNK // (width * channels), 1)
    for top in range(0, height, step):
        out = result[top : top + step]
        taps = as_strided(padded[top * stride_h :], (*weights.shape[:2], *out.shape), strides)
        sum_taps(taps, weights[:, :, None, None], out)
        finish(out)


def _accumulate_flat(
    padded: Array, result: Array, weights: Array, dilation: Pair, sum_taps: SumTaps, finish: Finish
) -> None:
    """Long one-dimensional runs, for stride 1.

    In the padded image read as one line, a tap is a constant offset. The line has `kernel_w - 1` columns
    too many in each row; they are computed too, and left out when the rows are copied.
    """
    height, width, channels = result.shape
    line = padded.reshape(-1)
    row = padded.shape[1] * channels
    step = min(max(CHUNK // row, 1), height)
    total = np.empty(step * row, np.float32)
    tiled = np.tile(weights, (1, 1, step * padded.shape[1]))
    strides = (dilation[0] * row * line.itemsize, dilation[1] * channels * line.itemsize, line.itemsize)
    for top in range(0, height, step):
        rows = min(step, height - top)
        # the last row is not continued into the padding that lies beyond the image
        length = (rows - 1) * row + width * channels
        taps = as_strided(line[top * row :], (*weights.shape[:2], length), strides)
        sum_taps(taps, tiled[:, :, :length], total[:length])
        computed = total[: rows * row].reshape(rows, -1, channels)
        result[top : top + rows] = computed[:, :width]
        finish(result[top : top + rows])


def _sum_in_order(taps: Array, weights: Array, out: Array) -> None:
    """Tap by tap, every product and every sum rounded to float32."""
    out[...] = 0  # the reference starts from +0, which turns a first product of -0 into +0
    product = np.empty(out.shape, np.float32)
    for i in range(taps.shape[0]):
        for j in range(taps.shape[1]):
            out += np.multiply(taps[i, j], weights[i, j], out=product)


def _sum_exactly(taps: Array, weights: Array, out: Array) -> None:
    """In one go: integers below 2^24 have the same sum in any order and with fused multiply-add."""
    np.einsum("ij...,ij...->...", taps, weights, out=out)


def _float(call: Call) -> list[Array]:
    check_multiplier(call)
    return [
        depthwise_conv2d_float(
            call.float_array(0), call.float_array(1), call.optional_float_array(2), **geometry_options(call)
        )
    ]


def _hybrid(call: Call) -> list[Array]:
    check_multiplier(call)
    return [
        depthwise_conv2d_hybrid(
            call.float_array(0),
            call.array(1),
            call.scale(1),
            call.optional_float_array(2),
            numerics=call.numerics,
            **geometry_options(call),
        )
    ]


def check_multiplier(call: Call) -> None:
    """The option repeats what the shapes say; the runtime computes with the shapes."""
    channels, outputs = call.array(0).shape[-1], call.array(1).shape[-1]
    declared = call.options["depth_multiplier"]
    if declared and declared * channels != outputs:
        raise ShapeError(
            f"DEPTHWISE_CONV_2D: depth_multiplier {declared} found, but {channels} input and "
            f"{outputs} output channels; expected {outputs} = {channels} * multiplier"
        )


FLOAT: dict[str, Kernel] = {"DEPTHWISE_CONV_2D": _float}
HYBRID: dict[str, Kernel] = {"DEPTHWISE_CONV_2D": _hybrid}
