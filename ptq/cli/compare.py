"""ptq compare: where two models part."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command, add_inputs, columns, given_inputs, load_model
from ptq.compare import compare
from ptq.terminal import wrapped


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "run two models on the same inputs and find where their tensors part"
    notes = (
        "max error: the largest |a - b|. SQNR: 10 log10(sum a^2 / sum (a - b)^2), in dB; 20 dB is noise with "
        "a hundredth of the signal's power. Two operators are named: the first whose outputs are not "
        "bit-identical, and the first whose SQNR is below the threshold. Tensors are matched by name, else "
        "by order where operator and shape agree. States (variables) of both models start at zero."
    )
    examples = ["float.tflite small.tflite --random 0", "float.tflite small.tflite --input x.npy"]
    sub = add_command(commands, "compare", _run, about, examples, notes)
    sub.add_argument("a", help="the reference: a .tflite file, or a directory saved by ptq.save_directory")
    sub.add_argument("b", help="the model to judge, likewise")
    add_inputs(sub)
    sub.add_argument("--threshold", metavar="DB", type=float, default=20.0, help="SQNR in dB (20)")
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _run(arguments: argparse.Namespace) -> None:
    (a, _), (b, _) = load_model(arguments.a), load_model(arguments.b)
    comparison = compare(a, b, given_inputs(arguments, a), arguments.threshold)
    print(wrapped(f"a: {arguments.a}"), wrapped(f"b: {arguments.b}"), sep="\n", end="\n\n")
    print(comparison.text(columns(arguments)))
