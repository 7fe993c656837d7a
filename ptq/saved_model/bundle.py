"""The values of variables: TensorFlow's "tensor bundle", an index and the files with the data.

`variables.index` is a sorted table (`ptq.saved_model.table`). Under the empty key it has a header, how many
files with data there are, and under the name of each variable an entry: element type, shape, and which bytes
of which file are its elements, row after row, with their checksum:

  variables.index                  "" -> header      "conv/kernel" -> float32 [3, 3, 1, 8], file 0,
  variables.data-00000-of-00001                                       bytes 1024 to 1312, checksum

A tensor of strings has the lengths of all (varints), a checksum of the lengths, then all bytes. A variable
saved in parts has an entry that lists them (`ptq.saved_model.slices`).

Nothing is read before it is asked for, and numbers are never copied: an array is a view of the file in the
page cache of the operating system. So the files must stay as they are while arrays of theirs are in use.

Source: tensorflow/core/util/tensor_bundle/tensor_bundle.cc; tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, InputError, UnsupportedError
from ptq.format.elements import MAX_ELEMENTS, MAX_RANK
from ptq.saved_model import values, wire
from ptq.saved_model.crc32c import crc32c, masked
from ptq.saved_model.element_types import STRING, element_type, storage, widened
from ptq.saved_model.messages import TABLES
from ptq.saved_model.slices import assembled, extents, slice_key
from ptq.saved_model.table import read_table

Array = npt.NDArray[Any]

Order = Literal["<", ">"]
"""Of the bytes of a number: lowest first or highest first."""

VERSION = 1
"""The version of the format that is read here."""


class Bundle:
    """Variables by name. Made by `open_bundle`."""

    def __init__(self, prefix: str, entries: dict[bytes, memoryview]) -> None:
        self._prefix = prefix
        self._entries = entries
        header = wire.decode(TABLES, "BundleHeaderProto", entries.pop(b"", b""))
        _check_version(header["version"])
        self._shard_count: int = header["num_shards"]
        if self._shard_count < 1:
            raise FormatError(
                f"{self._shard_count} files with data found in the header of '{prefix}.index', expected at "
                "least 1; the file is damaged, or no index of variables"
            )
        self._order: Order = ">" if header["endianness"] == 1 else "<"
        self._shards: dict[int, memoryview] = {}
        self._unclaimed: dict[int, int] = {}
        self._claimed: set[bytes] = set()
        self._names = {_name(key): key for key in entries if not key.startswith(b"\0")}  # \0: of parts

    def keys(self) -> tuple[str, ...]:
        """The names of the variables in the order of their bytes."""
        return tuple(self._names)

    def read(self, key: str) -> Array:
        """The value of the variable `key`: a read-only array, a view of the file wherever that is possible.

        bfloat16 becomes float32, quantized types their integers, strings an object array of bytes.
        Errors: InputError for an unknown name or a missing file; FormatError where bytes do not agree with
        their checksum, or their number with the shape; UnsupportedError for a type that NumPy lacks.
        Source: BundleReader::Lookup.
        """
        if key not in self._names:
            known = ", ".join(f"'{name}'" for name in list(self._names)[:10])
            raise InputError(
                f"variable '{key}' is not in '{self._prefix}.index', which has {len(self._names)}: {known} "
                "...; the graph and the variables are not of one model"
            )
        value = self._read(self._names[key], key)
        value.flags.writeable = False
        return value

    def _read(self, key: bytes, name: str) -> Array:
        """The value of a variable, or of a part of one."""
        entry = wire.decode(TABLES, "BundleEntryProto", self._entries[key])
        kind = element_type(entry["dtype"])
        shape = _shape(entry["shape"], name)
        if entry["slices"]:
            return self._read_parts(entry, shape, name)
        if kind == STRING:
            return _strings(self._data(entry, key, name), entry["crc32c"], shape, self._order, name)
        dtype = storage(kind)
        if dtype is None:
            raise UnsupportedError(
                f"variable '{name}' is of type {kind}, which NumPy does not have; only graphs that do not "
                "use it can be read"
            )
        size = math.prod(shape) * dtype.itemsize
        if entry["size"] != size:
            raise FormatError(
                f"variable '{name}' has {entry['size']} bytes, expected {size} for {dtype} {list(shape)}; "
                "the index is damaged"
            )
        data = self._data(entry, key, name)
        _check_sum(entry["crc32c"], data, name)
        value = np.frombuffer(data, dtype.newbyteorder(self._order)).astype(dtype, copy=False)
        return (widened(value) if kind == "bfloat16" else value).reshape(shape)

    def _read_parts(self, entry: wire.Message, shape: tuple[int, ...], name: str) -> Array:
        """A variable saved in parts, put together."""
        places = [extents(part) for part in entry["slices"]]
        keys = [slice_key(name, place) for place in places]
        if len(set(keys)) < len(keys):
            raise FormatError(f"variable '{name}' lists a part twice; the index is damaged")
        for key in keys:
            if key not in self._entries:
                raise FormatError(
                    f"a part of variable '{name}' is not in '{self._prefix}.index'; the index is damaged"
                )
            part = wire.decode(TABLES, "BundleEntryProto", self._entries[key])
            if part["slices"] or part["dtype"] != entry["dtype"] or element_type(part["dtype"]) == STRING:
                raise FormatError(
                    f"a part of variable '{name}' is of type {part['dtype']} and has "
                    f"{len(part['slices'])} parts, expected type {entry['dtype']}, numbers, and no parts; "
                    "the index is damaged"
                )
        arrays = [self._read(key, name) for key in keys]
        return assembled(name, shape, arrays[0].dtype, list(zip(places, arrays, strict=True)))

    def _data(self, entry: wire.Message, key: bytes, name: str) -> memoryview:
        """The bytes that an entry claims. No two may claim the same, so that the files bound the work."""
        shard, offset, size = entry["shard_id"], entry["offset"], entry["size"]
        content = self._shard(shard)
        if offset < 0 or size < 0 or offset + size > len(content):
            raise FormatError(
                f"variable '{name}' has {size} bytes at byte {offset} of file {shard} of "
                f"{self._shard_count}, which has {len(content)}; the file is cut off or damaged"
            )
        if key not in self._claimed:
            self._claimed.add(key)
            self._unclaimed[shard] -= size
        if self._unclaimed[shard] < 0:
            raise FormatError(
                f"variable '{name}' shares bytes of file {shard} of {self._shard_count} with others, "
                "expected bytes of its own; the index is damaged"
            )
        return content[offset : offset + size]

    def _shard(self, number: int) -> memoryview:
        """A file with data, mapped into memory when it is first needed."""
        if not 0 <= number < self._shard_count:
            raise FormatError(
                f"file {number} with data found in '{self._prefix}.index', expected 0 to "
                f"{self._shard_count - 1}; the index is damaged"
            )
        if number not in self._shards:
            path = f"{self._prefix}.data-{number:05d}-of-{self._shard_count:05d}"
            expected = f"file {number + 1} of {self._shard_count} with the values of variables"
            self._shards[number] = _mapped(path, expected)
            self._unclaimed[number] = len(self._shards[number])
        return self._shards[number]


def open_bundle(prefix: str | os.PathLike[str]) -> Bundle:
    """The variables in `prefix`.index and `prefix`.data-...; a SavedModel has "variables/variables".

    Errors: InputError if the index is missing, FormatError if it is damaged, UnsupportedError if it is of a
    newer version. Files with data are opened when a variable in them is read.
    """
    prefix = os.fspath(prefix)
    return Bundle(prefix, dict(read_table(_mapped(f"{prefix}.index", "the index of the variables"))))


def _strings(data: memoryview, checksum: int, shape: tuple[int, ...], order: Order, name: str) -> Array:
    """A tensor of strings: object[shape] of bytes. Source: ReadStringTensor."""
    count = math.prod(shape)
    if count == 0 and not data:
        return np.empty(shape, object)
    if count > len(data):
        raise FormatError(
            f"variable '{name}' has {len(data)} bytes for {count} strings; the index is damaged"
        )
    lengths, place = [], 0
    for _ in range(count):
        length, place = wire.varint(data, place, len(data))
        lengths.append(length)
    if place + 4 + sum(lengths) != len(data):
        raise FormatError(
            f"variable '{name}' has strings of {sum(lengths)} bytes after byte {place + 4}, but "
            f"{len(data)} bytes in all; the file is damaged"
        )
    # The checksums are of lengths of fixed size in the writer's byte order, not of the varints.
    fixed = b"".join(struct.pack(order + ("I" if n < 2**32 else "Q"), n) for n in lengths)
    (stored,) = struct.unpack_from(order + "I", data, place)
    _check_sum(stored, fixed, name)
    _check_sum(checksum, fixed + bytes(data[place:]), name)
    value = np.empty(count, object)
    place += 4
    for index, length in enumerate(lengths):
        value[index] = bytes(data[place : place + length])
        place += length
    return value.reshape(shape)


def _mapped(path: str, expected: str) -> memoryview:
    """A file mapped into memory, read-only."""
    try:
        if not Path(path).is_file():  # a pipe would keep us waiting
            raise OSError("no such file, or not a plain one")
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read ({getattr(error, 'strerror', None) or error}); expected "
            f"{expected}: copy the whole folder"
        ) from error


def _check_version(version: wire.Message) -> None:
    """Source: CheckVersions in tensorflow/core/framework/versions.cc."""
    if version["min_consumer"] > VERSION or VERSION in version["bad_consumers"]:
        raise UnsupportedError(
            f"variables that need a reader of version {version['min_consumer']} found, expected at most "
            f"{VERSION}; a newer TensorFlow wrote them"
        )


def _name(key: bytes) -> str:
    try:
        return str(key, "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"name of a variable {key[:80]!r} is not UTF-8; the index is damaged") from error


def _shape(message: wire.Message, name: str) -> tuple[int, ...]:
    shape = values.shape(message)
    if shape is None or len(shape) > MAX_RANK or min(shape, default=0) < 0 or (
        math.prod(size for size in shape if size) > MAX_ELEMENTS
    ):
        raise FormatError(
            f"variable '{name}' has the shape {shape}, expected at most {MAX_RANK} sizes of 0 or more "
            f"and {MAX_ELEMENTS} elements; the index is damaged"
        )
    return shape


def _check_sum(stored: int, data: bytes | memoryview, name: str) -> None:
    computed = masked(crc32c(data))
    if stored != computed:
        raise FormatError(
            f"variable '{name}' has the checksum {computed:#010x}, expected {stored:#010x}; the file is "
            "damaged: fetch it again"
        )
