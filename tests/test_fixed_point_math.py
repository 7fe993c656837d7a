"""ptq.fixed_point_math: arrays against the specification, gemmlowp and real mathematics.

The checksums were computed once by compiling gemmlowp's own fixedpoint.h (the copy that TensorFlow 2.21
ships) with the same inputs; each is the CRC-32 of the raw results as little-endian int32.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptq import fixed_point_math as fpm

ALL_INT16 = np.arange(-(2**15), 2**15)
FUNCTIONS = {
    "exp": (fpm.exp_on_negative_values, fpm.exp_on_negative_values_spec),
    "logistic": (fpm.logistic, fpm.logistic_spec),
    "tanh": (fpm.tanh, fpm.tanh_spec),
}
REAL = {"exp": np.exp, "logistic": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}


def probes() -> np.ndarray:
    """20,312 int32 values of all magnitudes from a linear congruential generator, and all powers of two."""
    values, state = [], 12345
    for _ in range(20000):
        state = (state * 1664525 + 1013904223) % 2**32
        value = np.uint32(state >> (state % 29)).astype(np.int32)
        values.append(int(value) if (state >> 7) & 1 else int(np.int64(-int(value)).astype(np.int32)))
    for e in range(31):
        for d in (-2, -1, 0, 1, 2):
            values += [2**e + d, -(2**e) - d]
    return np.array([*values, 2**31 - 1, -(2**31)])


PROBES = probes()


def checksum(values: np.ndarray) -> int:
    return zlib.crc32(np.asarray(values).astype("<i4").tobytes())


def domain(name: str, values: np.ndarray) -> np.ndarray:
    return values[values <= 0] if name == "exp" else values


def test_probes_are_those_of_the_checksums():
    assert checksum(PROBES) == 0xCD037114


@pytest.mark.parametrize(
    ("name", "integer_bits", "expected"),
    [
        ("exp", 0, 0xF6AEF4C6), ("logistic", 0, 0x023BB790), ("tanh", 0, 0x54653ADB),
        ("exp", 3, 0x5C6F609B), ("logistic", 3, 0x82DF5969), ("tanh", 3, 0x7F59742D),
        ("exp", 4, 0x1F4323A2), ("logistic", 4, 0x2BA1B7DD), ("tanh", 4, 0x683567F1),
        ("exp", 6, 0xD88DD37C), ("logistic", 6, 0x4C385649), ("tanh", 6, 0x037BB1A9),
        ("exp", 10, 0xE66B9AAD), ("logistic", 10, 0xCB233407), ("tanh", 10, 0x2403460B),
    ],
)  # fmt: skip
def test_16_bits_equal_gemmlowp_on_every_input(name, integer_bits, expected):
    assert checksum(FUNCTIONS[name][0](domain(name, ALL_INT16), integer_bits, 16)) == expected


@pytest.mark.parametrize(
    ("name", "integer_bits", "expected"),
    [
        ("exp", 0, 0xE84DEC10), ("logistic", 0, 0x5245814F), ("tanh", 0, 0xE05C5C5C),
        ("exp", 4, 0x99BDD4CB), ("logistic", 4, 0xCF1CB9BE), ("tanh", 4, 0x70C66F15),
        ("exp", 5, 0x3011A5EE), ("logistic", 5, 0xF4090CD3), ("tanh", 5, 0x93F39501),
        ("exp", 12, 0xB458CBC6), ("logistic", 12, 0xBB629A45), ("tanh", 12, 0x9BF52A10),
        ("exp", 26, 0x69671765), ("logistic", 26, 0x4E0F3D1A), ("tanh", 26, 0x822CEF83),
    ],
)  # fmt: skip
def test_32_bits_equal_gemmlowp_on_the_probes(name, integer_bits, expected):
    assert checksum(FUNCTIONS[name][0](domain(name, PROBES), integer_bits)) == expected


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_16_bits_equal_their_specification_on_every_input(name):
    array, spec = FUNCTIONS[name]
    x = domain(name, ALL_INT16)
    assert array(x, 3, 16).tolist() == [spec(int(v), 3, 16) for v in x]


@pytest.mark.parametrize("name", list(FUNCTIONS))
@pytest.mark.parametrize("integer_bits", [0, 1, 2, 5, 6, 7, 11])
def test_16_bits_equal_their_specification_for_other_formats(name, integer_bits):
    array, spec = FUNCTIONS[name]
    x = domain(name, np.unique(np.concatenate([ALL_INT16[::97], ALL_INT16[:40], np.arange(-200, 200)])))
    assert array(x, integer_bits, 16).tolist() == [spec(int(v), integer_bits, 16) for v in x]


@pytest.mark.parametrize("name", list(FUNCTIONS))
@given(x=st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300), integer_bits=st.integers(0, 27))
def test_32_bits_equal_their_specification(name, x, integer_bits):
    array, spec = FUNCTIONS[name]
    x = -abs(x) if name == "exp" else x
    assert array([x], integer_bits)[0] == spec(x, integer_bits)


@pytest.mark.parametrize(
    ("name", "bits", "integer_bits", "bound"),
    [
        # bounds: the largest errors found, over all int16 and over the probes, rounded up
        ("exp", 32, 5, 2.3e-7), ("logistic", 32, 4, 7.2e-8), ("tanh", 32, 4, 1.5e-7),
        ("exp", 16, 3, 5.9e-5), ("logistic", 16, 3, 2e-4), ("tanh", 16, 3, 3.7e-4),
    ],
)  # fmt: skip
def test_close_to_the_real_function(name, bits, integer_bits, bound):
    x = domain(name, PROBES if bits == 32 else ALL_INT16)
    real = REAL[name](x * 2.0 ** (integer_bits - bits + 1))
    assert np.max(np.abs(FUNCTIONS[name][0](x, integer_bits, bits) * 2.0 ** (1 - bits) - real)) <= bound


def test_fixed_values():
    assert fpm.exp_on_negative_values([0], 5)[0] == 2**31 - 1
    assert fpm.exp_on_negative_values([-(2**31)], 12)[0] == 0  # exp(-4096)
    assert fpm.logistic([0], 4)[0] == 2**30
    assert fpm.tanh([0], 4)[0] == 0
    assert fpm.logistic([0], 3, 16)[0] == 2**14


def test_logistic_and_tanh_are_symmetric_on_every_int16():
    x = np.arange(1, 2**15)
    assert np.array_equal(fpm.tanh(-x, 3, 16), -fpm.tanh(x, 3, 16))
    assert np.array_equal(fpm.logistic(-x, 3, 16), 32767 - fpm.logistic(x, 3, 16))


@given(st.integers(-(2**29), -1))
def test_exp_on_interval(a):
    spec = fpm.exp_on_interval_spec(a)
    assert fpm.exp_on_interval(np.array([a]))[0] == spec
    assert abs(spec / 2**31 - math.exp(a / 2**31)) < 3e-7


def test_exp_on_interval_of_16_bits_on_every_input():
    a = np.arange(-(2**13), 0)
    assert fpm.exp_on_interval(a, 16).tolist() == [fpm.exp_on_interval_spec(int(v), 16) for v in a]


@given(st.integers(0, 2**31 - 1))
def test_divisions(x):
    for array, spec, real in [
        (fpm.one_over_one_plus_x, fpm.one_over_one_plus_x_spec, 1 / (1 + x / 2**31)),
        (
            fpm.one_minus_x_over_one_plus_x,
            fpm.one_minus_x_over_one_plus_x_spec,
            (1 - x / 2**31) / (1 + x / 2**31),
        ),
    ]:
        expected = spec(x)
        assert array([x])[0] == expected
        assert abs(expected / 2**31 - real) < 1e-8


def test_divisions_of_16_bits_on_every_input():
    x = np.arange(0, 2**15)
    assert fpm.one_over_one_plus_x(x, 16).tolist() == [fpm.one_over_one_plus_x_spec(int(v), 16) for v in x]
    expected = [fpm.one_minus_x_over_one_plus_x_spec(int(v), 16) for v in x]
    assert fpm.one_minus_x_over_one_plus_x(x, 16).tolist() == expected


def test_get_reciprocal_equals_gemmlowp_on_the_probes():
    reciprocal, bits_over_unit = fpm.get_reciprocal(PROBES[PROBES > 0], 12)
    assert checksum(np.stack([reciprocal, bits_over_unit], axis=1)) == 0x2E618650


@given(st.integers(1, 2**31 - 1), st.integers(0, 20))
def test_get_reciprocal(x, integer_digits):
    reciprocal, bits_over_unit = fpm.get_reciprocal([x], integer_digits)
    assert (reciprocal[0], bits_over_unit[0]) == fpm.get_reciprocal_spec(x, integer_digits)
    real = x * 2.0 ** (integer_digits - 31)
    assert reciprocal[0] * 2.0 ** (-31 - int(bits_over_unit[0])) * real == pytest.approx(1, abs=1e-8)


def test_inverse_square_root_equals_gemmlowp_on_the_probes():
    x = np.concatenate([PROBES[PROBES >= 0], np.arange(5000)])
    multiplier, shift = fpm.get_inv_sqrt_quantized_multiplier_exp(x)
    assert checksum(np.stack([multiplier, shift], axis=1)) == 0x33366CFE
    real = multiplier * 2.0**-31 * 2.0**shift * np.sqrt(np.maximum(x, 1))
    assert np.max(np.abs(real - 1)) < 1.3e-6  # the largest error found, rounded up


@settings(max_examples=200)
@given(st.integers(0, 2**31 - 1) | st.integers(0, 100), st.sampled_from([-1, 1]))
def test_inverse_square_root(x, reverse_shift):
    multiplier, shift = fpm.get_inv_sqrt_quantized_multiplier_exp([x], reverse_shift)
    assert (multiplier[0], shift[0]) == fpm.get_inv_sqrt_quantized_multiplier_exp_spec(x, reverse_shift)
