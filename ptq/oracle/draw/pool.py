"""Problems of AVERAGE_POOL_2D and MAX_POOL_2D on float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import ACTIVATIONS, Array, Draw, Random, pick, reals, shape_of
from ptq.oracle.draw.plain import floats, problem
from ptq.oracle.problem import Problem

OPERATORS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
FLT_MAX = np.finfo(np.float32).max


def pooled(operator: str, x: Array, height: int, width: int, purpose: str = "", **options: Any) -> Problem:
    """A pool of an image; steps of 1 and VALID unless the options say otherwise."""
    sizes = {"filter_height": height, "filter_width": width, "stride_h": 1, "stride_w": 1, "padding": "VALID"}
    return problem(operator, [x], None, purpose, **{**sizes, **options})


def image(*rows: Any) -> Array:
    """One image with one channel."""
    return np.array(rows, np.float32)[None, :, :, None]


def boundary(operator: str) -> Iterable[Problem]:
    """Borders, steps, bounds, and what is not finite."""
    ramp = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4, 1) / 8
    yield pooled(
        operator, ramp - 9, 3, 3, "padding is no element: neither counted nor a 0 among negative numbers",
        padding="SAME",
    )  # fmt: skip
    yield pooled(
        operator, ramp, 2, 2, "of an odd row and column of padding the odd one stands behind", padding="SAME",
        stride_h=2, stride_w=3,
    )  # fmt: skip
    yield pooled(
        operator, ramp, 2, 1, "a window of two rows and one column, not the other way round", stride_w=2
    )
    channels = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    yield pooled(operator, channels, 2, 2, "each channel by itself", stride_w=2)
    odd = image([np.nan, 1, np.nan, np.nan, np.inf, -np.inf, -np.inf, -np.inf, -0.0, -0.0, 0.0, 0.0])
    yield pooled(
        operator, odd, 1, 2, "NaN and infinities, which become FLT_MAX; zeros of both signs", stride_w=2
    )
    large = image([3.4e38, 3.4e38, -3.4e38, -3.4e38, FLT_MAX, 1.0])
    yield pooled(operator, large, 1, 2, "a sum that overflows on the way", stride_w=2)
    lost = image(
        [1.0, 5.9e-8, 5.9e-8, 5.9e-8, 5.9e-8, 1e-3, -1.0], [5.9e-8, 5.9e-8, 5.9e-8, 5.9e-8, 1.0, 0.1, 0.2]
    )
    yield pooled(operator, lost, 2, 7, "elements are added row by row in float32, which loses small ones")
    yield pooled(operator, lost, 1, 7, "the same in each row by itself")
    yield pooled(operator, lost, 2, 3, "a division by 6, not a product with a rounded sixth")
    for activation in ACTIVATIONS[1:]:
        values = floats(-7, -1, -0.5, 0.5, 6, 6.5, 9, 1).reshape(1, 2, 4, 1)
        purpose = f"{activation} clamps what the window gives"
        yield pooled(operator, values, 1, 2, purpose, fused_activation_function=activation)


def random(operator: str, rng: Random) -> Problem:
    """Windows within the image; with SAME also larger ones."""
    shape = (int(rng.integers(1, 3)), *shape_of(rng, 2, 6), int(rng.integers(1, 3)))
    padding = pick(rng, ("SAME", "VALID"))
    bounds = (8, 8) if padding == "SAME" else shape[1:3]
    height, width = (int(rng.integers(1, bound + 1)) for bound in bounds)
    return pooled(
        operator, reals(rng, shape), height, width, padding=padding, stride_h=int(rng.integers(1, 5)),
        stride_w=int(rng.integers(1, 5)), fused_activation_function=pick(rng, ACTIVATIONS),
    )  # fmt: skip


def _draw(operator: str) -> Draw:
    return Draw(lambda: boundary(operator), lambda rng: random(operator, rng))


FLOAT = {operator: _draw(operator) for operator in OPERATORS}
