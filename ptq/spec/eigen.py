"""tanh and the logistic function of the Eigen library on one float32 at a time, operation by operation.

The recurrent operators run Eigen's approximations, not the C library's functions, from which they differ in
the last bits. Every operation is one float32 operation, in Eigen's order; builds that fuse multiply and add
round differently. Eigen goes through a buffer in packets of four floats; what fills none takes another way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.spec.libm import expf
from ptq.spec.numbers import f32

PACKET = 4
"""The floats of a packet: 16 bytes, an SSE register."""

TANH_LIMIT = f32(7.90738964080810547)
TANH_NUMERATOR = [f32(c) for c in (1.394553628e-8, 2.102733560e-5, 3.520756727e-3, 1.340216100e-1)]
TANH_DENOMINATOR = [
    f32(c) for c in (8.015776984e-7, 3.326951409e-4, 2.597254514e-2, 4.673548340e-1, 1.0)
]  # fmt: skip

SIGMOID_ZERO, SIGMOID_LIMIT = -104.0, f32(16.6355324)
"""Below the first the logistic function is 0; beyond the second it stays as it is there."""

LOG2_E = f32(1.44269504)
LN2_HIGH, LN2_LOW = -0.693359375, f32(2.12194440e-4)
EXP_EVEN = [f32(c) for c in (4.1898667812347412109375e-2, 0.49999141693115234375)]
EXP_ODD = [f32(c) for c in (8.33471305668354034423828125e-3, 0.16666877269744873046875)]


def eigen_tanh(x: float) -> float:
    """tanh x = (x + x^3 P(x^2)) / Q(x^2), a quotient of polynomials, with x clamped to +-7.9.     (Q31)

    Source: Eigen, `GenericPacketMathFunctions.h`, ptanh_float.
    """
    if math.isnan(x):
        return x
    clamped = min(max(x, -TANH_LIMIT), TANH_LIMIT)
    square = f32(clamped * clamped)
    numerator, denominator = polynomial(square, TANH_NUMERATOR), polynomial(square, TANH_DENOMINATOR)
    return f32(multiply_add(f32(square * clamped), numerator, clamped) / denominator)


def eigen_sigmoid(x: float, single: bool = False) -> float:
    """e^x / (1 + e^x).                                                                            (Q32)

    single: whether x fills no packet, see `outside_packets`: then e^x is the C library's.
    Source: Eigen, `functors/UnaryFunctors.h`, scalar_logistic_op<float>.
    """
    if math.isnan(x) or x < SIGMOID_ZERO:
        return x if math.isnan(x) else 0.0
    clamped = min(x, SIGMOID_LIMIT)
    power = expf(clamped) if single else exp_in_packet(clamped)
    return f32(power / f32(1.0 + power))


def outside_packets(place: int, start: int, size: int) -> bool:
    """Whether Eigen computes an element by itself: before a buffer's first whole packet, or after its last.

    place, start: where the element and its buffer lie, in floats after a 16-byte boundary. size: its own.
    Source: Eigen, `AssignEvaluator.h`, dense_assignment_loop with LinearVectorizedTraversal.
    """
    first = -(-start // PACKET) * PACKET
    behind = (start + size) // PACKET * PACKET
    return not first <= place < behind


def exp_in_packet(x: float) -> float:
    """e^x as the square of e^(x/2) = 2^m e^r, with x / 2 = m ln 2 + r and |r| <= ln 2 / 2.

    Source: Eigen, `GenericPacketMathFunctions.h`, pexp_float.
    """
    half = f32(x * 0.5)
    exponent = math.floor(multiply_add(half, LOG2_E, 0.5))
    rest = multiply_add(exponent, LN2_LOW, multiply_add(exponent, LN2_HIGH, half))
    square = f32(rest * rest)
    even, odd = polynomial(square, EXP_EVEN), polynomial(square, EXP_ODD)
    series = multiply_add(square, multiply_add(rest, odd, even), f32(rest + 1.0))
    root = f32(math.ldexp(series, exponent))
    return f32(root * root)


def multiply_add(a: float, b: float, c: float) -> float:
    """a * b + c, rounded twice."""
    return f32(f32(a * b) + c)


def polynomial(x: float, coefficients: Sequence[float]) -> float:
    """The polynomial in Horner's form, highest coefficient first."""
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = multiply_add(total, x, coefficient)
    return total
