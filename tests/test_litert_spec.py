"""The scalar specification against the runtimes: LiteRT's reference kernels, XNNPACK, tflite-micro.

An answer of LITERT_REFERENCE must be the one of BUILTIN_REF wherever that has a kernel for the problem.
"""

import numpy as np
import pytest

from ptq.errors import UnsupportedError
from ptq.numerics import LITERT_REFERENCE_ORDERED, TFLITE_MICRO
from ptq.oracle.confirm import RUNTIMES
from ptq.oracle.draw import DRAWS
from ptq.oracle.same import same_bits
from ptq.spec.rules import Rules

pytestmark = pytest.mark.peers

RANDOM = 12
SUITES = sorted(DRAWS)
NAMES = [f"{operator}-{arithmetic}" for operator, arithmetic in SUITES]
REFERENCE, MICRO = RUNTIMES[0], RUNTIMES[3]


def problems(suite):
    rng = np.random.default_rng(6)
    return [*DRAWS[suite].boundary(), *(DRAWS[suite].random(rng) for _ in range(RANDOM))]


def compared(suite, runtime, numerics):
    """How many problems the runtime computes, all of them as the specification does."""
    count = 0
    for problem in problems(suite):
        try:
            problem.run(numerics)
            found = runtime.run(problem)
        except (UnsupportedError, RuntimeError, ValueError):  # not both have it
            continue
        expected = problem.answer(Rules(numerics))
        assert all(map(same_bits, found, expected)), problem
        count += 1
    return count


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_litert_confirms(suite):
    assert compared(suite, REFERENCE, LITERT_REFERENCE_ORDERED) or suite[0] in ("ELU",)


@pytest.mark.parametrize("suite", SUITES, ids=NAMES)
def test_micro_confirms_where_it_has_the_operator(suite):
    compared(suite, MICRO, TFLITE_MICRO)
