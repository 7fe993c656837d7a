"""Whole files: reading one, writing one so that nothing half-written is ever seen, and their directory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from ptq.errors import InputError
from ptq.format.flatbuffer import Chunk


def read_file(path: str | os.PathLike[str], expected: str) -> bytes:
    """The content of the file at `path`; InputError if there is none. `expected` says what it should be."""
    try:
        return Path(path).read_bytes()
    except IsADirectoryError as error:
        raise InputError(f"'{path}' is a directory, expected {expected}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read ({_reason(error)}); expected {expected}") from error


def write_file(path: str | os.PathLike[str], chunks: Iterable[Chunk]) -> None:
    """Write `chunks` to a new file and move it to `path`; InputError, and nothing left, if that fails."""
    created = False
    try:
        target = Path(os.path.realpath(path))  # a symbolic link stays one
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp") if target.name else target
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        if target.exists() and not target.is_file():
            raise OSError("it is a device or a pipe")  # which the move below would replace by a file
        with open(temporary, "xb") as file:
            created = True
            file.writelines(chunks)
        os.replace(temporary, target)
        created = False
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be written ({_reason(error)}); expected a file in a writable directory"
        ) from error
    finally:
        if created:
            temporary.unlink(missing_ok=True)


def make_directory(path: str | os.PathLike[str]) -> Path:
    """Make the directory `path` and those above it, where they are missing; InputError if that fails."""
    try:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"directory '{path}' cannot be made ({_reason(error)}); choose another path"
        ) from error
    return folder


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
