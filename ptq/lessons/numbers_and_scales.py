"""Exercises of lesson 1: integers to reals and back, and the choice of scale and zero point (Q1 - Q3)."""

from __future__ import annotations

import numpy as np

from ptq.lessons.exercise import HALF_AWAY, Exercise, Lesson

F = np.float32
_Q = np.array([-128, -100, -14, 0, 1, 99, 127], np.int8)

REALS = Exercise(
    title="Back to reals.",
    question="""
r = scale * (q - zero_point), equation Q1, for an array q of int8. scale: np.float32; zero_point: an int.
Return an array of float32.
""",
    stub="""
def to_reals(q, scale, zero_point):
    return scale * (q - np.int8(zero_point)).astype(np.float32)
""",
    answer="""
def to_reals(q, scale, zero_point):
    return scale * (q.astype(np.int32) - zero_point).astype(np.float32)
""",
    hints=[
        "The formula of the stub is right. Which of its numbers is 127 - (-14), and does it fit into int8?",
        "int8 arithmetic wraps around without a word: 141 becomes -115. Widen q before you subtract.",
    ],
    cases=[(_Q, F(0.02), -14), (_Q, F(0.5), 0), (_Q, F(0.0235), -128), (_Q, F(0.1), 127)],
    unit="real units",
)

INTEGERS = Exercise(
    title="And to integers.",
    question="""
clip(round(r / scale) + zero_point, -128, 127), equation Q2, for one real number: divide, round (half away
from zero: `round_half_away` is there), add the zero point, clip. Return an int.
""",
    stub="""
def to_integer(real, scale, zero_point):
    steps = min(max(round_half_away(real / scale), -128), 127)
    return steps + zero_point
""",
    answer="""
def to_integer(real, scale, zero_point):
    return min(max(round_half_away(real / scale) + zero_point, -128), 127)
""",
    hints=[
        "The stub clips the number of steps. What has to fit into int8?",
        "With zero point -128 a real of 200 steps is the integer 72: nothing has to be clipped.",
    ],
    cases=[
        (1.0, 0.02, -14), (0.0, 0.02, -14), (3.0, 0.02, -14), (-3.0, 0.02, -14), (5.0, 0.025, -128),
        (-1.0, 0.025, -128), (0.25, 0.5, 3), (-0.25, 0.5, 3), (-40.0, 0.25, 127),
    ],
    setup=HALF_AWAY,
)  # fmt: skip

PARAMETERS = Exercise(
    title="Scale and zero point of a range.",
    question="""
Activations lie between `low` and `high`. Return (scale, zero_point) for int8 (Q3), a Python float and an
int: widen the range so that 0 is in it; the scale spreads the 255 steps over it; the zero point is where
low comes to lie at -128, rounded. `round_half_away` is there. The range is never [0, 0].
""",
    stub="""
def parameters(low, high):
    scale = (high - low) / 255
    return scale, round_half_away(-128 - low / scale)
""",
    answer="""
def parameters(low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    return scale, round_half_away(-128 - low / scale)
""",
    hints=[
        "One of the rules is not yet there; four cases do not need it.",
        "A range of 2 to 6 has to become 0 to 6, and one of -6 to -2 must become -6 to 0.",
    ],
    cases=[(-2.28, 2.82), (0.0, 6.0), (-1.0, 1.0), (-6.0, 0.0), (2.0, 6.0), (-6.0, -2.0), (3.0, 9.0)],
    setup=HALF_AWAY,
    unit="scale, LSB",
)

UNSIGNED = Exercise(
    title="The same tensor as uint8.",
    question="""
A file has int8 integers q and their zero point; your hardware wants uint8. Return (q as uint8, zero point)
that stand for the same real numbers with the same scale.
""",
    stub="""
def to_uint8(q, zero_point):
    return q.astype(np.uint8), zero_point
""",
    answer="""
def to_uint8(q, zero_point):
    return (q.astype(np.int32) + 128).astype(np.uint8), zero_point + 128
""",
    hints=[
        "Only q - zero_point matters: whatever is added to the one has to be added to the other.",
        "-128 has to become 0. Widen before you add: int8 holds nothing above 127.",
    ],
    cases=[(_Q, 0), (_Q, -14), (_Q, -128), (_Q, 127)],
)

lesson = Lesson(1, "Why is zero sometimes -14?", [REALS, INTEGERS, PARAMETERS, UNSIGNED])
