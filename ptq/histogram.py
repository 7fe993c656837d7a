"""Counting values so that it does not matter in which order, or in which parts, they are counted (Q40).

A histogram must not depend on which values came first. The bins of this one are 2^k wide and begin at 0, with
k as small as the largest magnitude allows: halves of a bin are bins of the next smaller k, so where it has to
grow, neighbours are added up, exactly as if the wider bins had been there from the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

HALF = 2048
"""Bins on each side of zero: the widest is at most 1/1024 of the largest magnitude."""


@dataclass(eq=False)
class Histogram:
    """How many values fell into each bin; bin i holds i * 2^k <= x < (i + 1) * 2^k, for -HALF <= i < HALF.

    exponent: 2^exponent is the smallest power of two above all magnitudes, so k = exponent - log2(HALF);
    None before a value other than zero was seen. Zeros belong to bin 0 whatever its width.
    """

    exponent: int | None = None
    counts: Array = field(default_factory=lambda: np.zeros(2 * HALF, np.int64))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self.exponent == other.exponent and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]  # it grows

    @staticmethod
    def of(x: Array) -> Histogram:
        """The histogram of an array of finite floats."""
        largest = float(np.max(np.abs(x), initial=0))
        if largest == 0:
            return Histogram(None, _only_zeros(x.size))
        exponent = math.frexp(largest)[1]
        # scaling by a power of two is exact in float64, so no value falls on the wrong side of an edge
        bins = np.floor(np.ldexp(x.astype(np.float64).ravel(), _digits() - exponent)).astype(np.int64)
        return Histogram(exponent, np.bincount(bins + HALF, minlength=2 * HALF))

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of the values of both."""
        exponent = max((e for e in (self.exponent, other.exponent) if e is not None), default=None)
        return Histogram(exponent, self._at(exponent) + other._at(exponent))

    def _at(self, exponent: int | None) -> Array:
        """The counts in the wider bins of a larger exponent."""
        if self.exponent is None or exponent is None or self.exponent == exponent:
            return self.counts
        wider = np.arange(-HALF, HALF) >> min(exponent - self.exponent, 62)
        counts = np.zeros(2 * HALF, np.int64)
        np.add.at(counts, wider + HALF, self.counts)
        return counts

    @property
    def width(self) -> float:
        """The width of a bin, 2^k."""
        return 0.0 if self.exponent is None else math.ldexp(1.0, self.exponent - _digits())

    @property
    def edges(self) -> Array:
        """The lower edges of the bins."""
        return np.arange(-HALF, HALF) * self.width


def _only_zeros(count: int) -> Array:
    counts = np.zeros(2 * HALF, np.int64)
    counts[HALF] = count
    return counts


def _digits() -> int:
    return HALF.bit_length() - 1
