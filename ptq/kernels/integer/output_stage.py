"""The last steps of every kernel that sums products: from int32 accumulators to int8 outputs.

    output = clamp(rescale(accumulator + bias) + zero_point, lowest, highest)

`OutputStage` computes this as it is written. `MultiplyAdd` computes the same integers in a third of the time,
for millions of outputs: as bias, both roundings and the zero point are constants of a channel, they merge
into one product and one sum before one shift. There are integers before it, after it and in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import wrap_int32
from ptq.kernels.integer.parameters import Rescale

Array = npt.NDArray[Any]

Finish = Callable[[Array, Array], None]
"""Takes sums of products [..., channels] and writes the outputs to its second argument."""

CHUNK = 32_768
"""Outputs that are finished at once: their int64 products stay in the second-level cache."""


@dataclass(frozen=True)
class OutputStage:
    """What follows the sum: bias and rescaling of each channel, zero point, bounds and type of the output.

    bias: integers [channels]. rescale: takes accumulators to int32 outputs, as `Rescale` does. bounds: those
    of the fused activation. dtype: that of the output. accumulator: the type in which C sums, int32 or int64.
    """

    bias: Array
    rescale: Callable[[Array], Array]
    zero_point: int = 0
    bounds: tuple[int, int] = (-128, 127)
    dtype: npt.DTypeLike = np.int8
    accumulator: npt.DTypeLike = np.int32

    def after_raw_sums(self, input_zero_point: int, weight_sums: Array) -> OutputStage:
        """The stage for products with inputs from which the zero point was not subtracted.

        sum_k w_k (q_k - Z) = sum_k w_k q_k - Z sum_k w_k, whose last term is a constant, as the bias is.
        weight_sums: int64 [channels].
        """
        return replace(self, bias=self.bias.astype(np.int64) - input_zero_point * weight_sums)

    def __call__(self, sums: Array) -> Array:
        """The outputs for sums of products [..., channels], which wrap around in C's accumulators."""
        # add bias
        total = sums.astype(np.int64) + self.bias
        if self.accumulator == np.int32:
            total = wrap_int32(total)
        # rescale
        output = wrap_int32(self.rescale(total) + np.int64(self.zero_point))
        # clamp
        return np.clip(output, *self.bounds).astype(self.dtype)

    def start(self, most: int) -> Finish:
        """A function that writes the outputs for sums [..., channels] to its second argument."""

        def finish(sums: Array, out: Array) -> None:
            np.copyto(out, self(sums), casting="unsafe")

        return finish

    def merged(self, bound: int) -> MultiplyAdd | OutputStage:
        """The fastest equal of this stage for sums of at most `bound`: a MultiplyAdd where that is one."""
        if not isinstance(self.rescale, Rescale) or self.accumulator != np.int32:
            return self
        return MultiplyAdd.merge(self, self.rescale, bound) or self


def centred(weights: Array, zero_point: int) -> Array:
    """Weights less their zero point; int16 where there is one, as uint8 has differences up to 255."""
    return weights.astype(np.int16) - np.int16(zero_point) if zero_point else weights


