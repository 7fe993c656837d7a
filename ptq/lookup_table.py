"""Elementwise functions of int8 and int16 tensors as tables, which float arithmetic fills once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptq.fixed_point import round_half_away, wrap_int32, wrap_spec
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
) -> Array:
    """The int8 result of `transform` for each int8 input: table[v & 255] stands for transform(real of v).

    Formula: round(transform(input_scale * (v - input_zero_point)) * (1 / output_scale)) + output_zero_point,
    in float32, clipped to [-128, 127]. Result: int8 [256], in the order 0, ..., 127, -128, ..., -1.
    Source: internal/common.h, LUTPopulateInt8. Used by LOGISTIC, TANH and others on int8.
    """
    value = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int32)
    real = _F(input_scale) * (value - input_zero_point).astype(_F)
    with np.errstate(all="ignore"):
        inverse_scale = _F(1) / _F(output_scale)
        rescaled = round_half_away(transform(real) * inverse_scale) + _F(output_zero_point)
    # C's conversion of what int32 does not hold gives its lowest value on x86.
    held = np.where(np.abs(rescaled) < _F(2.0**31), rescaled, _F(-(2.0**31)))
    table: Array = np.clip(wrap_int32(held), -128, 127).astype(np.int8)
    return table


def lut_lookup_int8(value: Array, table: Array) -> Array:
    """table[value & 255] for int8 values of any shape. Source: internal/common.h, LUTLookup(int8_t)."""
    return np.asarray(table[np.asarray(value, dtype=np.int8).view(np.uint8)])


def populate_lut_int16(
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    transform: Transform,
) -> Array:
    """The 513 supporting points, 128 apart, between which int16 results are interpolated.

    Each point is lowered by half of the error that interpolation makes in the middle of its step.
    All in float32. Result: int16 [513]. Source: internal/common.h, LUTPopulateInt16<float>.
    """
    input_min = _F(input_scale) * _F(-32768 - input_zero_point)
    input_max = _F(input_scale) * _F(32767 - input_zero_point)
    output_min = _F(output_scale) * _F(-32768 - output_zero_point)
    output_max = _F(output_scale) * _F(32767 - output_zero_point)
    step = (input_max - input_min) / _F(_STEPS)
    output_scaling_inverse = _F(65536) / (output_max - output_min)
    start = input_min + np.arange(_STEPS, dtype=_F) * step
    following = input_min + np.arange(1, _STEPS + 1, dtype=_F) * step

    sample = round_half_away(transform(start) * output_scaling_inverse)
    following_value = transform(following) * output_scaling_inverse
    midpoint = round_half_away(transform(start + step / _F(2)) * output_scaling_inverse)
    midpoint_error = round_half_away((following_value + sample) / _F(2)) - midpoint
    bias = round_half_away(midpoint_error / _F(2))
    last = round_half_away(transform(np.array([input_max])) * output_scaling_inverse)
    table: Array = np.clip(np.concatenate([sample - bias, last]), -32768, 32767).astype(np.int16)
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
