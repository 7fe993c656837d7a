"""expf, logf, expm1f and tanhf of the C library on one float32 at a time, operation by operation.

TensorFlow Lite's reference kernels call these functions of glibc, which do not round correctly: another
library's results, or correctly rounded ones, are other numbers, now and then by a unit in the last place.
All take and give Python floats that are float32 numbers.
"""

from __future__ import annotations

import math

from ptq.spec.numbers import bits_of, f32, float_of

# --- exp ------------------------------------------------------------------------------------------

STEPS = 32
STEPS_PER_LN2 = float.fromhex("0x1.71547652b82fep+0") * STEPS
EXP_CUBIC = float.fromhex("0x1.c6af84b912394p-5") / STEPS**3
EXP_SQUARE = float.fromhex("0x1.ebfce50fac4f3p-3") / STEPS**2
EXP_LINEAR = float.fromhex("0x1.62e42ff0c52d6p-1") / STEPS
OVERFLOW = float.fromhex("0x1.62e42ep6")
UNDERFLOW = float.fromhex("-0x1.9fe368p6")
POWERS = [2.0 ** (i / STEPS) for i in range(STEPS)]
"""2^(i / 32), rounded to double."""


def expf(x: float) -> float:
    """e^x = 2^(k / 32) * (1 + polynomial(r)), where x * 32 / ln 2 = k + r; in double, rounded at the end.

    Source: glibc 2.27 to date, `sysdeps/ieee754/flt-32/e_expf.c`.
    """
    if math.isnan(x):
        return x
    if x > OVERFLOW:
        return math.inf
    if x < UNDERFLOW:
        return 0.0
    places = x * STEPS_PER_LN2
    k = round(places)  # ties to even
    r = places - k
    y = (EXP_CUBIC * r + EXP_SQUARE) * (r * r) + (EXP_LINEAR * r + 1.0)
    return f32(y * math.ldexp(POWERS[k % STEPS], k // STEPS))


# --- log ------------------------------------------------------------------------------------------

CENTRES = [
    (float.fromhex(inverse), float.fromhex(logarithm))
    for inverse, logarithm in (
        ("0x1.661ec79f8f3bep+0", "-0x1.57bf7808caadep-2"), ("0x1.571ed4aaf883dp+0", "-0x1.2bef0a7c06ddbp-2"),
        ("0x1.49539f0f010bp+0", "-0x1.01eae7f513a67p-2"), ("0x1.3c995b0b80385p+0", "-0x1.b31d8a68224e9p-3"),
        ("0x1.30d190c8864a5p+0", "-0x1.6574f0ac07758p-3"), ("0x1.25e227b0b8eap+0", "-0x1.1aa2bc79c81p-3"),
        ("0x1.1bb4a4a1a343fp+0", "-0x1.a4e76ce8c0e5ep-4"), ("0x1.12358f08ae5bap+0", "-0x1.1973c5a611cccp-4"),
        ("0x1.0953f419900a7p+0", "-0x1.252f438e10c1ep-5"), ("0x1p+0", "0x0p+0"),
        ("0x1.e608cfd9a47acp-1", "0x1.aa5aa5df25984p-5"), ("0x1.ca4b31f026aap-1", "0x1.c5e53aa362eb4p-4"),
        ("0x1.b2036576afce6p-1", "0x1.526e57720db08p-3"), ("0x1.9c2d163a1aa2dp-1", "0x1.bc2860d22477p-3"),
        ("0x1.886e6037841edp-1", "0x1.1058bc8a07ee1p-2"), ("0x1.767dcf5534862p-1", "0x1.4043057b6ee09p-2"),
    )
]  # fmt: skip
"""1 / c and ln c of a number c near the middle of each sixteenth of [0.7, 1.4)."""

LOG_CUBIC, LOG_SQUARE, LOG_LINEAR = (
    float.fromhex(c) for c in ("-0x1.00ea348b88334p-2", "0x1.5575b0be00b6ap-2", "-0x1.ffffef20a4123p-2")
)
LN2 = float.fromhex("0x1.62e42fefa39efp-1")
LOWEST_MANTISSA = 0x3F330000
"""The bits of 0.699..., where the sixteenths begin."""


def logf(x: float) -> float:
    """ln x = k ln 2 + ln c + polynomial(z / c - 1), where x = 2^k z and c is near z; in double, rounded once.

    Source: glibc 2.27 to date, `sysdeps/ieee754/flt-32/e_logf.c`.
    """
    if x == 0:
        return -math.inf
    if not x > 0:
        return math.nan
    if math.isinf(x):
        return x
    subnormal = x < 2.0**-126
    bits = bits_of(x * 2.0**23 if subnormal else x) - LOWEST_MANTISSA
    k = (bits >> 23) - (23 if subnormal else 0)
    z = float_of((bits & 0x7FFFFF) + LOWEST_MANTISSA)
    inverse, logarithm = CENTRES[bits >> 19 & 15]
    r = z * inverse - 1.0
    square = r * r
    y = LOG_CUBIC * square + (LOG_SQUARE * r + LOG_LINEAR)
    return f32(y * square + ((logarithm + k * LN2) + r))


# --- expm1 and tanh -------------------------------------------------------------------------------

LN2_HIGH, LN2_LOW, PER_LN2 = f32(6.9313812256e-01), f32(9.0580006145e-06), f32(1.4426950216e00)
HALF_LN2 = f32(0.34657359)
THREE_HALVES_LN2 = f32(f32(1.5) * f32(math.log(2.0)))
ALL_BUT_ONE = f32(18.714973)
"""27 ln 2: the power of a number below minus that vanishes beside 1."""

EXPM1_POLYNOMIAL = [
    f32(c)
    for c in (1.0, -3.3333335072e-2, 1.5873016091e-3, -7.9365076090e-5, 4.0082177293e-6, -2.0109921195e-7)
]


def expm1f(x: float) -> float:
    """e^x - 1 = 2^k (e^r - 1) + (2^k - 1), where x = k ln 2 + r; every operation rounds to float32.

    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_expm1f.c`.
    """
    if math.isnan(x) or abs(x) < 2.0**-25:
        return x
    if x > OVERFLOW:
        return math.inf
    if x < -ALL_BUT_ONE:
        return -1.0
    k = _halvings(x)
    high, low = f32(x - f32(k * LN2_HIGH)), f32(k * LN2_LOW)
    r = f32(high - low)
    lost = f32(f32(high - r) - low)
    half = f32(0.5 * r)
    square = f32(r * half)
    rational = EXPM1_POLYNOMIAL[-1]
    for coefficient in EXPM1_POLYNOMIAL[-2::-1]:
        rational = f32(coefficient + f32(square * rational))
    t = f32(3.0 - f32(rational * half))
    e = f32(square * f32(f32(rational - t) / f32(6.0 - f32(r * t))))
    if k == 0:
        return f32(r - f32(f32(r * e) - square))
    return _scaled(k, r, f32(f32(f32(r * f32(e - lost)) - lost) - square))


def _halvings(x: float) -> int:
    """k in x = k ln 2 + r."""
    if abs(x) <= HALF_LN2:
        return 0
    if abs(x) < THREE_HALVES_LN2:
        return 1 if x > 0 else -1
    return math.trunc(f32(f32(PER_LN2 * x) + math.copysign(0.5, x)))


def _scaled(k: int, r: float, e: float) -> float:
    """2^k * (1 + r - e) - 1, by the formula that loses least for each k."""
    if k == -1:
        return f32(f32(0.5 * f32(r - e)) - 0.5)
    if k == 1:
        if r < -0.25:
            return f32(-2.0 * f32(e - f32(r + 0.5)))
        return f32(1.0 + f32(2.0 * f32(r - e)))
    if k <= -2 or k > 56:
        return f32(f32(math.ldexp(f32(1.0 - f32(e - r)), k)) - 1.0)
    power = math.ldexp(1.0, -k)
    if k < 23:
        return f32(math.ldexp(f32(f32(1.0 - power) - f32(e - r)), k))
    return f32(math.ldexp(f32(f32(r - f32(e + power)) + 1.0), k))


def tanhf(x: float) -> float:
    """tanh x = 1 - 2 / (expm1(2x) + 2) for x >= 1, -expm1(-2x) / (expm1(-2x) + 2) for 0 <= x < 1; odd in x.

    Source: glibc up to 2.40, `sysdeps/ieee754/flt-32/s_tanhf.c`.
    """
    size = abs(x)
    if math.isnan(x) or size < 2.0**-55:
        return x
    if size >= 22:
        y = 1.0
    elif size >= 1:
        t = expm1f(f32(size * 2.0))
        y = f32(1.0 - f32(2.0 / f32(t + 2.0)))
    else:
        t = expm1f(f32(-size * 2.0))
        y = f32(-t / f32(t + 2.0))
    return math.copysign(y, x)
