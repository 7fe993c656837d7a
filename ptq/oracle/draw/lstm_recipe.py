"""Everything that an LSTM operator can be, and a problem of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ptq.oracle.draw.core import Array, Random, pick
from ptq.oracle.problem import CONSTANT, STATE, Given, Problem, Wanted, quantization

Operands = list[Given | None]

F = np.float32
SIXTEENTHS = F(16)


@dataclass(frozen=True)
class Recipe:
    """The choices of one problem. auxiliary: "", "stacked" (it takes the place of x) or "weights".

    reach: about how large the sums of the gates are. small: a power of two by which x and the states are
    multiplied. at_rest: how likely a state is all zero.
    """

    operator: str
    hybrid: bool
    batch: int = 1
    steps: int = 1
    inputs: int = 3
    cells: int = 4
    outputs: int = 4
    coupled: bool = False
    peephole: bool = False
    normalization: bool = False
    projection: bool = False
    projection_bias: bool = False
    time_major: bool = False
    asymmetric: bool = False
    cell_clip: float = 0.0
    projection_clip: float = 0.0
    activation: str = "TANH"
    merged: bool = False
    auxiliary: str = ""
    auxiliary_inputs: int = 3
    reach: float = 1.0
    small: float = 1.0
    at_rest: float = 0.0

    @property
    def layers(self) -> int:
        """How many directions there are; the runtime wants both to have the same sizes."""
        return 2 if self.operator == "BIDIRECTIONAL_SEQUENCE_LSTM" else 1

    def problem(self, rng: Random, purpose: str = "", x: Array | None = None) -> Problem:
        """A problem with random numbers; x: the input, if it is given."""
        sequence = self.sequence_shape()
        given = self.x(rng, (*sequence, self.inputs)) if x is None else x
        operands: Operands = [Given(given)]
        for _ in range(self.layers):
            operands += self.layer(rng)
        operands += [self.state(rng, width) for width in (self.outputs, self.cells) * self.layers]
        operands += self.second_input(rng) if self.layers == 2 else self.coefficients(rng)
        return Problem(
            self.operator, operands, [Wanted()] * (1 if self.merged else self.layers), self.options(),
            3 if self.hybrid else 1, purpose=purpose,
        )  # fmt: skip

    def options(self) -> dict[str, object]:
        """Those of the operator."""
        options: dict[str, object] = {
            "fused_activation_function": self.activation, "cell_clip": self.cell_clip,
            "proj_clip": self.projection_clip, "asymmetric_quantize_inputs": self.asymmetric,
        }  # fmt: skip
        if self.operator != "LSTM":
            options["time_major"] = self.time_major
        if self.layers == 2:
            options["merge_outputs"] = self.merged
        return options

    def sequence_shape(self) -> tuple[int, ...]:
        """The shape of x but for its last dimension."""
        if self.operator == "LSTM":
            return (self.batch,)
        return (self.steps, self.batch) if self.time_major else (self.batch, self.steps)

    # --- operands ---------------------------------------------------------------------------------

    def layer(self, rng: Random) -> Operands:
        """The 17 operands of a layer."""
        n = self.cells
        operands: Operands = self.four([self.matrix(rng, n, self.inputs) for _ in range(4)])
        operands += self.four([self.matrix(rng, n, self.outputs, meets_state=True) for _ in range(4)])
        peephole = self.four([self.peephole_weights(rng) for _ in range(3)])
        operands += peephole if self.peephole else [None] * 3
        operands += self.four([self.vector(rng, n) for _ in range(4)])
        projection = self.matrix(rng, self.outputs, n, meets_state=True)
        operands += [projection if self.projection else None]
        biased = self.projection and self.projection_bias
        return [*operands, self.vector(rng, self.outputs) if biased else None]

    def four(self, operands: Sequence[Given]) -> Operands:
        """Without the input gate's if there is none."""
        return [None if self.coupled else operands[0], *operands[1:]]

    def coefficients(self, rng: Random) -> Operands:
        """Those of layer normalisation, or four absent ones."""
        if not self.normalization:
            return [None] * 4
        return self.four([self.vector(rng, self.cells, mean=1.0) for _ in range(4)])

    def second_input(self, rng: Random) -> Operands:
        """The auxiliary input and the weights for it in both layers."""
        if not self.auxiliary:
            return [None] * 9
        width = self.inputs if self.auxiliary == "stacked" else self.auxiliary_inputs
        auxiliary = Given(self.x(rng, (*self.sequence_shape(), width)))
        if self.auxiliary == "stacked":
            return [auxiliary, *[None] * 8]
        first, second = (self.four([self.matrix(rng, self.cells, width) for _ in range(4)]) for _ in range(2))
        return [auxiliary, *first, *second]

    def matrix(self, rng: Random, rows: int, columns: int, meets_state: bool = False) -> Given:
        """Weights: int8, or float32 whose products add up to the same sum in any order."""
        spread = self.reach / columns**0.5
        if self.hybrid:
            scale = quantization(spread / 64 * rng.uniform(0.5, 2))
            return Given(rng.integers(-127, 128, (rows, columns)).astype(np.int8), scale, CONSTANT)
        if not meets_state:  # but multiples of 1/16
            steps = max(round(spread * 16), 1)
            multiples = rng.integers(-steps, steps + 1, (rows, columns)).astype(F)
            return Given(multiples / SIXTEENTHS, kind=CONSTANT)
        values = np.zeros((rows, columns), F)  # one product in each row, and one that does not round
        powers = rng.choice([-2, -1, -0.5, 0.25, 0.5, 1], rows)
        values[np.arange(rows), rng.integers(0, columns, rows)] = powers
        return Given(values, kind=CONSTANT)

    def peephole_weights(self, rng: Random) -> Given:
        """One weight for each cell."""
        if self.hybrid:
            scale = quantization(rng.uniform(0.005, 0.02))
            return Given(rng.integers(-127, 128, self.cells).astype(np.int8), scale, CONSTANT)
        return Given(rng.normal(0, 0.7, self.cells).astype(F), kind=CONSTANT)

    def vector(self, rng: Random, size: int, mean: float = 0.0) -> Given:
        """A bias, or the coefficients of layer normalisation."""
        values = rng.normal(mean, 1, size).astype(F)
        return Given(values if self.hybrid else in_sixteenths(values), kind=CONSTANT)

    def state(self, rng: Random, width: int) -> Given:
        """A state to begin with."""
        values = rng.normal(0, 0.7, (self.batch, width)).astype(F) * F(self.small)
        return Given(np.zeros_like(values) if rng.random() < self.at_rest else values, kind=STATE)

    def x(self, rng: Random, shape: tuple[int, ...]) -> Array:
        """Inputs of several kinds, with rows of zeros and steps of zeros."""
        kind = rng.integers(4)
        x: Array = rng.normal(0, 1, shape).astype(F)
        if kind == 1:
            x = np.maximum(x, F(0))
        elif kind == 2:  # in steps of half an integer
            x = (rng.integers(-254, 255, shape) / 128).astype(F)
            x[..., 0] = 127 / 64
        if not self.hybrid:
            x = np.clip(in_sixteenths(x), F(-8), F(8))
        x *= F(self.small)
        x[rng.random(shape[:-1]) < 0.15] = 0
        axis = 0 if self.time_major or len(shape) == 2 else 1
        x[(slice(None),) * axis + (rng.random(shape[axis]) < 0.15,)] = 0
        return x


