"""The protobuf wire format: a reader that trusts no length. Nothing of TensorFlow is known here.

A message is a row of fields, each a tag and a value; the tag is a varint, [field number] × 8 + [wire type]:
  0  varint: 7 bits a byte, lowest first, the top bit says that more follow; at most 10 bytes
  1  eight bytes, little endian          5  four bytes, little endian
  2  varint length, then so many bytes: a string, bytes, another message, or packed numbers
  3, 4  groups, which TensorFlow's files never have: refused
Nothing in the bytes says what a field means; a table does (`tables`), and fields it lacks are skipped, so
that a newer writer's file can still be read.
Source: Protocol Buffers' "Encoding" page; checked against its official Python package in the tests.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ptq.errors import FormatError

Bytes = bytes | memoryview

DEEPEST = 100
"""How many messages may stand inside each other: protobuf's own limit."""

VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5
_FIXED = {"float": struct.Struct("<f"), "double": struct.Struct("<d"), "fixed32": struct.Struct("<I")}
_WIRE_TYPE = {
    "int": VARINT, "int32": VARINT, "uint": VARINT, "bool": VARINT,
    "double": EIGHT_BYTES, "float": FOUR_BYTES, "fixed32": FOUR_BYTES,
}  # fmt: skip
_DEFAULT = {"float": 0.0, "double": 0.0, "bool": False, "string": "", "bytes": memoryview(b"")}


class Field(NamedTuple):
    """What a table says of a field. kind: a scalar's name, or the name of a message of the same tables."""

    name: str
    kind: str
    repeated: bool
    is_map: bool


class Message(dict[str, Any]):
    """The fields that a message has, by name; asking for one that it lacks gives the default.

    Defaults: 0, 0.0, False, "", no bytes, an empty message; an empty list or dict where it is repeated.
    """

    __slots__ = ("spec", "tables")

    def __init__(self, tables: Tables, spec: str) -> None:
        super().__init__()
        self.tables, self.spec = tables, spec

    def __missing__(self, name: str) -> Any:
        field = self.tables.by_name[self.spec][name]
        if field.repeated:
            return {} if field.is_map else []
        if field.kind in self.tables.by_number:
            return Message(self.tables, field.kind)
        return _DEFAULT.get(field.kind, 0)


class Tables(NamedTuple):
    """The fields of each message, by the message's name and then by number or by name."""

    by_number: Mapping[str, Mapping[int, Field]]
    by_name: Mapping[str, Mapping[str, Field]]


def tables(text: str) -> Tables:
    """Tables from lines `Message = name:kind@number ...`; a kind in [] is repeated, in {} a map by string.

    Kinds: int (64 bits, signed; also enums), int32, uint, bool, float, double, fixed32, string, bytes, or a
    message of these tables. A map {kind} stands for the entries that protobuf writes: key 1, value 2.
    """
    by_number: dict[str, dict[int, Field]] = {}
    words = text.split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if following == "=":
            fields = by_number.setdefault(word, {})
        elif word != "=":
            name, _, rest = word.partition(":")
            kind, _, number = rest.partition("@")
            if kind[0] == "{":
                value = Field("value", kind[1:-1], False, False)
                by_number[kind] = {1: Field("key", "string", False, False), 2: value}
                fields[int(number)] = Field(name, kind, True, True)
            else:
                fields[int(number)] = Field(name, kind.strip("[]"), kind[0] == "[", False)
    by_name = {
        message: {field.name: field for field in fields.values()} for message, fields in by_number.items()
    }
    return Tables(by_number, by_name)


def decode(spec: Tables, message: str, data: Bytes) -> Message:
    """The fields of `data`, which should be the message of that name; FormatError for anything wrong.

    Strings are str (UTF-8 is checked), bytes are views of `data`, repeated fields lists, maps dicts. A scalar
    that stands twice has its last value, a message that stands twice both values merged, as in protobuf.
    """
    view = memoryview(data).toreadonly()
    result = Message(spec, message)
    _fill(result, view, 0, len(view), DEEPEST)
    return result


