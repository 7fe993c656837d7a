"""Exercises of lesson 12: bytes of a layer (Q44), how times are compared, and when a loss is one."""

from __future__ import annotations

import math
import statistics

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson

_WARM = np.array([[9.0, 4.0], [2.0, 1.6], [2.2, 1.5], [5.1, 1.4]])
_SLOWING = np.array([[30.0, 9.0], [1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])

SIZE = Exercise(
    title="What does a layer gain?",
    question="""
A layer has float weights of a shape, and a bias for each channel; the channels are the shape's number `axis`.
By Q44, how many bytes do its constants and scales take as float, quantized with one scale ("2018"), and with
a scale for each channel ("current")? A float32 takes 4 bytes, an int8 one, a scale with its zero point 12.
The bias stays float, and so do weights of fewer than 1,024 elements. Return three ints.
""",
    stub="""
def layer_bytes(shape, axis):
    elements, channels = math.prod(shape), shape[axis]
    real = 4 * (elements + channels)
    return real, real // 4, real // 4
""",
    answer="""
def layer_bytes(shape, axis):
    elements, channels = math.prod(shape), shape[axis]
    real = 4 * (elements + channels)
    if elements < 1024:
        return real, real, real
    return real, elements + 4 * channels + 12, elements + 4 * channels + 12 * channels
""",
    hints=[
        "Only the weights become four times smaller, and each scale costs 12 bytes.",
        "The bias costs 4 * channels in all three; below 1,024 elements nothing changes.",
    ],
    cases=[
        ((64, 1, 1, 32), 0), ((1, 3, 3, 512), 3), ((128, 1, 1, 64), 0), ((32, 3, 3, 3), 0), ((4, 256), 0),
    ],
    setup={"math": math},
    unit="bytes",
)  # fmt: skip

SPEEDUP = Exercise(
    title="How many times faster?",
    question="""
`times` [rounds, 2] has the seconds of a float file (column 0) and of its quantized file (column 1): in each
round both ran once. The first round is not to count, because memory was allocated in it. Return float time /
quantized time as a Python float, with the *median* of each column, which one interrupted run does not move.
""",
    stub="""
def speedup(times):
    return float(times[:, 0].sum() / times[:, 1].sum())
""",
    answer="""
def speedup(times):
    return statistics.median(times[1:, 0].tolist()) / statistics.median(times[1:, 1].tolist())
""",
    hints=[
        "times[1:, 0] are the float file's seconds without the first round.",
        "statistics.median takes a list of floats: times[1:, 0].tolist().",
    ],
    cases=[(_WARM,), (_SLOWING,), (np.array([[1.0, 1.0], [3.0, 1.0]]),), (_WARM[::-1],)],
    setup={"statistics": statistics},
    unit="times",
)

WAITING = Exercise(
    title="Why 3 for an LSTM and 1.3 for a convolution?",
    question="""
A processor does two things at once, and the slower one decides how long a layer takes: it reads the weights,
at `bandwidth` bytes a second, and it multiplies, at float_rate products a second, or int_rate of integers.
Return how many times faster a layer is with int8 weights (1 byte each) than with float32 (4 bytes).
""",
    stub="""
def gain(weights, products, bandwidth, float_rate, int_rate):
    return int_rate / float_rate
""",
    answer="""
def gain(weights, products, bandwidth, float_rate, int_rate):
    real = max(4 * weights / bandwidth, products / float_rate)
    return real / max(weights / bandwidth, products / int_rate)
""",
    hints=[
        "The stub is right where the weights are read in no time: few weights, used many times.",
        "max(4 * weights / bandwidth, products / float_rate) is the time of the float layer.",
    ],
    cases=[
        (1e6, 1e6, 10e9, 20e9, 40e9), (1e5, 4e8, 10e9, 20e9, 30e9), (1e6, 8e6, 10e9, 20e9, 30e9),
        (1e6, 4e6, 10e9, 20e9, 25e9),
    ],
    unit="times",
)  # fmt: skip

DIFFERENCE = Exercise(
    title="Is it worse, or was it chance?",
    question="""
Two models answered the same examples: one gained `gained` answers that the other had wrong, and lost `lost`
that the other had right. If the difference were chance, each of these gained + lost answers might as well
have gone the other way; then gained - lost has the standard error sqrt(gained + lost). Return True if the
difference is larger than two standard errors.
""",
    stub="""
def differs(gained, lost):
    return gained != lost
""",
    answer="""
def differs(gained, lost):
    return abs(gained - lost) > 2 * math.sqrt(gained + lost)
""",
    hints=[
        "It may go either way: abs(gained - lost).",
        "How many answers both models have right, or both wrong, does not matter.",
    ],
    cases=[(2, 2), (5, 2), (3, 12), (14, 108), (50, 70), (1, 6), (0, 4)],
    setup={"math": math},
    unit="verdicts",
)

lesson = Lesson(
    12,
    "Do the announcement's figures hold on your own machine?",
    [SIZE, SPEEDUP, WAITING, DIFFERENCE],
)
