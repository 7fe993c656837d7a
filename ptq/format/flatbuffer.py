"""The FlatBuffers wire format: a reader that trusts no offset, and a writer. Nothing of TFLite is known here.

Everything is little endian.
  file:   u32 offset of the root table, four bytes of file identifier, then the objects.
  table:  i32 distance back to its vtable, then its fields. A vtable is u16 [2 + slots]: its own bytes, the
          table's bytes, then for each slot the field's offset from the table's start (0: absent).
  vector: u32 count, then the elements. string: the same with UTF-8 bytes and a NUL that is not counted.
  references (to tables, vectors, strings): u32, counted from where the reference itself stands, forward only.
Every scalar stands at a multiple of its size, counted from the start of the file.
Source: FlatBuffers' "Internals" page; checked against its official Python package and verifier in the tests.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, UnsupportedError

Array = npt.NDArray[Any]
Chunk = bytes | bytearray | memoryview

LARGEST_FILE = 2**31 - 1
"""FlatBuffers' own limit: offsets are 32 bits, and other readers take them as signed."""

VISITS = 8
"""How many times the bytes of a file may be visited; shared sub-objects are legal, endless sharing is not."""

U32 = struct.Struct("<I")
I32 = struct.Struct("<i")
VTABLE_HEADER = struct.Struct("<HH")
_OBJECT_COST = 12  # what one decoded object costs beyond its own bytes, in the units of the budget


class Reader:
    """Bounds-checked access to the objects of one file by byte position; FormatError for anything wrong.

    The budget bounds the total work: each object costs its bytes at each visit, and the whole may not
    exceed `VISITS` times the file, so that shared or cyclic offsets cannot cost unbounded time or memory.
    """

    def __init__(self, content: bytes, identifier: bytes) -> None:
        self.bytes = np.frombuffer(content, np.uint8) if content else np.zeros(0, np.uint8)
        self.content = content
        self.size = len(content)
        self.budget = VISITS * self.size + 4096
        if self.size < 8:
            raise FormatError(
                f"file of {self.size} bytes found, expected at least 8; it is empty or cut off"
            )
        if content[4:8] != identifier:
            raise FormatError(
                f"file identifier {content[4:8]!r} found, expected {identifier!r}; this is not such a file"
            )

    def root(self) -> int:
        """The position of the root table."""
        return self.follow(0)

    def charge(self, cost: int) -> None:
        """Take `cost` from the budget; FormatError when it is spent."""
        self.budget -= cost
        if self.budget < 0:
            raise FormatError(
                f"objects share their parts so often that the file would be read more than {VISITS} times; "
                "it is damaged or hostile"
            )

    def scalar(self, form: struct.Struct, position: int) -> Any:
        """The scalar at `position`."""
        if not 0 <= position <= self.size - form.size:
            raise FormatError(f"byte {position} is outside of the file of {self.size} bytes")
        return form.unpack_from(self.content, position)[0]

    def follow(self, position: int) -> int:
        """The position that the reference at `position` leads to."""
        return position + int(self.scalar(U32, position))

    def slots(self, table: int) -> list[int]:
        """The position of each field of the table at position `table`, by slot; 0 for an absent field."""
        vtable = table - int(self.scalar(I32, table))
        self.scalar(U32, vtable)
        vtable_size, table_size = VTABLE_HEADER.unpack_from(self.content, vtable)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > self.size:
            raise FormatError(f"vtable of {vtable_size} bytes at byte {vtable} does not fit the file")
        if table_size < 4 or table + table_size > self.size:
            raise FormatError(f"table of {table_size} bytes at byte {table} does not fit the file")
        self.charge(_OBJECT_COST + vtable_size + table_size)
        offsets = struct.unpack_from(f"<{vtable_size // 2 - 2}H", self.content, vtable + 4)
        if any(offset and not 4 <= offset < table_size for offset in offsets):
            raise FormatError(f"table at byte {table} has a field outside of its {table_size} bytes")
        return [offset and table + offset for offset in offsets]

    def array(self, position: int, dtype: np.dtype[Any]) -> Array:
        """The vector of scalars at `position`, as a read-only view [count] of the file."""
        count = int(self.scalar(U32, position))
        return self.span(position + 4, count * dtype.itemsize).view(dtype)

    def span(self, start: int, size: int) -> Array:
        """The `size` bytes from position `start` on, as a read-only view uint8 [size] of the file."""
        if start < 0 or start + size > self.size:
            raise FormatError(
                f"{size} bytes at byte {start} found, but the file has {self.size} bytes; "
                "it is cut off or damaged"
            )
        self.charge(_OBJECT_COST + size)
        return self.bytes[start : start + size]

    def references(self, position: int) -> list[int]:
        """The positions of the elements of the vector of tables at `position`."""
        offsets = self.array(position, np.dtype("<u4"))
        starts = np.arange(offsets.size, dtype=np.int64) * 4 + (position + 4)
        return [int(target) for target in starts + offsets]

    def string(self, position: int) -> str:
        """The string at `position`, which must be UTF-8."""
        raw = self.array(position, np.dtype("u1"))
        end = position + 4 + raw.size
        if end >= self.size or self.content[end] != 0:
            raise FormatError(f"string at byte {position} does not end with NUL; the file is damaged")
        try:
            return raw.tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"string at byte {position} is not UTF-8; the file is damaged") from error


