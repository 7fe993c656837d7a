"""Arithmetic on two quantized arrays, broadcast as in NumPy: ADD, SUB, MUL, DIV, MAXIMUM, PRELU, ...

Integers of different scales cannot be added: ADD brings both to a common scale first, fine enough that
nothing is lost on the way. MUL and DIV need no common scale: their factors multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    rounding_divide_by_pot,
    rounding_divide_by_pot_unchecked,
    saturating_rounding_doubling_high_mul,
)
from ptq.fixed_point_math import bit_length, get_reciprocal
from ptq.kernels import elementwise
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.common_scale import CommonScale, Overshifted, power_of_two_shifts
from ptq.kernels.integer.operands import (
    Scaled,
    check_symmetric,
    clamped,
    factor,
    quantized,
    scaled_input,
    two_operands,
)
from ptq.kernels.integer.parameters import Rescale, activation_bounds
from ptq.kernels.operands import check_broadcast
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]
Bounds = tuple[int, int]
Pair = tuple[int, int]
Three = tuple[int, int, int]


def add_integer(a: Array, b: Array, zero_points: Three, common: CommonScale, bounds: Bounds) -> Array:
    """output = clamp(rescale(a' + b') + z), a' and b' being the operands on a common scale.         (Q36)

    a, b: int8, uint8 or int16, shapes that broadcast; the result has their dtype. zero_points: of a, b and
    the output. Errors: ShapeError for shapes that do not broadcast.
    Source: `tflite/kernels/internal/reference/integer_ops/add.h`, AddFunc; `reference/add.h`, AddElementwise.
    """
    check_broadcast(a, b)
    # subtract zero points, to the common scale
    common_a, common_b = common(a, zero_points[0], b, zero_points[1])
    # accumulate
    total = common_a + common_b
    # rescale
    return clamped(common.output(total), zero_points[2], bounds, a.dtype)


def sub_integer(a: Array, b: Array, zero_points: Three, common: CommonScale, bounds: Bounds) -> Array:
    """output = clamp(rescale(a' - b') + z). Otherwise as `add_integer`.

    Source: `tflite/kernels/internal/reference/sub.h`, SubElementwise and BroadcastQuantSubSlow.
    """
    check_broadcast(a, b)
    # subtract zero points, to the common scale
    common_a, common_b = common(a, zero_points[0], b, zero_points[1])
    # accumulate
    difference = common_a - common_b
    # rescale
    return clamped(common.to_output(difference, a.shape == b.shape), zero_points[2], bounds, a.dtype)


def squared_difference_integer(a: Array, b: Array, zero_points: Three, common: CommonScale) -> Array:
    """output = clamp(rescale((a' - b')^2) + z). int8, in tflite-micro int16, too; otherwise as `add_integer`.

    Source: `tflite/kernels/squared_difference.cc`, SquaredDifference.
    """
    check_broadcast(a, b)
    # subtract zero points, to the common scale
    common_a, common_b = common(a, zero_points[0], b, zero_points[1])
    # accumulate
    difference = common_a - common_b
    # rescale
    return clamped(common.output(difference * difference), zero_points[2], None, a.dtype)


def add_powers_of_two(a: Array, b: Array, shifts: Pair, bounds: Bounds) -> Array:
    """output = clamp(a / 2^shift_a + b / 2^shift_b): int16 whose scales are powers of two.

    One shift at least is 0. A shift of 16 or more leaves 1, or -1 below zero, as the int16 mask of the
    rounding overflows. Source: `tflite/kernels/internal/reference/add.h`, Add (int16).
    """
    check_broadcast(a, b)
    # rescale
    shifted_a, shifted_b = (_shifted(x, shift) for x, shift in zip((a, b), shifts, strict=True))
    # accumulate
    return clamped(shifted_a + shifted_b, 0, bounds, a.dtype)


def sub_powers_of_two(a: Array, b: Array, shifts: Pair, bounds: Bounds) -> Array:
    """output = clamp(a / 2^shift_a - b / 2^shift_b). Otherwise as `add_powers_of_two`.

    Source: `tflite/kernels/internal/reference/reference_ops.h`, Sub16; `sub.h`, BroadcastSub16POTSlow.
    """
    check_broadcast(a, b)
    # rescale
    shifted_a, shifted_b = (_shifted(x, shift) for x, shift in zip((a, b), shifts, strict=True))
    # accumulate
    return clamped(shifted_a - shifted_b, 0, bounds, a.dtype)


def mul_integer(a: Array, b: Array, zero_points: Three, rescale: Rescale, bounds: Bounds) -> Array:
    """output = clamp(rescale((a - za) * (b - zb)) + z), by a_scale * b_scale / output_scale.        (Q37)

    a, b: int8, uint8 or int16, shapes that broadcast; the result has their dtype. zero_points: of a, b and
    the output. Errors: ShapeError for shapes that do not broadcast.
    Source: `tflite/kernels/internal/reference/integer_ops/mul.h`, MulElementwise and BroadcastMul6DSlow.
    """
    check_broadcast(a, b)
    # subtract zero points
    centered_a, centered_b = _centered(a, zero_points[0]), _centered(b, zero_points[1])
    # accumulate, rescale
    return clamped(rescale(centered_a * centered_b), zero_points[2], bounds, a.dtype)


def div_integer(
    a: Array, b: Array, zero_points: Three, rescale: Rescale, bounds: Bounds,
    numerics: Numerics = LITERT_REFERENCE
) -> Array:
    """output = clamp(rescale((a - za) / (b - zb)) + z), by a_scale / (b_scale * output_scale).

    The quotient is a product with a reciprocal, with as many bits as int32 has room for; `rescale` only
    hands over its integers, and the rounding is always double. Dtypes as in `mul_integer`. Errors: InputError
    where b holds its zero point; UnsupportedError for quotients so small that TensorFlow Lite loses them.
    Source: `tflite/kernels/internal/reference/div.h`, DivElementwise; `tflite/kernels/div.cc`, CheckNonZero.
    """
    check_broadcast(a, b)
    # subtract zero points
    dividend, divisor = _centered(a, zero_points[0]), _centered(b, zero_points[1])
    if not divisor.all():
        raise InputError(
            f"DIV: the zero point {zero_points[1]} found among the divisors, which stands for 0; mask it "
            "out before"
        )
    # accumulate
    dividend = np.where(divisor < 0, -dividend, dividend)
    inverse, bits_over_one = get_reciprocal(np.abs(divisor), 31)
    headroom = 31 - bit_length(np.where(dividend < 0, -2 * dividend - 1, dividend)) + (dividend < 0)
    quotient = saturating_rounding_doubling_high_mul(dividend << headroom, inverse)
    # rescale
    scaled = saturating_rounding_doubling_high_mul(quotient, rescale.output_multiplier)
    exponent = bits_over_one + headroom - rescale.output_shift
    return clamped(_lowered(scaled, exponent, numerics), zero_points[2], bounds, a.dtype)


def prelu_integer(x: Array, alpha: Array, zero_points: Three, identity: Rescale, slope: Rescale) -> Array:
    """output = clamp(identity(x - zx) + z) if x >= zx else clamp(slope((x - zx) * (alpha - za)) + z).

    x: int8, uint8 or int16; alpha: of the same dtype, int8 for int16, broadcast to the shape of x. identity
    and slope rescale by x_scale / output_scale and x_scale * alpha_scale / output_scale. zero_points: of x,
    alpha and the output. Errors: ShapeError if alpha has more elements along a dimension than x.
    Source: `tflite/kernels/internal/reference/prelu.h`, Prelu and BroadcastPrelu4DSlow.
    """
    _check_slopes(x, alpha)
    return _prelu(x, alpha, zero_points, identity, slope)


def _prelu(x: Array, alpha: Array, zero_points: Three, identity: Rescale, slope: Rescale) -> Array:
    # subtract zero points
    centered, slopes = _centered(x, zero_points[0]), _centered(alpha, zero_points[1])
    # rescale
    scaled = np.where(centered >= 0, identity(centered), slope(centered * slopes))
    return clamped(scaled, zero_points[2], None, x.dtype)


def _check_slopes(x: Array, alpha: Array) -> None:
    check_broadcast(x, alpha)
    if np.broadcast_shapes(x.shape, alpha.shape) != x.shape:
        raise ShapeError(
            f"PRELU: slopes of shape {alpha.shape} found, expected them to broadcast to {x.shape}"
        )


def _centered(x: Array, zero_point: int) -> Array:
    centered: Array = x.astype(np.int64) - zero_point  # int8 would wrap
    return centered


def _shifted(x: Array, shift: int) -> Array:
    return rounding_divide_by_pot_unchecked(x, shift, bits=16)


def _lowered(scaled: Array, exponent: Array, numerics: Numerics) -> Array:
    """scaled / 2^exponent, where TensorFlow Lite's division is right only for 0 to 31."""
    outside = (exponent < 0) | (exponent > 31)
    if np.any(outside):
        wrong = exponent[outside].flat[0]
        if defects.DIV_SMALL.reproduced(numerics, f"a quotient to be shifted by {wrong} bits"):
            return rounding_divide_by_pot_unchecked(scaled, exponent)
    divided = rounding_divide_by_pot(scaled, np.clip(exponent, 0, 31)) << np.maximum(-exponent, 0)
    return np.where(exponent > 31, 0, divided)


