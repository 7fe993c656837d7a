"""Problems of EMBEDDING_LOOKUP."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.graph import type_of
from ptq.oracle.draw import layers
from ptq.oracle.draw.core import Draw, Random, integers, pick, reals, shape_of
from ptq.oracle.draw.geometry import ramp
from ptq.oracle.problem import CONSTANT, INPUT, Given, Problem, Wanted, quantization

OPERATOR = "EMBEDDING_LOOKUP"


def float_boundary() -> Iterable[Problem]:
    """Any number is moved as it is."""
    table = np.array([[0.0, -0.0], [np.nan, np.inf], [1e-45, -3.4e38]], np.float32)
    for kind in (INPUT, CONSTANT):
        yield Problem(
            OPERATOR, [Given(np.array([1, 2, 0, 1], np.int32)), Given(table, None, kind)], [Wanted()],
            purpose="rows are moved as they are, NaN, infinity and -0 among them",
        )  # fmt: skip


def float_random(rng: Random) -> Problem:
    """A table of reals, or of integers without a scale."""
    dtype, shape = pick(rng, (np.float32, np.float32, np.uint8, np.int16, np.int32, np.int64)), _table(rng)
    values = reals(rng, shape) if dtype is np.float32 else integers(rng, shape, dtype)
    table = Given(values, None, pick(rng, (INPUT, CONSTANT)))
    return Problem(OPERATOR, [_indices(rng, len(values)), table], [Wanted(type_of(values.dtype))])


def hybrid_boundary() -> Iterable[Problem]:
    """Scales of rows, of the table; integers."""
    indices = Given(np.array([2, 0, 1, 2], np.int32))
    integers = ramp((3, 3), 85, 256).astype(np.int8)
    for scale, purpose in (
        ([0.3, 0.7, 0.011], "every row of the table has a scale of its own, wherever it is written"),
        ([0.7], "one scale for the table"),
    ):
        table = Given(integers, quantization(scale), CONSTANT)
        yield Problem(OPERATOR, [indices, table], [Wanted()], version=4, purpose=purpose)
    one = quantization(0.7)
    yield Problem(
        OPERATOR, [indices, Given(integers, one, CONSTANT)], [Wanted("INT8", one)], version=4,
        purpose="an int8 output gets the integers as they are",
    )  # fmt: skip


def hybrid_random(rng: Random) -> Problem:
    """An int8 table of one scale or one for each row; now and then the integers themselves are asked for."""
    shape = _table(rng)
    table = layers.hybrid_weights(rng, shape, 0, bool(rng.integers(2)), -128)
    wanted = Wanted()
    if rng.random() < 0.2:
        scale = quantization(float(np.exp(rng.uniform(-9, 3))))
        table, wanted = Given(integers(rng, shape, np.int8), scale, CONSTANT), Wanted("INT8", scale)
    return Problem(OPERATOR, [_indices(rng, shape[0]), table], [wanted], version=4)


def _table(rng: Random) -> tuple[int, ...]:
    return shape_of(rng, int(rng.integers(2, 5)), 4)


def _indices(rng: Random, rows: int) -> Given:
    return Given(rng.integers(0, rows, int(rng.integers(1, 6))).astype(np.int32))


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
