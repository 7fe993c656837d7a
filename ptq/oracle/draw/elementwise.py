"""Problems of arithmetic on two operands: ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE, PRELU."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import ACTIVATIONS, ODD, Array, Draw, Random, pick, shape_of
from ptq.oracle.draw.plain import floats, problem, two_shapes, values
from ptq.oracle.problem import Problem

TYPES: dict[str, tuple[str, ...]] = {
    "ADD": ("float32", "int16", "int32", "int64"),
    "SUB": ("float32", "int32", "int64"),
    "MUL": ("float32", "int16", "int32", "int64"),
    "DIV": ("float32", "int32"),
    "MAXIMUM": ("float32", "float16", "int8", "uint8", "int16", "int32", "int64"),
    "MINIMUM": ("float32", "float16", "int8", "uint8", "int16", "int32", "int64"),
    "SQUARED_DIFFERENCE": ("float32", "int32"),
    "PRELU": ("float32",),
}
FUSED = ("ADD", "SUB", "MUL", "DIV")
SQUARE = np.arange(9, dtype=np.float32).reshape(3, 3) / 4 - 1
GRID = np.arange(1, 10, dtype=np.float32).reshape(3, 3)


def every_pair(x: Array) -> list[Array]:
    """[a, b] so that each element meets each."""
    return [np.repeat(x, len(x)), np.tile(x, len(x))]


def broadcasts(operator: str, output: type | None = None) -> Iterable[Problem]:
    """A row, a column and a scalar meet a matrix: as NumPy aligns them, at the last dimension."""
    row, column = np.array([2, 4, 6], np.float32), np.array([[2], [4], [6]], np.float32)
    single = np.array(4, np.float32)
    for operands, what in [
        ([GRID, row], "a row belongs to the last dimension"),
        ([GRID, column], "a column is repeated along the last dimension"),
        ([GRID, single], "a scalar meets every element"),
        ([np.stack([GRID, GRID + 1]), GRID], "a matrix meets every matrix of a batch"),
        *([([column, row], "both operands are repeated")] if operator != "PRELU" else []),
    ]:
        yield problem(operator, operands, output, purpose=f"broadcasting: {what}")


def _fused_boundary(operator: str) -> Iterable[Problem]:
    odd = floats(0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4028235e38, -1.5)
    special = every_pair(odd)
    yield problem(
        operator,
        special,
        purpose="an infinite result becomes FLT_MAX even without activation; NaN stays; zeros",
    )
    inexact = [floats(1.1, 16777216.0, 1e-30, 0.3, 7.7), floats(3.3, 1.0, 1e-15, 0.7, -0.9)]
    yield problem(operator, inexact, purpose="results that float32 has to round")
    for activation in ACTIVATIONS[1:]:
        operands = [
            np.append(SQUARE * 8, floats(np.nan, -0.0)),
            np.append(np.ones(9), [1, 1]).astype(np.float32),
        ]
        purpose = f"{activation} clamps the result, bounds included"
        yield problem(operator, operands, purpose=purpose, fused_activation_function=activation)
    yield from broadcasts(operator)
    for name in TYPES[operator][1:]:
        limits = np.iinfo(name)
        a = np.array([limits.max, limits.min, limits.min, -7, 7, -7, 7, 0, limits.min], name)
        b = np.array([1, -1, 1, 2, -2, -2, 2, 5, -1], name)
        rule = (
            "quotients lose their fraction, toward zero"
            if operator == "DIV"
            else "results that overflow wrap"
        )
        yield problem(operator, [a, b], purpose=f"{name}: {rule}")
        yield problem(
            operator,
            [a, b],
            purpose=f"{name}: RELU6 clamps the wrapped result",
            fused_activation_function="RELU6",
        )


def _fused_random(operator: str, rng: Random) -> Problem:
    name = pick(rng, TYPES[operator])
    a, b = (values(rng, shape, name) for shape in two_shapes(rng))
    if operator == "DIV" and name != "float32":
        a = np.where(rng.random(a.shape) < 0.1, np.iinfo(name).min, a).astype(name)
        b = np.where(b == 0, -1, b).astype(name)
    return problem(operator, [a, b], fused_activation_function=pick(rng, ACTIVATIONS))


def _plain_boundary(operator: str) -> Iterable[Problem]:
    odd = floats(0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -2.5)
    what = {
        "MAXIMUM": "the second operand where both are equal (zeros of either sign) or one is NaN",
        "MINIMUM": "the second operand where both are equal (zeros of either sign) or one is NaN",
        "SQUARED_DIFFERENCE": "infinity has no bound here; infinity less infinity is NaN",
        "PRELU": "zeros keep their sign whatever the slope is; NaN stays",
    }[operator]
    yield problem(operator, every_pair(odd), purpose=what)
    yield from broadcasts(operator)
    yield problem(
        operator, [-GRID, GRID[0] / 8], purpose="negative numbers, a slope or rival for each column"
    )
    yield problem(
        operator, [floats(1.1, -16777216.0, 1e-30, -0.3), floats(3.3, 1.1, 1e-15, 0.7)],
        purpose="results that float32 has to round",
    )  # fmt: skip
    for name in TYPES[operator][1:]:
        if name == "float16":
            halves = np.array([0.0, -0.0, np.inf, np.nan, -1.5, 65504], np.float16)
            yield problem(
                operator, every_pair(halves), purpose="float16, NaN and zeros of both signs included"
            )
        else:
            limits = np.iinfo(name)
            ends = np.array([limits.min, limits.max, limits.max - 1, 1, 0], name)
            yield problem(
                operator, every_pair(ends), purpose=f"{name}: both ends of the type, and neighbours"
            )


def _plain_random(operator: str, rng: Random) -> Problem:
    name = pick(rng, TYPES[operator])
    return problem(operator, [values(rng, shape, name) for shape in two_shapes(rng)])


def prelu_random(rng: Random) -> Problem:
    """Slopes that broadcast to the shape of x."""
    shape = shape_of(rng, int(rng.integers(0, 5)), 3)
    slopes = tuple(1 if rng.random() < 0.5 else size for size in shape)
    slopes = slopes[rng.integers(len(shape) + 1) :]
    x = rng.choice(ODD, shape) if rng.random() < 0.3 else values(rng, shape, "float32")
    return problem("PRELU", [x, values(rng, slopes, "float32")])


def _fused(operator: str) -> Draw:
    return Draw(lambda: _fused_boundary(operator), lambda rng: _fused_random(operator, rng))


def _plain(operator: str) -> Draw:
    return Draw(lambda: _plain_boundary(operator), lambda rng: _plain_random(operator, rng))


FLOAT = {
    **{operator: _fused(operator) for operator in FUSED},
    **{operator: _plain(operator) for operator in ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")},
    "PRELU": Draw(lambda: _plain_boundary("PRELU"), prelu_random),
}
