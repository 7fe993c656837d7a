"""Mistakes of SOFTMAX and LOG_SOFTMAX on integers."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.exponentials import SUM_BITS


class NoMaximum(Mistake):
    """subtracts the highest integer of the type from a row of SOFTMAX, not the largest of the row."""

    title = "largest of the row not subtracted"

    def row_reference(self, row: Sequence[int], highest: int) -> int:
        """The type's."""
        return highest

    def probability_steps(self, x: int, shift: int) -> int:
        """Where the sum is far below 1, the reciprocal is shifted to the left."""
        return super().probability_steps(x, shift) if shift >= 0 else x << -shift


class BetaIgnored(Mistake):
    """leaves beta out of SOFTMAX."""

    title = "beta ignored"

    def scale_times_beta(self, beta: float, scale: float) -> float:
        """The scale."""
        return scale


class SumOfBytes(Mistake):
    """rounds each exponential to 8 bits, like a probability, before it is summed."""

    title = "exponentials summed in 8 bits"

    def exponential_in_sum(self, exponential: int) -> int:
        """Steps of 1/256."""
        return self.rounding_divide_by_pot(exponential, 31 - 8) << (31 - SUM_BITS - 8)


class ShortReciprocal(Mistake):
    """cuts the reciprocal of the sum off to 16 bits."""

    title = "reciprocal of 16 bits"

    def reciprocal(self, total: int) -> tuple[int, int]:
        """Its upper half."""
        value, over = super().reciprocal(total)
        return value >> 16 << 16, over


class ProbabilityCutOff(Mistake):
    """cuts probabilities off instead of rounding them."""

    title = "probability cut off"

    def probability_steps(self, x: int, shift: int) -> int:
        """The floor."""
        return x >> shift

    def probability_int16(self, exponential: int, inverse: int, shift: int) -> int:
        """The floor."""
        return exponential * inverse >> shift


class MantissaCutOff(Mistake):
    """cuts the sum of exponentials on int16 off to 17 bits, instead of rounding it."""

    title = "sum of exponentials cut off"

    def mantissa_of_sum(self, total: int, headroom: int) -> int:
        """The floor."""
        return (total << headroom) >> 14


class OtherTables(Mistake):
    """makes SOFTMAX's tables for int16 of floats where the library makes them of doubles, or the reverse."""

    title = "other tables of SOFTMAX on int16"

    def tables_in_double(self) -> bool:
        """Those of the other library."""
        return not super().tables_in_double()


class LogarithmLeftOut(Mistake):
    """subtracts the largest integer of a row of LOG_SOFTMAX, but not the logarithm of the sum."""

    title = "logarithm of the sum left out"

    def log_probability(self, scaled: int, logarithm: int) -> int:
        """The distance alone."""
        return super().log_probability(scaled, 0)


MISTAKES = (
    NoMaximum, BetaIgnored, SumOfBytes, ShortReciprocal, ProbabilityCutOff, MantissaCutOff, OtherTables,
    LogarithmLeftOut,
)  # fmt: skip
