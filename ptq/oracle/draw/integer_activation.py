"""Problems of RELU and its kin, LEAKY_RELU, HARD_SWISH, ABS, and QUANTIZE on integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, near, pick, zero_point
from ptq.oracle.draw.quantized import TYPES, any_scale, any_shape, problem, row, values
from ptq.oracle.problem import Problem

BYTES = (np.int8, np.uint8)
ODD = row([-7, -5, -3, -1, 0, 1, 3, 5, 7])
QUARTERS = row([-14, -10, -6, -2, 0, 2, 6, 10, 14])
"""Ties by a factor of 1/4, which has a right shift. (One of 1/2 has none, and ties go up.)"""

EVERYWHERE = row([-128, -100, -64, -33, -12, -3, -2, -1, 0, 1, 2, 3, 12, 33, 64, 100, 127])
WIDE = row([-32768, -20001, -1000, -3, -1, 0, 1, 5, 1001, 12345, 30000, 32767], np.int16)
UNSIGNED = row([0, 1, 60, 100, 127, 128, 129, 140, 200, 255], np.uint8)


def _random(
    operator: str, types: tuple[type, ...], rng: Random, low: float = -8, high: float = 12
) -> Problem:
    """An output scale that lies between 2^low and 2^high times the input's."""
    dtype = pick(rng, types)
    scale = any_scale(rng)
    output = max(float(near(rng, scale, low, high)), 1e-8)
    x = values(rng, any_shape(rng), dtype)
    slopes = (0.0, 0.1, 0.2, 0.3, 1.0, 1.5, -0.25, -2.0, 1e-6, float(rng.uniform(-1, 2)))
    options: dict[str, Any] = (
        {"alpha": float(np.float32(pick(rng, slopes)))} if operator == "LEAKY_RELU" else {}
    )
    return problem(
        operator, [(x, scale, zero_point(rng, dtype))], (output, zero_point(rng, dtype)), **options
    )


# --- RELU, RELU6, RELU_N1_TO_1 --------------------------------------------------------------------


def _bounded(operator: str, types: tuple[type, ...]) -> Iterable[Problem]:
    yield problem(
        operator, [(QUARTERS, 0.125, 0)], (0.5, 3),
        "halfway between two outputs results round away from zero, before the zero point is added",
    )  # fmt: skip
    yield problem(
        operator, [(EVERYWHERE, 0.1, 10)], (0.07, -20),
        "the bounds are integers of the output's scale and zero point, not of the input's (micro's RELU6 has "
        "the input's, and copies)",
    )  # fmt: skip
    yield problem(
        operator, [(UNSIGNED, 0.05, 100)], (0.04, 77),
        "uint8 with zero points in its middle: 0 is no bound",
    )  # fmt: skip
    yield problem(
        operator, [(EVERYWHERE, 0.02, -128)], (0.01, -128),
        "the zero point is the lowest integer: nothing is negative, and large integers saturate",
    )  # fmt: skip
    if np.int16 in types:
        yield problem(
            operator,
            [(WIDE, 0.00042, 0)],
            (0.00028, 0),
            "int16, the scales' ratio rounded to float32 in lite alone",
        )


# --- LEAKY_RELU -----------------------------------------------------------------------------------


def _leaky() -> Iterable[Problem]:
    name = "LEAKY_RELU"
    yield problem(
        name, [(QUARTERS, 0.5, 0)], (0.5, 3),
        "negative ties round away from zero, before the zero point is added", alpha=0.25,
    )  # fmt: skip
    yield problem(
        name, [(EVERYWHERE, 0.1, 10)], (0.15, -20),
        "the sign is that of x without its zero point, and so is what the slope multiplies", alpha=0.2,
    )  # fmt: skip
    yield problem(
        name,
        [(EVERYWHERE, 0.1, -3)],
        (0.1, 5),
        "a negative slope: its size rescales, its sign follows",
        alpha=-0.75,
    )
    yield problem(name, [(UNSIGNED, 0.1, 128)], (0.1, 60), "uint8, and a slope above 1", alpha=1.5)
    yield problem(
        name, [(WIDE, 4.5, 0)], (2.8, 0), "int16, the slope's factor rounded to float32 in lite alone",
        alpha=float(np.float32(0.49)),
    )  # fmt: skip


# --- HARD_SWISH -----------------------------------------------------------------------------------


def _gates() -> Iterable[Problem]:
    name = "HARD_SWISH"
    yield problem(
        name, [(EVERYWHERE, 0.05, 0)], (0.04, 0),
        "the gate opens between -3 and 3",
    )  # fmt: skip
    yield problem(
        name, [(EVERYWHERE, 0.25, 10)], (0.1, -100),
        "inputs far beyond 3: the gate saturates in 16 bits, where a plain shift would wrap",
    )  # fmt: skip
    yield problem(
        name, [(EVERYWHERE, 0.004, -20)], (0.002, -30),
        "a fine input scale: the gate is shifted to the right",
    )  # fmt: skip
    yield problem(name, [(UNSIGNED, 0.05, 128)], (0.04, 20), "uint8 with zero points that differ")
    yield problem(
        name, [(row([-11, -10, -8, -7, -5, -4, -2, -1, 1, 2, 5]), 0.25, 0)], (2.0**-7, 0),
        "results halfway between two outputs: the last rounding takes ties away from zero",
    )  # fmt: skip
    below = row([-128, -62, -61, -60, -33, -20, 6, 8, 30])
    yield problem(
        name, [(below, 0.007388557773083448, 71)], (0.001847139443270862, 127),
        "negative products are cut off toward zero, not down",
    )  # fmt: skip


