"""Comparisons of quantized operands: EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL.

Integers of different scales stand for different reals, so the reals are compared: as whole multiples of
1/256, to which TensorFlow Lite rounds them. With a scale far below that, neighbouring integers are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.kernels import logic
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.common_scale import Factor, below_one
from ptq.kernels.integer.operands import Scaled, check_same_kind, scaled_input, two_operands
from ptq.kernels.operands import check_broadcast

Array = npt.NDArray[Any]
Compare = Callable[[Array, Array], Array]

LEFT_SHIFT = 8
"""Reals are compared in steps of 2^-8."""


def compare_integer(
    a: Array, b: Array, compare: Compare, zero_points: tuple[int, int], factors: tuple[Factor, Factor]
) -> Array:
    """output = compare(256 * real of a, 256 * real of b), both rounded to integers. bool.

    a, b: int8, uint8 or int16, shapes that broadcast. compare: a NumPy comparison, such as np.less. factors:
    the scales. Errors: ShapeError for shapes that do not broadcast.
    Source: `tflite/kernels/internal/reference/comparisons.h`, ComparisonWithScaling.
    """
    check_broadcast(a, b)
    # subtract zero points
    centered_a, centered_b = a.astype(np.int64) - zero_points[0], b.astype(np.int64) - zero_points[1]
    # rescale
    return compare(factors[0](centered_a << LEFT_SHIFT), factors[1](centered_b << LEFT_SHIFT))


# --- for the registry -----------------------------------------------------------------------------


def _comparison(compare: Compare, on_int16: Compare | None = None) -> Kernel:
    """on_int16: what TensorFlow Lite computes on int16, where it does not look at scales."""

    def rule(call: Call) -> Callable[[Array, Array], Array]:
        a, b = operands = [scaled_input(call, 0), scaled_input(call, 1)]
        check_same_kind(call, operands, "int8", "uint8", "int16")
        if on_int16 is not None and a.dtype == np.int16 and _as_they_are(call, a, b):
            return on_int16
        zero_points, factors = (a.zero_point, b.zero_point), (_factor(call, a), _factor(call, b))
        return partial(compare_integer, compare=compare, zero_points=zero_points, factors=factors)

    return lambda call: [two_operands(call, call.once("rule", lambda: rule(call)))]


def _factor(call: Call, x: Scaled) -> Factor:
    return below_one(float(x.scale), call.numerics, defects.COMPARED_SCALE, f"a scale of {x.scale}")


def _as_they_are(call: Call, a: Scaled, b: Scaled) -> bool:
    """Whether int16 is compared without its scales: they are the same, or the defect is reproduced."""
    return a == b or defects.COMPARED_INT16.reproduced(call.numerics, f"scales {a.scale} and {b.scale}")


INTEGER: dict[str, Kernel] = {
    "EQUAL": _comparison(np.equal),
    "NOT_EQUAL": _comparison(np.not_equal),
    "LESS": _comparison(np.less, logic.less),
    "LESS_EQUAL": _comparison(np.less_equal, logic.less_equal),
    "GREATER": _comparison(np.greater, logic.greater),
    "GREATER_EQUAL": _comparison(np.greater_equal, logic.greater_equal),
}
