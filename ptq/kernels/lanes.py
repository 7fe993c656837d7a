"""How the vector code of the recurrent operators and of SVDF adds floats: in four lanes at once.

A register of four floats takes the terms 0, 4, 8, ... into its lane 0, the terms 1, 5, 9, ... into lane 1 and
so on; then the lanes are added, and after them, one by one, the terms that filled no register (Q30):

    lane_j = t_j + t_(4+j) + t_(8+j) + ...          total = ((lane_0 + lane_1) + lane_2) + lane_3

Float addition rounds, so that this is another number than the sum in order. The portable source has one lane.

Sources: `tflite/kernels/internal/optimized/neon_tensor_utils.cc` (compiled through NEON_2_SSE on x86) and
`reference/portable_tensor_utils.cc`: MatrixBatchVectorMultiplyAccumulate on floats, VectorVectorDotProduct,
ReductionSumVector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.numerics import Numerics

Array = npt.NDArray[Any]

BLOCK = 8192
"""Lanes that `add_lane_products` keeps in the cache while it goes through K."""


def lane_count(numerics: Numerics) -> int:
    """The floats that are added at once: 4 in the vector code, 1 in the portable source."""
    return 4 if numerics.dynamic_range == "simd" else 1


def lane_sum(terms: Array, numerics: Numerics) -> Array:
    """The sum over the last axis. terms: float32 [..., K]; returns float32 [...]."""
    count, columns = lane_count(numerics), np.moveaxis(terms, -1, 0)
    whole = len(columns) // count * count
    lanes = np.zeros((count, *terms.shape[:-1]), np.float32)
    for start in range(0, whole, count):
        lanes += columns[start : start + count]
    total = _total(lanes)
    for column in columns[whole:]:
        total += column
    return total


def add_lane_products(output: Array, x: Array, weights: Array, numerics: Numerics) -> None:
    """output += x @ weights.T: the total of the lanes first, then each product that filled no register.

    output: float32 [M, N], changed in place. x: float32 [M, K]. weights: float32 [N, K].
    """
    count, inner = lane_count(numerics), x.shape[1]
    whole = inner // count * count
    columns = np.ascontiguousarray(weights.T)[:, None, :]
    step = max(BLOCK // max(count * len(weights), 1), 1)
    for top in range(0, len(x), step):
        result, rows = output[top : top + step], np.ascontiguousarray(x[top : top + step].T)[:, :, None]
        lanes = np.zeros((count, *result.shape), np.float32)
        product = np.empty_like(lanes)
        for start in range(0, whole, count):
            block = slice(start, start + count)
            lanes += np.multiply(rows[block], columns[block], out=product)
        result += _total(lanes)
        for k in range(whole, inner):
            result += rows[k] * columns[k]


def _total(lanes: Array) -> Array:
    total: Array = lanes[0].copy()
    for lane in lanes[1:]:
        total += lane
    return total
