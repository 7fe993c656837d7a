"""The numbers by which TensorFlow's files name element types (tensorflow/core/framework/types.proto)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError
from ptq.saved_model.nodes import ElementType, TypeName

_IN_NUMPY = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 8: "complex64", 9: "int64",
    10: "bool", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_BEYOND_NUMPY = {
    11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 15: "qint16", 16: "quint16", 20: "resource",
    21: "variant", 24: "float8_e5m2", 25: "float8_e4m3fn", 26: "float8_e4m3fnuz", 27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz", 29: "int4", 30: "uint4", 31: "int2", 32: "uint2", 33: "float4_e2m1fn",
}  # fmt: skip

STRING = np.dtype(object)
"""A tensor of strings: its elements are bytes."""

ELEMENT_TYPES: dict[int, ElementType] = {
    **{number: np.dtype(name) for number, name in _IN_NUMPY.items()},
    **{number: TypeName(name) for number, name in _BEYOND_NUMPY.items()},
    7: STRING,
}

REFERENCE = 100
"""Added to the number of a type, it says "a reference to such a tensor": TensorFlow 1's variables."""


def element_type(number: int) -> ElementType:
    """The type of that number, of a reference the type that is referred to; FormatError if there is none."""
    found = ELEMENT_TYPES.get(number - REFERENCE if number > REFERENCE else number)
    if found is None:
        raise FormatError(
            f"element type {number} found, expected 1 to {max(ELEMENT_TYPES)}; the file is damaged, or a "
            "newer TensorFlow wrote it"
        )
    return found


def storage(kind: ElementType) -> np.dtype[Any] | None:
    """How one element is stored as raw bytes, None where it is not, or in a way that NumPy lacks.

    Quantized types are their integers; bfloat16 is uint16, which `widened` makes a float32.
    """
    if isinstance(kind, np.dtype):
        return None if kind == STRING else kind
    if kind == "bfloat16":
        return np.dtype(np.uint16)
    return np.dtype(kind[1:]) if kind.startswith("q") else None


def widened(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """bfloat16 as float32, whose upper half it is: uint16[...] -> float32[...], exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
