"""Problems of RESIZE_BILINEAR on float32 and of RESIZE_NEAREST_NEIGHBOR on any type."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, pick, reals, shape_of
from ptq.oracle.draw.plain import floats, over, values
from ptq.oracle.problem import Problem

PLACES: dict[str, dict[str, bool]] = {
    "the sizes' ratio": {},
    "aligned corners": {"align_corners": True},
    "half pixel centres": {"half_pixel_centers": True},
    "both": {"align_corners": True, "half_pixel_centers": True},
}
"""Where pixels are, by the options; RESIZE_BILINEAR has no kernel for both."""

NEAREST_TYPES = ("float32", "uint8", "int8", "int16", "int32")


def resized(operator: str, x: Array, height: int, width: int, places: str, purpose: str = "") -> Problem:
    """An image resized."""
    return over(operator, x, np.array([height, width], np.int32), None, purpose, **PLACES[places])


def boundary(operator: str) -> Iterable[Problem]:
    """Larger, smaller, to one pixel, from one pixel, by every choice of where pixels are."""
    both = operator == "RESIZE_NEAREST_NEIGHBOR"
    slope = floats(1, 2, 4, 8, 16).reshape(1, 1, 5, 1)
    matrix = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1) ** 2
    for places in list(PLACES)[: 4 if both else 3]:
        yield resized(operator, slope, 1, 8, places, f"five pixels become eight: places by {places}")
        yield resized(operator, slope, 1, 3, places, f"five pixels become three: places by {places}")
        yield resized(
            operator, slope, 1, 10, places, f"five pixels become ten: ties between two pixels, by {places}"
        )
        yield resized(operator, slope, 2, 1, places, f"one pixel in each row, by {places}: no division by 0")
        yield resized(operator, matrix, 5, 2, places, f"rows and columns by scales of their own, by {places}")
    odd = floats(np.nan, 1.0, np.inf, 2.0, -0.0, -0.0).reshape(1, 2, 3, 1)
    yield resized(
        operator, odd, 2, 3, "the sizes' ratio", "the same size: what has the weight 0 still counts"
    )
    yield resized(operator, odd, 4, 6, "half pixel centres", "NaN, infinity and -0 among the neighbours")
    third = floats(0.1, 0.7, -1.3, 2.9, 1e10, 3.3).reshape(1, 2, 3, 1)
    yield resized(operator, third, 5, 7, "the sizes' ratio", "weights and products that float32 has to round")
    yield resized(operator, third, 7, 5, "half pixel centres", "the same with places below 0")
    batch = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    yield resized(operator, batch, 3, 3, "aligned corners", "each image and each channel by itself")
    if not both:
        return
    wide = np.arange(7, dtype=np.float32).reshape(1, 1, 7, 1)
    yield resized(operator, wide, 1, 41, "the sizes' ratio", "the scale is a float32: 7/41 is rounded")
    ints = np.array([-(2**31), 2**31 - 1, 16777217], np.int32).reshape(1, 1, 3, 1)
    yield resized(operator, ints, 1, 6, "the sizes' ratio", "integers move as they are")


def random(operator: str, rng: Random) -> Problem:
    """Any sizes from 1 on."""
    shape = (int(rng.integers(1, 3)), *shape_of(rng, 2, 6), int(rng.integers(1, 3)))
    if operator == "RESIZE_BILINEAR":
        x, places = reals(rng, shape), pick(rng, list(PLACES)[:3])
    else:
        x, places = values(rng, shape, pick(rng, NEAREST_TYPES)), pick(rng, list(PLACES))
    height, width = (int(n) for n in rng.integers(1, 10, 2))
    return resized(operator, x, height, width, places)


def _draw(operator: str) -> Draw:
    return Draw(lambda: boundary(operator), lambda rng: random(operator, rng))


FLOAT = {"RESIZE_BILINEAR": _draw("RESIZE_BILINEAR")}
ANY = {"RESIZE_NEAREST_NEIGHBOR": _draw("RESIZE_NEAREST_NEIGHBOR")}
