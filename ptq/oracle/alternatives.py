"""Which other rules could have been meant: the known mistakes, as far as a problem meets their rule."""

from __future__ import annotations

from typing import Any

from ptq.errors import PtqError
from ptq.graph import Array
from ptq.numerics import Numerics
from ptq.oracle.mistakes import MISTAKES
from ptq.oracle.mistakes.core import Mistake
from ptq.oracle.problem import Problem
from ptq.spec import answer
from ptq.spec.question import Question
from ptq.spec.rules import Rules

RULES = frozenset(name for name in dir(Rules) if not name.startswith("_"))


class _Watched(Rules):
    """Remembers which of its rules are asked for."""

    def __init__(self, numerics: Numerics) -> None:
        super().__init__(numerics)
        self.asked: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if name in RULES:
            object.__getattribute__(self, "asked").add(name)
        return object.__getattribute__(self, name)


def rules_of(question: Question, numerics: Numerics) -> set[str]:
    """The names of the rules by which a question is answered."""
    watched = _Watched(numerics)
    answer(question, watched)
    return watched.asked


def applicable(asked: set[str]) -> list[type[Mistake]]:
    """The mistakes in rules that are asked for."""
    return [mistake for mistake in MISTAKES.values() if asked.intersection(overridden(mistake))]


def answers_by(problem: Problem, rules: Rules) -> list[Array] | None:
    """What these rules answer; None where they lead to no number at all, as a mistake may."""
    try:
        return problem.answer(rules)
    except (PtqError, ArithmeticError, ValueError, IndexError, TypeError, KeyError):
        return None


def overridden(mistake: type[Mistake]) -> set[str]:
    """The rules that a mistake replaces."""
    return {
        name
        for kind in mistake.__mro__
        if issubclass(kind, Mistake) and kind is not Mistake
        for name in vars(kind)
        if name in RULES
    }
