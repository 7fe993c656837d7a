"""The documents are true: equations exist, every code block runs, every file named is there."""

import json
import re
from pathlib import Path

import mutations
import pytest

from ptq.oracle.draw import DRAWS
from ptq.oracle.mistakes import MISTAKES

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
