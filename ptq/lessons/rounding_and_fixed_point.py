"""Exercises of lesson 2: rounding, multiplier and shift, one rounding or two (Q20 - Q22)."""

from __future__ import annotations

import math

from ptq.lessons.exercise import HALF_AWAY, Exercise, Lesson

_HALF = 1 << 30
_ROUND = {"math": math, **HALF_AWAY}

AWAY = Exercise(
    title="Half away from zero.",
    question="""
Round a float to the nearest integer, ties away from zero: C's `round`. Return an int. Python's own round()
sends ties to the even neighbour; and floor(x + 0.5) has a trap of its own, which one of the cases is.
""",
    stub="""
def half_away(x):
    return round(x)
""",
    answer="""
def half_away(x):
    whole = math.floor(abs(x))
    away = whole + (1 if abs(x) - whole >= 0.5 else 0)
    return away if x >= 0 else -away
""",
    hints=[
        "Away from zero is the same on both sides: work with abs(x), and put the sign back.",
        "0.49999999999999994 + 0.5 is 1.0 in floats; abs(x) - math.floor(abs(x)) is exact: compare that.",
    ],
    cases=[(0.5,), (1.5,), (2.5,), (-0.5,), (-2.5,), (2.4,), (-3.6,), (0.49999999999999994,), (7.0,)],
    setup={"math": math},
)

SHIFT = Exercise(
    title="Division by a power of two.",
    question="""
x / 2^n of an integer x, rounded, ties away from zero, with integers alone: no `/`, no float
(RoundingDivideByPOT of TensorFlow Lite). Return an int.
""",
    stub="""
def divide(x, n):
    return x >> n
""",
    answer="""
def divide(x, n):
    half = (1 << n) >> 1
    return (x + half) >> n if x >= 0 else -((-x + half) >> n)
""",
    hints=[
        "A shift rounds down: -1 >> 1 is -1. Add half of the divisor first.",
        "What x + half does is right for x >= 0. For a negative x do it with -x, and put the sign back.",
        "2^0 has no half: (1 << n) >> 1 is 0 then, 1 << (n - 1) an error.",
    ],
    cases=[(5, 1), (-5, 1), (7, 2), (6, 2), (-6, 2), (-7, 2), (1000, 9), (-256, 9), (-255, 9), (13, 0)],
)

MULTIPLIER = Exercise(
    title="Multiplier and shift.",
    question="""
Write a real factor m > 0 as M * 2^(shift - 31) with an integer 2^30 <= M < 2^31 (Q20). Return (M, shift) as
ints. math.frexp(m) gives (f, e) with m = f * 2^e and 0.5 <= f < 1; `round_half_away` is there.
""",
    stub="""
def multiplier_and_shift(m):
    f, shift = math.frexp(m)
    return round_half_away(f * 2**31), shift
""",
    answer="""
def multiplier_and_shift(m):
    f, shift = math.frexp(m)
    multiplier = round_half_away(f * 2**31)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return multiplier, shift
""",
    hints=[
        "The stub is right but for one case. Print its multiplier: does an int32 hold it?",
        "f may be so near to 1 that it rounds up to 2^31. The same real is 2^30 with one shift more.",
    ],
    cases=[(0.3125,), (0.00122,), (0.5,), (1.0,), (3.7,), (1 - 2.0**-40,)],
    setup=_ROUND,
)

DOUBLE = Exercise(
    title="Two roundings.",
    question="""
Rescale an int32 as TensorFlow Lite's default build does (Q22, double): the accumulator is shifted left
first if the shift is positive; then comes the high half of the product, ties up; then the division by
2^right, ties away from zero. Return an int. No sum of the cases overflows.
""",
    stub="""
def rescale(acc, multiplier, shift):
    return (acc * multiplier + (1 << (30 - shift))) >> (31 - shift)
""",
    answer="""
def rescale(acc, multiplier, shift):
    left, right = max(shift, 0), max(-shift, 0)
    high = ((acc << left) * multiplier + (1 << 30)) >> 31
    half = (1 << right) >> 1
    return (high + half) >> right if high >= 0 else -((-high + half) >> right)
""",
    hints=[
        "The stub is the other build: one rounding, ties up.",
        "high = ((acc << left) * multiplier + (1 << 30)) >> 31 is equation Q21.",
        "The second rounding is exercise 2, with x = high and n = right.",
    ],
    cases=[
        (11, 5 * 2**28, -1), (-11, 5 * 2**28, -1), (5, _HALF, 0), (-5, _HALF, 0), (-3, _HALF, -1),
        (1396, 1525404782, -10), (100_000, 1_311_000_000, -9), (409, 1_342_177_280, -9),
        (7, 1_986_422_374, 2),
    ],
)  # fmt: skip

lesson = Lesson(2, "Why do two correct kernels differ by one?", [AWAY, SHIFT, MULTIPLIER, DOUBLE])
