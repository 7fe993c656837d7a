"""Named arrays as an uncompressed .npz file, read without trusting what it declares.

`numpy.load` would allocate what a damaged header asks for; here every array must lie inside the file.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError

Array = npt.NDArray[Any]


def write_weights(arrays: dict[str, Array]) -> bytes:
    """The .npz file of `arrays`, which must not hold Python objects; equal arrays give equal bytes."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def read_weights(content: bytes) -> dict[str, Array]:
    """The arrays of an .npz file by name, as read-only views; FormatError if it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise FormatError("weights: compressed arrays found, expected an uncompressed .npz file")
            if sum(member.file_size for member in members) > len(content):
                raise FormatError("weights: arrays larger than the file that holds them; it is damaged")
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except _DAMAGE as error:
        raise FormatError(f"weights: not a valid .npz file ({error}); it is cut off or damaged") from error


_DAMAGE = (
    # from zipfile
    zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, struct.error, OverflowError,
    # from NumPy's parser of array headers, which are Python literals
    ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError,
)  # fmt: skip


def _array(raw: bytes) -> Array:
    stream = io.BytesIO(raw)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise FormatError("weights: array of an unknown version of NumPy's format; expected version 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    start = stream.tell()
    if dtype.kind not in "biufc" or fortran_order or min(shape, default=0) < 0:
        raise FormatError(f"weights: array {dtype} {shape} found, expected numbers in row-major order")
    if math.prod(shape) * dtype.itemsize != len(raw) - start:
        raise FormatError(f"weights: array {dtype} {shape} found in {len(raw) - start} bytes; it is damaged")
    if len(raw) == start:
        return np.zeros(shape, dtype)
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)