# --- for the registry -----------------------------------------------------------------------------


def _sum_op(of_common: Callable[..., Array], of_powers: Callable[..., Array]) -> Kernel:
    def rule(call: Call) -> partial[Array]:
        operands = quantized(call, 2, "int8", "uint8", "int16")
        check_symmetric(call, operands)
        bounds, shifts = activation_bounds(call), power_of_two_shifts(call, operands)
        if shifts is not None:
            _check_same_size(call)
            return partial(of_powers, shifts=shifts, bounds=bounds)
        left_shift = 15 if operands[0].dtype == np.int16 else 20
        common = CommonScale.of(call, operands, left_shift)
        return partial(of_common, zero_points=_zero_points(operands), common=common, bounds=bounds)

    def kernel(call: Call) -> list[Array]:
        function = call.once("rule", lambda: rule(call))
        common = function.keywords.get("common")
        if common is not None and isinstance(common.output, Overshifted):
            # what becomes of a pair depends on its place, which a table does not know
            return [function(call.array(0), call.array(1))]
        return [two_operands(call, function)]

    return kernel


def _check_same_size(call: Call) -> None:
    a, b = call.array(0), call.array(1)
    if call.operator.type == "ADD" and a.size != b.size:
        defects.ADD_POWERS_BROADCAST.reproduced(call.numerics, f"shapes {a.shape} and {b.shape}")


