"""DEPTHWISE_CONV_2D on integers: every channel is filtered by itself, then the output stage.

Layouts: input [N, H, W, C]; filter [1, kernel_h, kernel_w, O] with O = C * multiplier, where output
channel o = c * multiplier + m reads input channel c; bias [O]; output [N, h, w, O].

There is no matrix product here, and no use for BLAS: a tap of the filter is a shifted image times one weight
per channel, summed in the integers of C's accumulators.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import largest_magnitude
from ptq.kernels.call import Call, Kernel
from ptq.kernels.conv import Geometry, geometry_options
from ptq.kernels.depthwise import check_channels, check_multiplier
from ptq.kernels.integer.output_stage import MultiplyAdd, OutputStage, centred
from ptq.kernels.integer.product_parameters import Positions, convolution_parameters, remember
from ptq.kernels.padding import Pair, pad_image

Array = npt.NDArray[Any]

CHUNK = 65_536
"""Sums that are finished at once, so that they stay in the cache."""

REPEATED = 2**16
"""Weights of a filter, repeated for as many pixels as this allows: then a loop over them in C is long."""

Taps = tuple[int, list[int], Array]
"""A phase; the columns j of the kernel with j * dilation % stride == phase; their weights, for n pixels."""


@dataclass(frozen=True)
class Prepared:
    """A filter made ready for repeated use: weights [kernel_h, kernel_w, O] as accumulators, what follows.

    taps: the weights as they were asked for, by the stride, dilation and width of the output.
    """

    weights: Array
    finish: OutputStage | MultiplyAdd
    taps: dict[tuple[int, int, int], list[Taps]] = field(default_factory=dict)

    def phases(self, stride: int, dilation: int, width: int) -> list[Taps]:
        """The taps that read the columns 0, stride, 2 * stride, ..., those that read 1, 1 + stride, ..."""
        key = stride, dilation, width
        if key not in self.taps:
            most = max(REPEATED // max(self.weights.size, 1), 1)
            pixels = max(n for n in range(1, min(most, width) + 1) if width % n == 0)
            reading: dict[int, list[int]] = {}
            for j in range(self.weights.shape[1]):
                reading.setdefault(j * dilation % stride, []).append(j)
            self.taps[key] = [
                (phase, js, np.tile(self.weights[:, js], (1, 1, pixels))) for phase, js in reading.items()
            ]
        return self.taps[key]


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
        _filter(pad_image(image, *windows, input_zero_point), result, geometry, prepared)
    return output


def prepare(
    input: Array, filter: Array, stage: OutputStage, input_zero_point: int = 0, filter_zero_point: int = 0
) -> Prepared:
    """Make a filter ready for repeated use on inputs of this type."""
    weights = centred(filter, filter_zero_point)[0].astype(stage.accumulator)
    stage = stage.after_raw_sums(input_zero_point, weights.sum(axis=(0, 1), dtype=np.int64))
    norm = int(np.abs(weights).sum(axis=(0, 1), dtype=np.int64).max(initial=0))
    return Prepared(weights, stage.merged(largest_magnitude(input.dtype) * norm))


def _filter(padded: Array, result: Array, geometry: Geometry, prepared: Prepared) -> None:
    """Filter one image [H, W, O] into result [h, w, O], a few rows at a time, which stay in the cache."""
    height, length = len(result), result[0].size
    step = min(max(CHUNK // length, 1), height)
    finish = prepared.finish.start(step * length, length)
    phases = list(_phases(padded, result.shape, geometry, prepared))
    sums, term = np.empty((2, step, length), prepared.weights.dtype)
    for top in range(0, height, step):
        out = result[top : top + step]
        total = sums[: len(out)]
        # accumulate
        for number, (taps, weights) in enumerate(phases):
            added = term[: len(out)] if number else total
            runs = added.reshape(len(out), -1, weights.shape[2])
            np.einsum("ijnmk,ijk->nmk", taps[:, :, top : top + step], weights, out=runs)
            if number:
                total += added
        # add bias, rescale, clamp
        finish(total.reshape(out.shape), out)


def _phases(
    padded: Array, out: tuple[int, ...], geometry: Geometry, prepared: Prepared
) -> Iterator[tuple[Array, Array]]:
    """Pixels and weights, [i, j, h, w / n, n * O] and [i, j, n * O], for each set of columns that taps read.

    With a stride of s a tap reads the columns x, x + s, x + 2s, ... Copied side by side these are a long run.
    """
    height, width, channels = out
    stride, dilation = geometry.stride[1], geometry.dilation[1]
    for phase, reading, weights in prepared.phases(stride, dilation, width):
        first, second = (j * dilation // stride for j in (reading * 2)[:2])
        columns = np.ascontiguousarray(padded[:, phase::stride], weights.dtype)
        row, pixel, element = columns.strides
        run = weights.shape[2]
        shape = *weights.shape[:2], height, width * channels // run, run
        taps = row * geometry.dilation[0], pixel * (second - first)
        strides = *taps, row * geometry.stride[0], run * element, element
        yield np.ndarray(shape, columns.dtype, columns.data, first * pixel, strides), weights


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
