"""Integers reduced to one: pools, means and sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Number
from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.rescaling import Factor

POOLING = "tflite/kernels/internal/reference/integer_ops/pooling.h, AveragePool"
REDUCE = "tflite/kernels/internal/reference/reduce.h, QuantizedMeanOrSum"


class Reducing(Accumulating):
    """The rules of AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, SUM, REDUCE_MAX and REDUCE_MIN on integers."""

    # --- windows ----------------------------------------------------------------------------------

    def window_elements(self, window: Sequence[Number | None]) -> list[Number]:
        """The elements of a window that lie inside of the image: padding is none."""
        return [x for x in window if x is not None]

    def window_count(self, window: Sequence[Number | None]) -> int:
        """By how many elements the sum of a window is divided."""
        count = len([x for x in window if x is not None])
        return self.write("rescale", "count", count, "of {} elements those inside of the image", len(window))

    def average(self, total: int, count: int) -> int:
        """total / count, ties away from zero: half of the count is added to the size, then C divides."""
        value = self.round_half_away(Fraction(total, count)) if count else 0
        formula = "round({} / {}), ties away from zero"
        return self.write("rescale", "average", value, formula, total, count, source=POOLING)

    # --- axes -------------------------------------------------------------------------------------

    def integer_sum(self, terms: Sequence[int]) -> int:
        """The plain sum of the elements, before any zero point is subtracted."""
        total = self.sum_integers(terms, 64)
        return self.write(
            "accumulate", "sum", total, "sum of {} integers", len(terms), terms=[(x,) for x in terms]
        )

    def centred_sum(self, total: int, count: int, zero_point: int) -> int:
        """The sum of q - z, in int32: each of the `count` elements has the zero point."""
        # each element loses what 0 loses
        centred = wrap_spec(total + count * int(self.input_without_zero_point(0, zero_point)))
        return self.write("accumulate", "accumulator", centred, "{} - {} * {}", total, count, zero_point)

    def reduction_factor(self, input_scale: float, output_scale: float) -> Factor:
        """input_scale / output_scale, in double."""
        real = input_scale / output_scale
        self.write("prepare", "real_multiplier", real, "{} / {}", input_scale, output_scale, key=0)
        return self.factor(real, key=0)

    def mean_of_sum(self, total: int, count: int, factor: Factor) -> int:
        """The sum times factor / count: the division is one of the multiplier, and there is one rescaling."""
        return self.rescale(total, self.factor_over_count(factor, count))

    def factor_over_count(self, factor: Factor, count: int) -> Factor:
        """The factor divided by a number of elements: as many bits as 1 / count gains go into the multiplier.

        floor(multiplier * 2^k / count) with k = floor(log2 count), as far as shifts reach.
        """
        gained = min(count.bit_length() - 1, 32, 31 + factor.output_shift)
        multiplier = (factor.output_multiplier << gained) // count
        numbers, formula = (factor.output_multiplier, gained, count), "floor({} * 2^{} / {})"
        self.write("prepare", "mean_multiplier", multiplier, formula, *numbers, key=0, source=REDUCE)
        shift = factor.output_shift - gained
        self.write("prepare", "mean_shift", shift, "{} - {}", factor.output_shift, gained, key=0)
        return replace(factor, real=factor.real / count, output_multiplier=multiplier, output_shift=shift)

    # --- the largest and the smallest -------------------------------------------------------------

    def largest(self, integers: Sequence[int], lowest: int) -> int:
        """The largest of some integers, and at least the lowest one of their type."""
        return max([lowest, *integers])

    def smallest(self, integers: Sequence[int], highest: int) -> int:
        """The smallest of some integers, and at most the highest one of their type."""
        return min([highest, *integers])
