"""Boundary problems of all integer layers: zero points, accumulator, bias, rescaling, bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.oracle.draw.core import ACTIVATIONS, Array
from ptq.oracle.draw.matrices import matrix_problem
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization

Rows = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Kind:
    """An operator on some types.

    activations, weights, bias: their types; bias None for an operator without one. weights_zero_point:
    whether int8 weights have one.
    """

    operator: str
    activations: npt.DTypeLike = np.int8
    weights: npt.DTypeLike = np.int8
    bias: npt.DTypeLike | None = np.int32
    version: int = 3
    weights_zero_point: bool = False

    @property
    def offset(self) -> int:
        """128 for uint8."""
        return 128 if self.activations is np.uint8 else 0

    @property
    def several(self) -> bool:
        """Whether the weights may have a scale for each output."""
        return not self.offset and self.operator != "BATCH_MATMUL"

    @property
    def wide(self) -> bool:
        """Whether activations have 16 bits, and no zero point."""
        return self.activations is np.int16

    def problem(
        self,
        purpose: str,
        x: Rows,
        weights: Rows,
        bias: Sequence[int] | None = None,
        scales: tuple[float, float | Sequence[float], float] = (1.0, 1.0, 1.0),
        zero_points: tuple[int, int, int] = (0, 0, 0),
        **options: Any,
    ) -> Problem:
        """x [M, K] and weights [O, K] are given without their zero points.

        scales, zero_points: of input, weights and output, the latter as for int8.
        """
        zero_x, zero_w, zero_y = (0 if self.wide else z + self.offset for z in zero_points)
        product = np.float32(scales[0]) * np.atleast_1d(np.asarray(scales[1], np.float32))
        given = None
        if self.bias is not None:
            values = np.array([0] * len(weights) if bias is None else bias, self.bias)
            given = Given(values, quantization(product), CONSTANT)
            if self.bias is np.int32 and self.wide:
                options["quantized_bias_type"] = "INT32"
        return matrix_problem(
            self.operator,
            Given(_held(x, zero_x, self.activations), quantization(scales[0], zero_x)),
            Given(_held(weights, zero_w, self.weights), quantization(scales[1], zero_w), CONSTANT),
            given,
            Wanted(np.dtype(self.activations).name.upper(), quantization(scales[2], zero_y)),
            options,
            self.version,
            purpose=purpose,
        )


def _held(rows: Rows, zero_point: int, dtype: npt.DTypeLike) -> Array:
    """The integers with their zero point; OverflowError if they do not fit."""
    return np.array([[value + zero_point for value in row] for row in rows], dtype)


def column(*values: int) -> Rows:
    """One number in each row."""
    return [[value] for value in values]


def stage_problems(kind: Kind) -> Iterator[Problem]:
    """What follows: all of it for int8, for other types what is different with them."""
    first = kind.activations is np.int8 and not kind.weights_zero_point
    matmul = kind.bias is None
    yield _ties(kind)
    yield _sums(kind)
    if not kind.wide:
        yield _zero_points(kind)
    if first or matmul or not kind.weights_zero_point:
        yield _ends(kind)
    if first or matmul:
        yield _left_shift(kind)
    if kind.wide:
        yield _wide_multiplier(kind)
    if not matmul and not kind.weights_zero_point:
        yield _bias(kind)
        if kind.bias is np.int32:
            yield _wrapping(kind)
        if not kind.wide:
            yield _precision(kind)
        yield from (_activation(kind, name) for name in (ACTIVATIONS[1:] if first else ("RELU6",)))
    if kind.bias is np.int64:
        yield _wide_bias(kind)
    if kind.several:
        yield _channels(kind)


def _ties(kind: Kind) -> Problem:
    return kind.problem(
        "sums halfway between two outputs round away from zero, before the zero point is added; those at 3/8 "
        "of an output show whether there are two roundings",
        column(-11, -7, -5, -3, -1, 1, 3, 5, 7, 11), column(4, 2, 1), scales=(0.5, 0.25, 1.0),
        zero_points=(3, 0, 5),
    )  # fmt: skip


def _left_shift(kind: Kind) -> Problem:
    return kind.problem(
        "a multiplier above 1 shifts the sum to the left before the product, not after it",
        column(-30, -2, -1, 1, 2, 30), column(1, 3), scales=(1.0, 1.3, 1.0), zero_points=(0, 0, 1),
    )  # fmt: skip


def _zero_points(kind: Kind) -> Problem:
    own = kind.weights_zero_point or bool(kind.offset)
    return kind.problem(
        "zero points at the ends of the type are subtracted in more than 8 bits, and added to the output",
        [[255, 0], [0, 255], [1, 2]],
        [[-255, -1], [-100, 0]] if own else [[127, -127], [-1, 100]],
        scales=(0.25, 0.03125, 2.5),
        zero_points=(-128, 127 if own else 0, 20),
    )


def _sums(kind: Kind) -> Problem:
    largest, zero = (32767, 0) if kind.wide else (255, -128)
    return kind.problem(
        "sums beyond int16, of pairs that int16 does not hold either",
        [[largest] * 4, [largest, largest, 1, 2]], [[127] * 4, [-127] * 4, [1, 2, 100, -127]],
        scales=(1.0, 1 / 2**17 if kind.wide else 1 / 2**11, 1.0), zero_points=(zero, 0, 3),
    )  # fmt: skip


def _ends(kind: Kind) -> Problem:
    x = (-127, -70, -69, 0, 58, 59, 127)
    wide = (-32767, -16385, -16384, 0, 16383, 16384, 32767)
    return kind.problem(
        "outputs at and beyond both ends of the type saturate, after the zero point is added",
        column(*(wide if kind.wide else x)), column(1, 2), zero_points=(0, 0, 10),
    )  # fmt: skip


def _activation(kind: Kind, name: str) -> Problem:
    scale = float(np.float32(12 / 149))
    return kind.problem(
        f"{name} clamps at the integers that mean its bounds, by the output's scale and zero point"
        + ("; 6 is 74.5 steps, rounded to 75 (XNNPACK: to 74)" if name == "RELU6" else ""),
        column(-127, -40, -1, 0, 1, 40, 127), column(1), scales=(scale, 1.0, scale), zero_points=(0, 0, -30),
        fused_activation_function=name,
    )  # fmt: skip


def _bias(kind: Kind) -> Problem:
    return kind.problem(
        "the bias has the scale of the sum, and is added before both are rounded",
        column(3, -3, 4), column(1, 1, 1, 1), (3, -3, 100, -150), scales=(0.5, 0.25, 1.0),
        zero_points=(1, 0, -2),
    )  # fmt: skip


def _wrapping(kind: Kind) -> Problem:
    return kind.problem(
        "sums beyond int32 wrap around, as in C",
        column(2, -2), column(1, 1, 1), (2**31 - 1, -(2**31), 2**31 - 2), scales=(2.0**-12, 2.0**-13, 1.0),
    )  # fmt: skip


def _wide_bias(kind: Kind) -> Problem:
    return kind.problem(
        "sums and biases beyond int32 have 64 bits",
        column(1, -1), column(1, 1, 1), (2**33, -(2**32) - 12345, 2**31), scales=(2.0**-10, 2.0**-10, 1.0),
    )  # fmt: skip


def _wide_multiplier(kind: Kind) -> Problem:
    return kind.problem(
        "a multiplier for 64-bit sums is rounded to its upper 16 bits; for 32-bit ones, with an int32 bias, "
        "all of them count",
        column(20000, -20000, -30003, 12345), column(1), scales=(1.0, 0.5 + 0.375 / 2**14, 1.0),
    )  # fmt: skip


def _precision(kind: Kind) -> Problem:
    scales = 3.1e-5, 1.7e-3, 1.1
    return kind.problem(
        "sums next to a tie between two outputs tell how precise the multiplier is",
        column(0), column(*[1] * 24), sorted(next_to_ties(*scales, (-90, 85))), scales=scales,
    )  # fmt: skip


def _channels(kind: Kind) -> Problem:
    return kind.problem(
        "every output has the scale of its channel, not the first one, nor that of its row",
        column(64, -100), column(1, 1, 1), scales=(1.0, (0.5, 0.125, 0.015625), 1.0), zero_points=(2, 0, -1),
    )  # fmt: skip


def matmul_precision(kind: Kind) -> Problem:
    """The same for an operator without a bias: sums of 134973 and 154381."""
    return kind.problem(
        "sums next to a tie between two outputs tell how precise the multiplier is",
        [[255, 255, 255, 78], [255, 255, 255, 106]], [[255, 255, 19, 1], [255, 255, 95, 1]],
        scales=(0.049276438, 0.05598053, 4.867036),
        zero_points=(-128, -128, 0),
    )  # fmt: skip


def next_to_ties(a: float, b: float, c: float, halves: Sequence[int]) -> list[int]:
    """Sums on both sides of (n + 1/2) / multiplier, for the multipliers a b / c in various precisions."""
    x, w, y = map(np.float32, (a, b, c))
    exact = np.float64(x) * np.float64(w) / np.float64(y)
    rounded = np.float64(x * w) / np.float64(y)
    found = []
    for multiplier in (exact, rounded, np.float64(x * w / y)):
        for n in halves:
            tie = int(np.floor((n + 0.5) / multiplier))
            found += [tie, tie + 1, tie - 24, tie + 24]
    return found[:24]
