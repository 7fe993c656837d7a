"""Bytes and layer graphs: `.tflite` files, and ptq's own saved-model directories."""

from __future__ import annotations

import os

from ptq.format.directory import is_saved_model, load_directory, save_directory
from ptq.format.files import read_file, write_file
from ptq.format.tflite_read import read_model
from ptq.format.tflite_write import model_chunks
from ptq.graph import Graph


def load(source: str | os.PathLike[str] | bytes | bytearray | memoryview) -> Graph:
    """The graph of a `.tflite` file, given by its path or its bytes.

    InputError if the path cannot be read; FormatError, GraphError, QuantizationError or UnsupportedError if
    the content is wrong.
    """
    if isinstance(source, str | os.PathLike):
        return read_model(read_file(source, "a .tflite file"))
    return read_model(bytes(source))


def dumps(graph: Graph) -> bytes:
    """The bytes of the `.tflite` file that holds `graph`; GraphError if the graph contradicts itself."""
    return b"".join(model_chunks(graph))


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write `graph` to a `.tflite` file, whole or not at all; InputError if `path` cannot be written."""
    write_file(path, model_chunks(graph))


__all__ = ["dumps", "is_saved_model", "load", "load_directory", "save", "save_directory"]
