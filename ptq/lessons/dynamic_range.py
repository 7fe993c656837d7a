"""Exercises of lesson 9: what a hybrid kernel does with its activations at run time (Q4, Q6, Q10)."""

from __future__ import annotations

import math

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson

F = np.float32
_ROW = np.array([0.75, -2.0, 0.1, 1.1, 0.0], F)
_HALVES = np.array([127, 0.5, -0.5, 2.5, -3.5, 1.4999999], F)
_SAME = np.full(9, 0.49999997, F)
_RNG = np.random.default_rng(9)
_Q, _W = _RNG.integers(-128, 128, 300).astype(np.int8), _RNG.integers(-127, 128, (4, 300)).astype(np.int8)

SYMMETRIC = Exercise(
    title="The scale of a row.",
    question="""
Quantize one row of activations symmetrically, as the portable source does (Q4). Return the scale, a float32,
and the integers as a list. Rounding is half *away from zero*, and `round()` is not. Every arithmetic step is
one of float32; the row is not all zero.
""",
    stub="""
def symmetric_row(x):
    reach = np.abs(x).max()
    steps = x * (np.float32(127) / reach)
    return reach / np.float32(127), [math.floor(y + 0.5) for y in steps]
""",
    answer="""
def symmetric_row(x):
    reach = np.abs(x).max()
    steps = x * (np.float32(127) / reach)
    q = [int(math.copysign(math.floor(abs(float(y)) + 0.5), y)) for y in steps]
    return reach / np.float32(127), q
""",
    hints=[
        "`steps` are right; so is the rounding, but not for ties below zero.",
        "Half away from zero: the sign of y, times floor(|y| + 0.5), in Python floats: exact.",
        "Keep the product with 127 / reach: x / scale is another float32, and 0.055 of 0.11 becomes 64.",
    ],
    cases=[
        (_ROW,), (_HALVES,), (np.array([1e-20, 3e-20], F),), (np.array([-5.0], F),),
        (np.array([0.11, 0.055, -0.055, 0.02], F),),
    ],
    setup={"math": math},
)  # fmt: skip

ZERO_POINT = Exercise(
    title="Which end is exact?",
    question="""
An asymmetric row has the range low <= 0 <= high and the step (high - low) / 255. Two zero points suggest
themselves: -128 - low / step puts the low end on -128, 127 - high / step puts the high end on 127. They are
the same number but for rounding errors; the kernel takes the one of the *low* end only if
128 + |low / step| < 127 + |high / step|, limits it to -128 ... 127 and rounds it, half away from zero.
Return the zero point as an int. Doubles everywhere.
""",
    stub="""
def zero_point(low, high):
    step = (high - low) / 255
    return round(-128 - low / step)
""",
    answer="""
def zero_point(low, high):
    step = (high - low) / 255
    closer = 128 + abs(low / step) < 127 + abs(high / step)
    ideal = -128 - low / step if closer else 127 - high / step
    ideal = min(max(ideal, -128.0), 127.0)
    return int(math.copysign(math.floor(abs(ideal) + 0.5), ideal))
""",
    hints=[
        "A row that is nowhere negative has the zero point -128, one that is nowhere positive 127.",
        "From -12.95 to 12.55 the low end says 1 and the high end 2, both next to 1.5. The kernel says 2.",
        "min(max(ideal, -128.0), 127.0) limits; math.copysign(math.floor(abs(ideal) + 0.5), ideal) rounds.",
    ],
    cases=[
        (-1.0, 3.0), (0.0, 5.1), (-5.0, 0.0), (-2.5, 2.5), (-0.01, 6.0), (-3.0, 0.7),
        (-0.35, 25.15), (-12.95, 12.55),
    ],
    setup={"math": math},
)  # fmt: skip

ACCUMULATE = Exercise(
    title="A zero point that costs nothing.",
    question="""
acc[o] = sum_k w[o,k] * (q[k] - zero_point). Compute it without ever subtracting the zero point from an
activation: the sums of the weights' rows are known before any data is. q: int8 [K]; w: int8 [N, K];
row_sums: int64 [N]. Return integers [N]; they must not wrap around.
""",
    stub="""
def accumulate(q, w, zero_point, row_sums):
    return w @ q
""",
    answer="""
def accumulate(q, w, zero_point, row_sums):
    return w.astype(np.int64) @ q.astype(np.int64) - zero_point * row_sums
""",
    hints=[
        "NumPy multiplies int8 with int8 in int8, and wraps around silently. Widen first.",
        "sum w (q - z) = sum w q - z * sum w.",
    ],
    cases=[
        (_Q[:4], _W[:, :4], 0, _W[:, :4].sum(axis=1, dtype=np.int64)),
        (_Q[:4], _W[:, :4], -128, _W[:, :4].sum(axis=1, dtype=np.int64)),
        (_Q, _W, 17, _W.sum(axis=1, dtype=np.int64)),
    ],
)

VECTOR_ROUNDING = Exercise(
    title="Round as the vector code does.",
    question="""
`steps`, float32 [K], are activations divided by their scale. The vector code takes eight at a time, adds 0.5
with the sign of the number *in float32*, and cuts. What is left over, K % 8 numbers at the end, it rounds
properly: half away from zero. Return the integers as a list.
""",
    stub="""
def vector_round(steps):
    return [round(float(y)) for y in steps]
""",
    answer="""
def vector_round(steps):
    whole = len(steps) // 8 * 8
    lanes = steps[:whole] + np.copysign(np.float32(0.5), steps[:whole])
    rest = [float(y) + math.copysign(0.5, y) for y in steps[whole:]]
    return [int(y) for y in lanes] + [int(y) for y in rest]
""",
    hints=[
        "int() cuts. `steps[:whole] + np.copysign(np.float32(0.5), steps[:whole])` stays float32.",
        "A float32 widened to a Python float has room for the exact sum with 0.5: rounded properly.",
    ],
    cases=[(_SAME,), (-_SAME,), (_HALVES,), (np.array([0.49999997, 1.5, 2.5, -2.5] * 3, F),)],
    setup={"math": math},
)

ORDER = Exercise(
    title="In which order are the scales multiplied?",
    question="""
The accumulator is exact; the two scales bring it back to a real number, in float32, where order matters
(Q10). With one scale for all weights: acc * (scale_x * scale_w). With one for each channel:
(acc * scale_w) * scale_x. Return a float32, the very bits. acc: int; the scales: float32.
""",
    stub="""
def rescale(acc, scale_x, scale_w, per_channel):
    return np.float32(acc) * (scale_x * scale_w)
""",
    answer="""
def rescale(acc, scale_x, scale_w, per_channel):
    acc = np.float32(acc)
    return acc * scale_w * scale_x if per_channel else acc * (scale_x * scale_w)
""",
    hints=["The stub is right where all weights have one scale.", "Python multiplies from left to right."],
    cases=[
        (acc, F(x), F(w), channel)
        for acc, x, w in ((-5363, 0.95, 0.0029), (-75116, 0.134, 0.0081), (5, 0.1, 0.3), (3213, 0.777, 0.012))
        for channel in (False, True)
    ],
    unit="real units",
)

lesson = Lesson(
    9,
    "Which numbers of a dynamic-range model are integers?",
    [SYMMETRIC, ZERO_POINT, ACCUMULATE, VECTOR_ROUNDING, ORDER],
)
