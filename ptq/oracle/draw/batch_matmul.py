"""Problems of BATCH_MATMUL."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ptq.oracle.draw import layers
from ptq.oracle.draw.core import Draw, Random, integers, pick, zero_point
from ptq.oracle.draw.geometry import ramp
from ptq.oracle.draw.reals import real_problems
from ptq.oracle.draw.rows import Form, row_problems
from ptq.oracle.draw.stages import Kind, matmul_precision, stage_problems
from ptq.oracle.problem import CONSTANT, INPUT, Given, Problem, Wanted, quantization

OPERATOR = "BATCH_MATMUL"
TYPES = (np.int8, np.int8), (np.int16, np.int8), (np.int16, np.int16)
Shape = tuple[int, ...]


KINDS = (
    Kind(OPERATOR, bias=None, version=2, weights_zero_point=True),
    Kind(OPERATOR, np.int16, bias=None, version=3),
    Kind(OPERATOR, np.int16, np.int16, None, version=3),
)


def integer_boundary() -> Iterable[Problem]:
    """The stages after the sum, for all types."""
    for kind in KINDS:
        yield from stage_problems(kind)
    yield matmul_precision(KINDS[0])
    for lhs, rhs, adjoint, purpose in batches():
        yield Problem(
            OPERATOR,
            [Given((ramp(lhs, 7, 25) + 5).astype(np.int8), quantization(0.5, 5)),
             Given((ramp(rhs, 5, 13) - 4).astype(np.int8), quantization(0.25, -4))],
            [Wanted("INT8", quantization(1.1, -3))], _options(adjoint), 2, purpose=purpose,
        )  # fmt: skip
    yield KINDS[2].problem(
        "sums of int16 products have 64 bits", [[32767] * 3], [[32767] * 3], scales=(1.0, 1.0, 2.0**17)
    )


def batches(several: bool = True) -> Iterable[tuple[Shape, Shape, tuple[bool, bool], str]]:
    """Shapes of lhs and rhs, (adj_x, adj_y) and what they show; several: with several batch dimensions."""
    yield (2, 3), (3, 4), (False, False), "a product of two matrices"
    yield (3, 2), (3, 4), (True, False), "adj_x: the left matrix is stored by columns"
    yield (2, 3), (4, 3), (False, True), "adj_y: the right matrix is stored by rows of the output's columns"
    yield (3, 1, 2), (2, 2), (False, False), "one right matrix for the whole batch"
    yield (2, 2), (3, 2, 2), (False, True), "one left matrix for the whole batch"
    if several:
        yield (2, 3, 1, 2), (2, 1, 2, 2), (False, False), "matrices are broadcast along dimensions of size 1"


def _options(adjoint: tuple[bool, bool]) -> dict[str, bool]:
    return {"adj_x": adjoint[0], "adj_y": adjoint[1]}


def integer_random(rng: Random) -> Problem:
    """int8, or int16 by int8 or int16, with batches that broadcast."""
    types = pick(rng, TYPES)
    adjoint = _adjoint(rng)
    left, right, inner = _shapes(rng, True, *adjoint, 20)
    lhs_type, rhs_type = (np.dtype(t) for t in types)
    largest = layers.LIMITS[lhs_type.name]
    spread = (0.3 * largest) * (0.3 * layers.LIMITS[rhs_type.name]) * inner**0.5
    multiplier = largest / spread * np.exp(rng.uniform(-3, 2))
    lhs_scale, output_scale = np.exp(rng.uniform(-5, -1, 2))
    rhs_scale = multiplier * output_scale / lhs_scale
    return Problem(
        OPERATOR,
        [
            Given(integers(rng, left, lhs_type), quantization(lhs_scale, zero_point(rng, lhs_type))),
            Given(integers(rng, right, rhs_type), quantization(rhs_scale, _right_zero_point(rng, *types)),
                  pick(rng, (INPUT, CONSTANT))),
        ],
        [Wanted(layers.type_name(lhs_type), quantization(output_scale, zero_point(rng, lhs_type)))],
        {"adj_x": adjoint[0], "adj_y": adjoint[1]},
        2 if lhs_type == np.int8 else 3,
    )  # fmt: skip


def _right_zero_point(rng: Random, lhs_type: npt.DTypeLike, rhs_type: npt.DTypeLike) -> int:
    return zero_point(rng, rhs_type) if np.dtype(lhs_type) == np.int8 else 0


def hybrid_boundary() -> Iterable[Problem]:
    """Rows of all forms, and batches."""
    for symmetric, several in ((True, False), (False, False), (False, True)):
        options = {"asymmetric_quantize_inputs": not symmetric}
        version = 1 if symmetric else 4
        yield from row_problems(Form(OPERATOR, symmetric, several, version, options, False, not several))
    for lhs, rhs, adjoint, purpose in batches(several=False):
        weights = ramp(rhs, 5, 13).astype(np.int8)
        axis = len(rhs) - 1 - adjoint[1]
        scales = quantization(0.3 + 0.1 * np.arange(rhs[axis]), 0, axis)
        yield Problem(
            OPERATOR,
            [Given((ramp(lhs, 7, 25) * 0.37 + 1.1).astype(np.float32)), Given(weights, scales, CONSTANT)],
            [Wanted()], {**_options(adjoint), "asymmetric_quantize_inputs": True}, 4, purpose=purpose,
        )  # fmt: skip


def hybrid_random(rng: Random) -> Problem:
    """Batches of one dimension, as the runtime mixes up the rows of more; a constant rhs if asymmetric."""
    asymmetric, adjoint = bool(rng.integers(2)), _adjoint(rng)
    left, right, _ = _shapes(rng, False, *adjoint, 40)
    axis = len(right) - 1 - adjoint[1]
    weights = layers.hybrid_weights(rng, right, axis, bool(rng.integers(2)), -128)
    if not asymmetric and rng.integers(2):
        weights = Given(weights.array, weights.quantization, INPUT)
    options = {"adj_x": adjoint[0], "adj_y": adjoint[1], "asymmetric_quantize_inputs": asymmetric}
    operands = [Given(layers.activations(rng, left)), weights]
    return Problem(OPERATOR, operands, [Wanted()], options, 4 if asymmetric else 1)


def float_boundary() -> Iterable[Problem]:
    """Orders and batches."""
    yield from real_problems(OPERATOR, bias=False)
    for lhs, rhs, adjoint, purpose in batches():
        operands = [Given(ramp(s, n, 23).astype(np.float32) / 4) for s, n in ((lhs, 7), (rhs, 5))]
        yield Problem(OPERATOR, operands, [Wanted()], _options(adjoint), purpose=purpose)


def float_random(rng: Random) -> Problem:
    """Sums that do not round in any order, or such as do."""
    order_free, adjoint = bool(rng.integers(4)), _adjoint(rng)
    left, right, _ = _shapes(rng, True, *adjoint, 12)
    draw = layers.dyadic if order_free else layers.general
    kinds = pick(rng, ((INPUT, INPUT), (INPUT, CONSTANT), (CONSTANT, INPUT)))
    operands = [Given(draw(rng, s, 0.2), None, kind) for s, kind in zip((left, right), kinds, strict=True)]
    options = {"adj_x": adjoint[0], "adj_y": adjoint[1]}
    return Problem(OPERATOR, operands, [Wanted()], options, order_free=order_free)


def _adjoint(rng: Random) -> tuple[bool, bool]:
    return bool(rng.integers(2)), bool(rng.integers(2))


def _shapes(rng: Random, several: bool, adj_x: bool, adj_y: bool, most: int) -> tuple[Shape, Shape, int]:
    """Shapes of lhs and rhs, and K; several: whether batches have more than one dimension that counts."""
    left, right = _batches(rng, several)
    rows, inner, columns = (int(rng.integers(1, n)) for n in (4, most, 5))
    lhs = (*left, inner, rows) if adj_x else (*left, rows, inner)
    return lhs, (*right, columns, inner) if adj_y else (*right, inner, columns), inner


def _batches(rng: Random, several: bool) -> tuple[Shape, Shape]:
    """Two batch shapes that broadcast."""
    rank = int(rng.integers(0, 4))
    full = rng.integers(1, 4, rank)
    left, right = (np.where(rng.random(rank) < 0.3, 1, full) for _ in range(2))
    if not several:
        keep = rng.integers(max(rank, 1), size=2)
        left, right = (np.where(np.arange(rank) == k, b, 1) for k, b in zip(keep, (left, right), strict=True))
        if rank == 3:
            right[0] = 1
    shorter = int(rng.integers(0, rank + 1)) if rng.integers(2) else 0
    lefts, rights = (tuple(int(n) for n in batch) for batch in (left, right))
    return (lefts, rights[shorter:]) if rng.integers(2) else (lefts[shorter:], rights)


FLOAT = {OPERATOR: Draw(float_boundary, float_random)}
HYBRID = {OPERATOR: Draw(hybrid_boundary, hybrid_random)}
INTEGER = {OPERATOR: Draw(integer_boundary, integer_random)}
