"""CRC-32C, the checksum of TensorFlow's files, at the speed at which memory is read.

A checksum reads a message as a polynomial over the field {0, 1}, whose first bit has the highest power, and
keeps its remainder modulo a polynomial G of degree 32: sums are XORs. Taken byte by byte, in Python, that is
10 MB a second. Two facts make it a matter of a few large XORs:

sparse   x^(64 * 6777) + x^(64 * 484) + x^(64 * 100) + 1 is a multiple of G (`tests` divide it). Modulo that,
         a word of 64 bits is the same as itself XORed into three words further on, 6293, 6677 and 6777 of
         them, and the remainder modulo a multiple of G has the remainder modulo G. So nothing is looked up,
         and 6293 words are done in one go, until 6777 are left.
halves   of what is left, the first half times a power of x is added to the second half, so that half is
         left: for 16,384 words of 32 bits, 14 times. A product by a constant is linear in the bits of a word:
         four lookups, one for each byte.

Bits of a byte count from the lowest, as the checksum is defined ("reflected"); the words are little-endian,
so that the lowest bit of a word is the first of the message.

Source: tsl/lib/hash/crc32c.h (the mask); RFC 3720, appendix B.4 (the polynomial and test values).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

GENERATOR = 0x82F63B78
"""G without its highest power, reflected: bit 31 is the factor of x^0."""

SPARSE = (6777, 484, 100)
"""Exponents, in words of 64 bits, of the multiple of G with four terms; the fourth is 0.

Of the 32 such multiples up to x^(64 * 8192), the one whose first two exponents lie farthest apart: found by
comparing the sum of any two powers of x modulo G with all others.
"""

_LENGTH = SPARSE[0]
_DISTANCES = tuple(_LENGTH - exponent for exponent in (*SPARSE[1:], 0))
_STEP = _DISTANCES[0]
"""So many words at once depend on none of each other."""

_SHORT = 64
"""Bytes; below that a loop in Python is the quickest."""

Words = npt.NDArray[np.uint64]
Halves = npt.NDArray[np.uint32]


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of `data`: CRC-32C, begun with all bits set and inverted at the end."""
    view = memoryview(data).cast("B")
    head = len(view) // 8 * 8 if len(view) >= _SHORT else 0
    register = 0xFFFFFFFF
    if head:
        words = np.frombuffer(view[:head], "<u8")
        register = _after_words(_reduced(words, register))
    return _after_bytes(view[head:], register) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """The form in which files hold it, since the checksum of data with its own checksum in it is no use."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _reduced(message: Words, register: int) -> Words:
    """At most 6777 words with the remainder of the message, whose first 32 bits the register is added to."""
    quotient = np.zeros(_LENGTH + _STEP, np.uint64)
    first = np.uint64(register)
    place = 0
    while len(message) - place > _LENGTH:
        size = min(_STEP, len(message) - place - _LENGTH)
        fresh = quotient[_LENGTH : _LENGTH + size]
        fresh[:] = message[place : place + size]
        fresh[0] ^= first
        first = np.uint64(0)
        for distance in _DISTANCES:
            fresh ^= quotient[_LENGTH - distance : _LENGTH - distance + size]
        quotient[:_LENGTH] = quotient[size : size + _LENGTH]
        place += size
    rest = message[place:].copy()
    rest[0] ^= first
    if place:
        for distance in _DISTANCES:
            rest[:distance] ^= quotient[_LENGTH - distance : _LENGTH]
    return rest


def _after_words(message: Words) -> int:
    """The register, begun at 0, after words: halved until one of 32 bits is left."""
    words = message.view("<u4").astype(np.uint32, copy=False)
    level = (len(words) - 1).bit_length()
    words = np.concatenate([np.zeros((1 << level) - len(words), np.uint32), words])  # 0 in front adds nothing
    while level:
        level -= 1
        half = 1 << level
        words = _times(words[:half], level) ^ words[half:]
    return int(_times(words, 0)[0])


def _times(words: Halves, level: int) -> Halves:
    """Each word times x^(32 * 2^level), modulo G."""
    tables = _tables(level)
    product: Halves = tables[0][words & np.uint32(255)]
    for place in (1, 2, 3):
        product ^= tables[place][words >> np.uint32(8 * place) & np.uint32(255)]
    return product


@cache
def _tables(level: int) -> Halves:
    """By place of a byte and its value, that part of a word times x^(32 * 2^level): uint32[4, 256]."""
    if level == 0:
        columns = [_after_bits(1 << bit, 32) for bit in range(32)]
    else:
        powers = np.uint32(1) << np.arange(32, dtype=np.uint32)
        columns = [int(word) for word in _times(_times(powers, level - 1), level - 1)]
    tables = np.zeros((4, 256), np.uint32)
    for place in range(4):
        for value in range(1, 256):
            lowest = value & -value
            column = columns[8 * place + lowest.bit_length() - 1]
            tables[place, value] = tables[place, value ^ lowest] ^ np.uint32(column)
    return tables


def _after_bits(register: int, count: int) -> int:
    """The register after `count` bits that are 0: the definition of it all."""
    for _ in range(count):
        register = register >> 1 ^ (GENERATOR if register & 1 else 0)
    return register


def _after_bytes(data: memoryview, register: int) -> int:
    """The register after bytes, one at a time."""
    if not len(data):
        return register
    table = _byte_table()
    for byte in data:
        register = register >> 8 ^ table[(register ^ byte) & 255]
    return register


@cache
def _byte_table() -> list[int]:
    return [_after_bits(byte, 8) for byte in range(256)]
