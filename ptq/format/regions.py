"""Which bytes of a `.tflite` file are what: the map of a FlatBuffer, for people who read it byte by byte.

The same walk as `schema.decode`, which checks every offset; where that collects values, this notes places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptq.format import flatbuffer, schema

KINDS = ("header", "vtable", "table", "vector", "string", "reference", "gap")
"""What a region may be; a gap is padding, or what nothing refers to."""


@dataclass(frozen=True)
class Region:
    """Bytes start to stop (not included). kind: one of KINDS. label: their meaning, a path into the model."""

    start: int
    stop: int
    kind: str
    label: str


def regions(content: bytes) -> list[Region]:
    """The whole file as regions in its order, without overlaps; FormatError if it is no `.tflite` file."""
    schema.decode(flatbuffer.Reader(content, schema.IDENTIFIER))  # everything below is inside of the file
    reader = flatbuffer.Reader(content, schema.IDENTIFIER)
    found = {
        0: Region(0, 4, "header", "offset of the root table"),
        4: Region(4, 8, "header", "file identifier TFL3"),
    }
    for region in _table(reader, "Model", reader.root(), "Model"):
        found.setdefault(region.start, region)
    return list(_without_gaps(sorted(found.values(), key=lambda r: r.start), len(content)))


def _table(reader: flatbuffer.Reader, table: str, position: int, path: str) -> Iterator[Region]:
    vtable = position - int(reader.scalar(flatbuffer.I32, position))
    slots = reader.slots(position)
    size, table_size = flatbuffer.VTABLE_HEADER.unpack_from(reader.content, vtable)
    yield Region(vtable, vtable + size, "vtable", f"vtable of {path}")
    yield Region(position, position + table_size, "table", path)
    slots += [0] * (schema.WIDTHS[table] - len(slots))
    for field in schema.TABLES[table].values():
        where = slots[field.slot]
        inner = f"{path}.{field.name}"
        if field.kind == "union":
            tag_at, value_at = slots[field.slot : field.slot + 2]
            if value_at:
                member = schema.UNIONS[field.type][reader.content[tag_at]]
                yield from _table(reader, member, reader.follow(value_at), f"{inner}:{member}")
        elif where and field.kind not in ("number", "enum"):
            yield from _reference(reader, field, reader.follow(where), inner)


def _reference(reader: flatbuffer.Reader, field: schema.Field, target: int, path: str) -> Iterator[Region]:
    if field.kind == "table":
        yield from _table(reader, field.type, target, path)
        return
    if field.kind == "string":
        size = reader.array(target, np.dtype("u1")).size
        yield Region(target, target + 4 + size + 1, "string", path)
        return
    if field.kind == "[table]":
        positions = reader.references(target)
        yield Region(
            target, target + 4 + 4 * len(positions), "reference", f"{path}: {len(positions)} references"
        )
        for number, position in enumerate(positions):
            yield from _table(reader, field.type, position, f"{path}[{number}]")
        return
    array: Any = reader.array(target, np.dtype(field.form.format))
    yield Region(target, target + 4 + array.nbytes, "vector", f"{path}: {array.size} x {field.type}")


def _without_gaps(found: list[Region], size: int) -> Iterator[Region]:
    end = 0
    for region in found:
        if region.start > end:
            yield Region(end, region.start, "gap", "padding")
        if region.stop > end:
            yield Region(max(region.start, end), region.stop, region.kind, region.label)
            end = region.stop
    if end < size:
        yield Region(end, size, "gap", "padding")
