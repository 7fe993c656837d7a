"""ptq check: somebody else's results against test vectors."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command
from ptq.errors import InputError
from ptq.numerics import find_numerics


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "check the results of another kernel against test vectors, and say what it does differently"
    examples = ["vectors --results out", "vectors/CONV_2D-integer --results out --numerics TFLITE_MICRO"]
    notes = (
        "The results are files: ID.N.bin, raw little-endian numbers of output N of case ID, or ID.N.npy; new "
        "values of states count after the outputs, and may be left out. Exit status 1 if any result is wrong."
    )
    sub = add_command(commands, "check", _check, about, examples, notes)
    sub.add_argument(
        "vectors", metavar="DIR", help="what `ptq vectors` wrote, or one operator's folder in it"
    )
    sub.add_argument("--results", metavar="OUT", required=True, help="the folder of results")
    sub.add_argument("--partial", action="store_true", help="cases without results are left out, and counted")
    sub.add_argument("--op", metavar="NAME", help="only this operator")
    sub.add_argument("--arithmetic", help="only this arithmetic")
    sub.add_argument(
        "--numerics",
        metavar="NAME",
        default="LITERT_REFERENCE",
        help="whose answers are right (LITERT_REFERENCE)",
    )


def _check(arguments: argparse.Namespace) -> int:
    from ptq.oracle.check import compare
    from ptq.oracle.files import read_vectors
    from ptq.oracle.results import read_results

    name = find_numerics(arguments.numerics).name
    cases = [
        case for case in read_vectors(arguments.vectors)
        if arguments.op in (None, case.problem.operator)
        and arguments.arithmetic in (None, case.problem.arithmetic)
        and case.has(name)
    ]  # fmt: skip
    if not cases:
        raise InputError(f"'{arguments.vectors}': no case found for what was asked, numerics {name}")
    report = compare(read_results(arguments.results, cases, name, arguments.partial), cases, name)
    print(report)
    return 0 if report.passed else 1
