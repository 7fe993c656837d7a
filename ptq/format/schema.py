"""TFLite's schema at work: tables of a file to dictionaries and back, driven by the facts in `schema_tables`.

A decoded table is a dictionary of the fields that are present in the file, by name:
  numbers -> int, float, bool; enums -> the name of the value ("SAME"); strings -> str;
  tables -> a dictionary; unions -> (name of the table, dictionary);
  vectors of tables -> a list of dictionaries; vectors of enums -> a list of names;
  vectors of numbers -> an array (a view of the file).
Presence is kept, even of a field that is written although it equals its default, so that
`decode(encode(x)) == x`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, GraphError
from ptq.format import flatbuffer, schema_tables

Array = npt.NDArray[Any]

IDENTIFIER = b"TFL3"

_TAG = struct.Struct("B")

CODES = {
    "bool": "?", "byte": "b", "ubyte": "B", "short": "h", "ushort": "H", "int": "i", "int32": "i",
    "uint": "I", "long": "q", "ulong": "Q", "float": "f", "double": "d",
}  # fmt: skip
"""The schema's number types as struct codes."""


@dataclass(frozen=True)
class Field:
    """A field of a table: its first slot, what it holds, and the default of a number or enum.

    kind: "number", "enum", "string", "table", "union", or the same in brackets for vectors.
    type: the schema's name of the number type, enum, table or union.
    """

    name: str
    slot: int
    kind: str
    type: str
    form: struct.Struct
    default: Any
    align: int


def _entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """The `name = item item ...` entries of a text of `schema_tables`; an indented line continues one."""
    for entry in text.strip().replace("\n    ", " ").splitlines():
        head, *items = entry.split()
        yield head, items[1:]


UNIONS = dict(_entries(schema_tables.UNIONS))
ENUMS = {head.split(":")[0]: values for head, values in _entries(schema_tables.ENUMS)}
ENUM_CODES = {head.split(":")[0]: CODES[head.split(":")[1]] for head, _ in _entries(schema_tables.ENUMS)}
ENUM_VALUES = {enum: {name: i for i, name in enumerate(names)} for enum, names in ENUMS.items()}


def _number(text: str, type_: str) -> int | float:
    if type_ == "bool":
        return text == "true"
    return float(text or 0) if type_ in ("float", "double") else int(text or 0)


def _field(text: str, slot: int) -> Field:
    name, rest = text.split(":")
    rest, _, align = rest.partition("@")
    rest, _, default = rest.partition("=")
    type_ = rest.strip("[]")
    if type_ in CODES:
        kind, code = "number", CODES[type_]
        value: Any = _number(default, type_)
    elif type_ in ENUMS:
        kind, code, value = "enum", ENUM_CODES[type_], default or ENUMS[type_][0]
    else:
        kind = "string" if type_ == "string" else "union" if type_ in UNIONS else "table"
        code, value = "I", None
    if rest.startswith("["):
        kind, value = f"[{kind}]", None
    return Field(name, slot, kind, type_, struct.Struct("<" + code), value, int(align or 1))


def _table(items: list[str]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    slot = 0
    for item in items:
        field = _field(item, slot)
        fields[field.name] = field
        slot += 2 if field.kind == "union" else 1
    return fields


TABLES: dict[str, dict[str, Field]] = {
    name: _table(items)
    for text in (schema_tables.MODEL_TABLES, schema_tables.OPTIONS_TABLES)
    for name, items in _entries(text)
}
TABLES.update({name: {} for name in schema_tables.EMPTY_TABLES.split()})

WIDTHS = {
    name: sum(2 if field.kind == "union" else 1 for field in fields.values())
    for name, fields in TABLES.items()
}
"""The number of slots of each table."""


def defaults(table: str) -> dict[str, Any]:
    """Every field of `table` with the schema's default; None for vectors, strings and tables."""
    return {field.name: field.default for field in TABLES[table].values()}


def without_defaults(table: str, values: dict[str, Any]) -> dict[str, Any]:
    """`values` without the fields that are None or equal to their default, which a reader fills in."""
    fields = TABLES[table]
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (name in fields and _is_default(fields[name].default, value))
    }


def _is_default(default: Any, value: Any) -> bool:
    if default is None or isinstance(value, np.ndarray) or default != value:
        return False
    # equal, but -0.0 is not 0.0
    return not isinstance(value, float) or math.copysign(1, value) == math.copysign(1, default)


def decode(reader: flatbuffer.Reader, table: str = "Model") -> dict[str, Any]:
    """The root table of a file as a dictionary; FormatError names the field where the file is wrong."""
    path: list[str] = [table]
    try:
        return _decode_table(reader, table, reader.root(), path)
    except FormatError as error:
        raise FormatError(f"{'.'.join(path)}: {error}") from error


