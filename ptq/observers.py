"""What is remembered of a tensor's values while a model runs on samples, and the range that follows.

An observer is a choice with a name, such as `Percentile(99.99)`, and a memory that `observe` fills. Memories
of parts of the data can be merged, and the result is that of all the data at once: it does not matter how the
samples were divided, nor (but for `MovingAverage`, which is about order) in which order they came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError, QuantizationError
from ptq.histogram import HALF, Histogram
from ptq.quantizer import asymmetric_parameters, minimum_maximum

Array = npt.NDArray[Any]
Range = tuple[float, float]
Some = TypeVar("Some", bound="Observer")

LEVELS = 256
"""The integers that an int8 tensor has for its range."""


class Observer:
    """What all observers have in common; each class says what range it chooses."""

    def fresh(self: Some) -> Some:
        """An observer of the same choice that has seen nothing yet."""
        raise NotImplementedError

    def observe(self, x: Array, name: str = "tensor") -> None:
        """Take note of one sample's values; QuantizationError, naming the tensor, for NaN or infinity."""
        raise NotImplementedError

    def merge(self: Some, later: Some) -> Some:
        """The observer that would have seen the samples of this one, and then those of `later`."""
        raise NotImplementedError

    def range(self) -> Range | None:
        """The smallest and the largest value that integers should stand for; None if nothing was seen."""
        raise NotImplementedError

    def extremes(self) -> Range | None:
        """The smallest and the largest value that were seen at all."""
        raise NotImplementedError


@dataclass
class MinMax(Observer):
    """All values that occurred, from the smallest to the largest: what TensorFlow's converter does.

    Source: `tflite/tools/optimize/calibration/calibration_logger.cc`, MinMax::Update.
    """

    seen: Range | None = field(default=None, repr=False)

    def fresh(self) -> MinMax:
        """See `Observer`."""
        return MinMax()

    def observe(self, x: Array, name: str = "tensor") -> None:
        """See `Observer`."""
        if x.size:
            self.seen = _wider(self.seen, _extremes(x, name))

    def merge(self, later: MinMax) -> MinMax:
        """See `Observer`."""
        return MinMax(_wider(self.seen, later.seen))

    def range(self) -> Range | None:
        """See `Observer`."""
        return self.seen

    extremes = range


@dataclass
class MovingAverage(Observer):
    """Averages of each sample's smallest and largest value, in which older samples fade.

    average = momentum * average + (1 - momentum) * new, beginning with the first sample. This depends on the
    order of the samples by definition; all samples' extremes are kept, so that parts merge in that order.
    """

    momentum: float = 0.9
    samples: list[Range] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise InputError(f"MovingAverage: momentum {self.momentum} found, expected 0 <= momentum < 1")

    def fresh(self) -> MovingAverage:
        """See `Observer`."""
        return MovingAverage(self.momentum)

    def observe(self, x: Array, name: str = "tensor") -> None:
        """See `Observer`."""
        if x.size:
            self.samples.append(_extremes(x, name))

    def merge(self, later: MovingAverage) -> MovingAverage:
        """See `Observer`."""
        return MovingAverage(self.momentum, [*self.samples, *later.samples])

    def range(self) -> Range | None:
        """See `Observer`."""
        if not self.samples:
            return None
        low, high = self.samples[0]
        for sample_low, sample_high in self.samples[1:]:
            low = self.momentum * low + (1 - self.momentum) * sample_low
            high = self.momentum * high + (1 - self.momentum) * sample_high
        return low, high

    def extremes(self) -> Range | None:
        """See `Observer`."""
        if not self.samples:
            return None
        lows, highs = zip(*self.samples, strict=True)
        return min(lows), max(highs)


# --- observers that count ---------------------------------------------------------------------------

@dataclass
class CountingObserver(Observer):
    """An observer that keeps a histogram, and cuts off what lies outside of the range that it chooses."""

    seen: Range | None = field(default=None, repr=False, kw_only=True)
    histogram: Histogram = field(default_factory=Histogram, repr=False, kw_only=True)

    def fresh(self: Some) -> Some:
        """See `Observer`."""
        new = copy(self)
        new.__dict__.update(seen=None, histogram=Histogram())
        return new

    def observe(self, x: Array, name: str = "tensor") -> None:
        """See `Observer`."""
        if x.size:
            self.seen = _wider(self.seen, _extremes(x, name))
            self.histogram = self.histogram.merge(Histogram.of(x))

    def merge(self: Some, later: Some) -> Some:
        """See `Observer`."""
        new = copy(self)
        mine, others = self.__dict__, later.__dict__
        new.__dict__.update(
            seen=_wider(mine["seen"], others["seen"]), histogram=mine["histogram"].merge(others["histogram"])
        )
        return new

    def extremes(self) -> Range | None:
        """See `Observer`."""
        return self.seen

    def range(self) -> Range | None:
        """See `Observer`."""
        if self.seen is None or self.histogram.exponent is None:
            return self.seen
        low, high = self.choose(self.seen, self.histogram)
        return max(low, self.seen[0]), min(high, self.seen[1])

    def choose(self, seen: Range, histogram: Histogram) -> Range:
        """The range that this class is about; `range` keeps it within what was seen."""
        raise NotImplementedError


