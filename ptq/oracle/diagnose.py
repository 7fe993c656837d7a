"""Why a foreign result differs: the known other rules are tried until one gives the very same result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ptq.graph import Array
from ptq.numerics import PRESETS, Numerics
from ptq.oracle.alternatives import answers_by, applicable, rules_of
from ptq.oracle.case import Case
from ptq.oracle.mistakes.core import Mistake
from ptq.oracle.same import differing, same_bits
from ptq.spec.rules import Rules

MOST_PAIRS = 60
"""How many pairs of mistakes are tried together where none explains the result alone."""

Results = Mapping[str, Sequence[Array]]
"""Somebody's results by the id of the case: the outputs, then the new values of the states, if any."""


@dataclass(frozen=True)
class Cause:
    """A rule that explains results: what it is called, what it does, and how much it explains.

    explained: the cases in which it gives the very result that was found, of `wrong` ones; contradicted:
    right cases that it would have made wrong.
    """

    title: str
    sentence: str
    explained: tuple[str, ...]
    wrong: int
    contradicted: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether it explains everything that is wrong, and spoils nothing that is right."""
        return len(self.explained) == self.wrong and not self.contradicted

    def __str__(self) -> str:
        share = (
            f"all {self.wrong}"
            if len(self.explained) == self.wrong
            else f"{len(self.explained)} of {self.wrong}"
        )
        text = (
            f"{self.title}: your kernel {self.sentence}; this gives your very result in {share} wrong cases"
        )
        if self.contradicted:
            text += f", but would change {len(self.contradicted)} that are right"
        return text


@dataclass(frozen=True)
class Candidate:
    """Rules that might be somebody's."""

    title: str
    sentence: str
    rules: type[Rules]
    numerics: Numerics


def likely_causes(cases: Sequence[Case], found: Results, wrong: Sequence[str], numerics: str) -> list[Cause]:
    """The rules that explain wrong results, the best first; pairs of mistakes where no single one does.

    cases: all that were checked. wrong: the ids of those whose results differ. numerics: what was expected.
    """
    damaged = [case for case in cases if case.id in wrong]
    right = [case for case in cases if case.id not in wrong]
    causes = _weighed(_candidates(damaged, PRESETS[numerics]), damaged, right, found)
    if not causes:
        causes = _weighed(_pairs(damaged, PRESETS[numerics], found), damaged, right, found)
    if not causes:
        causes = [cause for cause in (_rearranged(damaged, found, numerics),) if cause is not None]
    return sorted(
        causes, key=lambda cause: (-len(cause.explained), len(cause.contradicted), len(cause.title))
    )


def _candidates(damaged: Sequence[Case], expected: Numerics) -> Iterator[Candidate]:
    for preset in PRESETS.values():
        if preset is not expected:
            yield Candidate(f"the rules of {preset.name}", f"computes as {preset.name} does", Rules, preset)
    mistakes = {
        m.title: m for case in damaged for m in applicable(rules_of(case.problem.question(), expected))
    }
    for title, mistake in mistakes.items():
        yield Candidate(title, _sentence(mistake), mistake, expected)


def _pairs(damaged: Sequence[Case], expected: Numerics, found: Results) -> Iterator[Candidate]:
    """Two mistakes at once, those first that alone come near the result of the first wrong case."""
    case = damaged[0]
    mistakes = applicable(rules_of(case.problem.question(), expected))
    right = case.answer(expected.name).outputs
    distances = {m.title: _distance(case, m(expected), found[case.id], right) for m in mistakes}
    near = sorted(mistakes, key=lambda mistake: distances[mistake.title])
    for number, (a, b) in enumerate(combinations(near, 2)):
        if number >= MOST_PAIRS:
            return
        try:
            both = type("Both", (a, b), {})
        except TypeError:  # one is the other's base
            continue
        yield Candidate(f"{a.title}, and {b.title}", f"{_sentence(a)}, and {_sentence(b)}", both, expected)


def _distance(case: Case, rules: Rules, found: Sequence[Array], right: Sequence[Array]) -> float:
    """The share of elements that these rules leave unexplained; 1 where they change nothing."""
    answers = answers_by(case.problem, rules)
    if answers is None or all(map(same_bits, answers, right)):
        return 1.0
    total = sum(a.size for a in answers)
    return sum(float(differing(f, a).sum()) for f, a in zip(found, answers, strict=False)) / max(total, 1)


def _weighed(
    candidates: Iterator[Candidate], damaged: Sequence[Case], right: Sequence[Case], found: Results
) -> list[Cause]:
    causes: list[Cause] = []
    for candidate in candidates:
        explained = [case.id for case in damaged if _explains(candidate, case, found)]
        if not explained:
            continue
        contradicted = tuple(case.id for case in right if not _explains(candidate, case, found))
        causes.append(
            Cause(candidate.title, candidate.sentence, tuple(explained), len(damaged), contradicted)
        )
    return causes


def _explains(candidate: Candidate, case: Case, found: Results) -> bool:
    answers = answers_by(case.problem, candidate.rules(candidate.numerics))
    return answers is not None and all(map(same_bits, found[case.id], answers))


def _rearranged(damaged: Sequence[Case], found: Results, numerics: str) -> Cause | None:
    """A cause that lies outside of the arithmetic: a constant difference, or elements in another order."""
    for title, sentence, fits in (
        ("a constant offset", "adds the same number to every element", _is_offset),
        ("another layout", "writes the right elements in another order", _is_permuted),
    ):
        explained = [
            case.id for case in damaged
            if all(map(fits, found[case.id], case.answer(numerics).outputs))
        ]  # fmt: skip
        if explained:
            return Cause(title, sentence, tuple(explained), len(damaged))
    return None


def _is_offset(found: Array, expected: Array) -> bool:
    return bool(
        found.size > 1
        and found.dtype.kind in "iu"
        and np.unique(found.astype(np.int64) - expected.astype(np.int64)).size == 1
    )


def _is_permuted(found: Array, expected: Array) -> bool:
    return bool(
        np.unique(expected).size > 2
        and np.array_equal(np.sort(found.reshape(-1)), np.sort(expected.reshape(-1)))
    )


def _sentence(mistake: type[Mistake]) -> str:
    return " ".join((mistake.__doc__ or "").split()).rstrip(".")
