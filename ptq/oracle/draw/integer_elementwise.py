"""Problems of ADD, SUB, SQUARED_DIFFERENCE, MAXIMUM and MINIMUM on integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Draw, Random, near, pick, zero_point
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

ODD = row([-7, -5, -3, -1, 1, 3, 5, 7])

# --- ADD and SUB ----------------------------------------------------------------------------------


def _addition(operator: str, rng: Random) -> Problem:
    """Output scales as fine as the kernel can have them; powers of two on int16, by both kernels for them."""
    dtype = pick(rng, TYPES)
    if dtype == np.int16 and rng.random() < 0.4:
        return _powers_of_two(operator, rng)
    a = any_scale(rng)
    b = any_scale(rng) if rng.random() < 0.3 else float(near(rng, a))
    finest = -12.9 if dtype == np.int16 else -17.9
    output = float(near(rng, max(a, b), finest if rng.random() < 0.3 else -3, 8))
    # what happens to be powers of two would need the larger one for the output
    options: dict[str, Any] = {"pot_scale_int16": False} if dtype == np.int16 else {}
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    return problem(
        operator, [(x, a, zero_point(rng, dtype)), (y, b, zero_point(rng, dtype))], (output,
        zero_point(rng, dtype)),
        **options, **fused(rng, output),
    )  # fmt: skip


def _powers_of_two(operator: str, rng: Random) -> Problem:
    """The output has the larger scale; a shift of 16 or more leaves hardly more than the sign."""
    output, shift = float(2.0 ** rng.integers(-15, 5)), int(pick(rng, (0, 1, 2, 7, 14, 15, 16, 20)))
    shapes = two_shapes(rng) if operator == "SUB" else [any_shape(rng)] * 2  # ADD ends the process
    a, b = rng.permutation([output, output / 2**shift]).tolist()
    x, y = (values(rng, shape, np.int16) for shape in shapes)
    return problem(operator, [(x, a, 0), (y, b, 0)], (output, 0), **fused(rng, output))


def _sums(operator: str) -> Iterable[Problem]:
    """What ADD and SUB have in common."""
    nothing = row([0])
    yield problem(
        operator, [(ODD, 0.5, 0), (nothing, 0.5, 0)], (1.0, 3),
        "halfway between two outputs results round away from zero, before the zero point is added",
    )  # fmt: skip
    yield problem(
        operator, [(column([-50, -2, 0, 3, 90]), 0.5, 0), (row([-127, -60, -1, 25, 75, 127]), 0.01, 0)],
        (0.4, -2),
        "the scales differ by a factor of 50: both operands come to one scale, "
        "and fine enough that neither is lost",
    )  # fmt: skip
    yield problem(
        operator, [(nothing, 1.0, 0), (row([-25, -15, -5, 5, 15, 25]), 0.099998, 0)], (1.0, 0),
        "results just below a half, which 15 bits for the common scale would round to a half, and 20 do not",
    )  # fmt: skip
    yield problem(
        operator, [(column([-128, -1, 0, 127]), 0.25, 127), (row([-128, -1, 0, 127]), 0.2, -128)], (0.5, -30),
        "zero points at both ends of int8: differences need 9 bits, sums saturate",
    )  # fmt: skip
    yield problem(
        operator, [(column([-100, 0, 9, 30]), 0.1, -3), (row([-90, 0, 50]), 0.11, 4)], (0.09, -10),
        "RELU6 clamps at the integers of 0 and 6, which the output's scale and zero point say",
        fused_activation_function="RELU6",
    )  # fmt: skip
    square = np.arange(9, dtype=np.int8).reshape(3, 3)
    yield problem(
        operator, [(square, 1.0, 0), (row([10, 20, 30]), 1.0, 0)], (1.0, 0),
        "three numbers meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip
    yield problem(
        operator, [(row([0, 100, 255], np.uint8), 0.5, 128), (column([0, 127, 255], np.uint8), 0.3, 100)],
        (0.7, 120),
        "uint8, whose integers from 128 on are no negative numbers",
    )  # fmt: skip
    wide = row([-32768, -12345, -3, 1, 5, 20000, 32767], np.int16)
    yield problem(
        operator, [(wide, 0.3, 0), (column([-32768, 1, 30000], np.int16), 0.2, 0)], (0.4, 0),
        "int16 has room for 15 more bits, not for 20", pot_scale_int16=False,
    )  # fmt: skip
    yield problem(
        operator, [(wide, 0.25, 0), (row([3, -5, 2, -2, 1, 30000, 32767], np.int16), 0.125, 0)], (0.25, 0),
        "int16 whose scales are powers of two: the finer operand alone is shifted, "
        "and rounded before the sum",
    )  # fmt: skip
    yield problem(
        operator, [(row([0, 0, 0, 1], np.int16), 1.0, 0), (row([-32768, -1, 1, 32767], np.int16), 2.0**-16,
        0)],
        (1.0, 0), "a shift of 16 bits overflows the int16 mask of the rounding: 1 remains, or -1 below zero",
    )  # fmt: skip


# --- SQUARED_DIFFERENCE ---------------------------------------------------------------------------


def _squared_difference(rng: Random) -> Problem:
    """int16 is in tflite-micro alone."""
    dtype = np.int16 if rng.random() < 0.2 else np.int8
    a = any_scale(rng)
    b = float(near(rng, a, -4, 4))
    output = float(near(rng, max(a, b) ** 2 / 2**12, 1, 16))
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    return problem(
        "SQUARED_DIFFERENCE", [(x, a, zero_point(rng, dtype)), (y, b, zero_point(rng, dtype))],
        (output, zero_point(rng, dtype)),
    )  # fmt: skip


def _squares() -> Iterable[Problem]:
    name = "SQUARED_DIFFERENCE"
    yield problem(
        name, [(column([-7, -1, 0, 4]), 0.5, 0), (row([-6, -2, 1, 9]), 0.5, 0)], (0.5, -3),
        "the scale is squared with the difference, and ties round away from zero",
    )  # fmt: skip
    yield problem(
        name, [(column([-50, 0, 30]), 0.5, 0), (row([-127, -40, 1, 60, 127]), 0.03, 0)], (8.0, -128),
        "scales that differ: both operands come to one scale, before the difference",
    )  # fmt: skip
    yield problem(
        name, [(column([-128, 0, 127]), 0.02, 127), (row([-128, 0, 127]), 0.02, -128)], (0.2, -128),
        "zero points at both ends: differences of 255 and more, whose squares saturate",
    )  # fmt: skip
    square = np.arange(9, dtype=np.int8).reshape(3, 3)
    yield problem(
        name, [(square, 1.0, 0), (row([1, 5, 9]), 1.0, 0)], (1.0, 0),
        "three numbers meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip
    yield problem(
        name, [(column([-50, 0, 30]), 0.053, 0), (row([-127, -40, 1, 60, 127]), 0.018, 0)], (0.027, -100),
        "the common scale is 7 bits finer than the operands', and every rescaling rounds twice",
    )  # fmt: skip


# --- MAXIMUM and MINIMUM --------------------------------------------------------------------------


def _extreme(operator: str, rng: Random) -> Problem:
    dtype = pick(rng, TYPES)
    scale, zero = any_scale(rng), zero_point(rng, dtype)
    x, y = (values(rng, shape, dtype) for shape in two_shapes(rng))
    return problem(operator, [(x, scale, zero), (y, scale, zero)], (scale, zero))


def _extremes(operator: str) -> Iterable[Problem]:
    ends_of = {np.int8: (-128, -1, 0, 127), np.uint8: (0, 127, 128, 255), np.int16: (-32768, -1, 32767)}
    for dtype, ends in ends_of.items():
        zero = 0 if dtype == np.int16 else 5
        yield problem(
            operator, [(column(ends, dtype), 0.5, zero), (row(ends, dtype), 0.5, zero)], (0.5, zero),
            f"{np.dtype(dtype).name} is compared in its own type, to its ends; nothing is rescaled",
        )  # fmt: skip
    square = np.array([[1, 5, 9], [2, 6, 7], [8, 3, 4]], np.int8)
    yield problem(
        operator, [(square, 0.5, 0), (row([3, 5, 8]), 0.5, 0)], (0.5, 0),
        "three numbers meet the columns of a square: shapes are aligned at the last dimension",
    )  # fmt: skip


INTEGER = {
    "ADD": Draw(lambda: _sums("ADD"), lambda rng: _addition("ADD", rng)),
    "SUB": Draw(lambda: _sums("SUB"), lambda rng: _addition("SUB", rng)),
    "SQUARED_DIFFERENCE": Draw(_squares, _squared_difference),
    "MAXIMUM": Draw(lambda: _extremes("MAXIMUM"), lambda rng: _extreme("MAXIMUM", rng)),
    "MINIMUM": Draw(lambda: _extremes("MINIMUM"), lambda rng: _extreme("MINIMUM", rng)),
}
