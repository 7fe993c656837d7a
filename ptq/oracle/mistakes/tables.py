"""Mistakes of functions on integers: LOGISTIC, TANH, EXP, ELU, and roots in fixed point."""

from __future__ import annotations

import math
from collections.abc import Callable

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import divide, f32
from ptq.spec.question import Operand
from ptq.spec.rules.lookup import POLYNOMIALS


class Logistic255(Mistake):
    """fills the table of LOGISTIC in steps of 1/255, so that 1 is the highest integer."""

    title = "LOGISTIC in steps of 1/255"

    def table_scale(self, name: str, output: Operand) -> float:
        """1/255 for the output's 1/256."""
        return f32(1 / 255) if name == "LOGISTIC" else super().table_scale(name, output)


class FixedPointForTable(Mistake):
    """computes LOGISTIC and TANH on 8 bits in fixed point, as micro does, where floats fill a table."""

    title = "fixed point instead of a table"

    def by_table(self, name: str, q: int, input: Operand, output: Operand) -> int:
        """A polynomial, where there is one."""
        if name in POLYNOMIALS:
            return self.by_polynomial(name, q, input, output)
        return super().by_table(name, q, input, output)


class TableForFixedPoint(Mistake):
    """reads LOGISTIC and TANH on int8 from a table filled by floats, where micro computes in fixed point."""

    title = "table instead of fixed point"

    def by_polynomial(self, name: str, q: int, input: Operand, output: Operand) -> int:
        """The table."""
        return self.by_table(name, q, input, output)


class EntriesCutOff(Mistake):
    """cuts the entries of tables off instead of rounding them."""

    title = "table cut off"

    def rounded_real(self, x: float) -> float:
        """Toward zero."""
        return float(math.trunc(x)) if math.isfinite(x) else x


class EntriesDivided(Mistake):
    """divides by the output's scale to fill a table, where the library multiplies by its reciprocal."""

    title = "table divided by the scale"

    def steps_of(self, y: float, scale: float) -> float:
        """y / scale in float32."""
        return f32(divide(y, scale))


class LinesCutOff(Mistake):
    """cuts what it reads between the points of an int16 table off, instead of rounding it."""

    title = "interpolation cut off"

    def along(self, slope: int, place: int) -> int:
        """The floor."""
        return slope * place >> 7

    def cut_down(self, x: int, bits: int, negative: bool) -> int:
        """The floor."""
        return x >> bits


class NoLines(Mistake):
    """reads the point before an int16, without any line to the next one."""

    title = "no interpolation"

    def along(self, slope: int, place: int) -> int:
        """Nothing."""
        return 0

    def sigmoid_line(self, size: int, bits: int, saturated: int) -> int:
        """The point."""
        return super().sigmoid_line(size >> bits << bits, bits, saturated)


class PlainPoints(Mistake):
    """puts the points of an int16 table on the function itself, without half of the error between them."""

    title = "points of a table not corrected"

    def point_correction(
        self, sample: float, following: float, middle: float, number: Callable[[float], float]
    ) -> float:
        """None."""
        return 0.0

    def sigmoid_point(self, place: int) -> int:
        """On the function."""
        return self.round_half_away(65536 / (1 + math.exp(-place / 24))) if place < 255 else 65535


class RealRoots(Mistake):
    """computes 1 / sqrt(x) on integers as a real number, and rounds the result once."""

    title = "float square root"

    def normalized(self, x: int, total: int, unsigned: bool, row: int) -> int:
        """x / sqrt(total) in double."""
        return self.round_half_away(x * 128 / math.sqrt(total)) if total > 0 else 0

    def scaled_root(self, x: int, input_scale: float, output_scale: float) -> int:
        """1 / sqrt(x * scale) in double."""
        return self.round_half_away(1 / math.sqrt(x * input_scale) / output_scale)


class RootOfNothing(Mistake):
    """gives 0 for 1 / sqrt(0), where it is the highest integer."""

    title = "1 / sqrt(0) is 0"

    def root_of_nothing(self, highest: int) -> int:
        """The integer 0."""
        return 0


MISTAKES = (
    Logistic255, FixedPointForTable, TableForFixedPoint, EntriesCutOff, EntriesDivided,
    LinesCutOff, NoLines, PlainPoints, RealRoots, RootOfNothing,
)  # fmt: skip
