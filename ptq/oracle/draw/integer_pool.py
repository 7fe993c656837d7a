"""Problems of AVERAGE_POOL_2D and MAX_POOL_2D on integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import (
    ACTIVATIONS,
    Array,
    Draw,
    Random,
    between,
    integers,
    pick,
    shape_of,
    zero_point,
)
from ptq.oracle.problem import Given, Problem, Wanted, quantization

TYPES = (np.int8, np.uint8, np.int16)


def _problem(operator: str, x: Array, scale: float, zero: int, purpose: str = "", **options: Any) -> Problem:
    shared = quantization(scale, zero)
    defaults = {"stride_h": 1, "stride_w": 1, "padding": "VALID"}
    return Problem(
        operator, [Given(x, shared)], [Wanted(x.dtype.name.upper(), shared)], {**defaults, **options}, 2,
        purpose=purpose,
    )  # fmt: skip


def _random(operator: str, rng: Random) -> Problem:
    """Windows within the image; with SAME also larger ones."""
    dtype, padding = pick(rng, TYPES), pick(rng, ("SAME", "VALID"))
    shape = (int(rng.integers(1, 3)), *shape_of(rng, 2, 7), int(rng.integers(1, 4)))
    height, width = shape[1:3]
    if padding == "SAME" and rng.random() < 0.2:
        height, width = 2 * height, 2 * width
    x = integers(rng, shape, dtype)
    if rng.random() < 0.3:
        x = (x // 32).astype(dtype)
    scale = between(rng, 1e-4, 10.0)
    return _problem(
        operator, x, scale, zero_point(rng, dtype), padding=padding,
        filter_height=int(rng.integers(1, height + 1)), filter_width=int(rng.integers(1, width + 1)),
        stride_h=int(rng.integers(1, 4)), stride_w=int(rng.integers(1, 4)),
        fused_activation_function=pick(rng, ACTIVATIONS),
    )  # fmt: skip


def _image(rows: list[list[int]], dtype: Any = np.int8) -> Array:
    """One image with one channel."""
    return np.array(rows, dtype)[None, :, :, None]


def average_boundary() -> Iterable[Problem]:
    """Ties on both sides of zero, in windows of even and odd sizes; borders; bounds."""
    pairs = [[1, 2, -1, -2, 3, 4, -3, -4, 0, 1, 0, -1]]
    pair = {"filter_height": 1, "filter_width": 2, "stride_w": 2}
    yield _problem(
        "AVERAGE_POOL_2D", _image(pairs), 0.5, 3, **pair,
        purpose="means halfway between two integers round away from zero, whatever the zero point is",
    )  # fmt: skip
    yield _problem(
        "AVERAGE_POOL_2D", _image([[5, 5, 4, -5, -5, -4, 1, 1, 0, -1, -1, 0]]), 0.5, 0, filter_height=1,
        filter_width=3, stride_w=3,
        purpose="means of three integers are rounded to the nearest one, not cut off",
    )  # fmt: skip
    corner = _image([[-128, -128, -100], [-128, -128, -100], [-100, -100, -100]])
    yield _problem(
        "AVERAGE_POOL_2D", corner, 0.25, -128, filter_height=3, filter_width=3, padding="SAME",
        purpose="at the border a window has fewer elements, by which its sum is divided: padding is none",
    )  # fmt: skip
    yield _problem(
        "AVERAGE_POOL_2D", _image([[90, 10, 20, 30, 40, -128, 127]]), 0.5, 0, filter_height=1, filter_width=4,
        stride_w=3, padding="SAME",
        purpose="of an odd number of columns of padding the odd one stands behind the image",
    )  # fmt: skip
    yield _problem(
        "AVERAGE_POOL_2D", _image([[-90, -30, 9, 10, 11, 12, 60, 127]]), 0.5, -1, filter_height=1,
        filter_width=1, fused_activation_function="RELU6",
        purpose="RELU6 clamps at the integers of 0 and 6, which the zero point shifts",
    )  # fmt: skip
    yield _problem(
        "AVERAGE_POOL_2D", np.full((1, 16, 17, 1), 127, np.int8), 0.5, 0, filter_height=16, filter_width=17,
        purpose="a sum of 272 integers needs more than 16 bits, of which two bytes would wrap",
    )  # fmt: skip
    wide = _image([[32767, 32766, -32768, -32767, 32767, 32767]], np.int16)
    yield _problem("AVERAGE_POOL_2D", wide, 0.5, 0, **pair, purpose="ties at both ends of int16")
    unsigned = _image([[0, 1, 254, 255, 255, 255]], np.uint8)
    yield _problem("AVERAGE_POOL_2D", unsigned, 0.5, 128, **pair, purpose="ties of uint8 go up, at both ends")


def max_boundary() -> Iterable[Problem]:
    """Nothing but negative integers; borders; bounds."""
    yield _problem(
        "MAX_POOL_2D", _image([[-7, -3, -128], [-9, -128, -128], [-100, -128, -128]]), 0.25, 0,
        filter_height=3, filter_width=3, padding="SAME",
        purpose="among negative integers alone neither padding nor the start of the search is a larger 0",
    )  # fmt: skip
    yield _problem(
        "MAX_POOL_2D", _image([[-90, -30, 9, 10, 11, 12, 60, 127]]), 0.5, -1, filter_height=1, filter_width=2,
        fused_activation_function="RELU6",
        purpose="RELU6 clamps at the integers of 0 and 6, which the zero point shifts",
    )  # fmt: skip
    yield _problem(
        "MAX_POOL_2D", _image([[90, 10, 20, 30, 40, -128, 127]]), 0.5, 0, filter_height=1, filter_width=4,
        stride_w=3, padding="SAME",
        purpose="of an odd number of columns of padding the odd one stands behind the image",
    )  # fmt: skip
    for dtype in (np.uint8, np.int16):
        limits = np.iinfo(dtype)
        ends = _image([[limits.min, limits.min, limits.max, 1]], dtype)
        zero = 0 if limits.min else 128
        yield _problem(
            "MAX_POOL_2D", ends, 0.25, zero, filter_height=1, filter_width=2,
            purpose=f"{limits.dtype.name} is compared in its own type, to its ends",
        )  # fmt: skip


INTEGER = {
    "AVERAGE_POOL_2D": Draw(average_boundary, lambda rng: _random("AVERAGE_POOL_2D", rng)),
    "MAX_POOL_2D": Draw(max_boundary, lambda rng: _random("MAX_POOL_2D", rng)),
}
