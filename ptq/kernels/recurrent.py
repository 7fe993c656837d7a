"""What RNN and LSTM share: weight matrices that add their products to many time steps at once.

Float and hybrid recurrent operators are the same formulas; they differ in one line, how the product of
weights and activations is computed:

    float:   gate += x @ weights.T
    hybrid:  gate += float32((q - zero_point) @ weights.T) * (scale * weights_scale)

A `Matrix` knows which. The matrices of several gates are stacked, so that one product serves them all, and
the products with the input are computed for all time steps together: only the state has to wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.call import Call
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.hybrid import HybridWeights, hybrid_product
from ptq.kernels.lanes import add_lane_products
from ptq.numerics import Numerics

Array = npt.NDArray[Any]
Weights = Array | tuple[Array, Array]
"""A matrix [N, K]: float32, or a pair of int8 with zero point 0 and its scale, float32 [1] or [N]."""


@dataclass(frozen=True)
class Matrix:
    """Stacked weight matrices [N, K] of one operator.

    real: the float32 weights, if they are float. hybrid: the int8 weights and scales, if they are int8.
    """

    operator: str
    shape: tuple[int, int]
    real: Array | None
    hybrid: HybridWeights | None

    @staticmethod
    def stack(operator: str, gates: Sequence[Array], scales: Sequence[Array] | None = None) -> Matrix:
        """From the gates' matrices [n, K], float32, or int8 with a scale [1] or [n] for each gate.

        ShapeError if they do not fit together.
        """
        if any(gate.ndim != 2 or gate.shape != gates[0].shape for gate in gates):
            raise ShapeError(
                f"{operator}: weights of shapes {[gate.shape for gate in gates]} found, "
                "expected matrices of one shape for all gates"
            )
        weights = np.concatenate(gates) if len(gates) > 1 else gates[0]
        shape = (weights.shape[0], weights.shape[1])
        if scales is None:
            return Matrix(operator, shape, weights, None)
        scale = np.concatenate([np.broadcast_to(s, len(g)) for s, g in zip(scales, gates, strict=True)])
        return Matrix(operator, shape, None, HybridWeights.prepare(weights, scale))

    @staticmethod
    def of(operator: str, weights: Weights) -> Matrix:
        """A single matrix; ShapeError if it is none."""
        if isinstance(weights, tuple):
            return Matrix.stack(operator, [weights[0]], [weights[1]])
        return Matrix.stack(operator, [weights])


def add_products(
    output: Array,
    x: Array,
    matrix: Matrix,
    asymmetric_quantize_inputs: bool,
    numerics: Numerics,
    skip_zero_steps: bool = True,
) -> None:
    """output += x @ weights.T, for all time steps together.

    x: float32 [steps, batch, K]; each row is quantized with its own scale. output: float32 [steps, batch, N],
    changed in place. skip_zero_steps: a step whose x is all zero is left as it is. (Adding a product of 0
    shows only in -0, which becomes +0, and in weights that are infinite.)
    Float sums are left to BLAS or, ordered, run in the lanes of `ptq.kernels.lanes`.
    Source: `tflite/kernels/internal/tensor_utils.h`, MatrixBatchVectorMultiplyAccumulate.
    """
    live = x.any(axis=(1, 2)) if skip_zero_steps else np.ones(len(x), np.bool_)
    if not live.any():
        return
    whole = bool(live.all())
    values = np.ascontiguousarray(x if whole else x[live])
    shape = (*values.shape[:2], matrix.shape[0])
    rows = values.reshape(shape[0] * shape[1], x.shape[2])
    if matrix.real is None:
        product = _hybrid_product(rows, matrix, asymmetric_quantize_inputs, numerics)
    elif numerics.float_sums == "blas":
        product = np.matmul(rows, matrix.real.T)
    else:
        sums = output[live].reshape(len(rows), shape[2])
        add_lane_products(sums, rows, matrix.real, numerics)
        output[live] = sums.reshape(shape)
        return
    if whole:
        output += product.reshape(shape)
    else:
        output[live] += product.reshape(shape)


def _hybrid_product(
    rows: Array, matrix: Matrix, asymmetric_quantize_inputs: bool, numerics: Numerics
) -> Array:
    assert matrix.hybrid is not None
    # quantize input
    quantized = quantize_rows(rows, not asymmetric_quantize_inputs, numerics)
    # accumulate, rescale
    return hybrid_product(quantized, matrix.hybrid, matrix.operator, numerics)


# --- for the registry -----------------------------------------------------------------------------


def matrix_of(call: Call, position: int, hybrid: bool) -> Matrix:
    """The weight matrix that an operator has as an input: float32, or int8 with a single scale.

    Raises UnsupportedError for another type and for a scale per channel.
    """
    operator = call.operator.type
    if not hybrid:
        return Matrix.of(operator, call.float_array(position))
    weights = int8_weights(call, position)
    return call.remember(f"weights {position}", lambda: Matrix.of(operator, weights), position)


def int8_weights(call: Call, position: int) -> tuple[Array, Array]:
    """Int8 weights and their scale, float32 [1]; UnsupportedError if they are anything else."""
    weights, tensor = call.array(position), call.tensors[position]
    name = tensor.name if tensor is not None else ""
    if weights.dtype != np.int8:
        raise UnsupportedError(
            f"{call.operator.type}: input {position} ('{name}') of dtype {weights.dtype} found beside int8 "
            "weights, expected int8; quantize all weights of this operator or none"
        )
    scale = call.scale(position)
    if scale.size != 1:
        found = f"input {position} ('{name}') with {scale.size} scales, expected one,"
        raise UnsupportedError(defects.RECURRENT_SCALES.message(found))
    return weights, scale