@dataclass(frozen=True)
class MultiplyAdd:
    """An output stage as clamp((sum * multiplier + addend) >> shift), each of them one number for a channel.

    Why it is the same. With x = sum + bias, M the multiplier and e the right shift, rounding twice is

        high = floor((x M + 2^30) / 2^31)
        output = floor((high + 2^(e-1) - [high < 0]) / 2^e)        if e > 0, else high

    where [...] is 1 if true; it turns ties away from zero. A floor of a floor of quotients is one floor,
    floor((floor(a / b) + c) / d) = floor((a + b c) / (b d)), and hence

        output = floor((x M + 2^30 + 2^(30+e) - 2^31 [high < 0]) / 2^(31+e)).

    - [high < 0] may be read as [x < 0]: where they differ high is 0, and the output is 0 with either.
    - It may be left out where the bounds clamp negative outputs anyway, as RELU does: without it, too,
      the output is at most 0 for x < 0.
    - Without a right shift, e = 0, high is the output; so it is with a left shift s that does not wrap:
      floor((x M + 2^(30-s)) / 2^(31-s)). Rounding once is that formula for either sign of s.
    - Bias and zero point Z join the constant, as x M = sum M + bias M, and floor(a) + Z = floor(a + Z).

    below_zero: -2^31 for the channels in which it is added if x < 0, else 0; or None. bias: added by itself
    where the sign of x matters. narrow: a short type that holds every output before it is clamped.
    """

    multiplier: Array
    addend: Array
    shift: Array
    bias: Array | None
    below_zero: Array | None
    bounds: tuple[int, int]
    narrow: np.dtype[Any]

    @staticmethod
    def merge(stage: OutputStage, rescale: Rescale, bound: int) -> MultiplyAdd | None:
        """The merged form of `stage` for |sum| <= bound; None where int32 or int64 could overflow in it."""
        operands = rescale.output_multiplier, rescale.output_shift, stage.bias
        multiplier, left, bias = (a.astype(np.int64) for a in np.broadcast_arrays(*operands))
        largest = bound + int(np.abs(bias).max(initial=0))
        furthest_left = max(int(left.max(initial=0)), 0)
        # |x M| < 2^31 * 2^31, the zero point adds less than 2^(8+52): int64 holds the sum
        if (
            furthest_left > 30
            or largest << furthest_left >= 2**31
            or int(left.min(initial=0)) < 31 - 52
            or int(multiplier.min(initial=0)) < 0
            or abs(stage.zero_point) >= 2**8
        ):
            return None
        shift = 31 - left
        addend = (np.int64(1) << (shift - 1)) + (np.int64(stage.zero_point) << shift)
        twice = (left < 0) & (rescale.numerics.rounding == "double")
        addend += np.where(twice, 2**30, 0)
        if signs_matter := bool(twice.any()) and stage.bounds[0] < stage.zero_point:
            below_zero = np.where(twice, -(2**31), 0)
        else:
            addend += bias * multiplier
        furthest = int(((largest * multiplier) >> shift).max(initial=0)) + 2 + abs(stage.zero_point)
        return MultiplyAdd(
            multiplier,
            addend,
            shift,
            bias if signs_matter else None,
            below_zero if signs_matter else None,
            stage.bounds,
            np.dtype(np.int16 if furthest < 2**15 else np.int32),
        )

    def start(self, most: int) -> Finish:
        """The same for int32 sums, of which `most` come at once; they and the outputs are contiguous."""
        channels = self.multiplier.size
        rows = max(min(CHUNK, most) // channels, 1)

        def repeated(constant: Array) -> Array:
            return np.broadcast_to(constant, (rows, channels)).reshape(-1)

        multiplier, addend, shift = repeated(self.multiplier), repeated(self.addend), repeated(self.shift)
        if self.bias is not None and self.below_zero is not None:
            bias, below_zero = repeated(self.bias), repeated(self.below_zero)
        products, outputs = np.empty(multiplier.size, np.int64), np.empty(multiplier.size, self.narrow)

        def finish(sums: Array, out: Array) -> None:
            flat, result = sums.reshape(-1), out.reshape(-1)
            for start in range(0, flat.size, rows * channels):
                some = flat[start : start + rows * channels]
                x, y, these = products[: some.size], outputs[: some.size], slice(some.size)
                # add bias
                np.copyto(x, some)
                if self.bias is not None:
                    np.add(x, bias[these], out=x)
                    ties = x & below_zero[these]
                # rescale
                np.multiply(x, multiplier[these], out=x)
                if self.bias is not None:
                    np.add(x, ties, out=x)
                np.add(x, addend[these], out=x)
                np.right_shift(x, shift[these], out=x)
                # clamp
                np.copyto(y, x, casting="unsafe")
                np.clip(y, *self.bounds, out=y)
                np.copyto(result[start : start + some.size], y, casting="unsafe")

        return finish
