"""Test vectors as models: each case a .tflite file of one operator, for runtimes that load nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptq.format import save
from ptq.oracle.case import Case


def write_models(folder: Path, cases: Sequence[Case]) -> None:
    """Write `<id>.tflite` for each case; its inputs are the operands of kind "input", in their order."""
    for case in cases:
        save(case.problem.graph(), folder / f"{case.id}.tflite")
