"""Random operands of the layers that multiply by weights, in each arithmetic.

Integers: the multiplier is drawn first and the scales follow from it, so that outputs cover their whole range
and saturate at both ends; some biases take their accumulators to a tie between two outputs, or one off it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.oracle.draw.core import ACTIVATIONS, ODD, Array, Random, integers, pick, zero_point
from ptq.oracle.problem import CONSTANT, INPUT, Given, Wanted, quantization

Shape = Sequence[int]
Shape4 = tuple[int, int, int, int]

LIMITS = {"int8": 127, "uint8": 255, "int16": 32767}
SPREAD = 40
"""About the standard deviation of int8 weights."""


@dataclass(frozen=True)
class Layer:
    """Input, weights, bias (or None) and output of a layer."""

    input: Given
    weights: Given
    bias: Given | None
    wanted: Wanted

    @property
    def operands(self) -> list[Given | None]:
        """In the order of most operators, without a bias that is absent."""
        return [self.input, self.weights] if self.bias is None else [self.input, self.weights, self.bias]


def type_name(dtype: npt.DTypeLike) -> str:
    """The schema's name of an integer type."""
    return np.dtype(dtype).name.upper()


def activation(rng: Random) -> dict[str, Any]:
    """Any fused activation, as an option."""
    return {"fused_activation_function": pick(rng, ACTIVATIONS)}


# --- integers -----------------------------------------------------------------------------------------


def integer_layer(
    rng: Random,
    dtype: npt.DTypeLike,
    input_shape: Shape,
    weights_shape: Shape,
    axis: int,
    terms: int,
    bias_type: npt.DTypeLike | None = None,
    without_bias: float = 0.0,
    weights_zero_point: bool = False,
) -> Layer:
    """A random layer of integers.

    terms: how many products an output sums. bias_type: int32 unless activations are int16. without_bias: in
    how many cases there is none. weights_zero_point: whether int8 weights have one, and so one scale.
    """
    dtype, outputs = np.dtype(dtype), weights_shape[axis]
    legacy = dtype == np.uint8
    several = not legacy and not weights_zero_point and bool(rng.integers(2))
    input = integers(rng, tuple(input_shape), dtype)
    weights = integers(rng, tuple(weights_shape), np.uint8 if legacy else np.int8)
    if rng.random() < 0.2:  # the largest sums
        weights, input = np.full_like(weights, weights.flat[0]), np.full_like(input, input.flat[0])
    largest = LIMITS[dtype.name]
    spread = SPREAD * largest * max(terms, 1) ** 0.5
    multiplier = largest / spread * np.exp(rng.uniform(-3, 2, outputs if several else 1))
    if rng.random() < 0.1:
        multiplier *= np.exp(rng.uniform(-8, 6))
    input_scale, output_scale = np.exp(rng.uniform(-5, -1, 2)).astype(np.float32)
    weights_scale = (multiplier * output_scale / input_scale).astype(np.float32)
    zero = zero_point(rng, np.uint8 if legacy else np.int8) if legacy or weights_zero_point else 0
    bias = None
    if rng.random() >= without_bias:
        bias_type = bias_type or (np.int64 if dtype == np.int16 else np.int32)
        real = np.float64(input_scale) * weights_scale.astype(np.float64) / np.float64(output_scale)
        values = _biases(rng, outputs, spread, real).astype(bias_type)
        bias = Given(values, quantization(input_scale * weights_scale), CONSTANT)
    return Layer(
        Given(input, quantization(float(input_scale), zero_point(rng, dtype))),
        Given(weights, quantization(weights_scale, zero, axis), CONSTANT),
        bias,
        Wanted(type_name(dtype), quantization(float(output_scale), zero_point(rng, dtype))),
    )


def bias_type(rng: Random, dtype: npt.DTypeLike) -> tuple[npt.DTypeLike, dict[str, Any]]:
    """The type of the bias, and the option that says so where there is a choice."""
    if np.dtype(dtype) != np.int16:
        return np.int32, {}
    return (np.int32, {"quantized_bias_type": "INT32"}) if rng.integers(2) else (np.int64, {})


def _biases(rng: Random, outputs: int, spread: float, real: Array) -> Array:
    bias = rng.integers(-int(spread), int(spread) + 1, outputs)
    ties = np.rint((rng.integers(-100, 100, outputs) + 0.5) / real) + rng.integers(-1, 2, outputs)
    ties = np.clip(ties, -(2**30), 2**30).astype(np.int64)
    return np.where(rng.random(outputs) < 0.3, ties, bias)


# --- hybrid -------------------------------------------------------------------------------------------


