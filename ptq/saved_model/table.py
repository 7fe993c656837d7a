r"""A sorted table of keys and values in one file, as LevelDB has it and TensorFlow's variables.index is.

The file is blocks, one after the other, and is read from its end:

  data blocks     the keys and values, in the order of the keys
  meta index      a block, empty in TensorFlow's files
  index block     a table itself: for each data block a key not less than its last, and where the block lies
  footer          48 bytes: where the meta index lies, where the index block lies, zeros up to byte 40, and
                  the magic number 0xdb4775248b80fb57. "Where" is two varints, offset and size.

After each block stand five bytes that its size does not count: the kind of compression (0 none; 1 Snappy,
which TensorFlow reads but leaves out in writing) and the masked CRC-32C of block and kind. In a block, a key
is stored as what is new in it, since neighbours in a sorted table begin alike:

  varint  how many bytes it shares with the key before
  varint  how many are its own           varint  how many the value has
  the bytes that are its own             the value

Every 16th entry shares nothing, so that a search can begin there: these are the restarts. A uint32 for each,
where it begins in the block, and a uint32, how many there are, end the block.

A table with the keys "conv/bias" and "conv/kernel" and the values "B" and "KK", as it stands in a file:

   0  00 09 01  63 6f 6e 76 2f 62 69 61 73  42    shares 0, 9 bytes of its own "conv/bias", value "B"
  13  05 06 02  6b 65 72 6e 65 6c  4b 4b          shares 5 ("conv/"), 6 of its own "kernel", value "KK"
  24  00 00 00 00  01 00 00 00                    one restart, at 0: the block has 32 bytes
  32  00  33 e1 f1 a0                             not compressed, checksum
  37  00 00 00 00  01 00 00 00                    meta index: no entry, one restart; 8 bytes
  45  00  c0 f2 a1 b0                             not compressed, checksum
  50  00 01 02  64  00 20                         the index: key "d", which is not less than "conv/kernel";
                                                  its block lies at 0 and has 32 bytes (20 hexadecimal)
  56  00 00 00 00  01 00 00 00                    one restart, at 0: the index block has 14 bytes
  64  00  e9 90 2a 2b                             not compressed, checksum
  69  25 08  32 0e                                footer: meta index at 37, 8 bytes; index at 50, 14 bytes
  73  36 zeros                                    up to byte 40 of the footer
 109  57 fb 80 8b 24 75 47 db                     the magic number, lowest byte first: 117 bytes in all

Source: LevelDB's doc/table_format.md; tensorflow/core/lib/io (format.cc, block.cc, table_builder.cc).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError
from ptq.saved_model.crc32c import crc32c, masked
from ptq.saved_model.snappy import decompress
from ptq.saved_model.wire import Bytes, varint

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5
NO_COMPRESSION, SNAPPY = 0, 1

MOST_BYTES = 1 << 27
"""All keys together, each with ENTRY_BYTES more: a million of 64 bytes. Since keys share bytes and blocks
may be compressed, a small file could claim any amount."""

ENTRY_BYTES = 64

Entry = tuple[bytes, memoryview]


def read_table(data: Bytes) -> Iterator[Entry]:
    """The keys and values of a whole table in the order of the keys; FormatError for anything wrong.

    Values are views of `data` where their block is not compressed. Keys ascend, so none comes twice.
    """
    view = memoryview(data).toreadonly()
    index_start, index_size = _index_place(view)
    previous: bytes | None = None
    key_bytes = end = 0
    for _, place in _entries(_block(view, index_start, index_size)):
        start, size = _place(place)
        if start < end:  # otherwise a small index could have the same block read again and again
            raise FormatError(
                f"data block found at byte {start} of a table, expected {end} or later; the file is damaged"
            )
        end = start + size + TRAILER
        for key, value in _entries(_block(view, start, size)):
            key_bytes += len(key) + ENTRY_BYTES
            _check_key(key, previous, key_bytes)
            yield key, value
            previous = key


def _index_place(view: memoryview) -> tuple[int, int]:
    """Where the index block lies, from the footer."""
    if len(view) < FOOTER:
        raise FormatError(
            f"{len(view)} bytes found, expected a table, which has at least {FOOTER}; the file is cut off"
        )
    footer = view[-FOOTER:]
    magic = int.from_bytes(footer[-8:], "little")
    if magic != MAGIC:
        raise FormatError(
            f"magic number {magic:#018x} found at the end of a table, expected {MAGIC:#x}; the file is cut "
            "off, or no index of variables"
        )
    position = 0
    for _ in range(3):  # of the meta index both numbers, and of the index its offset
        start, position = varint(footer, position, FOOTER - 8)
    size, _ = varint(footer, position, FOOTER - 8)
    return start, size


def _place(value: memoryview) -> tuple[int, int]:
    """Offset and size of a block."""
    start, position = varint(value, 0, len(value))
    size, _ = varint(value, position, len(value))
    return start, size


def _block(view: memoryview, start: int, size: int) -> memoryview:
    """A block after its checksum is verified, decompressed."""
    end = start + size
    if end + TRAILER > len(view) - FOOTER:
        raise FormatError(
            f"block of {size} bytes announced at byte {start} of a table of {len(view)}; the file is cut off "
            "or damaged"
        )
    (stored,) = struct.unpack_from("<I", view, end + 1)
    computed = masked(crc32c(view[start : end + 1]))
    if stored != computed:
        raise FormatError(
            f"checksum {stored:#010x} found for the block at byte {start} of a table, expected "
            f"{computed:#010x}; the file is damaged: fetch it again"
        )
    kind = view[end]
    if kind not in (NO_COMPRESSION, SNAPPY):
        raise FormatError(
            f"compression {kind} found at byte {end} of a table, expected {NO_COMPRESSION} (none) or "
            f"{SNAPPY} (Snappy); save the model again with TensorFlow's own defaults"
        )
    block = view[start:end]
    return memoryview(decompress(block)) if kind == SNAPPY else block


def _entries(block: memoryview) -> Iterator[Entry]:
    """The keys and values of one block."""
    end, restarts = _restarts(block)
    key = b""
    position = passed = 0
    while position < end:
        begin = position
        shared, position = varint(block, position, end)
        own, position = varint(block, position, end)
        size, position = varint(block, position, end)
        if shared > len(key) or own + size > end - position:
            raise FormatError(
                f"entry at byte {begin} of a block shares {shared} bytes and has {own} + {size}, but the key "
                f"before has {len(key)} and {end - position} are left; the file is damaged"
            )
        if passed < len(restarts) and begin == restarts[passed]:
            passed += 1
            _check_restart(begin, shared)
        key = key[:shared] + bytes(block[position : position + own])
        position += own + size
        yield key, block[position - size : position]
    if passed < len(restarts) and end:  # an empty block has a restart, too
        raise FormatError(
            f"restart at byte {restarts[passed]} of a block found, where no entry begins; the file is damaged"
        )


def _check_restart(begin: int, shared: int) -> None:
    if shared:
        raise FormatError(
            f"entry at byte {begin} of a block shares {shared} bytes, expected 0 at a restart; the file is "
            "damaged"
        )


def _restarts(block: memoryview) -> tuple[int, npt.NDArray[np.uint32]]:
    """Where the entries of a block end, and where those begin that share nothing, ascending."""
    if len(block) < 4:
        raise FormatError(f"block of {len(block)} bytes found, expected at least 4; the file is damaged")
    (count,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * count
    if end < 0:
        raise FormatError(
            f"{count} restarts found in a block of {len(block)} bytes, more than it can hold; the file is "
            "damaged"
        )
    return end, np.frombuffer(block, "<u4", count, end)


def _check_key(key: bytes, previous: bytes | None, key_bytes: int) -> None:
    if previous is not None and key <= previous:
        raise FormatError(
            f"key {key[:80]!r} found after {previous[:80]!r} in a table, expected ascending keys; the file "
            "is damaged"
        )
    if key_bytes > MOST_BYTES:
        raise FormatError(
            f"keys of more than {MOST_BYTES} bytes found in a table, with {ENTRY_BYTES} for each: more than "
            "the variables of a model need; the file is damaged"
        )