@dataclass
class Percentile(CountingObserver):
    """The middle `percent` of all values: as many are cut off at the lower end as at the upper, at most.

    The ends are edges of bins, that is, right to 1/1024 of the largest magnitude; nothing is cut off where
    more values than that are in the last bin (as zeros are behind a RELU).
    """

    percent: float = 99.99

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100:
            raise InputError(f"Percentile: {self.percent} found, expected 0 < percent <= 100")

    def choose(self, seen: Range, histogram: Histogram) -> Range:
        """See `CountingObserver`."""
        total = int(histogram.counts.sum())
        allowed = total * (100 - self.percent) / 200
        below = np.cumsum(histogram.counts)
        first = int(np.argmax(below > allowed))
        above = np.cumsum(histogram.counts[::-1])
        last = 2 * HALF - 1 - int(np.argmax(above > allowed))
        return (first - HALF) * histogram.width, (last + 1 - HALF) * histogram.width


@dataclass
class MeanSquaredError(CountingObserver):
    """The range with the least sum of squared errors: of rounding within it, of clipping outside of it.

    Magnitudes in 128 equal steps are tried, each as the bound of both ends, but no range of fewer bins than
    integers, which a histogram cannot judge; a value counts as the middle of its bin.
    """

    def choose(self, seen: Range, histogram: Histogram) -> Range:
        """See `CountingObserver`."""
        return min(_candidates(seen, histogram), key=lambda candidate: _squared_error(candidate, histogram))


@dataclass
class Entropy(CountingObserver):
    """The range that loses the least information: the smallest divergence of Kullback and Leibler.

    P are the bins' shares, with what is cut off added to the outermost filled bins; Q is what 256 levels can
    tell: each level's share, spread evenly over those of its bins that are filled. The divergence is
    sum P * log(P / Q), over the ranges that `MeanSquaredError` tries.
    """

    def choose(self, seen: Range, histogram: Histogram) -> Range:
        """See `CountingObserver`."""
        return min(_candidates(seen, histogram), key=lambda candidate: _divergence(candidate, histogram))


# --- by name ----------------------------------------------------------------------------------------

WITH_PARAMETER: dict[str, Callable[[float], Observer]] = {
    "moving-average": MovingAverage, "percentile": Percentile
}  # fmt: skip
NAMED: dict[str, Callable[[], Observer]] = {
    "min-max": MinMax, "moving-average": MovingAverage, "percentile": Percentile,
    "squared-error": MeanSquaredError, "entropy": Entropy,
}  # fmt: skip
"""The choices of the command line."""


def observer_of(name: str) -> Observer:
    """The observer with a name of NAMED, and its parameter after a colon; InputError for any other."""
    kind, colon, number = name.partition(":")
    try:
        return WITH_PARAMETER[kind](float(number)) if colon else NAMED[kind]()
    except (KeyError, ValueError):
        raise InputError(
            f"observer '{name}' found, expected one of {', '.join(NAMED)}; a percentile may be followed by "
            "percents, as in 'percentile:99.9', and a moving average by its momentum"
        ) from None


def _candidates(seen: Range, histogram: Histogram) -> Iterator[Range]:
    """The whole range first, then what is left of it by smaller and smaller bounds."""
    yield seen
    step = histogram.width * HALF / 128
    for k in range(127, 0, -1):
        candidate = max(seen[0], -k * step), min(seen[1], k * step)
        if candidate != seen and candidate[1] - candidate[0] >= LEVELS * histogram.width:
            yield candidate


def _levels(candidate: Range, x: Array) -> tuple[Array, Array]:
    """Which level stands for each x, and the real number that it means."""
    parameters = asymmetric_parameters(*candidate)
    scale, zero_point = float(parameters.scale[0]), int(parameters.zero_point[0])
    level = np.clip(np.rint(x / scale) + zero_point, -LEVELS // 2, LEVELS // 2 - 1)
    return (level + LEVELS // 2).astype(np.int64), (level - zero_point) * scale


def _squared_error(candidate: Range, histogram: Histogram) -> float:
    used = np.flatnonzero(histogram.counts)
    middle = histogram.edges[used] + histogram.width / 2
    _, meant = _levels(candidate, middle)
    return float(np.sum(histogram.counts[used] * (middle - meant) ** 2))


def _divergence(candidate: Range, histogram: Histogram) -> float:
    middle = histogram.edges + histogram.width / 2
    inside = (middle >= candidate[0] - histogram.width) & (middle <= candidate[1] + histogram.width)
    bins = np.flatnonzero(inside & (histogram.counts > 0))
    if bins.size == 0:
        return math.inf
    level, _ = _levels(candidate, middle[bins])
    p = histogram.counts[bins].astype(np.float64)
    share = np.bincount(level, p, LEVELS) / np.maximum(np.bincount(level, minlength=LEVELS), 1)
    q = share[level]
    p[0] += histogram.counts[: bins[0]].sum()
    p[-1] += histogram.counts[bins[-1] + 1 :].sum()
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p * np.log(p / q)))


def _extremes(x: Array, name: str) -> Range:
    if x.dtype.kind != "f":
        raise QuantizationError(f"tensor '{name}': {x.dtype} found, expected floats to observe")
    low, high = minimum_maximum(x, name=name)
    return float(low[0]), float(high[0])


def _wider(a: Range | None, b: Range | None) -> Range | None:
    if a is None or b is None:
        return a or b
    return min(a[0], b[0]), max(a[1], b[1])
