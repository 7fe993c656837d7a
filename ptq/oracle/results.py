"""Results that a kernel in any language wrote: a file of raw numbers for each output of each case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ptq.arrays import read_array
from ptq.errors import InputError
from ptq.format.files import read_file
from ptq.graph import Array
from ptq.oracle.case import Case


def read_results(
    directory: str | Path, chosen: Sequence[Case], numerics: str, partial: bool = False
) -> dict[str, list[Array]]:
    """The results that a kernel in any language wrote: for each case and output a file of raw numbers.

    The file of output n is called `<id>.<n>.bin`, raw little-endian numbers in row-major order, or
    `<id>.<n>.npy`; states count after the outputs and may be left out. partial: whether cases may be left
    out, too. Errors: InputError for a missing file
    or one of another size.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise InputError(f"'{folder}' is no directory; expected one of files like {chosen[0].id}.0.bin")
    return {case.id: _read_case(folder, case, numerics, partial) for case in chosen}


def _read_case(folder: Path, case: Case, numerics: str, partial: bool) -> list[Array]:
    expected = case.answer(numerics).outputs
    arrays = []
    for number, like in enumerate(expected):
        raw, saved = (folder / f"{case.id}.{number}.{ending}" for ending in ("bin", "npy"))
        if saved.is_file():
            arrays.append(read_array(str(saved)))
        elif raw.is_file():
            arrays.append(_read_raw(raw, like))
        elif number < len(case.problem.wanted) and not (partial and number == 0):
            raise InputError(f"'{raw}' is missing; expected a file of {like.nbytes} bytes, or a .npy file")
        else:
            break
    return arrays


def _read_raw(path: Path, like: Array) -> Array:
    content = read_file(path, "raw numbers")
    if len(content) != like.nbytes:
        raise InputError(
            f"'{path}': {len(content)} bytes found, expected {like.nbytes}, {like.dtype} {list(like.shape)}"
        )
    return np.frombuffer(content, like.dtype.newbyteorder("<")).reshape(like.shape).astype(like.dtype)
