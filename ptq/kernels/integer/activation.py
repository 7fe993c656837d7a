"""Activations on quantized arrays: RELU and its kin, LEAKY_RELU, HARD_SWISH and L2_NORMALIZATION.

All but the last are functions of one integer, so that 8-bit operands are looked up in a table that these very
functions fill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    quantize_multiplier_spec,
    rounding_divide_by_pot_unchecked,
    saturating_left_shift,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from ptq.fixed_point_math import get_inv_sqrt_quantized_multiplier_exp
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.operands import check_symmetric, clamped, factor, one_operand, quantized
from ptq.kernels.integer.parameters import (
    Rescale,
    expect_output,
    input_quantization,
    output_quantization,
)
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.quantizer import calculate_activation_range_quantized

Array = npt.NDArray[Any]
Pair = tuple[int, int]

GATE_SCALE = np.float32(3 / 32768)
"""The scale of HARD_SWISH's gate: 3 stands at 2^15, where int16 saturates."""


def relu_integer(x: Array, zero_points: Pair, rescale: Rescale, bounds: Pair) -> Array:
    """output = clamp(rescale(x - zx) + z), by input_scale / output_scale: RELU, RELU6 and RELU_N1_TO_1.

    x: int8, uint8 or int16, any shape; the result has its dtype. zero_points: of x and the output. bounds: 0,
    6, ... in the output's scale. Source: `tflite/kernels/internal/reference/reference_ops.h`, ReluX.
    """
    # subtract zero points
    centered = x.astype(np.int64) - zero_points[0]
    # rescale, clamp
    return clamped(rescale(centered), zero_points[1], bounds, x.dtype)


def clamp_integer(x: Array, bounds: Pair) -> Array:
    """output = min(max(x, lower), upper): RELU6 of tflite-micro, which knows the input's scale alone.

    Any integer dtype and shape. Source: tflite-micro, `micro/kernels/activations.h`, Relu6Quantized.
    """
    # clamp
    return np.clip(x, *bounds).astype(x.dtype)


def leaky_relu_integer(
    x: Array, zero_points: Pair, identity: Rescale, slope: Rescale, negative: bool = False
) -> Array:
    """output = clamp(identity(x - zx) + z) if x >= zx else clamp(+-slope(x - zx) + z).

    identity and slope rescale by input_scale / output_scale, and by that times |alpha|; negative: the sign of
    alpha. Otherwise as `relu_integer`.
    Source: `tflite/kernels/internal/reference/leaky_relu.h`, QuantizeLeakyRelu.
    """
    # subtract zero points
    centered = x.astype(np.int64) - zero_points[0]
    # rescale
    below = slope(centered).astype(np.int64)
    scaled = np.where(centered >= 0, identity(centered), -below if negative else below)
    return clamped(scaled, zero_points[1], None, x.dtype)


@dataclass(frozen=True)
class HardSwish:
    """The two 16-bit factors of HARD_SWISH: from x / 128 to the output, and to steps of 3 * 2^-15.

    Each is multiplier * 2^(exponent - 15).
    """

    output_multiplier: int
    output_exponent: int
    reluish_multiplier: int
    reluish_exponent: int

    @staticmethod
    def of(input_scale: np.float32, output_scale: np.float32) -> HardSwish:
        """For two scales; QuantizationError if the output's is below 1/128 of the input's.

        Source: `tflite/kernels/activations.cc`, HardSwishPrepare.
        """
        fine = np.float32(input_scale) / np.float32(128)
        with np.errstate(all="ignore"):
            to_output, to_gate = fine / np.float32(output_scale), fine / GATE_SCALE
        output, output_exponent = quantize_multiplier_spec(float(to_output))
        if output_exponent > 0:
            raise QuantizationError(
                f"HARD_SWISH: an output scale of {output_scale} for inputs of {input_scale} found, expected "
                "more than 1/128 of it; calibrate the output's range again"
            )
        reluish, reluish_exponent = quantize_multiplier_spec(float(to_gate))
        return HardSwish(_halved(output), output_exponent, _halved(reluish), reluish_exponent)


def hard_swish_integer(x: Array, zero_points: Pair, factors: HardSwish) -> Array:
    """output = clamp(x * relu6(x + 3) / 6 + z), all in 16 bits.

    The gate relu6(x + 3) / 6 is x rescaled so that 3 becomes 2^15, where int16 saturates, shifted to [0, 1].
    x: int8 or uint8, any shape; the result has its dtype. zero_points: of x and the output.
    Source: `tflite/kernels/internal/reference/hard_swish.h`, HardSwish.
    """
    # subtract zero points
    fine = (x.astype(np.int64) - zero_points[0]) << 7
    # rescale
    on_output_scale = saturating_rounding_doubling_high_mul(fine, factors.output_multiplier, bits=16)
    exponent = factors.reluish_exponent
    # Of a left shift, the last bit follows the multiplication: what saturates before it would do so after.
    gate = saturating_left_shift(fine, max(exponent - 1, 0), bits=16)
    gate = saturating_rounding_doubling_high_mul(gate, factors.reluish_multiplier, bits=16)
    gate = saturating_left_shift(gate, int(exponent > 0), bits=16)
    gate = rounding_divide_by_pot_unchecked(gate, max(-exponent, 0), bits=16)
    gate = (gate + (1 << 15)) >> 1
    # accumulate
    product = gate * on_output_scale
    product = (product + (product < 0) * 0x7FFF) >> 15  # towards zero: the biases of both roundings cancel
    # rescale
    scaled = rounding_divide_by_pot_unchecked(product, -factors.output_exponent, bits=16)
    return clamped(scaled, zero_points[1], None, x.dtype)


