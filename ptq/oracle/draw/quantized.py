"""What problems of operators on quantized operands are made of, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.oracle.draw.core import ACTIVATIONS, Array, Random, between, integers, pick
from ptq.oracle.problem import Given, Problem, Wanted, quantization

TYPES = (np.int8, np.uint8, np.int16)

VERSIONS = {
    "INT8": {
        **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "RELU", "RELU6", "LEAKY_RELU"), 2),
        **dict.fromkeys(("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"), 2),
    },
    "INT16": {"ADD": 3, "SUB": 5, "MUL": 4, "MAXIMUM": 4, "MINIMUM": 4},
}
"""The versions by which files say that an operator has integers. Source: `tools/versioning/op_version.cc`."""

Scaled = tuple[Array, float, int]
"""Integers, their scale and their zero point."""


def problem(
    operator: str,
    operands: Sequence[Scaled],
    output: tuple[float, int] | None,
    purpose: str = "",
    output_type: str = "",
    **options: Any,
) -> Problem:
    """A problem of scaled integers; output: scale and zero point, None for truth values."""  # fmt: skip
    kind = operands[0][0].dtype.name.upper()
    wanted = Wanted("BOOL") if output is None else Wanted(output_type or kind, quantization(*output))
    return Problem(
        operator, [Given(x, quantization(scale, zero)) for x, scale, zero in operands], [wanted], options,
        VERSIONS.get(kind, {}).get(operator, 1), purpose=purpose,
    )  # fmt: skip


def column(values: Sequence[int], dtype: npt.DTypeLike = np.int8) -> Array:
    """Integers to meet each of a row."""
    return np.array(values, dtype)[:, None]


def row(values: Sequence[int], dtype: npt.DTypeLike = np.int8) -> Array:
    """Integers to meet each of a column."""
    return np.array(values, dtype)


# --- random ---------------------------------------------------------------------------------------


def any_scale(rng: Random) -> float:
    """Everyday scales, all sizes, and powers of two, which make ties."""
    if rng.random() < 0.3:
        return float(2.0 ** rng.integers(-12, 5))
    return float(between(rng, 1e-3, 0.3) if rng.random() < 0.5 else between(rng, 1e-6, 100.0))


def values(rng: Random, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """All integers of a type, its ends often; now and then small ones alone."""
    x = integers(rng, shape, dtype)
    if rng.random() < 0.2:
        x //= 16
    limits = np.iinfo(dtype)
    ends = rng.choice(np.array([limits.min, limits.max], dtype), shape)
    return np.where(rng.random(shape) < 0.15, ends, x).astype(dtype)


def any_shape(rng: Random, rank: int = 4, largest: int = 4) -> tuple[int, ...]:
    """A shape of one dimension to `rank` of them, now and then of none; of some twenty elements."""
    if rng.random() < 0.03:
        return ()
    shape = tuple(int(n) for n in rng.integers(1, largest + 1, int(rng.integers(1, rank + 1))))
    return shape if np.prod(shape) <= 64 else shape[-2:]


def two_shapes(rng: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes that broadcast, in half of the draws different ones."""
    shape = any_shape(rng, 6)
    if rng.random() < 0.5:
        return shape, shape
    other = tuple(1 if rng.random() < 0.4 else size for size in shape)
    other = other[int(rng.integers(len(shape) + 1)) if rng.random() < 0.4 else 0 :]
    return (shape, other) if rng.random() < 0.5 else (other, shape)


def fused(rng: Random, output_scale: float) -> dict[str, str]:
    """An activation, unless the output's scale is so fine that 6 would overflow int32."""
    return {"fused_activation_function": pick(rng, ACTIVATIONS) if output_scale > 1e-8 else "NONE"}
