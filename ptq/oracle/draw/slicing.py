"""Problems of the operators that take a tensor apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ptq.oracle.draw.core import Draw, Random, pick, shape_of
from ptq.oracle.draw.moved import (
    SMALL,
    TYPES,
    Shape,
    axis_of,
    drawn,
    given,
    mover,
    numbered,
    scaled,
    vector,
)
from ptq.oracle.problem import Given, Problem

# --- parts ----------------------------------------------------------------------------------------


def split_boundary() -> Iterable[Problem]:
    """Runs along an axis."""
    x = Given(numbered(2, 4, 2), SMALL)
    yield mover(
        "SPLIT",
        [vector(1), x],
        x,
        2,
        num_splits=2,
        purpose="a part is a run along axis 1, not every second one",
    )
    yield mover("SPLIT", [vector(-1), x], x, 2, num_splits=2, purpose="a negative axis counts from the end")
    yield mover(
        "SPLIT",
        [vector([0]), x],
        x,
        2,
        num_splits=2,
        purpose="along the first axis the parts are halves of the memory",
    )


def split_random(rng: Random) -> Problem:
    """Up to four equal parts."""
    shape, count = list(shape_of(rng, int(rng.integers(1, 5)), 3)), int(rng.integers(1, 5))
    axis, name = axis_of(rng, len(shape)), pick(rng, TYPES)
    shape[axis] *= count
    x = given(rng, tuple(shape), name, scaled(rng, name))
    operand = drawn(rng, axis if rng.random() < 0.5 else [axis], long=False)
    return mover("SPLIT", [operand, x], x, count, num_splits=count)


def split_v_boundary() -> Iterable[Problem]:
    """Unequal parts; what is left."""
    x = Given(numbered(2, 6), SMALL)
    yield mover(
        "SPLIT_V", [x, vector([1, 3, 2]), vector(1)], x, 3, num_splits=3, purpose="three sizes along axis 1"
    )
    yield mover(
        "SPLIT_V", [x, vector([2, -1, 1]), vector(-1)], x, 3, num_splits=3,
        purpose="-1 stands for the 3 that are left, also in the place of what follows",
    )  # fmt: skip


def split_v_random(rng: Random) -> Problem:
    """Sizes that add up; now and then one of them is -1."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 5)), 6), name, scaled(rng, name))
    axis = axis_of(rng, x.array.ndim)
    size = x.array.shape[axis]
    cuts = np.flatnonzero(rng.random(size - 1) < 0.5) + 1
    sizes = np.diff([0, *cuts, size])
    if rng.random() < 0.4:
        sizes[rng.integers(len(sizes))] = -1
    operands = [x, drawn(rng, sizes), vector(axis if rng.random() < 0.5 else [axis])]
    return mover("SPLIT_V", operands, x, len(sizes), num_splits=len(sizes))


def unpack_boundary() -> Iterable[Problem]:
    """Along which axis."""
    x = Given(numbered(2, 3, 2), SMALL)
    yield mover("UNPACK", [x], x, 3, num=3, axis=1, purpose="slices across the middle, not runs of memory")
    yield mover("UNPACK", [x], x, 2, num=2, axis=-1, purpose="a negative axis counts from the end")


def unpack_random(rng: Random) -> Problem:
    """As many outputs as the axis has elements."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 6)), 4), name, scaled(rng, name))
    axis = axis_of(rng, x.array.ndim)
    count = x.array.shape[axis]
    return mover("UNPACK", [x], x, count, num=count, axis=axis)


# --- slices ---------------------------------------------------------------------------------------


def slice_boundary() -> Iterable[Problem]:
    """A begin and a size for each dimension."""
    x = Given(numbered(3, 4, 2), SMALL)
    yield mover(
        "SLICE", [x, vector([1, 2, 0]), vector([2, 2, 1])], x,
        purpose="the second vector holds sizes, not ends, and the first entry is about the first dimension",
    )  # fmt: skip
    yield mover(
        "SLICE", [x, vector([2, 0, 1], "int64"), vector([-1, 3, -1], "int64")], x,
        purpose="a size of -1 takes what is left",
    )  # fmt: skip


def slice_random(rng: Random) -> Problem:
    """Any part that is not empty."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 6)), 4), name, scaled(rng, name))
    begin = [int(rng.integers(n)) for n in x.array.shape]
    left = [n - first for n, first in zip(x.array.shape, begin, strict=True)]
    size = [-1 if rng.random() < 0.2 else int(rng.integers(1, n + 1)) for n in left]
    dtype = pick(rng, ("int32", "int64"))
    return mover("SLICE", [x, vector(begin, dtype), vector(size, dtype)], x)


def strided(x: Given, begin: Any, end: Any, strides: Any, purpose: str = "", **options: Any) -> Problem:
    """STRIDED_SLICE with three constant vectors."""
    return mover("STRIDED_SLICE", [x, *map(vector, (begin, end, strides))], x, purpose=purpose, **options)


