"""Exercises of lesson 13: compare exactly, find a sum that tells two rules apart, read a vector (Q34)."""

from __future__ import annotations

import math

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson

_ROUND = {"math": math, "round_half_away": lambda y: math.floor(abs(y) + 0.5) * (1 if y >= 0 else -1)}


def _bytes(*arrays: np.ndarray) -> bytes:
    """Arrays behind each other, each at a multiple of 8."""
    content = b""
    for array in arrays:
        content += bytes(-len(content) % 8) + array.tobytes()
    return content


_BLOB = _bytes(
    np.array([[-3, 7, 11], [0, -128, 127]], np.int8), np.array([6, -70_000], "<i4"),
    np.array([0.25, -1.5, 3e-5], "<f4"), np.array(-2, np.int8),
)  # fmt: skip

_TYPES = {"INT8": "i1", "INT32": "<i4", "FLOAT32": "<f4"}

DIFFERENCES = Exercise(
    title="How many are wrong, and by how much?",
    question="""
A kernel gave `found`, the vector says `expected`: int8 arrays of one shape. Return (how many elements differ,
the largest absolute difference) as ints. Mind the type.
""",
    stub="""
def differences(found, expected):
    apart = np.abs(found - expected)
    return int(np.sum(apart > 1)), int(apart.max())
""",
    answer="""
def differences(found, expected):
    apart = np.abs(found.astype(int) - expected.astype(int))
    return int(np.sum(apart > 0)), int(apart.max())
""",
    hints=[
        "Print np.int8(127) - np.int8(-128): the difference of two int8 is an int8, and wraps around.",
        "Widen before the subtraction. And a difference of 1 is a difference.",
    ],
    cases=[
        (np.array([127, 3], np.int8), np.array([-128, 3], np.int8)),
        (np.array([[5, -8], [0, 1]], np.int8), np.array([[5, -9], [0, 2]], np.int8)),
        (np.array([-100, 0], np.int8), np.array([100, 0], np.int8)),
        (np.array([1, 2], np.int8), np.array([1, 2], np.int8)),
    ],
    unit="elements, LSB",
)

WITNESS = Exercise(
    title="A sum that tells two rules apart.",
    question="""
The factor is m = numerator / 2^n. Return the smallest accumulator above 0 for which rounding half to even and
rounding half away from zero give different integers, or 0 if there is none: an input that a random test meets
by chance alone. numerator is odd; n is 0 or more.
""",
    stub="""
def witness(numerator, n):
    return 1
""",
    answer="""
def witness(numerator, n):
    for acc in range(1, 2 ** (n + 2)):
        m = numerator / 2**n
        if round(acc * m) != round_half_away(acc * m):
            return acc
    return 0
""",
    hints=[
        "The rules differ at a tie, acc * m = k + 1/2, and only where k is even: 0.5 and 2.5, not 1.5.",
        "Try them: for acc in range(1, 2 ** (n + 2)). Beyond it everything comes again.",
        "m = numerator / 2**n is exact, and so is acc * m: plain floats will do. `round` is half to even.",
    ],
    cases=[(1, 4), (3, 4), (5, 3), (1, 1), (3, 1), (7, 10), (3, 0)],
    setup=_ROUND,
)

RESCALE = Exercise(
    title="Another right answer.",
    question="""
XNNPACK rescales an accumulator in float32: the accumulator becomes a float32, is multiplied by m rounded to
float32, and the product is rounded to the nearest integer, ties to even. Return that integer plus the zero
point, clamped to -128 ... 127, as an int. m is a Python float.
""",
    stub="""
def rescale_as_xnnpack(acc, m, zero_point):
    return min(max(round_half_away(acc * m) + zero_point, -128), 127)
""",
    answer="""
def rescale_as_xnnpack(acc, m, zero_point):
    rescaled = int(np.rint(np.float32(acc) * np.float32(m)))
    return min(max(rescaled + zero_point, -128), 127)
""",
    hints=[
        "The stub is LiteRT's reference. Two things change: the type of the product, and the rule for ties.",
        "np.float32(acc) * np.float32(m) is a float32; np.rint rounds ties to even.",
    ],
    cases=[
        (5, 0.5, 0), (7, 0.5, 0), (-5, 0.5, 1), (-136, 0.0625, 1), (19_262, 0.00122, -30),
        (16_777_217, 2.0**-25, 0), (16_777_219, 2.0**-25, -128),
        (100_000, 0.01, 4),
    ],
    setup=_ROUND,
)  # fmt: skip

ARRAY = Exercise(
    title="An array out of a vector file.",
    question="""
A manifest says of an array {"type": "INT8", "shape": [2, 3], "offset": 16}: its elements begin at byte
`offset` of the data, row-major, little-endian. Return it as a NumPy array. `types` has NumPy's name of each
type: {"INT8": "i1", "INT32": "<i4", "FLOAT32": "<f4"}. An empty shape is one number, not none.
""",
    stub="""
def read_array(blob, entry, types):
    return np.frombuffer(blob, types[entry["type"]], sum(entry["shape"]))
""",
    answer="""
def read_array(blob, entry, types):
    count = int(np.prod(entry["shape"], dtype=int))
    flat = np.frombuffer(blob, types[entry["type"]], count, entry["offset"])
    return flat.reshape(entry["shape"])
""",
    hints=[
        "Three things: how many elements a shape has, where they begin, and the shape itself.",
        "np.prod([]) is 1, as it should be. np.frombuffer(blob, dtype, count, offset) counts it in bytes.",
    ],
    cases=[
        (_BLOB, {"type": kind, "shape": shape, "offset": offset}, _TYPES)
        for kind, shape, offset in (
            ("INT8", [2, 3], 0), ("INT32", [2], 8), ("FLOAT32", [3, 1], 16), ("INT8", [], 32)
        )
    ],
    unit="array values",
)  # fmt: skip

lesson = Lesson(13, "Who says that my kernel is right?", [DIFFERENCES, WITNESS, RESCALE, ARRAY])
