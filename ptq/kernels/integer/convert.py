"""QUANTIZE of integers: another scale, another zero point, another type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.parameters import Rescale, input_quantization, one_scale, output_quantization

Array = npt.NDArray[Any]

PAIRS = {
    "int8": ("int8", "uint8", "int16"),
    "uint8": ("int8", "uint8", "int16"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
}
"""Which types each type can be turned into."""


def requantize_integer(
    q: Array, input_zero_point: int, output_zero_point: int, rescale: Rescale, dtype: npt.DTypeLike
) -> Array:
    """output = clip(rescale(q - input_zero_point) + output_zero_point).                             (Q22)

    q: int8, uint8, int16 or int32, any shape. rescale: by input scale / output scale. dtype: of the output.
    Differences and sums wrap around in int32.
    Source: `tflite/kernels/internal/reference/requantize.h`, Requantize.
    """
    # subtract zero points
    difference = (q.astype(np.int64) - input_zero_point).astype(np.int32)
    # rescale
    rescaled = rescale(difference).astype(np.int64) + output_zero_point
    # clamp
    limits = np.iinfo(dtype)
    return np.clip(rescaled.astype(np.int32), limits.min, limits.max).astype(dtype)


# --- for the registry -----------------------------------------------------------------------------


def quantize_op(call: Call) -> list[Array]:
    """QUANTIZE: inputs (q), integers that have a scale; the output tensor says what becomes of them."""
    q, output = call.array(0), call.output_tensors[0]
    if output.dtype is None or output.dtype.name not in PAIRS.get(q.dtype.name, ()):
        known = "; ".join(f"{read} to {', '.join(written)}" for read, written in PAIRS.items())
        raise UnsupportedError(f"QUANTIZE: {q.dtype} to {output.type} found, expected {known}")
    read_scale, read_zero = one_scale(input_quantization(call, 0))
    written_scale, written_zero = one_scale(output_quantization(call))
    if q.dtype == output.dtype == np.int16 and (read_zero or written_zero):
        raise QuantizationError(
            f"QUANTIZE: zero points {read_zero} and {written_zero} found, expected 0 for int16 to int16"
        )
    real = float(read_scale) / float(written_scale)
    rescale = call.once("rescale", lambda: Rescale.by(real, call.numerics))
    return [requantize_integer(q, read_zero, written_zero, rescale, output.dtype)]


INTEGER: dict[str, Kernel] = {"QUANTIZE": quantize_op}
