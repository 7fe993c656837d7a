"""The last steps of every kernel that sums products: from int32 accumulators to int8 outputs.

    output = clamp(rescale(accumulator + bias) + zero_point, lowest, highest)

`OutputStage` computes this as it is written. `MultiplyAdd` computes the same integers several times faster,
for millions of outputs: as bias, both roundings and the zero point are constants of a channel, they merge
into one product and one sum before one shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.fixed_point import wrap_int32
from ptq.gemm import MultiplyShift
from ptq.kernels.integer.parameters import Rescale

Array = npt.NDArray[Any]

Finish = Callable[[Array, Array], None]
"""Takes sums of products [..., channels] and writes the outputs to its second argument."""

CHUNK = 98_304
"""Outputs that are finished at once: calls are few, and products of 64 bits do not leave the cache."""

RUN = 8192
"""Outputs in a row, for which the constants of their channels are repeated: a loop over them in C is long."""

LIFT = 256
"""Added to outputs of 8 bits, so that none that counts is negative; a byte does not hold it."""


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

    def start(self, most: int, line: int = 0) -> Finish:
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
class WideMultiplyShift:
    """floor((x * multiplier + addend) / 2^shift) in int64, each of them one number for a channel.

    With a bias, it is added to x by itself, and below_zero, -2^n or 0, to the product if x is then negative.
    """

    multiplier: Array
    addend: Array
    shift: Array
    bias: Array | None = None
    below_zero: Array | None = None

    def repeated(self, times: int) -> WideMultiplyShift:
        """The same for channels that come several times in a row."""
        multiplier, addend, shift = (np.tile(a, times) for a in (self.multiplier, self.addend, self.shift))
        if self.bias is None or self.below_zero is None:
            return WideMultiplyShift(multiplier, addend, shift)
        bias, below_zero = np.tile(self.bias, times), np.tile(self.below_zero, times)
        return WideMultiplyShift(multiplier, addend, shift, bias, below_zero)

    def __call__(self, x: Array, out: Array) -> None:
        """Write the quotients of x [lines, width], the first channels of a line, to out."""
        width = x.shape[1]
        wide = x.astype(np.int64)
        if self.bias is not None and self.below_zero is not None:
            wide += self.bias[:width]
            negative = wide & self.below_zero[:width]  # all bits of a negative number from the n-th on are 1
            wide *= self.multiplier[:width]
            wide += negative
        else:
            wide *= self.multiplier[:width]
        wide += self.addend[:width]
        wide >>= self.shift[:width]
        np.copyto(out, wide, casting="unsafe")


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

    quotients: the floor, in float64 if that holds it, else in int64. bounds: those of the output, higher by
    LIFT with float64. narrow: a short type that holds them and the quotients. repeated: what `start` has
    prepared, by the length of a line.
    """

    quotients: MultiplyShift | WideMultiplyShift
    channels: int
    bounds: tuple[int, int]
    narrow: np.dtype[Any]
    repeated: dict[int, Repeated] = field(default_factory=dict, compare=False)

    @staticmethod
    def merge(stage: OutputStage, rescale: Rescale, bound: int) -> MultiplyAdd | None:
        """The merged form of `stage` for |sum| <= bound; None where int32 or int64 could overflow in it."""
        operands = rescale.output_multiplier, rescale.output_shift, stage.bias
        multiplier, left, bias = (a.astype(np.int64) for a in np.broadcast_arrays(*operands))
        largest = bound + int(np.abs(bias).max(initial=0))
        furthest_left = max(int(left.max(initial=0)), 0)
        # |x M| < 2^31 * 2^31, zero point and LIFT add less than 2^(9+52): int64 holds the sum
        if (
            furthest_left > 30
            or largest << furthest_left >= 2**31
            or int(left.min(initial=0)) < 31 - 52
            or int(multiplier.min(initial=0)) < 0
            or abs(stage.zero_point) >= 2**8
        ):
            return None
        shift = 31 - left
        twice = (left < 0) & (rescale.numerics.rounding == "double")
        addend = (np.int64(1) << (shift - 1)) + np.where(twice, 2**30, 0)
        addend += np.int64(stage.zero_point) << shift
        furthest = int(((largest * multiplier) >> shift).max(initial=0)) + 2 + abs(stage.zero_point) + LIFT
        narrow = np.dtype(np.int16 if max(furthest, *map(abs, stage.bounds)) < 2**15 else np.int32)
        if twice.any() and stage.bounds[0] < stage.zero_point:
            wide = WideMultiplyShift(multiplier, addend, shift, bias, np.where(twice, -(2**31), 0))
            return MultiplyAdd(wide, bias.size, stage.bounds, narrow)
        addend += bias * multiplier
        exact = MultiplyShift.prepare(multiplier, addend + (LIFT << shift), shift, bound)
        if exact is not None and np.dtype(stage.dtype).itemsize == 1:
            lifted = stage.bounds[0] + LIFT, stage.bounds[1] + LIFT
            return MultiplyAdd(exact, bias.size, lifted, narrow)
        return MultiplyAdd(WideMultiplyShift(multiplier, addend, shift), bias.size, stage.bounds, narrow)

    def start(self, most: int, line: int = 0) -> Finish:
        """The same for int32 sums, of which `most` come at once; they and the outputs are contiguous.

        line: a multiple of the channels of which they are a multiple in turn, if there is such a number.
        """
        line = line or self.channels
        run = line * max(RUN // line, 1)
        if run not in self.repeated:
            # NumPy compares with an array several times faster than with a number
            lowest, highest = (np.full(run, bound, self.narrow) for bound in self.bounds)
            self.repeated[run] = self.quotients.repeated(run // self.channels), lowest, highest
        scratch = np.empty((max(min(CHUNK, most) // run, 1), run), self.narrow)

        def finish(sums: Array, out: Array) -> None:
            flat, result = sums.reshape(-1), out.reshape(-1)
            whole = flat.size - flat.size % run
            self._finish(flat[:whole].reshape(-1, run), result[:whole].reshape(-1, run), scratch)
            if whole < flat.size:
                self._finish(flat[None, whole:], result[None, whole:], scratch)

        return finish

    def _finish(self, sums: Array, out: Array, scratch: Array) -> None:
        """The outputs for sums [lines, run], or the beginning of a line, a few lines at a time."""
        quotients, lowest, highest = self.repeated[scratch.shape[1]]
        width = sums.shape[1]
        for top in range(0, len(sums), len(scratch)):
            some = sums[top : top + len(scratch)]
            outputs = scratch[: len(some), :width]
            # add bias, rescale
            quotients(some, outputs)
            # clamp
            np.maximum(outputs, lowest[:width], out=outputs)
            np.minimum(outputs, highest[:width], out=outputs)
            out[top : top + len(scratch)] = outputs


Repeated = tuple[MultiplyShift | WideMultiplyShift, Array, Array]
"""Constants of a run of outputs: those of the quotients, the lowest and the highest output."""