def in_sixteenths(x: Array) -> Array:
    """The nearest multiples of 1/16, without -0."""
    rounded: Array = np.round(x * SIXTEENTHS) / SIXTEENTHS + F(0)
    return rounded


def random_recipe(rng: Random, operator: str, hybrid: bool) -> Recipe:
    """Any small layer; now and then one that only some numerics compute."""
    cells, projection = int(pick(rng, [1, 2, 3, 4, 5, 8, 9])), bool(rng.integers(2))
    both = operator == "BIDIRECTIONAL_SEQUENCE_LSTM"
    time_major, merged = bool(rng.integers(2)), both and bool(rng.integers(2))
    batch = int(rng.integers(1, 4))
    if merged and not time_major and rng.random() < 0.8:
        batch = 1
    widest = cells + 2 if projection and (hybrid or rng.random() < 0.1) else cells
    return Recipe(
        operator, hybrid, batch,
        steps=1 if operator == "LSTM" else int(rng.integers(1, 5)),
        inputs=int(pick(rng, [1, 2, 3, 8, 9, 17])),
        cells=cells,
        outputs=int(rng.integers(1, widest + 1)) if projection else cells,
        coupled=bool(rng.integers(2)), peephole=bool(rng.integers(2)),
        normalization=not both and rng.random() < 0.4,
        projection=projection, projection_bias=bool(rng.integers(2)),
        time_major=time_major, asymmetric=bool(rng.integers(2)),
        cell_clip=float(pick(rng, [0, 0, 0.25, 0.3, 1.5])),
        projection_clip=float(pick(rng, [0, 0, 0.25, 0.3])),
        activation=pick(rng, [*["TANH"] * 10, *["RELU", "RELU6", "RELU_N1_TO_1"] * 2, "NONE"]),
        merged=merged, auxiliary=pick(rng, ["", "stacked", "weights"]) if both else "",
        auxiliary_inputs=int(rng.integers(1, 10)),
        # (far larger sums leave outputs so small that the runtime cannot quantize them)
        reach=float(pick(rng, [0.1, 1, 1, 4, 4 if hybrid else 30])), at_rest=0.3,
    )  # fmt: skip
