"""Exercises of lesson 0: what becomes of a file, of its weights, of its answers and of its time (Q1, Q3)."""

from __future__ import annotations

import math

import numpy as np

from ptq.lessons.exercise import HALF_AWAY, Exercise, Lesson

_RNG = np.random.default_rng(0)
_CLASSES = [_RNG.integers(0, 10, 40) for _ in range(3)]

SIZE = Exercise(
    title="How large will it be?",
    question="""
Predict the bytes that the constants of a file take after the one line. A float32 takes 4 bytes. Weights of
at least 1024 elements become int8, one byte each, and then each output channel (the first number of the
shape) has a scale, a float32, and a zero point, an int64. Smaller weights and all biases stay as they are.
`tensors`: a list of (kind, shape), kind "weights" or "bias". Return an int.
""",
    stub="""
def constant_bytes(tensors):
    return sum(math.prod(shape) for kind, shape in tensors)
""",
    answer="""
def constant_bytes(tensors):
    total = 0
    for kind, shape in tensors:
        elements = math.prod(shape)
        if kind == "weights" and elements >= 1024:
            total += elements + shape[0] * (4 + 8)
        else:
            total += 4 * elements
    return total
""",
    hints=[
        "The stub makes everything one byte. The small ones and the biases are four bytes an element.",
        "A channel of quantized weights costs 12 bytes more: a float32 and an int64.",
    ],
    cases=[
        ([("weights", (64, 1568))],),
        ([("weights", (64, 1568)), ("bias", (64,))],),
        ([("weights", (10, 64)), ("bias", (10,))],),
        ([("weights", (32, 32))],),
        ([("bias", (2000,))],),
    ],
    setup={"math": math},
    unit="bytes",
)

WEIGHTS = Exercise(
    title="A row of weights.",
    question="""
Quantize the weights of one channel as the one line does: the step is max|w| / 127, and each weight becomes
the nearest whole number of steps, of two equally near ones the one farther from 0. Return (scale,
integers): the scale as a np.float32, the integers as a list of ints. w: a list of floats that are not all
0; `round_half_away` is there.
""",
    stub="""
def to_integers(w):
    scale = (max(w) - min(w)) / 255
    return np.float32(scale), [int(x / scale) for x in w]
""",
    answer="""
def to_integers(w):
    scale = max(abs(x) for x in w) / 127
    return np.float32(scale), [round_half_away(x / scale) for x in w]
""",
    hints=[
        "The stub has the scale of another scheme, and int() cuts off what it should round.",
        "max(abs(x) for x in w) / 127 makes the largest weight exactly 127 or -127.",
        "Python's round() sends 2.5 to the even neighbour, 2; `round_half_away` sends it to 3.",
    ],
    cases=[
        ([0.9, -0.3, 0.1, -0.6],),
        ([-2.0, 1.0, 0.5],),
        ([0.125, 0.0, 0.25],),
        ([127.0, 0.5, -2.5],),
        ([float(x) for x in _RNG.standard_normal(9).astype(np.float32)],),
    ],
    setup=HALF_AWAY,
    unit="scale, LSB",
)

CHANGES = Exercise(
    title="Gained and lost.",
    question="""
Two models with the same accuracy need not give the same answers. Of the classes that a float model and a
quantized one chose, and the right ones (three arrays of integers), return (gained, lost, changed) as ints:
how many examples only the quantized model has right, how many only the float model, and on how many they
disagree at all.
""",
    stub="""
def changes(float_classes, int8_classes, labels):
    gained = int((int8_classes == labels).sum() - (float_classes == labels).sum())
    return gained, 0, abs(gained)
""",
    answer="""
def changes(float_classes, int8_classes, labels):
    before, after = float_classes == labels, int8_classes == labels
    changed = float_classes != int8_classes
    return int((after & ~before).sum()), int((before & ~after).sum()), int(changed.sum())
""",
    hints=[
        "The stub only sees the difference of the two counts: one gained and one lost give 0.",
        "before = float_classes == labels is an array of truths; after & ~before are the gained ones.",
        "Both may be wrong, each in its own way: that is changed, neither gained nor lost.",
    ],
    cases=[
        (np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]), np.array([1, 2, 3, 5])),
        (np.array([1, 2, 3, 4]), np.array([2, 2, 3, 5]), np.array([1, 2, 3, 5])),
        (np.array([0, 7]), np.array([0, 8]), np.array([0, 9])),
        tuple(_CLASSES),
    ],
    unit="examples",
)

SPEED = Exercise(
    title="How much faster in all?",
    question="""
The operators of a model take `shares` of its time (they add up to 1), and after quantization operator i
runs `factors[i]` times as fast: 4 for a dense layer, perhaps, and 1 for one that stays float. Return how
many times as fast the whole model is.
""",
    stub="""
def total_speedup(shares, factors):
    return sum(s * f for s, f in zip(shares, factors, strict=True))
""",
    answer="""
def total_speedup(shares, factors):
    return 1 / sum(s / f for s, f in zip(shares, factors, strict=True))
""",
    hints=[
        "The stub averages speeds. What adds up is time.",
        "Operator i took shares[i]; afterwards it takes shares[i] / factors[i].",
    ],
    cases=[
        ([1.0], [4.0]), ([0.5, 0.5], [4.0, 1.0]), ([0.75, 0.25], [2.0, 1.0]),
        ([0.5, 0.25, 0.25], [4.0, 1.0, 0.5]),
    ],
    unit="times",
)  # fmt: skip

lesson = Lesson(
    0,
    "What happens to a trained network when one line makes it four times smaller?",
    [SIZE, WEIGHTS, CHANGES, SPEED],
)
