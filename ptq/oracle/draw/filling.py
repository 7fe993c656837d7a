"""Problems of the operators that look elements up, repeat them, or make a tensor out of its size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.errors import PtqError
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
from ptq.oracle.draw.plain import floats
from ptq.oracle.problem import Given, Problem, Wanted
from ptq.shapes.movement import range_size

# --- looking up -----------------------------------------------------------------------------------


def gather_boundary() -> Iterable[Problem]:
    """Along which axis, and whose indices."""
    x = Given(numbered(2, 3, 4), SMALL)
    yield mover(
        "GATHER", [x, vector([2, 0, 2])], x, axis=1, purpose="rows of axis 1 in any order, one of them twice"
    )
    yield mover(
        "GATHER",
        [x, vector([[3, 1]])],
        x,
        axis=-1,
        purpose="a negative axis counts from the end; two dimensions of indices",
    )
    yield mover("GATHER", [x, vector(1, "int64")], x, axis=0, purpose="a single index drops the dimension")
    each = vector([[2, 0], [1, 1]])
    yield mover(
        "GATHER",
        [x, each],
        x,
        axis=1,
        batch_dims=1,
        purpose="with batch_dims 1 each batch has indices of its own",
    )
    yield mover(
        "GATHER",
        [x, each],
        x,
        axis=2,
        batch_dims=-1,
        purpose="batch_dims -1 counts from the end of the indices; there is a dimension before the axis",
    )


def gather_random(rng: Random) -> Problem:
    """Any axis, with or without batch dimensions."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 5)), 4), name, scaled(rng, name))
    axis = axis_of(rng, x.array.ndim)
    shared = int(rng.integers(0, axis % x.array.ndim + 1))
    own = shape_of(rng, int(rng.integers(0, 3)), 3)
    places = rng.integers(0, x.array.shape[axis], (*x.array.shape[:shared], *own))
    indices = Given(places.astype(pick(rng, ("int16", "int32", "int64"))))
    batch_dims = shared - places.ndim if own and rng.random() < 0.5 else shared
    return mover("GATHER", [x, indices], x, axis=axis, batch_dims=batch_dims)


# --- repeating ------------------------------------------------------------------------------------


def tile_boundary() -> Iterable[Problem]:
    """Whole rows again, not each element several times."""
    x = Given(numbered(2, 3), SMALL)
    yield mover("TILE", [x, vector([1, 2])], x, purpose="1 2 3 1 2 3, not 1 1 2 2 3 3")
    yield mover(
        "TILE", [x, vector([3, 1], "int64")], x, purpose="the first number is about the first dimension"
    )
    plain = Given(numbered(2, 1, 2, dtype="float32"))
    yield mover("TILE", [plain, vector([2, 3, 2])], plain, purpose="all dimensions at once")


def tile_random(rng: Random) -> Problem:
    """Up to three times along each dimension."""
    name = pick(rng, TYPES)
    x = given(rng, shape_of(rng, int(rng.integers(1, 5)), 3), name, scaled(rng, name))
    return mover("TILE", [x, drawn(rng, rng.integers(1, 4, x.array.ndim))], x)


def broadcast_to_boundary() -> Iterable[Problem]:
    """Dimensions of size 1, and those that are missing."""
    row, column = Given(numbered(3), SMALL), Given(numbered(3, 1, dtype="int32"))
    yield mover(
        "BROADCAST_TO",
        [row, vector([3, 3])],
        row,
        version=2,
        purpose="aligned at the last dimension: every row is the same",
    )
    yield mover(
        "BROADCAST_TO",
        [column, vector([2, 3, 2], "int64")],
        column,
        version=2,
        purpose="a column is repeated to the right, then in front",
    )


def broadcast_to_random(rng: Random) -> Problem:
    """Up to five dimensions."""
    wanted, name = shape_of(rng, int(rng.integers(1, 6)), 3), pick(rng, TYPES)
    shape = tuple(1 if rng.random() < 0.4 else n for n in wanted)[int(rng.integers(len(wanted) + 1)) :]
    x = given(rng, shape, name, scaled(rng, name))
    return mover("BROADCAST_TO", [x, drawn(rng, wanted)], x, version=2)


# --- blocks of pixels -----------------------------------------------------------------------------


def depth_to_space_boundary() -> Iterable[Problem]:
    """Which channel goes to which pixel."""
    x = Given(numbered(1, 1, 2, 8), SMALL)
    yield mover(
        "DEPTH_TO_SPACE",
        [x],
        x,
        block_size=2,
        purpose="two channels: pixel by pixel, row by row, the channel runs fastest",
    )
    x = Given(numbered(1, 2, 1, 9, dtype="float32"))
    yield mover(
        "DEPTH_TO_SPACE",
        [x],
        x,
        block_size=3,
        purpose="one channel: the column of the block runs before its row",
    )


def space_to_depth_boundary() -> Iterable[Problem]:
    """Which pixel goes to which channel."""
    x = Given(numbered(1, 2, 4, 2), SMALL)
    yield mover(
        "SPACE_TO_DEPTH",
        [x],
        x,
        block_size=2,
        purpose="two channels: pixel by pixel, row by row, the channel runs fastest",
    )
    x = Given(numbered(1, 3, 3, 1, dtype="float32"))
    yield mover(
        "SPACE_TO_DEPTH",
        [x],
        x,
        block_size=3,
        purpose="one channel: the column of the block runs before its row",
    )


