"""Element types, shapes, tensors and attributes of a GraphDef as NumPy and Python values.

A tensor stands in a file as raw little-endian bytes (`tensor_content`), or as a list of numbers whose last
one repeats until the shape is full: 1,000 zeros need no number at all.
Source: `tensorflow/core/framework/types.proto`, `tensor.cc` (`Tensor::FromProto`), `attr_value.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, UnsupportedError
from ptq.format.elements import MAX_RANK
from ptq.saved_model.element_types import element_type, widened
from ptq.saved_model.nodes import FunctionName
from ptq.saved_model.wire import Message

Array = npt.NDArray[Any]

LARGEST = 2**40
"""How many elements a constant may claim, where a dimension of 0 counts as 1: NumPy refuses more of both."""

PADDING = 2**28
"""How many bytes all tensors of a file may claim whose values are repeated, not stored."""


class Stored(NamedTuple):
    """How the elements of a type are stored: the dtype of the raw bytes, the field of the list of numbers."""

    storage: str
    field: str


_STORED = {
    "float32": Stored("<f4", "float_val"),
    "float64": Stored("<f8", "double_val"),
    "float16": Stored("<f2", "half_val"),
    "bfloat16": Stored("<u2", "half_val"),
    "int8": Stored("i1", "int_val"),
    "int16": Stored("<i2", "int_val"),
    "int32": Stored("<i4", "int_val"),
    "int64": Stored("<i8", "int64_val"),
    "uint8": Stored("u1", "int_val"),
    "uint16": Stored("<u2", "int_val"),
    "uint32": Stored("<u4", "uint32_val"),
    "uint64": Stored("<u8", "uint64_val"),
    "bool": Stored("?", "bool_val"),
    "complex64": Stored("<c8", "scomplex_val"),
    "complex128": Stored("<c16", "dcomplex_val"),
    "object": Stored("O", "string_val"),
    "qint8": Stored("i1", "int_val"),
    "quint8": Stored("u1", "int_val"),
    "qint16": Stored("<i2", "int_val"),
    "quint16": Stored("<u2", "int_val"),
    "qint32": Stored("<i4", "int_val"),
}


def shape(message: Message) -> tuple[int, ...] | None:
    """A TensorShapeProto: -1 for an unknown dimension, None for an unknown rank; FormatError below -1."""
    if message["unknown_rank"]:
        return None
    sizes = tuple(dim["size"] for dim in message["dim"])
    if any(size < -1 for size in sizes):
        raise FormatError(f"shape {list(sizes)} found, expected sizes of at least -1; the file is damaged")
    return sizes


class Values:
    """Decodes the attributes of one file, and bounds the memory that their repeated values take."""

    def __init__(self) -> None:
        self.padding = PADDING
        self.decoded: dict[int, tuple[Mapping[str, Message], dict[str, Any]]] = {}

    def attributes(self, stored: Mapping[str, Message]) -> dict[str, Any]:
        """The attributes of a node, without those for TensorFlow's own passes, whose names begin with "_".

        A function that is called often has its nodes decoded once: the result is shared, to be copied.
        """
        if id(stored) not in self.decoded:
            result = {name: self.attribute(value) for name, value in stored.items() if name[:1] != "_"}
            self.decoded[id(stored)] = stored, result  # `stored` stays, so that nothing else gets its id
        return self.decoded[id(stored)][1]

    def attribute(self, value: Message) -> Any:
        """An AttrValue as `ptq.saved_model.nodes.Node` describes it; None if it has no value."""
        for kind in ("s", "i", "f", "b", "type", "shape", "tensor", "func"):
            if kind in value:
                return self.single(kind, value[kind])
        if "list" in value:
            kinds = list(value["list"])
            if len(kinds) > 1:
                raise FormatError(f"list of {' and '.join(kinds)} found, expected one kind")
            return tuple(self.single(kind, item) for kind in kinds for item in value["list"][kind])
        if "placeholder" in value:
            raise UnsupportedError(
                f"attribute '${value['placeholder']}' found, which each caller of a function sets anew; "
                "ptq reads functions with fixed attributes, as tf.function writes them"
            )
        return None

    def single(self, kind: str, value: Any) -> Any:
        """One value of an attribute, by the name of its field in AttrValue."""
        if kind == "s":
            try:
                return str(value, "utf-8")
            except UnicodeDecodeError:
                return bytes(value)
        if kind == "type":
            return element_type(value)
        if kind == "shape":
            return shape(value)
        if kind == "tensor":
            return self.tensor(value)
        return FunctionName(value["name"]) if kind == "func" else value

    def tensor(self, message: Message) -> Array:
        """A TensorProto as a read-only array of its shape, where possible a view of the file.

        bfloat16 is widened to float32, quantized types are their integers, strings are objects of bytes.
        FormatError where the values do not fit the shape, UnsupportedError for resources and newer types.
        """
        name = str(element_type(message["dtype"]))
        stored = _STORED.get(name)
        if stored is None:
            raise UnsupportedError(f"constant of type '{name}' found, which has no values that ptq reads")
        sizes = shape(message["tensor_shape"])
        if sizes is None or min(sizes, default=0) < 0:
            raise FormatError(f"constant of shape {sizes} found, expected a known one; the file is damaged")
        if len(sizes) > MAX_RANK or math.prod(max(size, 1) for size in sizes) > LARGEST:
            raise FormatError(
                f"constant of {len(sizes)} dimensions found, expected at most {MAX_RANK}, and no more than "
                f"{LARGEST} elements; the file is damaged"
            )
        count = math.prod(sizes)
        if message["tensor_content"]:
            flat = _content(message["tensor_content"], name, sizes, count)
        else:
            flat = self.padded(_listed(message[stored.field], name), count)
        result = flat.reshape(sizes)
        result.flags.writeable = False
        return result

    def padded(self, listed: Array, count: int) -> Array:
        """The values of a list, the last one repeated up to `count`; without values, zeros."""
        if listed.size >= count:
            return listed[:count]
        self.padding -= count * listed.itemsize
        if self.padding < 0:
            raise FormatError(
                f"constant of {count} elements but {listed.size} values found; all repeated values of a file "
                f"may take {PADDING} bytes; it is damaged or hostile"
            )
        if listed.size <= 1:
            blank: Any = b"" if listed.dtype.kind == "O" else 0
            return np.broadcast_to(listed if listed.size else np.array([blank], listed.dtype), (count,))
        return np.concatenate([listed, np.broadcast_to(listed[-1:], (count - listed.size,))])


def _content(content: memoryview, name: str, sizes: tuple[int, ...], count: int) -> Array:
    """Raw bytes as a flat view of their element type."""
    storage = _STORED[name].storage
    if storage == "O":
        raise UnsupportedError("constant of strings as raw bytes found, expected a list of strings")
    size = count * np.dtype(storage).itemsize
    if len(content) != size:
        raise FormatError(
            f"constant of {len(content)} bytes found, expected {size} for {name} {list(sizes)}; "
            "the file is damaged"
        )
    return _widened(np.frombuffer(content, storage), name)


def _listed(values: list[Any], name: str) -> Array:
    """A list of numbers as a flat array; what does not fit the element type wraps, as in TensorFlow."""
    stored = _STORED[name]
    storage = np.dtype(stored.storage)
    if storage.kind == "O":
        result = np.empty(len(values), object)
        result[:] = [bytes(value) for value in values]
        return result
    if storage.kind == "c":
        if len(values) % 2:
            raise FormatError(f"{len(values)} parts of complex numbers found, expected pairs")
        return np.array(values, f"<f{storage.itemsize // 2}").view(storage)
    if stored.field == "half_val":
        return _widened(np.array(values, np.int32).astype("<u2").view(storage), name)
    wide = {"int_val": "<i4", "uint32_val": "<u8"}.get(stored.field, stored.storage)
    return np.array(values, wide).astype(storage, copy=False)


def _widened(values: Array, name: str) -> Array:
    """bfloat16 is the upper half of a float32; everything else is as it is."""
    return widened(values) if name == "bfloat16" else values
