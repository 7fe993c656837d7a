"""Exercises of lesson 5: windows, their borders, and a scale for each channel (Q3, Q8 - Q12)."""

from __future__ import annotations

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson

_RNG = np.random.default_rng(5)
_WIDTHS = np.array([1, 0.2, 40, 3, 0.7], np.float32)
_CONV = _RNG.standard_normal((5, 3, 3, 2)).astype(np.float32) * _WIDTHS[:, None, None, None]
_DEPTHWISE = _RNG.standard_normal((1, 3, 3, 5)).astype(np.float32) * _WIDTHS
_IMAGE = _RNG.integers(-128, 128, (4, 5, 3)).astype(np.int8)
_FILTER = _RNG.integers(-127, 128, (2, 2, 6)).astype(np.int8)

PADDING = Exercise(
    title="How large, and where are the borders?",
    question="""
SAME padding in one dimension (Q8). Return (out, before, after): the size of the output, and how many
elements stand before and after the image, as ints. An odd element goes *after*.
""",
    stub="""
def same_padding(size, kernel, stride, dilation):
    out = size // stride
    total = kernel - 1
    return out, total // 2, total // 2
""",
    answer="""
def same_padding(size, kernel, stride, dilation):
    out = -(-size // stride)
    extent = (kernel - 1) * dilation + 1
    total = max((out - 1) * stride + extent - size, 0)
    return out, total // 2, total - total // 2
""",
    hints=[
        "-(-a // b) rounds a quotient up.",
        "A filter with dilation 2 reaches over (kernel - 1) * 2 + 1 elements.",
        "What the last position of the window needs, (out - 1) * stride + extent, less what there is.",
        "A window that is smaller than its stride may need less than there is: then nothing is padded.",
    ],
    cases=[
        (5, 3, 1, 1),
        (28, 3, 2, 1),
        (7, 3, 2, 1),
        (14, 2, 1, 1),
        (4, 3, 1, 2),
        (9, 1, 2, 1),
        (5, 2, 3, 1),
        (9, 1, 3, 1),
    ],
    unit="elements",
)

BORDER = Exercise(
    title="A border that means nothing.",
    question="""
A convolution in one dimension, one channel, SAME, stride 1, odd kernel: acc[x] = sum_i w[i] * (q' - z), q'
from the int8 image or its border. Return the list of accumulators, ints. What is the integer in the border?
""",
    stub="""
def convolve(q, w, z):
    side = len(w) // 2
    padded = [0] * side + [int(v) for v in q] + [0] * side
    return [sum(int(w[i]) * (padded[x + i] - z) for i in range(len(w))) for x in range(len(q))]
""",
    answer="""
def convolve(q, w, z):
    side = len(w) // 2
    padded = [z] * side + [int(v) for v in q] + [z] * side
    return [sum(int(w[i]) * (padded[x + i] - z) for i in range(len(w))) for x in range(len(q))]
""",
    hints=[
        "Outside of the image the real number is 0. Which integer stands for it?",
        "With that integer in the border, padded[x + i] - z is 0 there.",
    ],
    cases=[
        (np.array([-1, 3, 7, 1], np.int8), np.array([1, 2, -3], np.int8), 3),
        (np.array([-128, -128, 127, 0], np.int8), np.array([5, -7, 9], np.int8), -128),
        (np.array([4, 5, 6], np.int8), np.array([1, 1, 1, 1, 1], np.int8), 10),
        (np.array([4, 5, 6], np.int8), np.array([2, 3, 4], np.int8), 0),
    ],
)

SCALES = Exercise(
    title="Which axis is the output channel?",
    question="""
Return the scales of the weights, float32(max|w| / 127), one for each *output channel*. CONV_2D has filters
[outputs, height, width, inputs], DEPTHWISE_CONV_2D [1, height, width, outputs].
""",
    stub="""
def channel_scales(operator, w):
    return np.abs(w).max(axis=(1, 2, 3)) / np.float32(127)
""",
    answer="""
def channel_scales(operator, w):
    others = (1, 2, 3) if operator == "CONV_2D" else (0, 1, 2)
    return np.abs(w).max(axis=others) / np.float32(127)
""",
    hints=[
        "max(axis=...) takes the axes that disappear. Which one has to stay?",
        "For a depthwise filter the last axis stays: (0, 1, 2) disappear.",
    ],
    cases=[("CONV_2D", _CONV), ("DEPTHWISE_CONV_2D", _DEPTHWISE), ("CONV_2D", _CONV[:1])],
    unit="real units",
)

DEPTHWISE = Exercise(
    title="One output of a depthwise convolution.",
    question="""
A depthwise filter has `multiplier` outputs for each channel of the image (Q11): output o reads channel c =
o // multiplier alone. VALID padding, stride 1: acc = sum_{i,j} w[i,j,o] * (q[y+i,x+j,c] - z). q: int8 [H,
W, C]; w: int8 [h, w, C * multiplier]. Return an int.
""",
    stub="""
def depthwise_sum(q, w, z, y, x, o, multiplier):
    window = q[y : y + w.shape[0], x : x + w.shape[1], :].astype(np.int64) - z
    return int((window * w[:, :, o : o + 1]).sum())
""",
    answer="""
def depthwise_sum(q, w, z, y, x, o, multiplier):
    c = o // multiplier
    window = q[y : y + w.shape[0], x : x + w.shape[1], c].astype(np.int64) - z
    return int((window * w[:, :, o]).sum())
""",
    hints=[
        "The stub adds over all channels, as CONV_2D does.",
        "Cut out the window of channel o // multiplier; it is [h, w] then, and so is w[:, :, o].",
    ],
    cases=[
        (_IMAGE, _FILTER, -128, 0, 0, 0, 2),
        (_IMAGE, _FILTER, 7, 2, 3, 5, 2),
        (_IMAGE, _FILTER, 0, 1, 1, 3, 2),
    ],
)

LOST = Exercise(
    title="Channels that one scale erases.",
    question="""
`largest` are the largest |weight| of each channel of a layer. With one scale for all of them, max / 127,
how many channels become all zero? A weight is round(w / scale), half away from zero: exactly half a step
survives. Return an int.
""",
    stub="""
def erased_channels(largest):
    step = largest.max() / 127
    return int(np.sum(largest < step))
""",
    answer="""
def erased_channels(largest):
    step = largest.max() / 127
    return int(np.sum(largest / step < 0.5))
""",
    hints=[
        "What is nearer to 1 than to 0 becomes 1.",
        "A channel is lost if even its largest weight is below half a step.",
    ],
    cases=[
        (np.array([127.0, 1, 0.6, 0.5, 0.4, 0]),),
        (np.array([1.0, 1, 1]),),
        (np.array([97.9, 24.6, 1.1, 0.9, 0.38, 0.3, 0.02]),),
    ],
    unit="channels",
)

lesson = Lesson(
    5,
    "Why does every channel of a convolution get its own scale?",
    [PADDING, BORDER, SCALES, DEPTHWISE, LOST],
)
