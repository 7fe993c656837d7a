"""The vectorised kernels against the scalar specification: every operator and preset, bit for bit."""

import numpy as np
import pytest
from spec_checks import agree

from ptq.oracle.draw import DRAWS
from ptq.spec import ELEMENTS

RANDOM = 12
"""Random problems of each operator; the property tests draw more."""

SUITES = sorted(DRAWS)
NAMES = [f"{operator}-{arithmetic}" for operator, arithmetic in SUITES]


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_boundary_problems_have_a_purpose_and_agree(suite):
    problems = list(DRAWS[suite].boundary())
    assert problems
    for problem in problems:
        assert (problem.operator, problem.arithmetic) == suite
        assert problem.purpose
        agree(problem)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_random_problems_agree(suite):
    rng = np.random.default_rng(5)
    for _ in range(RANDOM):
        problem = DRAWS[suite].random(rng)
        assert (problem.operator, problem.arithmetic) == suite
        agree(problem)


def test_every_operator_with_a_specification_is_drawn():
    drawn = {(operator, "float" if kind == "any" else kind) for operator, kind in DRAWS}
    specified = {(operator, kind) for kind, operators in ELEMENTS.items() for operator in operators}
    assert specified == drawn
