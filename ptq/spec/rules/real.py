"""float32 arithmetic: the order of sums, and the clamps of fused activations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ptq.spec.eigen import eigen_tanh
from ptq.spec.numbers import f32, maximum, minimum
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.bounds import Bounds

FLT_MAX = f32(2.0**128 - 2.0**104)
CLAMP_SOURCE = "tflite/kernels/internal/common.h, ActivationFunctionWithMinMax"


class RealNumbers(Bounds):
    """The rules of float kernels, and of the float half of hybrid ones."""

    def sum_of_products(self, terms: Iterable[Term], start: float = 0.0) -> float:
        """start + sum a * b, one term after the other, each product and each sum rounded to float32."""
        listed = list(terms)
        total = start
        for a, b in listed:
            total = f32(total + f32(a * b))
        return self.write(
            "accumulate", "accumulator", total, "sum of {} float32 products in order, from {}", len(listed),
            start, terms=listed, rule="ordered float sums",
        )  # fmt: skip

    def sum_with_bias(self, terms: Iterable[Term], bias: float | None) -> float:
        """(0 + sum a * b) + bias: the bias comes last."""
        listed = list(terms)
        self.order_bound(listed, bias or 0.0)
        total = self.sum_of_products(listed)
        return total if bias is None else self.add_real_bias(total, bias)

    def order_bound(self, terms: Sequence[Term], bias: float = 0.0) -> None:
        """How far another order of the sum may lead from this one: each errs by half of it at most.

        (K + 2) * 2^-23 * (sum |a * b| + |bias|) for K terms, in double.
        """
        if self.sheet is None:
            return
        size = sum(abs(a * b) for a, b in terms) + abs(bias)
        bound = (len(terms) + 2) * 2.0**-23 * size
        self.write("accumulate", "order_bound", bound, "({} + 2) * 2^-23 * {}", len(terms), size)

    def add_real_bias(self, total: float, bias: float) -> float:
        """total + bias in float32."""
        return self.write("add bias", "biased", f32(total + bias), "{} + {}", total, bias)

    def clamp_real(self, x: float, activation: str) -> float:
        """min(max(x, low), high) with FLT_MAX where an activation has no bound; NaN stays.        (Q14)

        Source: `tflite/kernels/kernel_util.h`, CalculateActivationRange.
        """
        low, high = self.fused_bounds(activation)
        lowest, highest = -FLT_MAX if low is None else low, FLT_MAX if high is None else high
        clamped = minimum(maximum(x, lowest), highest)
        return self.write(
            "clamp", "output", clamped, "min(max({}, {}), {})", x, lowest, highest, source=CLAMP_SOURCE
        )

    def activate(self, x: float, activation: str) -> float:
        """The activation alone: no bounds of float; the lower bound for NaN; TANH is Eigen's.       (Q14)

        Source: `tflite/kernels/internal/tensor_utils.h`, ApplyActivationToVector.
        """
        if activation == "TANH":
            return self.write("clamp", "output", self.eigen_tanh(x), "tanh {}", x, rule="Eigen's tanh")
        low, high = self.fused_bounds(activation)
        y = x
        if low is not None:
            y = low if math.isnan(x) else maximum(low, x)
        if high is not None:
            y = minimum(y, high)
        return self.write("clamp", "output", y, "{} of {}", activation, x)

    def eigen_tanh(self, x: float) -> float:
        """tanh as the Eigen library approximates it."""
        return eigen_tanh(x)
