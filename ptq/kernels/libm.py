"""exp and tanh on float32 as the C library computes them, operation by operation.

The reference kernels call `expf` and `tanhf`, which do not round correctly: about 1 `expf` in 1,500 and 1
`tanhf` in 3 is a unit in the last place beside the nearest float. LiteRT's wheels take both from the host's
glibc: `expf` is the same since glibc 2.27, `tanhf` until glibc 2.40 (later ones round correctly).
Within their stated error any other C library differs from these by at most 2 units in the last place
for `expf` and 3 for `tanhf`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F = np.float32

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

_BLOCK = 1 << 14
"""Elements per step: the doubles of a block stay in the cache."""


def expf(x: Array) -> Array:
    """e^x = 2^(k / 32) * (1 + polynomial(r)), where x * 32 / ln 2 = k + r with k whole, |r| <= 1/2.

    x: float32, any shape; the result has the same. Evaluated in double and rounded once at the end; the
    error is at most 0.502 units in the last place. Infinite above 88.72, 0 below -103.97, NaN for NaN.
    Source: glibc 2.27 to date, `sysdeps/ieee754/flt-32/e_expf.c` (from ARM's optimized routines).
    """
    flat = x.reshape(-1)
    result = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            result[start : start + _BLOCK] = _expf(flat[start : start + _BLOCK])
    np.copyto(result, F(np.inf), where=flat > _OVERFLOW)
    np.copyto(result, F(0), where=flat < _UNDERFLOW)
    return result.reshape(x.shape)


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


# --- tanh -----------------------------------------------------------------------------------------

_LN2_HIGH = F(6.9313812256e-01)
_LN2_LOW = F(9.0580006145e-06)
_PER_LN2 = F(1.4426950216e00)
_HALF_LN2 = F(0.34657359)
_EXPM1_POLYNOMIAL = [
    F(c)
    for c in (-3.3333335072e-2, 1.5873016091e-3, -7.9365076090e-5, 4.0082177293e-6, -2.0109921195e-7)
]


def tanhf(x: Array) -> Array:
    """tanh x = 1 - 2 / (expm1(2x) + 2) for x >= 1, -expm1(-2x) / (expm1(-2x) + 2) for 0 <= x < 1.

    x: float32, any shape; the result has the same. Every operation rounds to float32; odd in x.
    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_tanhf.c`.
    """
    flat = x.reshape(-1)
    result = np.empty_like(flat)
    with np.errstate(all="ignore"):
        for start in range(0, flat.size, _BLOCK):
            result[start : start + _BLOCK] = _tanhf(flat[start : start + _BLOCK])
    return result.reshape(x.shape)


def _tanhf(x: Array) -> Array:
    size = np.abs(x)
    large = size >= F(1)
    t = _expm1f(np.where(large, size, -size) * F(2))
    result = np.where(large, F(1) - F(2) / (t + F(2)), -t / (t + F(2)))
    result = np.where(size < F(2.0**-55), size, result)
    result = np.where(size >= F(22), F(1), result)
    result = np.where(np.isnan(x), x, np.copysign(result, x))
    return result


def _expm1f(x: Array) -> Array:
    """e^x - 1 on float32, for -2 <= x <= 0 and 2 <= x <= 44, which is what tanh needs.

    x = k * ln 2 + r with |r| <= ln 2 / 2; e^r - 1 from a rational function; 2^k * (e^r - 1) + (2^k - 1).
    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_expm1f.c`.
    """
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
    """2^k * (1 + r - e) - 1, by the formula that loses least for each k (1 does not occur)."""
    power = np.ldexp(F(1), -k)
    minus_one = F(0.5) * (r - e) - F(0.5)
    distant = np.ldexp(F(1) - (e - r), k) - F(1)
    below = np.ldexp((F(1) - power) - (e - r), k)
    above = np.ldexp((r - (e + power)) + F(1), k)
    result = np.where(k < 23, below, above)
    result = np.where((k <= -2) | (k > 56), distant, result)
    return np.where(k == -1, minus_one, result)
