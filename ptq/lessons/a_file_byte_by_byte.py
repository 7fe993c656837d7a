"""Exercises of lesson 11: a `.tflite` file read with `struct` alone, and what a reader must not trust."""

from __future__ import annotations

import struct

import numpy as np

from ptq.format.flatbuffer import Scalar, String, Table, Vector, serialize
from ptq.lessons.exercise import Exercise, Lesson


def _file(*fields: tuple[int, Scalar | String | Vector]) -> bytes:
    return b"".join(serialize(Table(dict(fields)), b"TFL3"))


_SMALLEST = _file((0, Scalar("i", 3)), (3, String(b"hi")))
_INTEGERS = np.array([1, 2, 3, 4, -5, 6, -7, 8], np.int8)
_WEIGHTS = _file((1, Vector(_INTEGERS)), (2, Scalar("b", 9)), (4, Vector(np.array([-128, 127], np.int8), 16)))


def _table(content: bytes) -> int:
    position: int = struct.unpack_from("<I", content, 0)[0]
    return position


ROOT = Exercise(
    title="Where does it begin?",
    question="""
The first four bytes of a file are a little-endian uint32, the position of the root table. A table begins
with an int32: how far *back* its vtable lies (table position - vtable position). Return both positions,
(table, vtable). `struct.unpack_from("<I", content, place)[0]` reads a uint32, "<i" an int32.
""",
    stub="""
def find_root(content):
    table = struct.unpack_from("<I", content, 0)[0]
    return table, table
""",
    answer="""
def find_root(content):
    table = struct.unpack_from("<I", content, 0)[0]
    return table, table - struct.unpack_from("<i", content, table)[0]
""",
    hints=["The table is right. Read the int32 that stands where it begins.", "vtable = table - distance."],
    cases=[(_SMALLEST,), (_WEIGHTS,)],
    setup={"struct": struct},
    unit="bytes",
)

FIELD = Exercise(
    title="A field, or none.",
    question="""
Return the position of the field `slot` of the table at position `table`, or 0 if it is absent. The vtable
is made of uint16 ("<H"): its own size in bytes, the size of the table, then for each slot the field's
distance from the table's start. A distance of 0 means absent. A vtable may also end before the slot:
files of older writers are shorter. Then the field is absent, too.
""",
    stub="""
def find_field(content, table, slot):
    vtable = table - struct.unpack_from("<i", content, table)[0]
    return table + struct.unpack_from("<H", content, vtable + 4 + 2 * slot)[0]
""",
    answer="""
def find_field(content, table, slot):
    vtable = table - struct.unpack_from("<i", content, table)[0]
    size = struct.unpack_from("<H", content, vtable)[0]
    if 4 + 2 * slot >= size:
        return 0
    distance = struct.unpack_from("<H", content, vtable + 4 + 2 * slot)[0]
    return table + distance if distance else 0
""",
    hints=[
        "Two cases are missing: a distance of 0, and a slot that lies behind the end of the vtable.",
        "A slot exists only if 4 + 2 * slot is less than the size of the vtable.",
    ],
    cases=[(content, _table(content), slot) for content in (_SMALLEST, _WEIGHTS) for slot in range(7)],
    setup={"struct": struct},
    unit="bytes",
)

VECTOR = Exercise(
    title="A vector of weights.",
    question="""
At position `place` stands a reference: a uint32 that leads *forward*, counted from `place` itself, to a
vector. A vector is a uint32, how many elements, and then the elements. Return these, int8, as a list of
ints.
""",
    stub="""
def int8_vector(content, place):
    start = place + struct.unpack_from("<I", content, place)[0]
    return list(content[start : start + 8])
""",
    answer="""
def int8_vector(content, place):
    start = place + struct.unpack_from("<I", content, place)[0]
    count = struct.unpack_from("<I", content, start)[0]
    return list(struct.unpack_from(f"<{count}b", content, start + 4))
""",
    hints=[
        "The elements begin four bytes behind the start of the vector.",
        'struct knows signed bytes as "b": f"<{count}b" reads count of them.',
    ],
    cases=[(_WEIGHTS, _table(_WEIGHTS) + place) for place in (4, 8)],
    setup={"struct": struct},
)

PATCH = Exercise(
    title="Change one weight.",
    question="""
An int8 matrix with so many columns lies in a file, row after row, its first element at position `start`.
Weight [row, column] shall become `value`, -128 ... 127. Return the position of the byte to be changed,
and the byte, 0 ... 255.
""",
    stub="""
def patch(start, columns, row, column, value):
    return start + row + column, value
""",
    answer="""
def patch(start, columns, row, column, value):
    return start + row * columns + column, value % 256
""",
    hints=[
        "Before a row lie `row` whole rows.",
        "A negative int8 v is stored as the byte 256 + v (two's complement).",
    ],
    cases=[(512, 4, 0, 0, 5), (512, 4, 1, 2, -7), (300, 16, 7, 15, -128), (44, 3, 2, 0, 127)],
    unit="bytes",
)

INSIDE = Exercise(
    title="Trust nothing.",
    question="""
A file has `size` bytes. A reference in it has led to `position`, where a vector is said to begin: a
uint32 count, then `count` elements of `item` bytes each. You have read the count, if there was one.
Return whether the whole vector lies inside of the file. Everything may be a lie: position may be beyond
the end or negative, count may be four billion.
""",
    stub="""
def is_inside(size, position, count, item):
    return position + count < size
""",
    answer="""
def is_inside(size, position, count, item):
    return 0 <= position and position + 4 + count * item <= size
""",
    hints=[
        "The count itself has four bytes, and the last byte of a vector may be the last byte of the file.",
        "Python's integers do not overflow. In C the product has to be computed in 64 bits.",
    ],
    cases=[
        (100, 50, 46, 1), (100, 50, 47, 1), (100, 96, 0, 4), (100, 97, 0, 4), (100, -4, 2, 1),
        (100, 200, 0, 1), (100, 8, 2**32 - 1, 8), (100, 60, 9, 4), (100, 60, 10, 4),
    ],
    unit="0 or 1",
)  # fmt: skip

lesson = Lesson(11, "Where in the file are my weights?", [ROOT, FIELD, VECTOR, PATCH, INSIDE])