def l2_normalization_integer(x: Array, zero_point: int, numerics: Numerics = LITERT_REFERENCE) -> Array:
    """output = (x - zx) / sqrt(sum of (x - zx)^2) along the last axis, in steps of 1/128; 0 for zeros alone.

    x: int8 (the output's zero point is 0) or uint8 (128), at least one dimension. Errors: ShapeError for a
    scalar. Source: `tflite/kernels/internal/reference/integer_ops/l2normalization.h`, L2Normalization, and
    `reference/l2normalization.h` for uint8.
    """
    if not x.ndim:
        raise ShapeError("L2_NORMALIZATION: a scalar found, expected at least one dimension")
    # subtract zero points
    centered = x.astype(np.int64) - zero_point
    # accumulate
    total = wrap_int32(np.add.reduce(centered * centered, axis=-1, keepdims=True))
    # rescale
    inverse, shift = get_inv_sqrt_quantized_multiplier_exp(total)
    if x.dtype == np.uint8:
        return clamped(Rescale(inverse, shift, numerics)(centered << 7), 128, None, x.dtype)
    return clamped(Rescale(inverse, shift + 7, numerics)(centered), 0, None, x.dtype)


def _halved(multiplier: int) -> int:
    """A 32-bit multiplier in 16 bits. Source: `internal/common.h`, DownScaleInt32ToInt16Multiplier."""
    return min((multiplier + (1 << 15)) >> 16, 0x7FFF)


# --- for the registry -----------------------------------------------------------------------------


def _relu_op(*names: str) -> Kernel:
    def rule(call: Call) -> Callable[[Array], Array]:
        x, output = operands = quantized(call, 1, *names)
        check_symmetric(call, operands)
        if call.operator.type == "RELU6" and call.numerics.integer_kernels == "micro":
            return partial(clamp_integer, bounds=_micro_bounds(call, x.dtype))
        rescale = Rescale.by(factor(call.numerics, [x.scale], [output.scale]), call.numerics)
        bounds = calculate_activation_range_quantized(call.operator.type, output_quantization(call), x.dtype)
        return partial(
            relu_integer, zero_points=(x.zero_point, output.zero_point), rescale=rescale, bounds=bounds
        )

    return lambda call: [one_operand(call, call.once("rule", lambda: rule(call)))]


def _micro_bounds(call: Call, dtype: np.dtype[Any]) -> Pair:
    return calculate_activation_range_quantized("RELU6", input_quantization(call, 0), dtype)


def leaky_relu_op(call: Call) -> list[Array]:
    """LEAKY_RELU: inputs (x), option alpha."""

    def rule() -> Callable[[Array], Array]:
        x, output = operands = quantized(call, 1, "int8", "uint8", "int16")
        check_symmetric(call, operands)
        identity = factor(call.numerics, [x.scale], [output.scale])
        slope = factor(call.numerics, [x.scale, np.float32(call.options["alpha"])], [output.scale])
        return partial(
            leaky_relu_integer, zero_points=(x.zero_point, output.zero_point),
            identity=Rescale.by(identity, call.numerics), slope=Rescale.by(abs(slope), call.numerics),
            negative=slope < 0,
        )  # fmt: skip

    return [one_operand(call, call.once("rule", rule))]


def hard_swish_op(call: Call) -> list[Array]:
    """HARD_SWISH: inputs (x)."""

    def rule() -> Callable[[Array], Array]:
        x, output = quantized(call, 1, "int8", "uint8")
        factors = HardSwish.of(x.scale, output.scale)
        return partial(hard_swish_integer, zero_points=(x.zero_point, output.zero_point), factors=factors)

    return [one_operand(call, call.once("rule", rule))]


def l2_normalization_op(call: Call) -> list[Array]:
    """L2_NORMALIZATION: inputs (x); it has an option for an activation, which has to be NONE."""
    x, _ = quantized(call, 1, "int8", "uint8")
    expect_output(call, 1 / 128, 0 if x.dtype == np.int8 else 128)
    activation = call.options["fused_activation_function"]
    if activation != "NONE":
        raise UnsupportedError(f"L2_NORMALIZATION: fused activation {activation} found, expected NONE")
    return [l2_normalization_integer(call.array(0), x.zero_point, call.numerics)]


INTEGER: dict[str, Kernel] = {
    "RELU": _relu_op("int8", "uint8", "int16"),
    "RELU6": _relu_op("int8", "uint8", "int16"),
    "RELU_N1_TO_1": _relu_op("int8", "uint8"),
    "LEAKY_RELU": leaky_relu_op,
    "HARD_SWISH": hard_swish_op,
    "L2_NORMALIZATION": l2_normalization_op,
}
