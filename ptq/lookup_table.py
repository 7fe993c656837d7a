"""Elementwise functions of int8 and int16 tensors as tables, which float arithmetic fills once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import round_half_away, wrap_spec
from ptq.graph import Array

Transform = Callable[[Array], Array]
"""A function from float32 array to float32 array of the same shape."""

_STEPS = 512
_F = np.float32


def populate_lut_int8(
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    transform: Transform,
    dtype: npt.DTypeLike = np.int8,
) -> Array:
    """The 8-bit result of `transform` for each 8-bit input: table[v & 255] stands for transform(real of v).

    Formula: round(transform(input_scale * (v - input_zero_point)) * (1 / output_scale)) + output_zero_point,
    in float32, clipped to the dtype, int8 or uint8. Result: [256], for int8 in the order 0, ..., 127, -128,
    ..., -1. Source: internal/common.h, LUTPopulateInt8. Used by LOGISTIC, TANH and others on 8 bits.
    """
    value = np.arange(256, dtype=np.uint8).view(dtype).astype(np.int32)
    real = _F(input_scale) * (value - input_zero_point).astype(_F)
    with np.errstate(all="ignore"):
        inverse_scale = _F(1) / _F(output_scale)
        rescaled = round_half_away(transform(real) * inverse_scale) + _F(output_zero_point)
    limits = np.iinfo(dtype)
    # C leaves open what becomes of a float beyond int32. LiteRT's x86 wheels saturate to int8 (NaN to 0), but
    # make it the lowest int32 on the way to uint8.
    if limits.min < 0:
        held = np.where(np.isnan(rescaled), _F(0), rescaled)
    else:
        held = np.where(np.abs(rescaled) < _F(2.0**31), rescaled, _F(limits.min))
    table: Array = np.trunc(np.clip(held, limits.min, limits.max)).astype(dtype)
    return table


def lut_lookup_int8(value: Array, table: Array) -> Array:
    """table[value & 255] for int8 or uint8 values of any shape.

    Source: internal/common.h, LUTLookup(int8_t) and LUTLookup(uint8_t).
    """
    return np.asarray(table[np.asarray(value, dtype=table.dtype).view(np.uint8)])


def populate_lut_int16(
    input_scale: float | np.floating[Any],
    input_zero_point: int,
    output_scale: float | np.floating[Any],
    output_zero_point: int,
    transform: Transform,
    kind: type[np.floating[Any]] = np.float32,
) -> Array:
    """The 513 supporting points, 128 apart, between which int16 results are interpolated.

    Each point is lowered by half of the error that interpolation makes in the middle of its step.
    kind: the floats to compute with. Result: int16 [513].
    Source: internal/common.h, LUTPopulateInt16<float> and <double>.
    """
    scale, per = kind(input_scale), kind(output_scale)
    with np.errstate(all="ignore"):
        input_min, input_max = scale * kind(-32768 - input_zero_point), scale * kind(32767 - input_zero_point)
        output_min, output_max = per * kind(-32768 - output_zero_point), per * kind(32767 - output_zero_point)
        step = (input_max - input_min) / kind(_STEPS)
        output_scaling_inverse = kind(65536) / (output_max - output_min)
        start = input_min + np.arange(_STEPS, dtype=kind) * step
        following = input_min + np.arange(1, _STEPS + 1, dtype=kind) * step
        sample = round_half_away(transform(start) * output_scaling_inverse)
        following_value = transform(following) * output_scaling_inverse
        midpoint = round_half_away(transform(start + step / kind(2)) * output_scaling_inverse)
        midpoint_error = round_half_away((following_value + sample) / kind(2)) - midpoint
        bias = round_half_away(midpoint_error / kind(2))
        last = round_half_away(transform(np.array([input_max])) * output_scaling_inverse)
        points = np.concatenate([sample - bias, last])
    # The difference of two infinities is NaN, of which x86 keeps the low bits of -2^31.
    held = np.where(np.isnan(points), kind(0), points)
    table: Array = np.clip(held, -32768, 32767).astype(np.int16)
    return table


def lut_lookup_int16_spec(value: int, table: list[int]) -> int:
    """The table interpolated at an int16 value: 9 bits choose the step, 7 the place within it.

    Source: internal/common.h, LUTLookup(int16_t).
    """
    index, offset = 256 + (value >> 7), value & 0x7F
    slope = wrap_spec(table[index + 1] - table[index], 16)
    return wrap_spec(table[index] + ((slope * offset + 64) >> 7), 16)


def lut_lookup_int16(value: Array, table: Array) -> Array:
    """The table interpolated at int16 values: base + round(slope * (value mod 128) / 128), ties up.

    value: int16, any shape; table: int16 [513]. Result: int16; slopes and sums beyond int16 wrap.
    Source: internal/common.h, LUTLookup(int16_t).
    """
    value = np.asarray(value).astype(np.int32)
    index, offset = 256 + (value >> 7), value & 0x7F
    base = table[index].astype(np.int32)
    slope = (table[index + 1].astype(np.int32) - base).astype(np.int16).astype(np.int32)
    return np.asarray(base + ((slope * offset + 64) >> 7)).astype(np.int16)


def softmax_tables(exponential: Transform, kind: type[np.floating[Any]] = np.float64) -> tuple[Array, Array]:
    """The two tables of SOFTMAX on int16: e^x for x in [-10, 0], and 1 / (1 + x) for x in [0, 1].

    exponential, kind: whose e^x, and the floats to compute with. Result: int16 [513] each, in steps of 2^-15.
    Source: `tflite/kernels/activations.cc`, SoftmaxPrepare (doubles); tflite-micro, `softmax_common.cc`,
    InitializeLutForInt16 (floats).
    """
    unit, half = kind(1) / kind(65535), kind(2) / kind(65535)
    ten = kind(10) / kind(65535)
    power = populate_lut_int16(ten, 32767, half, 0, exponential, kind)
    inverse = populate_lut_int16(unit, -32768, half, 0, lambda x: kind(1) / (kind(1) + x), kind)
    return power, inverse


@cache
def sigmoid_table() -> Array:
    """65536 / (1 + e^(-i / 24)) for i = 0 to 255, raised by half of the error of interpolation.

    Interpolated, it serves LOGISTIC and TANH on int16. Result: int64 [256]; the last entry, on which nothing
    follows, is 65535. Source: internal/common.h, sigmoid_table_uint16, entry by entry.
    """

    def sigmoid(place: Array) -> Array:
        return np.asarray(65536 / (1 + np.exp(-place / 24)))

    place = np.arange(255.0)
    sample, middle = sigmoid(place), (sigmoid(place) + sigmoid(place + 1)) / 2
    raised = round_half_away(sample + (sigmoid(place + 0.5) - middle) / 2)
    return np.append(raised, 65535).astype(np.int64)
