"""The product at the heart of a hybrid kernel: quantized rows times int8 weights, exact, then rescaled.

    accumulator[b, o] = sum_k weights[o, k] * (q[b, k] - zero_point[b])        an integer, exact
    product[b, o]     = float32(accumulator) * (scale[b] * weights_scale[o])   rounded twice     (Q6)

FULLY_CONNECTED, the recurrent operators and SVDF all end in this product; they differ in what surrounds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.gemm import ExactWeights, integer_matmul
from ptq.kernels.dynamic_range import DynamicRows, refuse_minus_128
from ptq.numerics import Numerics

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class HybridWeights:
    """Int8 weights [N, K] made ready for many products.

    exact: the integers in the form in which BLAS multiplies them exactly. scale: float32 [1] or [N].
    row_sum_error: int64 [N], the exact sum of each row less what x86 builds take it for; None where no row
    is long and one-signed enough to differ.
    """

    exact: ExactWeights
    scale: Array
    row_sum_error: Array | None

    @staticmethod
    def prepare(weights: Array, scale: Array) -> HybridWeights:
        """From int8 weights [N, K] with zero point 0, and their scale, float32 [1] or [N]."""
        error = weights.sum(axis=1, dtype=np.int64) - wrapped_row_sums(weights)
        return HybridWeights(ExactWeights.prepare(weights), scale, error if error.any() else None)


def hybrid_product(
    quantized: DynamicRows, weights: HybridWeights, operator: str, numerics: Numerics
) -> Array:
    """The rescaled product of quantized rows [M, K] and weights [N, K]: float32 [M, N].

    Raises QuantizationError for a weight of -128: see `refuse_minus_128`.
    Source: `tflite/kernels/internal/optimized/sse_tensor_utils.cc` and `reference/portable_tensor_utils.cc`,
    MatrixBatchVectorMultiplyAccumulate.
    """
    refuse_minus_128(operator, weights.exact.lowest, numerics)
    # accumulate
    accumulator = integer_matmul(quantized.centred, weights.exact)
    if numerics.row_sums == "wrapping" and weights.row_sum_error is not None and quantized.zero_point.any():
        accumulator = accumulator + np.outer(quantized.zero_point, weights.row_sum_error).astype(np.float64)
    # rescale
    product: Array = accumulator.astype(np.float32, copy=False)
    product *= quantized.scale[:, None] * weights.scale
    return product


def wrapped_row_sums(weights: Array) -> Array:
    """The sums of the rows as x86 builds compute them, in eight int16 lanes that wrap around.

    weights: int8 [N, K]. Returns int64 [N]; equal to the exact sums unless a row is long (K > 2064) and
    one-signed. The runtime subtracts zero_point * row_sum from weights @ q, so that a wrong sum spoils the
    result of rows whose zero point is not 0.
    Source: `tflite/kernels/internal/optimized/sse_tensor_utils.cc`, SseReductionSumVector.
    """
    count, inner = weights.shape
    wide = weights.astype(np.int64)
    blocks = inner // 16
    lanes = wide[:, : 16 * blocks].reshape(count, blocks, 8, 2).sum(axis=(1, 3))
    done = 16 * blocks
    if inner - done >= 8:
        lanes += wide[:, done : done + 8]
        done += 8
    wrapped = (lanes + 2**15) % 2**16 - 2**15
    sums: Array = wrapped.sum(axis=1) + wide[:, done:].sum(axis=1)
    return sums
