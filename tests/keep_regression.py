"""Keep a problem that failed: it becomes a case of tests/regressions, in full and for ever.

python tests/keep_regression.py CONV_2D integer 123456 "the zero point of the second group was forgotten"
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ptq.oracle.case import solve
from ptq.oracle.draw import DRAWS
from ptq.oracle.files import MANIFEST, read_vectors, suite_name, write_vectors

REGRESSIONS = Path(__file__).parent / "regressions"


def keep(operator: str, arithmetic: str, seed: int, reason: str) -> str:
    """Add the problem that a seed draws to the regressions of its operator; returns its id."""
    problem = DRAWS[operator, arithmetic].random(np.random.default_rng(seed))
    folder = REGRESSIONS / suite_name(operator, arithmetic)
    known = read_vectors(folder) if (folder / MANIFEST).is_file() else []
    name = f"{suite_name(operator, arithmetic)}-regression-{len(known):03}"
    case = solve(name, "regression", replace(problem, purpose=reason))
    write_vectors(REGRESSIONS, [*known, case])
    return name


if __name__ == "__main__":
    print("kept", keep(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
