"""Mistakes in an LSTM on integers: roundings and saturations of gates, cell and output."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.fixed_point import wrap_spec
from ptq.fixed_point_math import logistic_spec
from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules.rescaling import Factor


class GateWraps(Mistake):
    """lets the sums of gates wrap in 16 bits instead of saturating them."""

    title = "gate sums wrap"

    def saturate_gate(self, x: int) -> int:
        """The lowest 16 bits."""
        return wrap_spec(x, 16)


class StateFromZero(Mistake):
    """begins with an int8 output state of 0, where 0 stands for a real other than zero."""

    title = "output state begins at 0"

    def first_integer_output(self, given: Sequence[int], zero_point: int) -> Sequence[int]:
        """0 for a state at rest."""
        return [0 if q == zero_point else q for q in given]


class CellWraps(Mistake):
    """lets the cell state wrap in 16 bits instead of saturating it."""

    title = "cell state wraps"

    def saturate_cell(self, c: int) -> int:
        """The lowest 16 bits."""
        return wrap_spec(c, 16)


class CellNotClipped(Mistake):
    """does not clip the integer cell state."""

    title = "integer cell state not clipped"

    def clip_integer_cell(self, c: int, bound: int | None) -> int:
        """As it is."""
        return c


class CellCutOff(Mistake):
    """shifts the products of the cell state without rounding."""

    title = "cell state cut off"

    def next_integer_cell(
        self,
        forget: int,
        cell: int,
        input: int,
        candidate: int,
        exponent: int,
        factors: tuple[Factor, Factor] | None,
    ) -> int:
        """The floors."""
        return self.saturate_cell((forget * cell >> 15) + (input * candidate >> 30 + exponent))


class CoupledGateOf32768(Mistake):
    """takes 32768 for the 1 of which the forget gate is subtracted (CIFG)."""

    title = "1 of a coupled gate is 32768"

    def coupled_integer_gate(self, forget: int) -> int:
        """32768 - forget."""
        return min(32768 - forget, 32767)


class MeanCutOff(Mistake):
    """cuts the mean of a normalised gate off to an integer, where the library keeps 10 bits of fraction."""

    title = "mean of a gate cut off"

    def integer_mean(self, sums: Sequence[int]) -> int:
        """An integer, times 1024."""
        return self.toward_zero(sum(sums), len(sums)) * 1024


class OtherSigmoid(Mistake):
    """reads sigmoid from a table where the library has a polynomial in fixed point, or the reverse."""

    title = "other sigmoid of gates"

    def integer_sigmoid(self, x: int) -> int:
        """The other library's."""
        return logistic_spec(x, 3, 16) if self.micro else self.interpolated_sigmoid(x)


class HiddenZeroPointAdded(Mistake):
    """adds the zero point of the hidden values before a projection, where the library subtracts it."""

    title = "hidden zero point added"

    def hidden_zero_point_sign(self, projected: bool) -> int:
        """+1."""
        return 1


MISTAKES = (
    StateFromZero, GateWraps, CellWraps, CellNotClipped, CellCutOff, CoupledGateOf32768, MeanCutOff,
    OtherSigmoid, HiddenZeroPointAdded,
)  # fmt: skip
