"""CONV_2D on integers: patches of the image times the filter, then the output stage.

Layouts: input [N, H, W, C]; filter [O, kernel_h, kernel_w, C / groups]; bias [O]; output [N, h, w, O].
The image is padded with its zero point, which stands for 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import IntegerWeights, largest_magnitude, multiply_integers
from ptq.kernels.call import Call, Kernel
from ptq.kernels.conv import Geometry, filter_groups, geometry_options, patch_rows
from ptq.kernels.integer.output_stage import MultiplyAdd, OutputStage, centred
from ptq.kernels.integer.product_parameters import Positions, convolution_parameters, remember
from ptq.kernels.padding import Pair, pad_image

Array = npt.NDArray[Any]

BLOCK = 196_608
"""Sums, or elements of patches, that are computed at once; they leave the cache, but the calls are few."""


@dataclass(frozen=True)
class Prepared:
    """A filter made ready for repeated use: a matrix for each group, and what follows."""

    groups: list[IntegerWeights]
    finish: OutputStage | MultiplyAdd


def conv2d_integer(
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
    """output[n,y,x,o] = stage(sum_{i,j,c} (filter[o,i,j,c] - filter_zero_point)
                                            * (image[n, y', x', c] - input_zero_point))

    with y' = y * stride - before + i * dilation, and nothing outside the image. input: int8, uint8 or
    int16. filter: int8 or uint8. Returns integers of the stage's type. prepared: `prepare(...)` where the
    same filter is used again. Raises ShapeError if the channels do not fit.
    Source: `tflite/kernels/internal/reference/integer_ops/conv.h`, ConvPerChannel; `reference/conv.h`, Conv.
    """
    # subtract zero points
    prepared = prepared or prepare(input, filter, stage, input_zero_point, filter_zero_point)
    geometry, kernel = Geometry(stride, dilation, padding), filter.shape[1:3]
    windows = geometry.windows(input.shape, kernel)
    output = np.empty((len(input), windows[0].size, windows[1].size, len(filter)), stage.dtype)
    for image, result in zip(input, output, strict=True):
        padded = pad_image(image, *windows, input_zero_point)
        _convolve(padded, result, kernel, geometry, prepared, stage.accumulator)
    return output


def prepare(
    input: Array, filter: Array, stage: OutputStage, input_zero_point: int = 0, filter_zero_point: int = 0
) -> Prepared:
    """Make a filter ready for repeated use on inputs of this type and number of channels."""
    difference = centred(filter, filter_zero_point)
    largest = largest_magnitude(input.dtype)
    groups = [IntegerWeights.prepare(matrix, largest) for matrix in filter_groups(difference, input)]
    stage = stage.after_raw_sums(input_zero_point, difference.sum(axis=(1, 2, 3), dtype=np.int64))
    return Prepared(groups, stage.merged(max(matrix.bound for matrix in groups)))


def _convolve(
    padded: Array,
    result: Array,
    kernel: Pair,
    geometry: Geometry,
    prepared: Prepared,
    accumulator: npt.DTypeLike,
) -> None:
    """Convolve one image [H, W, C] into result [h, w, O], a few rows at a time, which stay in the cache."""
    flat, groups = result.reshape(-1, result.shape[2]), prepared.groups
    depth, width = padded.shape[2] // len(groups), flat.shape[1] // len(groups)
    channels = [padded[:, :, group * depth : (group + 1) * depth] for group in range(len(groups))]
    sums = np.empty((0, flat.shape[1]), accumulator)
    for blocks in zip(*(patch_rows(c, kernel, geometry, result.shape, BLOCK) for c in channels), strict=True):
        rows = blocks[0][0]
        if len(sums) == 0:
            sums = np.empty((rows.stop - rows.start, flat.shape[1]), accumulator)
            finish = prepared.finish.start(sums.size)
        total = sums[: rows.stop - rows.start]
        # accumulate
        for group, (_, patches) in enumerate(blocks):
            multiply_integers(patches, groups[group], total[:, group * width : (group + 1) * width])
        # add bias, rescale, clamp
        finish(total, flat[rows])


# --- for the registry -------------------------------------------------------------------------------

AT = Positions()


def _integer(call: Call) -> list[Array]:
    input, filter = call.array(0), call.array(1)
    parameters = remember(call, AT, "parameters", lambda: convolution_parameters(call, AT, True))
    # how many groups there are depends on the input's channels
    prepared = remember(call, AT, f"filter {input.shape[3]}", lambda: prepare(input, filter, *parameters))
    options = geometry_options(call)
    del options["activation"]  # in the stage
    return [conv2d_integer(input, filter, *parameters, **options, prepared=prepared)]


INTEGER: dict[str, Kernel] = {"CONV_2D": _integer}
