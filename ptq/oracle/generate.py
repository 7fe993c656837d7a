"""Which test vectors there are: boundary cases first, then as many random ones as are wanted, by a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from zlib import crc32

import numpy as np

from ptq.errors import InputError
from ptq.numerics import PRESETS, Numerics
from ptq.oracle.apart import done_apart
from ptq.oracle.case import Case, solve
from ptq.oracle.confirm import RUNTIMES, Runtime, confirmed_by
from ptq.oracle.draw import DRAWS
from ptq.oracle.problem import Problem

Suite = tuple[str, str]


def suites(operator: str | None = None, arithmetic: str | None = None) -> list[Suite]:
    """The operators and arithmetics that match, all by default; InputError if none does."""
    found = [
        (name, kind) for name, kind in sorted(DRAWS)
        if (operator is None or name == operator.upper()) and arithmetic in (None, kind)
    ]  # fmt: skip
    if found:
        return found
    operators = sorted({suite[0] for suite in DRAWS})
    if operator is not None and operator.upper() not in operators:
        raise InputError(
            f"operator '{operator}': no test vectors found, expected one of {', '.join(operators)}"
        )
    kinds = sorted({suite[1] for suite in DRAWS if operator is None or suite[0] == operator.upper()})
    raise InputError(f"{operator}: arithmetic '{arithmetic}' found, expected one of {', '.join(kinds)}")


def problems(suite: Suite, random: int, seed: int = 0) -> Iterator[tuple[str, str, Problem]]:
    """(id, kind, problem): all boundary problems, then that many random ones."""
    name = f"{suite[0]}-{suite[1]}"
    for number, problem in enumerate(DRAWS[suite].boundary()):
        yield f"{name}-boundary-{number:03}", "boundary", problem
    # a generator of its own for each operator: what others draw does not change it
    rng = np.random.default_rng([seed, crc32(name.encode())])
    for number in range(random):
        yield f"{name}-random-{number:03}", "random", DRAWS[suite].random(rng)


def generate(
    suite: Suite, random: int = 4, seed: int = 0, numerics: Sequence[Numerics] = (), confirm: bool = False
) -> list[Case]:
    """The cases of a suite, with the answers of the wanted numerics (default: all presets).

    confirm: whether to run each in every installed runtime. Problems that none of the numerics compute are
    left out.
    """
    cases = [solve(id, kind, problem, numerics or tuple(PRESETS.values())) for id, kind, problem in
             problems(suite, random, seed)]  # fmt: skip
    cases = [case for case in cases if case.answers]
    return [confirmed(case) for case in cases] if confirm else cases


def confirmed(case: Case, runtimes: Sequence[Runtime] = RUNTIMES) -> Case:
    """The case with the runtimes that computed each answer; one that ends its process confirms nothing."""
    present = [runtime for runtime in runtimes if runtime.version is not None]

    def agreeing(some: Sequence[Runtime]) -> list[list[str]]:
        """For each answer the names of the runtimes that have it."""
        return [
            [r.name for r in some if confirmed_by(r, case.problem, list(answer.outputs))]
            for answer in case.answers
        ]

    names = done_apart(partial(agreeing, present))
    if names is None:  # which of them was it?
        alone = [done_apart(partial(agreeing, [runtime])) for runtime in present]
        found = [names for names in alone if names is not None]
        names = [[name for names in found for name in names[n]] for n in range(len(case.answers))]
    answers = [replace(a, confirmed_by=tuple(n)) for a, n in zip(case.answers, names, strict=True)]
    return replace(case, answers=answers)


def compact(cases: Sequence[Case], at_least: int = 2) -> list[Case]:
    """All boundary cases, and those random ones that catch what none before does, but `at_least` so many."""
    kept: list[Case] = []
    caught: set[str] = set()
    spare = at_least
    for case in cases:
        new = {title for answer in case.answers for title in answer.catches} - caught
        if case.kind == "boundary" or new or spare > 0:
            spare -= case.kind != "boundary"
            kept.append(case)
            caught |= new
    return kept
