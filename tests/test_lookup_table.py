"""ptq.lookup_table: int8 tables against scalar arithmetic, int16 tables against TensorFlow Lite's C++.

The checksums were computed once by compiling LUTPopulateInt16 and LUTLookup of internal/common.h.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest

from ptq.fixed_point import round_half_away_spec
from ptq.lookup_table import (
    lut_lookup_int8,
    lut_lookup_int16,
    lut_lookup_int16_spec,
    populate_lut_int8,
    populate_lut_int16,
)

F = np.float32
ALL_INT8 = np.arange(-128, 128).astype(np.int8)
ALL_INT16 = np.arange(-(2**15), 2**15).astype(np.int16)


def polynomial(x: np.ndarray) -> np.ndarray:
    return x * x * F(0.75) - F(0.3) * x


def int8_spec(v: int, input_scale: F, input_zero_point: int, output_scale: F, output_zero_point: int) -> int:
    transformed = polynomial(input_scale * F(v - input_zero_point))
    rescaled = F(round_half_away_spec(float(transformed * (F(1) / output_scale)))) + F(output_zero_point)
    return max(-128, min(127, math.trunc(float(rescaled))))


@pytest.mark.parametrize(
    "parameters",
    [(0.02, 3, 0.01, -7), (0.1, -128, 0.37, 127), (1e-3, 0, 1e-5, 0), (0.5, 127, 2.0, -128)],
)
def test_int8_table_equals_scalar_arithmetic_on_every_input(parameters):
    input_scale, input_zero_point, output_scale, output_zero_point = parameters
    exact = F(input_scale), input_zero_point, F(output_scale), output_zero_point
    table = populate_lut_int8(*parameters, polynomial)
    assert table.dtype == np.int8
    assert lut_lookup_int8(ALL_INT8, table).tolist() == [int8_spec(int(v), *exact) for v in ALL_INT8]


def test_int8_table_order_is_that_of_the_unsigned_index():
    table = populate_lut_int8(1.0, 0, 1.0, 0, lambda x: x)
    assert table.tolist() == [*range(128), *range(-128, 0)]


def test_what_int32_does_not_hold_becomes_what_it_becomes_on_x86():
    """Measured with TANH and EXP: to int8 the wheels saturate, to uint8 they take the lowest int32."""

    def steep(x):
        return x * F(1e20)

    signed, unsigned = (populate_lut_int8(1.0, 0, 1.0, 3, steep, dtype) for dtype in (np.int8, np.uint8))
    assert (signed[1], signed[0], signed[-1]) == (127, 3, -128)
    assert (unsigned[1], unsigned[0]) == (0, 3)
    nothing = populate_lut_int8(1.0, 0, 1.0, 3, lambda x: x * F(np.nan))
    assert nothing[5] == 0


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [((0.0001, 0, 0.0003, 0), 0x6878FE5B), ((3.0517578e-5, 0, 3.0517578e-5, 0), 0xE9901FEE)],
)
def test_int16_table_and_every_lookup_equal_tensorflow_lite(parameters, expected):
    table = populate_lut_int16(*parameters, polynomial)
    assert table.shape == (513,)
    results = np.concatenate([table, lut_lookup_int16(ALL_INT16, table)])
    assert zlib.crc32(results.astype("<i4").tobytes()) == expected


def test_int16_lookup_equals_its_specification_on_every_input():
    rng = np.random.default_rng(3)
    table = rng.integers(-(2**15), 2**15, 513).astype(np.int16)  # steep: slopes wrap
    expected = [lut_lookup_int16_spec(int(v), table.tolist()) for v in ALL_INT16]
    assert lut_lookup_int16(ALL_INT16, table).tolist() == expected


def test_int16_tanh_is_within_a_few_steps_of_the_real_function():
    table = populate_lut_int16(4 / 32768, 0, 1 / 32768, 0, np.tanh)
    real = np.tanh(ALL_INT16.astype(np.float64) * 4 / 32768) * 32768
    # 3.7 is the largest error found, rounded up
    assert np.max(np.abs(lut_lookup_int16(ALL_INT16, table) - real)) < 3.7
