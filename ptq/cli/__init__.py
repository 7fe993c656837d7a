"""The command line: a module for each command, and `main`, which runs one.

Exit status: 0; 1 for what the user can mend (one line on standard error); 2 for wrong usage; 130 after
Ctrl-C and 141 if the reader of the output went away, as shells count those.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from ptq.cli import check, compare, convert, demo, explain, figures, inspect, run, vectors
from ptq.errors import PtqError
from ptq.terminal import printable

COMMANDS = demo, convert, run, inspect, compare, explain, vectors, check, figures
"""In the order in which `ptq --help` lists them; each adds itself to the parser."""

EPILOG = "Every command explains itself: ptq COMMAND --help. A first look: ptq demo"
INTERRUPTED, READER_GONE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; `argv` without the program's name, default `sys.argv[1:]`. Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows fewer letters than a file
    try:
        try:
            arguments = parser().parse_args(argv)
            status: int = arguments.command(arguments) or 0
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # whatever is still buffered goes nowhere; else Python complains about it while it shuts down
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (PtqError, OSError, MemoryError) as error:
        print(f"ptq: error: {printable(str(error) or 'out of memory')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ptq: interrupted", file=sys.stderr)
        return INTERRUPTED
    return status


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    about = "TensorFlow Lite's post-training quantization as readable, bit-exact NumPy."
    top = argparse.ArgumentParser("ptq", description=about, epilog=EPILOG, allow_abbrev=False)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return top


class _Version(argparse.Action):
    """--version; reading the installed metadata takes time that no other command should spend."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"ptq {version('ptq')}")
        except PackageNotFoundError:
            print("ptq, version unknown: run from a source tree that is not installed")
        parser.exit()