BLOCKS = ("float32", "int8", "uint8", "int32", "int64")


def depth_to_space_random(rng: Random) -> Problem:
    """Blocks of up to 3 * 3 pixels."""
    block, name = int(rng.integers(1, 4)), pick(rng, BLOCKS)
    *image, channels = shape_of(rng, 4, 3)
    x = given(rng, (*image, channels * block * block), name, scaled(rng, name))
    return mover("DEPTH_TO_SPACE", [x], x, block_size=block)


def space_to_depth_random(rng: Random) -> Problem:
    """The same backwards."""
    block, name = int(rng.integers(1, 4)), pick(rng, BLOCKS)
    n, height, width, channels = shape_of(rng, 4, 3)
    x = given(rng, (n, height * block, width * block, channels), name, scaled(rng, name))
    return mover("SPACE_TO_DEPTH", [x], x, block_size=block)


# --- out of nothing but a size --------------------------------------------------------------------


def shape_boundary() -> Iterable[Problem]:
    """In which order, of which type."""
    x = Given(numbered(2, 3, 4), SMALL)
    yield Problem("SHAPE", [x], [Wanted("INT32")], {"out_type": "INT32"}, purpose="the first dimension first")
    yield Problem("SHAPE", [x], [Wanted("INT64")], {"out_type": "INT64"}, purpose="the same in int64")


def shape_random(rng: Random) -> Problem:
    """Of any tensor."""
    name, type = pick(rng, TYPES), pick(rng, ("INT32", "INT64"))
    x = given(rng, shape_of(rng, int(rng.integers(1, 6)), 4), name, scaled(rng, name))
    return Problem("SHAPE", [x], [Wanted(type)], {"out_type": type})


def fill_boundary() -> Iterable[Problem]:
    """A value of any type, no element at all, one."""
    value = Given(np.array(-5, np.int8), SMALL)
    yield mover("FILL", [vector([2, 3]), value], value, purpose="the integer itself, whatever its scale")
    true = Given(np.array(True))
    yield mover("FILL", [vector([3], "int64"), true], true, purpose="a truth value; int64 sizes")
    real = Given(np.array(-0.0, np.float32))
    yield mover("FILL", [vector(np.zeros(0)), real], real, purpose="a scalar; the sign of -0 stays")


def fill_random(rng: Random) -> Problem:
    """Up to four dimensions."""
    name = pick(rng, TYPES)
    value = given(rng, (), name, scaled(rng, name))
    return mover("FILL", [drawn(rng, shape_of(rng, int(rng.integers(0, 5)), 4)), value], value)


def zeros_like_boundary() -> Iterable[Problem]:
    """0, not the input times 0."""
    x = Given(floats(1, np.nan, -np.inf, -3))
    yield mover("ZEROS_LIKE", [x], x, purpose="0 everywhere: NaN * 0 and -3 * 0 are not +0")


def zeros_like_random(rng: Random) -> Problem:
    """Three types."""
    x = given(rng, shape_of(rng, int(rng.integers(0, 5)), 4), pick(rng, ("float32", "int32", "int64")))
    return mover("ZEROS_LIKE", [x], x)


def ranged(start: float, limit: float, delta: float, dtype: str, purpose: str = "") -> Problem:
    """RANGE on three scalars of a type."""
    operands = [Given(np.array(number, dtype)) for number in (start, limit, delta)]
    return mover("RANGE", operands, operands[0], purpose=purpose)


def range_boundary() -> Iterable[Problem]:
    """Where it ends; how floats add up."""
    yield ranged(2, 9, 3, "int32", "the limit is not reached: 2, 5, 8")
    yield ranged(2, 8, 3, "int32", "nor is it a last element: 2, 5")
    yield ranged(5, -4, -3, "int64", "downwards: 5, 2, -1")
    yield ranged(0, 3, 0.1, "float32", "delta is added again and again, so that its rounding errors add up")


def range_random(rng: Random) -> Problem:
    """Up to forty numbers, upwards or downwards."""
    while True:
        dtype = pick(rng, ("float32", "int32", "int64"))
        start, delta = float(rng.normal(0, 20)), float(rng.normal(0, 3))
        if dtype != "float32":
            start, delta = float(round(start)), float(round(delta) or 1)
        limit = start + delta * float(rng.uniform(0.1, 40))
        scalars = [np.array(number, dtype) for number in (start, limit, delta)]
        try:
            if range_size(*scalars):
                return ranged(start, limit, delta, dtype)
        except PtqError:  # a limit that is cut off to the start's other side
            continue


ANY = {
    "GATHER": Draw(gather_boundary, gather_random),
    "TILE": Draw(tile_boundary, tile_random),
    "BROADCAST_TO": Draw(broadcast_to_boundary, broadcast_to_random),
    "DEPTH_TO_SPACE": Draw(depth_to_space_boundary, depth_to_space_random),
    "SPACE_TO_DEPTH": Draw(space_to_depth_boundary, space_to_depth_random),
    "SHAPE": Draw(shape_boundary, shape_random),
    "FILL": Draw(fill_boundary, fill_random),
    "ZEROS_LIKE": Draw(zeros_like_boundary, zeros_like_random),
    "RANGE": Draw(range_boundary, range_random),
}
