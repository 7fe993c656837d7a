"""Snappy: a block of bytes made shorter by references to what stood before. Decompression alone.

A block is a varint, the size that comes out, and then elements. The lowest two bits of an element's first
byte, its tag, say what it is:

  tag & 3   upper six bits, and bytes after the tag            meaning
  0         n < 60: nothing; 60 to 63: n in 1 to 4 bytes       the next n + 1 bytes, as they are (a literal)
  1         bits 2-4: n, bits 5-7: top of offset; 1 byte       copy n + 4 bytes from `offset` bytes back
  2         n; offset in 2 bytes                               copy n + 1 bytes from there
  3         n; offset in 4 bytes                               copy n + 1 bytes from there

A copy may be longer than its offset: it then repeats what it has just written. A block of six bytes:

  07         seven bytes come out
  04 61 62   a literal of two bytes, "ab"
  05 02      tag 5: a copy of 1 + 4 bytes from 2 back: "ababa", so that the result is "abababa"

Source: google/snappy, format_description.txt.
"""

from __future__ import annotations

from ptq.errors import FormatError
from ptq.saved_model.wire import Bytes, varint

LITERAL, COPY_1, COPY_2, COPY_4 = 0, 1, 2, 3


def decompress(block: Bytes) -> bytes:
    """What was compressed into `block`; FormatError where an element leads out of the block or the result."""
    view = memoryview(block)
    size, place = varint(view, 0, len(view))
    if size * 3 > len(view) * 64:  # no element gives more than 64 bytes for 3
        raise FormatError(
            f"compressed block of {len(view)} bytes claims to hold {size}, more than it can; it is damaged"
        )
    result = bytearray()
    while place < len(view):
        kind, argument = view[place] & 3, view[place] >> 2
        place += 1
        if kind == LITERAL:
            place = _literal(view, place, argument, result, size)
        else:
            place = _copy(view, place, kind, argument, result, size)
    if len(result) != size:
        raise FormatError(f"compressed block holds {len(result)} bytes, expected {size}; it is damaged")
    return bytes(result)


def _literal(view: memoryview, place: int, argument: int, result: bytearray, size: int) -> int:
    """Append bytes that stand in the block; the place after them."""
    if argument >= 60:
        argument, place = _number(view, place, argument - 59)
    end = place + argument + 1
    if end > len(view):
        raise FormatError(
            f"{argument + 1} bytes announced at byte {place} of a compressed block, but "
            f"{len(view) - place} are left; it is damaged"
        )
    _check_room(argument + 1, result, size)
    result += view[place:end]
    return end


def _copy(view: memoryview, place: int, kind: int, argument: int, result: bytearray, size: int) -> int:
    """Append bytes that the result already has; the place after the reference."""
    if kind == COPY_1:
        length = (argument & 7) + 4
        low, place = _number(view, place, 1)
        offset = argument >> 3 << 8 | low
    else:
        length = argument + 1
        offset, place = _number(view, place, 2 if kind == COPY_2 else 4)
    if not 0 < offset <= len(result):
        raise FormatError(
            f"reference {offset} bytes back found before byte {place} of a compressed block, expected "
            f"1 to {len(result)}; it is damaged"
        )
    _check_room(length, result, size)
    start = len(result) - offset
    while length:
        piece = result[start : start + length]  # shorter than `length` where the copy overlaps itself
        result += piece
        length -= len(piece)
    return place


def _number(view: memoryview, place: int, count: int) -> tuple[int, int]:
    """A little-endian number of `count` bytes, and the place after it."""
    if place + count > len(view):
        raise FormatError(f"compressed block ends within the element at byte {place}; it is damaged")
    return int.from_bytes(view[place : place + count], "little"), place + count


def _check_room(length: int, result: bytearray, size: int) -> None:
    if len(result) + length > size:
        raise FormatError(f"compressed block holds more than the {size} bytes that it claims; it is damaged")
