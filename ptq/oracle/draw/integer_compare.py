"""Problems of EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL on quantized operands."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Draw, Random, near, pick, zero_point
from ptq.oracle.draw.quantized import TYPES, any_scale, column, problem, row, two_shapes, values
from ptq.oracle.problem import Problem

RELATIONS = {
    "EQUAL": "equal", "NOT_EQUAL": "different", "LESS": "less", "LESS_EQUAL": "less or equal",
    "GREATER": "greater", "GREATER_EQUAL": "greater or equal",
}  # fmt: skip


def _random(operator: str, rng: Random) -> Problem:
    """Scales below 1; int16 is ordered with one scale for both operands, as the runtime ignores them."""
    dtype = pick(rng, TYPES)
    a = min(any_scale(rng), 0.999)
    b = min(float(near(rng, a, -2, 2)), 0.999)
    za, zb = zero_point(rng, dtype), zero_point(rng, dtype)
    if rng.random() < 0.2 or (dtype == np.int16 and operator not in ("EQUAL", "NOT_EQUAL")):
        b, zb = a, za
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    return problem(operator, [(x, a, za), (y, b, zb)], None)


def _boundary(operator: str) -> Iterable[Problem]:
    what = RELATIONS[operator]
    yield problem(
        operator, [(column([-100, -4, 3, 10, 60]), 0.5, 3), (row([-100, -13, 1, 15, 41, 127]), 0.25, 1)],
        None,
        f"{what} as reals: operands of two scales and zero points",
    )  # fmt: skip
    yield problem(
        operator, [(column([-3, -1, 0, 1, 2, 3]), 0.001, 0), (row([-3, -2, -1, 0, 1, 2, 3]), 0.001, 0)], None,
        f"{what} in steps of 1/256: with a scale far below, neighbouring integers are equal",
    )  # fmt: skip
    yield problem(
        operator, [(column([0, 127, 128, 255], np.uint8), 0.5, 128), (row([0, 127, 128, 255], np.uint8),
        0.5, 128)],
        None, f"{what} on uint8, whose integers from 128 on are no negative numbers",
    )  # fmt: skip
    square = np.array([[1, 5, 9], [2, 6, 7], [8, 3, 4]], np.int8)
    yield problem(
        operator, [(square, 0.5, 0), (row([1, 6, 4]), 0.5, 0)], None,
        "three numbers meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip
    wide = [-32768, -1, 0, 1, 2, 32767]
    kept = "in steps of 1/256 all the same" if operator in ("EQUAL", "NOT_EQUAL") else "as they are"
    yield problem(
        operator, [(column(wide, np.int16), 0.001, 0), (row(wide, np.int16), 0.001, 0)], None,
        f"int16 of one scale are compared {kept}",
    )  # fmt: skip


def _draw(operator: str) -> Draw:
    return Draw(lambda: _boundary(operator), lambda rng: _random(operator, rng))


INTEGER = {operator: _draw(operator) for operator in RELATIONS}