# --- ABS ------------------------------------------------------------------------------------------


def _sizes() -> Iterable[Problem]:
    yield problem("ABS", [(QUARTERS, 0.5, 0)], (2.0, -9), "sizes halfway between two outputs round up")
    yield problem(
        "ABS", [(EVERYWHERE, 0.5, 0)], (0.5, 0), "|-128| = 128 is no int8: it saturates, and does not wrap"
    )
    yield problem(
        "ABS", [(EVERYWHERE, 0.5, -100)], (1.0, -128),
        "the size is that of x without its zero point, up to 227: more bits than int8 has",
    )  # fmt: skip
    yield problem(
        "ABS",
        [(WIDE, 0.0033, 0)],
        (0.003, 0),
        "int16, the scales' ratio rounded to float32 in lite alone; |-32768|",
    )


# --- QUANTIZE -------------------------------------------------------------------------------------

PAIRS = {
    "int8": ("int8", "uint8", "int16"), "uint8": ("int8", "uint8", "int16"), "int16": ("int8", "int16",
    "int32"),
    "int32": ("int8", "int16"),
}  # fmt: skip
"""Which types each type can be turned into."""


def _requantize(rng: Random) -> Problem:
    read = pick(rng, tuple(PAIRS))
    written = pick(rng, PAIRS[read])
    scale = any_scale(rng)
    reach = np.iinfo(read).bits - np.iinfo(written).bits
    output = float(
        near(rng, scale, reach - 4, reach + 6) if rng.random() < 0.8 else near(rng, scale, -24, 25)
    )
    x = values(rng, any_shape(rng), read)
    zeros = [zero_point(rng, dtype) if dtype.endswith("int8") else 0 for dtype in (read, written)]
    return problem("QUANTIZE", [(x, scale, zeros[0])], (output, zeros[1]), output_type=written.upper())


def _converted(
    x: Array, scale: float, zero: int, type: str, output: float, output_zero: int, purpose: str
) -> Problem:
    return problem("QUANTIZE", [(x, scale, zero)], (output, output_zero), purpose, type)


def _requantized() -> Iterable[Problem]:
    yield _converted(ODD, 0.5, 0, "INT8", 1.0, 3, "by a factor of 1/2, which has no right shift, ties go up")
    yield _converted(
        EVERYWHERE, 0.1, 10, "INT8", 0.07, -20, "another scale and zero point; both ends saturate"
    )
    yield _converted(UNSIGNED, 0.1, 128, "INT8", 0.1, 0, "uint8 to the int8 of the same reals: 128 less")
    yield _converted(EVERYWHERE, 0.1, -128, "UINT8", 0.1, 0, "int8 to the uint8 of the same reals: 128 more")
    yield _converted(
        EVERYWHERE, 0.1, 5, "INT16", 0.0005, 0, "int8 to int16: a factor above 1, and saturation"
    )
    yield _converted(WIDE, 0.0003, 0, "INT8", 0.1, -7, "int16 to int8")
    narrow = row([-32767, -30001, -20001, -4445, -33, 33, 4445, 20001, 30001, 32767], np.int16)
    yield _converted(
        narrow, 0.1, 0, "INT16", 0.2, 0, "int16 ties, which floats on the way would make nearly ties"
    )
    large = row([-(2**31), -1234534399, -98304, -32767, 32767, 98304, 1234534399, 2**31 - 1], np.int32)
    yield _converted(
        large, 2.0**-20, 0, "INT16", 2.0**-4, 0, "int32 to int16: more digits than a float32 has"
    )
    yield _converted(
        QUARTERS, 0.5, 0, "INT8", 2.0, 3, "ties round away from zero, before the zero point is added"
    )


INTEGER = {
    "RELU": Draw(lambda: _bounded("RELU", TYPES), lambda rng: _random("RELU", TYPES, rng)),
    "RELU6": Draw(lambda: _bounded("RELU6", TYPES), lambda rng: _random("RELU6", TYPES, rng)),
    "RELU_N1_TO_1": Draw(
        lambda: _bounded("RELU_N1_TO_1", BYTES), lambda rng: _random("RELU_N1_TO_1", BYTES, rng)
    ),
    "LEAKY_RELU": Draw(_leaky, lambda rng: _random("LEAKY_RELU", TYPES, rng)),
    "HARD_SWISH": Draw(_gates, lambda rng: _random("HARD_SWISH", BYTES, rng, -5.9, 14)),
    "ABS": Draw(_sizes, lambda rng: _random("ABS", (np.int8, np.int16), rng)),
    "QUANTIZE": Draw(_requantized, _requantize),
}
