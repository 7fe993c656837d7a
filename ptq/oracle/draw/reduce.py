"""Problems of SUM, MEAN, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, ARG_MAX and ARG_MIN."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, pick, shape_of
from ptq.oracle.draw.plain import any_shape, floats, over, values
from ptq.oracle.problem import Problem

WHOLE = ("float32", "int32", "int64")
SMALL = ("int8", "uint8", "int16")
TYPES: dict[str, tuple[str, ...]] = {
    "SUM": (*WHOLE, "bool"),
    "MEAN": WHOLE,
    "REDUCE_ANY": ("bool",),
    **dict.fromkeys(("REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"), (*WHOLE, *SMALL, "bool")),
}
STEPS = np.arange(1, 13, dtype=np.float32).reshape(2, 3, 2)
TINY = floats(1.0, *[5.9e-8] * 18, 1e-3, -1.0)
"""Numbers that are lost one by one beside 1, but not together."""


def reduction(
    operator: str, x: Array, axes: Sequence[int], keep_dims: bool = False, purpose: str = ""
) -> Problem:
    """A reduction over axes."""
    return over(operator, x, np.array(axes, np.int32), purpose=purpose, keep_dims=keep_dims)


def _axes_boundary(operator: str, x: Array) -> Iterable[Problem]:
    """Which elements meet: x has the shape [2, 3, 2]."""
    yield reduction(operator, x, [0], purpose="the first axis")
    yield reduction(operator, x, [-1], True, purpose="an axis from the end, which stays with size 1")
    yield reduction(operator, x, [2, 0], purpose="two axes with another between them")
    yield reduction(operator, x, [1, -2, 1], purpose="an axis that is named three times counts once")
    yield reduction(operator, x, [], purpose="no axis: every element by itself")
    yield reduction(operator, x, [0, 1, 2], purpose="all axes")


def _real_boundary(operator: str) -> Iterable[Problem]:
    yield from _axes_boundary(operator, STEPS)
    odd = np.array(
        [[-0.0, -0.0, -0.0], [np.nan, 1, 2], [1, np.nan, 2], [np.inf, -np.inf, 1], [-np.inf] * 3,
         [np.inf] * 3, [0, -0.0, 0], [-0.0, 0, -0.0], [np.nan] * 3], np.float32
    )  # fmt: skip
    yield reduction(
        operator, odd, [1], purpose="over some axes it starts at a neutral element: -0, NaN and infinities"
    )
    for row in odd:
        purpose = f"over all axes it starts at the first element: {', '.join(map(str, row.tolist()))}"
        yield reduction(operator, row, [0], purpose=purpose)
    yield reduction(
        operator, np.stack([TINY, TINY[::-1]]), [1], purpose="added in order, in float32, from both ends"
    )
    yield reduction(operator, -STEPS, [1], purpose="negative numbers alone: 0 is no start")
    yield reduction(operator, np.array(2.5, np.float32), [0], purpose="a scalar stays as it is")


def _integer_boundary(operator: str, name: str) -> Iterable[Problem]:
    limits = np.iinfo(name)
    rows = np.array(
        [[limits.max, 1, 1], [limits.min, limits.min // 2, limits.min // 2], [limits.max, limits.max, 2],
         [limits.min, 0, 0], [3, 3, 1], [7, 5, 3]], name
    )  # fmt: skip
    if limits.min < 0:
        rows = np.append(rows, np.array([[-3, -3, -1], [-7, 0, 0], [-1, -2, -2]], name), axis=0)
    rule = {
        "MEAN": "the sum has 64 bits; the mean loses its fraction, toward zero",
        "REDUCE_MAX": "both ends of the type, and negative ones alone",
        "REDUCE_MIN": "both ends of the type, and positive ones alone",
    }.get(operator, "results that overflow wrap at the width of the type")
    yield reduction(operator, rows, [1], purpose=f"{name}: {rule}")
    yield reduction(operator, rows[0], [0], purpose=f"{name}: over all axes")


def reduced(operator: str) -> Draw:
    """The problems of a reduction."""

    def boundary() -> Iterable[Problem]:
        for name in TYPES[operator]:
            if name == "float32":
                yield from _real_boundary(operator)
            elif name == "bool":
                truth = np.array([[False, False], [False, True], [True, False], [True, True]])
                yield reduction(operator, truth, [1], purpose="bool: the whole table of truth")
                yield reduction(operator, truth, [0, 1], True, purpose="bool, over all axes")
                yield reduction(operator, np.zeros((3, 0), np.bool_), [1], purpose="bool: no elements")
            else:
                yield from _integer_boundary(operator, name)
        nothing = np.zeros((2, 0), "bool" if operator == "REDUCE_ANY" else np.float32)
        yield reduction(
            operator, nothing, [1], purpose="no elements: the neutral element, and NaN for a mean"
        )

    def random(rng: Random) -> Problem:
        x = values(rng, any_shape(rng, 5), pick(rng, TYPES[operator]))
        rank = max(x.ndim, 1)
        count = rank if rng.random() < 0.3 else int(rng.integers(0, rank + 1))
        axes = (rng.permutation(rank) - rank * rng.integers(0, 2, rank))[:count].tolist()
        return reduction(operator, x, axes * (2 if rng.random() < 0.2 else 1), bool(rng.integers(2)))

    return Draw(boundary, random)


# --- positions ------------------------------------------------------------------------------------


def position(
    operator: str, x: Array, axis: int, wanted: str = "int32", index: str = "int32", purpose: str = ""
) -> Problem:
    """ARG_MAX or ARG_MIN; index: the dtype of the axis."""
    return over(operator, x, np.array(axis, index), wanted, purpose, output_type=wanted.upper())


def positions(operator: str) -> Draw:
    """The problems of ARG_MAX and ARG_MIN."""
    sign = 1 if operator == "ARG_MAX" else -1

    def boundary() -> Iterable[Problem]:
        equal = np.array([[3, 7, 7, 1], [7, 7, 7, 7], [0, -1, 0, -1], [-5, -9, -2, -2]], np.int32) * np.int32(
            sign
        )
        yield position(operator, equal, 1, purpose="of equal elements the first")
        yield position(
            operator, equal, 0, "int64", "int64", purpose="along the first axis, positions in int64"
        )
        yield position(
            operator, equal.astype(np.float32), -1, purpose="floats along the last axis, in four lanes"
        )
        yield position(
            operator, np.array([[0.0, -0.0], [-0.0, 0.0]], np.float32), -1, purpose="-0 equals 0: the first"
        )
        long = floats(1, 2, 9, 3, 4, 9, 5, 6, 7, 9, 8) * np.float32(sign)
        yield position(operator, long, 0, purpose="equal ones in other lanes, and in what fills no register")
        nan = np.array([[np.nan, 1, 2], [1, np.nan, 2], [np.nan] * 3, [np.nan, -np.inf, np.nan]], np.float32)
        yield position(operator, nan, 1, purpose="NaN is passed over, unless there is nothing else")
        lanes = np.full((6, 9), np.nan, np.float32)
        lanes[0, 5], lanes[1, 4], lanes[2, 8], lanes[3, [2, 7]], lanes[4, 1:] = 1, 1, 1, 1, 1
        yield position(
            operator, lanes, 1, purpose="four lanes: one of NaN alone can hide others, lane 0 hides all"
        )
        for name in ("int8", "uint8"):
            limits = np.iinfo(name)
            ends = np.array([[limits.min, limits.max], [limits.max, limits.min]], name)
            yield position(operator, ends, 1, purpose=f"{name}: both ends, whose negative would overflow")
        truth = np.array([[False, True, True], [True, False, False], [False] * 3])
        yield position(operator, truth, 1, purpose="bool")

    def random(rng: Random) -> Problem:
        name = pick(rng, ("float32", "uint8", "int8", "int32"))
        x = values(rng, (*shape_of(rng, int(rng.integers(0, 3)), 5), int(rng.integers(1, 20))), name)
        if name == "float32" and rng.random() < 0.6:
            x = rng.choice(floats(np.nan, np.nan, -np.inf, np.inf, 0, -0.0, 1), x.shape)
        if rng.random() < 0.1:
            x = x > 0
        axis = int(rng.integers(-x.ndim, x.ndim))
        return position(operator, x, axis, pick(rng, ("int32", "int64")), pick(rng, ("int32", "int64")))

    return Draw(boundary, random)


FLOAT = {operator: reduced(operator) for operator in TYPES}
ANY = {operator: positions(operator) for operator in ("ARG_MAX", "ARG_MIN")}
