"""ptq inspect: what is in a file."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import MODEL, add_command, columns, load_model
from ptq.inspect import describe


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "show a model's inputs and outputs, operators, tensors, quantization and bytes"
    examples = ["small.tflite", "small.tflite --verbose", "saved_model_dir --signature decode"]
    sub = add_command(commands, "inspect", _run, about, examples)
    sub.add_argument("model", help=MODEL)
    sub.add_argument(
        "--signature", metavar="KEY", help="which of a SavedModel's signatures; a .tflite file is shown whole"
    )  # fmt: skip
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _run(arguments: argparse.Namespace) -> None:
    graph, content = load_model(arguments.model, arguments.signature)
    print(describe(graph, arguments.model, content, columns(arguments)))
