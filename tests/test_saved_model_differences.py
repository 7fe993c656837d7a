"""The tables of what differs from TensorFlow's files."""

import subprocess
import sys
from pathlib import Path

from ptq import kernels
from ptq.saved_model.differences import DIFFERENCES, MISSING, table
from ptq.saved_model.translate import RULES


def test_what_is_called_missing_is():
    assert not set(MISSING.values()) & {*kernels.FLOAT, *kernels.ANY_TYPE}
    assert set(MISSING) & set(RULES) == {"Pow"}  # some exponents have operators of their own


def test_the_command_prints_a_row_for_each():
    command = [sys.executable, "-m", "ptq.saved_model"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = done.stdout
    assert printed.strip() == table() and not done.stderr
    first, second = printed.strip().split("\n\n")
    assert len(first.splitlines()) == 2 + len(DIFFERENCES)
    assert len(second.splitlines()) == 2 + len(MISSING)
    assert {line.count(" | ") for line in first.splitlines()[2:]} == {3}


def test_the_handbook_has_today_s_table():
    handbook = Path(__file__).resolve().parents[1] / "tutorials.md"
    assert table().split("\n\n")[0] in handbook.read_text()
