"""ptq vectors: test vectors for somebody else's kernels."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command
from ptq.errors import InputError
from ptq.numerics import find_numerics
from ptq.terminal import Progress, human_size, table


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "write test vectors: operands, right answers with every step, and the mistakes that they catch"
    examples = [
        "--op CONV_2D --arithmetic integer --numerics double -o vectors",
        "-o vectors --random 20 --seed 1 --confirm",
    ]
    notes = (
        "Boundary cases come first, then random ones. README.md in the folder describes the format, with a "
        "loader of twenty lines. The answers come from ptq's scalar specification. numerics: a preset of "
        'ptq.numerics ("LITERT_REFERENCE", "TFLITE_MICRO", ...), or the rounding of the portable source, '
        '"double" or "single"; by default all presets, those with the same answer together.'
    )
    sub = add_command(commands, "vectors", _vectors, about, examples, notes)
    sub.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="a folder; one for each operator inside"
    )
    sub.add_argument("--op", metavar="NAME", help="an operator by TensorFlow Lite's name (all)")
    sub.add_argument("--arithmetic", help="float, hybrid, integer, or any for what moves data (all)")
    sub.add_argument("--numerics", metavar="NAME", help="whose answers (all presets)")
    sub.add_argument("--random", metavar="N", type=int, default=4, help="random cases of each operator (4)")
    sub.add_argument("--seed", type=int, default=0, help="of the random cases (0)")
    sub.add_argument(
        "--compact", action="store_true", help="of the random cases two, and those that catch more"
    )
    sub.add_argument(
        "--confirm", action="store_true", help="run each case in LiteRT and tflite-micro, if installed"
    )
    sub.add_argument("--tflite", action="store_true", help="write each case as a .tflite model, too")


def _vectors(arguments: argparse.Namespace) -> None:
    from ptq.oracle import generate, invalid, models
    from ptq.oracle.files import write_vectors

    if arguments.random < 0 or arguments.seed < 0:
        raise InputError("--random and --seed: a negative number found, expected 0 or more")
    numerics = [] if arguments.numerics is None else [find_numerics(arguments.numerics)]
    chosen = generate.suites(arguments.op, arguments.arithmetic)
    rows, total = [], 0
    with Progress("operators", len(chosen)) as progress:
        for suite in chosen:
            cases = generate.generate(suite, arguments.random, arguments.seed, numerics, arguments.confirm)
            cases = generate.compact(cases) if arguments.compact else cases
            if not cases:
                continue
            (folder,) = write_vectors(arguments.output, cases, arguments.seed)
            if arguments.tflite:
                models.write_models(folder, cases)
            size = sum(path.stat().st_size for path in folder.iterdir())
            caught = {title for case in cases for answer in case.answers for title in answer.catches}
            answers = sum(len(case.answers) for case in cases)
            rows.append([*suite, f"{len(cases):,}", f"{answers:,}", f"{len(caught)}", human_size(size)])
            total += size
            progress.advance()
    if arguments.op is None and arguments.arithmetic is None:
        invalid.write_invalid(arguments.output, arguments.confirm)
    header = ["operator", "arithmetic", "cases", "answers", "mistakes caught", "size"]
    print(table(header, rows, set(header[2:])))
    print(f"\n{len(rows)} suites, {human_size(total)}, in {arguments.output}, whose README.md explains them")
