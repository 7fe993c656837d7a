"""Mistakes around the accumulator of an integer: too few bits, the bias at the wrong time, other bounds."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.fixed_point import saturate_spec, wrap_spec
from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Number
from ptq.spec.question import Operand
from ptq.spec.rules.rescaling import Factor


class Accumulator16(Mistake):
    """sums products in int16, which wraps around."""

    title = "int16 accumulator"

    def sum_integers(self, terms: Sequence[Number], bits: int) -> int:
        """The sum mod 2^16."""
        return wrap_spec(super().sum_integers(terms, bits), 16)


class SaturatingPairs(Mistake):
    """adds two neighbouring products at a time in int16, which saturates, as x86's VPMADDUBSW does."""

    title = "saturating pairs"

    def sum_integers(self, terms: Sequence[Number], bits: int) -> int:
        """The sum of saturated pairs."""
        pairs = [int(sum(terms[n : n + 2])) for n in range(0, len(terms), 2)]
        return super().sum_integers([saturate_spec(pair, 16) for pair in pairs], bits)


class Accumulator32(Mistake):
    """sums the products of int16 activations in int32, where the library has int64."""

    title = "int32 accumulator"

    def sum_integers(self, terms: Sequence[Number], bits: int) -> int:
        """The sum mod 2^32."""
        return super().sum_integers(terms, min(bits, 32))

    def add_bias(self, accumulator: int, bias: int, bits: int = 32) -> int:
        """The sum mod 2^32."""
        return super().add_bias(accumulator, bias, min(bits, 32))


class SaturatingSums(Mistake):
    """saturates the accumulator, which wraps around in C."""

    title = "saturating accumulator"

    def sum_integers(self, terms: Sequence[Number], bits: int) -> int:
        """The nearest integer that the accumulator holds."""
        return saturate_spec(int(sum(terms)), bits)

    def add_bias(self, accumulator: int, bias: int, bits: int = 32) -> int:
        """The same."""
        return saturate_spec(accumulator + bias, bits)


class NoBias(Mistake):
    """does not add the bias."""

    title = "no bias"

    def add_bias(self, accumulator: int, bias: int, bits: int = 32) -> int:
        """The accumulator."""
        return accumulator

    def add_real_bias(self, total: float, bias: float) -> float:
        """The sum without it."""
        return total


class BiasAfterRescaling(Mistake):
    """rescales sum and bias each by itself, and adds two rounded numbers."""

    title = "bias after rescaling"

    def rescale_with_bias(self, accumulator: int, bias: int | None, factor: Factor, bits: int = 32) -> int:
        """round(sum * factor) + round(bias * factor)."""
        rescaled = self.rescale(accumulator, factor)
        return rescaled if bias is None else rescaled + self.rescale(bias, factor)


class BiasOfOutputScale(Mistake):
    """adds the bias to the rescaled sum as it is, as if it had the scale of the output."""

    title = "bias in the output's scale"

    def rescale_with_bias(self, accumulator: int, bias: int | None, factor: Factor, bits: int = 32) -> int:
        """round(sum * factor) + bias."""
        return self.rescale(accumulator, factor) + (bias or 0)


class NarrowRange(Mistake):
    """clamps its output to the narrow range, -127 to 127 for int8, which is that of weights."""

    title = "narrow range"

    def type_limits(self, output: Operand) -> tuple[int, int]:
        """Without the smallest integer."""
        lowest, highest = super().type_limits(output)
        return lowest + 1, highest


class WrappedOutput(Mistake):
    """does not saturate its output, which wraps around in its type."""

    title = "output wraps"

    def type_limits(self, output: Operand) -> tuple[int, int]:
        """Those of int32."""
        return -(2**31), 2**31 - 1


class NoActivation(Mistake):
    """leaves out the fused activation."""

    title = "no fused activation"

    def fused_bounds(self, activation: str) -> tuple[float | None, float | None]:
        """None."""
        return None, None


MISTAKES = (
    Accumulator16, SaturatingPairs, Accumulator32, SaturatingSums, NoBias, BiasAfterRescaling,
    BiasOfOutputScale, NarrowRange, WrappedOutput, NoActivation,
)  # fmt: skip
