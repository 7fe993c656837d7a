"""ptq compare: where two models, or two arithmetics, part."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ptq.cli.common import MODEL, add_command, add_inputs, columns, given_inputs, load_model
from ptq.compare import compare
from ptq.comparison.glossary import GLOSSARY
from ptq.comparison.report_html import page
from ptq.comparison.trace import inputs_of
from ptq.comparison.twin import float_twin
from ptq.format.files import write_file
from ptq.graph import Graph
from ptq.numerics import LITERT_REFERENCE, PRESETS, Numerics, find_numerics
from ptq.terminal import printable, wrapped

FLOAT = "float"
"""Instead of a preset: the model with its integers as reals, in float arithmetic."""

NOTES = (
    "Named are the first output that is not bit-identical, the first whose SQNR is below the threshold, and "
    "the first that differs even on a's values.",
    *(f"{term}: {words}" for term, words in GLOSSARY.items()),
)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "run two models, or one in two arithmetics, on the same inputs and find where and why they part"
    examples = [
        "float.tflite small.tflite --random 0",
        "float.tflite integers.tflite --input x.npy --html report.html",
        "integers.tflite --numerics litert_reference xnnpack --random 0",
        "integers.tflite --numerics float litert_reference --random 0",
    ]
    sub = add_command(commands, "compare", _run, about, examples, NOTES)
    sub.add_argument("a", help=f"the reference: {MODEL}")
    sub.add_argument("b", nargs="?", help="the model to judge, likewise; without it, a in another arithmetic")
    add_inputs(sub)
    names = ", ".join(name.lower() for name in PRESETS)
    sub.add_argument(
        "--numerics", metavar="NAME", nargs="+",
        help=f"one for both models, or two, of a and of b: {names}, double or single (portable, with that "
        "rounding), or float (in reals). With one model: of b, or two, of a and of b",
    )  # fmt: skip
    sub.add_argument("--threshold", metavar="DB", type=float, default=20.0, help="SQNR in dB (20)")
    sub.add_argument(
        "--html", metavar="FILE", help="write the report, with plots, as one page that needs no network"
    )
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _run(arguments: argparse.Namespace) -> None:
    a, b, model = _sides(arguments)
    inputs = inputs_of(a.graph, model, given_inputs(arguments, model))
    comparison = compare(a.graph, b.graph, inputs, arguments.threshold, a.numerics, b.numerics)
    print(wrapped(f"a: {a.label}"), wrapped(f"b: {b.label}"), sep="\n", end="\n\n")
    print(comparison.text(columns(arguments)))
    if arguments.html is not None:
        write_file(arguments.html, [page(comparison, a.label, b.label).encode()])
        print(f"\nsaved {printable(arguments.html)}")


@dataclass(frozen=True)
class _Side:
    """One of the two that are compared."""

    label: str
    graph: Graph
    numerics: Numerics


def _sides(arguments: argparse.Namespace) -> tuple[_Side, _Side, Graph]:
    """Both sides, and the model whose inputs are given."""
    names = _names(arguments)
    numerics = _numerics(names)
    model, _ = load_model(arguments.a)
    other = model if arguments.b is None else load_model(arguments.b)[0]
    paths = arguments.a, arguments.b or arguments.a
    sides = [
        _Side(
            path if arguments.numerics is None else f"{path}, {FLOAT if name == FLOAT else rules.name}",
            float_twin(graph) if name == FLOAT else graph,
            rules,
        )
        for path, graph, name, rules in zip(paths, (model, other), names, numerics, strict=True)
    ]
    return sides[0], sides[1], model


def _names(arguments: argparse.Namespace) -> list[str]:
    names = [name.lower() for name in arguments.numerics or []]
    if len(names) > 2:
        arguments.usage_error("--numerics takes one name or two; put the models before it")
    if arguments.b is None:
        if not names:
            arguments.usage_error("give a second model, or --numerics for the first one")
        return names if len(names) == 2 else [LITERT_REFERENCE.name, *names]
    return names * 2 if len(names) == 1 else names or [LITERT_REFERENCE.name] * 2


def _numerics(names: Sequence[str]) -> list[Numerics]:
    """The presets by name; "float" takes the other one's, which decide how floats are added."""
    known = [None if name == FLOAT else find_numerics(name) for name in names]
    return [rules or known[1 - i] or LITERT_REFERENCE for i, rules in enumerate(known)]
