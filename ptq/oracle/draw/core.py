"""How problems are drawn: boundary cases first, random ones second; and the numbers that both are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ptq.oracle.problem import Problem

Array = npt.NDArray[Any]
Random = np.random.Generator
Choice = TypeVar("Choice")

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, 6, -1, 1], np.float32)


@dataclass(frozen=True)
class Draw:
    """Where the problems of one operator in one arithmetic come from.

    boundary: the deterministic ones, each with its purpose. random: any other, by a generator.
    """

    boundary: Callable[[], Iterable[Problem]]
    random: Callable[[Random], Problem]


def pick(rng: Random, choices: Sequence[Choice]) -> Choice:
    """One of the choices, as it is."""
    return choices[int(rng.integers(len(choices)))]


def reals(rng: Random, shape: tuple[int, ...], odd: float = 0.2) -> Array:
    """float32 of all scales; now and then zeros, NaN, infinities and subnormals among them."""
    x = rng.normal(size=shape).astype(np.float32)
    x *= np.float32(10.0 ** (rng.integers(-3, 4) if rng.random() < 0.8 else rng.integers(-44, 38)))
    if rng.random() < odd and x.size:
        where = rng.random(shape) < 0.3
        x[where] = rng.choice(ODD, int(where.sum()))
    return x


def integers(rng: Random, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """All integers of a type, its limits included."""
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, np.dtype(dtype), endpoint=True)


def zero_point(rng: Random, dtype: npt.DTypeLike) -> int:
    """Any, the ends of the type among them; 0 for int16."""
    if np.dtype(dtype) == np.int16:
        return 0
    limits = np.iinfo(dtype)
    return int(pick(rng, [limits.min, limits.max, int(rng.integers(limits.min, limits.max + 1))]))


def shape_of(rng: Random, rank: int, largest: int = 5, smallest: int = 1) -> tuple[int, ...]:
    """A random shape."""
    return tuple(int(n) for n in rng.integers(smallest, largest + 1, rank))


def between(rng: Random, lowest: float, highest: float) -> float:
    """A scale between two others, all orders of magnitude alike."""
    return float(np.float32(np.exp(rng.uniform(np.log(lowest), np.log(highest)))))


def near(rng: Random, scale: float, low: float = -8, high: float = 8) -> float:
    """A scale between 2^low and 2^high times another; often a power of two away, which makes ties."""
    exponent = rng.uniform(low, high)
    return float(np.float32(scale * 2.0 ** (np.floor(exponent) if rng.random() < 0.3 else exponent)))
