"""Element types, shapes, tensors and attributes of a GraphDef as NumPy and Python values.

A tensor stands in a file as raw little-endian bytes (`tensor_content`), or as a list of numbers whose last
one repeats until the shape is full: 1,000 zeros need no number at all.
Source: `tensorflow/core/framework/types.proto`, `tensor.cc` (`Tensor::FromProto`), `attr_value.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, UnsupportedError
from ptq.format.elements import MAX_RANK
from ptq.saved_model.element_types import element_type, storage, widened
from ptq.saved_model.nodes import ElementType, FunctionName
from ptq.saved_model.wire import Message

Array = npt.NDArray[Any]

LARGEST = 2**40
"""How many elements a constant may claim, where a dimension of 0 counts as 1: NumPy refuses more of both."""

PADDING = 2**28
"""How many bytes all tensors of a file may claim whose values are repeated, not stored."""


_FIELDS = {
    "float32": "float_val", "float64": "double_val", "float16": "half_val", "bfloat16": "half_val",
    "int8": "int_val", "int16": "int_val", "int32": "int_val", "int64": "int64_val", "uint8": "int_val",
    "uint16": "int_val", "uint32": "uint32_val", "uint64": "uint64_val", "bool": "bool_val",
    "complex64": "scomplex_val", "complex128": "dcomplex_val", "object": "string_val", "qint8": "int_val",
    "quint8": "int_val", "qint16": "int_val", "quint16": "int_val", "qint32": "int_val",
}  # fmt: skip
"""The field of a TensorProto that lists the values of an element type."""


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
                "expected fixed attributes: export the model with TensorFlow 2, whose tf.function writes them"
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
        kind = element_type(message["dtype"])
        field = _FIELDS.get(str(kind))
        if field is None:
            raise UnsupportedError(
                f"constant of type '{kind}' found, expected numbers or strings; cast it before the export"
            )
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
            flat = _content(message["tensor_content"], kind, sizes, count)
        else:
            flat = self.padded(_listed(message[field], kind), count)
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


def _content(content: memoryview, kind: ElementType, sizes: tuple[int, ...], count: int) -> Array:
    """Raw bytes as a flat view of their element type."""
    stored = _stored(kind)
    if stored is None:
        raise UnsupportedError("constant of strings as raw bytes found, expected a list of strings")
    if len(content) != count * stored.itemsize:
        raise FormatError(
            f"constant of {len(content)} bytes found, expected {count * stored.itemsize} for {kind} "
            f"{list(sizes)}; the file is damaged"
        )
    return _widened(np.frombuffer(content, stored), kind)


def _listed(values: list[Any], kind: ElementType) -> Array:
    """A list of numbers as a flat array; what does not fit the element type wraps, as in TensorFlow."""
    stored = _stored(kind)
    if stored is None:
        result = np.empty(len(values), object)
        result[:] = [bytes(value) for value in values]
        return result
    if stored.kind == "c":
        if len(values) % 2:
            raise FormatError(f"{len(values)} parts of complex numbers found, expected pairs")
        return np.array(values, f"<f{stored.itemsize // 2}").view(stored)
    field = _FIELDS[str(kind)]
    if field == "half_val":
        return _widened(np.array(values, np.int32).astype("<u2").view(stored), kind)
    wide = {"int_val": "<i4", "uint32_val": "<u8"}.get(field, stored)
    return np.array(values, wide).astype(stored, copy=False)


def _stored(kind: ElementType) -> np.dtype[Any] | None:
    """How one element is stored, little-endian; None for strings."""
    stored = storage(kind)
    return None if stored is None else stored.newbyteorder("<")


def _widened(values: Array, kind: ElementType) -> Array:
    """bfloat16 is the upper half of a float32; everything else is as it is."""
    return widened(values) if kind == "bfloat16" else values