def strided_slice_boundary() -> Iterable[Problem]:
    """Each mask, both signs of begin, end and stride."""
    row, x = Given(numbered(6), SMALL), Given(numbered(2, 3, 4), SMALL)
    yield strided(row, [1], [6], [2], "every second element from 1 on: 1, 3, 5")
    yield strided(row, [-3], [-1], [1], "negative places count from the end: 3, 4")
    yield strided(row, [-9], [9], [1], "places outside are moved to the ends: all six")
    yield strided(row, [4], [0], [-2], "with a negative stride the end is not reached, either: 4, 2")
    yield strided(row, [2], [0], [-1], "with end_mask it is: 2, 1, 0", end_mask=1)
    yield strided(
        row, [2], [5], [1], "begin_mask: from the first element on, whatever the begin is", begin_mask=1
    )
    yield strided(
        row, [2], [1], [-2], "begin_mask with a negative stride: from the last element on", begin_mask=1
    )
    yield strided(row, [9], [-9], [-1], "from beyond the end to before the start, backwards: all six")
    yield strided(
        x, [1, 1], [0, 3], [1, 1], "shrink_axis_mask takes the element at begin, whatever the end is",
        shrink_axis_mask=1,
    )  # fmt: skip
    yield strided(x, [0, -1], [1, 0], [1, 1], "shrink_axis_mask with a negative place", shrink_axis_mask=2)
    yield strided(
        x, [0, 1], [0, 4], [1, 2], "ellipsis_mask: all dimensions in the middle; the last term is the last's",
        ellipsis_mask=1,
    )  # fmt: skip
    yield strided(
        x, [0, 1, 0, 1], [1, 9, 2, 3], [1, 1, 1, 1],
        "new_axis_mask: a term without a dimension, whose begin and end mean nothing", new_axis_mask=2,
    )  # fmt: skip
    yield strided(
        x, [0, 2], [0, 3], [1, 1], "bit 1 of begin_mask is for the term after the ellipsis, not dimension 1",
        ellipsis_mask=1, begin_mask=2,
    )  # fmt: skip
    yield strided(x, [1], [2], [1], "dimensions without a term are taken whole")
    yield strided(row, [1], [3], [1], "with offset the end counts from the begin on: 1, 2, 3", offset=True)


def strided_slice_random(rng: Random) -> Problem:
    """Terms of every kind, but for empty results."""
    while True:
        name = pick(rng, TYPES)
        shape = shape_of(rng, int(rng.integers(1, 6)), 4)
        x = given(rng, shape, name, scaled(rng, name))
        *vectors, options = _offset_terms(rng, shape) if rng.random() < 0.15 else _terms(rng, shape)
        if not vectors[0]:
            continue
        operands = [vector(numbers) for numbers in vectors]
        problem = mover("STRIDED_SLICE", [x, *operands], x, **options)
        if all(problem.graph().tensors[index].size for index in problem.graph().outputs):
            return problem


def _terms(rng: Random, shape: Shape) -> tuple[list[int], list[int], list[int], dict[str, Any]]:
    """begin, end, strides and masks for some dimensions, with an ellipsis and new axes."""
    named = int(rng.integers(0, len(shape) + 1))
    kinds = ["range"] * named + ["new_axis_mask"] * int(rng.integers(0, 3))
    rng.shuffle(kinds)
    if named < len(shape) and rng.random() < 0.5:
        kinds.insert(int(rng.integers(0, len(kinds) + 1)), "ellipsis_mask")
    sizes = _sizes(shape, kinds, named)
    begin, end = ([int(rng.integers(-n - 2, n + 3)) for n in sizes] for _ in range(2))
    strides = [int(pick(rng, (1, 1, 1, 2, 3, -1, -2))) for _ in kinds]
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    for i, kind in enumerate(kinds):
        masks["begin_mask"] |= int(rng.random() < 0.2) << i
        masks["end_mask"] |= int(rng.random() < 0.3) << i
        if kind != "range":
            masks[kind] |= 1 << i
        elif rng.random() < 0.25:
            begin[i], strides[i] = int(rng.integers(-sizes[i] - 1, sizes[i])), int(rng.integers(1, 3))
            masks["shrink_axis_mask"] |= 1 << i
    return begin, end, strides, masks


def _sizes(shape: Shape, kinds: list[str], named: int) -> list[int]:
    """For each term the size of its dimension; of an ellipsis or a new axis that of one nearby."""
    sizes, dimension = [], 0
    for kind in kinds:
        sizes.append(shape[min(dimension, len(shape) - 1)])
        dimension += {"range": 1, "ellipsis_mask": len(shape) - named, "new_axis_mask": 0}[kind]
    return sizes


def _offset_terms(rng: Random, shape: Shape) -> tuple[list[int], list[int], list[int], dict[str, Any]]:
    """begin, length, strides: a range inside of every dimension."""
    begin = [int(rng.integers(-n, n)) for n in shape]
    left = [-first if first < 0 else n - first for n, first in zip(shape, begin, strict=True)]
    count = [int(rng.integers(1, n + 1)) for n in left]
    shrink = int(rng.integers(0, 2 ** len(shape))) if rng.random() < 0.5 else 0
    return begin, count, rng.integers(1, 3, len(shape)).tolist(), {"offset": True, "shrink_axis_mask": shrink}


ANY = {
    "SPLIT": Draw(split_boundary, split_random),
    "SPLIT_V": Draw(split_v_boundary, split_v_random),
    "UNPACK": Draw(unpack_boundary, unpack_random),
    "SLICE": Draw(slice_boundary, slice_random),
    "STRIDED_SLICE": Draw(strided_slice_boundary, strided_slice_random),
}
