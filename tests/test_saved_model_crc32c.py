"""The checksum against its definition, bit by bit, at lengths on both sides of every boundary."""

import numpy as np
import pytest

from ptq.saved_model.crc32c import SPARSE, crc32c, masked

GENERATOR = 0x11EDC6F41
BOUNDARIES = [0, 1, 7, 8, 63, 64, 65, 72, 100, 4097, 6777 * 8, 6777 * 8 + 1, 6778 * 8, (6777 + 6293) * 8 - 1,
              (6777 + 6293) * 8 + 8, (6777 + 2 * 6293) * 8 + 5]  # fmt: skip


def defined(data):
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
    ids=["check", "zeros", "ones", "ascending"],
)
def test_the_published_values(data, checksum):
    assert crc32c(data) == checksum


@pytest.mark.parametrize("length", BOUNDARIES)
def test_every_length_gives_what_the_definition_gives(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == defined(data)


def test_a_view_into_the_middle_of_a_file_is_as_good():
    data = np.random.default_rng(1).bytes(70_003)
    assert crc32c(memoryview(data)[3:]) == crc32c(data[3:])


def test_one_bit_anywhere_changes_it():
    data = bytearray(120_000)
    whole = crc32c(data)
    for place in (0, 8 * 6293, 8 * 6777 - 1, 60_000, 119_999):
        data[place] ^= 16
        assert crc32c(data) != whole
        data[place] ^= 16


def test_the_sparse_polynomial_is_a_multiple_of_the_generator():
    def remainder(exponent):
        value = 1
        for _ in range(exponent):
            value <<= 1
            value ^= GENERATOR if value >> 32 else 0
        return value

    first, second, third = (remainder(64 * exponent) for exponent in SPARSE)
    assert first ^ second ^ third == 1


def test_the_mask_turns_the_bits_by_15_and_adds_a_constant():
    assert masked(0) == 0xA282EAD8
    assert masked(0x8000) == 0xA282EAD9
    assert masked(1) == (0xA282EAD8 + (1 << 17)) & 0xFFFFFFFF
