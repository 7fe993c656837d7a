"""The known mistakes: what test vectors catch, and what the checker tries when a result is wrong."""

from __future__ import annotations

from ptq.oracle.mistakes import (
    accumulators,
    averages,
    converting,
    functions,
    integer_lstm,
    lstm,
    moving,
    plain,
    pointwise,
    recurrent,
    resizing,
    rounding,
    running,
    scales,
    softmax,
    striding,
    sums,
    tables,
    windows,
    zero_points,
)
from ptq.oracle.mistakes.core import Mistake

MISTAKES: dict[str, type[Mistake]] = {
    mistake.title: mistake
    for mistake in (
        *rounding.MISTAKES, *zero_points.MISTAKES, *accumulators.MISTAKES, *scales.MISTAKES,
        *running.MISTAKES,
        *windows.MISTAKES, *sums.MISTAKES, *lstm.MISTAKES, *recurrent.MISTAKES, *integer_lstm.MISTAKES,
        *converting.MISTAKES,
        *functions.MISTAKES,
        *plain.MISTAKES, *pointwise.MISTAKES,
        *moving.MISTAKES, *striding.MISTAKES,
        *averages.MISTAKES, *resizing.MISTAKES, *softmax.MISTAKES, *tables.MISTAKES,
    )
}  # fmt: skip
"""By title."""
