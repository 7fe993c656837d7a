"""Four ways from an accumulator to the scale of the output, and the real factor that each is made of.

    real_multiplier[o] = input_scale * weights_scale[o] / output_scale

`Rescale` and `WideRescale` are integers; the other two are what TensorFlow Lite's FULLY_CONNECTED and XNNPACK
do, whose quantized kernels compute with floats at this place. Part of the offline half, as `parameters` is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import multiply_int64_by_quantized_multiplier, quantize_multiplier
from ptq.float_rescale import multiply_by_double, multiply_by_float32
from ptq.kernels.integer.parameters import Rescale
from ptq.numerics import Numerics

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class WideRescale:
    """As `Rescale`, for the 64-bit accumulators of int16 activations: the multiplier is cut to 16 bits."""

    output_multiplier: Array
    output_shift: Array

    def __call__(self, accumulator: Array) -> Array:
        """The int64 accumulators times the factor, as int32."""
        return multiply_int64_by_quantized_multiplier(accumulator, self.output_multiplier, self.output_shift)


@dataclass(frozen=True)
class DoubleRescale:
    """The factor itself, as TensorFlow Lite's reference FULLY_CONNECTED has it: it is no integer kernel."""

    real_multiplier: Array

    def __call__(self, accumulator: Array) -> Array:
        """The accumulators times the factor, ties away from zero."""
        return multiply_by_double(accumulator, self.real_multiplier)


@dataclass(frozen=True)
class Float32Rescale:
    """The factor in float32, as XNNPACK has it: no integer kernel either."""

    scale: Array

    def __call__(self, accumulator: Array) -> Array:
        """The accumulators times the factor, ties to even."""
        return multiply_by_float32(accumulator, self.scale)


@dataclass(frozen=True)
class Scales:
    """The scales of an operator with weights: one each of input and output, [1] or [O] of the weights."""

    input: np.float32
    weights: Array
    output: np.float32

    @property
    def exact(self) -> Array:
        """The real multipliers in double precision, as most kernels have them."""
        with np.errstate(all="ignore"):
            return np.float64(self.input) * self.weights.astype(np.float64) / np.float64(self.output)

    @property
    def rounded(self) -> Array:
        """The same with the product of the scales rounded to float32, as kernels of one scale have them.

        Source: `tflite/kernels/kernel_util.cc`, GetQuantizedConvolutionMultipler.
        """
        with np.errstate(all="ignore"):
            return (self.input * self.weights).astype(np.float64) / np.float64(self.output)

    @property
    def float32(self) -> Array:
        """The multipliers in float32 throughout, as XNNPACK has them."""
        with np.errstate(all="ignore"):
            return np.asarray(self.input * self.weights / self.output, np.float32)


def fixed_point_rescale(
    multiplier: Array, sums: np.dtype[Any], numerics: Numerics
) -> Callable[[Array], Array]:
    """The factor as integers, for accumulators of type `sums`."""
    if numerics.product_rescale == "float32":  # what XNNPACK leaves to the kernels of TensorFlow Lite
        numerics = replace(numerics, rounding="double")
    if sums == np.int64:
        return WideRescale(*quantize_multiplier(multiplier, numerics.rounding))
    return Rescale.by(multiplier, numerics)
