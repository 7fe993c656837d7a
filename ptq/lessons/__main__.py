"""`python -m ptq.lessons` prints the exercises of the course, or checks files with their answers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ptq.errors import PtqError
from ptq.lessons import handout


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m ptq.lessons",
        description="Print the exercises of the course as Markdown, without hints and answers, "
        "or check files in which somebody has completed them.",
    )
    parser.add_argument("lesson", nargs="*", type=int, help="numbers of lessons (default: all)")
    parser.add_argument("--hints", action="store_true", help="print the hints, too")
    parser.add_argument("--answers", action="store_true", help="print the answers, too")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--python", action="store_true", help="print one lesson as a Python file to be completed instead"
    )
    what.add_argument(
        "--check", nargs="+", metavar="FILE", type=Path,
        help="run these Python files and check their functions of one lesson; exit code 1 if any is wrong",
    )  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    command = parser()
    options = command.parse_args(arguments)
    if (options.python or options.check) and len(options.lesson) != 1:
        command.error(f"--python and --check want one lesson, {len(options.lesson)} found")
    if (options.python or options.check) and (options.hints or options.answers):
        command.error("--hints and --answers belong to Markdown, not to --python and --check")
    try:
        chosen = handout.lessons(options.lesson)
        if options.check:
            files = [handout.check(chosen[0], path) for path in options.check]
            print(handout.result_table(chosen[0], files))
            return 0 if all(file.passed for file in files) else 1
        if options.python:
            print(handout.python(chosen[0]), end="")
        else:
            parts = [handout.markdown(lesson, options.hints, options.answers) for lesson in chosen]
            print("\n\n".join(parts))
    except PtqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
