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

from ptq.errors import ShapeError
from ptq.gemm import ordered_matmul
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.hybrid import HybridWeights, hybrid_product
from ptq.numerics import Numerics

Array = npt.NDArray[Any]


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


def add_products(
    output: Array, x: Array, matrix: Matrix, asymmetric_quantize_inputs: bool, numerics: Numerics
) -> None:
    """output += x @ weights.T, for all time steps together; a step whose x is all zero is left as it is.

    x: float32 [steps, batch, K]; each row is quantized with its own scale. output: float32 [steps, batch, N],
    changed in place.
    """
    live = x.any(axis=(1, 2))
    if not live.any():
        return
    whole = bool(live.all())
    rows = np.ascontiguousarray(x if whole else x[live]).reshape(-1, x.shape[2])
    if matrix.real is not None:
        product = np.empty((len(rows), matrix.shape[0]), np.float32)
        if numerics.float_sums == "ordered":
            ordered_matmul(rows, matrix.real, product)
        else:
            np.matmul(rows, matrix.real.T, out=product)
    else:
        assert matrix.hybrid is not None
        # quantize input
        quantized = quantize_rows(rows, not asymmetric_quantize_inputs, numerics)
        # accumulate, rescale
        product = hybrid_product(quantized, matrix.hybrid, matrix.operator, numerics)
    if whole:
        output += product.reshape(output.shape)
    else:
        output[live] += product.reshape(-1, *output.shape[1:])
