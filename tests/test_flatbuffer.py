"""The wire format against bytes worked out by hand, and against the official FlatBuffers package."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptq.errors import FormatError, UnsupportedError
from ptq.format import flatbuffer
from ptq.format.flatbuffer import Reader, Scalar, String, Table, Tables, Vector, serialize

SCALARS = {
    "?": st.booleans(),
    "b": st.integers(-128, 127),
    "B": st.integers(0, 255),
    "h": st.integers(-(2**15), 2**15 - 1),
    "H": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(0, 2**32 - 1),
    "q": st.integers(-(2**63), 2**63 - 1),
    "Q": st.integers(0, 2**64 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(allow_nan=False),
}

# A table with slot 0 = int8 7, slot 1 absent, slot 2 = string "hi", worked out from the format's description
BY_HAND = bytes.fromhex(
    "14000000"  # 0: the root table stands at 20
    "54455354"  # 4: identifier "TEST"
    "0a000900"  # 8: vtable of 10 bytes, for a table of 9 bytes
    "0800 0000 0400"  # 12: slot 0 at 8, slot 1 absent, slot 2 at 4
    "0000"  # 18: padding
    "0c000000"  # 20: the table: its vtable stands 12 bytes before
    "08000000"  # 24: slot 2: the string stands at 24 + 8
    "07"  # 28: slot 0
    "000000"  # 29: padding
    "02000000"  # 32: a string of 2 bytes
    "686900"  # 36: "hi" and NUL
)


def write(table, identifier=b"TEST"):
    return b"".join(serialize(table, identifier))


def test_the_writer_gives_the_bytes_worked_out_by_hand():
    assert write(Table({0: Scalar("b", 7), 2: String(b"hi")})) == BY_HAND


def test_the_reader_finds_the_fields_worked_out_by_hand():
    reader = Reader(BY_HAND, b"TEST")
    assert reader.root() == 20
    slots = reader.slots(20)
    assert slots == [28, 0, 24]
    assert reader.scalar(struct.Struct("<b"), slots[0]) == 7
    assert reader.string(reader.follow(slots[2])) == "hi"


@pytest.mark.parametrize(
    ("start", "patch", "message"),
    [
        (0, "ffffffff", "outside of the file"),
        (0, "26000000", "outside of the file"),
        (4, "54455355", "identifier"),
        (20, "ffffff7f", "outside of the file"),
        (20, "00000080", "outside of the file"),
        (8, "0b00", "vtable of 11 bytes"),
        (8, "0200", "vtable of 2 bytes"),
        (8, "feff", "vtable of 65534 bytes"),
        (10, "0300", "table of 3 bytes"),
        (10, "ffff", "table of 65535 bytes"),
        (12, "0900", "outside of its 9 bytes"),
        (12, "0300", "outside of its 9 bytes"),
        (24, "ffffffff", "outside of the file"),
        (32, "ffffffff", "4294967295 bytes"),
        (32, "03000000", "NUL"),
        (32, "01000000", "NUL"),
        (36, "ff", "UTF-8"),
    ],
)
def test_a_wrong_byte_is_a_format_error_that_says_what_is_wrong(start, patch, message):
    damaged = bytearray(BY_HAND)
    damaged[start : start + len(patch) // 2] = bytes.fromhex(patch)
    with pytest.raises(FormatError, match=message):
        reader = Reader(bytes(damaged), b"TEST")
        slots = reader.slots(reader.root())
        reader.scalar(struct.Struct("<b"), slots[0])
        reader.string(reader.follow(slots[2]))


@pytest.mark.parametrize("size", range(len(BY_HAND)))
def test_every_truncation_is_a_format_error(size):
    with pytest.raises(FormatError):
        reader = Reader(BY_HAND[:size], b"TEST")
        reader.string(reader.follow(reader.slots(reader.root())[2]))


def test_equal_vtables_are_written_once():
    tables = [Table({0: Scalar("i", i), 3: Scalar("q", -i)}) for i in range(50)]
    content = write(Table({0: Tables(tables)}))
    reader = Reader(content, b"TEST")
    positions = reader.references(reader.follow(reader.slots(reader.root())[0]))
    vtables = {position - struct.unpack_from("<i", content, position)[0] for position in positions}
    assert len(positions) == 50
    assert len(vtables) == 1
    values = [reader.scalar(struct.Struct("<q"), reader.slots(position)[3]) for position in positions]
    assert values == [-i for i in range(50)]


def test_shared_parts_are_read_but_endless_sharing_is_refused():
    # one leaf table, named 2,000 times by one vector, and that vector by each of 2,000 tables
    leaf_vtable = struct.pack("<HH", 4, 4)
    content = bytearray(struct.pack("<I4s", 0, b"TEST") + leaf_vtable)
    leaf = len(content)
    content += struct.pack("<i", leaf - 8)
    vector = len(content)
    content += struct.pack("<I", 2000)
    content += (
        np.array([2**32 + leaf - vector - 4 - 4 * i for i in range(2000)], np.uint64).astype("<u4").tobytes()
    )
    # references only lead forward, so the leaf before its vector is refused ...
    with pytest.raises(FormatError, match="outside of the file"):
        reader = Reader(bytes(content), b"TEST")
        for position in reader.references(vector):
            reader.slots(position)
    # ... and with the leaf behind it, it may be read some times, but not without end
    behind = len(content)
    content[vector + 4 : behind] = np.array(
        [behind + 4 - vector - 4 - 4 * i for i in range(2000)], "<u4"
    ).tobytes()
    content += leaf_vtable + struct.pack("<i", 4)
    reader = Reader(bytes(content), b"TEST")
    visits = 0
    with pytest.raises(FormatError, match="share"):
        for _ in range(2000):
            for position in reader.references(vector):
                reader.slots(position)
                visits += 1
    assert 2000 <= visits <= len(content) * flatbuffer.VISITS / 12


def test_the_same_vector_is_not_read_without_end():
    content = write(Table({0: Vector(np.zeros(1000, np.uint8))}))
    reader = Reader(content, b"TEST")
    position = reader.follow(reader.slots(reader.root())[0])
    reads = 0
    with pytest.raises(FormatError, match="share"):
        while reads < 100:
            reader.array(position, np.dtype("u1"))
            reads += 1
    assert flatbuffer.VISITS <= reads <= flatbuffer.VISITS + 5


def test_files_above_two_gigabytes_are_refused(monkeypatch):
    monkeypatch.setattr(flatbuffer, "LARGEST_FILE", 1000)
    write(Table({0: Vector(np.zeros(900, np.uint8))}))
    with pytest.raises(UnsupportedError, match="1000 bytes"):
        write(Table({0: Vector(np.zeros(1000, np.uint8))}))


@given(
    st.lists(st.sampled_from(sorted(SCALARS)).flatmap(lambda code: st.tuples(st.just(code), SCALARS[code]))),
    st.lists(st.integers(0, 3), min_size=40, max_size=40),
)
def test_scalars_come_back_and_stand_at_multiples_of_their_size(values, gaps):
    slots = np.cumsum([gap + 1 for gap in gaps]).tolist()
    values = dict(zip(slots, values, strict=False))
    content = write(Table({slot: Scalar(code, value) for slot, (code, value) in values.items()}))
    reader = Reader(content, b"TEST")
    found = reader.slots(reader.root())
    for slot, (code, value) in values.items():
        form = struct.Struct("<" + code)
        assert found[slot] % form.size == 0
        assert struct.pack("<" + code, reader.scalar(form, found[slot])) == struct.pack("<" + code, value)
    assert sum(position > 0 for position in found) == len(values)


@given(
    st.sampled_from("bBhHiIqQfd"),
    st.integers(0, 50),
    st.sampled_from([1, 4, 16]),
    st.lists(st.binary(max_size=9), max_size=4),
)
def test_vectors_come_back_aligned(code, count, align, strings):
    array = np.arange(count).astype("<" + code)
    nodes = {i: String(text.hex().encode()) for i, text in enumerate(strings)}
    content = write(Table({**nodes, len(nodes): Vector(array, align)}))
    reader = Reader(content, b"TEST")
    position = reader.follow(reader.slots(reader.root())[len(nodes)])
    assert position % 4 == 0
    assert (position + 4) % max(array.itemsize, align) == 0
    found = reader.array(position, array.dtype)
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()
    assert not found.flags.writeable
    for i, text in enumerate(strings):
        assert reader.string(reader.follow(reader.slots(reader.root())[i])) == text.hex()


@pytest.mark.peers
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.text(max_size=8),
    st.floats(width=32, allow_nan=False),
    st.integers(-128, 127),
)
def test_the_official_package_reads_what_the_writer_wrote(longs, text, real, small):
    table_module = pytest.importorskip("flatbuffers.table")
    from flatbuffers import encode, number_types, packer

    inner = Table({1: Scalar("b", small)})
    content = write(
        Table({
            0: Vector(np.array(longs, "<i8")), 2: String(text.encode()),
            3: Scalar("f", real), 5: Tables([inner, inner]),
        })
    )  # fmt: skip
    root = table_module.Table(content, encode.Get(packer.uoffset, content, 0))
    vector = root.Offset(4)
    assert root.VectorLen(vector) == len(longs)
    start = root.Vector(vector)
    assert [root.Get(number_types.Int64Flags, start + 8 * i) for i in range(len(longs))] == longs
    assert root.Offset(6) == 0
    assert root.String(root.Offset(8) + root.Pos).decode() == text
    assert root.Get(number_types.Float32Flags, root.Offset(10) + root.Pos) == real
    assert root.VectorLen(root.Offset(14)) == 2
    for i in range(2):
        child = table_module.Table(content, root.Indirect(root.Vector(root.Offset(14)) + 4 * i))
        assert child.Offset(4) == 0
        assert child.Get(number_types.Int8Flags, child.Offset(6) + child.Pos) == small


@pytest.mark.peers
def test_the_reader_reads_what_the_official_package_wrote():
    flatbuffers = pytest.importorskip("flatbuffers")
    builder = flatbuffers.Builder(0)
    name = builder.CreateString("näme")
    numbers = builder.CreateNumpyVector(np.array([1.5, -2.0]))
    children = []
    for value in (3, 4):
        builder.StartObject(2)
        builder.PrependInt16Slot(1, value, 0)
        children.append(builder.EndObject())
    builder.StartVector(4, 2, 4)
    for child in reversed(children):
        builder.PrependUOffsetTRelative(child)
    vector = builder.EndVector()
    builder.StartObject(4)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUOffsetTRelativeSlot(1, numbers, 0)
    builder.PrependUOffsetTRelativeSlot(3, vector, 0)
    builder.Finish(builder.EndObject(), b"TEST")

    reader = Reader(bytes(builder.Output()), b"TEST")
    slots = reader.slots(reader.root())
    assert reader.string(reader.follow(slots[0])) == "näme"
    assert reader.array(reader.follow(slots[1]), np.dtype("<f8")).tolist() == [1.5, -2.0]
    assert slots[2] == 0
    tables = [reader.slots(position) for position in reader.references(reader.follow(slots[3]))]
    assert [reader.scalar(struct.Struct("<h"), table[1]) for table in tables] == [3, 4]
