"""How a hybrid kernel quantizes its float activations at run time, row by row.

"Row" is a batch row of a dense layer and a whole image of a convolution. Each row gets a scale of its
own from its own minimum and maximum (Q4):

    symmetric:   scale = max|x| / 127,       q = clip(round(x * (127 / max|x|)), -127, 127)
    asymmetric:  scale = (max - min) / 255,  q = clip(round(x * (1 / scale)) + zero_point, -128, 127)

where min <= 0 <= max always. The helpers return centred integers q - zero_point, which is what the
kernels accumulate: a padded zero is then simply 0.

Sources: `tflite/kernels/internal/optimized/neon_tensor_utils.cc` ("simd": NeonSymmetricQuantizeFloats,
NeonAsymmetricQuantizeFloats; x86 builds compile it through NEON_2_SSE) and
`tflite/kernels/internal/reference/portable_tensor_utils.cc` ("portable").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import QuantizationError
from ptq.fixed_point import round_half_away
from ptq.numerics import Numerics

Array = npt.NDArray[Any]

CHUNK = 131_072
"""Elements that are taken through all steps at once, so that they stay in the cache."""

SIMD_LANES = 8
"""The vector code rounds this many elements at a time; what is left over is rounded exactly."""


@dataclass(frozen=True)
class DynamicRows:
    """Quantized activations: real = scale * centred, with centred = q - zero_point.

    centred: float32 [rows, n], integers of magnitude <= 255. scale: float32 [rows].
    zero_point: int64 [rows], 0 where symmetric.
    """

    centred: Array
    scale: Array
    zero_point: Array


def quantize_rows(values: Array, symmetric: bool, numerics: Numerics) -> DynamicRows:
    """Quantize each row of float32 [rows, n] with its own scale.

    Raises QuantizationError if a value is NaN or infinite: there TensorFlow Lite's conversion to
    integers is undefined behaviour, so no answer would be right.
    """
    low, high = values.min(axis=1, initial=0), values.max(axis=1, initial=0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise QuantizationError(
            "hybrid kernel: the activations hold NaN or infinity, which cannot be quantized; "
            "expected finite numbers; look for the first such tensor with `ptq compare`"
        )
    scale, inverse, zero_point = (_symmetric if symmetric else _asymmetric)(low, high, numerics)
    limits = (-127.0, 127.0) if symmetric else (-128.0, 127.0)
    centred = np.empty_like(values)
    for rows, columns in _chunks(*values.shape):
        chunk = np.multiply(values[rows, columns], inverse[rows, None], out=centred[rows, columns])
        zero = zero_point[rows, None].astype(np.float32)
        if numerics.dynamic_range == "simd":
            exact_from = SIMD_LANES * (values.shape[1] // SIMD_LANES) - columns.start
            _round_simd(chunk, exact_from, bool(low[rows].min(initial=0) == 0))
        else:
            chunk[...] = round_half_away(chunk + zero) - zero
        np.clip(chunk, limits[0] - zero, limits[1] - zero, out=chunk)
    if np.isinf(inverse).any():  # a subnormal range: 0 * inf above; TensorFlow Lite leaves it undefined
        np.nan_to_num(centred, copy=False)
    return DynamicRows(centred, scale, zero_point)


def refuse_minus_128(operator: str, lowest: int, numerics: Numerics) -> None:
    """Raise QuantizationError if a weight is -128 and the vector code of the matrix product is meant.

    x86 builds multiply |w| by q with the sign of w: see `ptq.defects.LOST_SIGN`.
    """
    if numerics.dynamic_range == "simd" and lowest == -128:
        raise QuantizationError(defects.LOST_SIGN.message(f"a weight of -128 in {operator}"))


def _symmetric(low: Array, high: Array, numerics: Numerics) -> tuple[Array, Array, Array]:
    reach = np.maximum(np.abs(low), np.abs(high))
    empty = reach == 0
    with np.errstate(over="ignore"):
        inverse = np.float32(127) / np.where(empty, np.float32(np.inf), reach)
    scale = np.where(empty, np.float32(1), reach / np.float32(127))
    return scale, inverse, np.zeros(len(reach), np.int64)


def _asymmetric(low: Array, high: Array, numerics: Numerics) -> tuple[Array, Array, Array]:
    low_double, high_double = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # the vector code subtracts in float32 before it widens, the portable code widens first
        simd = numerics.dynamic_range == "simd"
        reach = (high - low).astype(np.float64) if simd else high_double - low_double
        empty = reach == 0
        step = np.where(empty, 1.0, reach / 255)
        from_low, from_high = -128 - low_double / step, 127 - high_double / step
        low_is_closer = 128 + np.abs(low_double / step) < 127 + np.abs(high_double / step)
        ideal = np.where(low_is_closer, from_low, from_high)
        zero_point = np.where(empty, 0, round_half_away(np.clip(ideal, -128, 127)))
        scale = step.astype(np.float32)
        inverse = np.where(scale == 0, 0, 1.0 / scale.astype(np.float64)).astype(np.float32)
    return scale, np.where(empty, np.float32(0), inverse), zero_point.astype(np.int64)


def _round_simd(chunk: Array, exact_from: int, non_negative: bool) -> None:
    """Round in place as the vector code does: trunc(x +/- 0.5) in float32, exact only in the left-over.

    Adding before truncating is not quite rounding: 0.49999997 + 0.5 is 1.0 in float32.
    """
    head = chunk[:, : max(exact_from, 0)]
    tail = chunk[:, max(exact_from, 0) :]
    if tail.size:
        tail[...] = round_half_away(tail)
    if non_negative:
        head += np.float32(0.5)
    else:
        head += np.copysign(np.float32(0.5), head)
    np.trunc(head, out=head)


def _chunks(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Cover a [rows, columns] array: many short rows at once, or a long row piece by piece."""
    height = max(CHUNK // max(columns, 1), 1)
    width = columns if height > 1 else CHUNK
    for row in range(0, rows, height):
        for column in range(0, columns, max(width, 1)):
            yield slice(row, row + height), slice(column, min(column + width, columns))
