"""Problems of LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM on integers ("8x8_16")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ptq.graph import Quantization
from ptq.oracle.draw.core import Array, Draw, Random, between, integers, pick, zero_point
from ptq.oracle.problem import CONSTANT, STATE, Given, Problem, Wanted, quantization

SINGLE, SEQUENCE = "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"
SPREAD = 70.0 * 70.0
"""Of a product of two int8."""

Operands = list[Given | None]


@dataclass(frozen=True)
class Recipe:
    """The choices of one problem. reach: about how large the sums of the gates are.

    output_zero_point: of the output and its state. at_rest: whether the states are those that a model begins
    with, as tflite-micro cannot be given others.
    """

    operator: str
    batch: int = 1
    steps: int = 3
    inputs: int = 4
    cells: int = 3
    outputs: int = 3
    coupled: bool = False
    peephole: bool = False
    normalization: bool = False
    projection: bool = False
    projection_bias: bool = False
    time_major: bool = False
    cell_clip: float = 0.0
    projection_clip: float = 0.0
    cell_exponent: int = -11
    reach: float = 1.0
    output_zero_point: int = 5
    at_rest: bool = False

    def problem(self, rng: Random, purpose: str = "") -> Problem:
        """A problem with random numbers."""
        x_scale, h_scale = (middle * between(rng, 0.5, 2) for middle in (1 / 64, 1 / 100))
        read, written = (
            quantization(x_scale, zero_point(rng, np.int8)),
            quantization(h_scale, self.output_zero_point),
        )
        operands: Operands = [Given(self.x(rng, read), read), *self.layer(rng, x_scale, h_scale)]
        operands += self.states(rng, written)
        norms = [self.vector(rng, self.cells, np.int16, 2.0**-14) for _ in range(4)]
        operands += self.four(norms) if self.normalization else [None] * 4
        hidden = (
            quantization(between(rng, 0.5, 2) / 127, zero_point(rng, np.int8)) if self.projection else written
        )
        gates = [quantization(2.0**-11 * between(rng, 0.5, 2)) for _ in range(4)]
        options: dict[str, object] = {
            "fused_activation_function": "TANH", "cell_clip": self.cell_clip,
            "proj_clip": self.projection_clip,
        }  # fmt: skip
        if self.operator == SEQUENCE:
            options["time_major"] = self.time_major
        return Problem(
            self.operator, operands, [Wanted("INT8", written)], options, 3,
            [Wanted("INT16", scale) for scale in (*gates, hidden)], purpose,
        )  # fmt: skip

    # --- operands -----------------------------------------------------------------------------------

    def layer(self, rng: Random, x_scale: float, h_scale: float) -> Operands:
        """The 17 operands of a layer."""
        n, unit = self.cells, 4.0 if self.normalization else 1.0
        w = self.reach * unit / (SPREAD * self.inputs**0.5) / x_scale
        r = self.reach * unit / (SPREAD * self.outputs**0.5) / h_scale
        operands = self.four([self.matrix(rng, n, self.inputs, w) for _ in range(4)])
        operands += self.four([self.matrix(rng, n, self.outputs, r) for _ in range(4)])
        peepholes = self.four([self.vector(rng, n, np.int16, 2.0**-15) for _ in range(4)])
        operands += [peepholes[0], peepholes[1], peepholes[3]] if self.peephole else [None] * 3
        operands += self.four([self.bias(rng, n, 2.0 ** (12 + 2 * self.normalization)) for _ in range(4)])
        if not self.projection:
            return [*operands, None, None]
        operands.append(self.matrix(rng, self.outputs, n, 0.02 / n**0.5))
        return [*operands, self.bias(rng, self.outputs, 2.0**10) if self.projection_bias else None]

    def four(self, operands: list[Given]) -> Operands:
        """Without the input gate's if there is none."""
        return [None if self.coupled else operands[0], *operands[1:]]

    def matrix(self, rng: Random, rows: int, columns: int, scale: float) -> Given:
        """Symmetric int8 weights."""
        data = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        return Given(data, quantization(scale * between(rng, 0.5, 2)), CONSTANT)

    def vector(self, rng: Random, size: int, dtype: type, scale: float) -> Given:
        """Coefficients of all sizes."""
        return Given(integers(rng, (size,), dtype), quantization(scale * between(rng, 0.5, 2)), CONSTANT)

    def bias(self, rng: Random, size: int, spread: float) -> Given:
        """An int32 bias."""
        return Given(rng.normal(0, spread, size).astype(np.int32), quantization(2.0**-20), CONSTANT)

    def states(self, rng: Random, written: Quantization) -> Operands:
        """Output state and cell state."""
        kept = quantization(2.0**self.cell_exponent)
        h = integers(rng, (self.batch, self.outputs), np.int8)
        c = integers(rng, (self.batch, self.cells), np.int16)
        if self.at_rest:
            h, c = np.full_like(h, self.output_zero_point), np.zeros_like(c)
        return [Given(h, written, STATE), Given(c, kept, STATE)]

    def x(self, rng: Random, read: Quantization) -> Array:
        """Inputs, with rows that stand for zero."""
        shape: tuple[int, ...] = (self.batch, self.steps, self.inputs)
        if self.operator == SINGLE:
            shape = self.batch, self.inputs
        elif self.time_major:
            shape = self.steps, self.batch, self.inputs
        x = integers(rng, shape, np.int8)
        if rng.random() < 0.3:
            x = np.where(x > 0, 127, -128).astype(np.int8)
        x[rng.random(shape[:-1]) < 0.2] = read.zero_point[0]
        return x


