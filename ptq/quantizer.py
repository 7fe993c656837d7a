"""Between real numbers and integers: choosing scale and zero point, quantizing, and measuring the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import round_half_away, wrap_int32
from ptq.graph import Array, Quantization

WeightFormula = Literal[
    "mlir_dynamic_range", "legacy_dynamic_range", "mlir_full_integer", "legacy_full_integer"
]
"""Which converter's rounding of weights is meant; see `quantize_weights`."""

_BLOCK = 1 << 15
"""Elements per step of long loops: the float64 copy of a block (256 KiB) stays in the cache."""

_NEAR_ZERO = 1e-6
"""kNearZeroTolerance of the MLIR converter: narrower ranges are widened."""


def minimum_maximum(x: Array, axis: int | None = None, name: str = "tensor") -> tuple[Array, Array]:
    """The smallest and largest element, of the whole array ([1]) or of each entry of `axis` ([channels]).

    x: floats. An empty array has the range [0, 0]. Errors: QuantizationError for NaN or infinity.
    """
    view = _as_outer_channels_inner(np.asarray(x), axis, name)
    if view.size == 0:
        zeros = np.zeros(view.shape[1], view.dtype)
        return zeros, zeros.copy()
    # Two reductions in a row, innermost first, are several times faster than one over both axes.
    minimum = view.min(axis=2).min(axis=0) if view.shape[2] > 1 else view[:, :, 0].min(axis=0)
    maximum = view.max(axis=2).max(axis=0) if view.shape[2] > 1 else view[:, :, 0].max(axis=0)
    if not (np.all(np.isfinite(minimum)) and np.all(np.isfinite(maximum))):
        _raise_not_finite(view, name)
    return minimum, maximum


def symmetric_parameters(
    minimum: npt.ArrayLike,
    maximum: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    narrow_range: bool = True,
    axis: int = 0,
) -> Quantization:
    """Scale for a range centred on zero, zero_point 0: scale = max(|minimum|, |maximum|) / highest (Q3).

    minimum, maximum: finite floats, scalar or [channels]; `axis` is then the quantized dimension.
    narrow_range: leave out the lowest integer, so that the range is [-127, 127]; without it the range is
    [-128, 127] and the scale 2 * bound / 255. A range of at most 1e-6 is widened to that width.
    Source: converter quantization_utils.cc, ExtractMinMaxFromAttr and ExpandVerySmallRange.
    """
    low, high = _checked_range(minimum, maximum)
    bound = np.maximum(np.abs(low), np.abs(high))
    bound = np.where(2 * bound > _NEAR_ZERO, bound, np.maximum(bound, _NEAR_ZERO / 2))
    limits = np.iinfo(dtype)
    lowest = int(limits.min) + (1 if narrow_range else 0)
    scale = (2 * bound / (int(limits.max) - lowest)).astype(np.float32)
    return Quantization(scale, np.zeros(scale.size, np.int64), axis)


def asymmetric_parameters(
    minimum: npt.ArrayLike,
    maximum: npt.ArrayLike,
    dtype: npt.DTypeLike = np.int8,
    narrow_range: bool = False,
    axis: int = 0,
    float_scale: bool = True,
) -> Quantization:
    """Scale and zero_point for a range that need not be centred: scale = (max - min) / (qmax - qmin) (Q3).

    The range is first made to include 0, and one narrower than 1e-6 is widened by 1e-6 on both sides.
    The zero point is qmin - min / scale or qmax - max / scale, whichever adds less rounding error, then
    nudged to an integer in [qmin, qmax], so that the real 0 is represented exactly. All in float64, but
    with float_scale, as today's converter has it (`legacy_float_scale`), the scale is computed in float32,
    and the zero point of a full range is qmin - min / scale, rounded to float32 before it is nudged.
    minimum, maximum: finite floats, scalar or [channels]; `axis` is then the quantized dimension.
    Source: converter quantization_utils.h, ConvertStatsToQDQs; FakeQuantSupport.cc,
    getNudgedScaleAndZeroPoint; quantization_utils.cc, DownCastScale.
    """
    low, high = _checked_range(minimum, maximum)
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    narrow = high - low < _NEAR_ZERO
    low, high = np.where(narrow, low - _NEAR_ZERO, low), np.where(narrow, high + _NEAR_ZERO, high)
    limits = np.iinfo(dtype)
    lowest, highest = float(limits.min) + (1 if narrow_range else 0), float(limits.max)
    scale: Array = (high - low) / (highest - lowest)
    from_low_is_better = abs(lowest) + np.abs(low / scale) < abs(highest) + np.abs(high / scale)
    zero_point: Array = np.where(from_low_is_better, lowest - low / scale, highest - high / scale)
    if float_scale:
        scale = (high.astype(np.float32) - low.astype(np.float32)) / np.float32(highest - lowest)
        if lowest != -highest:
            zero_point = (lowest - low / scale.astype(np.float64)).astype(np.float32)
    nudged = round_half_away(np.clip(zero_point, lowest, highest)).astype(np.int64)
    return Quantization(scale.astype(np.float32), nudged, axis)


