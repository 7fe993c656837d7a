"""What the recurrent operators and SVDF share: sums in lanes, and products that are skipped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from ptq.spec import libm
from ptq.spec.numbers import f32, maximum, minimum
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.real import RealNumbers
from ptq.spec.rules.running import RunningQuantizer

State = TypeVar("State")

FLOAT_LANES = 4
"""The floats of a register of the vector code."""


class Recurrent(RunningQuantizer, RealNumbers):
    """The rules of operators whose output is an input of the next step."""

    def adds_nothing(self, row: Sequence[float], group: Sequence[Sequence[float]]) -> bool:
        """Whether a product is skipped: where all rows that are computed together are zero."""
        return not any(map(any, group))

    def carried_state(self, states: Sequence[State], step: int) -> State:
        """Of the states before each step the one that a step reads: what the step before it left."""
        return states[step]

    def state_seen(
        self, before: Sequence[float], unit: int, updated: Callable[[int], float]
    ) -> Sequence[float]:
        """The state that a unit of an RNN reads: that before the step, for all units alike.

        updated: the new value of a unit, which those after it do not see yet.
        """
        return before

    def moment_read(self, time: int, row: int, steps: int, batch: int, time_major: bool) -> tuple[int, int]:
        """The time and the row whose input is read: in their order in memory, as `time_major` says."""
        return time, row

    def memory_shown(self, before: Sequence[float], after: Sequence[float]) -> Sequence[float]:
        """What SVDF filters over time: its memory with the newest value in it."""
        return after

    def shift_memory(self, memory: list[float], newest: float) -> list[float]:
        """What a filter of SVDF remembers after a step: all but the oldest value, then the newest."""
        return [*memory[1:], newest]

    def filter_of_unit(self, unit: int, r: int, rank: int, filters: int) -> int:
        """The r-th filter of a unit of SVDF: those of one unit lie side by side."""
        return unit * rank + r

    def time_weight(self, q: float, scale: Sequence[float]) -> float:
        """A time weight of SVDF: int8 ones are turned into floats, as the state is not quantized."""
        return f32(q * scale[0]) if len(scale) else q

    def filters_in_micro(self, hybrid: bool) -> bool:
        """Whether SVDF is micro's own: that of floats, as there is no hybrid one."""
        return not hybrid and self.numerics.integer_kernels == "micro"

    def bias_comes_first(self, hybrid: bool) -> bool:
        """Whether SVDF adds its filters to the bias, and not the bias to their sum: so micro has it."""
        return self.filters_in_micro(hybrid)

    def add_filters(self, values: Sequence[float], bias: float | None, hybrid: bool) -> float:
        """The sum of a unit's filters and its bias.

        Source: `tflite/kernels/internal/reference/svdf.h`, ApplyTimeWeightsBiasAndActivation; tflite-micro,
        `micro/kernels/svdf_common.cc`, the same.
        """
        terms = [(value, 1.0) for value in values]
        if self.bias_comes_first(hybrid):
            return self.sum_of_products(terms, 0.0 if bias is None else bias)
        total = self.add_in_lanes(0.0, terms)
        return total if bias is None else self.add_real_bias(total, bias)

    def activate_filter(self, x: float, activation: str, hybrid: bool) -> float:
        """The activation of SVDF: as that of recurrent layers, but for micro, which has no hybrid one.

        Source: tflite-micro, `micro/kernels/activation_utils.h`, ActivationValFloat.
        """
        if not self.filters_in_micro(hybrid):
            return self.activate(x, activation)
        if activation == "TANH":
            y = self.filter_tanh(x)
            return self.write("clamp", "output", y, "tanh {}", x, rule="the C library's tanh")
        return self.write("clamp", "output", self.bound_filter(x, activation), "{} of {}", activation, x)

    def filter_tanh(self, x: float) -> float:
        """tanh as glibc rounds it, which micro calls."""
        return libm.tanhf(x)

    def bound_filter(self, x: float, activation: str) -> float:
        """fmax(low, fmin(x, high)): of NaN and a bound each takes the bound, the upper one first."""
        low, high = self.fused_bounds(activation)
        y = x
        if high is not None:
            y = high if math.isnan(y) else minimum(y, high)
        if low is not None:
            y = low if math.isnan(y) else maximum(low, y)
        return y

    def add_in_lanes(self, total: float, terms: Sequence[Term]) -> float:
        """total + sum a * b: what fills whole registers is summed in lanes, each product left is added. (Q30)

        Source: `tflite/kernels/internal/optimized/neon_tensor_utils.cc`, MatrixBatchVectorMultiplyAccumulate.
        """
        products = [f32(a * b) for a, b in terms]
        lanes = self.float_lanes()
        whole = len(products) // lanes * lanes
        value = f32(total + self.lane_total(products[:whole], lanes))
        for product in products[whole:]:
            value = f32(value + product)
        rule = "float sums in lanes" if lanes > 1 else "ordered float sums"
        return self.write(
            "accumulate", "accumulator", value, "{} + sum of {} float32 products in {} lanes", total,
            len(products), lanes, terms=terms, rule=rule,
        )  # fmt: skip

    def float_lanes(self) -> int:
        """How many float products are added at once: the portable source has one lane."""
        return FLOAT_LANES if self.simd else 1

    def lane_total(self, terms: Sequence[float], lanes: int) -> float:
        """((lane_0 + lane_1) + lane_2) + ..., where lane_j = t_j + t_(j + lanes) + ..., in float32."""
        sums = [0.0] * lanes
        for position, term in enumerate(terms):
            sums[position % lanes] = f32(sums[position % lanes] + term)
        total = sums[0]
        for lane in sums[1:]:
            total = f32(total + lane)
        return total
