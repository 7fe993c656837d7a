"""Mistakes of hybrid kernels: how activations are quantized at run time, or that they are not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Number, divide, f32
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.running import Row


class BatchRange(Mistake):
    """quantizes all rows of a batch with the range of the batch, where each row has a scale of its own."""

    title = "one range for the batch"

    def range_of(self, values: Sequence[float], batch: Sequence[float]) -> tuple[float, float]:
        """Of everything."""
        return super().range_of(batch, batch)


class RangeWithoutZero(Mistake):
    """quantizes a row from its smallest to its largest number, even if 0 does not lie between them."""

    title = "range without 0"

    def range_of(self, values: Sequence[float], batch: Sequence[float]) -> tuple[float, float]:
        """The numbers alone."""
        return f32(min(values)), f32(max(values))


class AlwaysAsymmetric(Mistake):
    """quantizes rows with a zero point, where it is to be 0."""

    title = "asymmetric rows"

    def row_is_symmetric(self, asked: bool) -> bool:
        """Never."""
        return False


class AlwaysSymmetric(Mistake):
    """quantizes rows without a zero point, where they have one."""

    title = "symmetric rows"

    def row_is_symmetric(self, asked: bool) -> bool:
        """Always."""
        return True


class RowsBy128(Mistake):
    """quantizes symmetric rows to -128 to 127, with max|x| / 128, where it is -127 to 127 and / 127."""

    title = "symmetric rows over 128"

    def symmetric_row(self, values: Sequence[float], low: float, high: float) -> Row:
        """scale = max|x| / 128."""
        reach = max(abs(low), abs(high))
        scale, inverse = f32(reach / 128), f32(divide(128, reach))
        return Row(self.row_values(values, scale, inverse, 0, (-128, 127)), scale, 0)


class PortableQuantizer(Mistake):
    """quantizes rows as the portable source says, where the vector code runs."""

    title = "portable row quantizer"

    @property
    def simd(self) -> bool:
        """Never."""
        return False


class VectorQuantizer(Mistake):
    """quantizes rows as the vector code does, where the portable source is meant."""

    title = "vector row quantizer"

    @property
    def simd(self) -> bool:
        """Always."""
        return True


class EarlyZeroPoint(Mistake):
    """adds the zero point of a row before it rounds, where the vector code adds it after."""

    title = "zero point before rounding"

    def row_integer(self, y: float, zero_point: int, in_lanes: bool) -> int:
        """round(y + z)."""
        return self.round_activation(f32(zero_point + y))


class LateZeroPoint(Mistake):
    """adds the zero point of a row after it has rounded, where the portable source adds it before."""

    title = "zero point after rounding"

    def row_integer(self, y: float, zero_point: int, in_lanes: bool) -> int:
        """round(y) + z."""
        return self.round_activation(y) + zero_point


class RowsHalfToEven(Mistake):
    """rounds the activations of a row half to even, where ties go away from zero."""

    title = "rows half to even"

    def round_activation(self, y: float) -> int:
        """Ties to even."""
        return self.round_half_even(y)

    def round_in_lanes(self, y: float) -> int:
        """Ties to even."""
        return self.round_half_even(y)


class ExactLanes(Mistake):
    """rounds 0.49999997 to 0, as it should be, where the x86 vector code makes it 1."""

    title = "lanes rounded exactly"

    def round_in_lanes(self, y: float) -> int:
        """Ties away from zero."""
        return self.round_half_away(y)


class RowsDivided(Mistake):
    """divides the activations of a row by its scale, where the library multiplies by the inverse."""

    title = "rows divided by the scale"

    def in_steps(self, x: float, scale: float, inverse: float) -> float:
        """x / scale."""
        return f32(divide(x, scale))


class RealActivations(Mistake):
    """multiplies the weights by the float activations, where these are quantized to int8 first."""

    title = "activations not quantized"

    def quantize_row(
        self, values: Sequence[float], symmetric: bool, key: object = 0, batch: Sequence[float] | None = None
    ) -> Row:
        """The reals."""
        reals: Sequence[Number] = values
        return Row(reals, 1.0, 0)  # type: ignore[arg-type]

    def accumulate(self, terms: Iterable[Term], bits: int = 32, what: str = "w * x") -> int:
        """Their sum in float32."""
        listed = list(terms)
        if all(isinstance(x, int) for _, x in listed):  # of a kernel that has no reals
            return super().accumulate(listed, bits, what)
        return self.sum_of_products(listed)  # type: ignore[return-value]


MISTAKES = (
    BatchRange, RangeWithoutZero, AlwaysAsymmetric, AlwaysSymmetric, RowsBy128, PortableQuantizer,
    VectorQuantizer, EarlyZeroPoint, LateZeroPoint, RowsHalfToEven, ExactLanes, RowsDivided, RealActivations,
)  # fmt: skip