def boundary(operator: str) -> Iterator[Problem]:
    """Each with what it tells apart."""
    rng, plain = np.random.default_rng(41), Recipe(operator)
    yield plain.problem(rng, "gates, cell state and output, each rounded by its own rule")
    yield replace(plain, at_rest=True).problem(
        rng, "a model begins with the output's zero point as its state"
    )
    yield replace(plain, reach=30.0, cells=4, outputs=4).problem(rng, "sums of gates saturate at 16 bits")
    yield replace(plain, reach=6.0, cell_exponent=-15).problem(rng, "the cell state saturates at 16 bits")
    yield replace(plain, cell_clip=0.3).problem(rng, "the cell state is clipped before it is shown")
    yield replace(plain, coupled=True, cell_exponent=-15, cells=8, outputs=8, batch=2).problem(
        rng, "without an input gate, 32767 - forget gate takes its place"
    )
    yield replace(plain, peephole=True).problem(rng, "the output gate's peephole sees the new cell state")
    yield replace(plain, normalization=True, cells=7, outputs=7, batch=2, cell_exponent=-15).problem(
        rng,
        "sums are normalised over seven cells, whose reciprocal is cut off, and get their bias afterwards",
    )
    projected = replace(plain, projection=True, projection_bias=True, outputs=2)
    yield projected.problem(rng, "a projection takes the hidden values without their zero point")
    yield replace(projected, projection_clip=0.3, output_zero_point=0).problem(
        rng, "the projection is clipped"
    )
    if operator == SEQUENCE:
        yield replace(plain, time_major=True, batch=2).problem(rng, "the first dimension is the time")


def random(operator: str, rng: Random) -> Problem:
    """Any small layer that the runtime computes as it is meant."""
    cells, projection, peephole = (
        int(pick(rng, [1, 2, 3, 4, 7, 8])),
        bool(rng.integers(2)),
        bool(rng.integers(2)),
    )
    if rng.random() < 0.3:  # what micro has, too
        return Recipe(
            operator, int(rng.integers(1, 3)), int(rng.integers(1, 5)), int(pick(rng, [1, 3, 8, 9])),
            cells, cells,
            time_major=bool(rng.integers(2)), cell_clip=float(pick(rng, [0.0, 0.3])),
            cell_exponent=int(rng.integers(-15, -8)), reach=float(pick(rng, [0.3, 1, 4, 30])),
            output_zero_point=zero_point(rng, np.int8), at_rest=bool(rng.integers(2)),
        ).problem(rng)  # fmt: skip
    several = projection and not peephole
    clip = float(pick(rng, [0, 0, 0.3]))
    return Recipe(
        operator, int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(pick(rng, [1, 3, 8, 9])), cells,
        int(rng.integers(1, cells + 2)) if several else cells, bool(rng.integers(2)), peephole,
        bool(rng.integers(2)), projection, bool(rng.integers(2)), bool(rng.integers(2)),
        float(pick(rng, [0, 0, 0.3, 1.7])), clip, int(rng.integers(-15, -8)), float(pick(rng, [0.3, 1, 4,
        30])),
        0 if clip and projection else zero_point(rng, np.int8), bool(rng.integers(2)),
    ).problem(rng)  # fmt: skip


def draw(operator: str) -> Draw:
    """Of one operator."""
    return Draw(lambda: boundary(operator), lambda rng: random(operator, rng))


INTEGER = {name: draw(name) for name in (SINGLE, SEQUENCE)}
