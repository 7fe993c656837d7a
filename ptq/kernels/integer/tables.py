"""Functions of one integer: LOGISTIC, TANH, EXP and ELU.

An 8-bit input has 256 values, so that such a function is a table, which is filled before any data is seen.
TensorFlow Lite fills it with floats; for microcontrollers LOGISTIC and TANH are polynomials in fixed point,
whose results here fill the table instead. On 16 bits there are points 128 apart, with lines between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, UnsupportedError
from ptq.fixed_point import calculate_input_radius, quantize_multiplier_spec, rounding_divide_by_pot
from ptq.fixed_point_math import logistic, tanh
from ptq.graph import Quantization
from ptq.kernels.activation import elu_by_exp_float, elu_float, logistic_float, tanh_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.parameters import (
    Rescale,
    expect_output,
    input_quantization,
    one_scale,
    output_quantization,
    power_of_two,
)
from ptq.kernels.unary import exp_float
from ptq.lookup_table import (
    Transform,
    lut_lookup_int8,
    lut_lookup_int16,
    populate_lut_int8,
    populate_lut_int16,
    sigmoid_table,
)
from ptq.numerics import TFLITE_MICRO, Numerics

Array = npt.NDArray[Any]

INTEGER_BITS = 4
"""Of the input of LOGISTIC and TANH in fixed point: both are constant beyond 16."""


def fixed_point_table(
    function: Callable[[Array, int], Array],
    fraction_bits: int,
    lowest: int,
    input_quantization: Quantization,
    numerics: Numerics = TFLITE_MICRO,
) -> Array:
    """The int8 results of a function in fixed point, for the inputs 0 to 127 and -128 to -1; int8 [256].

    function: of raws with 4 integer bits, as `ptq.fixed_point_math.logistic`; its result is written in steps
    of 2^-fraction_bits from `lowest` on. Inputs near 16 or beyond get the lowest or highest integer, and so
    does 0 where the scale is 16 or more.
    Source: `tflite/kernels/internal/reference/integer_ops/logistic.h` and `tanh.h`; tflite-micro,
    `logistic_common.cc`, CalculateArithmeticOpDataLogistic.
    """
    scale, zero_point = one_scale(input_quantization)
    multiplier, left_shift = quantize_multiplier_spec(float(scale) * 2.0 ** (31 - INTEGER_BITS))
    if left_shift < 0:
        raise QuantizationError(
            f"input with scale {scale} found, expected at least 2^-28; calibrate its range again"
        )
    radius = calculate_input_radius(INTEGER_BITS, left_shift)
    x = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64) - zero_point
    inside = np.abs(x) < radius
    scaled = np.zeros(256, np.int64)
    if radius > 1:  # otherwise nothing but 0 is inside, and the shift may be too large for `Rescale`
        scaled = Rescale(np.array(multiplier), np.array(left_shift), numerics)(np.where(inside, x, 0))
    steps = rounding_divide_by_pot(function(scaled, INTEGER_BITS), 31 - fraction_bits) + lowest
    beyond = np.where(x <= -radius, -128, 127)
    return np.where(inside, np.clip(steps, -128, 127), beyond).astype(np.int8)


def logistic_int16(q: Array, multiplier: int, right_shift: int) -> Array:
    """output = 1 / (1 + e^-x) on int16, by lines between points 1/24 apart.

    q: int16, any shape. multiplier, right_shift: q * multiplier / 2^right_shift = x * 3 * 4096. Returns
    int16, steps of 2^-15. Source: `tflite/kernels/internal/reference/integer_ops/logistic.h`, Logistic.
    """
    x = _scaled(q, multiplier, right_shift)
    result = _interpolated(np.abs(x), 9, 0x7FFF << 10)
    turned = np.where(x >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1)
    return (turned >> 10).astype(np.int16)


def tanh_int16(q: Array, multiplier: int, right_shift: int) -> Array:
    """output = tanh x = 2 / (1 + e^-2x) - 1 on int16, by the points of `logistic_int16`, 1/48 apart.

    q, multiplier, right_shift: as there. Returns int16, steps of 2^-15.
    Source: `tflite/kernels/internal/reference/integer_ops/tanh.h`, Tanh.
    """
    x = _scaled(q, multiplier, right_shift)
    result = _interpolated(np.abs(x), 8, 0xFFFF << 8) - (1 << 23)
    turned = np.where(x >= 0, result + (1 << 7), -result + (1 << 7) - 1)
    return (turned >> 8).astype(np.int16)


def _scaled(q: Array, multiplier: int, right_shift: int) -> Array:
    half = (1 << right_shift) >> 1
    return np.asarray((q.astype(np.int64) * multiplier + half) >> right_shift)


def _interpolated(size: Array, bits: int, saturated: int) -> Array:
    """2^bits times the table at size / 2^bits."""
    table = sigmoid_table()
    place = np.minimum(size >> bits, 255)
    following = table[np.minimum(place + 1, 255)]
    line = (table[place] << bits) + (size & ((1 << bits) - 1)) * (following - table[place])
    return np.where(place == 255, saturated, line)


def input_multiplier(scale: float, exact_shifts: tuple[int, ...]) -> tuple[int, int]:
    """(multiplier, right shift) that turn an int16 with this scale into units of 1 / (3 * 4096).

    exact_shifts: n for the scales 2^(n - 12) that need no rounding. Errors: QuantizationError for a scale
    above 16/3, where the product overflows.
    Source: `tflite/kernels/activations.cc`, TanhPrepare and SigmoidPrepare.
    """
    exponent = power_of_two(scale)
    if exponent is not None and exponent + 12 in exact_shifts:
        return 3 << (exponent + 12), 0
    multiplier, right_shift = scale * 4096.0 * 3.0, 0
    if multiplier >= 65536:
        raise QuantizationError(f"int16 input with scale {scale} found, expected less than 16/3")
    while multiplier <= 32767.0 / 2.0 and right_shift <= 30:
        multiplier, right_shift = multiplier * 2.0, right_shift + 1
    return int(multiplier), right_shift


# --- for the registry -----------------------------------------------------------------------------


def logistic_op(call: Call) -> list[Array]:
    """LOGISTIC: inputs (q); int8, uint8 or int16 to the same type."""
    dtype = _one_type(call, np.int8, np.uint8, np.int16)
    if dtype == np.int16:
        expect_output(call, 2.0**-15, 0)
        return [logistic_int16(call.array(0), *_input_multiplier(call, 0))]
    if call.numerics.integer_kernels == "micro":
        return _fixed_point_op(call, logistic, 8, -128)
    expect_output(call, 1 / 256, int(output_quantization(call).zero_point[0]))
    return _table_op(call, logistic_float)


def tanh_op(call: Call) -> list[Array]:
    """TANH: inputs (q); int8, uint8 or int16 to the same type."""
    dtype = _one_type(call, np.int8, np.uint8, np.int16)
    if dtype == np.int16:
        expect_output(call, 2.0**-15, 0)
        return [tanh_int16(call.array(0), *_input_multiplier(call, 0, 1))]
    if call.numerics.integer_kernels == "micro":
        return _fixed_point_op(call, tanh, 7, 0)
    return _table_op(call, tanh_float)


def exp_op(call: Call) -> list[Array]:
    """EXP: inputs (q); int8 or int16 to the same type."""
    if _one_type(call, np.int8, np.int16) == np.int8:
        return _table_op(call, exp_float)
    _expect_symmetric(call)
    table = call.once("table", lambda: populate_lut_int16(*_parameters(call), exp_float))
    return [lut_lookup_int16(call.array(0), table)]


def elu_op(call: Call) -> list[Array]:
    """ELU: inputs (q); int8."""
    _one_type(call, np.int8)
    return _table_op(call, elu_by_exp_float if call.numerics.integer_kernels == "micro" else elu_float)


def _table_op(call: Call, function: Transform) -> list[Array]:
    q = call.array(0)
    table = call.once("table", lambda: populate_lut_int8(*_parameters(call), function, q.dtype))
    return [lut_lookup_int8(q, table)]


def _fixed_point_op(
    call: Call, function: Callable[[Array, int], Array], fraction_bits: int, lowest: int
) -> list[Array]:
    _one_type(call, np.int8)
    expect_output(call, 2.0**-fraction_bits, lowest)
    quantization = input_quantization(call, 0)
    table = call.once(
        "table", lambda: fixed_point_table(function, fraction_bits, lowest, quantization, call.numerics)
    )
    return [lut_lookup_int8(call.array(0), table)]


def _parameters(call: Call) -> tuple[float, int, float, int]:
    """Scale and zero point of the input, then of the output."""
    read, written = one_scale(input_quantization(call, 0)), one_scale(output_quantization(call))
    return float(read[0]), read[1], float(written[0]), written[1]


def _input_multiplier(call: Call, *exact_shifts: int) -> tuple[int, int]:
    _expect_symmetric(call)
    scale = float(one_scale(input_quantization(call, 0))[0])
    return call.once("multiplier", lambda: input_multiplier(scale, exact_shifts))


def _expect_symmetric(call: Call) -> None:
    """QuantizationError unless both zero points are 0, as int16 kernels ask."""
    for quantization in (input_quantization(call, 0), output_quantization(call)):
        if quantization.zero_point[0] != 0:
            raise QuantizationError(
                f"{call.operator.type}: zero point {quantization.zero_point[0]} found, expected 0 for int16; "
                "convert the model again"
            )


def _one_type(call: Call, *dtypes: type[np.integer[Any]]) -> np.dtype[Any]:
    """The dtype of input and output; UnsupportedError if they differ or there is no kernel."""
    read, written = call.array(0).dtype, call.output_tensors[0].type
    if call.output_tensors[0].dtype != read or read not in dtypes:
        names = " or ".join(np.dtype(dtype).name for dtype in dtypes)
        raise UnsupportedError(f"{call.operator.type}: {read} to {written} found, expected {names} for both")
    return read


INTEGER: dict[str, Kernel] = {"LOGISTIC": logistic_op, "TANH": tanh_op, "EXP": exp_op, "ELU": elu_op}
