"""Problems of the operators that move elements: other shapes and orders, paddings, several tensors in one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Draw, Random, pick, shape_of
from ptq.oracle.draw.moved import (
    SMALL,
    TYPES,
    axis_of,
    drawn,
    given,
    mover,
    numbered,
    scaled,
    vector,
)
from ptq.oracle.problem import Given, Problem, quantization

# --- the same elements in another shape -----------------------------------------------------------


def reshape_boundary() -> Iterable[Problem]:
    """The order of memory; a size that is left open."""
    x = Given(numbered(2, 3, 4), SMALL)
    yield mover(
        "RESHAPE", [x, vector([4, 3, 2])], x, purpose="the last dimension runs fastest, in both shapes"
    )
    yield mover("RESHAPE", [x, vector([3, -1])], x, purpose="-1 stands for what the others leave: 8")
    yield mover(
        "RESHAPE",
        [x],
        x,
        new_shape=[6, 4],
        purpose="the shape is in the options where there is no second input",
    )
    one = Given(np.full((1, 1), 2.5, np.float32))
    yield mover("RESHAPE", [one, vector(np.zeros(0))], one, purpose="a scalar: an empty vector of sizes")


def reshape_random(rng: Random) -> Problem:
    """Any two shapes of one size."""
    x = _any(rng, 5)
    shape = [int(n) for n in rng.permutation([*x.array.shape, 1])]
    while len(shape) > 1 and rng.random() < 0.5:
        n = shape.pop()
        shape[-1] *= n
    if rng.random() < 0.3:
        shape[int(rng.integers(len(shape)))] = -1
    if rng.random() < 0.3:
        return mover("RESHAPE", [x], x, new_shape=shape)
    return mover("RESHAPE", [x, drawn(rng, shape, long=False)], x)


def squeeze_boundary() -> Iterable[Problem]:
    """Some or all dimensions of size 1."""
    x = Given(numbered(1, 3, 1, 2), SMALL)
    yield mover("SQUEEZE", [x], x, purpose="without axes all dimensions of size 1 go")
    yield mover(
        "SQUEEZE",
        [x],
        x,
        squeeze_dims=[-2],
        purpose="only those that are named; negative axes count from the end",
    )


def squeeze_random(rng: Random) -> Problem:
    """Any of the dimensions of size 1."""
    shape = tuple(1 if rng.random() < 0.5 else n for n in shape_of(rng, int(rng.integers(1, 6)), 4))
    name = pick(rng, TYPES)
    x = given(rng, shape, name, scaled(rng, name))
    axes = [n - len(shape) * int(rng.integers(2)) for n, size in enumerate(shape) if size == 1]
    kept = [axis for axis in axes if rng.random() < 0.6]
    return mover("SQUEEZE", [x], x, squeeze_dims=kept or None)


def expand_dims_boundary() -> Iterable[Problem]:
    """In front, in the middle, at the end."""
    x = Given(numbered(2, 3), SMALL)
    for axis, where in ((0, "in front of all others"), (1, "before dimension 1"), (-1, "after the last one")):
        yield mover(
            "EXPAND_DIMS", [x, vector(axis)], x, purpose=f"axis {axis}: the new dimension comes {where}"
        )


def expand_dims_random(rng: Random) -> Problem:
    """Any place for the new dimension."""
    x = _any(rng, 5)
    axis = axis_of(rng, x.array.ndim + 1)
    return mover("EXPAND_DIMS", [x, drawn(rng, axis if rng.random() < 0.5 else [axis])], x)


# --- other orders ---------------------------------------------------------------------------------


def transpose_boundary() -> Iterable[Problem]:
    """Permutations that differ from their inverses."""
    x = Given(numbered(2, 3, 4), SMALL)
    yield mover(
        "TRANSPOSE", [x, vector([2, 0, 1])], x, purpose="three sizes: output dimension 0 is input dimension 2"
    )
    cube = Given(numbered(2, 2, 2))
    yield mover(
        "TRANSPOSE", [cube, vector([1, 2, 0])], cube,
        purpose="one size, so that the inverse permutation has the same shape and other elements",
    )  # fmt: skip
    image = Given(numbered(1, 2, 3, 2, dtype="float32"))
    yield mover(
        "TRANSPOSE", [image, vector([0, 3, 1, 2])], image, purpose="NHWC to NCHW, which is not NCHW to NHWC"
    )
    yield mover("TRANSPOSE", [x, vector([0, -1, 1])], x, purpose="a negative axis counts from the end")


def transpose_random(rng: Random) -> Problem:
    """Up to six dimensions."""
    rank, name = int(rng.integers(1, 7)), pick(rng, TYPES)
    x = given(rng, shape_of(rng, rank, 3 if rank > 4 else 4), name, scaled(rng, name))
    axes = rng.permutation(rank)
    if rng.random() < 0.2:
        axes = np.where(rng.random(rank) < 0.5, axes - rank, axes)
    return mover("TRANSPOSE", [x, drawn(rng, axes, long=False)], x)


def reverse_boundary() -> Iterable[Problem]:
    """One axis, several."""
    x = Given(numbered(2, 3, 2), SMALL)
    yield mover(
        "REVERSE_V2", [x, vector([1])], x, purpose="along axis 1 alone, not along the last one or all"
    )
    yield mover("REVERSE_V2", [x, vector([-1])], x, purpose="a negative axis counts from the end")
    yield mover("REVERSE_V2", [x, vector([1, 0])], x, purpose="along both axes that are named")


def reverse_random(rng: Random) -> Problem:
    """Neighbouring axes in any order."""
    x = _any(rng, 5)
    rank = x.array.ndim
    first = int(rng.integers(0, rank))
    axes = np.arange(first, rng.integers(first + 1, rank + 1))
    axes = rng.permutation(np.where(rng.random(axes.size) < 0.5, axes - rank, axes))
    return mover("REVERSE_V2", [x, drawn(rng, axes, long=False)], x)


# --- paddings -------------------------------------------------------------------------------------

AMOUNTS = [[1, 0], [0, 2], [2, 1]]


def pad_boundary() -> Iterable[Problem]:
    """What is written, and on which side."""
    x = Given(numbered(2, 2, 1), SMALL)
    yield mover(
        "PAD", [x, vector(AMOUNTS)], x, purpose="the padding is the zero point -7, not 0; before is not after"
    )
    byte = Given(numbered(2, 2, dtype="uint8"), quantization(0.25, 128))
    yield mover(
        "PAD", [byte, vector([[0, 1], [0, 0]])], byte, purpose="dimension 0 first; the zero point of uint8"
    )
    real = Given(numbered(1, 3, dtype="float32"))
    yield mover(
        "PAD",
        [real, vector([[1, 0], [0, 1]], "int64")],
        real,
        purpose="reals are padded with 0; int64 paddings",
    )
    plain = Given(numbered(3, dtype="int32"))
    yield mover("PAD", [plain, vector([[2, 1]])], plain, purpose="integers without a scale are padded with 0")


def pad_random(rng: Random) -> Problem:
    """Up to five dimensions."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 6)), 2), name, scaled(rng, name))
    return mover("PAD", [x, drawn(rng, rng.integers(0, 2 if x.array.ndim > 3 else 3, (x.array.ndim, 2)))], x)


