"""Problems of RSQRT and L2_NORMALIZATION on integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, integers, near, pick, shape_of, zero_point
from ptq.oracle.problem import Given, Problem, Wanted, quantization


def rsqrt(x: Array, scale: float, zero: int, written: float, written_zero: int, purpose: str = "") -> Problem:
    """RSQRT on int8."""
    return Problem(
        "RSQRT", [Given(x, quantization(scale, zero))], [Wanted("INT8", quantization(written, written_zero))],
        version=2, purpose=purpose,
    )  # fmt: skip


def l2(x: Array, scale: float, zero: int, purpose: str = "") -> Problem:
    """L2_NORMALIZATION, whose output has steps of 1/128."""
    output = quantization(1 / 128, 0 if x.dtype == np.int8 else 128)
    return Problem(
        "L2_NORMALIZATION", [Given(x, quantization(scale, zero))], [Wanted(x.dtype.name.upper(), output)],
        version=2, purpose=purpose,
    )  # fmt: skip


def rsqrt_random(rng: Random) -> Problem:
    """Integers that are not below the zero point."""
    zero = zero_point(rng, np.int8)
    x = rng.integers(zero, 128, int(rng.integers(1, 40))).astype(np.int8)
    scale, written = near(rng, 0.05, -6, 6), near(rng, 0.05, -4, 4)
    return rsqrt(x, float(scale), zero, float(written), zero_point(rng, np.int8))


def l2_random(rng: Random) -> Problem:
    """Any rows; now and then hardly anything but zeros."""
    dtype = pick(rng, (np.int8, np.uint8))
    shape = (*shape_of(rng, int(rng.integers(0, 3)), 4), int(rng.integers(1, 20)))
    zero = zero_point(rng, dtype)
    x = integers(rng, shape, dtype)
    if rng.random() < 0.3:
        x = (np.clip(zero, 0, 100) + (rng.random(shape) < 0.1)).astype(dtype)
        zero = int(np.clip(zero, 0, 100))
    return l2(x, float(near(rng, 0.05)), zero)


def rsqrt_boundary() -> Iterable[Problem]:
    """Perfect squares, ties, and 0."""
    squares = np.array([1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121], np.int8)
    yield rsqrt(
        squares - np.int8(5), 1.0, -5, 1 / 128, 0,
        purpose="1 / sqrt of 1, 4, 9, ... after the zero point is subtracted; 1 saturates",
    )  # fmt: skip
    yield rsqrt(
        np.array([4, 16, 64, 100], np.int8),
        1.0,
        0,
        1.0,
        -3,
        purpose="1/2 rounds away from zero, before the zero point of the output is added",
    )
    odd = np.arange(1, 128, 2, dtype=np.int8)
    yield rsqrt(odd, 0.1, 0, 0.003, -128, purpose="1 / sqrt(x) comes from Newton's steps, in steps of 2^-20")
    nothing = np.array([7, 8], np.int8)
    yield rsqrt(nothing, 0.5, 7, 0.1, -128, purpose="1 / sqrt(0) is the highest integer")


def l2_boundary() -> Iterable[Problem]:
    """A vector of one element, zeros, ties, both types."""
    yield l2(
        np.array([[8, 3], [3, -2], [-2, 8], [3, 3]], np.int8),
        0.3,
        3,
        purpose="(1, 0) becomes 128, which saturates, (0, -1) becomes -128; zeros alone stay 0",
    )
    triples = np.array([[3, 4], [-3, 4], [-6, -8], [5, 12]], np.int8)
    yield l2(triples, 0.3, 0, purpose="3/5 and 4/5 are 76.8 and 102.4 steps")
    ties = 127 - 3 * np.array([[75, 59, 57, 81, 75, 79, 73, 83, 81, 61, 83, 73, 6]])
    yield l2(
        ties.astype(np.int8),
        0.05,
        127,
        purpose="of norm 768, many elements are ties: 1 / sqrt comes from Newton's steps, a little too small",
    )
    yield l2(
        np.array([[255, 128], [0, 128], [128, 128], [100, 156], [3, 77]], np.uint8),
        0.3,
        128,
        purpose="uint8: around 128, and shifted to the left before it is multiplied",
    )


INTEGER = {
    "RSQRT": Draw(rsqrt_boundary, rsqrt_random),
    "L2_NORMALIZATION": Draw(l2_boundary, l2_random),
}
