"""TRANSPOSE_CONV on integers: each input pixel adds its products to a patch of the output.

Layouts: input [N, H, W, C]; weights [O, kernel_h, kernel_w, C]; bias [O]; output [N, h, w, O].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import IntegerWeights, largest_magnitude, multiply_integers
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.output_stage import MultiplyAdd, OutputStage, centred
from ptq.kernels.integer.product_parameters import Positions, convolution_parameters, remember
from ptq.kernels.padding import Pair
from ptq.kernels.transpose_conv import output_shape_of, padding_before, reached

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Prepared:
    """Weights made ready for repeated use: one matrix [kernel_h * kernel_w * O, C], and what follows.

    offsets: what the input's zero point adds to each row of the product.
    """

    matrix: IntegerWeights
    offsets: Array
    finish: OutputStage | MultiplyAdd


def transpose_conv_integer(
    output_shape: Array,
    weights: Array,
    input: Array,
    stage: OutputStage,
    input_zero_point: int = 0,
    weights_zero_point: int = 0,
    stride: Pair = (1, 1),
    padding: str = "SAME",
    prepared: Prepared | None = None,
) -> Array:
    """output[n, y', x', o] = stage(sum_{y,x,c} (input[n, y, x, c] - input_zero_point)
                                                 * (weights[o, i, j, c] - weights_zero_point))

    with i = y' + before - y * stride and j likewise, where they lie inside the kernel. output_shape: four
    integers. input: int8, uint8 or int16. weights: int8 or uint8. Returns integers of the stage's type.
    prepared: `prepare(...)` where the same weights are used again. Raises ShapeError if shapes do not fit.
    Source: `tflite/kernels/internal/reference/integer_ops/transpose_conv.h`, TransposeConv.
    """
    before = padding_before(output_shape, weights, input, stride, padding)
    prepared = prepared or prepare(input.dtype, weights, stage, input_zero_point, weights_zero_point)
    output = np.empty(tuple(map(int, output_shape)), stage.dtype)
    sums = np.empty(output.shape[1:], stage.accumulator)
    finish = prepared.finish.start(sums.size)
    taps = weights.shape[1:3]
    for image, result in zip(input, output, strict=True):
        # accumulate
        columns = np.empty((image.shape[0] * image.shape[1], len(prepared.offsets)), stage.accumulator)
        multiply_integers(image.reshape(len(columns), -1), prepared.matrix, columns)
        # subtract zero points
        columns -= prepared.offsets
        _add_patches(columns.reshape(*image.shape[:2], *taps, -1), sums, stride, before)
        # add bias, rescale, clamp
        finish(sums, result)
    return output


def prepare(
    input_type: npt.DTypeLike,
    weights: Array,
    stage: OutputStage,
    input_zero_point: int = 0,
    weights_zero_point: int = 0,
) -> Prepared:
    """Make weights ready for repeated use on inputs of a type."""
    difference = np.moveaxis(centred(weights, weights_zero_point), 0, 2)
    rows = difference.reshape(-1, weights.shape[3])
    matrix = IntegerWeights.prepare(rows, largest_magnitude(input_type))
    offsets = input_zero_point * rows.sum(axis=1, dtype=np.int64)
    # each tap reaches an output once at most
    bound = weights.shape[1] * weights.shape[2] * (matrix.bound + int(np.abs(offsets).max(initial=0)))
    return Prepared(matrix, offsets.astype(stage.accumulator), stage.merged(bound))


def _add_patches(columns: Array, sums: Array, stride: Pair, before: Pair) -> None:
    """sums[y', x', o] = the products columns[y, x, i, j, o] that reach it."""
    height, width, kernel_h, kernel_w, _ = columns.shape
    sums[...] = 0
    for i in range(kernel_h):
        rows, out_rows = reached(height, sums.shape[0], stride[0], before[0] - i)
        for j in range(kernel_w):
            across, out_across = reached(width, sums.shape[1], stride[1], before[1] - j)
            sums[out_rows, out_across] += columns[rows, across, i, j]


# --- for the registry -------------------------------------------------------------------------------

AT = Positions(input=2, weights=1, bias=3)


def _integer(call: Call) -> list[Array]:
    output_shape, weights, input, options = output_shape_of(call), call.array(1), call.array(2), call.options
    parameters = remember(call, AT, "parameters", lambda: convolution_parameters(call, AT))
    prepared = remember(call, AT, "weights", lambda: prepare(input.dtype, weights, *parameters))
    stride = options["stride_h"], options["stride_w"]
    padding = options["padding"]
    return [
        transpose_conv_integer(output_shape, weights, input, *parameters, stride, padding, prepared)
    ]


INTEGER: dict[str, Kernel] = {"TRANSPOSE_CONV": _integer}