def quantize(x: Array, quantization: Quantization, dtype: npt.DTypeLike = np.int8) -> Array:
    """The integers that stand for x: clip(round(x / scale) + zero_point), as the QUANTIZE kernel computes.

    The quotient is a float32 division, rounded half away from zero. A quotient that int32 does not hold
    (or NaN) becomes -2^31, and the sum with the zero point wraps, as on x86: the result is then the
    highest integer if zero_point < 0, else the lowest.
    x: float32, any shape; per-channel scales run along quantization.quantized_dimension. Result: `dtype`.
    Source: internal/reference/quantize.h, AffineQuantize and PerChannelQuantize.
    """
    x = np.asarray(x, dtype=np.float32)
    scale = _along_channels(quantization.scale.astype(np.float32), quantization, x.ndim)
    zero_point = _along_channels(quantization.zero_point, quantization, x.ndim)
    limits = np.iinfo(dtype)
    with np.errstate(all="ignore"):
        rounded = round_half_away(np.asarray(x / scale))
    rounded = np.where(np.abs(rounded) < np.float32(2.0**31), rounded, np.float32(-(2.0**31)))
    unclamped = wrap_int32(rounded.astype(np.int64) + zero_point)
    return np.clip(unclamped, limits.min, limits.max).astype(dtype)


def dequantize(q: Array, quantization: Quantization) -> Array:
    """The reals that integers stand for: scale * (q - zero_point), float32, as the DEQUANTIZE kernel does.

    q: integers, any shape; per-channel scales run along quantization.quantized_dimension.
    Source: internal/reference/dequantize.h, Dequantize (product in double) and PerChannelDequantize (float).
    """
    q = np.asarray(q)
    zero_point = _along_channels(quantization.zero_point, quantization, q.ndim)
    if q.dtype.itemsize <= 2:
        # |q - zero_point| < 2^17 is exact in float32, so both kernels round just once, as this does.
        offset = q.astype(np.int32) - zero_point.astype(np.int32)
        scale = _along_channels(quantization.scale.astype(np.float32), quantization, q.ndim)
        return np.asarray(offset.astype(np.float32) * scale)
    wide = np.float32 if quantization.per_channel else np.float64
    scale = _along_channels(quantization.scale.astype(np.float32).astype(wide), quantization, q.ndim)
    offset = wrap_int32(q.astype(np.int64) - zero_point)
    return np.asarray(offset.astype(wide) * scale).astype(np.float32)


