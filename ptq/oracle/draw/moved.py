"""What problems of movers are made of: tensors of any type, elements that differ, sizes and axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ptq.graph import Quantization, type_of
from ptq.oracle.draw.core import Array, Random, between, pick, zero_point
from ptq.oracle.draw.plain import values
from ptq.oracle.problem import CONSTANT, INPUT, Given, Problem, Wanted, quantization

Shape = tuple[int, ...]

TYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool", "float16")
"""What most movers take."""

SMALL = quantization(0.5, -7)
"""A scale with a zero point, for int8."""


def numbered(*shape: int, dtype: str = "int8", first: int = 1) -> Array:
    """1, 2, 3, ... in row-major order, so that each element tells where it came from."""
    size = int(np.prod(shape, dtype=int))
    return np.arange(first, first + size).reshape(shape).astype(dtype)


def scaled(rng: Random, name: str) -> Quantization | None:
    """Most often a scale for int8, uint8 and int16; None for other types."""
    if name not in ("int8", "uint8", "int16") or rng.random() < 0.2:
        return None
    return quantization(between(rng, 1e-4, 10), zero_point(rng, name))


def given(
    rng: Random, shape: Shape, name: str, scale: Quantization | None = None, kind: str | None = None
) -> Given:
    """A tensor of any values, fed or constant."""
    return Given(values(rng, shape, name), scale, kind or pick(rng, (INPUT, INPUT, INPUT, CONSTANT)))


def vector(numbers: Any, dtype: str = "int32", kind: str = CONSTANT) -> Given:
    """Sizes, axes or places; by default a constant."""
    return Given(np.asarray(numbers, dtype), None, kind)


def drawn(rng: Random, numbers: Any, long: bool = True) -> Given:
    """The same as int32 or, where the operator takes it, int64; now and then fed, as if computed before."""
    dtype = "int64" if long and rng.random() < 0.3 else "int32"
    return vector(numbers, dtype, INPUT if rng.random() < 0.15 else CONSTANT)


def axis_of(rng: Random, rank: int) -> int:
    """Any axis, counted from the front or from the end."""
    return int(rng.integers(-rank, rank))


def mover(
    operator: str,
    operands: Sequence[Given],
    like: Given,
    count: int = 1,
    purpose: str = "",
    version: int = 1,
    **options: Any,
) -> Problem:
    """An operator whose outputs have the type and scale of one of its operands."""
    wanted = Wanted(type_of(like.array.dtype), like.quantization)
    return Problem(operator, operands, [wanted] * count, options, version, purpose=purpose)
