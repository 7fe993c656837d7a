"""exp, log, expm1 and tanh on float32 as the C library computes them, operation by operation.

The reference kernels call `expf`, `logf`, `expm1f` and `tanhf`, which do not round correctly: about 1 `expf`
in 1,500 and 1 `tanhf` in 3 is a unit in the last place beside the nearest float. LiteRT's wheels take them
from the host's glibc: `expf` and `logf` are the same since glibc 2.27, `expm1f` and `tanhf` until glibc 2.40
(later ones round correctly). Within their stated error any other C library differs from these by at most 2
units in the last place for `expf` and `logf` and 3 for the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F = np.float32

_BLOCK = 1 << 14
"""Elements per step: the doubles of a block stay in the cache."""


def _in_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    flat = x.reshape(-1)
    result = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            result[start : start + _BLOCK] = function(flat[start : start + _BLOCK])
    return result.reshape(x.shape)


# --- exp ------------------------------------------------------------------------------------------

_STEPS = 32
_STEPS_PER_LN2 = float.fromhex("0x1.71547652b82fep+0") * _STEPS
_CUBIC = float.fromhex("0x1.c6af84b912394p-5") / _STEPS**3
_SQUARE = float.fromhex("0x1.ebfce50fac4f3p-3") / _STEPS**2
_LINEAR = float.fromhex("0x1.62e42ff0c52d6p-1") / _STEPS
_OVERFLOW = F(float.fromhex("0x1.62e42ep6"))
_UNDERFLOW = F(float.fromhex("-0x1.9fe368p6"))
_POWERS = np.array([2.0 ** (i / _STEPS) for i in range(_STEPS)])
"""2^(i / 32), correctly rounded to double."""


def expf(x: Array) -> Array:
    """e^x = 2^(k / 32) * (1 + polynomial(r)), where x * 32 / ln 2 = k + r with k whole, |r| <= 1/2.

    x: float32, any shape; the result has the same. Evaluated in double and rounded once at the end; the
    error is at most 0.502 units in the last place. Infinite above 88.72, 0 below -103.97, NaN for NaN.
    Source: glibc 2.27 to date, `sysdeps/ieee754/flt-32/e_expf.c` (from ARM's optimized routines).
    """
    result = _in_blocks(_expf, x)
    np.copyto(result, F(np.inf), where=x > _OVERFLOW)
    np.copyto(result, F(0), where=x < _UNDERFLOW)
    return result


def _expf(x: Array) -> Array:
    r = np.multiply(x, _STEPS_PER_LN2, dtype=np.float64)
    whole = np.rint(r)
    r -= whole
    k = whole.astype(np.int32)
    cubic = _CUBIC * r
    cubic += _SQUARE
    linear = _LINEAR * r
    linear += 1.0
    r *= r
    cubic *= r
    linear += cubic
    linear *= np.ldexp(_POWERS[k % _STEPS], k // _STEPS)
    return linear


# --- log ------------------------------------------------------------------------------------------

_CENTRES = [
    ("0x1.661ec79f8f3bep+0", "-0x1.57bf7808caadep-2"), ("0x1.571ed4aaf883dp+0", "-0x1.2bef0a7c06ddbp-2"),
    ("0x1.49539f0f010bp+0", "-0x1.01eae7f513a67p-2"), ("0x1.3c995b0b80385p+0", "-0x1.b31d8a68224e9p-3"),
    ("0x1.30d190c8864a5p+0", "-0x1.6574f0ac07758p-3"), ("0x1.25e227b0b8eap+0", "-0x1.1aa2bc79c81p-3"),
    ("0x1.1bb4a4a1a343fp+0", "-0x1.a4e76ce8c0e5ep-4"), ("0x1.12358f08ae5bap+0", "-0x1.1973c5a611cccp-4"),
    ("0x1.0953f419900a7p+0", "-0x1.252f438e10c1ep-5"), ("0x1p+0", "0x0p+0"),
    ("0x1.e608cfd9a47acp-1", "0x1.aa5aa5df25984p-5"), ("0x1.ca4b31f026aap-1", "0x1.c5e53aa362eb4p-4"),
    ("0x1.b2036576afce6p-1", "0x1.526e57720db08p-3"), ("0x1.9c2d163a1aa2dp-1", "0x1.bc2860d22477p-3"),
    ("0x1.886e6037841edp-1", "0x1.1058bc8a07ee1p-2"), ("0x1.767dcf5534862p-1", "0x1.4043057b6ee09p-2"),
]  # fmt: skip
"""1 / c and ln c of a number c near the middle of each sixteenth of [0.7, 1.4)."""

_INVERSE, _LOGARITHM = (
    np.array([float.fromhex(c) for c in column]) for column in zip(*_CENTRES, strict=True)
)
_LOG_POLYNOMIAL = [
    float.fromhex(c) for c in ("-0x1.00ea348b88334p-2", "0x1.5575b0be00b6ap-2", "-0x1.ffffef20a4123p-2")
]
_LN2 = float.fromhex("0x1.62e42fefa39efp-1")
_LOWEST_MANTISSA = np.uint32(0x3F330000)
"""The bits of 0.699..., where the sixteenths begin."""


def logf(x: Array) -> Array:
    """ln x = k ln 2 + ln c + polynomial(z / c - 1), where x = 2^k z and c is near z.

    x: float32, any shape; the result has the same. Evaluated in double and rounded once at the end; the
    error is at most 0.818 units in the last place. -Infinity for zeros; NaN for NaN and below 0.
    Source: glibc 2.27 to date, `sysdeps/ieee754/flt-32/e_logf.c` (from ARM's optimized routines).
    """
    result = _in_blocks(_logf, x)
    np.copyto(result, F(-np.inf), where=x == 0)
    np.copyto(result, F(np.inf), where=x == np.inf)
    np.copyto(result, F(np.nan), where=~(x >= 0))
    return result


def _logf(x: Array) -> Array:
    subnormal = x < np.finfo(F).tiny
    bits = np.where(subnormal, x * F(2.0**23), x).view(np.uint32) - _LOWEST_MANTISSA
    k = bits.view(np.int32) >> 23
    z = ((bits & np.uint32(0x7FFFFF)) + _LOWEST_MANTISSA).view(F)
    sixteenth = (bits >> np.uint32(19)) & np.uint32(15)
    r = z * _INVERSE[sixteenth] - 1
    whole = _LOGARITHM[sixteenth] + (k - 23 * subnormal) * _LN2
    square = r * r
    y = _LOG_POLYNOMIAL[1] * r + _LOG_POLYNOMIAL[2]
    y = _LOG_POLYNOMIAL[0] * square + y
    result: Array = y * square + (whole + r)
    return result


# --- expm1 and tanh -------------------------------------------------------------------------------

_LN2_HIGH = F(6.9313812256e-01)
_LN2_LOW = F(9.0580006145e-06)
_PER_LN2 = F(1.4426950216e00)
_HALF_LN2 = F(0.34657359)
_ALL_BUT_ONE = F(18.714973)
"""27 ln 2: the power of a number below minus that vanishes beside 1."""

_EXPM1_POLYNOMIAL = [
    F(c) for c in (-3.3333335072e-2, 1.5873016091e-3, -7.9365076090e-5, 4.0082177293e-6, -2.0109921195e-7)
]


def tanhf(x: Array) -> Array:
    """tanh x = 1 - 2 / (expm1(2x) + 2) for x >= 1, -expm1(-2x) / (expm1(-2x) + 2) for 0 <= x < 1.

    x: float32, any shape; the result has the same. Every operation rounds to float32; odd in x.
    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_tanhf.c`.
    """
    return _in_blocks(_tanhf, x)


def _tanhf(x: Array) -> Array:
    size = np.abs(x)
    large = size >= F(1)
    t = expm1f(np.where(large, size, -size) * F(2))
    result = np.where(large, F(1) - F(2) / (t + F(2)), -t / (t + F(2)))
    result = np.where(size < F(2.0**-55), size, result)
    result = np.where(size >= F(22), F(1), result)
    result = np.where(np.isnan(x), x, np.copysign(result, x))
    return result


def expm1f(x: Array) -> Array:
    """e^x - 1 = 2^k (e^r - 1) + (2^k - 1), where x = k ln 2 + r with |r| <= ln 2 / 2.

    x: float32, any shape; the result has the same. e^r - 1 comes from a rational function; every operation
    rounds to float32. Infinite above 88.72, -1 below -18.71, NaN for NaN.
    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_expm1f.c`.
    """
    result = _in_blocks(_expm1f, x)
    np.copyto(result, F(np.inf), where=x > _OVERFLOW)
    np.copyto(result, F(-1), where=x < -_ALL_BUT_ONE)
    return result


def _expm1f(x: Array) -> Array:
    k, r, lost = _reduce(x)
    half = F(0.5) * r
    square = r * half
    rational = np.full_like(r, _EXPM1_POLYNOMIAL[-1])
    for coefficient in _EXPM1_POLYNOMIAL[-2::-1]:
        rational = coefficient + square * rational
    rational = F(1) + square * rational
    t = F(3) - rational * half
    e = square * ((rational - t) / (F(6) - r * t))
    unscaled = r - (r * e - square)
    e = r * (e - lost) - lost
    e -= square
    return np.where(np.abs(x) < F(2.0**-25), x, np.where(k == 0, unscaled, _scaled(k, r, e)))


def _reduce(x: Array) -> tuple[Array, Array, Array]:
    """k, r and what r lost to rounding: x = k * ln 2 + (r + lost)."""
    size = np.abs(x)
    near = np.trunc(_PER_LN2 * x + np.copysign(F(0.5), x))
    near = np.where(size < F(1.5) * F(np.log(2.0)), np.copysign(F(1), x), near)
    k = np.where(size > _HALF_LN2, near, F(0))
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    return k.astype(np.int32), r, (high - r) - low


def _scaled(k: Array, r: Array, e: Array) -> Array:
    """2^k * (1 + r - e) - 1, by the formula that loses least for each k."""
    power = np.ldexp(F(1), -k)
    minus_one = F(0.5) * (r - e) - F(0.5)
    one = np.where(r < F(-0.25), F(-2) * (e - (r + F(0.5))), F(1) + F(2) * (r - e))
    distant = np.ldexp(F(1) - (e - r), k) - F(1)
    below = np.ldexp((F(1) - power) - (e - r), k)
    above = np.ldexp((r - (e + power)) + F(1), k)
    result = np.where(k < 23, below, above)
    result = np.where((k <= -2) | (k > 56), distant, result)
    result = np.where(k == 1, one, result)
    return np.where(k == -1, minus_one, result)