def quantize_weights(
    w: Array,
    formula: WeightFormula = "mlir_dynamic_range",
    axis: int | None = None,
    name: str = "weights",
) -> tuple[Array, Quantization]:
    """Weights as int8 in [-127, 127], zero_point 0, exactly as one of TensorFlow's four converters rounds.

    With m = max|w| of the tensor (axis None) or of each channel of `axis`, the scale is float32(m / 127) and

    - mlir_dynamic_range (today's default): q = round(w / (m / 127)), in double;
    - legacy_dynamic_range: q = round(w * (127 / m)), in float32;
    - mlir_full_integer: q = round(w * (1 / scale)), in float32;
    - legacy_full_integer: q = round(w * (127 / m)), in float32,

    all half away from zero. The MLIR formulas widen m to 5e-7 or more. With m = 0, legacy_dynamic_range per
    tensor has scale 1, the legacy formulas per channel have scale 0.
    w: float32, any shape; axis: 0 for convolution filters, 3 for depthwise ones.
    Result: int8 of the same shape, and its Quantization.
    Errors: QuantizationError for NaN or infinity, naming `name`; ShapeError for an axis that is not there.
    Source: converter quantization_utils.cc, prepare_quantize_dynamic_range.cc; toco_legacy
    portable_tensor_utils.cc, PortableSymmetricQuantizeFloats; quantization_utils.cc,
    SymmetricPerChannelQuantization.
    """
    w = np.asarray(w, dtype=np.float32)
    minimum, maximum = minimum_maximum(w, axis, name)
    bound = np.maximum(np.abs(minimum), np.abs(maximum))
    scale, factor = _scale_and_factor(bound, formula, per_tensor=axis is None)
    view = _as_outer_channels_inner(w, axis, name)
    q = np.empty(view.shape, np.int8)
    divide = formula == "mlir_dynamic_range"
    for block in _blocks(view.shape):
        channel_factor = factor[block[1]][:, np.newaxis]
        # At most three roundings separate |y| from 127 or less, so it rounds to 127 at most: no clamp.
        y = view[block] / channel_factor if divide else view[block] * channel_factor
        q[block] = round_half_away(y, out=y)
    zero_point = np.zeros(scale.size, np.int64)
    return q.reshape(w.shape), Quantization(scale, zero_point, 0 if axis is None else axis % w.ndim)


def calculate_activation_range(activation: str) -> tuple[np.float32, np.float32]:
    """The bounds of a fused activation on floats: RELU [0, FLT_MAX], RELU6 [0, 6], RELU_N1_TO_1 [-1, 1].

    Errors: UnsupportedError for other than NONE, RELU, RELU6 and RELU_N1_TO_1.
    Source: kernels/kernel_util.h, CalculateActivationRange.
    """
    largest = np.finfo(np.float32).max
    bounds = _ACTIVATION_BOUNDS.get(activation)
    if bounds is None:
        raise UnsupportedError(
            f"fused activation {activation} found, expected one of {', '.join(_ACTIVATION_BOUNDS)}"
        )
    lower, upper = bounds
    return (
        np.float32(-largest if lower is None else lower),
        np.float32(largest if upper is None else upper),
    )


def calculate_activation_range_quantized(
    activation: str, quantization: Quantization, dtype: npt.DTypeLike = np.int8
) -> tuple[int, int]:
    """The bounds of a fused activation on integers: zero_point + round(bound / scale), within the dtype.

    The division is in float32.
    Errors: UnsupportedError as above; QuantizationError if a bound overflows int32.
    Source: kernels/kernel_util.cc, CalculateActivationRangeQuantized.
    """
    calculate_activation_range(activation)
    limits = np.iinfo(dtype)
    scale, zero_point = quantization.scale[0], int(quantization.zero_point[0])
    lower, upper = _ACTIVATION_BOUNDS[activation]
    quantized_lower = limits.min if lower is None else _quantized_bound(lower, scale, zero_point)
    quantized_upper = limits.max if upper is None else _quantized_bound(upper, scale, zero_point)
    return max(int(limits.min), quantized_lower), min(int(limits.max), quantized_upper)


def max_error_lsb(x: Array, q: Array, quantization: Quantization) -> float:
    """The largest |x - dequantize(q)| / scale: at most about 0.5 wherever nothing was clipped.

    x: floats; q: integers of the same shape. Result: in steps ("least significant bits"); 0.0 if empty.
    """
    scale = _along_channels(quantization.scale.astype(np.float64), quantization, np.ndim(q))
    error = np.abs(np.asarray(x, dtype=np.float64) - dequantize(q, quantization)) / scale
    return float(error.max(initial=0.0))


def sqnr(reference: Array, approximation: Array) -> float:
    """Signal to quantization noise ratio in dB: 10 * log10(sum(r^2) / sum((r - a)^2)), in float64 (Q41).

    Result: infinity if the two are equal, -infinity if only the reference is all zero.
    """
    r = np.asarray(reference, dtype=np.float64)
    noise = float(np.sum((r - np.asarray(approximation, dtype=np.float64)) ** 2))
    signal = float(np.sum(r**2))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


