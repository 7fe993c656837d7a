"""The notebooks run, say what is stored in them, and are built like lessons."""

import ast
import re
import sys
import time
from functools import cache
from importlib import import_module

import nbformat
import pytest
from notebook_runner import NOTEBOOKS, TIMING, executed, texts

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
NAMES = [path.stem for path in PATHS]
LIBRARIES = {"numpy", "matplotlib", "ptq"}
LONGEST_CELL, MOST_CELLS, LARGEST = 15, 60, 700_000
SECONDS = 60

notebooks = pytest.mark.parametrize("path", PATHS, ids=NAMES)


@cache
def stored(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in stored(path).cells if cell.cell_type == "code"]


def lesson_of(path):
    """The lesson whose exercises a notebook has."""
    (name,) = set(
        re.findall(r"from ptq\.lessons\.(\w+) import lesson", "\n".join(c.source for c in code(path)))
    )
    return import_module(f"ptq.lessons.{name}").lesson


@notebooks
def test_it_runs_and_its_stored_texts_are_current(path):
    start = time.monotonic()
    fresh = executed(path)
    assert time.monotonic() - start < SECONDS
    for number, (new, old) in enumerate(zip(fresh.cells, stored(path).cells, strict=True), 1):
        if TIMING not in old.metadata.get("tags", []):
            assert texts(new) == texts(old), f"cell {number}: run python tests/notebook_runner.py {path.name}"


@notebooks
def test_it_begins_with_a_question_and_a_picture(path):
    cells = stored(path).cells
    assert re.match(r"# .*\?$", cells[0].source.splitlines()[0])
    images = [
        n for n, cell in enumerate(cells) for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert images and images[0] <= 2


@notebooks
def test_its_cells_are_short(path):
    cells = stored(path).cells
    assert len(cells) <= MOST_CELLS
    assert max(len(cell.source.splitlines()) for cell in code(path)) <= LONGEST_CELL
    prose = sum(cell.cell_type == "markdown" for cell in cells)
    assert 0.3 <= prose / len(cells) <= 0.65
    assert path.stat().st_size < LARGEST


@notebooks
def test_it_needs_numpy_and_matplotlib_alone(path):
    for cell in code(path):
        for node in ast.walk(ast.parse(cell.source)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.split(".")[0] for name in names}
            assert tops <= LIBRARIES | set(sys.stdlib_module_names)


@notebooks
def test_it_ends_with_what_surprises_people_and_five_lines(path):
    last = [cell.source for cell in stored(path).cells if cell.cell_type == "markdown"][-2:]
    assert any("## What surprises people" in source for source in last)
    summary = last[-1].split("## In five lines")[-1].strip()
    assert len([line for line in summary.splitlines() if re.match(r"[1-5]\. ", line)]) == 5


@notebooks
def test_its_exercises_are_all_there_and_unsolved(path):
    lesson = lesson_of(path)
    sources = "\n".join(cell.source for cell in code(path))
    assert 3 <= len(lesson.exercises) <= 5
    for number in range(1, len(lesson.exercises) + 1):
        assert f"lesson.question({number})" in sources
        assert f"lesson.check({number}, " in sources
        assert f"lesson.hint({number})" in sources
    outputs = "\n".join(text for cell in code(path) for text in texts(cell))
    assert len(re.findall(r"Exercise \d: not yet right", outputs)) == len(lesson.exercises)
    assert lesson.number == int(path.stem[:2])
    assert stored(path).cells[0].source.splitlines()[0] == f"# {lesson.title}"


@notebooks
def test_nothing_of_this_machine_is_stored(path):
    text = path.read_text()
    assert not re.search(r"/home/|/root/|/work/|/tmp/|site-packages", text)
    assert '"output_type": "error"' not in text


LESSONS = [(path.stem, n) for path in PATHS for n in range(1, len(lesson_of(path).exercises) + 1)]


@pytest.mark.parametrize(("name", "number"), LESSONS)
def test_the_stub_fails_and_the_answer_passes(name, number):
    lesson = lesson_of(NOTEBOOKS / f"{name}.ipynb")
    exercise = lesson.exercises[number - 1]
    assert not lesson.verdict(number, exercise.function(exercise.stub)).passed
    verdict = lesson.verdict(number, exercise.function(exercise.answer))
    assert verdict.passed, str(verdict)
    assert len(exercise.cases) >= 2
    assert exercise.hints
    assert len(verdict.picture.png()) > 1000