def _decode_table(reader: flatbuffer.Reader, table: str, position: int, path: list[str]) -> dict[str, Any]:
    slots = reader.slots(position)
    width = WIDTHS[table]
    for slot, start in enumerate(slots[width:], width):
        if start:
            raise FormatError(
                f"table {table} has a field in slot {slot}, which the schema does not know (it ends at slot "
                f"{width - 1}); the file is damaged or needs a newer version of ptq"
            )
    slots += [0] * (width - len(slots))
    values: dict[str, Any] = {}
    for field in TABLES[table].values():
        path.append(field.name)
        if field.kind == "union":
            _decode_union(reader, field, slots, values, path)
        elif slots[field.slot]:
            values[field.name] = _decode_field(reader, field, slots[field.slot], path)
        path.pop()
    return values


def _decode_field(reader: flatbuffer.Reader, field: Field, position: int, path: list[str]) -> Any:
    if field.kind == "number":
        return reader.scalar(field.form, position)
    if field.kind == "enum":
        return _enum_name(field.type, reader.scalar(field.form, position))
    target = reader.follow(position)
    if field.kind == "string":
        return reader.string(target)
    if field.kind == "table":
        return _decode_table(reader, field.type, target, path)
    if field.kind == "[table]":
        return _decode_tables(reader, field, target, path)
    array = reader.array(target, _dtype(field))
    if field.kind == "[enum]":
        return [_enum_name(field.type, value) for value in array.tolist()]
    return array


def _decode_tables(
    reader: flatbuffer.Reader, field: Field, position: int, path: list[str]
) -> list[dict[str, Any]]:
    tables = []
    for index, target in enumerate(reader.references(position)):
        path[-1] = f"{field.name}[{index}]"
        tables.append(_decode_table(reader, field.type, target, path))
    return tables


def _decode_union(
    reader: flatbuffer.Reader, field: Field, slots: list[int], values: dict[str, Any], path: list[str]
) -> None:
    tag_at, value_at = slots[field.slot : field.slot + 2]
    tag = reader.scalar(_TAG, tag_at) if tag_at else 0
    members = UNIONS[field.type]
    if tag >= len(members):
        raise FormatError(
            f"tag {tag} of union {field.type} found, expected at most {len(members) - 1}; "
            "the file is damaged or needs a newer version of ptq"
        )
    if tag == 0 and value_at:
        raise FormatError(f"a value of union {field.type} without its tag; the file is damaged")
    if tag:
        # a tag without a table is legal and stands for a table of defaults
        body = _decode_table(reader, members[tag], reader.follow(value_at), path) if value_at else {}
        values[field.name] = (members[tag], body)


def _enum_name(enum: str, value: int) -> str:
    if not 0 <= value < len(ENUMS[enum]):
        raise FormatError(
            f"{enum} {value} found, expected 0 to {len(ENUMS[enum]) - 1}; "
            "the file is damaged or needs a newer version of ptq"
        )
    return ENUMS[enum][value]


def _dtype(field: Field) -> np.dtype[Any]:
    return np.dtype(field.form.format)


def encode(table: str, values: dict[str, Any]) -> flatbuffer.Table:
    """The dictionary `values` as a table to be written; GraphError for what the schema does not hold.

    None stands for an absent field.
    """
    fields = TABLES[table]
    unknown = ", ".join(f"'{name}'" for name in values if name not in fields)
    if unknown:
        raise GraphError(f"{table} has no field {unknown}; expected {', '.join(fields) or 'no fields'}")
    nodes: dict[int, Any] = {}
    for name, field in fields.items():
        value = values.get(name)
        if value is None:
            continue
        try:
            if field.kind == "union":
                nodes[field.slot] = flatbuffer.Scalar("B", UNIONS[field.type].index(value[0]))
                nodes[field.slot + 1] = encode(*value)
            else:
                nodes[field.slot] = _encode_field(field, value)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, struct.error) as error:
            raise GraphError(f"{table}.{name}: {value!r:.80} found, which is no {field.type}") from error
    return flatbuffer.Table(nodes)


def _encode_field(field: Field, value: Any) -> Any:
    if field.kind == "enum":
        return flatbuffer.Scalar(field.form.format[1:], ENUM_VALUES[field.type][value])
    if field.kind == "number":
        value = bool(value) if field.type == "bool" else value
        field.form.pack(value)  # raises for what does not fit
        return flatbuffer.Scalar(field.form.format[1:], value)
    if field.kind == "string":
        return flatbuffer.String(value.encode("utf-8"))
    if field.kind == "table":
        return encode(field.type, value)
    if field.kind == "[table]":
        return flatbuffer.Tables([encode(field.type, item) for item in value])
    if field.kind == "[enum]":
        value = [ENUM_VALUES[field.type][name] for name in value]
    return flatbuffer.Vector(_vector(_dtype(field), value), field.align)


def _vector(dtype: np.dtype[Any], value: Any) -> Array:
    """`value` as a contiguous array [n] of `dtype`; ValueError if an integer would change."""
    if isinstance(value, bytes | bytearray):
        value = np.frombuffer(value, np.uint8) if value else np.zeros(0, np.uint8)
    array = np.asarray(value)
    if array.ndim != 1:
        raise ValueError("not one-dimensional")
    if array.dtype != dtype:
        exact = array
        array = exact.astype(dtype)
        if dtype.kind != "f" and not np.array_equal(array, exact):
            raise ValueError("not representable")
    return np.ascontiguousarray(array)
