"""Snappy blocks written by hand from the description, and by its authors' own library where installed."""

import time

import numpy as np
import pytest

from ptq.errors import FormatError
from ptq.saved_model.snappy import decompress


def literal(data):
    """An element that holds `data`, its length in as few bytes as will do."""
    n = len(data) - 1
    if n < 60:
        return bytes([n << 2]) + data
    count = (n.bit_length() + 7) // 8
    return bytes([(59 + count) << 2]) + n.to_bytes(count, "little") + data


HAND = {
    "of the docstring": (b"\x07\x04\x61\x62\x05\x02", b"abababa"),
    "empty": (b"\x00", b""),
    "literal": (b"\x03\x08abc", b"abc"),
    "xababab of the description": (b"\x07\x08xab\x01\x02", b"xababab"),
    "longest copy with a 1-byte offset": (b"\x0d\x04ab\x1d\x02", b"ab" + b"ababababab" + b"a"),
    "2-byte offset": (b"\x05\x08abc\x06\x03\x00", b"abcab"),
    "4-byte offset": (b"\x05\x08abc\x07\x02\x00\x00\x00", b"abcbc"),
    "one byte, 64 times more": (b"\x41\x00z\xfe\x01\x00", b"z" * 65),
    "literal of 60": (b"\x3c\xec" + b"q" * 60, b"q" * 60),
    "literal of 61": (b"\x3d\xf0\x3c" + b"q" * 61, b"q" * 61),
    "literal of 300": (b"\xac\x02\xf4\x2b\x01" + b"q" * 300, b"q" * 300),
    "literal with 3 bytes of length": (b"\x01\xf8\x00\x00\x00q", b"q"),
    "literal with 4 bytes of length": (b"\x01\xfc\x00\x00\x00\x00q", b"q"),
    "two literals": (b"\x02\x00a\x00b", b"ab"),
}

DAMAGED = {
    "no size": (b"", "cut off"),
    "size in too many bytes": (b"\xff" * 11, "64 bits"),
    "size that cannot be": (b"\xff\xff\xff\xff\x0f\x00a", "claims to hold 4294967295"),
    "literal beyond the block": (b"\x04\x0cabc", "4 bytes announced"),
    "length cut off": (b"\x03\xf4\x00", "ends within"),
    "nothing to copy from": (b"\x04\x01\x01", "1 to 0"),
    "offset 0": (b"\x05\x00a\x01\x00", "reference 0 bytes back"),
    "offset too far": (b"\x05\x00a\x01\x02", "reference 2 bytes back"),
    "offset cut off": (b"\x05\x00a\x02\x01", "ends within"),
    "literal beyond the size": (b"\x01\x04ab", "more than the 1"),
    "copy beyond the size": (b"\x02\x00a\x01\x01", "more than the 2"),
    "too little": (b"\x03\x04ab", "holds 2 bytes, expected 3"),
}


@pytest.mark.parametrize("name", HAND)
def test_blocks_written_by_hand(name):
    block, expected = HAND[name]
    assert decompress(block) == expected


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_block_is_refused_with_what_was_found(name):
    block, message = DAMAGED[name]
    with pytest.raises(FormatError, match=message):
        decompress(block)


def test_a_far_copy_crosses_what_a_short_offset_reaches():
    data = np.random.default_rng(0).bytes(70_000)
    block = b"\xb0\xa3\x04" + literal(data) + b"\xff" + (70_000).to_bytes(4, "little")
    assert decompress(block) == data + data[:64]


@pytest.mark.parametrize("seed", range(20))
def test_mutated_blocks_give_bytes_or_a_format_error(seed):
    rng = np.random.default_rng(seed)
    copies = b"\x1d\x05\xfe\x14\x00\xff\x64\x00\x00\x00\x02\x01\x00"
    block = b"\xd4\x02" + literal(rng.bytes(200)) + copies
    assert len(decompress(block)) == 200 + 11 + 64 + 64 + 1
    for _ in range(100):
        changed = bytearray(block)
        changed[rng.integers(len(block))] ^= rng.integers(1, 256)
        try:
            assert len(decompress(changed)) <= 64 * len(changed)
        except FormatError:
            pass


def test_the_worst_block_takes_a_time_in_proportion():
    copies = 100_000
    size = 1 + 64 * copies
    number = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    start = time.perf_counter()
    assert decompress(number + b"\x00z" + b"\xfe\x01\x00" * copies) == b"z" * size
    assert time.perf_counter() - start < 20


def texts():
    rng = np.random.default_rng(3)
    words = [rng.bytes(rng.integers(1, 30)) for _ in range(50)]
    for length in (0, 1, 59, 60, 61, 1000, 70_000, 300_000):
        yield b"".join(words[i] for i in rng.integers(0, 50, length // 15 + 1))[:length]
        yield rng.bytes(length)
        yield bytes(length)


def test_blocks_of_the_authors_library():
    cramjam = pytest.importorskip("cramjam")
    for text in texts():
        assert decompress(bytes(cramjam.snappy.compress_raw(text))) == text
