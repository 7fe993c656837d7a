"""A variable saved in parts: where each part lies in the whole, and the key under which it is stored.

TensorFlow 1 spread a large variable over several machines, and saved from each its part. The whole has an
entry that lists the parts; each part is a tensor of its own, under a key made of the whole's name and of
start and length in each dimension, coded so that sorting the bytes sorts the parts:

  a number n >= 0     a byte, how many bytes follow, then n, highest byte first: 0 is 00, 258 is 02 01 02
  a text              its bytes, 00 written as 00 ff and ff as ff 00, then 00 01
  a signed number     in k bytes, the least for which it fits 7 k bits with its sign: 80, c0 00, e0 00 00 ...
                      plus n, highest byte first; if negative, the complement of all bits of the code of ~n

The key is the number 0, the name, the rank, then start and length for each dimension; a dimension that is
not divided has start 0 and length -1. Of "w" [10, 4], rows 5 to 9 are 00, 77 00 01, 01 02, 85 85, 80 7f.

Source: tensorflow/core/util/saved_tensor_slice_util.cc (EncodeTensorNameSlice),
tensorflow/core/lib/strings/ordered_code.cc.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError
from ptq.saved_model.wire import Message

Array = npt.NDArray[Any]
Extent = tuple[int, int]
"""Start and length; the length is -1 for a whole dimension."""


def extents(message: Message) -> tuple[Extent, ...]:
    """A TensorSliceProto: an extent for each dimension."""
    return tuple((extent["start"], extent.get("length", -1)) for extent in message["extent"])


def slice_key(name: str, part: Sequence[Extent]) -> bytes:
    """The key of a part of the variable `name`."""
    text = name.encode().replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff")
    numbers = b"".join(_signed(number) for extent in part for number in extent)
    return _unsigned(0) + text + b"\0\1" + _unsigned(len(part)) + numbers


def _unsigned(number: int) -> bytes:
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _signed(number: int) -> bytes:
    if number < 0:
        return bytes(byte ^ 255 for byte in _signed(~number))
    size = number.bit_length() // 7 + 1
    return (((1 << size) - 1 << 7 * size) + number).to_bytes(size, "big")


def assembled(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Sequence[tuple[tuple[Extent, ...], Array]]
) -> Array:
    """The whole, of `shape` and `dtype`, from its parts; FormatError unless they cover each element once."""
    places = [_place(name, shape, part) for part, _ in parts]
    for place, (_, array) in zip(places, parts, strict=True):
        expected = tuple(span.stop - span.start for span in place)
        if array.shape != expected or array.dtype != dtype:
            raise FormatError(
                f"part {_text(place)} of variable '{name}' is {array.dtype} {list(array.shape)}, expected "
                f"{dtype} {list(expected)}; the index is damaged"
            )
    if sum(array.size for _, array in parts) != math.prod(shape):
        raise _incomplete(name, shape)
    whole, covered = np.empty(shape, dtype), np.zeros(shape, bool)
    for place, (_, array) in zip(places, parts, strict=True):
        whole[place] = array
        covered[place] = True
    if not covered.all():
        raise _incomplete(name, shape)
    return whole


def _place(name: str, shape: tuple[int, ...], part: tuple[Extent, ...]) -> tuple[slice, ...]:
    """Where a part lies in the whole."""
    result = []
    for size, (start, length) in zip(shape, part, strict=False):
        stop = size if length == -1 else start + length
        if not 0 <= start <= stop <= size:
            break
        result.append(slice(start, stop))
    if len(result) != len(shape) or len(part) != len(shape):
        raise FormatError(
            f"part {list(part)} (start, length) of variable '{name}' does not lie in its shape "
            f"{list(shape)}; the index is damaged"
        )
    return tuple(result)


def _text(place: tuple[slice, ...]) -> str:
    return "[" + ", ".join(f"{span.start}:{span.stop}" for span in place) + "]"


def _incomplete(name: str, shape: tuple[int, ...]) -> FormatError:
    return FormatError(
        f"the parts of variable '{name}' do not cover its shape {list(shape)} once; expected no gap and no "
        "overlap; save the model again"
    )
