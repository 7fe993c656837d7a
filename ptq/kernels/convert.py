"""QUANTIZE and DEQUANTIZE, between reals and the integers that stand for them; CAST, between types."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.call import Call, Kernel
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.quantizer import dequantize, quantize

Array = npt.NDArray[Any]

INTEGERS = (np.int8, np.uint8, np.int16)
"""The dtypes that real numbers are quantized to."""

CASTS = (
    "float32", "float16", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "complex64",
)  # fmt: skip
"""The dtypes that CAST converts between."""


def quantize_float(x: Array, quantization: Quantization, dtype: npt.DTypeLike = np.int8) -> Array:
    """q = clip(round(x / scale) + zero_point), halves away from zero.                              (Q2)

    x: float32, any shape; scale and zero point per tensor, or per channel along quantized_dimension.
    dtype: int8, uint8 or int16. The quotient is a float32 division; where int32 does not hold it (or it is
    NaN) it becomes -2^31 and the sum wraps. Errors: UnsupportedError for another dtype.
    Source: `tflite/kernels/internal/reference/quantize.h`, AffineQuantize and PerChannelQuantize.
    """
    if x.dtype != np.float32 or np.dtype(dtype) not in INTEGERS:
        raise UnsupportedError(
            f"QUANTIZE: {x.dtype} to {np.dtype(dtype)} found, expected float32 to int8, uint8 or int16"
        )
    return quantize(x, quantization, dtype)


def dequantize_float(q: Array, quantization: Quantization | None = None) -> Array:
    """x = scale * (q - zero_point), float32; a float16 is widened.                                 (Q1)

    q: int8, uint8 or int16, any shape, or float16 (then without quantization).
    Errors: UnsupportedError for another dtype; GraphError if integers come without a scale.
    Source: `tflite/kernels/internal/reference/dequantize.h`, Dequantize and PerChannelDequantize.
    """
    if q.dtype == np.float16:
        with np.errstate(invalid="ignore"):
            return q.astype(np.float32)
    if q.dtype not in INTEGERS:
        raise UnsupportedError(f"DEQUANTIZE: {q.dtype} found, expected int8, uint8, int16 or float16")
    if quantization is None:
        raise GraphError("DEQUANTIZE: integers without scale and zero point found; convert the model again")
    with np.errstate(over="ignore"):
        return dequantize(q, quantization)


def cast(x: Array, dtype: npt.DTypeLike, numerics: Numerics = LITERT_REFERENCE) -> Array:
    """output = x as another type, without any scale. Any shape.

    Real to integer drops the fraction and saturates; NaN becomes the largest integer, in micro 0. Integer to
    integer keeps the low bits. To float16 everything goes through float32. To bool: whether it is not zero
    (NaN is not). A complex number loses its imaginary part. Errors: UnsupportedError for a type that is not
    in CASTS.
    Source: `tflite/kernels/cast.cc`, copyToTensor; `internal/quantization_util.h`, SafeCast.
    """
    wanted = np.dtype(dtype)
    for kind in (x.dtype, wanted):
        if kind.name not in CASTS:
            raise UnsupportedError(
                f"CAST: {x.dtype} to {wanted} found, expected both to be of {', '.join(CASTS)}"
            )
    if x.dtype.kind == "c" and wanted.kind != "c":
        x = x.real
    if x.dtype.kind == "f" and wanted.kind in "iu":
        return _saturate(x, wanted, 0 if numerics.integer_kernels == "micro" else np.iinfo(wanted).max)
    with np.errstate(over="ignore", invalid="ignore"):
        if wanted == np.float16:
            x = x.astype(np.float32)
        return x.astype(wanted)


def _saturate(x: Array, dtype: np.dtype[Any], missing: int) -> Array:
    limits = np.iinfo(dtype)
    wide = x.astype(np.float64)
    fits = (wide >= limits.min) & (wide < limits.max + 1)  # a Python integer, and a power of two as a float
    whole = np.where(fits, wide, 0).astype(dtype)
    limit = np.where(wide < limits.min, limits.min, limits.max).astype(dtype)
    return np.where(fits, whole, np.where(np.isnan(wide), dtype.type(missing), limit))


# --- for the registry -----------------------------------------------------------------------------


def quantize_op(call: Call) -> list[Array]:
    """QUANTIZE: inputs (x); the output tensor says how."""
    output = call.output_tensors[0]
    if output.quantized is None or output.dtype is None:
        raise GraphError(f"QUANTIZE: output '{output.name}' ({output.type}) has no scale; expected one")
    return [quantize_float(call.array(0), output.quantized, output.dtype)]


def dequantize_op(call: Call) -> list[Array]:
    """DEQUANTIZE: inputs (q); its tensor says how. A constant is converted once."""
    tensor = call.tensors[0]
    quantization = tensor.quantized if tensor is not None else None
    return [call.remember("reals", lambda: dequantize_float(call.array(0), quantization), position=0)]


def cast_op(call: Call) -> list[Array]:
    """CAST: inputs (x); the output tensor's type counts, not the options."""
    output = call.output_tensors[0]
    if output.dtype is None:
        raise UnsupportedError(f"CAST: output '{output.name}' of type {output.type} found, expected {CASTS}")
    return [cast(call.array(0), output.dtype, call.numerics)]


FLOAT: dict[str, Kernel] = {"QUANTIZE": quantize_op, "DEQUANTIZE": dequantize_op, "CAST": cast_op}
