"""Mistakes of operators on reals and plain integers: broadcasting, comparisons, reductions, overflow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import Index, Number, bits_of, f32
from ptq.spec.question import LIMITS


class AlignedFirst(Mistake):
    """aligns shapes of different lengths at the first dimension, where the reference does at the last."""

    title = "broadcasting from the first dimension"

    def broadcast_index(self, shape: Index, index: Index) -> Index:
        """As far as that is possible."""
        return tuple(i % size for size, i in zip(shape, index[: len(shape)], strict=True))


class ColumnsSelected(Mistake):
    """lets a condition of SELECT with one dimension choose columns, where it chooses rows."""

    title = "SELECT by columns"

    def rows_index(self, shape: Index, index: Index) -> Index:
        """The last dimensions, as far as that is possible."""
        aligned = index[len(index) - len(shape) :]
        return tuple(i % size for size, i in zip(shape, aligned, strict=True))


class SaturatingIntegers(Mistake):
    """saturates plain integers that overflow, where the reference wraps them around."""

    title = "plain integers saturate"

    def held(self, x: Number, type: str) -> Number:
        """At the ends of the type."""
        if type not in LIMITS:
            return super().held(x, type)
        lowest, highest = LIMITS[type]
        return min(max(x, lowest), highest)


class FloorDivision(Mistake):
    """rounds quotients of integers down, as Python's // does, where C cuts off toward zero."""

    title = "floor division"

    def integer_quotient(self, a: int, b: int, type: str) -> int:
        """Down."""
        return min(a // b, LIMITS[type][1])


class TruncatingFloor(Mistake):
    """cuts the fraction off for FLOOR, also of negative numbers."""

    title = "FLOOR toward zero"

    def floor(self, x: float) -> float:
        """Toward zero."""
        return math.copysign(float(math.trunc(x)), x) if math.isfinite(x) else x


class NanPassedOver(Mistake):
    """gives the other operand of MAXIMUM and MINIMUM where one is NaN, as C's fmax does."""

    title = "fmax"

    def larger(self, a: Number, b: Number) -> Number:
        """NaN loses."""
        return a if a > b or b != b else b

    def smaller(self, a: Number, b: Number) -> Number:
        """NaN loses."""
        return a if a < b or b != b else b


class NanWins(Mistake):
    """gives NaN where any element is NaN, as NumPy's maximum and max do."""

    title = "NaN wins"

    def larger(self, a: Number, b: Number) -> Number:
        """NaN, if there is one."""
        return a if a != a else super().larger(a, b)

    def smaller(self, a: Number, b: Number) -> Number:
        """NaN, if there is one."""
        return a if a != a else super().smaller(a, b)

    def largest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """NaN, if there is one."""
        return math.nan if any(x != x for x in terms) else super().largest_of(terms, start)

    def smallest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """NaN, if there is one."""
        return math.nan if any(x != x for x in terms) else super().smallest_of(terms, start)


class FirstOfEquals(Mistake):
    """gives the first operand of MAXIMUM and MINIMUM where both are equal or one is NaN, as std::max does."""

    title = "std::max"

    def larger(self, a: Number, b: Number) -> Number:
        """b if a < b."""
        return b if a < b else a

    def smaller(self, a: Number, b: Number) -> Number:
        """b if b < a."""
        return b if b < a else a


class BitsCompared(Mistake):
    """compares floats by their bits: -0 differs from 0, and NaN equals itself."""

    title = "bits compared"

    def holds(self, relation: str, a: Number, b: Number) -> bool:
        """Equality by bits."""
        if relation not in ("==", "!=") or not isinstance(a, float) or not isinstance(b, float):
            return super().holds(relation, a, b)
        return (bits_of(a) == bits_of(b)) == (relation == "==")


class OppositeNegated(Mistake):
    """computes a <= b as not a > b and so on, which is true for NaN."""

    title = "opposite negated"

    def holds(self, relation: str, a: Number, b: Number) -> bool:
        """Not the opposite."""
        opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}.get(relation)
        if opposite is None:
            return super().holds(relation, a, b)
        return not super().holds(opposite, a, b)


class Tolerance(Mistake):
    """takes floats for equal that differ by less than a millionth of their size."""

    title = "equal within a tolerance"

    def holds(self, relation: str, a: Number, b: Number) -> bool:
        """Nearly equal."""
        if relation not in ("==", "!=") or not isinstance(a, float) or not isinstance(b, float):
            return super().holds(relation, a, b)
        return math.isclose(a, b, rel_tol=1e-6) == (relation == "==")


