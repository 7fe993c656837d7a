"""Numbers without a scale: integers that wrap, sums in order, comparisons, where the largest is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Number, divide, f32
from ptq.spec.question import LIMITS
from ptq.spec.rules.real import FLT_MAX, RealNumbers

REDUCE = "tflite/kernels/internal/reference/reduce.h"
LANES = 4
"""How many floats the vector code behind ARG_MAX compares at once."""


class PlainNumbers(RealNumbers):
    """The rules of operators that take reals and plain integers alike."""

    def held(self, x: Number, type: str) -> Number:
        """The result of an operation in a type: rounded to float32, or wrapped to the bits of the integer."""
        if type == "FLOAT32":
            return f32(x)
        if type == "BOOL":
            return bool(x)
        if type not in LIMITS:  # float16: what it takes part in is exact
            return x
        return wrapped(int(x), type)

    def clamp_plain(self, x: Number, type: str, activation: str) -> Number:
        """The fused activation on plain integers, which have no other bounds."""
        low, high = self.fused_bounds(activation)
        clamped = x if low is None else max(x, int(low))
        clamped = clamped if high is None else min(clamped, int(high))
        return self.write("clamp", "output", clamped, "{} of {}", activation, x)

    def integer_quotient(self, a: int, b: int, type: str) -> int:
        """a / b without its fraction, as C divides: toward zero; the lowest integer / -1 is the highest."""
        size = abs(a) // abs(b)
        return min(size, LIMITS[type][1]) if (a < 0) == (b < 0) else -size

    def floor(self, x: float) -> float:
        """The largest whole number <= x; -0, NaN and infinities stay."""
        return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x

    # --- comparing --------------------------------------------------------------------------------

    def larger(self, a: Number, b: Number) -> Number:
        """a if a > b, else b: the second where both are equal or one is NaN."""
        return a if a > b else b

    def smaller(self, a: Number, b: Number) -> Number:
        """a if a < b, else b."""
        return a if a < b else b

    def holds(self, relation: str, a: Number, b: Number) -> bool:
        """Whether a relation holds by value: -0 equals 0, and NaN is in none but !=."""
        return {
            "==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b,
        }[relation]  # fmt: skip

    # --- sums and products ------------------------------------------------------------------------

    def start_of(self, neutral: Number, everything: bool) -> Number | None:
        """Where a reduction starts: at a neutral element; over everything at the first one, but in micro."""
        return None if everything and self.numerics.integer_kernels != "micro" else neutral

    def sum_of(self, terms: Sequence[Number], type: str, start: Number | None = 0) -> Number:
        """start + terms[0] + terms[1] + ... in order, each sum in the type; None: from the first on."""
        first, *rest = list(terms) if start is None else [self.held(start, type), *terms]
        if type == "FLOAT32":
            with self.quietly():
                return self.sum_of_products([(term, 1.0) for term in rest], first)
        total = first
        for term in rest:
            total = self.held(total + term, type)
        return total

    def product_of(self, terms: Sequence[Number], type: str) -> Number:
        """1 * terms[0] * terms[1] * ... in order, each product in the type."""
        total = self.held(1, type)
        for term in terms:
            total = self.held(total * term, type)
        return total

    def mean_of(self, terms: Sequence[Number], type: str) -> Number:
        """The sum divided by the number of its terms, at the end: in float32, or in int64 toward zero."""
        real, count = type == "FLOAT32", len(terms)
        total = self.sum_of(terms, type if real else "INT64")
        what = f"sum of {{}} elements in order, in {'float32' if real else 'int64'}"
        self.write("accumulate", "sum", total, what, count, terms=[(x,) for x in terms])
        mean = f32(divide(total, count)) if real else self.integer_quotient(int(total), count, type)
        return self.write("divide", "output", mean, "{} / {}", total, count, source=f"{REDUCE}, Mean")

    # --- the largest and the smallest -------------------------------------------------------------

    def lowest(self, type: str) -> Number:
        """Where a search for the largest starts: -FLT_MAX, the smallest integer, false."""
        return -FLT_MAX if type == "FLOAT32" else False if type == "BOOL" else LIMITS[type][0]

    def highest(self, type: str) -> Number:
        """Where a search for the smallest starts: FLT_MAX, the largest integer, true."""
        return FLT_MAX if type == "FLOAT32" else True if type == "BOOL" else LIMITS[type][1]

    def largest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """The largest, of equal ones the first; NaN is passed over, but for one at the very start."""
        listed = list(terms) if start is None else [start, *terms]
        best = listed[0]
        for term in listed[1:]:
            best = term if term > best else best
        return best

    def smallest_of(self, terms: Sequence[Number], start: Number | None) -> Number:
        """The smallest, likewise."""
        listed = list(terms) if start is None else [start, *terms]
        best = listed[0]
        for term in listed[1:]:
            best = term if term < best else best
        return best

    # --- where the largest is ---------------------------------------------------------------------

    def has_lanes(self, count: int) -> bool:
        """Whether vector code searches among that many floats: not in the portable source, nor for a few."""
        return self.numerics.dynamic_range == "simd" and count >= LANES

    def first_largest(self, values: Sequence[Number]) -> int:
        """The position of the largest, of equal ones the first; NaN is passed over, 0 if all are.

        In micro a NaN that comes first stays, as nothing is larger.
        """
        best, gives_way = 0, self.numerics.integer_kernels != "micro"
        for position, value in enumerate(values):
            if value > values[best] or (gives_way and math.isnan(values[best]) and not math.isnan(value)):
                best = position
        return best

    def first_largest_in_lanes(self, values: Sequence[Number]) -> int:
        """The same as vector code finds it: the winners of four lanes in pairs, then what fills no register.

        In a pair a first NaN stays, so that a lane of NaN alone can hide others, and lane 0 hides all.
        """
        whole = len(values) // LANES * LANES
        places = [LANES * self.first_largest(values[k:whole:LANES]) + k for k in range(LANES)]
        winners = [values[place] for place in places]
        winner = _later_if_larger(_later_if_larger(*winners[:2]), _later_if_larger(*winners[2:]))
        position = min([place for place in places if values[place] == winner], default=0)
        last = self.first_largest([winner, *values[whole:]])
        return whole + last - 1 if last else position


def wrapped(x: int, type: str) -> int:
    """What the lowest bits of an integer mean in a type."""
    lowest, highest = LIMITS[type]
    bits = (highest - lowest).bit_length()
    return wrap_spec(x, bits) if lowest else x % (1 << bits)


def _later_if_larger(a: Number, b: Number) -> Number:
    return b if a < b else a
