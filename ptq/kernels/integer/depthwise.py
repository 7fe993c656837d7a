"""DEPTHWISE_CONV_2D on integers: every channel is filtered by itself, then the output stage.

Layouts: input [N, H, W, C]; filter [1, kernel_h, kernel_w, O] with O = C * multiplier, where output
channel o = c * multiplier + m reads input channel c; bias [O]; output [N, h, w, O].

There is no matrix product here, and no use for BLAS: a tap of the filter is a shifted image times one weight
per channel, summed in the integers of C's accumulators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from ptq.gemm import largest_magnitude
from ptq.kernels.call import Call, Kernel
from ptq.kernels.conv import Geometry, geometry_options
from ptq.kernels.depthwise import check_channels, check_multiplier
from ptq.kernels.integer.output_stage import MultiplyAdd, OutputStage, centred
from ptq.kernels.integer.product_parameters import Positions, convolution_parameters, remember
from ptq.kernels.padding import Pair, pad_image

Array = npt.NDArray[Any]

CHUNK = 32_768
"""Sums to which all taps are added at once, so that they stay in the cache."""


@dataclass(frozen=True)
class Prepared:
    """A filter made ready for repeated use: weights [kernel_h, kernel_w, O] as accumulators, what follows."""

    weights: Array
    finish: OutputStage | MultiplyAdd


def depthwise_conv2d_integer(
    input: Array,
    filter: Array,
    stage: OutputStage,
    input_zero_point: int = 0,
    filter_zero_point: int = 0,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "SAME",
    prepared: Prepared | None = None,
) -> Array:
    """output[n,y,x,o] = stage(sum_{i,j} (filter[0,i,j,o] - filter_zero_point)
                                          * (image[n, y', x', c] - input_zero_point))

    with y' = y * stride - before + i * dilation, and nothing outside the image. input: int8, uint8 or
    int16. filter: int8 or uint8. Returns integers of the stage's type. prepared: `prepare(...)` where the
    same filter is used again. Raises ShapeError if the channels do not fit.
    Source: `tflite/kernels/internal/reference/integer_ops/depthwise_conv.h`, DepthwiseConvPerChannel;
    `reference/depthwiseconv_uint8.h`, DepthwiseConv.
    """
    # subtract zero points
    prepared = prepared or prepare(input, filter, stage, input_zero_point, filter_zero_point)
    check_channels(input, filter)
    geometry = Geometry(stride, dilation, padding)
    windows = geometry.windows(input.shape, filter.shape[1:3])
    output = np.empty((len(input), windows[0].size, windows[1].size, filter.shape[3]), stage.dtype)
    for image, result in zip(input, output, strict=True):
        if image.shape[2] < filter.shape[3]:
            image = np.repeat(image, filter.shape[3] // image.shape[2], axis=2)
        padded = pad_image(image, *windows, input_zero_point).astype(stage.accumulator)
        if geometry.stride == (1, 1):
            _filter_lines(padded, result, geometry.dilation, prepared)
        else:
            _filter_rows(padded, result, geometry, prepared)
    return output


def prepare(
    input: Array, filter: Array, stage: OutputStage, input_zero_point: int = 0, filter_zero_point: int = 0
) -> Prepared:
    """Make a filter ready for repeated use on inputs of this type."""
    weights = centred(filter, filter_zero_point)[0].astype(stage.accumulator)
    stage = stage.after_raw_sums(input_zero_point, weights.sum(axis=(0, 1), dtype=np.int64))
    norm = int(np.abs(weights).sum(axis=(0, 1), dtype=np.int64).max(initial=0))
    return Prepared(weights, stage.merged(largest_magnitude(input.dtype) * norm))


def _filter_rows(padded: Array, result: Array, geometry: Geometry, prepared: Prepared) -> None:
    """A few rows of the result [h, w, O] at a time."""
    (stride_h, stride_w), (dilation_h, dilation_w) = geometry.stride, geometry.dilation
    row, column, element = padded.strides
    strides = (row * dilation_h, column * dilation_w, row * stride_h, column * stride_w, element)
    step = min(max(CHUNK // result[0].size, 1), len(result))
    finish = prepared.finish.start(step * result[0].size)
    sums = np.empty((step, *result.shape[1:]), padded.dtype)
    for top in range(0, len(result), step):
        out = result[top : top + step]
        taps = as_strided(padded[top * stride_h :], (*prepared.weights.shape[:2], *out.shape), strides)
        # accumulate
        total = np.einsum("ij...,ij...->...", taps, prepared.weights[:, :, None, None], out=sums[: len(out)])
        # add bias, rescale, clamp
        finish(total, out)


def _filter_lines(padded: Array, result: Array, dilation: Pair, prepared: Prepared) -> None:
    """Long one-dimensional runs, for stride 1.

    In the padded image read as one line, a tap is a constant offset. The line has `kernel_w - 1` columns
    too many in each row; they are computed too, and left out when the rows are copied.
    """
    height, width, channels = result.shape
    line, columns = padded.reshape(-1), padded.shape[1]
    row = columns * channels
    step = min(max(CHUNK // row, 1), height)
    finish = prepared.finish.start(step * row)
    sums, finished = np.empty(step * row, padded.dtype), np.empty(step * row, result.dtype)
    weights = np.tile(prepared.weights, (1, 1, step * columns))
    strides = (dilation[0] * row * line.itemsize, dilation[1] * channels * line.itemsize, line.itemsize)
    for top in range(0, height, step):
        rows = min(step, height - top)
        # the last row is not continued into the padding that lies beyond the image
        length = (rows - 1) * row + width * channels
        taps = as_strided(line[top * row :], (*weights.shape[:2], length), strides)
        # accumulate
        np.einsum("ijk,ijk->k", taps, weights[:, :, :length], out=sums[:length])
        # add bias, rescale, clamp
        finish(sums[:length].reshape(-1, channels), finished[:length].reshape(-1, channels))
        result[top : top + rows] = finished[: rows * row].reshape(rows, columns, channels)[:, :width]


# --- for the registry -------------------------------------------------------------------------------

AT = Positions(axis=3)


def _integer(call: Call) -> list[Array]:
    check_multiplier(call)
    input, filter = call.array(0), call.array(1)
    parameters = remember(call, AT, "parameters", lambda: convolution_parameters(call, AT))
    prepared = remember(call, AT, "filter", lambda: prepare(input, filter, *parameters))
    options = geometry_options(call)
    del options["activation"]  # in the stage
    return [depthwise_conv2d_integer(input, filter, *parameters, **options, prepared=prepared)]


INTEGER: dict[str, Kernel] = {"DEPTHWISE_CONV_2D": _integer}
