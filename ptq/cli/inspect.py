"""ptq inspect: what is in a file."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command, columns, load_model
from ptq.inspect import describe


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "show a model's inputs and outputs, operators, tensors, quantization and bytes"
    sub = add_command(commands, "inspect", _run, about, ["small.tflite", "small.tflite --verbose"])
    sub.add_argument("model", help="a .tflite file, or a directory saved by ptq.save_directory")
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _run(arguments: argparse.Namespace) -> None:
    graph, content = load_model(arguments.model)
    print(describe(graph, arguments.model, content, columns(arguments)))
