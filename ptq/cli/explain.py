"""ptq explain: one output element of a model, worked out by hand."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import MODEL, add_command, add_inputs, given_inputs, load_model
from ptq.errors import InputError
from ptq.numerics import find_numerics


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "work out one output element of a model's operator, line by line, with the rules' names"
    examples = [
        "small.tflite --op 0 --element 0,3,3,1 --random 0",
        "integers.tflite --op 5 --element 0,7 --input x.npy --numerics TFLITE_MICRO",
    ]
    notes = (
        "The arithmetic is that of ptq's scalar specification; the last line says whether the kernels agree."
    )
    sub = add_command(commands, "explain", _explain, about, examples, notes)
    sub.add_argument("model", help=MODEL)
    sub.add_argument(
        "--op", metavar="N", type=int, required=True, help="the operator's position; see ptq inspect"
    )
    sub.add_argument("--element", metavar="I,J,...", required=True, help="the index into its output")
    sub.add_argument("--output", metavar="K", type=int, default=0, help="which of its outputs (0)")
    sub.add_argument(
        "--numerics", metavar="NAME", default="LITERT_REFERENCE", help="by whose rules (LITERT_REFERENCE)"
    )
    sub.add_argument("--terms", metavar="N", type=int, default=12, help="how many terms of a sum (12)")
    add_inputs(sub)


def _explain(arguments: argparse.Namespace) -> None:
    from ptq.oracle.explain import agreement, explain_model

    graph, _ = load_model(arguments.model)
    numerics = find_numerics(arguments.numerics)
    inputs = given_inputs(arguments, graph)
    index = _index(arguments.element)
    trace, kernels = explain_model(graph, arguments.op, index, inputs, arguments.output, numerics)
    print(trace.text(arguments.terms))
    print(f"\n{agreement(trace, kernels)}")


def _index(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace(" ", "").split(",") if part)
    except ValueError as error:
        raise InputError(f"--element {text!r}: expected integers and commas, such as 0,3,3,1") from error
