"""FULLY_CONNECTED: one matrix product, in float and in hybrid arithmetic.

Layouts: input [..., K] seen as rows [M, K]; weights [N, K]; bias [N].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.gemm import ordered_matmul
from ptq.kernels.activation import activate_float, clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.hybrid import HybridWeights, hybrid_product
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]


def fully_connected_float(
    input: Array,
    weights: Array,
    bias: Array | None = None,
    activation: str = "NONE",
    keep_num_dims: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """output = activation(input @ weights.T + bias)                                             (Q5)

    input: float32 [..., K]. weights: float32 [N, K]. bias: float32 [N]. Returns float32 [M, N], or
    [..., N] with keep_num_dims. With ordered float sums the products are added for k = 0, 1, ... as the
    reference adds them. BLAS chooses another order, whose result differs by at most
    K * 2^-23 * (|input| @ |weights|.T + |bias|).
    Source: `tflite/kernels/internal/reference/fully_connected.h`, FullyConnected.
    """
    rows = rows_of(input, weights)
    # accumulate
    output = np.empty((len(rows), len(weights)), np.float32)
    if numerics.float_sums == "ordered":
        ordered_matmul(rows, weights, output)
    else:
        np.matmul(rows, weights.T, out=output)
    # add bias
    if bias is not None:
        output += bias
    # clamp
    return shaped(clamp_float(output, activation, out=output), input, keep_num_dims)


def fully_connected_hybrid(
    input: Array,
    weights: Array,
    weights_scale: Array,
    bias: Array | None = None,
    activation: str = "NONE",
    keep_num_dims: bool = False,
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
    prepared: HybridWeights | None = None,
) -> Array:
    """output = activation(bias + (weights @ (q - zero_point)) * scale)                          (Q6)

    input: float32 [..., K], quantized row by row to q. weights: int8 [N, K], zero point 0.
    weights_scale: float32 [1] or [N]. bias: float32 [N]. prepared: `HybridWeights.prepare(weights,
    weights_scale)` where the same weights are used again. An input that is all zero gives activation(bias).
    Raises QuantizationError for what the runtime leaves undefined: see `quantize_rows`, `refuse_minus_128`.
    Source: `tflite/kernels/fully_connected.cc`, EvalHybridDense.
    """
    rows = rows_of(input, weights)
    start = np.zeros(len(weights), np.float32) if bias is None else bias
    output = np.tile(start, (len(rows), 1))
    # quantize input
    if rows.any():
        quantized = quantize_rows(rows, not asymmetric_quantize_inputs, numerics)
        # accumulate, rescale
        hybrid = prepared if prepared is not None else HybridWeights.prepare(weights, weights_scale)
        product = hybrid_product(quantized, hybrid, "FULLY_CONNECTED", numerics)
        # add bias
        output += product
    # clamp
    return shaped(activate_float(output, activation, out=output), input, keep_num_dims)


def rows_of(input: Array, weights: Array) -> Array:
    """The input as rows of the weights' inner dimension; ShapeError if it cannot be cut into them."""
    inner = weights.shape[1]
    if input.size % max(inner, 1):
        raise ShapeError(
            f"FULLY_CONNECTED: input of shape {input.shape} cannot be cut into rows of {inner}, "
            f"the inner dimension of the weights {weights.shape}"
        )
    return np.ascontiguousarray(input).reshape(-1, inner)


def shaped(output: Array, input: Array, keep_num_dims: bool) -> Array:
    """The rows of the output, in the leading dimensions of the input if these are to be kept."""
    return output.reshape(*input.shape[:-1], -1) if keep_num_dims else output


def _arguments(call: Call) -> dict[str, Any]:
    return {
        "bias": call.optional_float_array(2),
        "activation": call.options["fused_activation_function"],
        "keep_num_dims": call.options["keep_num_dims"],
    }


def _float(call: Call) -> list[Array]:
    arguments = _arguments(call)
    return [
        fully_connected_float(call.float_array(0), call.float_array(1), numerics=call.numerics, **arguments)
    ]


def _hybrid(call: Call) -> list[Array]:
    weights, scale = call.array(1), call.scale(1)
    return [
        fully_connected_hybrid(
            call.float_array(0),
            weights,
            scale,
            asymmetric_quantize_inputs=call.options["asymmetric_quantize_inputs"],
            numerics=call.numerics,
            prepared=call.remember("weights", lambda: HybridWeights.prepare(weights, scale)),
            **_arguments(call),
        )
    ]


FLOAT: dict[str, Kernel] = {"FULLY_CONNECTED": _float}
HYBRID: dict[str, Kernel] = {"FULLY_CONNECTED": _hybrid}
