"""BATCH_MATMUL on integers: a matrix product for each entry of the batch; both operands have a zero point.

Layouts: lhs [..., M, K], or [..., K, M] with adj_x; rhs [..., K, N], or [..., N, K] with adj_y; output
[..., M, N], with batches that broadcast as NumPy's do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import IntegerWeights, largest_magnitude, multiply_integers
from ptq.kernels.batch_matmul import oriented, stacked
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.output_stage import OutputStage, centred
from ptq.kernels.integer.product_parameters import matmul_parameters

Array = npt.NDArray[Any]

Prepared = list[tuple[IntegerWeights, Array]]
"""For each matrix [N, K] of rhs: how it is multiplied, and what lhs's zero point adds to the product [N]."""


def batch_matmul_integer(
    lhs: Array,
    rhs: Array,
    stage: OutputStage,
    lhs_zero_point: int = 0,
    rhs_zero_point: int = 0,
    adj_x: bool = False,
    adj_y: bool = False,
    prepared: Prepared | None = None,
) -> Array:
    """output[..., m, n] = stage(sum_k (lhs[..., m, k] - lhs_zero_point) * (rhs[..., k, n] - rhs_zero_point))

    lhs: int8 or int16. rhs: int8, or int16 with such an lhs. Returns integers of the stage's type. prepared:
    `prepare(...)` where the same rhs is used again. Raises ShapeError if the shapes do not fit.
    Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul.
    """
    operands = oriented(lhs, rhs, adj_x, adj_y)
    # subtract zero points
    zero_points = lhs_zero_point, rhs_zero_point
    matrices = prepared if prepared is not None else prepare(lhs.dtype, operands.right, *zero_points)
    rows, output = stacked(operands.left), operands.allocate(stage.dtype)
    sums = np.empty(output.shape[1:], stage.accumulator)
    bounds = [matrix.bound + int(np.abs(offsets).max(initial=0)) for matrix, offsets in matrices]
    finish = stage.merged(max(bounds, default=0)).start(sums.size)
    for result, left, right in zip(output, *operands.matrices(), strict=True):
        matrix, offsets = matrices[right]
        # accumulate
        multiply_integers(rows[left], matrix, sums)
        np.subtract(sums, offsets, out=sums, casting="unsafe")
        # rescale, clamp
        finish(sums.reshape(-1, 1), result.reshape(-1, 1))
    return output.reshape(operands.shape)


def prepare(
    lhs_type: npt.DTypeLike, right: Array, lhs_zero_point: int = 0, rhs_zero_point: int = 0
) -> Prepared:
    """Make a right operand [..., N, K] ready for repeated use."""
    prepared = []
    for matrix in stacked(centred(right, rhs_zero_point)):
        sums = matrix.sum(axis=1, dtype=np.int64)
        prepared.append((IntegerWeights.prepare(matrix, largest_magnitude(lhs_type)), lhs_zero_point * sums))
    return prepared


# --- for the registry -------------------------------------------------------------------------------


def _integer(call: Call) -> list[Array]:
    lhs, rhs, options = call.array(0), call.array(1), call.options
    adjoint = options["adj_x"], options["adj_y"]
    parameters = call.remember("parameters", lambda: matmul_parameters(call))
    _, *zero_points = parameters

    def ready() -> Prepared:
        return prepare(lhs.dtype, oriented(lhs, rhs, *adjoint).right, *zero_points)

    prepared = call.remember("rhs", ready)
    return [batch_matmul_integer(lhs, rhs, *parameters, *adjoint, prepared)]


INTEGER: dict[str, Kernel] = {"BATCH_MATMUL": _integer}
