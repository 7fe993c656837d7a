"""The offline half of an integer kernel: scales become integers before any data is seen.

On a microcontroller this half runs once, when the model is loaded, and may use floats; the other half, in the
modules beside this one, runs for every input and has integers alone. What passes from one to the other are
zero points, the bounds of a fused activation, and a `Rescale` for each change of scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, QuantizationError
from ptq.fixed_point import multiply_by_quantized_multiplier, quantize_multiplier, round_half_away
from ptq.graph import Quantization, Tensor
from ptq.kernels.call import Call
from ptq.kernels.libm import logf
from ptq.numerics import Numerics
from ptq.quantizer import calculate_activation_range, calculate_activation_range_quantized

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rescale:
    """A real factor as integers: real = output_multiplier * 2^(output_shift - 31)                  (Q20).

    output_multiplier, output_shift: int32, a scalar or [channels]. numerics: whose rounding is meant.
    """

    output_multiplier: Array
    output_shift: Array
    numerics: Numerics

    @staticmethod
    def by(real_multiplier: npt.ArrayLike, numerics: Numerics) -> Rescale:
        """The integers for a real factor, given in double precision."""
        return Rescale(*quantize_multiplier(real_multiplier, numerics.rounding), numerics)

    def __call__(self, accumulator: npt.ArrayLike) -> Array:
        """The int32 accumulators times the factor, rounded, as int32                               (Q22)."""
        return multiply_by_quantized_multiplier(
            accumulator, self.output_multiplier, self.output_shift, self.numerics.rounding
        )


def input_quantization(call: Call, position: int) -> Quantization:
    """How the integers of an input stand for reals; GraphError if they do not."""
    return _quantization(call, call.tensors[position] if position < len(call.tensors) else None, position)


def output_quantization(call: Call, position: int = 0) -> Quantization:
    """The same for an output."""
    return _quantization(call, call.output_tensors[position], position)


def activation_bounds(call: Call) -> tuple[int, int]:
    """Between which integers the operator's fused activation clamps its output."""
    output = call.output_tensors[0]
    dtype = output.dtype if output.dtype is not None else np.dtype(np.int8)
    activation = call.options.get("fused_activation_function", "NONE")
    return calculate_activation_range_quantized(activation, output_quantization(call), dtype)


def float32_activation_bounds(call: Call) -> tuple[int, int]:
    """The same as XNNPACK computes them: float32(bound / scale) + zero_point in float32, ties to even.

    Source: XNNPACK, `src/xnnpack/quantization.h`, xnn_qs8_quantize.
    """
    output = call.output_tensors[0]
    limits = np.iinfo(output.dtype if output.dtype is not None else np.int8)
    reals = calculate_activation_range(call.options.get("fused_activation_function", "NONE"))
    scale, zero_point = one_scale(output_quantization(call))
    with np.errstate(over="ignore"):
        bounds = np.rint(np.array(reals, np.float32) / scale + np.float32(zero_point))
    lowest, highest = np.clip(bounds, limits.min, limits.max).tolist()
    return int(lowest), int(highest)


def one_scale(quantization: Quantization) -> tuple[np.float32, int]:
    """Scale and zero point of a tensor that has one of each."""
    return np.float32(quantization.scale[0]), int(quantization.zero_point[0])


def expect_output(call: Call, scale: float, zero_point: int) -> None:
    """QuantizationError unless the output has the scale (within 0.1 %) and zero point of the kernel."""
    found_scale, found_zero_point = one_scale(output_quantization(call))
    if abs(float(found_scale) / scale - 1) > 1e-3 or found_zero_point != zero_point:
        raise QuantizationError(
            f"{call.operator.type}: output '{call.output_tensors[0].name}' with scale {found_scale} and zero "
            f"point {found_zero_point} found, expected {scale} and {zero_point}, in which the kernel writes; "
            "convert the model again"
        )


def power_of_two(scale: float) -> int | None:
    """n if the scale is 2^n within 0.07 %, else None; in float32.

    Source: `tflite/kernels/internal/quantization_util.cc`, CheckedLog2.
    """
    if not scale > 0:
        return None
    logarithms = logf(np.array([scale, 2], np.float32))
    exponent = logarithms[0] * (np.float32(1) / logarithms[1])
    nearest = round_half_away(exponent)
    return int(nearest) if abs(exponent - nearest) < np.float32(1e-3) else None


def _quantization(call: Call, tensor: Tensor | None, position: int) -> Quantization:
    if tensor is None or tensor.quantized is None:
        name = tensor.name if tensor is not None else ""
        raise GraphError(
            f"{call.operator.type}: operand {position} ('{name}') has no scale, expected a quantized tensor; "
            "convert the model again"
        )
    return tensor.quantized
