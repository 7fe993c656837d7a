"""Problems of comparisons, of LOGICAL_AND, OR and NOT, and of SELECT."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Draw, Random, pick, shape_of
from ptq.oracle.draw.elementwise import GRID, broadcasts, every_pair
from ptq.oracle.draw.plain import any_shape, floats, problem, two_shapes, values
from ptq.oracle.problem import Problem

ORDERED = ("float32", "float16", "int16", "int32", "int64")
COMPARED: dict[str, tuple[str, ...]] = {
    "EQUAL": (*ORDERED, "bool"),
    # (on int16 the reference leaves the output of NOT_EQUAL unwritten)
    "NOT_EQUAL": ("float32", "float16", "int32", "int64", "bool"),
    **dict.fromkeys(("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), ORDERED),
}
CHOSEN = (
    "float32", "float16", "bool", "int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
)  # fmt: skip
YES = np.array([True, False, True])


def comparison(operator: str) -> Draw:
    """The problems of a comparison."""

    def boundary() -> Iterable[Problem]:
        odd = floats(0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.5)
        yield problem(
            operator, every_pair(odd), np.bool_, "-0 equals 0, and NaN neither equals anything nor is ordered"
        )
        close = floats(1.0, 1.0000001, 16777216.0, 16777218.0)
        yield problem(
            operator, every_pair(close), np.bool_, "neighbouring floats differ: there is no tolerance"
        )
        yield from broadcasts(operator, np.bool_)
        yield problem(operator, [GRID, GRID.T], np.bool_, "a matrix and its transpose")
        for name in COMPARED[operator][1:]:
            if name == "float16":
                x = np.array([0.0, -0.0, np.nan, np.inf, 65504, -2], np.float16)
            elif name == "bool":
                x = np.array([False, True])
            else:
                limits = np.iinfo(name)
                x = np.array([limits.min, limits.max, limits.max - 1, 0, -1], name)
            what = (
                "neighbours that float32 cannot tell apart"
                if name in ("int32", "int64")
                else "all of its ends"
            )
            yield problem(operator, every_pair(x), np.bool_, f"{name}: {what}")

    def random(rng: Random) -> Problem:
        name = pick(rng, COMPARED[operator])
        return problem(operator, [values(rng, shape, name) for shape in two_shapes(rng)], np.bool_)

    return Draw(boundary, random)


def connective(operator: str) -> Draw:
    """The problems of LOGICAL_AND and LOGICAL_OR."""

    def boundary() -> Iterable[Problem]:
        yield problem(operator, every_pair(np.array([False, True])), purpose="the whole table of truth")
        yield problem(
            operator, [np.array([[True, True], [False, False]]), np.array([True, False])],
            purpose="broadcasting: a row belongs to the last dimension",
        )  # fmt: skip

    def random(rng: Random) -> Problem:
        return problem(operator, [values(rng, shape, "bool") for shape in two_shapes(rng)])

    return Draw(boundary, random)


def not_boundary() -> Iterable[Problem]:
    """Both values."""
    yield problem("LOGICAL_NOT", [np.array([False, True])], purpose="both values of bool")


def select_boundary() -> Iterable[Problem]:
    """Conditions of all three shapes."""
    condition = np.array([[True, False, True], [False, False, True], [True, True, False]])
    yield problem("SELECT", [condition, GRID, -GRID], np.float32, "element by element")
    yield problem(
        "SELECT", [YES, GRID, -GRID], np.float32, "a condition with one dimension chooses rows, not columns"
    )
    yield problem(
        "SELECT", [YES[:2], np.ones((2, 3, 2), np.int32), np.zeros((2, 3, 2), np.int32)], np.int32,
        "it chooses along the first dimension, which is no other's size",
    )  # fmt: skip
    yield problem("SELECT", [np.array(False), GRID, -GRID], np.float32, "a scalar chooses everything")
    odd = floats(np.nan, np.inf, -0.0)
    yield problem(
        "SELECT", [YES, odd, -odd], np.float32, "what is not chosen leaves no trace: no product with 0 or 1"
    )
    yield problem(
        "SELECT", [np.ones((1, 1), np.bool_), np.ones(1, np.int8), np.zeros((1, 1, 1), np.int8)], np.int8,
        "three single elements, whatever dimensions they have: the first value's count",
    )  # fmt: skip


def select_random(rng: Random) -> Problem:
    """Values of any type."""
    shape, name = any_shape(rng), pick(rng, CHOSEN)
    condition = values(rng, pick(rng, [shape, shape[:1], ()]), "bool")
    return problem("SELECT", [condition, values(rng, shape, name), values(rng, shape, name)], name)


def select_v2_boundary() -> Iterable[Problem]:
    """All three operands broadcast."""
    column = np.array([[True], [False], [True]])
    yield problem(
        "SELECT_V2",
        [YES, GRID, -GRID],
        np.float32,
        "a condition with one dimension chooses columns, not rows",
    )
    yield problem(
        "SELECT_V2", [column, GRID, floats(0.5)], np.float32, "one value for all that is not chosen"
    )
    yield problem(
        "SELECT_V2", [YES, np.array([[1], [2], [3]], np.int64), np.array([[[7]], [[8]]], np.int64)], np.int64,
        "all three are repeated to a shape that none of them has",
    )  # fmt: skip
    odd = floats(np.nan, np.inf, -0.0)
    yield problem("SELECT_V2", [YES, odd, -odd], np.float32, "what is not chosen leaves no trace")


def select_v2_random(rng: Random) -> Problem:
    """Three shapes that broadcast."""
    shape, name = shape_of(rng, int(rng.integers(1, 6)), 3), pick(rng, CHOSEN)
    shapes = [tuple(1 if rng.random() < 0.3 else n for n in shape) for _ in range(3)]
    condition, x, y = (s[rng.integers(len(s)) if rng.random() < 0.3 else 0 :] for s in shapes)
    return problem(
        "SELECT_V2", [values(rng, condition, "bool"), values(rng, x, name), values(rng, y, name)], name
    )


FLOAT = {
    **{operator: comparison(operator) for operator in COMPARED},
    "LOGICAL_AND": connective("LOGICAL_AND"),
    "LOGICAL_OR": connective("LOGICAL_OR"),
    "LOGICAL_NOT": Draw(
        not_boundary, lambda rng: problem("LOGICAL_NOT", [values(rng, any_shape(rng), "bool")])
    ),
}
ANY = {
    "SELECT": Draw(select_boundary, select_random),
    "SELECT_V2": Draw(select_v2_boundary, select_v2_random),
}