_ACTIVATION_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}


def _quantized_bound(bound: float, scale: np.float32, zero_point: int) -> int:
    with np.errstate(all="ignore"):
        quotient = round_half_away(np.float32(bound) / scale)
    if not -(2.0**31) <= float(quotient) <= 2.0**31:
        raise QuantizationError(
            f"fused activation: bound {bound} over scale {scale} exceeds int32; "
            "expected a scale of at least 3e-9; calibrate the output's range again"
        )
    return zero_point + int(quotient)


def _scale_and_factor(bound: Array, formula: WeightFormula, per_tensor: bool) -> tuple[Array, Array]:
    """The float32 scale that goes into the file, and the divisor or factor that the formula applies."""
    if formula in ("mlir_dynamic_range", "mlir_full_integer"):
        wide = bound.astype(np.float64)
        wide = np.where(2 * wide > _NEAR_ZERO, wide, np.maximum(wide, _NEAR_ZERO / 2))
        exact_scale = wide / 127
        scale = exact_scale.astype(np.float32)
        if formula == "mlir_dynamic_range":
            return scale, exact_scale
        return scale, np.float32(1) / scale
    if formula not in ("legacy_dynamic_range", "legacy_full_integer"):
        raise QuantizationError(
            f"weight formula '{formula}' found, expected one of {', '.join(WeightFormula.__args__)}"  # type: ignore[attr-defined]
        )
    with np.errstate(all="ignore"):
        narrow_scale: Array = bound / np.float32(127)
        factor = np.float32(127) / bound
    # 127 / m overflows for m < 3.8e-37, where the C++ code is undefined: such channels become zeros here.
    factor = np.where(np.isfinite(factor), factor, np.float32(0))
    if per_tensor:
        narrow_scale = np.where(bound == 0, np.float32(1), narrow_scale)
    return narrow_scale, factor


def _as_outer_channels_inner(x: Array, axis: int | None, name: str) -> Array:
    """View x as [outer, channels, inner], the channels being `axis`; all of it is inner without one."""
    if axis is None:
        return x.reshape(1, 1, -1)
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"tensor '{name}': axis {axis} found, expected one of the {x.ndim} of {x.shape}")
    axis %= x.ndim
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    return x.reshape(outer, x.shape[axis], inner)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, slice]]:
    """Index [outer, channels, inner] in pieces of about _BLOCK elements, so that temporaries stay small."""
    outer, channels, inner = shape
    inner_step = max(1, min(inner, _BLOCK))
    channel_step = max(1, min(channels, _BLOCK // inner_step))
    outer_step = max(1, _BLOCK // (inner_step * channel_step))
    for o in range(0, outer, outer_step):
        for c in range(0, channels, channel_step):
            for i in range(0, inner, inner_step):
                yield slice(o, o + outer_step), slice(c, c + channel_step), slice(i, i + inner_step)


def _along_channels(values: Array, quantization: Quantization, dimensions: int) -> Array:
    """Reshape [channels] so that it broadcasts along the quantized dimension; [1] stays as it is."""
    if not quantization.per_channel:
        return values.reshape(())
    shape = [1] * dimensions
    shape[quantization.quantized_dimension] = -1
    return values.reshape(shape)


def _checked_range(minimum: npt.ArrayLike, maximum: npt.ArrayLike) -> tuple[Array, Array]:
    low = np.atleast_1d(np.asarray(minimum, dtype=np.float64))
    high = np.atleast_1d(np.asarray(maximum, dtype=np.float64))
    wrong = ~(np.isfinite(low) & np.isfinite(high) & (low <= high))
    if np.any(wrong):
        raise QuantizationError(
            f"range [{low[wrong][0]}, {high[wrong][0]}] found, expected finite numbers in ascending order; "
            "check the data that it was observed on"
        )
    return low, high


def _raise_not_finite(x: npt.NDArray[Any], name: str) -> None:
    wrong = x[~np.isfinite(x)]
    raise QuantizationError(
        f"tensor '{name}': {wrong.size} of {x.size} elements are {wrong[0]} or otherwise not finite; "
        "expected finite numbers; train the model again or repair the file"
    )
