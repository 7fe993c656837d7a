"""Exercises of lesson 3: integer products, their zero points, and how long a sum may be (Q6, Q7, Q34)."""

from __future__ import annotations

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson

_RNG = np.random.default_rng(3)


def _int8(*shape: int) -> np.ndarray:
    return _RNG.integers(-128, 128, shape).astype(np.int8)


_X, _W = _int8(3, 40), _int8(4, 40)
_SMALL_X, _SMALL_W = np.array([[5, 1, -3, 7]], np.int8), np.array([[2, -1, 3, 1], [-3, 3, 0, 2]], np.int8)
_NARROW = np.full((2, 1032), 127, np.int8)
_ONE_LONG = np.zeros((3, 2000), np.int8)
_ONE_LONG[1] = 127

TERMS = Exercise(
    title="Four terms.",
    question="""
sum_k (w[n,k] - z_w) * (x[m,k] - z_x), for all m and n, without ever subtracting a zero point from an
element of `x` or `w`: from the raw product, the sums of the rows, and K. x: int8 [M, K]; w: int8 [N, K].
Return integers [M, N] that have not wrapped around.
""",
    stub="""
def four_terms(x, w, z_x, z_w):
    x, w = x.astype(np.int64), w.astype(np.int64)
    return x @ w.T - z_x * w.sum(axis=1)
""",
    answer="""
def four_terms(x, w, z_x, z_w):
    x, w = x.astype(np.int64), w.astype(np.int64)
    sums_w, sums_x = w.sum(axis=1), x.sum(axis=1)[:, None]
    return x @ w.T - z_x * sums_w - z_w * sums_x + x.shape[1] * z_x * z_w
""",
    hints=[
        "The stub has two of the four terms, and is right where z_w is 0.",
        "The sums of x belong to rows of the result: x.sum(axis=1)[:, None].",
        "What was subtracted twice comes back once: + K * z_x * z_w.",
    ],
    cases=[
        (_SMALL_X, _SMALL_W, 3, 0),
        (_SMALL_X, _SMALL_W, 3, -2),
        (_X[:, :6], _W[:, :6], -12, 7),
        (_X[:, :6], _W[:, :6], 0, 5),
    ],
)

FOLD = Exercise(
    title="A bias that knows the zero point.",
    question="""
The kernel shall compute no more than `x @ w.T + folded`, with raw int8 activations x, and get what `(x -
z_x) @ w.T + bias` is. Return `folded`, integers [N]: it may depend on weights [N, K], bias [N] and z_x, but
not on x.
""",
    stub="""
def folded_bias(w, bias, z_x):
    return bias - z_x
""",
    answer="""
def folded_bias(w, bias, z_x):
    return bias.astype(np.int64) - z_x * w.sum(axis=1, dtype=np.int64)
""",
    hints=[
        "Of the four terms two are left, as the weights' zero point is 0. One of them has no x in it.",
        "w.sum(axis=1, dtype=np.int64) adds a row of weights without a wrap.",
    ],
    cases=[
        (_SMALL_W, np.array([6, -4], np.int32), 3),
        (_W, np.array([0, 100, -2000, 7], np.int32), -128),
        (_W, np.array([2**30, 0, 0, -(2**30)], np.int32), 0),
    ],
)

LONGEST = Exercise(
    title="How long may a sum be?",
    question="""
An accumulator is a signed integer of `bits` bits. Each of the K products is at most `largest_x * largest_w`
in magnitude, and all may have the same sign. Return the largest K for which no sum can overflow, an int.
""",
    stub="""
def longest_sum(bits, largest_x, largest_w):
    return 2 ** bits // (largest_x * largest_w)
""",
    answer="""
def longest_sum(bits, largest_x, largest_w):
    return (2 ** (bits - 1) - 1) // (largest_x * largest_w)
""",
    hints=[
        "One of the bits is the sign.",
        "The largest int8 is 127, not 128: 2 ** (bits - 1) - 1.",
    ],
    cases=[(16, 255, 127), (32, 255, 127), (32, 255, 128), (32, 32768, 127), (64, 32768, 127), (8, 1, 1)],
    unit="products",
)

WRAP = Exercise(
    title="What C would hold.",
    question="""
A sum that is too large for an accumulator of `bits` bits keeps its lowest bits: 128 in int8 is -128. Return
what is left of the exact integer `total`, an int.
""",
    stub="""
def wrapped(total, bits):
    return total % 2 ** bits
""",
    answer="""
def wrapped(total, bits):
    half = 2 ** (bits - 1)
    return (total + half) % (2 * half) - half
""",
    hints=[
        "The stub keeps the right bits, but reads them as an unsigned number.",
        "Move the range -half ... half - 1 to 0 ... 2 * half - 1, take the remainder, move it back.",
    ],
    cases=[(100, 8), (128, 8), (-129, 8), (40_000, 16), (-306_023, 16), (2**15, 16), (-(2**15) - 1, 16)],
)

EXACT = Exercise(
    title="May a float32 do it?",
    question="""
Decide by the bound Q7 whether a float32 product with *these* weights [N, K] is exact for every order of
addition and every x of at most `largest` in magnitude: largest * sum_k |w[n,k]| <= 2^24 for each row n.
Return True or False.
""",
    stub="""
def float32_is_exact(w, largest):
    return w.shape[1] * largest * int(np.abs(w).max()) <= 2 ** 24
""",
    answer="""
def float32_is_exact(w, largest):
    norms = np.abs(w.astype(np.int64)).sum(axis=1)
    return bool(largest * norms.max() <= 2 ** 24)
""",
    hints=[
        "The stub supposes that all weights are as large as the largest one: in case 7 it says no for that.",
        "In case 6 it says yes: np.abs of the int8 -128 is -128. Widen first.",
        "The rows are outputs; the row with the largest sum decides.",
    ],
    cases=[
        (_W, 128),
        (_NARROW, 128),
        (np.full((1, 1033), 127, np.int8), 128),
        (_ONE_LONG, 128),
        (np.full((1, 1024), -128, np.int8), 128),
        (np.full((1, 1025), -128, np.int8), 128),
        (np.tile(np.array([[127, 1]], np.int8), (2, 1000)), 128),
    ],
    unit="truth values",
)

lesson = Lesson(
    3,
    "Where do the zero points go when integers are multiplied?",
    [TERMS, FOLD, LONGEST, WRAP, EXACT],
)
