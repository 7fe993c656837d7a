"""ptq's own saved model: a directory with `graph.json` (the graph) and `weights.npz` (its arrays).

The two belong together: `graph.json` holds the SHA-256 of `weights.npz`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ptq.errors import FormatError, InputError, UnsupportedError
from ptq.format import plain
from ptq.format.elements import check_graph
from ptq.format.files import read_file, write_file
from ptq.format.weights import read_weights, write_weights
from ptq.graph import Graph

Array = npt.NDArray[Any]

GRAPH_FILE = "graph.json"
WEIGHTS_FILE = "weights.npz"
FORMAT = "ptq saved model"
VERSION = 1

_Path = str | os.PathLike[str]


def is_saved_model(directory: _Path) -> bool:
    """Whether `directory` holds a model saved by `save_directory`."""
    return all((Path(directory) / name).is_file() for name in (GRAPH_FILE, WEIGHTS_FILE))


def save_directory(graph: Graph, directory: _Path) -> None:
    """Write `graph` to `directory`, which is made if needed.

    GraphError if the graph contradicts itself or holds Python objects that are no plain data;
    InputError if the directory cannot be written or holds something else.
    """
    graph.validate()
    check_graph(graph)
    target = Path(directory)
    arrays: dict[str, Array] = {}
    body = plain.encode(graph, arrays)
    weights = write_weights(arrays)
    digest = hashlib.sha256(weights).hexdigest()
    document = {"format": FORMAT, "version": VERSION, "weights_sha256": digest, "graph": body}
    text = json.dumps(document, indent=1)
    _make_directory(target)
    write_file(target / WEIGHTS_FILE, [weights])
    write_file(target / GRAPH_FILE, [text.encode("utf-8")])


def load_directory(directory: _Path) -> Graph:
    """The graph that `save_directory` wrote, equal to the saved one; constants are read-only.

    InputError if there is no such directory or it is no saved model; UnsupportedError for TensorFlow's;
    FormatError, GraphError or QuantizationError if the content is damaged.
    """
    _check_kind(Path(directory))
    text = read_file(Path(directory) / GRAPH_FILE, "the graph of a saved model")
    weights = read_file(Path(directory) / WEIGHTS_FILE, "the weights of a saved model")
    try:
        graph = _decode_document(json.loads(text.decode("utf-8")), weights)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"'{directory}': {GRAPH_FILE} is no JSON ({error}); it is damaged") from error
    check_graph(graph)
    graph.validate()
    return graph


def _make_directory(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        foreign = any(target.iterdir()) and not is_saved_model(target)
    except (OSError, ValueError) as error:
        raise InputError(f"'{target}' cannot be made a directory ({error}); choose another path") from error
    if foreign:
        raise InputError(
            f"'{target}' holds files that are no saved model of ptq; choose a new or an empty directory"
        )


def _check_kind(target: Path) -> None:
    if not target.is_dir():
        found = "a file" if target.exists() else "nothing"
        raise InputError(f"'{target}': {found} found, expected the directory of a saved model")
    if is_saved_model(target):
        return
    if any((target / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise UnsupportedError(
            f"'{target}' is a SavedModel of TensorFlow, expected what save_directory wrote; "
            "Converter.from_saved_model reads both"
        )
    raise InputError(
        f"'{target}' is no saved model: expected {GRAPH_FILE} and {WEIGHTS_FILE}, which save_directory "
        "writes, or saved_model.pb, which TensorFlow writes"
    )


def _decode_document(document: Any, weights: bytes) -> Graph:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FormatError(f"{GRAPH_FILE} does not say \"format\": \"{FORMAT}\"; it was not written by ptq")
    if document.get("version") != VERSION:
        raise UnsupportedError(
            f"{GRAPH_FILE} has version {document.get('version')!r:.80}, expected {VERSION}; use a newer ptq"
        )
    if document.get("weights_sha256") != hashlib.sha256(weights).hexdigest():
        raise FormatError(f"{WEIGHTS_FILE} is not the one that {GRAPH_FILE} was saved with; save both again")
    graph = plain.decode(document.get("graph"), read_weights(weights))
    if not isinstance(graph, Graph):
        raise FormatError(f"{GRAPH_FILE} holds no graph; it is damaged")
    return graph
