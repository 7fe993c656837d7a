"""Problems of SOFTMAX and LOG_SOFTMAX on integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, between, integers, pick, shape_of, zero_point
from ptq.oracle.problem import Given, Problem, Wanted, quantization

PAIRS = (
    (np.int8, np.int8), (np.int8, np.int16), (np.uint8, np.uint8), (np.uint8, np.int16), (np.int16, np.int16),
)  # fmt: skip
"""Types of input and output."""


def softmax(
    x: Array, scale: float, zero: int = 0, beta: float = 1.0, dtype: Any = None, purpose: str = ""
) -> Problem:
    """SOFTMAX to the type `dtype`, else to that of x."""
    limits = np.iinfo(dtype or x.dtype)
    wide = x.dtype == np.int16
    output = quantization(2.0**-15) if wide else quantization(2.0**-limits.bits, int(limits.min))
    return Problem(
        "SOFTMAX", [Given(x, quantization(scale, zero))], [Wanted(limits.dtype.name.upper(), output)],
        {"beta": beta}, 3, purpose=purpose,
    )  # fmt: skip


def log_softmax(x: Array, scale: float, zero: int = 0, purpose: str = "") -> Problem:
    """LOG_SOFTMAX, whose output has steps of 1/16 below the highest integer."""
    output = quantization(1 / 16, int(np.iinfo(x.dtype).max))
    return Problem(
        "LOG_SOFTMAX", [Given(x, quantization(scale, zero))], [Wanted(x.dtype.name.upper(), output)],
        version=2, purpose=purpose,
    )  # fmt: skip


def _rows(rng: Random, dtype: Any) -> Array:
    """Rows of all kinds: anything, nearly equal integers, and two that stand out."""
    x = integers(rng, (*shape_of(rng, int(rng.integers(0, 3)), 3), int(rng.integers(1, 20))), dtype)
    kind = rng.integers(3)
    if kind == 1:
        x = np.clip(x // 64, 0, 4).astype(dtype)
    elif kind == 2:
        x[...] = np.iinfo(dtype).min
        x[..., 0], x[..., -1] = np.iinfo(dtype).max, np.iinfo(dtype).max - 1
    return x


def softmax_random(rng: Random) -> Problem:
    """Products of beta and scale from the least that there is to far beyond all that differs."""
    read, written = pick(rng, PAIRS)
    product = between(rng, 2.0**-26, 2.0**12) * 1.001
    beta = pick(rng, (1.0, 1.0, between(rng, 1e-2, 1e2)))
    scale = min(product, 2.0**10) / beta if read == np.int16 else product / beta
    return softmax(_rows(rng, read), scale, zero_point(rng, read), beta, written)


def log_softmax_random(rng: Random) -> Problem:
    """All scales likewise."""
    dtype = pick(rng, (np.int8, np.uint8))
    scale = between(rng, 2.0**-26, 2.0**12) * 1.001
    return log_softmax(_rows(rng, dtype), scale, zero_point(rng, dtype))


def softmax_boundary() -> Iterable[Problem]:
    """Probabilities 1, 1/2, 1/3; distances at the end of the reach; long rows; all types."""
    yield softmax(
        np.array([[5, -128], [127, 127], [-100, -103]], np.int8), 0.5, 3,
        purpose="a probability of 1 is one step too many, and saturates",
    )  # fmt: skip
    yield softmax(
        np.array([[-128, -128, -128], [0, 1, 2], [-90, -88, -89]], np.int8),
        0.1,
        -128,
        purpose="of rows far below the highest integer their own largest one is subtracted",
    )
    row = np.array([[30, 20, 10, 0, -10]], np.int8)
    yield softmax(row, 0.05, 0, 2.5, purpose="beta multiplies the scale")
    many = np.arange(-120, 128, 8, dtype=np.int8)[None]
    yield softmax(many, 0.02, purpose="31 exponentials that all count in the sum")
    few = np.full((1, 40), -20, np.int8)
    few[0, :2] = 100, 90
    yield softmax(few, 0.05, purpose="38 exponentials below 1/256 each, which count together")
    yield softmax(
        np.array([[127, 96, 95, 94, -128]], np.int8),
        1.0,
        dtype=np.int16,
        purpose="beyond e^-32 there is nothing, also in 16 bits",
    )
    yield softmax(
        np.array([[91, 148], [50, 0], [46, 159]], np.uint8), 0.07996325194835663, 255, 1.5020217895507812,
        dtype=np.int16, purpose="of each exponential in the sum the last bits are rounded, not cut off",
    )  # fmt: skip
    rng = np.random.default_rng(3)
    yield softmax(
        rng.integers(-128, 128, (4, 6)).astype(np.int8),
        0.01,
        dtype=np.int16,
        purpose="int8 to 16 bits: the reciprocal of the sum to its last bits",
    )
    yield softmax(
        np.array([[255, 250, 0], [3, 2, 1]], np.uint8),
        0.3,
        7,
        purpose="uint8: probabilities from 0 to 255, 1 saturates",
    )
    wide = np.array([[32767, 32000, -32768], [-30000, -30001, -29000], [5, 5, 5]], np.int16)
    yield softmax(wide, 1e-3, purpose="int16: e^x and 1 / (1 + x) are interpolated from tables")
    yield softmax(
        np.array([[554, 0]], np.int16),
        1e-3,
        purpose="int16: tables of doubles in lite, of floats in micro: two points of 1026 differ",
    )
    yield softmax(
        np.array([[697, 178, 1392, 565, 739, 762, 637, 978]], np.int16),
        1e-3,
        purpose="int16: the sum is rounded to 17 bits before its reciprocal is looked up",
    )
    yield softmax(
        rng.integers(-3000, 3000, (2, 9)).astype(np.int16),
        0.0007,
        beta=1.25,
        purpose="int16: beta multiplies the scale",
    )


def log_softmax_boundary() -> Iterable[Problem]:
    """Logarithms of 1, 1/2, 1/3; distances at the end of the reach."""
    yield log_softmax(
        np.array([[5, -128], [127, 127], [-100, -103]], np.int8),
        0.03,
        3,
        purpose="ln 1 is the highest integer, ln 1/2 is 11 steps below",
    )
    yield log_softmax(
        np.array([[-128, -128, -128], [0, 1, 2], [-90, -88, -89]], np.int8),
        0.1,
        -128,
        purpose="of rows far below the highest integer their own largest one is subtracted",
    )
    low = np.array([[127, 124, 96, 94, -128]], np.int8)
    yield log_softmax(low, 0.5, purpose="16 below the largest is the end of int8")
    far = np.array([[127, 126, 125, -128], [0, 0, 0, 0]], np.int8)
    yield log_softmax(far, 9.0, purpose="what is out of reach is the lowest integer")
    unsigned = np.array([[255, 250, 0], [3, 2, 1]], np.uint8)
    yield log_softmax(unsigned, 0.3, 7, purpose="uint8: ln 1 is 255")


INTEGER = {
    "SOFTMAX": Draw(softmax_boundary, softmax_random),
    "LOG_SOFTMAX": Draw(log_softmax_boundary, log_softmax_random),
}
