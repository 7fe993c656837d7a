"""The documents are true: equations exist, every code block runs, every file named is there."""

import json
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import mutations
import numpy as np
import pytest

import ptq
from ptq.cli import main
from ptq.oracle.draw import DRAWS
from ptq.oracle.files import read_vectors
from ptq.oracle.mistakes import MISTAKES
from ptq.zoo.data import SAVED_MODEL

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ["README.md", "tutorials.md"]


def test_docstrings_and_tutorials_have_the_same_equations():
    cited = set()
    for path in (ROOT / "ptq").rglob("*.py"):
        cited |= set(re.findall(r"\((Q\d+)\)", path.read_text()))
    defined = re.findall(r"\*\*\((Q\d+)\)\*\*", (ROOT / "tutorials.md").read_text())
    assert len(defined) == len(set(defined))
    assert cited == set(defined)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_python_block_runs(document, tmp_path, monkeypatch):
    """The blocks of a document are one program, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)
    assert blocks or document != "README.md"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_names_exists(document):
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    named = re.findall(r"`((?:ptq|tests|notebooks)/[\w/.]+)`", text)
    missing = [name for name in links + named if not (ROOT / name).exists()]
    assert not missing


def test_the_readme_s_commands_are_the_command_line_s():
    from ptq.cli import parser

    commands = re.findall(r"^(?:\S+/)?ptq (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    known = parser().format_help()
    assert commands
    assert all(re.search(rf"\b{command}\b", known) for command in commands)


def write_what_the_commands_read():
    """The files that the README's commands take for granted, in the current folder."""
    shutil.copytree(SAVED_MODEL, "saved_model_dir")
    Path("float.tflite").write_bytes(ptq.Converter.from_saved_model(SAVED_MODEL).convert())
    x = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)
    np.savez("inputs.npz", image=x)
    np.save("x.npy", x[:1])


def write_results():
    """What a right kernel would have written for the vectors in the current folder."""
    Path("my_results").mkdir()
    for case in read_vectors("vectors")[::2]:
        output = case.answer("PORTABLE").outputs[0]
        Path("my_results", f"{case.id}.0.bin").write_bytes(output.tobytes())


def test_the_readme_s_commands_run(tmp_path, monkeypatch, capsys):
    """One after the other, in an empty folder; those that install and test run in CI."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text()
    write_what_the_commands_read()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ptq ")]
    assert len(commands) >= 10
    for command in commands:
        if command[0] == "check":
            write_results()
        assert main(command) == 0, f"{command}: {capsys.readouterr().err}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_and_script_that_is_to_be_run_is_there(document):
    text = (ROOT / document).read_text()
    modules = set(re.findall(r"python -m (ptq[\w.]*\w)", text))
    scripts = set(re.findall(r"python (tests/[\w/]+\.py)", text))
    assert modules and scripts
    for name in modules:
        found = find_spec(name)
        assert found.submodule_search_locations is None or find_spec(f"{name}.__main__"), name
    assert not [script for script in scripts if not (ROOT / script).exists()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_numbers_of_the_oracle_are_those_of_today(document):
    text = " ".join((ROOT / document).read_text().split())
    manifests = [json.loads(path.read_text()) for path in (ROOT / "tests/vectors").glob("*/manifest.json")]
    cases = [case for manifest in manifests for case in manifest.get("cases", [])]
    assert f"{len(MISTAKES)} " in text
    assert f"{len(cases):,}" in text
    assert f"{len(DRAWS)} operators and arithmetics" in text
    assert f"{len(mutations.MUTATIONS)} mistakes" in text
    answers = [answer for case in cases for answer in case["answers"]]
    if document == "tutorials.md":
        assert f"Of {len(answers):,} answers" in text
        assert f"all but {sum(not answer['confirmed_by'] for answer in answers)} are" in text
