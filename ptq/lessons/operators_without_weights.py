"""Exercises of lesson 6: operators without weights, and which of them need what scale (Q16, Q36 - Q38)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ptq.fixed_point import multiply_by_quantized_multiplier_spec, quantize_multiplier_spec
from ptq.lessons.exercise import Exercise, Lesson
from ptq.plot.picture import Picture
from ptq.plot.targets import target_and_yours


def rescale(x: int, real_factor: float) -> int:
    """x * real_factor with integers alone, rounded twice (Q20 - Q22), as a kernel of TensorFlow Lite does."""
    return multiply_by_quantized_multiplier_spec(x, *quantize_multiplier_spec(real_factor))


def round_half_away(y: float) -> int:
    """The nearest integer, ties away from zero."""
    return math.floor(abs(y) + 0.5) * (1 if y >= 0 else -1)


def logistic(x: float) -> float:
    """1 / (1 + e^-x)."""
    return 1 / (1 + math.exp(-x))


AVERAGE = Exercise(
    title="The mean of a window.",
    question="""
AVERAGE_POOL_2D on integers (Q16): the sum of the elements of a window that lie inside the image, divided by
their number, rounded half away from zero. No float is needed. `window` is a list of ints, the result an
int.
""",
    stub="""
def average(window):
    return sum(window) // len(window)
""",
    answer="""
def average(window):
    total, count = sum(window), len(window)
    size = (abs(total) + count // 2) // count
    return size if total >= 0 else -size
""",
    hints=[
        "Python's // rounds down: 7 // 4 is 1, and -7 // 4 is -2. Both are to become +-2.",
        "Divide the magnitude, with half of the divisor added before; put the sign back at the end.",
    ],
    cases=[
        ([1, 2, 2, 2],), ([-1, -2, -2, -2],), ([1, 2, 1, 2],), ([-1, -2, -1, -2],), ([127, 127, 126],),
        ([-128, -128],), ([5],), ([3, -4, 0, -3, -1, 0],), ([0, 1],), ([0, -1],),
    ],
)  # fmt: skip

ADD = Exercise(
    title="Add integers of different scales.",
    question="""
Three steps (Q36), all on ints: take the zero points off; bring both operands to steps of s / 2^20 with s =
2 * max(s_a, s_b); add; take the sum to the output's scale; put its zero point on, and clamp to int8.
`rescale(x, factor)` is the function of this notebook. The factor for a is s_a / s; a goes in shifted, as a
* 2^20.
""",
    stub="""
def add(a, b, s_a, z_a, s_b, z_b, s_y, z_y):
    total = (a - z_a) + (b - z_b)
    return min(max(total + z_y, -128), 127)
""",
    answer="""
def add(a, b, s_a, z_a, s_b, z_b, s_y, z_y):
    s = 2 * max(s_a, s_b)
    total = rescale((a - z_a) << 20, s_a / s) + rescale((b - z_b) << 20, s_b / s)
    return min(max(rescale(total, s / 2**20 / s_y) + z_y, -128), 127)
""",
    hints=[
        "The stub adds integers that mean different reals. It would be right if all three scales were equal.",
        "(a - z_a) << 20, rescaled by s_a / s, is a in steps of s / 2^20. The same for b; then add.",
        "The sum is in steps of s / 2^20. To the output: rescale by s / 2^20 / s_y.",
    ],
    cases=[
        (5, 6, 0.5, 1, 0.25, 2, 0.75, -1), (3, -2, 0.5, 1, 0.25, 0, 0.75, -1),
        (127, 127, 0.1, -128, 0.3, -128, 0.4, -128),
        (-128, 127, 0.02, 5, 0.7, -3, 0.5, 0), (100, -100, 0.125, 0, 0.125, 0, 0.125, 0),
        (60, 90, 0.0173, -20, 0.0091, 30, 0.02, 4), (1, 0, 0.5, 0, 1.0, 0, 1.0, 0),
        (-1, 0, 0.5, 0, 1.0, 0, 1.0, 0),
    ],
    setup={"rescale": rescale},
)  # fmt: skip

TABLE = Exercise(
    title="A function as a table.",
    question="""
int8 has 256 values, so any function of one int8 is a table. Return the list of 256 ints that stand for f of
the input's reals, for the inputs -128, -127, ..., 127 in this order: to a real (Q1), through f, back to an
integer of the output's scale (Q2), clamped to int8. `f` takes and returns a float; `round_half_away` is
there.
""",
    stub="""
def table(f, s_x, z_x, s_y, z_y):
    return [min(max(round_half_away(f(q)), -128), 127) for q in range(-128, 128)]
""",
    answer="""
def table(f, s_x, z_x, s_y, z_y):
    reals = [s_x * (q - z_x) for q in range(-128, 128)]
    return [min(max(round_half_away(f(r) / s_y) + z_y, -128), 127) for r in reals]
""",
    hints=[
        "The stub gives f the integer. f wants the real number that it stands for.",
        "And f returns a real number: divide by s_y, round, and only then add z_y (ties!); clamp last.",
    ],
    cases=[
        (logistic, 1 / 16, 0, 1 / 256, -128), (math.tanh, 1 / 32, 10, 1 / 128, 0),
        (abs, 0.25, -20, 0.5, -128), (logistic, 1.0, -100, 1 / 256, -128),
    ],
    setup={"round_half_away": round_half_away},
)  # fmt: skip

def _zero_points(cases: Sequence[Any], targets: Sequence[Any], found: Sequence[Any]) -> Picture:
    """The zero points alone tell the families apart; beside them the scales would all lie on 0."""
    yours = [pair[1] if isinstance(pair, tuple | list) and len(pair) == 2 else None for pair in found]
    return target_and_yours(cases, [pair[1] for pair in targets], yours)


PARAMETERS = Exercise(
    title="Who decides on the scale?",
    question="""
Return the (scale, zero_point) that the int8 output of an operator must have. `input` is the pair of its
(first) input, `observed` the pair that follows from the observed range of its output. Three families: those
that copy or compare integers hand on their input's; SOFTMAX and LOGISTIC have 1/256 and -128, TANH 1/128
and 0; all others take what was observed. (Of CONCATENATION the *output* decides, and its inputs follow:
here, observed.) The picture shows the zero points; the check looks at both.
""",
    stub="""
def output_parameters(operator, input, observed):
    return observed
""",
    answer="""
def output_parameters(operator, input, observed):
    fixed = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
    if operator in ("RESHAPE", "TRANSPOSE", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D"):
        return input
    return fixed.get(operator, observed)
""",
    hints=[
        "Which of the cases have a kernel without any rescale? These need the input's pair.",
        "RESHAPE, TRANSPOSE, PAD move integers; MAX_POOL_2D compares them and AVERAGE_POOL_2D averages them.",
    ],
    cases=[
        (operator, (0.05, 60), (0.03, -60))
        for operator in (
            "ADD", "MAX_POOL_2D", "SOFTMAX", "RESHAPE", "TANH", "MUL", "AVERAGE_POOL_2D", "LOGISTIC", "MEAN",
            "PAD", "TRANSPOSE", "CONCATENATION", "LEAKY_RELU",
        )
    ],
    draw=_zero_points,
)  # fmt: skip

lesson = Lesson(
    6, "Can an operator without weights just use the integers?", [AVERAGE, ADD, TABLE, PARAMETERS]
)
