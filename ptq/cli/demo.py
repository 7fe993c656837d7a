"""ptq demo: the main job on a shipped classifier."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command
from ptq.demo import DEFAULT, SUBJECTS, demo


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "quantize a shipped classifier and show what it costs and saves"
    sub = add_command(commands, "demo", _run, about, ["", "--model country_lstm --figure sizes.png"])
    sub.add_argument("-o", "--output", metavar="DIR", default="ptq-demo", help="for the files (ptq-demo)")
    sub.add_argument("--model", choices=SUBJECTS, default=DEFAULT, help=f"of clothes or of names ({DEFAULT})")
    sub.add_argument("--images", metavar="N", type=int, default=2000, help="test examples, 1 to 2000 (2000)")
    sub.add_argument("--figure", metavar="FILE", help="draw sizes and accuracies (needs matplotlib)")


def _run(arguments: argparse.Namespace) -> None:
    print(demo(arguments.output, arguments.images, arguments.figure, arguments.model))
