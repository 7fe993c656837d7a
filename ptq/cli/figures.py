"""ptq figures: the announcement's figures, measured again."""

from __future__ import annotations

import argparse
from typing import Any

from ptq.cli.common import add_command
from ptq.figures import MODELS, make_figures


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "measure size, latency and accuracy as the announcement did, and draw them beside its numbers"
    notes = (
        "Size and latency are those of networks of the published structure, with random weights; accuracy "
        "is that of trained networks that ptq ships. The files are timed in ptq, and in LiteRT if "
        "ai-edge-litert is installed. It needs matplotlib, and all of it some minutes and 2 GB of "
        "memory; with --guide a quarter of an hour and 3 GB."
    )
    examples = ["-o figures", "-o figures --quick --models mobilenet_v1 lstm_512 fashion_cnn"]
    sub = add_command(commands, "figures", _figures, about, examples, notes)
    default = "ptq-figures"
    sub.add_argument("-o", "--output", metavar="DIR", default=default, help=f"for the files ({default})")
    sub.add_argument(
        "--models", metavar="NAME", nargs="+", choices=MODELS, default=MODELS,
        help=f"of {', '.join(MODELS)} (all)",
    )  # fmt: skip
    sub.add_argument("--quick", action="store_true", help="fewer runs and fewer test examples")
    sub.add_argument(
        "--guide", action="store_true",
        help="also the tables of the model optimization guide: every technique, and the reference kernels",
    )  # fmt: skip


def _figures(arguments: argparse.Namespace) -> None:
    print(make_figures(arguments.output, arguments.models, arguments.quick, arguments.guide))
