"""SVDF: a dense layer over time, factored into a filter over the inputs and a filter over the past.

Each of F = units * rank filters keeps the last M of its feature values                          (Q29):

    feature[b, f] = sum_i weights_feature[f, i] * x[b, i]
    state[b, f]   = (state[b, f] without its oldest value, feature[b, f])
    output[b, u]  = activation(bias[u] + sum_r sum_m weights_time[f, m] * state[b, f, m]),   f = u * rank + r

A dense layer over the whole window would need I * M weights for each unit, this one (I + M) * rank. Only the
feature product is hybrid: the time weights, int8 as well, are turned into floats.

Layouts: x [batch, I]; weights_feature [F, I]; weights_time [F, M]; bias [units]; state [batch, F * M].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError
from ptq.kernels.activation import activate_float, activate_float_micro
from ptq.kernels.call import Call, Kernel
from ptq.kernels.lanes import lane_sum
from ptq.kernels.recurrent import Matrix, add_products, int8_weights, matrix_of
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]


def svdf_float(
    input: Array,
    weights_feature: Array,
    weights_time: Array,
    bias: Array | None,
    state: Array,
    rank: int,
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """One step of the formulas above; returns the output [batch, units] and the new state.

    All float32. Every sum but the first runs in the runtime's lanes; the feature product does so with ordered
    float sums, while BLAS differs by at most I * 2^-23 * sum |weights_feature * x|. Micro adds the filters
    to the bias, and has another activation, `activate_float_micro`.
    Errors: ShapeError. Source: `tflite/kernels/internal/reference/svdf.h`, EvalFloatSVDF.
    """
    matrix = Matrix.of("SVDF", weights_feature)
    state = _remember(input, matrix, state, weights_time, False, numerics)
    return _filter(state, weights_time, bias, rank, activation, numerics, False), state


def svdf_hybrid(
    input: Array,
    weights_feature: tuple[Array, Array],
    weights_time: tuple[Array, Array],
    bias: Array | None,
    state: Array,
    rank: int,
    activation: str = "NONE",
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """The same with pairs (int8 weights, scale float32 [1]): x is quantized, each row with its own scale.

    weights_time is used as float32(int8 * scale). An x that is all zero gives feature values of 0.
    Errors: ShapeError; QuantizationError: see `quantize_rows`, `refuse_minus_128`.
    Source: `tflite/kernels/internal/reference/svdf.h`, EvalHybridSVDF; `tflite/kernels/svdf.cc`, Eval.
    """
    matrix, time = Matrix.of("SVDF", weights_feature), weights_time[0] * weights_time[1]
    state = _remember(input, matrix, state, time, asymmetric_quantize_inputs, numerics)
    return _filter(state, time, bias, rank, activation, numerics, True), state


def _remember(
    x: Array, features: Matrix, state: Array, weights_time: Array, asymmetric: bool, numerics: Numerics
) -> Array:
    """The new state: every filter's oldest value has made room for its newest."""
    _check(x, features, state, weights_time)
    newest = np.zeros((len(x), features.shape[0]), np.float32)
    # quantize input, accumulate, rescale
    hybrid = features.hybrid is not None
    add_products(newest[None], x[None], features, asymmetric, numerics, skip_zero_steps=hybrid)
    past = state.reshape(*newest.shape, weights_time.shape[1])[:, :, 1:]
    return np.concatenate([past, newest[:, :, None]], axis=2).reshape(state.shape)


def _filter(
    state: Array,
    weights_time: Array,
    bias: Array | None,
    rank: int,
    activation: str,
    numerics: Numerics,
    hybrid: bool,
) -> Array:
    filters, batch = len(weights_time), len(state)
    if rank < 1 or filters % rank:
        raise ShapeError(f"SVDF: {filters} filters found, expected a multiple of the rank {rank}, at least 1")
    values = lane_sum(state.reshape(batch, *weights_time.shape) * weights_time, numerics)
    values = values.reshape(batch, filters // rank, rank)
    if bias is not None and bias.shape != (filters // rank,):
        raise ShapeError(f"SVDF: bias of shape {bias.shape} found, expected ({filters // rank},)")
    if not hybrid and numerics.integer_kernels == "micro":
        return activate_float_micro(_from_bias(values, bias), activation)
    output = lane_sum(values, numerics)
    # add bias
    if bias is not None:
        output += bias
    # clamp
    return activate_float(output, activation, out=output)


def _from_bias(values: Array, bias: Array | None) -> Array:
    """The sum over the last axis in order, from the bias on: so micro has it."""
    output = np.zeros(values.shape[:-1], np.float32)
    if bias is not None:
        output += bias
    for column in np.moveaxis(values, -1, 0):
        output += column
    return output


def _check(x: Array, features: Matrix, state: Array, weights_time: Array) -> None:
    filters, inputs = features.shape
    if x.ndim != 2 or x.shape[1] != inputs:
        raise ShapeError(f"SVDF: input of shape {x.shape} found, expected [batch, {inputs}]")
    if weights_time.ndim != 2 or len(weights_time) != filters or not weights_time.shape[1]:
        raise ShapeError(
            f"SVDF: weights_time of shape {weights_time.shape} found, expected [{filters}, memory]"
        )
    if state.shape != (len(x), weights_time.size):
        raise ShapeError(
            f"SVDF: state of shape {state.shape} found, expected {(len(x), weights_time.size)}, "
            "[batch, filters * memory]"
        )


# --- for the registry -----------------------------------------------------------------------------


def _svdf(call: Call, features: Matrix, weights_time: Array) -> list[Array]:
    options, bias = call.options, call.optional_float_array(3)
    asymmetric = options["asymmetric_quantize_inputs"]
    state = _remember(call.float_array(0), features, call.state(4), weights_time, asymmetric, call.numerics)
    call.keep_state(4, state)
    activation = options["fused_activation_function"]
    hybrid = features.hybrid is not None
    return [_filter(state, weights_time, bias, options["rank"], activation, call.numerics, hybrid)]


def _float(call: Call) -> list[Array]:
    return _svdf(call, matrix_of(call, 1, hybrid=False), call.float_array(2))


def _hybrid(call: Call) -> list[Array]:
    features = matrix_of(call, 1, hybrid=True)
    if call.array(2).dtype == np.float32:
        defects.SVDF_MIXED.reproduced(call.numerics, "both types")
        return _svdf(call, features, call.float_array(2))
    weights, scale = int8_weights(call, 2)
    return _svdf(call, features, weights * scale)


FLOAT: dict[str, Kernel] = {"SVDF": _float}
HYBRID: dict[str, Kernel] = {"SVDF": _hybrid}
