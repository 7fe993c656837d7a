"""What the commands share: how one is added to the parser, models, inputs, and how wide a table may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from ptq.arrays import random_inputs, read_array
from ptq.errors import InputError, PtqError
from ptq.format import load, load_directory
from ptq.format.files import read_file
from ptq.graph import Array, Graph, Signature
from ptq.signature_runner import input_names


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    about: str,
    examples: Sequence[str],
    notes: str | Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Add a command: what `ptq --help` says about it, examples, and further notes for its own help."""
    lines = [f"  ptq {name} {example}".rstrip() for example in examples]
    paragraphs = [notes] if isinstance(notes, str) else notes
    told = [line for paragraph in paragraphs for line in (fill(paragraph, 79), "")]
    sub: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join([*told, "examples:", *lines]),
    )  # fmt: skip
    sub.set_defaults(command=run, usage_error=sub.error)
    return sub


def add_inputs(sub: argparse.ArgumentParser) -> None:
    """The options --input and --random, of which one is needed; `given_inputs` reads them."""
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", metavar="[NAME=]FILE.npy", action="append",
        help="an input; once for each, in the model's order, or with the names of the signature's inputs",
    )  # fmt: skip
    source.add_argument(
        "--random", metavar="SEED", type=int,
        help="inputs from NumPy's generator: floats normally distributed, quantized integers uniform, "
        "other integers 0 or 1",
    )  # fmt: skip


MODEL = "a .tflite file, or a directory: TensorFlow's SavedModel, or what ptq.save_directory wrote"
"""What `load_model` reads, for the help of an argument."""


def is_tensorflows(path: str) -> bool:
    """Whether a SavedModel of TensorFlow lies there, or one of its frozen graphs."""
    return (Path(path) / "saved_model.pb").exists() or path.endswith(".pb")


def load_model(path: str, signature: str | None = None) -> tuple[Graph, bytes | None]:
    """A model and the bytes that it came from; None for a directory, which is no single file.

    signature: which one of a SavedModel's; each is a model of its own.
    """
    if is_tensorflows(path):
        from ptq import saved_model  # heavy, and not needed for other sources

        return saved_model.translate(saved_model.read(path, signature)), None
    if Path(path).is_dir():
        return load_directory(path), None
    content = read_file(path, "a .tflite file")
    try:
        return load(content), content
    except PtqError as error:
        raise type(error)(f"'{path}': {error}") from error


def given_inputs(
    arguments: argparse.Namespace, graph: Graph, signature: Signature | None = None
) -> list[Array]:
    """The arrays that --input or --random stands for, in the order of the graph's inputs.

    signature: whose names count; without it, those of the only signature that has them, or of the tensors.
    """
    if arguments.random is not None:
        return random_inputs(graph, arguments.random)
    texts: list[str] = arguments.input
    named = [("=" in text and not Path(text).exists()) for text in texts]
    if not any(named):
        return [read_array(path) for path in texts]
    if not all(named):
        found = texts[named.index(False)]
        raise InputError(f"--input '{found}' found beside NAME=FILE.npy; expected names for all or for none")
    paths = {name: path for name, _, path in (text.partition("=") for text in texts)}
    known = input_names(graph, paths) if signature is None else signature.inputs
    if len(paths) != len(texts) or paths.keys() != known.keys() or set(known.values()) != set(graph.inputs):
        names = [text.partition("=")[0] for text in texts]
        raise InputError(f"--input: names {names} found, expected {sorted(known)}")
    arrays = {known[name]: read_array(path) for name, path in paths.items()}
    return [arrays[index] for index in graph.inputs]


def columns(arguments: argparse.Namespace) -> int | None:
    """The `columns` of `ptq.terminal.table`: no limit with --verbose."""
    return 0 if arguments.verbose else None