def varint(data: Bytes, position: int, end: int) -> tuple[int, int]:
    """The unsigned number at `position`, and the position after it; it must end before `end`."""
    if position < end and data[position] < 0x80:  # most numbers
        return data[position], position + 1
    value = shift = 0
    for place in range(position, min(end, position + 10)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 2**64:
            return value, place + 1
        if byte < 0x80:
            break
        shift += 7
    found = "is cut off" if end - position < 10 else "has more than 64 bits"
    raise FormatError(f"the number at byte {position} {found}; the file is damaged")


def _extent(view: memoryview, tag: int, position: int, end: int) -> tuple[int, int, int]:
    """Where the value of a field starts and stops, and a varint's number."""
    if not 8 <= tag < 2**32:
        raise FormatError(f"tag {tag} found before byte {position}, which is no field; the file is damaged")
    wire_type = tag & 7
    if wire_type == VARINT:
        number, stop = varint(view, position, end)
        return position, stop, number
    if wire_type == DELIMITED:
        size, position = varint(view, position, end)
    elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
        size = 8 if wire_type == EIGHT_BYTES else 4
    else:
        raise FormatError(
            f"wire type {wire_type} found before byte {position}, expected 0, 1, 2 or 5; "
            "the file is damaged or no protobuf message"
        )
    if size > end - position:
        raise FormatError(
            f"field {tag >> 3} of {size} bytes found at byte {position}, but {end - position} are left; "
            "the file is cut off or damaged"
        )
    return position, position + size, 0


def _fill(message: Message, view: memoryview, position: int, end: int, depth: int) -> None:
    """Read the fields between two positions into `message`."""
    if not depth:
        raise FormatError(f"more than {DEEPEST} messages inside each other found; the file is damaged")
    known = message.tables.by_number[message.spec]
    while position < end:
        tag, position = varint(view, position, end)
        start, stop, number = _extent(view, tag, position, end)
        position = stop
        field = known.get(tag >> 3)
        if field is None:
            continue
        name, kind = field.name, field.kind
        if field.is_map:
            entry = _value(message, field, tag & 7, number, view, start, stop, depth, None)
            message.setdefault(name, {})[entry["key"]] = entry["value"]
        elif field.repeated:
            items = message.setdefault(name, [])
            if tag & 7 == DELIMITED and kind in _WIRE_TYPE:
                items.extend(_packed(kind, view, start, stop))
            else:
                items.append(_value(message, field, tag & 7, number, view, start, stop, depth, None))
        else:
            before = message.get(name)
            message[name] = _value(message, field, tag & 7, number, view, start, stop, depth, before)


def _value(
    parent: Message, field: Field, wire_type: int, number: int,
    view: memoryview, start: int, stop: int, depth: int, before: Any,
) -> Any:  # fmt: skip
    """One value of a field; a message is read into the one that stood `before`."""
    kind = field.kind
    expected = _WIRE_TYPE.get(kind, DELIMITED)
    if wire_type != expected:
        raise FormatError(
            f"field '{field.name}' of {parent.spec} before byte {stop} has wire type {wire_type}, "
            f"expected {expected}; the file is damaged"
        )
    if expected == VARINT:
        return _number(kind, number)
    if kind in _FIXED:
        return _FIXED[kind].unpack_from(view, start)[0]
    if kind == "bytes":
        return view[start:stop]
    if kind == "string":
        return _text(view, start, stop)
    child = before if before is not None else Message(parent.tables, kind)
    _fill(child, view, start, stop, depth - 1)
    return child


def _text(view: memoryview, start: int, stop: int) -> str:
    try:
        return str(view[start:stop], "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"string at byte {start} is not UTF-8; the file is damaged") from error


def _packed(kind: str, view: memoryview, start: int, stop: int) -> Iterator[Any]:
    """The numbers of a packed field."""
    if kind in _FIXED:
        size = _FIXED[kind].size
        if (stop - start) % size:
            raise FormatError(
                f"{stop - start} bytes of numbers found at byte {start}, expected a multiple of {size}; "
                "the file is damaged"
            )
        yield from (value for (value,) in _FIXED[kind].iter_unpack(view[start:stop]))
        return
    while start < stop:
        number, start = varint(view, start, stop)
        yield _number(kind, number)


def _number(kind: str, value: int) -> int | bool:
    """A varint as the number of its kind: int32 keeps the lowest 32 bits, as protobuf does."""
    if kind == "bool":
        return value != 0
    if kind == "uint":
        return value
    bits = 32 if kind == "int32" else 64
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
