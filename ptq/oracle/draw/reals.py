"""Boundary problems of all float layers: the order of sums, bias, bounds, infinities and NaN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ptq.oracle.draw.matrices import matrix_problem
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted


def real_problems(operator: str, version: int = 1, bias: bool = True) -> Iterator[Problem]:
    """For an operator with a bias, or without."""
    rng = np.random.default_rng(7)

    def problem(x: Any, weights: Any, biases: Any = None, **more: Any) -> Problem:
        given = Given(np.array(biases, np.float32), None, CONSTANT) if bias and biases is not None else None
        return matrix_problem(
            operator, Given(np.array(x, np.float32)), Given(np.array(weights, np.float32), None, CONSTANT),
            given, Wanted(), version=version, **more,
        )  # fmt: skip

    yield problem(
        rng.normal(0, 1, (3, 21)), rng.normal(0, 1, (3, 21)), rng.normal(0, 1, 3), order_free=False,
        purpose="products are rounded and added one after the other, every sum is rounded; the bias is last",
    )  # fmt: skip
    yield problem(
        [[2.0**24, 1, -(2.0**24), 1], [1, 2.0**24, 1, -(2.0**24)]], [[1, 1, 1, 1]], [0.0], order_free=False,
        purpose="sums that cancel show the order in which they are added",
    )  # fmt: skip
    yield problem(
        [[1, 2], [-0.0, 0.0], [-3, 0.5]], [[1, 2], [-0.5, 4]], [0.25, -0.0],
        purpose="sums start from +0; the bias is added",
    )  # fmt: skip
    if bias:
        for name in ("RELU", "RELU6", "RELU_N1_TO_1"):
            yield problem(
                [[1], [-1], [7], [np.nan]], [[1], [0.75]], [0, 0.5],
                options={"fused_activation_function": name}, purpose=f"{name} clamps, and keeps NaN",
            )  # fmt: skip
        yield problem(
            [[np.inf], [-np.inf], [np.nan], [3e38]], [[1], [2]], [0, 1],
            purpose="without an activation infinities become the largest float; NaN stays",
        )  # fmt: skip
