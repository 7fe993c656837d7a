"""How far two values of a tensor are apart: in reals, and in steps (LSB) of the integers that hold them.

    r_a, r_b    the reals that the values stand for, scale * (q - zero_point) where they are integers
    d = (r_b - r_a) / step

step is the scale of b's tensor if b has integers, or floats that DEQUANTIZE writes; else of a's. Where both
are floats it is max|r_a| / 127, the step of an int8 that just holds a's range, so that all layers have one
unit. Integers that have no scale count as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptq.comparison.trace import reals_of, same_bits, same_scales
from ptq.comparison.twin import is_quantized
from ptq.errors import PtqError
from ptq.graph import Array, Graph, Operator, Tensor
from ptq.quantizer import calculate_activation_range, calculate_activation_range_quantized, sqnr

Mask = npt.NDArray[np.bool_]

BINS = 41
"""The most bars of a histogram."""

CLAMPING = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1"}
"""Operators that are nothing but the activation that others have fused."""


@dataclass(frozen=True)
class Counts:
    """A histogram of d: `counts[i]` values with |d - (lowest + i * width)| <= width / 2.

    width: a whole number of steps where differences are whole numbers.
    """

    lowest: float
    width: float
    counts: tuple[int, ...]

    @staticmethod
    def of(d: Array, whole: bool) -> Counts:
        """At most BINS bins, of which one is centred at 0."""
        finite = d[np.isfinite(d)]
        largest = float(np.abs(finite).max(initial=0.0))
        half = BINS // 2
        if whole:
            width = max(1.0, math.ceil(2 * largest / (BINS - 1)))
            half = min(half, math.ceil(largest / width))
        else:
            width = largest / half if largest else 1.0
        bins = np.clip(np.rint(finite / width), -half, half).astype(np.int64) + half
        counts = np.bincount(bins.ravel(), minlength=2 * half + 1)
        return Counts(-half * width, width, tuple(int(c) for c in counts))


@dataclass(frozen=True)
class Side:
    """One value of a tensor and what bounds it.

    low, high: where the fused activation or the type ends, in reals; infinite where nothing does. step: the
    scale, of several the largest; of floats that DEQUANTIZE writes, that of the integers; else None.
    """

    value: Array
    tensor: Tensor
    reals: Array
    low: float
    high: float
    step: float | None = None

    @staticmethod
    def of(value: Array, graph: Graph, operator: Operator, tensor: int) -> Side:
        """The value that `operator` of `graph` wrote to a tensor."""
        described = graph.tensors[tensor]
        written = graph.tensors[operator.inputs[0]] if operator.type == "DEQUANTIZE" else described
        step = None
        if is_quantized(written) and written.quantized is not None:
            step = max(float(written.quantized.scale.max()), math.ulp(0.0))
        return Side(value, described, wide_reals(value, described), *_bounds(operator, described), step)

    @property
    def at_low(self) -> Mask:
        """Where the value is at the low end, or beyond."""
        return np.asarray(self.reals <= self.low)

    @property
    def at_high(self) -> Mask:
        """Where the value is at the high end, or beyond."""
        return np.asarray(self.reals >= self.high)


def wide_reals(value: Array, tensor: Tensor) -> Array:
    """The reals that a value stands for in float64, in which the product with the scale is exact."""
    scales = tensor.quantized
    if scales is None or value.dtype.kind not in "iu" or scales.per_channel:
        return reals_of(value, tensor).astype(np.float64)
    return (value.astype(np.float64) - float(scales.zero_point[0])) * float(scales.scale[0])


def _bounds(operator: Operator, tensor: Tensor) -> tuple[float, float]:
    activation = operator.options.get("fused_activation_function", CLAMPING.get(operator.type, "NONE"))
    scales = tensor.quantized
    try:
        if is_quantized(tensor) and tensor.dtype is not None and tensor.dtype.itemsize <= 2:
            assert scales is not None, "a quantized tensor has scales"
            if scales.per_channel:
                return -math.inf, math.inf
            ends = calculate_activation_range_quantized(activation, scales, tensor.dtype)
            low, high = ((q - int(scales.zero_point[0])) * float(scales.scale[0]) for q in ends)
            return low, high
        low, high = (float(bound) for bound in calculate_activation_range(activation))
        largest = float(np.finfo(np.float32).max)
        return (low if low > -largest else -math.inf), (high if high < largest else math.inf)
    except PtqError:  # TANH and the like, which approach their bounds; a scale without a bound
        return -math.inf, math.inf


@dataclass(frozen=True)
class Apart:
    """Two values of one shape, element by element.

    a, b: the sides. d: (r_b - r_a) / step, float64. step: in reals, > 0. whole: d counts integers.
    tolerance: the steps that rounding alone explains: 1 where both have the same integers (d is then a
    whole number); 1.5 where b's integers are compared with other numbers: half a step to the nearest integer,
    and one of the kernel's; 0 where both are floats.
    """

    a: Side
    b: Side
    d: Array
    step: float
    unit: str
    whole: bool
    tolerance: float

    @property
    def beyond(self) -> Mask:
        """Where the difference exceeds the tolerance, or is not a number."""
        return np.asarray(~(np.abs(self.d) <= self.tolerance))

    @property
    def ends(self) -> dict[str, Mask]:
        """Where each end of each side clips: the value is there, and the other one lies beyond."""
        return {
            "a's lowest": np.asarray(self.a.at_low & (self.d < 0)),
            "a's highest": np.asarray(self.a.at_high & (self.d > 0)),
            "b's lowest": np.asarray(self.b.at_low & (self.d > 0)),
            "b's highest": np.asarray(self.b.at_high & (self.d < 0)),
        }

    @property
    def saturated(self) -> Mask:
        """Where one of the two is at an end, and the other one's number lies beyond that end."""
        return np.asarray(np.any(list(self.ends.values()), axis=0))

    @property
    def clamped(self) -> Mask:
        """Where one of the two is at an end, so that it says nothing about factors and offsets."""
        return np.asarray(self.a.at_low | self.a.at_high | self.b.at_low | self.b.at_high)