class Scalar(NamedTuple):
    """A number to be written: its struct code ("i", "f", ...) and its value."""

    code: str
    value: int | float


class Vector(NamedTuple):
    """Scalars to be written: a contiguous little-endian array [count], aligned to `align` bytes."""

    data: Array
    align: int = 1


class String(NamedTuple):
    """A string to be written."""

    text: bytes


class Tables(NamedTuple):
    """A vector of tables to be written."""

    items: Sequence[Table]


class Table(NamedTuple):
    """A table to be written: its present fields by slot."""

    fields: dict[int, Scalar | Vector | String | Tables | Table]


def serialize(root: Table, identifier: bytes) -> list[Chunk]:
    """The file that holds `root`, as chunks to be joined or written one after another.

    Parents stand before their children, equal vtables are written once, large vectors are not copied.
    UnsupportedError if the file would exceed 2 GiB.
    """
    writer = _Writer()
    header = bytearray(8)
    writer.append(header)
    U32.pack_into(header, 0, writer.table(root))
    header[4:8] = identifier
    if writer.size > LARGEST_FILE:
        raise UnsupportedError(f"model of {writer.size} bytes found; FlatBuffers end at {LARGEST_FILE} bytes")
    return writer.chunks


class _Writer:
    """The chunks written so far. Each method appends an object and returns its position."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.size = 0
        self.vtables: dict[bytes, int] = {}

    def append(self, chunk: Chunk, align: int = 1, header: int = 0) -> int:
        """Append `chunk` such that what follows its first `header` bytes stands at a multiple of `align`."""
        padding = -(self.size + header) % align
        if padding:
            self.chunks.append(bytes(padding))
        position = self.size + padding
        self.chunks.append(chunk)
        self.size = position + len(chunk)
        return position

    def table(self, table: Table) -> int:
        # widest first: once the first field is aligned, all of them are, without gaps
        codes = {slot: node.code if isinstance(node, Scalar) else "I" for slot, node in table.fields.items()}
        order = sorted(codes, key=lambda slot: (-struct.calcsize("<" + codes[slot]), slot))
        offsets, size = {}, 4
        for slot in order:
            offsets[slot] = size
            size += struct.calcsize("<" + codes[slot])
        vtable = self.vtable(offsets, size)
        body = bytearray(size)
        widest = struct.calcsize("<" + codes[order[0]]) if order else 1
        position = self.append(body, align=max(4, widest), header=4)
        I32.pack_into(body, 0, position - vtable)
        for slot, node in table.fields.items():
            if isinstance(node, Scalar):
                struct.pack_into("<" + node.code, body, offsets[slot], node.value)
            else:
                U32.pack_into(body, offsets[slot], self.node(node) - position - offsets[slot])
        return position

    def vtable(self, offsets: dict[int, int], table_size: int) -> int:
        slots = [offsets.get(slot, 0) for slot in range(max(offsets, default=-1) + 1)]
        vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), table_size, *slots)
        if vtable not in self.vtables:
            self.vtables[vtable] = self.append(vtable, align=2)
        return self.vtables[vtable]

    def node(self, node: Vector | String | Tables | Table) -> int:
        if isinstance(node, Table):
            return self.table(node)
        if isinstance(node, Tables):
            return self.tables(node.items)
        if isinstance(node, String):
            return self.append(U32.pack(len(node.text)) + node.text + b"\0", align=4)
        return self.vector(node)

    def tables(self, items: Sequence[Table]) -> int:
        body = bytearray(4 + 4 * len(items))
        position = self.append(body, align=4)
        U32.pack_into(body, 0, len(items))
        for start, item in zip(range(4, len(body), 4), items, strict=True):
            U32.pack_into(body, start, self.table(item) - position - start)
        return position

    def vector(self, vector: Vector) -> int:
        data = vector.data
        position = self.append(U32.pack(data.size), align=max(4, data.itemsize, vector.align), header=4)
        if data.size:
            self.append(data.view(np.uint8).data)
        return position
