"""The committed vectors: current, small, confirmed by the runtimes, right by the kernels, and sharp.

They are written by `ptq vectors --compact --confirm -o tests/vectors`, with the extra `peers` installed.
"""

import json
from functools import cache
from pathlib import Path

import pytest

from ptq.numerics import PRESETS
from ptq.oracle.case import is_exact
from ptq.oracle.confirm import RUNTIMES
from ptq.oracle.draw import DRAWS
from ptq.oracle.files import INDEX, read_vectors
from ptq.oracle.generate import compact, confirmed, generate
from ptq.oracle.mistakes import MISTAKES
from ptq.oracle.same import same_bits

VECTORS = Path(__file__).parent / "vectors"
SUITES = sorted(DRAWS)
NAMES = [f"{operator}-{arithmetic}" for operator, arithmetic in SUITES]
LARGEST = 5_000_000
"""Bytes of all committed vectors."""


@cache
def committed(name):
    return read_vectors(VECTORS / name)


def every_case():
    return [case for name in NAMES for case in committed(name)]


def test_they_are_small_and_complete():
    assert sum(path.stat().st_size for path in VECTORS.rglob("*") if path.is_file()) <= LARGEST
    index = json.loads((VECTORS / INDEX).read_text())
    assert sorted(entry["name"] for entry in index["suites"]) == sorted(NAMES)
    document = Path(__file__).parents[1] / "ptq" / "oracle" / "FORMAT.md"
    assert (VECTORS / "README.md").read_bytes() == document.read_bytes()


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_the_kernels_give_the_committed_answers(suite):
    for case in committed("-".join(suite)):
        for answer in case.answers:
            for preset in answer.numerics:
                found = case.problem.run(PRESETS[preset])
                assert all(map(same_bits, found, answer.outputs)), (case.id, preset)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_they_are_what_the_specification_says_today(suite):
    fresh = compact(generate(suite))
    old = committed("-".join(suite))
    assert [case.id for case in fresh] == [case.id for case in old], "write them anew"
    for new, kept in zip(fresh, old, strict=True):
        assert new.problem.purpose == kept.problem.purpose
        for a, b in zip(new.answers, kept.answers, strict=True):
            assert (a.numerics, a.near, a.catches) == (b.numerics, b.near, b.catches), new.id
            assert all(map(same_bits, a.outputs, b.outputs)), new.id
            for x, y in zip(a.traces, b.traces, strict=True):
                assert list(x) == list(y), new.id
                assert all(same_bits(x[name], y[name]) for name in x), new.id


UNCONFIRMED = {
    "ELU-float": "BUILTIN_REF has no ELU; LiteRT's optimized kernels confirm it",
    "ELU-integer": "the same",
}
"""Suites of which BUILTIN_REF computes nothing, and why."""

DECLINED = {
    "CONV_2D-float": "BUILTIN_REF refuses a CONV_2D without a bias",
    "UNPACK-any": "BUILTIN_REF refuses to unpack INT64",
}
"""Suites of which it computes nearly everything."""


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_answers_of_the_reference_are_confirmed_by_the_reference(suite):
    answers = [
        answer for case in committed("-".join(suite)) for answer in case.answers
        if "LITERT_REFERENCE_ORDERED" in answer.numerics
    ]  # fmt: skip
    confirmed_ones = [answer for answer in answers if "LiteRT reference" in answer.confirmed_by]
    if "-".join(suite) in UNCONFIRMED:
        assert not confirmed_ones
    elif "-".join(suite) in DECLINED:
        assert 0 < len(answers) - len(confirmed_ones) <= 2
    else:
        assert len(confirmed_ones) == len(answers)


def test_all_presets_and_runtimes_have_a_part():
    cases = every_case()
    assert {preset for case in cases for answer in case.answers for preset in answer.numerics} == set(PRESETS)
    names = {name for case in cases for answer in case.answers for name in answer.confirmed_by}
    assert names == {runtime.name for runtime in RUNTIMES}
    for case in cases:
        assert all(is_exact(case.problem, PRESETS[p]) for answer in case.answers for p in answer.numerics)


def test_every_known_mistake_is_caught():
    caught = {title for case in every_case() for answer in case.answers for title in answer.catches}
    assert set(MISTAKES) - caught == set()


def test_boundary_cases_say_what_they_are_for():
    assert all(case.problem.purpose for case in every_case() if case.kind == "boundary")


@pytest.mark.peers
@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_the_runtimes_confirm_today_what_they_are_said_to_confirm(suite):
    for case in committed("-".join(suite)):
        for new, old in zip(confirmed(case).answers, case.answers, strict=True):
            assert new.confirmed_by == old.confirmed_by, case.id
