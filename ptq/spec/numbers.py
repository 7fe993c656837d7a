"""float32 arithmetic on Python numbers: a Python float is a double, which is rounded after every operation.

Sums, differences, products, quotients and square roots of two float32 numbers, computed in double and then
rounded to float32, are the correctly rounded float32 results: a double has more than 2 * 24 + 2 bits.
"""

from __future__ import annotations

import math
import struct
from ctypes import c_float

Number = int | float
"""An element of a tensor: an integer, a float or a bool."""

Index = tuple[int, ...]


def f32(x: Number) -> float:
    """x rounded to float32, ties to even; beyond the largest float32 it is infinite."""
    return c_float(x).value


def divide(a: float, b: float) -> float:
    """a / b in double as IEEE 754 has it: infinite or NaN where Python raises."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def square_root(x: float) -> float:
    """The square root in double; NaN below zero, where Python raises."""
    return math.sqrt(x) if x >= 0 or x != x else math.nan


def minimum(a: float, b: float) -> float:
    """C++'s std::min: the first where neither is smaller, hence also where one is NaN."""
    return b if b < a else a


def maximum(a: float, b: float) -> float:
    """C++'s std::max: the first where neither is larger, hence also where one is NaN."""
    return b if a < b else a


def bits_of(x: float) -> int:
    """The 32 bits of a float32, as an unsigned integer."""
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def float_of(bits: int) -> float:
    """The float32 of 32 bits."""
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])
