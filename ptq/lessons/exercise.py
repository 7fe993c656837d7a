"""Exercises: a question, hints, an answer that runs, and a check that draws the target and yours.

    lesson.question(1)              what is asked, and the function to complete
    lesson.check(1, my_function)    right or wrong, drawn
    lesson.wrong(1, my_function)    the cases that are not right yet, with what was expected
    lesson.hint(1); lesson.answer(1)

Question, hints and answer come from one place, and a test holds them together: the stub must fail its check,
and the answer must pass it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptq.errors import InputError
from ptq.lessons.note import case_lines, note, same
from ptq.plot.picture import Picture
from ptq.plot.targets import target_and_yours


def round_half_away(y: float) -> int:
    """The nearest integer, ties away from zero, as the notebooks write it and exercises may use it."""
    return math.floor(abs(y) + 0.5) * (1 if y >= 0 else -1)


HALF_AWAY = {"round_half_away": round_half_away}
"""The setup of exercises that round."""


class Text:
    """Markdown that a notebook shows as such, and a terminal as it is."""

    def __init__(self, markdown: str) -> None:
        self.markdown = markdown

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown


@dataclass(frozen=True)
class Exercise:
    """One exercise: complete a function.

    title, question: Markdown. stub, answer: Python source of the same function, incomplete and complete.
    hints: each says a little more. cases: the arguments with which both are called. setup: names that the
    sources use. unit: what a result is counted in ("LSB"). draw: a picture of other cases than numbers, from
    (cases, targets, results); by default `target_and_yours`.
    """

    title: str
    question: str
    stub: str
    answer: str
    hints: Sequence[str]
    cases: Sequence[tuple[Any, ...]]
    setup: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "LSB"
    draw: Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], Picture] | None = None

    def function(self, source: str) -> Callable[..., Any]:
        """The function that a source defines: the last one in it."""
        names: dict[str, Any] = {"np": np, **self.setup}
        before = set(names)
        exec(compile(source, f"<{self.title}>", "exec"), names)
        functions = [v for k, v in names.items() if k not in before and callable(v)]
        if not functions:
            raise InputError(f"exercise '{self.title}': a source without a function found")
        solution: Callable[..., Any] = functions[-1]
        return solution

    @property
    def name(self) -> str:
        """The name of the function that is to be completed."""
        name: str = self.function(self.stub).__name__
        return name

    def results(self, function: Callable[..., Any]) -> list[Any]:
        """What a function gives for each case: a value, or the error that it raised."""
        found = []
        for arguments in self.cases:
            copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
            try:
                found.append(function(*copies))
            except Exception as error:  # whatever a learner's function does wrong
                found.append(error)
        return found

    def compare(self, function: Callable[..., Any]) -> tuple[list[Any], list[Any], list[bool]]:
        """The answer's results, the function's, and for each case whether they are the same."""
        targets, found = self.results(self.function(self.answer)), self.results(function)
        return targets, found, [same(a, b) for a, b in zip(found, targets, strict=True)]


@dataclass(frozen=True)
class Outcome:
    """Of a check: how many cases are right; prints as a sentence."""

    number: int
    right: int
    total: int
    note: str

    @property
    def passed(self) -> bool:
        """Whether all cases are right."""
        return self.right == self.total

    def __str__(self) -> str:
        state = "right" if self.passed else "not yet right"
        return f"Exercise {self.number}: {state}, {self.right} of {self.total} cases{self.note}"


@dataclass(frozen=True)
class Verdict(Outcome):
    """An outcome with its picture: the targets beside what was found."""

    picture: Picture


@dataclass(frozen=True)
class Lesson:
    """The exercises of one notebook. number: that of the notebook; title: its question."""

    number: int
    title: str
    exercises: Sequence[Exercise]

    def question(self, number: int) -> Text:
        """What exercise `number` asks for (the first is 1), with the function to complete."""
        exercise = self._exercise(number)
        code = f"```python\n{exercise.stub.strip()}\n```"
        return Text(f"**Exercise {number}. {exercise.title}** {exercise.question.strip()}\n\n{code}")

    def hint(self, number: int, which: int = 1) -> Text:
        """A hint; `which` 2, 3, ... say more, if there are more."""
        hints = self._exercise(number).hints
        if not 1 <= which <= len(hints):
            return Text(
                f"Exercise {number} has {len(hints)} hints; lesson.answer({number}) shows the answer."
            )
        return Text(f"Hint {which} of {len(hints)}: {hints[which - 1]}")

    def answer(self, number: int) -> Text:
        """The answer, as Python that passes the check."""
        return Text(f"```python\n{self._exercise(number).answer.strip()}\n```")

    def check(self, number: int, function: Callable[..., Any]) -> Picture:
        """Say whether a function is right, and draw the target beside its results."""
        verdict = self.verdict(number, function)
        print(verdict)
        return verdict.picture

    def wrong(self, number: int, function: Callable[..., Any], most: int = 5) -> Text:
        """The first cases that are not right yet: the arguments, what came out, and what was expected."""
        exercise = self._exercise(number)
        targets, found, fits = exercise.compare(function)
        wrong = [case for case, fit in enumerate(fits) if not fit]
        shown = [
            line
            for case in wrong[:most]
            for line in case_lines(exercise.name, case + 1, exercise.cases[case], found[case], targets[case])
        ]
        more = [f"and {len(wrong) - most} more"] if len(wrong) > most else []
        return Text("\n".join(["```text", *(shown + more or ["no case is wrong"]), "```"]))

    def verdict(self, number: int, function: Callable[..., Any]) -> Verdict:
        """Compare a function's results with the answer's: integers exactly, floats bit for bit."""
        exercise = self._exercise(number)
        targets, found, fits = exercise.compare(function)
        draw = exercise.draw or (lambda cases, a, b: target_and_yours(cases, a, b, exercise.unit))
        picture = draw(exercise.cases, targets, found)
        said = note(exercise.name, exercise.cases, targets, found, fits)
        return Verdict(number, sum(fits), len(fits), said, picture)

    def outcome(self, number: int, function: Callable[..., Any]) -> Outcome:
        """The same without the picture, and without matplotlib."""
        exercise = self._exercise(number)
        targets, found, fits = exercise.compare(function)
        said = note(exercise.name, exercise.cases, targets, found, fits)
        return Outcome(number, sum(fits), len(fits), said)

    def _exercise(self, number: int) -> Exercise:
        if not 1 <= number <= len(self.exercises):
            raise InputError(f"exercise {number} found, expected 1 to {len(self.exercises)}")
        return self.exercises[number - 1]
