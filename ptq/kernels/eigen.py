"""tanh and the logistic function as the Eigen library approximates them.

The recurrent operators (and a TANH fused into hybrid FULLY_CONNECTED) do not call the C library: they run
Eigen's vectorised approximations, which differ from it in the last bits. Every operation below is one
float32 operation of Eigen's, in its order; builds that fuse multiply and add round differently.

Eigen goes through a buffer in packets of four floats that start at multiples of 16 bytes. What lies before
the first such address and after the last whole packet is computed one by one, with other code: for tanh
the same rational function, for the logistic function the C library's expf.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.kernels.libm import expf

Array = npt.NDArray[Any]
F = np.float32

PACKET = 4
"""The floats of a packet: 16 bytes, an SSE register."""

_TANH_LIMIT = F(7.90738964080810547)
_TANH_NUMERATOR = [F(c) for c in (1.394553628e-8, 2.102733560e-5, 3.520756727e-3, 1.340216100e-1)]
_TANH_DENOMINATOR = [
    F(c) for c in (8.015776984e-7, 3.326951409e-4, 2.597254514e-2, 4.673548340e-1, 1.0)
]  # fmt: skip

_LOGISTIC_ZERO, _LOGISTIC_LIMIT = F(-104), F(16.6355324)
"""Where the result is taken for 0, and for 1."""
_LOG2_E, _HALF = F(1.44269504), F(0.5)
_LN2_HIGH, _LN2_LOW = F(-0.693359375), F(2.12194440e-4)
_EXP_EVEN = [F(c) for c in (4.1898667812347412109375e-2, 0.49999141693115234375)]
_EXP_ODD = [F(c) for c in (8.33471305668354034423828125e-3, 0.16666877269744873046875)]


def eigen_tanh(x: Array) -> Array:
    """tanh x = (x + x^3 P(x^2)) / Q(x^2), a quotient of polynomials, with x clamped to +-7.9.     (Q31)

    x: float32, any shape. Source: Eigen, `GenericPacketMathFunctions.h`, ptanh_float.
    """
    clamped = np.minimum(np.maximum(x, -_TANH_LIMIT), _TANH_LIMIT)
    square = clamped * clamped
    numerator = _polynomial(square, _TANH_NUMERATOR)
    denominator = _polynomial(square, _TANH_DENOMINATOR)
    result: Array = (square * clamped * numerator + clamped) / denominator
    return result


def eigen_logistic(x: Array, single: Array | None = None) -> Array:
    """1 / (1 + e^-x), computed as e^x / (1 + e^x), with e^x = (2^m e^r)^2 for x / 2 = m ln 2 + r. (Q32)

    x: float32, any shape. single: bool, as x, the elements that are not part of a packet: see
    `outside_packets`; None if there are none, as where all sizes are multiples of 4.
    Source: Eigen, `functors/UnaryFunctors.h`, scalar_logistic_op<float>, and its
    `GenericPacketMathFunctions.h`, pexp_float.
    """
    clamped = np.clip(x, _LOGISTIC_ZERO, _LOGISTIC_LIMIT)
    with np.errstate(invalid="ignore"):
        power = _exp_packet(clamped)
    if single is not None:
        power[single] = expf(clamped[single])
    result: Array = power / (F(1) + power)
    np.copyto(result, F(0), where=x < _LOGISTIC_ZERO)
    return result


def outside_packets(index: Array, start: Array | int, size: int) -> Array:
    """Which elements of a buffer Eigen computes one by one: those before and after its whole packets.

    index, start: where an element and its buffer lie, in floats after a 16-byte boundary; they are broadcast.
    size: the floats of the buffer. Returns bool.
    Source: Eigen, `AssignEvaluator.h`, dense_assignment_loop with LinearVectorizedTraversal.
    """
    first = -(-start // PACKET) * PACKET
    behind = (start + size) // PACKET * PACKET
    single: Array = (index < first) | (index >= behind)
    return single


def _exp_packet(x: Array) -> Array:
    """e^x as the square of e^(x/2), whose argument is split into m ln 2 + r with |r| <= ln 2 / 2."""
    half = x * _HALF
    exponent = np.floor(half * _LOG2_E + _HALF)
    rest = exponent * _LN2_HIGH + half
    rest = exponent * _LN2_LOW + rest
    square = rest * rest
    even, odd = _polynomial(square, _EXP_EVEN), _polynomial(square, _EXP_ODD)
    series = square * (rest * odd + even) + (rest + F(1))
    root = np.ldexp(series, exponent.astype(np.int32))
    result: Array = root * root
    return result


def _polynomial(x: Array, coefficients: list[np.float32]) -> Array:
    """The polynomial in Horner's form, highest coefficient first."""
    result: Array = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        result *= x
        result += coefficient
    return result