class ComparedAsFloats(Mistake):
    """converts integers to float32 before it compares them: neighbours above 2^24 become equal."""

    title = "integers compared as float32"

    def holds(self, relation: str, a: Number, b: Number) -> bool:
        """Rounded."""
        return super().holds(relation, f32(a), f32(b))

    def larger(self, a: Number, b: Number) -> Number:
        """Rounded."""
        return a if f32(a) > f32(b) else b

    def smaller(self, a: Number, b: Number) -> Number:
        """Rounded."""
        return a if f32(a) < f32(b) else b


class NeutralStart(Mistake):
    """starts reductions over all axes at the neutral element, where the reference starts at the first one."""

    title = "neutral start over all axes"

    def start_of(self, neutral: Number, everything: bool) -> Number | None:
        """The neutral element."""
        return neutral


class StartAtFirst(Mistake):
    """starts all reductions at the first element, where over some axes the reference has a neutral one."""

    title = "start at the first element"

    def largest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """The first one."""
        return super().largest_of(terms, None if terms else start)

    def smallest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """The first one."""
        return super().smallest_of(terms, None if terms else start)


class StartAtZero(Mistake):
    """starts the search for the largest and smallest element at 0."""

    title = "start at 0"

    def lowest(self, type: str) -> Number:
        """0."""
        return super().lowest(type) if type == "BOOL" else 0

    def highest(self, type: str) -> Number:
        """0."""
        return super().highest(type) if type == "BOOL" else 0


class InfiniteStart(Mistake):
    """starts the search for the largest and smallest float at an infinity, not at FLT_MAX."""

    title = "start at infinity"

    def lowest(self, type: str) -> Number:
        """-infinity."""
        return -math.inf if type == "FLOAT32" else super().lowest(type)

    def highest(self, type: str) -> Number:
        """Infinity."""
        return math.inf if type == "FLOAT32" else super().highest(type)


class DividedFirst(Mistake):
    """divides each element of a mean by their number, and then adds."""

    title = "mean of quotients"

    def mean_of(self, terms: Sequence[Number], type: str) -> Number:
        """The sum of quotients."""
        count = len(terms)
        if type == "FLOAT32":
            return self.sum_of([f32(x / count) for x in terms], type)
        return self.sum_of([self.integer_quotient(int(x), count, type) for x in terms], type)


class NarrowMean(Mistake):
    """adds the integers of a mean in their own type, which wraps, where the reference has 64 bits."""

    title = "sum of a mean wraps"

    def mean_of(self, terms: Sequence[Number], type: str) -> Number:
        """No wider."""
        if type == "FLOAT32":
            return super().mean_of(terms, type)
        return self.integer_quotient(int(self.sum_of(terms, type)), len(terms), type)


class LastOfEquals(Mistake):
    """gives the position of the last of equal elements, where the reference gives the first."""

    title = "last of equals"

    def first_largest(self, values: Sequence[Number]) -> int:
        """The last."""
        best = super().first_largest(values)
        return max((place for place, x in enumerate(values) if x == values[best]), default=best)


class NanLargest(Mistake):
    """gives the position of the first NaN, as NumPy's argmax does."""

    title = "position of NaN"

    def first_largest(self, values: Sequence[Number]) -> int:
        """NaN, if there is one."""
        missing = [place for place, x in enumerate(values) if x != x]
        return missing[0] if missing else super().first_largest(values)

    def first_largest_in_lanes(self, values: Sequence[Number]) -> int:
        """The same."""
        return self.first_largest(values)


class NoLanes(Mistake):
    """searches for the largest float one by one, where vector code does in four lanes: NaN hides others."""

    title = "search without lanes"

    def has_lanes(self, count: int) -> bool:
        """Never."""
        return False


MISTAKES = (
    AlignedFirst, ColumnsSelected, SaturatingIntegers, FloorDivision, TruncatingFloor, NanPassedOver, NanWins,
    FirstOfEquals, BitsCompared, OppositeNegated, Tolerance, ComparedAsFloats, NeutralStart, StartAtFirst,
    StartAtZero, InfiniteStart, DividedFirst, NarrowMean, LastOfEquals, NanLargest, NoLanes,
)  # fmt: skip