def squared_difference_op(call: Call) -> list[Array]:
    """SQUARED_DIFFERENCE: inputs (a, b)."""

    def rule() -> Callable[[Array, Array], Array]:
        micro = call.numerics.integer_kernels == "micro"
        operands = quantized(call, 2, "int8", *(["int16"] if micro else []))
        check_symmetric(call, operands)
        common = CommonScale.of(call, operands, 7 if operands[0].dtype == np.int8 else 0, power=2)
        return partial(squared_difference_integer, zero_points=_zero_points(operands), common=common)

    return [two_operands(call, call.once("rule", rule))]


def mul_op(call: Call) -> list[Array]:
    """MUL: inputs (a, b)."""

    def rule() -> Callable[[Array, Array], Array]:
        operands = a, b, output = quantized(call, 2, "int8", "uint8", "int16")
        check_symmetric(call, operands)
        rescale = Rescale.by(factor(call.numerics, [a.scale, b.scale], [output.scale]), call.numerics)
        return partial(
            mul_integer, zero_points=_zero_points(operands), rescale=rescale, bounds=activation_bounds(call)
        )

    return [two_operands(call, call.once("rule", rule))]


def div_op(call: Call) -> list[Array]:
    """DIV: inputs (a, b)."""

    def rule() -> Callable[[Array, Array], Array]:
        operands = a, b, output = quantized(call, 2, "int8", "uint8", "int16")
        rescale = Rescale.by(factor(call.numerics, [a.scale], [b.scale, output.scale]), call.numerics)
        return partial(
            div_integer, zero_points=_zero_points(operands), rescale=rescale,
            bounds=activation_bounds(call), numerics=call.numerics,
        )  # fmt: skip

    # looked up, every call would meet the smallest quotient
    return [call.once("rule", rule)(call.array(0), call.array(1))]


def prelu_op(call: Call) -> list[Array]:
    """PRELU: inputs (x, alpha)."""

    def rule() -> Callable[[Array, Array], Array]:
        x, output = quantized(call, 1, "int8", "uint8", "int16")
        alpha = scaled_input(call, 1)
        expected = np.dtype(np.int8) if x.dtype == np.int16 else x.dtype
        if alpha.dtype != expected:
            raise UnsupportedError(f"PRELU: slopes of {alpha.dtype} for {x.dtype} found, expected {expected}")
        identity = factor(call.numerics, [x.scale], [output.scale])
        slope = factor(call.numerics, [x.scale, alpha.scale], [output.scale])
        return partial(
            _prelu, zero_points=_zero_points([x, alpha, output]),
            identity=Rescale.by(identity, call.numerics), slope=Rescale.by(slope, call.numerics),
        )  # fmt: skip

    _check_slopes(call.array(0), call.array(1))
    return [two_operands(call, call.once("rule", rule))]


def _zero_points(operands: list[Scaled]) -> Three:
    a, b, output = (operand.zero_point for operand in operands)
    return a, b, output


INTEGER: dict[str, Kernel] = {
    "ADD": _sum_op(add_integer, add_powers_of_two),
    "SUB": _sum_op(sub_integer, sub_powers_of_two),
    "MUL": mul_op,
    "DIV": div_op,
    "SQUARED_DIFFERENCE": squared_difference_op,
    "PRELU": prelu_op,
    "MAXIMUM": elementwise.FLOAT["MAXIMUM"],
    "MINIMUM": elementwise.FLOAT["MINIMUM"],
}
"""MAXIMUM and MINIMUM compare the integers as they are: their operands have the output's scale."""
