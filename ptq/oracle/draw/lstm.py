"""Problems of the three LSTM operators in float and hybrid arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ptq.errors import GraphError
from ptq.oracle.draw.core import Array, Draw, Random
from ptq.oracle.draw.lstm_recipe import F, Recipe, random_recipe
from ptq.oracle.problem import CONSTANT, Given, Problem, quantization

SINGLE, SEQUENCE, BOTH = "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"
STEEP = 2.0**-14
"""Of an input: the gates' variance is then as small as what layer normalisation adds to it."""


def cases(operator: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Choices of a recipe and what they tell apart, for both arithmetics."""
    yield (
        {"batch": 2, "steps": 2, "cells": 3, "outputs": 3},
        "the gates stand in the order input, forget, candidate, output; the forget gate's bias is taken as "
        "it is; three cells leave some gates outside of Eigen's packets of four",
    )
    yield (
        {"steps": 2, "coupled": True, "peephole": True, "cells": 4, "outputs": 4},
        "without input gate it is 1 - forget gate, and the output gate's peephole sees the new cell state",
    )
    yield (
        {"batch": 2, "steps": 2, "time_major": True, "cells": 5, "outputs": 4, "projection": True,
         "projection_bias": True, "cell_clip": 0.3, "projection_clip": 0.4},
        "the output gate acts before the projection; the cell state is clipped when it is new, the output "
        "when it is projected, at bounds that are float32",
    )  # fmt: skip
    yield (
        {"peephole": True, "projection_clip": 0.0625, "cell_clip": 0.5, "reach": 4.0},
        "the bound of projections is none of outputs that are not projected",
    )
    yield (
        {"steps": 3, "activation": "RELU", "cells": 3, "outputs": 3, "reach": 4.0},
        "the activation is that of the candidate and of the cell state alone",
    )
    yield from (both_directions() if operator == BOTH else one_direction())


def one_direction() -> Iterator[tuple[dict[str, Any], str]]:
    """What only layers in one direction have: normalisation."""
    yield (
        {"steps": 2, "projection": True, "outputs": 3, "reach": 2.0},
        "a projection without bias and bound, of what the output gate lets through",
    )
    yield (
        {"batch": 2, "steps": 2, "normalization": True, "coupled": True, "peephole": True, "cells": 5,
         "outputs": 5},
        "the sums are normalised with the variance over all cells, before the bias is added, once",
    )  # fmt: skip
    yield (
        {"normalization": True, "cells": 4, "outputs": 4, "small": STEEP},
        "a variance as small as 1e-8, which is what is added to it",
    )


def both_directions() -> Iterator[tuple[dict[str, Any], str]]:
    """What only layers in two directions have."""
    yield (
        {"steps": 3, "merged": True, "cells": 3, "outputs": 2, "projection": True},
        "the backward layer reads from the end; its results stand where their inputs do, behind the "
        "forward ones",
    )
    yield (
        {"batch": 2, "steps": 2, "time_major": True, "auxiliary": "stacked"},
        "an auxiliary input without weights is what the backward layer reads in place of x",
    )
    yield (
        {"batch": 2, "steps": 2, "auxiliary": "weights", "auxiliary_inputs": 2, "inputs": 9},
        "an auxiliary input with weights is added to the gates of both layers",
    )


def recipes(operator: str, hybrid: bool) -> Iterator[tuple[Recipe, str]]:
    """The same as recipes; in hybrid layers every second one is asymmetric."""
    for number, (choices, purpose) in enumerate(cases(operator)):
        recipe = Recipe(operator, hybrid, asymmetric=hybrid and number % 2 == 1, **choices)
        yield (replace(recipe, steps=1, time_major=False) if operator == SINGLE else recipe), purpose


def with_arrays(problem: Problem, arrays: Mapping[int, Array]) -> Problem:
    """The problem with other numbers in some operands."""
    operands = [
        given if given is None or position not in arrays else replace(given, array=arrays[position])
        for position, given in enumerate(problem.operands)
    ]
    return replace(problem, operands=operands)


def first_operands(operator: str) -> tuple[int, ...]:
    """Where the 17 operands of each layer begin."""
    return (1, 18) if operator == BOTH else (1,)


def saturated(operator: str, hybrid: bool) -> Problem:
    """Gates so far open or closed that Eigen cuts them off."""
    recipe = Recipe(operator, hybrid, cells=8, outputs=8, inputs=2, asymmetric=True)
    extreme = np.array([-200, -104, -103.5, -87.5, -17, 16.5, 17, 200], F)
    biases = {
        first + 11 + gate: np.roll(extreme, 3 * gate)
        for first in first_operands(operator)
        for gate in range(4)
    }
    problem = recipe.problem(
        np.random.default_rng(4), "the logistic function is 0 below -104 and stays as it is above 16.6"
    )
    return with_arrays(problem, biases)


def zeros(operator: str, everywhere: bool) -> Problem:
    """Biases, states and candidates of -0, to which a product of 0 would be added, or not."""
    recipe = Recipe(
        operator, True, batch=2, time_major=operator != SINGLE, projection=True, projection_bias=True
    )
    purpose = (
        "where x and h are zero no product is added: a bias of -0 stays" if everywhere else
        "a row of zeros gets its product of 0 if another row of the batch is not zero: a bias of -0 becomes 0"
    )  # fmt: skip
    problem = recipe.problem(np.random.default_rng(5), purpose)
    arrays = {0: np.zeros_like(_array(problem, 0))}
    if not everywhere:
        arrays[0][..., 1, :] = 1
    for first in first_operands(operator):
        arrays |= {first + n: np.full_like(_array(problem, first + n), -0.0) for n in (13, 16)}
    states = (35, 36, 37, 38) if operator == BOTH else (18, 19)
    arrays |= {n: np.full_like(_array(problem, n), -0.0) for n in states}
    return with_arrays(problem, arrays)


def long_rows() -> Problem:
    """Weights of one sign whose sums leave 16 bits."""
    recipe = Recipe(SEQUENCE, True, inputs=2080, cells=1, outputs=1, asymmetric=True, reach=0.02)
    problem = recipe.problem(
        np.random.default_rng(6),
        "x86 builds sum rows of weights in 16 bits: long ones of one sign wrap around",
    )
    weights = np.full((1, 2080), 127, np.int8)
    weights[0, ::3] = 125
    return with_arrays(problem, {n: weights for n in range(1, 5)})


def own_scales(operator: str) -> Problem:
    """Scales of weights and rows that differ by powers of ten."""
    recipe = Recipe(operator, True, steps=2, batch=2, inputs=9, cells=3, outputs=3, peephole=True)
    if operator == SINGLE:
        recipe = replace(recipe, steps=1)
    problem = recipe.problem(
        np.random.default_rng(7), "each gate's weights have a scale of their own, and so have input and state"
    )
    operands = list(problem.operands)
    for first in first_operands(operator):
        for gate, scale in enumerate((0.001, 0.01, 0.004, 0.02)):
            for position in (first + gate, first + 4 + gate):
                given = operands[position]
                if given is not None:
                    operands[position] = Given(given.array, quantization(scale), CONSTANT)
    return with_arrays(replace(problem, operands=operands), {0: _array(problem, 0) * F(20)})


def intended(operator: str, hybrid: bool) -> Problem:
    """A layer without activation."""
    recipe = Recipe(operator, hybrid, steps=1, activation="NONE", cells=3, outputs=3)
    return recipe.problem(
        np.random.default_rng(8),
        "without activation the output gate multiplies the cell state, not the candidate as in the runtime",
    )


def _array(problem: Problem, position: int) -> Array:
    given = problem.operands[position]
    if given is None:
        raise GraphError(f"{problem.operator}: operand {position} is absent")
    return given.array


def boundary(operator: str, hybrid: bool) -> Iterator[Problem]:
    """All of the above."""
    for number, (recipe, purpose) in enumerate(recipes(operator, hybrid)):
        yield recipe.problem(np.random.default_rng([operator == SINGLE, number]), purpose)
    yield saturated(operator, hybrid)
    yield intended(operator, hybrid)
    if hybrid:
        yield zeros(operator, everywhere=True)
        yield zeros(operator, everywhere=False)
        yield own_scales(operator)
    if hybrid and operator == SEQUENCE:
        yield long_rows()


def draw(operator: str, hybrid: bool) -> Draw:
    """Where the problems of an operator come from."""

    def random(rng: Random) -> Problem:
        return random_recipe(rng, operator, hybrid).problem(rng)

    return Draw(lambda: boundary(operator, hybrid), random)


FLOAT = {operator: draw(operator, hybrid=False) for operator in (SINGLE, SEQUENCE, BOTH)}
HYBRID = {operator: draw(operator, hybrid=True) for operator in (SINGLE, SEQUENCE, BOTH)}
