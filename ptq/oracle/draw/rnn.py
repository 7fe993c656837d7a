"""Problems of RNN, UNIDIRECTIONAL_SEQUENCE_RNN, BIDIRECTIONAL_SEQUENCE_RNN and SVDF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, pick
from ptq.oracle.draw.lstm_recipe import Recipe as LstmRecipe
from ptq.oracle.draw.lstm_recipe import in_sixteenths
from ptq.oracle.problem import CONSTANT, STATE, Given, Problem, Wanted

F = np.float32
SINGLE, SEQUENCE, BOTH = "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN"
ACTIVATIONS = ("TANH", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "NONE")


@dataclass(frozen=True)
class Recipe:
    """The choices of one problem. auxiliary: "", "stacked" (in place of x on the way back) or "weights".

    rounds: whether float sums round, so that their order counts. at_rest: how likely a state is zero.
    biased: how likely SVDF has a bias. negative_zeros: whether all biases are -0.
    """

    operator: str
    hybrid: bool
    batch: int = 2
    steps: int = 3
    inputs: int = 5
    units: int = 4
    time_major: bool = False
    asymmetric: bool = False
    activation: str = "TANH"
    merged: bool = False
    auxiliary: str = ""
    rounds: bool = False
    at_rest: float = 0.0
    reach: float = 1.0
    rank: int = 2
    memory: int = 3
    biased: float = 0.7
    negative_zeros: bool = False

    def problem(self, rng: Random, purpose: str = "", x: Array | None = None) -> Problem:
        """A problem with random numbers; x: the input, if it is given."""
        operands: list[Given | None] = [Given(self.x(rng) if x is None else x)]
        operands += self.svdf(rng) if self.operator == "SVDF" else self.directions(rng)
        outputs = 2 if self.operator == BOTH and not self.merged else 1
        return Problem(
            self.operator, operands, [Wanted()] * outputs, self.options(), 3 if self.hybrid else 1,
            purpose=purpose, order_free=self.hybrid or not self.rounds,
        )  # fmt: skip

    def directions(self, rng: Random) -> list[Given | None]:
        """Weights, recurrent weights, bias and state of each direction, then the auxiliary input."""
        layers = 2 if self.operator == BOTH else 1
        operands: list[Given | None] = []
        for _ in range(layers):
            w, r = self.matrix(rng, self.units, self.inputs), self.matrix(rng, self.units, self.units, True)
            operands += [w, r, self.vector(rng, self.units), self.state(rng, self.units)]
        if layers == 1:
            return operands
        if not self.auxiliary:  # the runtime wants to see that they are absent
            return [*operands, None, None, None]
        weights = [self.matrix(rng, self.units, self.inputs) if self.auxiliary == "weights" else None
                   for _ in range(2)]  # fmt: skip
        return [*operands, Given(self.x(rng)), *weights]

    def svdf(self, rng: Random) -> list[Given | None]:
        """Feature weights, time weights, bias or none, state."""
        filters = self.units * self.rank
        feature = self.matrix(rng, filters, self.inputs)
        time = self.matrix(rng, filters, self.memory)
        bias = self.vector(rng, self.units) if rng.random() < self.biased else None
        return [feature, time, bias, self.state(rng, filters * self.memory)]

    def options(self) -> dict[str, object]:
        """Those of the operator."""
        options: dict[str, object] = {
            "fused_activation_function": self.activation, "asymmetric_quantize_inputs": self.asymmetric,
        }  # fmt: skip
        if self.operator == "SVDF":
            return {**options, "rank": self.rank}
        if self.operator != SINGLE:
            options["time_major"] = self.time_major
        return {**options, "merge_outputs": self.merged} if self.operator == BOTH else options

    # --- operands ---------------------------------------------------------------------------------

    def x(self, rng: Random) -> Array:
        """Inputs, with rows and steps of zeros."""
        shape: tuple[int, ...] = (self.batch, self.steps, self.inputs)
        if self.operator in (SINGLE, "SVDF"):
            shape = self.batch, self.inputs
        elif self.time_major:
            shape = self.steps, self.batch, self.inputs
        x: Array = rng.normal(0, 1, shape).astype(F)
        if rng.integers(3) == 1:
            x = np.maximum(x, F(0))
        if not self.hybrid and not self.rounds:
            x = in_sixteenths(x)
        x[rng.random(shape[:-1]) < 0.15] = 0
        return x

    def matrix(self, rng: Random, rows: int, columns: int, meets_state: bool = False) -> Given:
        """Weights: int8, or float32 whose products add up to the same sum in any order unless it `rounds`."""
        if self.rounds and not self.hybrid:
            values = rng.normal(0, self.reach / columns**0.5, (rows, columns)).astype(F)
            return Given(values, kind=CONSTANT)
        return LstmRecipe(SINGLE, self.hybrid, reach=self.reach).matrix(rng, rows, columns, meets_state)

    def vector(self, rng: Random, size: int) -> Given:
        """A bias."""
        values = rng.normal(0, 1, size).astype(F)
        if self.negative_zeros:
            return Given(np.full_like(values, -0.0), kind=CONSTANT)
        return Given(values if self.hybrid or self.rounds else in_sixteenths(values), kind=CONSTANT)

    def state(self, rng: Random, width: int) -> Given:
        """A state to begin with."""
        values = rng.normal(0, 0.7, (self.batch, width)).astype(F)
        return Given(np.zeros_like(values) if rng.random() < self.at_rest else values, kind=STATE)


def boundary(operator: str, hybrid: bool) -> Iterator[Problem]:
    """Each with what it tells apart."""
    rng, plain = np.random.default_rng(17), Recipe(operator, hybrid)
    yield plain.problem(
        rng, "each step reads the state that the one before it left, and the sums their own terms"
    )
    yield replace(plain, activation="RELU_N1_TO_1", batch=3).problem(
        rng, "the activation comes last, for every row"
    )
    if operator != SINGLE and operator != "SVDF":
        steps = 1 if operator == BOTH and hybrid else 3
        yield replace(plain, time_major=True, steps=steps).problem(rng, "the first dimension is the time")
    if operator == BOTH:
        yield replace(plain, merged=True).problem(rng, "the forward outputs stand before the backward ones")
        yield replace(plain, auxiliary="weights").problem(rng, "the auxiliary input has weights of its own")
    if operator == SEQUENCE or operator == BOTH:
        yield replace(plain, steps=4, units=3).problem(
            rng, "the state of every step counts, not the first alone"
        )
    if operator == "SVDF":
        yield replace(plain, rank=1, memory=4).problem(rng, "the oldest value leaves, the newest comes last")
        yield replace(plain, rank=3, units=2).problem(rng, "the filters of one unit lie side by side")
    if hybrid:
        yield replace(plain, asymmetric=True).problem(
            rng, "activations are quantized asymmetrically, row by row"
        )
        yield replace(plain, inputs=19, batch=1).problem(
            rng, "whole registers are rounded in lanes, the rest exactly"
        )
        yield from _zeros(plain)
    else:
        yield replace(plain, inputs=19, rounds=True).problem(
            rng, "float sums round: four lanes, then what is left"
        )
        if operator == "SVDF":  # tflite-micro cannot be given a state
            rested = replace(plain, at_rest=1.0, biased=1.0)
            yield rested.problem(rng, "tanh is Eigen's, but in micro the C library's")
            yield replace(rested, rounds=True, rank=3, activation="NONE").problem(
                rng, "the bias is added last, but in micro it comes first"
            )


def _zeros(plain: Recipe) -> Iterator[Problem]:
    """Rows of zeros among others, and nothing but zeros."""
    rng = np.random.default_rng(3)
    x = plain.x(rng)
    x[0] = 0
    yield plain.problem(rng, "a row of zeros has the scale 1, and adds nothing", x)
    yield replace(plain, at_rest=1.0).problem(rng, "zeros alone leave the bias", np.zeros_like(x))
    if plain.operator != "SVDF":  # whose sums begin at +0
        rested = replace(plain, at_rest=1.0, negative_zeros=True, activation="NONE")
        yield rested.problem(rng, "products with zeros are not added: a bias of -0 stays", np.zeros_like(x))
        yield rested.problem(rng, "rows of one step are skipped together, or not at all", x)


def random(operator: str, hybrid: bool, rng: Random) -> Problem:
    """Any small layer that the runtime computes as it is meant."""
    time_major, both = bool(rng.integers(2)), operator == BOTH
    # hybrid time-major sequences of both directions are run again and again by the runtime
    steps = 1 if both and hybrid and time_major else int(rng.integers(1, 5))
    merged = both and bool(rng.integers(2))
    auxiliary = pick(rng, ["", "stacked", "weights"]) if both else ""
    if auxiliary == "stacked" and not time_major:  # which the runtime does not read
        auxiliary = "weights"
    asymmetric = bool(rng.integers(2))
    batch = int(rng.integers(1, 4))
    if merged and hybrid and time_major and not asymmetric:  # crashes with several rows
        batch = 1
    return Recipe(
        operator, hybrid, batch, steps, int(pick(rng, [1, 2, 5, 8, 9, 17])), int(pick(rng, [1, 2, 3, 4, 5,
        8])),
        time_major, asymmetric, pick(rng, ACTIVATIONS), merged, auxiliary, bool(rng.integers(2)), 0.3,
        float(pick(rng, [0.1, 1, 1, 4])), int(rng.integers(1, 4)), int(pick(rng, [1, 2, 4, 5, 9])),
    ).problem(rng)  # fmt: skip


def draw(operator: str, hybrid: bool) -> Draw:
    """Of one operator in one arithmetic."""
    return Draw(lambda: boundary(operator, hybrid), lambda rng: random(operator, hybrid, rng))


FLOAT = {name: draw(name, hybrid=False) for name in (SINGLE, SEQUENCE, BOTH, "SVDF")}
HYBRID = {name: draw(name, hybrid=True) for name in (SINGLE, SEQUENCE, BOTH, "SVDF")}
