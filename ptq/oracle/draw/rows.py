"""Boundary problems of all hybrid layers: how activations are quantized row by row, and sums rescaled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Array
from ptq.oracle.draw.matrices import matrix_problem
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization

BELOW_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))
"""0.49999997: the vector code rounds it to 1."""


@dataclass(frozen=True)
class Form:
    """One form of a hybrid operator.

    symmetric: whether rows have no zero point. several: whether the weights have a scale for each output.
    bias: whether there can be one. row_sums: whether zero points are subtracted by the sums of weights.
    """

    operator: str
    symmetric: bool
    several: bool
    version: int
    options: Mapping[str, Any] = field(default_factory=dict)
    bias: bool = True
    row_sums: bool = False

    def problem(
        self,
        purpose: str,
        x: Sequence[Sequence[float]] | Array,
        weights: Sequence[Sequence[int]] | Array,
        bias: Sequence[float] | None = None,
        scales: Sequence[float] = (0.3, 0.7),
        **options: Any,
    ) -> Problem:
        """x [M, K], each row an image, int8 weights [O, K]; scales are repeated for all outputs."""
        integers = np.array(weights, np.int8)
        count = len(integers) if self.several else 1
        given = None
        if self.bias:
            given = Given(np.array([0] * len(integers) if bias is None else bias, np.float32), None, CONSTANT)
        return matrix_problem(
            self.operator, Given(np.array(x, np.float32)),
            Given(integers, quantization(np.resize(np.array(scales), count)), CONSTANT), given, Wanted(),
            {**self.options, **options}, self.version, rows_are_images=True, purpose=purpose,
        )  # fmt: skip


def row_problems(form: Form) -> Iterator[Problem]:
    """Everything that this form has."""
    yield (_symmetric_ties if form.symmetric else _asymmetric_ties)(form)
    yield form.problem(
        "every row has a range of its own, which contains 0; a row of zeros has the scale 1",
        [[0.5, 1.0, 1.5], [-100.0, 30.0, 77.0], [0.0, 0.0, 0.0], [-3.0, -2.5, -2.0]],
        [[100, 50, -20], [1, -3, 90]],
    )  # fmt: skip
    yield _near_halves(form)
    yield _general(form)
    if form.bias:
        yield from _bounds(form)
    if form.row_sums:
        yield from _long(form)


def _symmetric_ties(form: Form) -> Problem:
    row = [127, 0.5, -0.5, 1.5, -1.5, 2.5, BELOW_HALF, -BELOW_HALF, -2.5, 4.5, BELOW_HALF]
    return form.problem(
        "with a step of 1, halves are rounded away from zero; 0.49999997 becomes 1 in the vector code's "
        "registers of eight",
        [row], _telling(len(row)), scales=(1.0, 0.5),
    )  # fmt: skip


def _asymmetric_ties(form: Form) -> Problem:
    halves = [0.5, 1.5, 2.5, BELOW_HALF, 126.5, 4.5, 6.5, 3.5, 127.5, BELOW_HALF]
    below = [-x for x in halves]
    return form.problem(
        "with a step of 1, halves are rounded away from zero before the zero point is added (vector code) or "
        "after (portable source)",
        [[255, *halves], [-255, *below], [127, -128, *halves[:4], *below[:5]]], _telling(11),
        scales=(1.0, 0.5),
    )  # fmt: skip


def _near_halves(form: Form) -> Problem:
    low, high = (-3.3, 3.3) if form.symmetric else (-1.7, 5.1)
    step = np.float32(3.3 / 127) if form.symmetric else np.float32((5.1 + 1.7) / 255)
    halves = [(n + 0.5) * float(step) for n in range(9, 31)]
    return form.problem(
        "activations next to halves of a step that is no power of two: they are multiplied by the inverse of "
        "the scale, not divided by it",
        [[low, high, *halves]], _telling(len(halves) + 2), scales=(1.0, 0.5),
    )  # fmt: skip


def _telling(inner: int) -> list[list[int]]:
    """Weights of which no few have the sum 0."""
    first = [1, 2, 4, 8, 16, 32, 64, -127, 11, -23, 47]
    return [[first[k % 11] for k in range(inner)], [(-1) ** k * 3 ** (k % 5) for k in range(inner)]]


def _general(form: Form) -> Problem:
    rng = np.random.default_rng(11)
    x = rng.normal(0.1, 1, (6, 19)) * np.exp(rng.uniform(-4, 4, (6, 1)))
    return form.problem(
        "scales in general: in which precision the range is subtracted, whether activations are multiplied "
        "by the inverse, in which order scales are multiplied",
        x, rng.integers(-127, 128, (8, 19)), scales=np.exp(rng.uniform(-6, -2, 8)).tolist(),
    )  # fmt: skip


def _bounds(form: Form) -> Iterator[Problem]:
    x, weights, scales = [[1.0, -2.0], [3.0, 0.5]], [[90, 3], [-7, 50], [127, 127]], (0.01, 0.03, 0.05)
    yield form.problem(
        "the bias is added to the rescaled sum, then RELU6 clamps", x, weights, (0.25, -0.5, 7.0), scales,
        fused_activation_function="RELU6",
    )  # fmt: skip
    yield form.problem(
        "infinities and NaN in the bias, without an activation", x, weights, (np.inf, -np.inf, np.nan), scales
    )


def _long(form: Form) -> Iterator[Problem]:
    """Long rows of one sign."""
    count = 2088
    row = np.full((1, count), 0.9, np.float32)
    row[0, ::3] = 1
    weights = np.full((1, count), 127, np.int8)
    weights[0, -7:] = 101
    yield form.problem(
        "sums beyond 2^24 are rounded to float32"
        + ("" if form.symmetric else "; those of weights alone wrap around in the int16 lanes of x86 builds"),
        row, weights,
    )  # fmt: skip
