"""Problems of MUL, DIV and PRELU on integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ptq.errors import UnsupportedError
from ptq.oracle.draw.core import Array, Draw, Random, near, pick, zero_point
from ptq.oracle.draw.quantized import (
    TYPES,
    any_scale,
    any_shape,
    column,
    fused,
    problem,
    row,
    two_shapes,
    values,
)
from ptq.oracle.problem import Problem
from ptq.spec.question import LIMITS

Pair = tuple[Array, Array]
ODD = row([-7, -5, -3, -1, 1, 3, 5, 7])

# --- MUL and DIV ----------------------------------------------------------------------------------


def _multiplication(rng: Random) -> Problem:
    dtype = pick(rng, TYPES)
    a, b = any_scale(rng), any_scale(rng)
    output = float(near(rng, a * b, -2, 14) if rng.random() < 0.7 else near(rng, a * b, -8, 25))
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    return problem(
        "MUL", [(x, a, zero_point(rng, dtype)), (y, b, zero_point(rng, dtype))], (output, zero_point(rng,
        dtype)),
        **fused(rng, output),
    )  # fmt: skip


def _products() -> Iterable[Problem]:
    scales = 0.031739573925733566, 0.13801421225070953, 0.6853380799293518
    yield problem(
        "MUL",
        [(column([-98, -87, 87, 98]), scales[0], 0), (row([-98, -87, 87, 98]), scales[1], 0)],
        (scales[2], 0),
        "the ratio of the scales is rounded to float32 at every step, in micro kept as a double",
    )
    yield problem(
        "MUL", [(ODD, 0.5, 0), (row([1]), 1.0, 0)], (1.0, 3),
        "by a factor of 1/2, which has no right shift, ties go up, before the zero point is added",
    )  # fmt: skip
    yield problem(
        "MUL", [(column([-128, -3, 5, 127]), 0.1, -3), (row([-128, 7, 8, 127]), 0.2, 7)], (1.0, -20),
        "zero points are subtracted from both operands before they are multiplied",
    )  # fmt: skip
    yield problem(
        "MUL", [(column([-100, 3, 4, 100]), 0.1, 3), (row([-100, 0, 20, 100]), 0.1, 0)], (0.05, 10),
        "RELU6 clamps at the integers of 0 and 6, which the output's scale and zero point say",
        fused_activation_function="RELU6",
    )  # fmt: skip
    yield problem(
        "MUL", [(column([-90, 1, 77]), 2.0, 0), (row([-3, 0, 2]), 3.0, 0)], (4.0, 0),
        "a factor above 1 is a shift to the left",
    )  # fmt: skip
    square = np.arange(9, dtype=np.int8).reshape(3, 3)
    yield problem(
        "MUL", [(square, 1.0, 0), (row([1, 2, 3]), 1.0, 0)], (1.0, 0),
        "three numbers meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip
    yield problem(
        "MUL", [(column([0, 120, 255], np.uint8), 0.1, 128), (row([0, 99, 255], np.uint8), 0.1, 255)],
        (0.9, 60),
        "uint8 with a zero point at its end",
    )  # fmt: skip
    wide = [-32768, -32767, -20001, 7, 31111, 32767]
    yield problem(
        "MUL", [(column(wide, np.int16), 0.3, 0), (row(wide, np.int16), 5.7, 0)], (69000.0, 0),
        "int16: products of 31 bits, whose factor lite rounds to float32 twice, and micro not at all",
    )  # fmt: skip


def _division(rng: Random) -> Problem:
    """Quotients that TensorFlow Lite loses are drawn again."""
    while True:
        found = _any_division(rng)
        try:
            found.run()
        except UnsupportedError:
            continue
        return found


def _any_division(rng: Random) -> Problem:
    dtype = pick(rng, TYPES)
    lowest, highest = LIMITS[np.dtype(dtype).name.upper()]
    a, b = any_scale(rng), any_scale(rng)
    output = float(near(rng, a / b, -8, 2))
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    za, zb = zero_point(rng, dtype), zero_point(rng, dtype)
    if rng.random() < 0.5:  # small divisors
        y = (zb + rng.integers(-3, 4, y.shape)).clip(lowest, highest).astype(dtype)
    y = np.where(y == zb, zb + 1 if zb < highest else zb - 1, y).astype(dtype)
    return problem("DIV", [(x, a, za), (y, b, zb)], (output, zero_point(rng, dtype)), **fused(rng, output))


def _quotients() -> Iterable[Problem]:
    yield problem(
        "DIV", [(ODD, 1.0, 0), (row([2]), 1.0, 0)], (1.0, 3),
        "quotients halfway between two outputs round away from zero, and are not cut off",
    )  # fmt: skip
    yield problem(
        "DIV", [(column([-128, -97, -50, 61, 100, 127]), 0.5, 0), (row([-7, -3, -1, 1, 3, 9]), 0.25, 0)],
        (0.5, 0),
        "all signs: the quotient keeps its fraction until it has the output's scale",
    )  # fmt: skip
    yield problem(
        "DIV", [(column([-128, -97, 61, 127]), 0.5, 11), (row([-8, -3, 2, 12]), 0.25, -2)], (0.5, -20),
        "zero points are subtracted from both operands before they are divided",
    )  # fmt: skip
    yield problem(
        "DIV", [(column([-100, 20, 50, 100]), 0.1, 0), (row([-5, 4, 9]), 0.5, 0)], (0.09, -20),
        "RELU6 clamps at the integers of 0 and 6, which the output's scale and zero point say",
        fused_activation_function="RELU6",
    )  # fmt: skip
    square = np.arange(60, 69, dtype=np.int8).reshape(3, 3)
    yield problem(
        "DIV", [(square, 1.0, 0), (row([1, 2, 3]), 1.0, 0)], (1.0, 0),
        "three divisors meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip
    yield problem(
        "DIV", [(column([0, 20, 255], np.uint8), 0.1, 128), (row([100, 130, 140], np.uint8), 0.1, 128)],
        (0.5, 100), "uint8 with a zero point in its middle",
    )  # fmt: skip
    yield problem(
        "DIV", [(column([-32768, -20001, 12345, 32767], np.int16), 1.2, 0),
                (row([-7, 3, 11], np.int16), 1.6, 0)], (0.5, 0),
        "int16: quotients of 15 bits, the scales' ratio rounded to float32 in lite, and not in micro",
    )  # fmt: skip


# --- PRELU ----------------------------------------------------------------------------------------


def _slopes(rng: Random) -> Problem:
    dtype = pick(rng, TYPES)
    of_slopes = np.int8 if dtype == np.int16 else dtype
    shape = any_shape(rng)
    inside = tuple(1 if rng.random() < 0.5 else size for size in shape)[int(rng.integers(len(shape) + 1)) :]
    x, alpha = values(rng, shape, dtype), values(rng, inside, of_slopes)
    a, b = any_scale(rng), any_scale(rng)
    output = float(near(rng, a, -4, 8))
    operands = [(x, a, zero_point(rng, dtype)), (alpha, b, zero_point(rng, of_slopes))]
    return problem("PRELU", operands, (output, zero_point(rng, dtype)))


def _meet(
    x: list[int], alpha: list[int], dtype: npt.DTypeLike = np.int8, slopes: npt.DTypeLike = np.int8
) -> Pair:
    """Each x beside each slope: PRELU does not broadcast its first operand."""
    return np.repeat(column(x, dtype), len(alpha), axis=1), row(alpha, slopes)


def _slope_boundary() -> Iterable[Problem]:
    x, alpha = _meet([-7, -5, -3, -1, 0, 1, 3, 5, 7], [2, -2])
    yield problem(
        "PRELU", [(x, 0.5, 0), (alpha, 0.5, 0)], (1.0, 3),
        "on both sides of zero ties round away from zero, before the zero point is added",
    )  # fmt: skip
    x, alpha = _meet([-128, -11, -10, 9, 10, 11, 127], [-128, -3, 0, 127])
    yield problem(
        "PRELU", [(x, 0.1, 10), (alpha, 0.02, -3)], (0.2, -5),
        "the sign is that of x without its zero point, and the slope has a zero point, too",
    )  # fmt: skip
    square = np.array([[-9, -20, 30], [-40, 50, -60], [70, -80, -90]], np.int8)
    yield problem(
        "PRELU", [(square, 0.5, 0), (row([10, 50, 100]), 0.01, 0)], (0.5, 0),
        "a slope for each channel: the slopes meet the last dimension",
    )  # fmt: skip
    x, alpha = _meet([0, 99, 128, 255], [0, 100, 255], np.uint8, np.uint8)
    yield problem(
        "PRELU", [(x, 0.1, 128), (alpha, 0.01, 100)], (0.15, 60), "uint8, with slopes of both signs"
    )
    x, alpha = _meet([-32768, -20001, -3, 12345, 32767], [-128, 3, 127], np.int16)
    yield problem(
        "PRELU", [(x, 6.5, 0), (alpha, 0.083, 0)], (3.0, 0),
        "int16 has slopes of int8; their factor is rounded to float32 in lite, and not in micro",
    )  # fmt: skip


INTEGER = {
    "MUL": Draw(_products, _multiplication),
    "DIV": Draw(_quotients, _division),
    "PRELU": Draw(_slope_boundary, _slopes),
}
