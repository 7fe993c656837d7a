"""Exercises of lesson 7: from observed values to a range, a scale and a verdict (Q3, Q40, Q41)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptq.lessons.exercise import Exercise, Lesson
from ptq.lessons.numbers_and_scales import PARAMETERS

RANGE = replace(
    PARAMETERS,
    title="From a range to scale and zero point.",
    question="""
What follows from an observed range [low, high] (Q3)? First it is widened until it contains 0. Then scale =
(high - low) / 255, and the zero point is round(-128 - low / scale). Return (scale, zero_point), a float and
an int; `round_half_away` is there.
""",
    hints=[
        "For [2, 4] the stub's zero point is -383. Is there such an int8?",
        "min(low, 0.0) and max(high, 0.0), before anything else.",
    ],
    cases=[(-1.0, 1.0), (0.0, 6.0), (2.0, 4.0), (-7.5, -2.5), (-0.3, 12.0), (-9.0, 0.1)],
)

WIDEN = Exercise(
    title="Bins of twice the width.",
    question="""
A histogram has n bins of width 2^k; bin number i, for i = -n/2 ... n/2 - 1, holds i * 2^k <= x < (i+1) *
2^k (Q40). A larger value comes, and the bins must become twice as wide: again n of them, around 0. Return
their counts as a list. `counts[0]` is bin -n/2. No value may be looked at again: all that is known is the
counts.
""",
    stub="""
def widen(counts):
    return list(counts)
""",
    answer="""
def widen(counts):
    half = len(counts) // 2
    wider = [0] * len(counts)
    for place, count in enumerate(counts):
        wider[(place - half) // 2 + half] += count
    return wider
""",
    hints=[
        "Bins 0 and 1 become the new bin 0; bins 2 and 3 the new bin 1; bins -2 and -1 the new bin -1.",
        "Old bin i is in new bin floor(i / 2), which Python writes i // 2, for negative i, too.",
        "counts[place] is bin place - half.",
    ],
    cases=[
        ([0, 0, 0, 0, 5, 3, 2, 1],), ([1, 2, 3, 4, 0, 0, 0, 0],), ([1, 2, 3, 4, 5, 6, 7, 8],),
        ([0, 9, 0, 0, 1, 0, 0, 4, 0, 0, 2, 0],),
    ],
    unit="counts",
)  # fmt: skip

PERCENTILE = Exercise(
    title="Cut off what is rare.",
    question="""
`counts` are those of bins of the given width around 0, as in exercise 2. Keep the middle `percent` of all
values: at most (100 - percent) / 2 per cent of them may be cut off at each end. Return (low, high), the
lower edge of the first bin that is kept, and the upper edge of the last.
""",
    stub="""
def percentile_range(counts, width, percent):
    half = len(counts) // 2
    filled = [place - half for place, count in enumerate(counts) if count]
    return filled[0] * width, (filled[-1] + 1) * width
""",
    answer="""
def percentile_range(counts, width, percent):
    half = len(counts) // 2
    allowed = sum(counts) * (100 - percent) / 200

    def first(numbers):
        total = 0
        for place, count in enumerate(numbers):
            total += count
            if total > allowed:
                return place

    low, high = first(counts), len(counts) - first(counts[::-1])
    return (low - half) * width, (high - half) * width
""",
    hints=[
        "The stub is min/max: right for 100 per cent. How many values may go at each end?",
        "allowed = sum(counts) * (100 - percent) / 200. Go through the bins, adding up the counts.",
        "The first bin at which the sum exceeds `allowed` is kept. The same from the other end.",
    ],
    cases=[
        ([0, 0, 0, 0, 90, 8, 1, 1], 0.5, 100), ([0, 0, 0, 0, 90, 8, 1, 1], 0.5, 98),
        ([0, 0, 0, 0, 90, 8, 1, 1], 0.5, 95), ([1, 3, 20, 80, 70, 20, 5, 1], 1.0, 95),
        ([1, 3, 20, 80, 70, 20, 5, 1], 0.25, 90), ([0, 1, 0, 40, 40, 0, 0, 1], 2.0, 97),
    ],
    unit="real units",
)  # fmt: skip

_RNG = np.random.default_rng(7)
_REAL = _RNG.integers(-900, 900, 200).astype(np.float64)

SQNR = Exercise(
    title="How much is lost, in decibels.",
    question="""
The signal to quantization noise ratio of a tensor (Q41): 10 * log10 of the sum of the squares of `real`,
over the sum of the squares of the differences. Both are float64 arrays. Return it rounded to one decimal,
`round(..., 1)`.
""",
    stub="""
def sqnr(real, integer_model):
    noise = np.mean(np.abs(real - integer_model))
    return round(float(10 * np.log10(1 / noise)), 1)
""",
    answer="""
def sqnr(real, integer_model):
    noise = np.sum((real - integer_model) ** 2)
    return round(float(10 * np.log10(np.sum(real**2) / noise)), 1)
""",
    hints=[
        "The stub has neither squares nor a signal: an error of 1 is nothing for values of 1000.",
        "np.sum(real**2) / np.sum((real - integer_model) ** 2), then 10 * np.log10 of it.",
    ],
    cases=[
        (_REAL, np.round(_REAL / 4) * 4), (_REAL, np.round(_REAL / 8) * 8),
        (_REAL, np.clip(_REAL, -450, 450)),
        (np.array([3.0, 4.0]), np.array([3.0, 4.5])),
    ],
    unit="dB",
)  # fmt: skip

lesson = Lesson(7, "Where do the ranges of activations come from?", [RANGE, WIDEN, PERCENTILE, SQNR])
