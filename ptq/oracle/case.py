"""A test vector: a problem, the right answers, and what each of them tells apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ptq.errors import InputError, QuantizationError, UnsupportedError
from ptq.graph import DTYPES, Array
from ptq.numerics import PRESETS, Numerics
from ptq.oracle.alternatives import answers_by, applicable, rules_of
from ptq.oracle.problem import Problem
from ptq.oracle.same import same_bits
from ptq.oracle.traces import evaluate
from ptq.spec.rules import Rules

ORDER_BOUND = "order_bound"
"""The step that says how far another order of float sums may lead from the ordered one."""


@dataclass(frozen=True)
class Answer:
    """What some numerics answer to a problem.

    numerics: the presets whose answer this is, bit for bit. near: presets that leave the order of float sums
    open; theirs differs by at most the trace's `order_bound`. outputs: then the new values of the states.
    traces: for each output, its steps. catches: the titles of the mistakes that would change the answer.
    confirmed_by: the runtimes that computed the same bits.
    """

    numerics: tuple[str, ...]
    outputs: Sequence[Array]
    traces: Sequence[Mapping[str, Array]] = ()
    near: tuple[str, ...] = ()
    catches: tuple[str, ...] = ()
    confirmed_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A problem with its answers. kind: "boundary", "random" or "regression"."""

    id: str
    kind: str
    problem: Problem
    answers: Sequence[Answer] = field(default_factory=list)

    def __str__(self) -> str:
        return self.id

    def answer(self, numerics: str) -> Answer:
        """The answer of a preset; InputError if the case has none for it."""
        for answer in self.answers:
            if numerics in (*answer.numerics, *answer.near):
                return answer
        known = ", ".join(name for answer in self.answers for name in (*answer.numerics, *answer.near))
        raise InputError(f"case {self.id}: numerics '{numerics}' found, expected one of {known}")

    def has(self, numerics: str) -> bool:
        """Whether a preset has an answer."""
        return any(numerics in (*answer.numerics, *answer.near) for answer in self.answers)


def solve(id: str, kind: str, problem: Problem, presets: Sequence[Numerics] = ()) -> Case:
    """The case of a problem: each preset's answer by the specification, and what it catches.

    Presets that ptq's kernels refuse, as the library that they follow has no such kernel or no such scale,
    are
    left out.
    """
    answers: list[Answer] = []
    for preset in presets or PRESETS.values():
        try:
            problem.run(preset)
        except (UnsupportedError, QuantizationError):
            continue
        answers = _with(answers, _answer(problem, preset), exact=is_exact(problem, preset))
    return Case(id, kind, problem, [_catching(problem, answer) for answer in answers])


def is_exact(problem: Problem, numerics: Numerics) -> bool:
    """Whether numerics determine every bit: not where BLAS chooses an order of sums that round."""
    return problem.order_free or numerics.float_sums == "ordered"


def _answer(problem: Problem, numerics: Numerics) -> Answer:
    question = problem.question()
    values, traces = evaluate(question, Rules(numerics))
    outputs = [
        np.array(v, DTYPES[place.type]).reshape(place.shape)
        for v, place in zip(values, question.places, strict=True)
    ]
    return Answer((numerics.name,), outputs, traces)


def _with(answers: list[Answer], new: Answer, exact: bool) -> list[Answer]:
    """The answers with one more, joined to an equal one. (Of its trace the first preset's is kept.)"""
    for position, old in enumerate(answers):
        if all(map(same_bits, old.outputs, new.outputs)):
            names = (*old.numerics, *new.numerics) if exact else old.numerics
            near = old.near if exact else (*old.near, *new.numerics)
            return [
                *answers[:position],
                Answer(names, old.outputs, old.traces, near),
                *answers[position + 1 :],
            ]
    return [*answers, new if exact else Answer((), new.outputs, new.traces, new.numerics)]


def _catching(problem: Problem, answer: Answer) -> Answer:
    """The answer with the mistakes that would change it, by the rules of any of its presets."""
    question = problem.question()
    titles: dict[str, None] = {}
    seen: list[set[str]] = []
    for numerics in (PRESETS[name] for name in (*answer.numerics, *answer.near)):
        asked = rules_of(question, numerics)
        if asked in seen:  # the same rules: the same mistakes
            continue
        seen.append(asked)
        for mistake in applicable(asked):
            if not _unchanged(answers_by(problem, mistake(numerics)), answer):
                titles[mistake.title] = None
    return replace(answer, catches=tuple(titles))


def _unchanged(found: Sequence[Array] | None, answer: Answer) -> bool:
    return found is not None and all(map(same_bits, found, answer.outputs))


def by_suite(cases: Sequence[Case]) -> Iterator[tuple[tuple[str, str], list[Case]]]:
    """The cases of each operator and arithmetic, in their order."""
    suites: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        suites.setdefault((case.problem.operator, case.problem.arithmetic), []).append(case)
    yield from suites.items()
