"""A layer graph as plain JSON data and named arrays, and back.

The graph's dataclasses become objects, field by field, marked {"$class": "Tensor", ...}. Further marks stand
for what JSON does not have:
  {"$array": name}, {"$bytes": name}   an array, or bytes, stored under that name
  {"$tuple": [...]}                    a tuple (but shapes are plain lists)
  {"$dict": [[key, value], ...]}       a dictionary whose keys could be mistaken for a mark
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, GraphError
from ptq.graph import Graph, Operator, Quantization, Signature, Tensor

Array = npt.NDArray[Any]

_SHAPES = ("shape", "shape_signature")


def encode(value: Any, arrays: dict[str, Array]) -> Any:
    """`value` as plain JSON data, its arrays and bytes added to `arrays`.

    GraphError for what is neither plain data nor a part of a graph.
    """
    if type(value) in _FIELDS:
        return _encode_object(value, arrays)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list):
        return [encode(item, arrays) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(item, arrays) for item in value]}
    if isinstance(value, dict):
        return _encode_dict(value, arrays)
    if isinstance(value, bytes):
        return {"$bytes": _store(np.array(bytearray(value), np.uint8), arrays)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return {"$array": _store(value, arrays)}
    raise GraphError(f"{type(value).__name__} found in the graph; only numbers, text and arrays can be saved")


def _encode_object(value: Any, arrays: dict[str, Array]) -> dict[str, Any]:
    fields: dict[str, Any] = {"$class": type(value).__name__}
    for name, item in vars(value).items():
        shape = name in _SHAPES and item is not None
        fields[name] = encode([int(size) for size in item] if shape else item, arrays)
    return fields


def _encode_dict(value: dict[Any, Any], arrays: dict[str, Array]) -> dict[str, Any]:
    if any(not isinstance(key, str) or key.startswith("$") for key in value):
        return {"$dict": [[encode(key, arrays), encode(item, arrays)] for key, item in value.items()]}
    return {key: encode(item, arrays) for key, item in value.items()}


def _store(array: Array, arrays: dict[str, Array]) -> str:
    name = f"array_{len(arrays)}"
    arrays[name] = np.asarray(array, order="C")  # ascontiguousarray would turn a scalar into a vector
    return name


def decode(data: Any, arrays: dict[str, Array]) -> Any:
    """The value that `encode` turned into `data` and `arrays`; FormatError if it cannot have done so."""
    return _Decoder(arrays).value(data)


class _Decoder:
    """The arrays by name, and the bytes made from them, each once however often they are named."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self.bytes: dict[str, bytes] = {}
        self.marks: dict[str, Callable[[Any], Any]] = {
            "$array": self._array,
            "$bytes": self._bytes,
            "$tuple": lambda data: tuple(self._list(data)),
            "$dict": self._dict,
        }

    def value(self, data: Any) -> Any:
        """The value that the JSON `data` stands for."""
        if isinstance(data, list):
            return self._list(data)
        if not isinstance(data, dict):
            return data
        if "$class" in data:
            return self._object(data)
        if len(data) == 1 and next(iter(data)) in self.marks:
            mark, content = next(iter(data.items()))
            return self.marks[mark](content)
        return {key: self.value(item) for key, item in data.items()}

    def _list(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            found = reprlib.repr(data)[:80]
            raise FormatError(f"{found} found in the saved graph, expected a list; it is damaged")
        return [self.value(item) for item in data]

    def _array(self, name: Any) -> Array:
        if not isinstance(name, str) or name not in self.arrays:
            raise FormatError(f"array {name!r:.80} of the saved graph is not among its weights")
        return self.arrays[name]

    def _bytes(self, name: Any) -> bytes:
        array = self._array(name)
        if name not in self.bytes:
            self.bytes[name] = array.tobytes()
        return self.bytes[name]

    def _dict(self, data: Any) -> dict[Any, Any]:
        pairs = self._list(data)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise FormatError("a dictionary of the saved graph is not made of pairs; it is damaged")
        try:
            return dict(pairs)
        except TypeError as error:
            raise FormatError(f"a dictionary of the saved graph has an impossible key ({error})") from error

    def _object(self, data: dict[str, Any]) -> Any:
        fields = dict(data)
        name = fields.pop("$class")
        cls = next((cls for cls in _FIELDS if cls.__name__ == name), None)
        if cls is None or fields.keys() != _FIELDS[cls].keys():
            raise FormatError(f"object {name!r:.80} of the saved graph has other fields than expected")
        for field, check in _FIELDS[cls].items():
            item = self.value(fields[field])
            if not check(item):
                found = reprlib.repr(item)[:80]
                raise FormatError(f"{name}.{field} of the saved graph: {found} found; it is damaged")
            fields[field] = tuple(item) if field in _SHAPES and item is not None else item
        return cls(**fields)


_Check = Callable[[Any], bool]


def _a(*types: type) -> _Check:
    return lambda value: type(value) in types


def _optional(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _list_of(check: _Check) -> _Check:
    return lambda value: type(value) is list and all(map(check, value))


def _numbers(kind: str) -> _Check:
    return lambda value: isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind == kind


def _names(value: Any) -> bool:
    return type(value) is dict and all(type(k) is str and type(v) is int for k, v in value.items())


def _metadata(value: Any) -> bool:
    return type(value) is tuple and [type(item) for item in value] == [str, bytes]


_INDICES = _list_of(_a(int))
_NONE = type(None)

_FIELDS: dict[type, dict[str, _Check]] = {
    Quantization: {
        "scale": _numbers("f"), "zero_point": _numbers("i"), "quantized_dimension": _a(int),
        "minimum": _optional(_numbers("f")), "maximum": _optional(_numbers("f")), "extra": _a(dict),
    },
    Tensor: {
        "name": _a(str), "shape": _INDICES, "type": _a(str), "data": _a(np.ndarray, _NONE),
        "quantization": _a(Quantization, _NONE), "is_variable": _a(bool),
        "shape_signature": _optional(_INDICES), "extra": _a(dict),
    },
    Operator: {
        "type": _a(str), "inputs": _INDICES, "outputs": _INDICES, "options": _a(dict),
        "options_type": _a(str, _NONE), "version": _a(int), "custom_code": _a(str, _NONE), "extra": _a(dict),
    },
    Signature: {
        "key": _a(str), "inputs": _names, "outputs": _names, "subgraph": _a(int), "extra": _a(dict),
    },
    Graph: {
        "tensors": _list_of(_a(Tensor)), "operators": _list_of(_a(Operator)), "inputs": _INDICES,
        "outputs": _INDICES, "name": _a(str, _NONE), "description": _a(str, _NONE),
        "subgraphs": _list_of(_a(Graph)), "signatures": _list_of(_a(Signature)),
        "metadata": _list_of(_metadata), "extra": _a(dict),
    },
}  # fmt: skip
"""The fields of each class, and what may stand in them."""
