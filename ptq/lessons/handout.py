"""The exercises of all lessons, to be handed out, and to be taken back and checked without a notebook."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import ptq.lessons as package
from ptq.errors import InputError
from ptq.lessons.exercise import Exercise, Lesson, Outcome
from ptq.terminal import table


def lessons(numbers: Sequence[int] = ()) -> list[Lesson]:
    """The lessons of these numbers, or all: what the modules of this package call `lesson`.

    InputError for a number that no lesson has.
    """
    modules = (m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    loaded = [import_module(f"{package.__name__}.{name}") for name in modules]
    found = sorted((m.lesson for m in loaded if hasattr(m, "lesson")), key=lambda lesson: lesson.number)
    unknown = sorted(set(numbers) - {lesson.number for lesson in found})
    if unknown:
        raise InputError(f"lesson {unknown[0]} found, expected one of 0 to {found[-1].number}")
    return [lesson for lesson in found if not numbers or lesson.number in numbers]


def markdown(lesson: Lesson, hints: bool = False, answers: bool = False) -> str:
    """The exercises of a lesson as Markdown, with hints and answers only where they are asked for."""
    parts = [f"## Lesson {lesson.number}. {lesson.title}"]
    for number, exercise in enumerate(lesson.exercises, 1):
        parts.append(str(lesson.question(number)))
        if hints:
            said = [f"* Hint {n}: {hint}" for n, hint in enumerate(exercise.hints, 1)]
            parts.append("\n".join(said))
        if answers:
            parts.append(f"Answer:\n\n{lesson.answer(number)!s}")
    return "\n\n".join(parts)


def python(lesson: Lesson) -> str:
    """The exercises of a lesson as a Python file to be completed: the questions are comments."""
    parts = [
        f"# Lesson {lesson.number}. {lesson.title}\n#\n"
        f"# Complete the functions, and check them: python -m ptq.lessons {lesson.number} --check THIS_FILE\n"
        '# (What a question calls "there" is there when the file is checked.)\n\nimport numpy as np'
    ]
    for number, exercise in enumerate(lesson.exercises, 1):
        text = f"Exercise {number}. {exercise.title}\n{exercise.question.strip()}"
        comment = "\n".join(f"# {line}".rstrip() for line in text.splitlines())
        parts.append(f"{comment}\n{exercise.stub.strip()}")
    return "\n\n\n".join(parts) + "\n"


@dataclass(frozen=True)
class HandIn:
    """A file that somebody handed in, and the outcome of each exercise: a sentence where there is none."""

    name: str
    outcomes: Sequence[Outcome | str]

    @property
    def passed(self) -> bool:
        """Whether all exercises are right."""
        return all(map(_passed, self.outcomes))

    def row(self) -> list[str]:
        """Right cases of all for each exercise, and how many exercises are right."""
        cells = ["-" if isinstance(o, str) else f"{o.right}/{o.total}" for o in self.outcomes]
        return [self.name, *cells, f"{sum(map(_passed, self.outcomes))} of {len(self.outcomes)}"]


def check(lesson: Lesson, path: Path) -> HandIn:
    """Run a file and check the functions that it defines, by their names. InputError if it is not there."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a Python file") from error
    outcomes = [_outcome(lesson, number, source, path) for number in range(1, len(lesson.exercises) + 1)]
    return HandIn(path.name, outcomes)


def result_table(lesson: Lesson, files: Sequence[HandIn]) -> str:
    """A row for each file, and below it a line for each exercise that is not yet right."""
    header = ["", *map(str, range(1, len(lesson.exercises) + 1)), "right"]
    notes = [f"{file.name}: {o!s}" for file in files for o in file.outcomes if not _passed(o)]
    return "\n".join([table(header, [file.row() for file in files], set(header[1:])), "", *notes]).rstrip()


def _outcome(lesson: Lesson, number: int, source: bytes, path: Path) -> Outcome | str:
    exercise = lesson.exercises[number - 1]
    try:
        function = _defined(exercise, source, path)
    except (Exception, SystemExit) as error:  # whatever a learner's file does wrong
        return f"Exercise {number}: the file does not run; {type(error).__name__}: {error}"
    if not callable(function):
        return f"Exercise {number}: no function {exercise.name} found"
    return lesson.outcome(number, function)


def _defined(exercise: Exercise, source: bytes, path: Path) -> Any:
    names: dict[str, Any] = {"np": np, "__name__": path.stem, **exercise.setup}
    given = names.get(exercise.name)
    exec(compile(source, str(path), "exec"), names)
    found = names.get(exercise.name)
    return None if found is given else found


def _passed(outcome: Outcome | str) -> bool:
    return isinstance(outcome, Outcome) and outcome.passed