def activations(rng: Random, shape: Shape) -> Array:
    """Finite float32 activations: ties, one-signed rows, zero rows, ranges from tiny to large."""
    x = rng.normal(0, 1, tuple(shape)).astype(np.float32)
    kind = rng.integers(7)
    if kind == 0:
        x = np.maximum(x, 0)
    elif kind == 1:  # halves of a step of 1: with a range of 127 or 255 everything is a tie
        x = (rng.integers(-254, 255, x.shape) / 2).astype(np.float32)
        x[..., 0] = pick(rng, (127, -127))
    elif kind == 2:
        x = -np.abs(x)
    elif kind == 3:
        x[rng.integers(len(x))] = 0
    elif kind == 4:
        x *= np.exp(rng.uniform(-20, 20, (len(x), *[1] * (x.ndim - 1)))).astype(np.float32)
    elif kind == 5:
        x += np.float32(rng.uniform(-3, 3))
    return x * np.float32(2.0) ** np.float32(rng.integers(-20, 20))


def hybrid_weights(rng: Random, shape: Shape, axis: int, per_channel: bool, lowest: int = -127) -> Given:
    """int8 weights with one scale, or one for each index along the axis."""
    weights = rng.integers(lowest, 128, tuple(shape)).astype(np.int8)
    if rng.random() < 0.2:
        weights = np.full_like(weights, weights.flat[0])
    scale = np.exp(rng.uniform(-9, 3, shape[axis] if per_channel else 1))
    return Given(weights, quantization(scale, 0, axis if scale.size > 1 else 0), CONSTANT)


def real_bias(rng: Random, outputs: int) -> Given:
    """A float32 bias."""
    bias = rng.normal(0, 1, outputs).astype(np.float32) * np.float32(2.0) ** rng.integers(-10, 10)
    return Given(bias.astype(np.float32), None, CONSTANT)


# --- float --------------------------------------------------------------------------------------------


def dyadic(rng: Random, shape: Shape, odd: float = 0.0) -> Array:
    """float32 whose sums of products do not round, in any order: small integers over a power of two.

    odd: how often there are infinities and NaN among them.
    """
    x = rng.integers(-15, 16, tuple(shape)).astype(np.float32) * np.float32(2.0) ** -rng.integers(0, 7)
    x = x.astype(np.float32)
    if x.size and rng.random() < odd:
        where = np.asarray(rng.random(x.shape) < 0.2)
        x[where] = rng.choice(np.array([np.inf, -np.inf, np.nan, 0.0], np.float32), int(where.sum()))
    return x


def general(rng: Random, shape: Shape, odd: float = 0.0) -> Array:
    """float32 whose sums round, of all scales; odd: how often there are odd ones among them."""
    x = rng.normal(0, 1, tuple(shape)).astype(np.float32)
    x *= np.float32(2.0) ** np.float32(rng.integers(-20, 20))
    if rng.random() < 0.3:
        x *= np.exp(rng.uniform(-5, 5, x.shape)).astype(np.float32)
    if x.size and rng.random() < odd:
        where = np.asarray(rng.random(x.shape) < 0.2)
        x[where] = rng.choice(ODD, int(where.sum()))
    return x


def float_operands(
    rng: Random, input_shape: Shape, weights_shape: Shape, outputs: int, order_free: bool
) -> list[Given | None]:
    """Input, weights and perhaps a bias in float32."""
    draw = dyadic if order_free else general
    weights = Given(draw(rng, weights_shape), None, CONSTANT if rng.integers(4) else INPUT)
    operands: list[Given | None] = [Given(draw(rng, input_shape, 0.2)), weights]
    return [*operands, Given(draw(rng, (outputs,), 0.2), None, CONSTANT)] if rng.random() < 0.8 else operands


# --- windows ------------------------------------------------------------------------------------------


def window(rng: Random, largest: int = 4) -> tuple[tuple[int, int], tuple[int, int], dict[str, Any]]:
    """Kernel, extent of the kernel with its dilation, and the options of a window."""
    kernel = rng.integers(1, largest + 1, 2)
    dilation = rng.integers(1, 4, 2) if rng.integers(2) else np.array([1, 1])
    stride = rng.integers(1, 4, 2) if dilation.max() == 1 or rng.random() < 0.2 else np.array([1, 1])
    extent = (kernel - 1) * dilation + 1
    options = {
        "padding": pick(rng, ("SAME", "VALID")),
        "stride_h": int(stride[0]), "stride_w": int(stride[1]),
        "dilation_h_factor": int(dilation[0]), "dilation_w_factor": int(dilation[1]),
        **activation(rng),
    }  # fmt: skip
    return pair(kernel), pair(extent), options


def pair(numbers: Array) -> tuple[int, int]:
    """Two integers."""
    return int(numbers[0]), int(numbers[1])


def image(rng: Random, extent: tuple[int, int], padding: str, channels: int) -> Shape4:
    """The shape of an image that the window fits into; with SAME it may be smaller than the window."""
    lowest = (1, 1) if padding == "SAME" and rng.integers(2) else extent
    size = np.array(lowest) + rng.integers(0, 5, 2)
    return (int(rng.integers(1, 3)), *pair(size), channels)
