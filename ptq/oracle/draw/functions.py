"""Problems of functions of one float32: activations, EXP, LOG, SQRT, ...; SOFTMAX and its kin on rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.oracle.draw.core import Array, Draw, Random, pick, reals, shape_of
from ptq.oracle.draw.plain import any_shape, floats, problem, values
from ptq.oracle.problem import Problem

TYPES: dict[str, tuple[str, ...]] = {
    "FLOOR": ("float32", "float16"),
    "ABS": ("float32", "int16", "int32"),
    "NEG": ("float32", "float16", "int8", "int16", "int32", "int64"),
}
"""The dtypes of those that take others than float32."""

SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-40, -1e-40, 3.4028235e38, -3.4028235e38)
UNROUNDED = "the C library's {} is not rounded correctly"
SPECIAL_PURPOSE = "zeros of both signs, infinities, NaN, subnormals and the largest numbers"

BOUNDARY: dict[str, list[tuple[tuple[float, ...], str]]] = {
    "RELU": [((-1.0, 1.0, -1e-30, 1e30), "no upper bound")],
    "RELU6": [((5.999999, 6.0, 6.000001, -1.0), "bounds at 0 and 6, both included")],
    "RELU_N1_TO_1": [((-1.000001, -1.0, -0.5, 0.5, 1.0, 1.000001), "bounds at -1 and 1, both included")],
    "LOGISTIC": [
        ((-9.0, -9.000001, -8.999999, -87.5, -100.0, -103.9, -104.0), "below -9 the result is e^x itself"),
        ((16.619047, 16.61905, 17.0, 90.0), "above 16.6 the result is 1"),
        ((-0.5, 0.5, 1.0, 2.5, -3.25, 12.0), "between the cut-offs 1 / (1 + e^-x), each step in float32"),
        ((-58.046875, 8.0, -37.46875), UNROUNDED.format("e^x")),
    ],
    "TANH": [
        ((0.015625, 0.046875, 0.09375, 0.125, 0.1875, 0.75), UNROUNDED.format("tanh")),
        ((1.0, 0.9999999, -1.0, 2.5, -9.0, 9.1, 21.9, 22.0, -50.0), "both formulas, and 1 for large numbers"),
        ((1e-9, -1e-9, 2.7e-17, 0.17328, 0.17329, 0.5198, 0.51987), "small numbers stay; multiples of ln 2"),
    ],
    "ELU": [
        ((-0.046875, -0.296875, -0.375, -0.546875, -0.921875), UNROUNDED.format("e^x - 1")),
        ((-1e-6, -1e-9, -3e-8, -0.25, -18.7, -18.8, -88.0, 3.0), "e^x - 1 near 0; -1 below -18.7"),
    ],
    "HARD_SWISH": [
        ((-3.0, -3.000001, -2.5, -1.0, 1.0, 3.0, 3.1, 7.0), "0 up to -3, x from 3, between x * gate / 6"),
        ((0.1, 0.7, 1.3, -0.9, 2.3, -1.7), "divided by 6, not multiplied by a rounded sixth"),
    ],
    "EXP": [
        ((-67.25, -58.046875, -37.46875, 43.53125, 48.8125, 68.203125), UNROUNDED.format("e^x")),
        ((88.72283, 88.72284, 88.7229, 89.0), "the largest result, and infinity above it"),
        ((-87.33654, -87.5, -100.0, -103.27893, -103.97208, -103.97209, -104.0), "subnormal results, then 0"),
        ((1.0, -1.0, 0.5, 10.0, 1e-8), "ordinary numbers"),
    ],
    "LOG": [
        ((26.34375, 45.046875, 140.703125, 177.875, 180.15625), UNROUNDED.format("ln x")),
        ((-1.0, -1e-45, -np.inf), "NaN below zero"),
        ((1.0, 0.99999994, 1.0000001, 0.5, 2.0, 2.7182817, 1.1754944e-38), "around 1, where ln is near 0"),
    ],
    "SQRT": [
        ((2.0, 3.0, 0.1, 1e-40, 4.0), "rounded correctly, subnormals included"),
        ((-1.0, -1e-45), "NaN below zero"),
    ],
    "RSQRT": [
        ((3.0, 5.0, 7.0, 0.1, 0.3, 1e-40, 4.0), "root and quotient are rounded each"),
        ((-1.0, -1e-45), "NaN below zero"),
    ],
    "SQUARE": [((1e-23, 1e-20, 1.1, -3.3, 1.8446742e19, 1.8446744e19, 1e20), "underflow and overflow")],
    "FLOOR": [
        ((0.5, -0.5, 1.5, -1.5, 2.0, -2.0, 0.99999994, -1e-30), "downwards on both sides of zero"),
        ((8388607.5, -8388607.5, 8388608.0, 16777216.0, 3e9, -3e9), "beyond 2^23 all floats are whole"),
    ],
    "ABS": [],
    "NEG": [],
}  # fmt: skip


def one_operand(operator: str) -> Draw:
    """The problems of a function that is applied element by element."""
    names = TYPES.get(operator, ("float32",))

    def boundary() -> Iterable[Problem]:
        yield problem(operator, [floats(*SPECIAL)], purpose=SPECIAL_PURPOSE)
        for numbers, purpose in BOUNDARY[operator]:
            yield problem(operator, [floats(*numbers)], purpose=purpose)
        for name in names[1:]:
            if name == "float16":
                halves = np.array(
                    [1.5, -1.5, -0.0, 0.0, np.inf, -np.inf, np.nan, 6e-8, -6e-8, 65504], np.float16
                )
                yield problem(
                    operator, [halves], purpose="float16 keeps the sign of zero, NaN and infinities"
                )
            else:
                limits = np.iinfo(name)
                ends = np.array([limits.min, limits.min + 1, -1, 0, 1, limits.max], name)
                yield problem(operator, [ends], purpose=f"the smallest {name} has no positive twin: it wraps")

    def random(rng: Random) -> Problem:
        name = pick(rng, names)
        x = values(rng, any_shape(rng), name)
        if name == "float32" and rng.random() < 0.4:
            x = rng.uniform(-20, 20, x.shape).astype(np.float32)
        return problem(operator, [x])

    return Draw(boundary, random)


# --- LEAKY_RELU -----------------------------------------------------------------------------------


def leaky_boundary() -> Iterable[Problem]:
    """Slopes of all signs, on zeros and both sides of it."""
    x = floats(*SPECIAL, 1.0, -1.0, -0.3, 7.0)
    for slope, purpose in [
        (0.1, "an ordinary slope, rounded to float32; infinities, NaN and subnormals"),
        (-3.0, "a zero is multiplied by the slope, too: a negative one turns its sign"),
        (1.5, "a slope above 1, where the larger of x and slope * x is another number"),
        (0.0, "slope 0: -0 below zero, and NaN for -infinity"),
    ]:
        yield problem("LEAKY_RELU", [x], purpose=purpose, alpha=slope)


def leaky_random(rng: Random) -> Problem:
    """Any numbers and slopes."""
    slope = float(pick(rng, [0.0, 0.01, 0.2, 1.5, -3.0, float(np.float32(rng.normal()))]))
    return problem("LEAKY_RELU", [values(rng, any_shape(rng), "float32")], alpha=slope)


# --- along the last axis --------------------------------------------------------------------------


def _rows(rng: Random) -> Array:
    """Rows of up to 24 numbers. (LiteRT's optimized SOFTMAX ends the process where there are none.)"""
    shape = (*shape_of(rng, int(rng.integers(0, 3)), 3), int(rng.integers(1, 25)))
    return reals(rng, shape, odd=0.2)


LARGE = floats(100.0, 99.0, 98.5, 88.0, -100.0)
SPREAD = floats(*(k * 0.37 - 3.1 for k in range(17))).reshape(1, 17)
ODD_ROWS = np.array(
    [[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, 1, 2], [-np.inf] * 3, [np.inf] * 2 + [-np.inf], [0, -0.0, 0]],
    np.float32,
)
ODD_ROWS_PURPOSE = "NaN and +infinity make their row NaN, as does -infinity alone; one beside others counts 0"


def softmax_boundary() -> Iterable[Problem]:
    """Large numbers, long rows, other factors, what is not finite."""
    yield problem(
        "SOFTMAX", [LARGE], purpose="e^100 is no float32: the largest is subtracted first", beta=1.0
    )
    yield problem("SOFTMAX", [-LARGE], purpose="only negative numbers: the largest is not 0", beta=1.0)
    yield problem("SOFTMAX", [SPREAD], purpose="17 powers are added in order, in float32", beta=1.0)
    tiny = floats(0.0, *[-17.0] * 20)
    yield problem(
        "SOFTMAX", [tiny], purpose="powers below half a step of the sum so far are lost in float32", beta=1.0
    )
    yield problem(
        "SOFTMAX", [SPREAD.reshape(17, 1)], purpose="only the last axis is a row: each result is 1", beta=1.0
    )
    exponents = floats(0.0, -67.25, -58.046875, -37.46875, -1.0)
    yield problem("SOFTMAX", [exponents], purpose=UNROUNDED.format("e^x"), beta=1.0)
    yield problem(
        "SOFTMAX",
        [SPREAD.reshape(17)[:6].reshape(2, 3)],
        purpose="the factor multiplies the difference",
        beta=0.1,
    )
    yield problem("SOFTMAX", [ODD_ROWS], purpose=ODD_ROWS_PURPOSE, beta=1.0)


def softmax_random(rng: Random) -> Problem:
    """Rows and factors of all scales."""
    beta = float(np.float32(pick(rng, [1.0, 1.0, 0.5, 2.5, 1e-3, 0.1])))
    return problem("SOFTMAX", [_rows(rng)], beta=beta)


def log_softmax_boundary() -> Iterable[Problem]:
    """The same, but for the factor."""
    yield problem("LOG_SOFTMAX", [LARGE], purpose="e^100 is no float32: the largest is subtracted first")
    yield problem("LOG_SOFTMAX", [-LARGE], purpose="only negative numbers: the largest is not 0")
    yield problem("LOG_SOFTMAX", [SPREAD], purpose="17 powers are added in order, in float32")
    tiny = floats(0.0, *[-17.0] * 20)
    yield problem(
        "LOG_SOFTMAX", [tiny], purpose="powers below half a step of the sum so far are lost in float32"
    )
    yield problem("LOG_SOFTMAX", [floats(0.0, *[-0.4892578125] * 8)], purpose=UNROUNDED.format("e^x"))
    logarithms = floats(0, -0.339599609375, 0, -0.4248046875, 0, -0.44921875).reshape(3, 2)
    yield problem("LOG_SOFTMAX", [logarithms], purpose=UNROUNDED.format("ln x"))
    yield problem("LOG_SOFTMAX", [ODD_ROWS], purpose=ODD_ROWS_PURPOSE)


def l2_boundary() -> Iterable[Problem]:
    """Zeros and numbers whose squares underflow, overflow or round."""
    yield problem("L2_NORMALIZATION", [floats(3.0, 4.0)], purpose="0.6 and 0.8")
    yield problem(
        "L2_NORMALIZATION",
        [floats(0, 0, -0.0, 0, 1e-7, -2e-7, 1e-23, 1e-23).reshape(4, 2)],
        purpose="the norm is at least 10^-6: zeros stay zeros",
    )
    yield problem("L2_NORMALIZATION", [SPREAD], purpose="17 squares are added in order, in float32")
    yield problem(
        "L2_NORMALIZATION", [floats(1.0, *[2.0e-4] * 20)], purpose="squares that are lost in a float32 sum"
    )
    yield problem(
        "L2_NORMALIZATION", [floats(1e20, 1.0, -1e20)], purpose="an infinite sum of squares gives zeros"
    )
    yield problem(
        "L2_NORMALIZATION",
        [ODD_ROWS],
        purpose="a row with NaN is NaN; infinity over infinity is NaN, others are 0",
    )
    yield problem(
        "L2_NORMALIZATION",
        [floats(1.1, 2.3, 0.7, 5.9, 3.3, 1.9)],
        purpose="each element is divided by the norm, not multiplied by its rounded reciprocal",
    )


FLOAT = {
    **{operator: one_operand(operator) for operator in BOUNDARY},
    "LEAKY_RELU": Draw(leaky_boundary, leaky_random),
    "SOFTMAX": Draw(softmax_boundary, softmax_random),
    "LOG_SOFTMAX": Draw(log_softmax_boundary, lambda rng: problem("LOG_SOFTMAX", [_rows(rng)])),
    "L2_NORMALIZATION": Draw(l2_boundary, lambda rng: problem("L2_NORMALIZATION", [_rows(rng)])),
}
