"""Tables: one taken apart by hand, many by a writer of the tests', and files that lie."""

import re
import time

import numpy as np
import pytest
import tables

import ptq.saved_model.table
from ptq.errors import FormatError
from ptq.saved_model.table import read_table

EMPTY = b"\0\0\0\0\1\0\0\0"


def read(data):
    return [(key, bytes(value)) for key, value in read_table(data)]


def many(count):
    return [(f"layer/{i:05d}/kernel".encode(), bytes([i % 251]) * (i % 40)) for i in range(count)]


def example():
    """The bytes of the module's docstring, checked against the places that stand before them."""
    file = b""
    for line in ptq.saved_model.table.__doc__.splitlines():
        if found := re.match(r" *(\d+)  (?:(\d+) zeros|((?:[0-9a-f]{2} +)+))", line):
            place, zeros, digits = found.groups()
            assert int(place) == len(file)
            file += bytes(int(zeros)) if zeros else bytes.fromhex(digits)
    return file


def test_the_table_of_the_docstring_is_one():
    assert len(example()) == 117
    assert read(example()) == [(b"conv/bias", b"B"), (b"conv/kernel", b"KK")]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_blocks_of_every_size_give_what_was_written(size, compress):
    entries = [(b"", b"header"), *many(300)]
    blocks = [entries[i : i + size] for i in range(0, len(entries), size)]
    assert read(tables.table(blocks, compress)) == entries
    assert len(tables.table([entries], True)) < len(tables.table([entries])) / 2


def test_a_table_may_be_empty():
    assert read(tables.table([])) == []
    assert read(tables.table([[]])) == []


def test_values_are_views_of_the_file():
    file = tables.table([many(3)])
    (_, _), (_, value), _ = read_table(file)
    assert value.obj is file and value.readonly


def damaged(place, byte):
    file = bytearray(tables.table([many(3)]))
    file[place] = byte
    return bytes(file)


LIES = {
    "nothing": (b"", "at least 48"),
    "cut off in front": (tables.table([many(3)])[10:], "announced"),
    "cut off behind": (tables.table([many(3)])[:-1], "magic number"),
    "a byte of a block": (damaged(5, 0), "checksum .* found for the block at byte 0"),
    "index beyond the file": (bytes(10) + b"\0\x08\xff\x01\x08".ljust(40, b"\0") + example()[-8:], "cut off"),
    "no number in the footer": (bytes(10) + b"\xff" * 40 + example()[-8:], "64 bits"),
    "unknown compression": (tables.sealed(EMPTY, 2) + b"\0\0\0\x08".ljust(40, b"\0") + example()[-8:],
                            "compression 2"),
    "one block twice": (tables.table([[]], index=tables.block([(b"a", b"\0\x08"), (b"b", b"\0\x08")])),
                        "data block found at byte 0"),
    "place cut off": (tables.table([many(1)], index=tables.block([(b"a", b"\0")])), "cut off"),
    "keys that descend": (tables.table([many(2)[::-1]]), "expected ascending"),
    "one key twice": (tables.table([[(b"a", b"")], [(b"a", b"")]]), "expected ascending"),
    "more shared than there is": (tables.table([b"\1\0\0" + EMPTY]), "shares 1 bytes"),
    "value beyond the block": (tables.table([b"\0\1\5a" + EMPTY]), "has 1 \\+ 5"),
    "a restart that shares": (tables.table([b"\0\1\0a\1\1\0b\0\0\0\0\4\0\0\0\2\0\0\0"]), "expected 0 at"),
    "a restart between": (tables.table([b"\0\1\0a\2\0\0\0\1\0\0\0"]), "no entry begins"),
    "too many restarts": (tables.table([b"\0\0\0\0\xff\xff\xff\xff"]), "4294967295 restarts"),
    "no restarts": (tables.table([b"\1\0\0"]), "at least 4"),
    "index of no bytes": (tables.table([], index=b""), "at least 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused_with_what_was_found(name):
    file, message = LIES[name]
    with pytest.raises(FormatError, match=message):
        read(file)


def test_shared_bytes_cannot_fill_the_memory():
    """100,000 entries of 5 bytes each claim keys of 100,000 bytes: 10 GB."""
    key = b"k" * 100_000
    first = tables.varint(0) + tables.varint(len(key)) + b"\0" + key
    entries = b"".join(tables.varint(len(key) + i) + b"\1\0a" for i in range(100_000))
    start = time.perf_counter()
    with pytest.raises(FormatError, match="keys of more than"):
        read(tables.table([first + entries + EMPTY]))
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_table_is_read_as_before_or_refused(seed):
    rng = np.random.default_rng(seed)
    entries = many(40)
    file = tables.table([entries[:30], entries[30:]], compress=seed % 2 == 1)
    for _ in range(30):
        changed = bytearray(file)
        changed[rng.integers(len(file))] ^= rng.integers(1, 256)
        try:
            assert read(bytes(changed)) == entries
        except FormatError:
            pass


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_block_under_a_right_checksum_gives_ascending_keys_or_is_refused(seed):
    rng = np.random.default_rng(seed)
    content = tables.block(many(40))
    for _ in range(30):
        changed = bytearray(content)
        for place in rng.integers(len(content), size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        try:
            keys = [key for key, _ in read_table(tables.table([bytes(changed)]))]
            assert keys == sorted(set(keys))
        except FormatError:
            pass