def take_apart(a: Side, b: Side) -> Apart | None:
    """The difference of two values; None where shapes differ, or where the values are no real numbers."""
    if a.value.shape != b.value.shape or not {a.value.dtype.kind, b.value.dtype.kind} <= set("fiub"):
        return None
    step, unit = _step(a, b)
    with np.errstate(all="ignore"):  # infinities are compared too
        quantized = is_quantized(a.tensor), is_quantized(b.tensor)
        if a.tensor.type == b.tensor.type and all(quantized) and _same_scales(a, b):
            d = b.value.astype(np.float64) - a.value.astype(np.float64)
            return Apart(a, b, d, step, unit, True, 1.0)
        d = np.where(a.reals == b.reals, 0.0, (b.reals - a.reals) / step)
    whole = a.value.dtype.kind in "iub" and b.value.dtype.kind in "iub" and not any(quantized)
    return Apart(a, b, d, step, unit, whole, _nearest(a, b) if any(quantized) else 0.0)


def _same_scales(a: Side, b: Side) -> bool:
    return same_scales(a.tensor.quantized, b.tensor.quantized)


def _step(a: Side, b: Side) -> tuple[float, str]:
    """The real size of a step and whose it is."""
    for side, label in ((b, "b"), (a, "a")):
        if side.step is not None:
            return side.step, label
    if a.value.dtype.kind in "iub" and b.value.dtype.kind in "iub":
        return 1.0, "integer"
    finite = a.reals[np.isfinite(a.reals)]
    return max(float(np.abs(finite).max(initial=0.0)) / 127, float(np.finfo(np.float32).tiny)), "range"


def _nearest(a: Side, b: Side) -> float:
    """1.5 steps, and what the kernels' float32 quotients may add: 2^-22 of the levels of the type."""
    kind = next(s.tensor.dtype for s in (b, a) if is_quantized(s.tensor))
    levels = 2.0 ** (8 * kind.itemsize) if kind is not None else 0.0
    return 1.5 + levels * 2.0**-22


@dataclass(frozen=True)
class Verdict:
    """A class of differences and what explains it.

    kind: "identical", "rounding", "saturation", "scale", "inherited" or "other", as
    `ptq.comparison.classify` defines them. rule: the explanation in words, the same for all layers that have
    it; detail: the numbers of this one. fields: of `Numerics`, those that make the difference.
    """

    kind: str
    rule: str = ""
    fields: tuple[str, ...] = ()
    detail: str = ""

    @property
    def brief(self) -> str:
        """The class, with the names of the deciding fields or the rule, and the detail."""
        cause = " or ".join(self.fields) if self.fields else self.rule
        return "; ".join(
            words for words in (": ".join(w for w in (self.kind, cause) if w), self.detail) if words
        )

    @property
    def why(self) -> str:
        """Rule and detail in one line."""
        return f"{self.rule} ({self.detail})" if self.rule and self.detail else self.rule or self.detail


@dataclass(frozen=True)
class Difference:
    """What is known of two values of a tensor. NaN where they cannot be compared, or hold NaN.

    identical: shape and type agree and the reals are the same bits. max_error: max |r_b - r_a|.
    sqnr: 10 log10(sum r_a^2 / sum (r_b - r_a)^2) in dB, infinite where the values are equal.
    step: one LSB in reals; unit: whose scale it is, "a" or "b", "range" or "integer".
    max_steps, rms_steps: of d. differing: how many of `count` elements are not equal. counts: of d.
    """

    identical: bool
    max_error: float
    sqnr: float
    verdict: Verdict
    step: float = math.nan
    unit: str = ""
    max_steps: float = math.nan
    rms_steps: float = math.nan
    differing: int = 0
    count: int = 0
    counts: Counts | None = None


def measure(a: Side, b: Side, classify: Callable[[Apart], Verdict]) -> Difference:
    """Compare two values; `classify` is asked where they are comparable and not identical."""
    x, y = reals_of(a.value, a.tensor), reals_of(b.value, b.tensor)
    if same_bits(x, y):
        apart = take_apart(a, b)
        step, unit = (apart.step, apart.unit) if apart else (math.nan, "")
        return Difference(True, 0.0, math.inf, Verdict("identical"), step, unit, 0.0, 0.0, 0, x.size)
    apart = take_apart(a, b)
    if apart is None:
        return Difference(False, math.nan, math.nan, Verdict("other", _incomparable(a.value, b.value)))
    with np.errstate(all="ignore"):
        error = np.abs(x.astype(np.float64) - y.astype(np.float64))
        ratio = sqnr(x, y) if np.all(np.isfinite(error)) else math.nan
        rms = float(np.sqrt(np.mean(apart.d**2))) if apart.d.size else 0.0
    return Difference(
        False, float(error.max(initial=0.0)), ratio, classify(apart), apart.step, apart.unit,
        float(np.abs(apart.d).max(initial=0.0)), rms, int(np.sum(apart.d != 0)), apart.d.size,
        Counts.of(apart.d, apart.whole),
    )  # fmt: skip


def _incomparable(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f"shape {a.shape} in a, {b.shape} in b"
    return f"type {a.dtype} in a, {b.dtype} in b"