def padv2_boundary() -> Iterable[Problem]:
    """A value of one's own."""
    x = Given(numbered(2, 2, 1), SMALL)
    value = Given(np.array(-100, np.int8), SMALL)
    yield mover(
        "PADV2", [x, vector(AMOUNTS), value], x, purpose="the padding is the value, not the zero point"
    )
    real = Given(numbered(2, 3, dtype="float32"))
    lowest = Given(np.array([-np.inf], np.float32))
    yield mover(
        "PADV2",
        [real, vector([[0, 1], [1, 0]]), lowest],
        real,
        purpose="-infinity, as in front of a MAX_POOL",
    )


def padv2_random(rng: Random) -> Problem:
    """The value has the scale of the input."""
    name = pick(rng, TYPES)
    scale = scaled(rng, name)
    x = given(rng, shape_of(rng, int(rng.integers(1, 5)), 3), name, scale)
    value = given(rng, pick(rng, ((), (1,))), name, scale)
    return mover("PADV2", [x, drawn(rng, rng.integers(0, 3, (x.array.ndim, 2))), value], x)


# --- several tensors in one -----------------------------------------------------------------------


def concatenation_boundary() -> Iterable[Problem]:
    """Along which axis, in which order."""
    a, b, c = (Given(numbered(2, n, 2, first=first), SMALL) for n, first in ((1, 1), (2, 11), (1, 31)))
    yield mover(
        "CONCATENATION",
        [a, b, c],
        a,
        axis=1,
        purpose="along axis 1, not one after the other in memory; unequal sizes",
    )
    yield mover("CONCATENATION", [a, c], a, axis=-1, purpose="a negative axis counts from the end")
    yield mover(
        "CONCATENATION", [c, a], a, axis=0, purpose="along the first axis they follow one another in memory"
    )


def concatenation_random(rng: Random) -> Problem:
    """Up to four tensors."""
    rank, name = int(rng.integers(1, 5)), pick(rng, TYPES)
    shape, axis, scale = list(shape_of(rng, rank, 3)), axis_of(rng, rank), scaled(rng, name)
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        shape[axis] = int(rng.integers(1, 4))
        parts.append(given(rng, tuple(shape), name, scale))
    return mover("CONCATENATION", parts, parts[0], axis=axis)


def pack_boundary() -> Iterable[Problem]:
    """Where the new dimension stands."""
    a, b = Given(numbered(2, 2), SMALL), Given(numbered(2, 2, first=11), SMALL)
    for axis, purpose in (
        (0, "the inputs one after the other in memory"),
        (1, "row by row: the new dimension is in the middle"),
        (-1, "element by element: -1 counts the new dimension, too"),
    ):  # fmt: skip
        yield mover("PACK", [a, b], a, values_count=2, axis=axis, purpose=purpose)


def pack_random(rng: Random) -> Problem:
    """Up to four tensors."""
    rank, name = int(rng.integers(0, 5)), pick(rng, TYPES)
    shape, scale = shape_of(rng, rank, 3), scaled(rng, name)
    parts = [given(rng, shape, name, scale) for _ in range(int(rng.integers(1, 5)))]
    return mover("PACK", parts, parts[0], values_count=len(parts), axis=axis_of(rng, rank + 1))


def _any(rng: Random, rank: int) -> Given:
    """A tensor of at least one dimension, of any type."""
    name = pick(rng, TYPES)
    return given(rng, shape_of(rng, int(rng.integers(1, rank + 1)), 4), name, scaled(rng, name))


ANY = {
    "RESHAPE": Draw(reshape_boundary, reshape_random),
    "SQUEEZE": Draw(squeeze_boundary, squeeze_random),
    "EXPAND_DIMS": Draw(expand_dims_boundary, expand_dims_random),
    "TRANSPOSE": Draw(transpose_boundary, transpose_random),
    "REVERSE_V2": Draw(reverse_boundary, reverse_random),
    "PAD": Draw(pad_boundary, pad_random),
    "PADV2": Draw(padv2_boundary, padv2_random),
    "CONCATENATION": Draw(concatenation_boundary, concatenation_random),
    "PACK": Draw(pack_boundary, pack_random),
}
