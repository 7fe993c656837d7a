"""Protobuf's wire format: bytes written down by hand, and the same messages read by protobuf itself."""

import random

import pytest

from ptq.errors import FormatError
from ptq.saved_model import wire

TABLES = wire.tables("""
    Point = x:int@1 y:int32@2 far:uint@3 seen:bool@4 ratio:float@5 exact:double@6 bits:fixed32@7
        name:string@8 raw:bytes@9 inner:Point@10 many:[Point]@11 numbers:[int]@12 ratios:[float]@13
        by_name:{Point}@14 words:[string]@15
""")


def read(text):
    return wire.decode(TABLES, "Point", bytes.fromhex(text))


@pytest.mark.parametrize(
    "text, field, value",
    [
        ("08 96 01", "x", 150),  # the example of protobuf's own page
        ("08 ff ff ff ff ff ff ff ff ff 01", "x", -1),
        ("08 80 80 80 80 80 80 80 80 80 01", "x", -(2**63)),
        ("10 ff ff ff ff ff ff ff ff ff 01", "y", -1),
        ("10 ff ff ff ff 0f", "y", -1),
        ("10 80 80 80 80 10", "y", 0),  # 2^32: int32 keeps the lowest 32 bits
        ("18 ff ff ff ff ff ff ff ff ff 01", "far", 2**64 - 1),
        ("20 02", "seen", True),
        ("2d 00 00 c0 3f", "ratio", 1.5),
        ("31 00 00 00 00 00 00 f8 bf", "exact", -1.5),
        ("3d 01 00 00 80", "bits", 0x80000001),
        ("42 03 c3 a9 21", "name", "é!"),
        ("4a 02 ff 00", "raw", b"\xff\x00"),
        ("52 02 08 05", "inner", {"x": 5}),
        ("5a 02 08 05 5a 00", "many", [{"x": 5}, {}]),
        ("62 03 01 96 01 60 07", "numbers", [1, 150, 7]),  # packed and plain, mixed
        ("6a 04 00 00 c0 3f 6d 00 00 80 3f", "ratios", [1.5, 1.0]),
        ("72 07 0a 01 61 12 02 08 05 72 03 0a 01 62", "by_name", {"a": {"x": 5}, "b": {}}),
        ("7a 01 61 7a 00", "words", ["a", ""]),
        ("08 01 08 02", "x", 2),  # the last one counts
        ("52 02 08 05 52 02 10 06", "inner", {"x": 5, "y": 6}),  # messages are merged
    ],
)
def test_values(text, field, value):
    assert read(text)[field] == value


def test_what_is_absent_has_its_default():
    message = read("")
    assert message == {} and "x" not in message
    names = ["x", "seen", "ratio", "name", "inner", "many", "by_name"]
    assert [message[name] for name in names] == [0, False, 0.0, "", {}, [], {}]
    assert message["raw"] == b"" and message["inner"]["inner"]["x"] == 0


def test_unknown_fields_of_every_type_are_skipped():
    assert read("80 02 05 81 02 0102030405060708 82 02 01 ff 85 02 01020304 08 07") == {"x": 7}


@pytest.mark.parametrize(
    "text, says",
    [
        ("08", "number at byte 1 is cut off"),
        ("08 80", "number at byte 1 is cut off"),
        ("08 ff ff ff ff ff ff ff ff ff 02", "more than 64 bits"),
        ("08 ff ff ff ff ff ff ff ff ff ff 01", "more than 64 bits"),
        ("42 05 61", "5 bytes found at byte 2, but 1 are left"),
        ("42 ff ff ff ff ff ff ff ff ff 01", "but 0 are left"),
        ("2d 00 00", "4 bytes found at byte 1, but 2 are left"),
        ("0b 0c", "wire type 3"),
        ("0c", "wire type 4"),
        ("0e 00", "wire type 6"),
        ("00 00", "no field"),
        ("88 80 80 80 80 10 00", "no field"),
        ("0a 00", "field 'x' of Point .* has wire type 2, expected 0"),
        ("50 00", "field 'inner' of Point .* has wire type 0, expected 2"),
        ("70 00", "field 'by_name' of Point .* has wire type 0, expected 2"),
        ("42 01 ff", "not UTF-8"),
        ("6a 03 00 00 00", "expected a multiple of 4"),
        ("62 01 80", "cut off"),
        ("52 02 08 80 01", "cut off"),  # the inner message ends before its number does
    ],
)
def test_damage_is_named(text, says):
    with pytest.raises(FormatError, match=says):
        read(text)


def nested(levels):
    data = b""
    for _ in range(levels):
        size = bytes([len(data) & 0x7F | 0x80, len(data) >> 7]) if len(data) > 127 else bytes([len(data)])
        data = b"\x52" + size + data
    return data


def test_depth_is_bounded():
    wire.decode(TABLES, "Point", nested(wire.DEEPEST - 1))
    with pytest.raises(FormatError, match="inside each other"):
        wire.decode(TABLES, "Point", nested(wire.DEEPEST))


def test_bytes_are_views_of_what_was_read():
    data = bytes.fromhex("4a 02 ff 00")
    raw = wire.decode(TABLES, "Point", data)["raw"]
    assert isinstance(raw, memoryview) and raw.obj is data and raw.readonly


def test_random_bytes_give_a_message_or_a_format_error():
    draw = random.Random(1)
    outcomes = set()
    for _ in range(5000):
        try:
            wire.decode(TABLES, "Point", draw.randbytes(draw.randrange(12)))
            outcomes.add("message")
        except FormatError:
            outcomes.add("error")
    assert outcomes == {"message", "error"}

