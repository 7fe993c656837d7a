"""Exercises of lesson 10: gates, states and what waits for them; hybrid and integer LSTM (Q27, Q31, Q39)."""

from __future__ import annotations

import numpy as np

from ptq.kernels.eigen import eigen_tanh
from ptq.lessons.exercise import Exercise, Lesson

F = np.float32
_RNG = np.random.default_rng(10)
_HAND, _OPEN = (0.5, 0.5, 0, 0.5, 1), (0, 1, 0.7, 1, 0.25)
_DRAWN = _RNG.uniform([0, 0, -1, 0, -2], [1, 1, 1, 1, 2], (4, 5))
_GATES = [tuple(F(v) for v in row) for row in (_HAND, _OPEN, *_DRAWN)]
_P = [F(c) for c in (1.394553628e-8, 2.102733560e-5, 3.520756727e-3, 1.340216100e-1)]
_Q = [F(c) for c in (8.015776984e-7, 3.326951409e-4, 2.597254514e-2, 4.673548340e-1, 1.0)]

CELL = Exercise(
    title="One cell, one step.",
    question="""
The sums of the four gates have been through their sigmoid and tanh already: i, f, o lie between 0 and 1, g
between -1 and 1. Return the new cell state and the output, (c, h), as float32 (Q27). The last argument is the
function to squash c with.
""",
    stub="""
def cell(i, f, g, o, c, tanh):
    return c, o * c
""",
    answer="""
def cell(i, f, g, o, c, tanh):
    c = f * c + g * i
    return c, o * tanh(c)
""",
    hints=[
        "The forget gate multiplies what the cell held, the input gate what the candidate g offers.",
        "The output is taken from the *new* c, squashed by tanh.",
    ],
    cases=[(*gates, eigen_tanh) for gates in _GATES],
    unit="real units",
)

WAITING = Exercise(
    title="How much has to wait?",
    question="""
An LSTM with so many inputs and cells (outputs: the cells) reads so many steps. Its four gates have input
weights W and recurrent weights R. Return two numbers of multiplications of one weight with one activation:
those that could all be done before the first step, and those that have to wait for the step before them. (The
first step waits, too: for the state of the last invocation.)
""",
    stub="""
def multiplications(steps, inputs, cells):
    return steps * inputs * cells, steps * cells
""",
    answer="""
def multiplications(steps, inputs, cells):
    return 4 * steps * cells * inputs, 4 * steps * cells * cells
""",
    hints=[
        "W of one gate is a matrix [cells, inputs], R a matrix [cells, cells].",
        "There are four of each, and every weight meets one number at every step.",
    ],
    cases=[(1, 1, 1), (20, 36, 96), (64, 128, 16)],
    unit="products",
)

GATE = Exercise(
    title="A hybrid gate.",
    question="""
The sum of a gate in hybrid arithmetic, from its two exact accumulators. x and h were quantized apart: scale_x
and scale_h are those of the two rows, scale_w and scale_r those of the two matrices. The order of the float32
operations is: bias, then the input's product, then the state's. Each product is
accumulator * (scale of the row * scale of the weights), as in Q6. Return a float32, the very bits.
""",
    stub="""
def gate(bias, acc_x, scale_x, scale_w, acc_h, scale_h, scale_r):
    return bias + np.float32(acc_x + acc_h) * (scale_x * scale_w)
""",
    answer="""
def gate(bias, acc_x, scale_x, scale_w, acc_h, scale_h, scale_r):
    total = bias + np.float32(acc_x) * (scale_x * scale_w)
    return total + np.float32(acc_h) * (scale_h * scale_r)
""",
    hints=[
        "Two accumulators may be added as integers only if they have the same scale. These have not.",
        "total = bias + np.float32(acc_x) * (scale_x * scale_w), and then once more with h.",
        "Off by 1e-7? Then an order is another one: of the three terms, or of the factors (the brackets).",
    ],
    cases=[
        (F(b), ax, F(sx), F(sw), ah, F(sh), F(sr))
        for b, ax, sx, sw, ah, sh, sr in (
            (1.0, 5021, 0.0314, 0.0046, -9777, 0.0078, 0.0083),
            (-0.3, -12345, 0.0271, 0.0052, 23001, 0.0011, 0.0056),
            (0.1, 777, 0.0199, 0.0064, 0, 1.0, 0.0061),
            (0.3, 5400, 0.034, 0.0033, 7051, 0.0078, 0.0086),
            (-0.6, 2518, 0.028, 0.0096, 739, 0.0078, 0.0096),
        )
    ],
    unit="real units",
)

TANH = Exercise(
    title="Eigen's tanh.",
    question="""
tanh x = (x + x^3 P(x^2)) / Q(x^2) (Q31): clamp x to +-limit, 7.9, square it, evaluate both polynomials by
Horner's rule (`p` and `q` are lists of coefficients, the highest first), and divide. The numerator is
square * x * P + x. Every operation in float32; x is an array. Return the very bits.
""",
    stub="""
def rational_tanh(x, limit, p, q):
    x = np.clip(x, -limit, limit)
    square = x * x
    return square * x + x
""",
    answer="""
def horner(square, coefficients):
    total = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * square + coefficient
    return total


def rational_tanh(x, limit, p, q):
    x = np.clip(x, -limit, limit)
    square = x * x
    return (square * x * horner(square, p) + x) / horner(square, q)
""",
    hints=[
        "Horner: start with the first coefficient; for each other one multiply by the square and add it.",
        "The last coefficient of Q is 1: for tiny x the quotient is x itself.",
    ],
    cases=[
        (np.array(x, F), F(7.90738964080810547), _P, _Q)
        for x in ([0.0, 0.5, -1.0, 3.0], np.linspace(-10, 10, 41), [1e-20, 7.9, 8, 100])
    ],
    unit="real units",
)

INTEGER_CELL = Exercise(
    title="A cell of integers.",
    question="""
The int8 LSTM keeps its cell state c as an int16 in units of 2^n (n is negative). The gates i, f and the
candidate g are int16 in units of 2^-15. Then (Q39)

    c = clamp(round(f * c * 2^-15) + round(i * g * 2^-(30 + n)))

with the two roundings half away from zero, and the clamp to -32768 ... 32767. Integers alone, no floats.
""",
    stub="""
def integer_cell(i, f, g, c, n):
    return (f * c >> 15) + (i * g >> (30 + n))
""",
    answer="""
def divide(x, exponent):
    half = 1 << (exponent - 1)
    return (x + half) >> exponent if x >= 0 else -((-x + half) >> exponent)


def integer_cell(i, f, g, c, n):
    return min(max(divide(f * c, 15) + divide(i * g, 30 + n), -32768), 32767)
""",
    hints=[
        "A shift to the right rounds down. Adding half of the divisor before it rounds to the nearest.",
        "For negative numbers divide the magnitude, and give the sign back: half away from zero.",
    ],
    cases=[
        (32767, 32767, 32767, 100, -11), (0, 16384, 0, 5, -11), (0, 16384, 0, -5, -11),
        (20000, 30000, -25000, 12345, -11), (32767, 32767, 32767, 32767, -11),
        (32767, 32767, -32768, -32768, -12), (123, 456, 789, -1011, -9),
    ],
)  # fmt: skip

lesson = Lesson(10, "What does an LSTM have to wait for?", [CELL, WAITING, GATE, TANH, INTEGER_CELL])
