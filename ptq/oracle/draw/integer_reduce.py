"""Problems of MEAN, SUM, REDUCE_MAX and REDUCE_MIN on integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from ptq.graph import Quantization
from ptq.oracle.draw.core import Array, Draw, Random, between, integers, near, pick, shape_of, zero_point
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted, quantization

TYPES = (np.int8, np.uint8, np.int16)


def _problem(
    operator: str, x: Array, axes: Sequence[int], read: Quantization, written: Quantization,
    keep_dims: bool = False, purpose: str = "",
) -> Problem:  # fmt: skip
    return Problem(
        operator, [Given(x, read), Given(np.array(axes, np.int32), kind=CONSTANT)],
        [Wanted(x.dtype.name.upper(), written)], {"keep_dims": keep_dims}, 2, purpose=purpose,
    )  # fmt: skip


def _random(operator: str, rng: Random) -> Problem:
    """Any axes, also none, all, from the end, and twice; scalars and empty arrays, too."""
    dtype = pick(rng, TYPES)
    # (the reference kernels sum int8 and int16 wrongly: presets that follow them refuse both)
    if operator == "SUM" and rng.random() < 0.5:
        dtype = np.uint8
    rank = int(rng.integers(0, 5))
    shape = shape_of(rng, rank, 6, 0 if rng.random() < 0.05 else 1)
    axes = [int(axis) for axis in rng.permutation(rank)[: rng.integers(0, rank + 1)]]
    axes = [axis - rank if rng.random() < 0.3 else axis for axis in axes]
    if axes and rng.random() < 0.1:
        axes.append(axes[0])
    scale = between(rng, 1e-5, 10.0)
    read = written = quantization(scale, zero_point(rng, dtype))
    if operator in ("MEAN", "SUM"):
        count = prod(shape[axis] for axis in {axis % rank for axis in axes})
        step = scale * (max(count, 1) if operator == "SUM" else 1)
        written = quantization(near(rng, step, -4, 30 if rng.random() < 0.2 else 6), zero_point(rng, dtype))
    return _problem(operator, integers(rng, shape, dtype), axes, read, written, bool(rng.integers(2)))


def mean_boundary() -> Iterable[Problem]:
    """Ties on both sides of zero, many elements, other scales and zero points."""
    one = quantization(0.5, 0)
    yield _problem(
        "MEAN",
        np.array([[1, 2], [-1, -2], [3, 4], [-3, -4], [0, 1], [0, -1]], np.int8),
        [1],
        one,
        one,
        purpose="means of two integers: 1/2 is a multiplier without a shift; its one rounding takes ties up",
    )
    sums = np.array([2, -2, 6, -6, 5, -5, 7, -7, 13], np.int8)
    four = np.stack([sums // 2, sums - sums // 2, 0 * sums + 9, 0 * sums - 9], axis=1)
    yield _problem(
        "MEAN", four, [-1], one, one, True,
        purpose="means of four integers are rounded twice (once, with single rounding): 5/4 becomes 2, "
        "and ties go away from zero",
    )  # fmt: skip
    thirds = np.array([[5, 5, 4], [-5, -5, -4], [1, 1, 0], [-1, -1, 0]], np.int8)
    purpose = "1/3 becomes part of the multiplier; the mean is not cut off"
    yield _problem("MEAN", thirds, [-1], one, one, True, purpose=purpose)
    wide_thirds = np.array([[24499, -10694, 2690], [-31429, 1341, -20242]], np.int16)
    fine = quantization(0.004663879983127117), quantization(0.0023151326458901167)
    purpose = "a third of the multiplier keeps all its bits: it is shifted first, and divided then"
    yield _problem("MEAN", wide_thirds, [1], *fine, purpose=purpose)
    spread = np.arange(-49, 49, dtype=np.int8).reshape(2, 7, 7, 1)
    yield _problem(
        "MEAN",
        spread,
        [1, 2],
        quantization(0.05, -7),
        quantization(0.0125, 20),
        True,
        purpose="global pooling to another scale and zero point: each of 49 elements has that of the input",
    )
    halves = np.array([[3, 4], [5, 6], [-3, -4], [-5, -6], [7, 8], [-7, -8]], np.int8)
    yield _problem(
        "MEAN",
        halves,
        [1],
        quantization(0.75),
        quantization(0.25),
        purpose="the division and the factor between the scales are one multiplier: 3.5 * 3 is not 4 * 3",
    )
    x = np.random.default_rng(0).integers(-128, 128, (60, 7)).astype(np.int8)
    read, written = quantization(0.9 / 7), quantization(1 / 63)
    yield _problem("MEAN", x, [1], read, written, purpose="1/7 of a factor, many times")
    yield _problem(
        "MEAN",
        np.full((2, 300), -128, np.int8),
        [1],
        quantization(0.5, 127),
        quantization(0.5, -1),
        purpose="a sum of 300 distances of 255 needs more than 16 bits; the mean saturates",
    )
    wide = np.array([[32767, 32766], [-32768, -32767]], np.int16)
    yield _problem("MEAN", wide, [1], one, one, purpose="ties at both ends of int16")
    unsigned = np.array([[0, 1], [254, 255], [127, 128], [129, 128]], np.uint8)
    yield _problem(
        "MEAN",
        unsigned,
        [1],
        quantization(0.5, 128),
        quantization(0.5, 100),
        purpose="uint8: zero points are subtracted before and added after the rounding",
    )


def sum_boundary() -> Iterable[Problem]:
    """Sums that saturate at both ends, and the zero point of every element."""
    for dtype, zero in ((np.uint8, 128), (np.int8, 0)):
        name, low = np.dtype(dtype).name, int(np.iinfo(dtype).min)
        ends = np.array([[255, 255, 255], [0, 0, 0], [128, 130, 129], [127, 125, 126]]) + low
        yield _problem(
            "SUM",
            ends.astype(dtype),
            [1],
            quantization(0.5, zero + 3),
            quantization(0.5, zero),
            purpose=f"{name}: each element has the zero point; sums saturate at both ends",
        )
        quarters = np.array([[1, 1], [-1, -1], [3, 3], [-3, -3], [2, 3], [-2, -3], [6, 7]]) + zero
        yield _problem(
            "SUM", quarters.astype(dtype), [-1], quantization(0.25, zero), quantization(1.0, zero - 5), True,
            purpose=f"{name}: sums are rounded twice (once, with single rounding): 5/4 becomes 2, and ties "
            "go away from zero, before the zero point is added",
        )  # fmt: skip
    wide = np.array([[32767, 32767], [-32768, -32768], [2, 3], [-1, -1]], np.int16)
    read, written = quantization(0.25), quantization(1.0)
    yield _problem("SUM", wide, [1], read, written, purpose="int16: sums of more than 16 bits")


def _extreme_boundary(operator: str) -> Iterable[Problem]:
    """Integers on one side of zero, and the ends of each type."""
    sign = -1 if operator == "REDUCE_MAX" else 1
    one_side = np.array([[3, 7], [120, 5], [1, 1]], np.int8) * np.int8(sign)
    shared = quantization(0.25, 3)
    side = "negative" if sign < 0 else "positive"
    purpose = f"among {side} integers alone 0 is no start of the search"
    yield _problem(operator, one_side, [1], shared, shared, purpose=purpose)
    for dtype in TYPES:
        limits = np.iinfo(dtype)
        x = np.array([[limits.min, limits.max], [limits.min, limits.min], [limits.max, limits.max]], dtype)
        same = quantization(0.25, 0 if limits.min else 128)
        purpose = f"{limits.dtype.name}: both ends, along the last axis"
        yield _problem(operator, x, [-1], same, same, True, purpose=purpose)


INTEGER = {
    "MEAN": Draw(mean_boundary, lambda rng: _random("MEAN", rng)),
    "SUM": Draw(sum_boundary, lambda rng: _random("SUM", rng)),
    "REDUCE_MAX": Draw(lambda: _extreme_boundary("REDUCE_MAX"), lambda rng: _random("REDUCE_MAX", rng)),
    "REDUCE_MIN": Draw(lambda: _extreme_boundary("REDUCE_MIN"), lambda rng: _random("REDUCE_MIN", rng)),
}
