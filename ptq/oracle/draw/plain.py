"""What problems of reals and plain integers are made of: values of any type, shapes that broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ptq.graph import type_of
from ptq.oracle.draw.core import ODD, Array, Random, integers, reals, shape_of
from ptq.oracle.problem import CONSTANT, INPUT, Given, Problem, Wanted

Shape = tuple[int, ...]


def values(rng: Random, shape: Shape, name: str) -> Array:
    """Any array of a dtype; of integers often small ones, among which equal ones are frequent."""
    dtype = np.dtype(name)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    if dtype == np.float16:
        return integers(rng, shape, np.uint16).view(np.float16)
    if dtype == np.float32:
        return rng.choice(ODD, shape) if rng.random() < 0.3 else reals(rng, shape)
    x = integers(rng, shape, dtype)
    return x if rng.random() < 0.5 else np.asarray(x % 7 - (3 if np.iinfo(dtype).min else 0)).astype(dtype)


def any_shape(rng: Random, largest: int = 4) -> Shape:
    """Up to four dimensions, now and then none, now and then an empty one."""
    return shape_of(rng, int(rng.integers(0, 5)), largest, smallest=0 if rng.random() < 0.05 else 1)


def two_shapes(rng: Random, rank: int = 8) -> tuple[Shape, Shape]:
    """Shapes that broadcast, of up to eight dimensions."""
    shape = shape_of(rng, int(rng.integers(0, rank + 1)), 2 if rng.random() < 0.3 else 3)
    shape = shape[:2] + (1,) * (len(shape) - 4) + shape[-2:] if len(shape) > 4 else shape
    other = tuple(1 if rng.random() < 0.3 else size for size in shape)
    other = other[rng.integers(len(shape) + 1) if rng.random() < 0.4 else 0 :]
    return (shape, other) if rng.random() < 0.5 else (other, shape)


def floats(*numbers: float) -> Array:
    """float32, one dimension."""
    with np.errstate(over="ignore"):
        return np.array(numbers, np.float32)


def problem(
    operator: str, arrays: Sequence[Array], output: Any = None, purpose: str = "", **options: Any
) -> Problem:
    """An operator on operands without a scale; output: its dtype, default that of the first operand."""
    wanted = Wanted(type_of(arrays[0].dtype if output is None else output))
    return Problem(operator, [Given(a) for a in arrays], [wanted], options, purpose=purpose)


def over(
    operator: str, x: Array, axes: Array, output: Any = None, purpose: str = "", **options: Any
) -> Problem:
    """The same with axes or a size, which are constants, as the second operand."""
    wanted = Wanted(type_of(x.dtype if output is None else output))
    operands = [Given(x, kind=INPUT), Given(axes, kind=CONSTANT)]
    return Problem(operator, operands, [wanted], options, purpose=purpose)
