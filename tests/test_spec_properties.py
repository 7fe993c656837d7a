"""Properties over the whole space of operators, arithmetics and numerics: kernels and specification agree.

By default the same examples each time; PTQ_FUZZ=5000 draws so many new ones. A problem that fails is kept for
ever with `python tests/keep_regression.py OPERATOR ARITHMETIC SEED "what was wrong"`,
which writes it in full.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_checks import agree

from ptq.numerics import PRESETS
from ptq.oracle.draw import DRAWS
from ptq.oracle.files import read_vectors
from ptq.oracle.same import same_bits
from ptq.spec import trace
from ptq.spec.rules import Rules

FUZZ = int(os.environ.get("PTQ_FUZZ", "0"))
EXAMPLES = settings(
    max_examples=FUZZ or 400, derandomize=not FUZZ, deadline=None, print_blob=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
REGRESSIONS = Path(__file__).parent / "regressions"

suites = st.sampled_from(sorted(DRAWS))
seeds = st.integers(0, 2**32 - 1)


def drawn(suite, seed):
    return DRAWS[suite].random(np.random.default_rng(seed))


@EXAMPLES
@given(suites, seeds)
def test_kernels_and_specification_agree(suite, seed):
    agree(drawn(suite, seed))


@EXAMPLES
@given(suites, seeds, st.sampled_from(sorted(PRESETS)), st.randoms(use_true_random=False))
def test_the_sheet_of_an_element_ends_with_the_element(suite, seed, preset, random):
    problem = drawn(suite, seed)
    question, rules = problem.question(), Rules(PRESETS[preset])
    output = random.randrange(len(question.outputs))
    place = question.places[output]
    if place.size == 0:
        return
    index = tuple(random.randrange(size) for size in place.shape)
    sheet, value = trace(question, index, output, PRESETS[preset])
    whole = problem.answer(rules)[output]
    assert same_bits(np.asarray(value, whole.dtype), np.asarray(whole[index]))
    last = sheet.lines[-1]
    assert last.name == "output"
    assert last.value == value or value != value
    assert all(line.text or not line.formula for line in sheet.lines)


@pytest.mark.parametrize(
    "case", read_vectors(REGRESSIONS) if REGRESSIONS.is_dir() else [], ids=str
)  # fmt: skip
def test_what_failed_once_is_right_now(case):
    agree(case.problem)
    for answer in case.answers:
        for preset in answer.numerics:
            assert all(map(same_bits, case.problem.run(PRESETS[preset]), answer.outputs))
