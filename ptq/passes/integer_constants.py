"""Weights, biases and other constants as integers, as TensorFlow's full integer quantization stores them.

Sources: `tflite/converter/quantization/common/quantization_lib/quantization_utils.cc`, QuantizeLegacy,
GetUniformQuantizedTypeForBias; `tfl_quantization_driver.cc`, SetBiasParamsWithAdjustments; for int16
activations `tflite/tools/optimize/quantization_utils.cc`, SymmetricBiasQuantize.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError
from ptq.fixed_point import round_half_away
from ptq.graph import Quantization, Tensor
from ptq.passes.integer_rules import Layer, Scheme
from ptq.quantizer import minimum_maximum, quantize_weights

Array = npt.NDArray[Any]

LARGEST_BIAS = (2**31 - 1) // 2
"""A bias takes half of the accumulator's range at most, which leaves room for the products."""

NEAR_ZERO = 1e-6
"""A constant's range is widened to this width; see `ptq.quantizer` for what else is."""


@dataclass(frozen=True)
class LayerConstants:
    """Weights and bias (if there is one) of a layer; raised: by how much scales had to be (1: not at all)."""

    weights: Tensor
    bias: Tensor | None
    raised: float = 1.0


def quantize_layer(
    weights: Tensor, bias: Tensor | None, data: Quantization, layer: Layer, scheme: Scheme
) -> LayerConstants:
    """The constants of an operator with weights, for a data operand with such a scale.

    bias_scale = float32(data_scale * weight_scale), bias = round(bias / bias_scale)              (Q35)

    With int8 activations a channel whose bias would exceed 2^30 gets a larger bias scale, and its weights one
    that agrees with it.
    """
    reals, axis = np.asarray(weights.data), layer.channel_axis if scheme.per_channel else None
    integers, quantization = quantize_weights(reals, "mlir_full_integer", axis, weights.name)
    if axis is None or scheme.activations == "INT16":
        # there the converter calls its legacy routines, which divide by the largest weight, not by the scale
        integers, _ = quantize_weights(reals, "legacy_full_integer", axis, weights.name)
    if bias is None:
        return LayerConstants(_constant(weights, integers, quantization), None)
    values, raised = np.asarray(bias.data, np.float32), 1.0
    scale = data.scale[0] * quantization.scale
    if scheme.activations == "INT8":
        needed = _scale_for_bias(values, scale, bias.name)
        if np.any(needed != scale):
            raised = float(np.max(needed / scale))
            wider = (needed / np.float64(data.scale[0])).astype(np.float32)
            quantization = replace(quantization, scale=wider)
            integers = _requantize(reals, quantization)
            scale = needed.astype(np.float32)
    dtype = np.dtype(np.int32 if scheme.activations == "INT8" else np.int64)
    bias_quantization = Quantization(scale, np.zeros(scale.size, np.int64), 0)
    return LayerConstants(
        _constant(weights, integers, quantization),
        _constant(bias, quantize_bias(values, scale, dtype, bias.name), bias_quantization),
        raised,
    )


def quantize_bias(values: Array, scale: Array, dtype: npt.DTypeLike, name: str = "bias") -> Array:
    """round(bias * (1 / scale)), in float32, half away from zero, within the dtype.

    values: float32 [channels]; scale: float32 [channels] or [1].
    """
    minimum_maximum(values, name=name)
    limit = np.iinfo(dtype).max
    with np.errstate(over="ignore"):
        y = round_half_away(values * (np.float32(1) / scale)).astype(np.float64)
    # a float64 cannot hold the largest int64: what reaches 2^63 is replaced, not converted
    fits = np.abs(y) < float(limit)
    return np.where(fits, np.where(fits, y, 0).astype(dtype), np.where(y < 0, -limit, limit)).astype(dtype)


def quantize_activation(tensor: Tensor, scheme: Scheme, quantization: Quantization | None = None) -> Tensor:
    """A constant operand such as ADD's, with its own range or (for operands that share a scale) given one.

    integer = round(real / scale + zero_point), in double, half away from zero.
    """
    values = np.asarray(tensor.data, np.float32)
    if quantization is None:
        low, high = (float(x[0]) for x in minimum_maximum(values, name=tensor.name))
        low, high = min(low, 0.0), max(high, 0.0)
        if high - low <= NEAR_ZERO:
            low, high = min(low, -NEAR_ZERO / 2), max(high, NEAR_ZERO / 2)
        quantization = scheme.parameters(low, high)
    limits = np.iinfo(scheme.dtype)
    y = values.astype(np.float64) / np.float64(quantization.scale[0]) + quantization.zero_point[0]
    lowest = limits.min if scheme.activations == "INT8" else -limits.max
    integers = np.asarray(np.clip(round_half_away(y), lowest, limits.max), scheme.dtype)
    return _constant(tensor, integers, quantization)


def _scale_for_bias(values: Array, scale: Array, name: str) -> Array:
    """The bias scales in float64, raised where the bias would exceed LARGEST_BIAS."""
    minimum_maximum(values, name=name)
    wide = scale.astype(np.float64)
    bound = np.abs(values.astype(np.float64))
    if scale.size == 1:
        bound = np.array([np.max(bound, initial=0.0)])
    if bound.shape != wide.shape:
        raise QuantizationError(
            f"tensor '{name}': {bound.size} biases found for {wide.size} output channels; expected as many"
        )
    return np.where(bound / wide > LARGEST_BIAS, bound / LARGEST_BIAS, wide)


def _requantize(weights: Array, quantization: Quantization) -> Array:
    """Weights with scales that do not follow from them."""
    shape = [1] * weights.ndim
    if quantization.per_channel:
        shape[quantization.quantized_dimension] = -1
    y = weights.astype(np.float32) * (np.float32(1) / quantization.scale).reshape(shape)
    return np.clip(round_half_away(y), -127, 127).astype(np.int8)


def _constant(tensor: Tensor, integers: Array, quantization: Quantization) -> Tensor:
    kind = {1: "INT8", 2: "INT16", 4: "INT32", 8: "INT64"}[integers.dtype.itemsize]
    return replace(tensor, type=kind, data=integers, quantization=quantization)
