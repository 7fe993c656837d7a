"""Exercises of lesson 4: one dense layer on integers, from its scales to its clamp (Q3, Q34, Q35)."""

from __future__ import annotations

import numpy as np

from ptq.lessons.exercise import HALF_AWAY, Exercise, Lesson

F = np.float32
_RNG = np.random.default_rng(4)
_Q, _W = _RNG.integers(-128, 128, 60).astype(np.int8), _RNG.integers(-127, 128, 60).astype(np.int8)
_PAPER_Q, _PAPER_W = np.array([0, -3, 2], np.int8), np.array([1, 2, -3], np.int8)

MULTIPLIER = Exercise(
    title="The factor between two scales.",
    question="""
m = scale_x * scale_w / scale_y (Q34), as TensorFlow Lite computes it: the scales come from the file, as
float32, but the arithmetic is that of doubles. Return a Python float, the very bits.
""",
    stub="""
def real_multiplier(scale_x, scale_w, scale_y):
    return float(scale_x * scale_w / scale_y)
""",
    answer="""
def real_multiplier(scale_x, scale_w, scale_y):
    return float(scale_x) * float(scale_w) / float(scale_y)
""",
    hints=[
        "A float32 times a float32 is a float32: the stub rounds the product to 24 bits.",
        "float(scale_x) is the same number as a double. Widen each of the three before anything else.",
    ],
    cases=[(F(0.5), F(0.25), F(2)), (F(0.1), F(0.3), F(0.7)), (F(0.0173), F(0.0053), F(0.09))],
    unit="real units",
)

BIAS = Exercise(
    title="The bias as an integer.",
    question="""
The bias is added to the accumulator, so it must have the accumulator's scale (Q35): scale_b = scale_x *
scale_w, a float32. Its integer is round(bias * (1 / scale_b)), half away from zero, every step in float32.
Its zero point is 0. Return the integer as an int; `round_half_away` is there.
""",
    stub="""
def bias_integer(bias, scale_x, scale_w):
    scale_b = np.abs(bias) / np.float32(127)
    return int(round_half_away(float(bias * (np.float32(1) / scale_b))))
""",
    answer="""
def bias_integer(bias, scale_x, scale_w):
    scale_b = scale_x * scale_w
    return int(round_half_away(float(bias * (np.float32(1) / scale_b))))
""",
    hints=[
        "The stub gives the bias a scale of its own, like an int8 weight: it could not be added then.",
        "One LSB of the accumulator is scale_x * scale_w. The rest of the stub is right.",
        "The last two cases: 2.5 is a tie; and bias / scale_b is not bias * (1 / scale_b), rounded twice.",
    ],
    cases=[
        (F(0.25), F(0.5), F(0.5)), (F(-1.7), F(0.0173), F(0.0053)), (F(0.3), F(0.02), F(0.0001)),
        (F(-0.1), F(0.1), F(0.1)), (F(12.5), F(0.004), F(0.03)), (F(0.625), F(0.5), F(0.5)),
        (F(-8.3), F(0.035), F(0.0043)),
    ],
    setup=HALF_AWAY,
)  # fmt: skip

BOUNDS = Exercise(
    title="Where a ReLU clamps.",
    question="""
A fused activation is a clamp of the output's integers. Return (lowest, highest) as ints for an int8 output
with this scale and zero point, and the activation "NONE", "RELU" (reals from 0) or "RELU6" (reals from 0 to
6). Both have to be int8. `round_half_away` is there.
""",
    stub="""
def clamp_bounds(activation, scale, zero_point):
    lowest = -128 if activation == "NONE" else 0
    return lowest, 127
""",
    answer="""
def clamp_bounds(activation, scale, zero_point):
    lowest = -128 if activation == "NONE" else max(-128, zero_point)
    highest = 127
    if activation == "RELU6":
        highest = min(127, zero_point + round_half_away(6 / scale))
    return lowest, highest
""",
    hints=[
        "Which integer stands for the real number 0? Not 0.",
        "The real 6 is the integer zero_point + 6 / scale, rounded; int8 may end before it.",
    ],
    cases=[
        ("NONE", 0.5, -30), ("RELU", 0.5, -30), ("RELU", 0.08, -128), ("RELU", 0.5, 127),
        ("RELU6", 0.5, -30), ("RELU6", 0.0235, -128), ("RELU6", 0.04, -128), ("RELU6", 0.001, -10),
    ],
    setup=HALF_AWAY,
)  # fmt: skip

DENSE = Exercise(
    title="One output of an integer layer.",
    question="""
Everything together (Q34): the products of weights and centred activations, the bias, the factor m, the
rounding, the zero point of the output, the clamp: in this order. q, w: int8 [K]; bias: int; m: a float; the
result is an int. `round_half_away(acc * m)` is what LiteRT's reference does.
""",
    stub="""
def dense_output(q, w, bias, z_x, m, z_y, lowest, highest):
    acc = int(q.astype(np.int64) @ w.astype(np.int64))
    return min(max(round_half_away(acc * m) + bias + z_y, lowest), highest)
""",
    answer="""
def dense_output(q, w, bias, z_x, m, z_y, lowest, highest):
    acc = int((q.astype(np.int64) - z_x) @ w.astype(np.int64)) + bias
    return min(max(round_half_away(acc * m) + z_y, lowest), highest)
""",
    hints=[
        "Two things are wrong: a zero point is missing, and one number is added in the wrong place.",
        "The bias has the scale of the accumulator: add it before m.",
    ],
    cases=[
        (_PAPER_Q, _PAPER_W, 1, -2, 0.25, 2, -128, 127),
        (_Q, _W, -700, -128, 0.0011, -30, -128, 127),
        (_Q, _W, 5000, -3, 0.0011, 4, -128, 127),
        (_Q[:9], _W[:9], 900, 20, 0.0007, 12, -128, 127),
        (_Q[:3], _W[:3], -1500, 5, 0.5, -128, -128, 127),
    ],
    setup=HALF_AWAY,
)

lesson = Lesson(
    4,
    "What does one dense layer compute in each of three arithmetics?",
    [MULTIPLIER, BIAS, BOUNDS, DENSE],
)
