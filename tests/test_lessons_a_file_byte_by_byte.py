"""The answers of lesson 11 are what the library's reader finds."""

import numpy as np
import pytest

import ptq
from ptq.errors import FormatError
from ptq.format import schema
from ptq.format.flatbuffer import Reader, Scalar, Table, serialize
from ptq.lessons.a_file_byte_by_byte import FIELD, INSIDE, PATCH, ROOT, VECTOR


def answer(exercise):
    return exercise.function(exercise.answer)


def readers():
    contents = [case[0] for case in ROOT.cases]
    builder = ptq.Builder("tiny")
    x = builder.input("x", (1, 4))
    contents.append(ptq.dumps(builder.finish(builder.relu(x, name="y"))))
    return [Reader(content, schema.IDENTIFIER) for content in contents]


@pytest.mark.parametrize("reader", readers())
def test_root_and_fields(reader):
    table, vtable = answer(ROOT)(reader.content)
    assert table == reader.root()
    slots = reader.slots(table)
    assert int.from_bytes(reader.content[vtable : vtable + 2], "little") == 4 + 2 * len(slots)
    assert [answer(FIELD)(reader.content, table, slot) for slot in range(len(slots) + 3)] == [*slots, 0, 0, 0]


@pytest.mark.parametrize(("content", "place"), VECTOR.cases)
def test_a_vector(content, place):
    reader = Reader(content, schema.IDENTIFIER)
    expected = reader.array(reader.follow(place), np.dtype("i1"))
    assert answer(VECTOR)(content, place) == expected.tolist()


@pytest.mark.parametrize(("start", "columns", "row", "column", "value"), PATCH.cases)
def test_one_byte_is_one_weight(start, columns, row, column, value):
    weights = np.zeros((row + 1, columns), np.int8)
    position, byte = answer(PATCH)(start, columns, row, column, value)
    weights.view(np.uint8).reshape(-1)[position - start] = byte
    assert weights[row, column] == value
    assert np.count_nonzero(weights) == 1


@pytest.mark.parametrize(("size", "position", "count", "item"), INSIDE.cases)
def test_inside_is_what_the_reader_accepts(size, position, count, item):
    content = bytearray(b"".join(serialize(Table({0: Scalar("i", 3)}), schema.IDENTIFIER)).ljust(size, b"\0"))
    inside = 0 <= position <= size - 4
    if inside:
        content[position : position + 4] = count.to_bytes(4, "little")
        content[4:8] = schema.IDENTIFIER
    reader = Reader(bytes(content), schema.IDENTIFIER)
    try:
        found = reader.array(position, np.dtype(f"i{item}")).size == count
    except FormatError:
        found = False
    assert answer(INSIDE)(size, position, count, item) == found
