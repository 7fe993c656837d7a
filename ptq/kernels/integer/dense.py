"""FULLY_CONNECTED on integers: one matrix product, then the output stage.

Layouts: input [..., K] seen as rows [M, K]; weights [N, K]; bias [N].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import IntegerWeights, largest_magnitude, multiply_integers
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dense import rows_of, shaped
from ptq.kernels.integer.output_stage import MultiplyAdd, OutputStage, centred
from ptq.kernels.integer.product_parameters import Positions, dense_parameters, remember

Array = npt.NDArray[Any]

Prepared = tuple[IntegerWeights, OutputStage | MultiplyAdd]
"""The weights in the form in which they are multiplied, and what follows."""


def fully_connected_integer(
    input: Array,
    weights: Array,
    stage: OutputStage,
    input_zero_point: int = 0,
    weights_zero_point: int = 0,
    keep_num_dims: bool = False,
    prepared: Prepared | None = None,
) -> Array:
    """output[m,n] = stage(sum_k (weights[n,k] - weights_zero_point) * (input[m,k] - input_zero_point)) (Q34)

    input: int8, uint8 or int16 [..., K]. weights: int8 or uint8 [N, K]. Returns integers of the stage's type
    [M, N], or [..., N] with keep_num_dims. prepared: `prepare(...)` where the same weights are used again.
    Raises ShapeError if the input cannot be cut into rows of K.
    Source: `tflite/kernels/internal/reference/integer_ops/fully_connected.h`, FullyConnected and
    FullyConnectedPerChannel.
    """
    rows = rows_of(input, weights)
    # subtract zero points
    matrix, finish = prepared or prepare(input.dtype, weights, stage, input_zero_point, weights_zero_point)
    # accumulate
    sums = multiply_integers(rows, matrix, np.empty((len(rows), len(weights)), stage.accumulator))
    # add bias, rescale, clamp
    output = np.empty(sums.shape, stage.dtype)
    finish.start(sums.size)(sums, output)
    return shaped(output, input, keep_num_dims)


def prepare(
    input_type: npt.DTypeLike,
    weights: Array,
    stage: OutputStage,
    input_zero_point: int = 0,
    weights_zero_point: int = 0,
) -> Prepared:
    """Make weights [N, K] ready for repeated use on inputs of a type."""
    difference = centred(weights, weights_zero_point)
    matrix = IntegerWeights.prepare(difference, largest_magnitude(input_type))
    stage = stage.after_raw_sums(input_zero_point, difference.sum(axis=1, dtype=np.int64))
    return matrix, stage.merged(matrix.bound)


# --- for the registry -------------------------------------------------------------------------------

AT = Positions()


def _integer(call: Call) -> list[Array]:
    input, weights = call.array(0), call.array(1)
    parameters = remember(call, AT, "parameters", lambda: dense_parameters(call))
    prepared = remember(call, AT, "weights", lambda: prepare(input.dtype, weights, *parameters))
    keep_num_dims = call.options["keep_num_dims"]
    return [fully_connected_integer(input, weights, *parameters, keep_num_dims, prepared)]


INTEGER: dict[str, Kernel] = {"FULLY_CONNECTED": _integer}
