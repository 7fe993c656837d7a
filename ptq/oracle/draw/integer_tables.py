"""Problems of LOGISTIC, TANH, EXP and ELU on integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, between, integers, pick, zero_point
from ptq.oracle.problem import Given, Problem, Wanted, quantization

TYPES = {
    "LOGISTIC": (np.int8, np.uint8, np.int16), "TANH": (np.int8, np.uint8, np.int16),
    "EXP": (np.int8, np.int16), "ELU": (np.int8,),
}  # fmt: skip

Scale = tuple[float, int]

OUTPUTS: dict[str, Scale] = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""Scale and zero point of int8 outputs."""


def _problem(operator: str, x: Array, read: Scale, written: Scale, purpose: str = "") -> Problem:
    return Problem(
        operator, [Given(x, quantization(*read))], [Wanted(x.dtype.name.upper(), quantization(*written))],
        version=3 if operator in ("LOGISTIC", "TANH") else 1, purpose=purpose,
    )  # fmt: skip


def _random(operator: str, rng: Random) -> Problem:
    """Some integers of the type; inputs from where the function is a line to where it is constant."""
    dtype = pick(rng, TYPES[operator])
    x = integers(rng, (int(rng.integers(1, 40)),), dtype)
    if operator in ("LOGISTIC", "TANH"):
        return _sigmoid(operator, rng, x)
    low, high = (1e-4, 10.0) if operator == "ELU" else (1e-6, 5.3 if dtype == np.int16 else 1e3)
    read = between(rng, low, high), zero_point(rng, dtype)
    return _problem(operator, x, read, (between(rng, 1e-4, 10.0), zero_point(rng, dtype)))


def _sigmoid(operator: str, rng: Random, x: Array) -> Problem:
    """Outputs of int8 are those of tflite-micro's fixed point, which has no other; lite has any for TANH."""
    kind = x.dtype
    if kind == np.int16:
        scale = pick(rng, (2.0**-12, 2.0**-11, 2.0**-13, 2.0**-12 * 1.0006, between(rng, 2.0**-30, 2.6)))
        return _problem(operator, x, (scale, 0), (2.0**-15, 0))
    read = between(rng, 2.0**-27 if kind == np.int8 else 1e-6, 200.0), zero_point(rng, kind)
    if kind == np.int8:
        return _problem(operator, x, read, OUTPUTS[operator])
    scale = 1 / 256 if operator == "LOGISTIC" else between(rng, 1e-5, 1e3)
    return _problem(operator, x, read, (scale, zero_point(rng, kind)))


def _sigmoid_boundary(operator: str, near_a_tie: float) -> Iterable[Problem]:
    """Steps of a table, of a polynomial, of lines between points; both ends."""
    name, written = operator.lower(), OUTPUTS[operator]
    every_fourth = np.arange(-128, 128, 4, dtype=np.int8)
    yield _problem(
        operator, every_fourth, (0.05, -7), written,
        purpose=f"{name} from its lowest to its highest value, after the zero point is subtracted",
    )  # fmt: skip
    yield _problem(
        operator,
        np.array([-1, 0, 1], np.int8),
        (near_a_tie, 0),
        written,
        purpose="next to a tie a table filled in float32 (lite) and fixed point (micro) differ",
    )
    yield _problem(
        operator,
        np.array([-128, -127, -6, -5, -1, 0, 1, 5, 6, 127], np.int8),
        (3.0, 0),
        written,
        purpose="far from 0 the function is constant, and its highest value saturates",
    )
    wide = [-32768, -32767, -20001, -4097, -3000, -385, -100, -3, -1, 0, 1, 2, 100, 333, 5000, 32767]
    for scale, what in ((2.0**-12, "2^-12 needs no multiplier"), (0.0003, "another scale has a multiplier")):
        yield _problem(
            operator,
            np.array(wide, np.int16),
            (scale, 0),
            (2.0**-15, 0),
            purpose=f"int16: lines between points, rounded, for both signs; {what}",
        )
    unsigned = np.array([0, 1, 100, 128, 129, 254, 255], np.uint8)
    yield _problem(
        operator,
        unsigned,
        (0.03, 128),
        (written[0], written[1] + 128),
        purpose="uint8 has a table, too, around another zero point",
    )


def exp_boundary() -> Iterable[Problem]:
    """Ties, saturation, and lines between points."""
    yield _problem(
        "EXP",
        np.array([-1, 0, 1], np.int8),
        (1e-6, 0),
        (2.0, -128),
        purpose="e^0 = 1 is half a step of the output, which rounds away from zero",
    )
    yield _problem(
        "EXP",
        np.arange(-128, 128, 4, dtype=np.int8),
        (0.03, 5),
        (0.17, -128),
        purpose="from below a step to where the output saturates",
    )
    wide = [-32768, -32700, -9999, -130, -128, -127, -1, 0, 1, 63, 64, 65, 127, 9999, 32700, 32767]
    yield _problem(
        "EXP",
        np.array(wide, np.int16),
        (3e-4, 0),
        (0.7, 0),
        purpose="int16: lines between 513 points, 128 apart; they are rounded",
    )
    yield _problem(
        "EXP",
        np.array([30000, 30064, 30100, 31000, 32000, 32767], np.int16),
        (2.0**-12, 0),
        (0.1, 0),
        purpose="int16: each point is lowered by half of the error in the middle of its step",
    )


def elu_boundary() -> Iterable[Problem]:
    """Ties above 0, where it changes nothing but the scale, and the curve below."""
    yield _problem(
        "ELU",
        np.arange(-4, 12, dtype=np.int8),
        (0.25, 3),
        (0.5, -5),
        purpose="integers above the zero point change their scale, and ties round away from zero",
    )
    yield _problem(
        "ELU",
        np.array([3, 5, 11, 19], np.int8),
        (0.5, 0),
        (1 / 7, 0),
        purpose="a table is filled with products by the float32 of 1 / scale, not with quotients",
    )
    yield _problem(
        "ELU",
        np.arange(-128, 0, 3, dtype=np.int8),
        (1 / 32, -1),
        (1 / 128, 0),
        purpose="below its zero point the input takes e^x - 1, which stays above -1",
    )


INTEGER = {
    "LOGISTIC": Draw(lambda: _sigmoid_boundary("LOGISTIC", 2.0**-7), lambda rng: _random("LOGISTIC", rng)),
    "TANH": Draw(lambda: _sigmoid_boundary("TANH", 2.0**-8), lambda rng: _random("TANH", rng)),
    "EXP": Draw(exp_boundary, lambda rng: _random("EXP", rng)),
    "ELU": Draw(elu_boundary, lambda rng: _random("ELU", rng)),
}
