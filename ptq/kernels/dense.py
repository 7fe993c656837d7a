"""FULLY_CONNECTED: one matrix product, in float and in hybrid arithmetic.

Layouts: input [..., K] seen as rows [M, K]; weights [N, K]; bias [N].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.gemm import ExactWeights, integer_matmul, ordered_matmul
from ptq.kernels.activation import activate_float, clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import DynamicRows, quantize_rows, refuse_minus_128
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
    rows = _rows(input, weights)
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
    return _shaped(clamp_float(output, activation, out=output), input, keep_num_dims)


def fully_connected_hybrid(
    input: Array,
    weights: Array,
    weights_scale: Array,
    bias: Array | None = None,
    activation: str = "NONE",
    keep_num_dims: bool = False,
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
    prepared: ExactWeights | None = None,
) -> Array:
    """output = activation(bias + (weights @ (q - zero_point)) * scale)                          (Q6)

    input: float32 [..., K], quantized row by row to q. weights: int8 [N, K], zero point 0.
    weights_scale: float32 [1] or [N]. bias: float32 [N]. prepared: `ExactWeights.prepare(weights)`
    where the same weights are used again. An input that is all zero gives activation(bias).
    Raises QuantizationError for what the runtime leaves undefined: see `quantize_rows`, `refuse_minus_128`.
    Source: `tflite/kernels/fully_connected.cc`, EvalHybridDense.
    """
    rows = _rows(input, weights)
    exact = prepared if prepared is not None else ExactWeights.prepare(weights)
    refuse_minus_128("FULLY_CONNECTED", exact.lowest, numerics)
    start = np.zeros(len(weights), np.float32) if bias is None else bias
    output = np.tile(start, (len(rows), 1))
    # quantize input
    if rows.any():
        quantized = quantize_rows(rows, not asymmetric_quantize_inputs, numerics)
        # accumulate
        accumulator = integer_matmul(quantized.centred, exact)
        accumulator = _with_wrapped_row_sums(accumulator, quantized, weights, numerics)
        # rescale
        per_channel = weights_scale.size > 1
        scale = quantized.scale[:, None] * (weights_scale if per_channel else weights_scale[0])
        accumulator = accumulator.astype(np.float32, copy=False)
        accumulator *= scale
        # add bias
        output += accumulator
    # clamp
    return _shaped(activate_float(output, activation, out=output), input, keep_num_dims)


def wrapped_row_sums(weights: Array) -> Array:
    """The sums of the rows as x86 builds compute them, in eight int16 lanes that wrap around.

    weights: int8 [N, K]. Returns int64 [N]; equal to the exact sums unless a row is long (K > 2064) and
    one-signed. Source: `tflite/kernels/internal/optimized/sse_tensor_utils.cc`, SseReductionSumVector.
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


def _with_wrapped_row_sums(
    accumulator: Array, quantized: DynamicRows, weights: Array, numerics: Numerics
) -> Array:
    """Exchange the exact row sums in the zero-point correction for the wrapped ones, where they differ.

    The kernel computes weights @ q - zero_point * row_sum; ours is weights @ (q - zero_point).
    """
    inner = weights.shape[1]
    lane_reach = 128 * (2 * (inner // 16) + 1)
    if numerics.row_sums == "exact" or lane_reach < 2**15 or not quantized.zero_point.any():
        return accumulator
    error = weights.sum(axis=1, dtype=np.int64) - wrapped_row_sums(weights)
    if not error.any():
        return accumulator
    return accumulator + np.outer(quantized.zero_point, error).astype(np.float64)


def _rows(input: Array, weights: Array) -> Array:
    inner = weights.shape[1]
    if input.size % max(inner, 1):
        raise ShapeError(
            f"FULLY_CONNECTED: input of shape {input.shape} cannot be cut into rows of {inner}, "
            f"the inner dimension of the weights {weights.shape}"
        )
    return np.ascontiguousarray(input).reshape(-1, inner)


def _shaped(output: Array, input: Array, keep_num_dims: bool) -> Array:
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
    weights = call.array(1)
    return [
        fully_connected_hybrid(
            call.float_array(0),
            weights,
            call.scale(1),
            asymmetric_quantize_inputs=call.options["asymmetric_quantize_inputs"],
            numerics=call.numerics,
            prepared=call.remember("weights", lambda: ExactWeights.prepare(weights)),
            **_arguments(call),
        )
    ]


FLOAT: dict[str, Kernel] = {"FULLY_CONNECTED": _float}
HYBRID: dict[str, Kernel] = {"FULLY_CONNECTED": _hybrid}
