"""Problems of RESIZE_BILINEAR on integers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, integers, pick, shape_of, zero_point
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization

TYPES = (np.int8, np.uint8, np.int16)
PLACES: dict[str, dict[str, bool]] = {
    "corner": {}, "aligned corners": {"align_corners": True}, "centres": {"half_pixel_centers": True},
}  # fmt: skip
"""Where pixels are: the three choices of the options."""


def _problem(x: Array, height: int, width: int, places: str, zero: int = 0, purpose: str = "") -> Problem:
    same = quantization(0.1, zero)
    size = np.array([height, width], np.int32)
    return Problem(
        "RESIZE_BILINEAR", [Given(x, same), Given(size, kind=CONSTANT)], [Wanted(x.dtype.name.upper(), same)],
        PLACES[places], 3, purpose=purpose,
    )  # fmt: skip


def random(rng: Random) -> Problem:
    """Smaller and larger images, within the sizes whose rounded scale stays inside of the image."""
    dtype = pick(rng, TYPES)
    x = integers(rng, (int(rng.integers(1, 3)), *shape_of(rng, 2, 7), int(rng.integers(1, 3))), dtype)
    if rng.random() < 0.3:
        limits = np.iinfo(x.dtype)
        x = np.where(x > limits.max // 2, limits.max, limits.min).astype(dtype)
    # (beyond this the reference reads beyond the last pixel)
    height, width = (int(rng.integers(1, min(9, int((2048 * n) ** 0.5)))) for n in x.shape[1:3])
    if rng.random() < 0.3:
        height, width = (n * int(rng.integers(1, 3)) for n in x.shape[1:3])
    return _problem(x, height, width, pick(rng, list(PLACES)), zero_point(rng, dtype))


def boundary() -> Iterable[Problem]:
    """A step and a slope, by all choices of where pixels are, and rounded ties."""
    slope = np.array([[-100, -50, 0, 101]], np.int8)[:, :, None, None].transpose(0, 2, 1, 3)
    for places in PLACES:
        yield _problem(slope, 1, 7, places, purpose=f"four pixels become seven: places by {places}")
        yield _problem(slope, 1, 3, places, purpose=f"four pixels become three: places by {places}")
    ties = np.array([1, 2, -1, -2, -5], np.int8).reshape(1, 1, 5, 1)
    yield _problem(
        ties, 1, 10, "corner", 4,
        purpose="means halfway between two integers round away from zero (up, with single rounding), "
        "whatever the zero point is",
    )  # fmt: skip
    yield _problem(
        np.array([0, 127], np.int8).reshape(1, 2, 1, 1),
        63,
        1,
        "corner",
        purpose="the scale 2/63 is rounded to 33/1024, and errors add up from row to row",
    )
    yield _problem(
        np.array([1, 2, 6, 255], np.uint8).reshape(1, 1, 4, 1),
        1,
        8,
        "corner",
        128,
        purpose="uint8 is resized in float32, and ties go up",
    )
    yield _problem(
        np.array([0, 255], np.uint8).reshape(1, 2, 1, 1),
        33,
        1,
        "corner",
        purpose="uint8 has places in float32, not in 1/1024",
    )
    yield _problem(
        np.array([32767, -32768, 1, 0], np.int16).reshape(1, 2, 2, 1),
        4,
        4,
        "centres",
        purpose="int16 needs sums of more than 32 bits",
    )


INTEGER = {"RESIZE_BILINEAR": Draw(boundary, random)}
