"""What the recurrent operators and SVDF share: sums in lanes, and products that are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ptq.spec.numbers import f32
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

    def shift_memory(self, memory: list[float], newest: float) -> list[float]:
        """What a filter of SVDF remembers after a step: all but the oldest value, then the newest."""
        return [*memory[1:], newest]

    def filter_of_unit(self, unit: int, r: int, rank: int, filters: int) -> int:
        """The r-th filter of a unit of SVDF: those of one unit lie side by side."""
        return unit * rank + r

    def time_weight(self, q: float, scale: Sequence[float]) -> float:
        """A time weight of SVDF: int8 ones are turned into floats, as the state is not quantized."""
        return f32(q * scale[0]) if len(scale) else q

    def add_in_lanes(self, total: float, terms: Sequence[Term]) -> float:
        """total + sum a * b: what fills whole registers is summed in lanes, each product left is added. (Q30)

        Source: `tflite/kernels/internal/optimized/neon_tensor_utils.cc`, MatrixBatchVectorMultiplyAccumulate.
        """
        products = [f32(a * b) for a, b in terms]
        lanes = FLOAT_LANES if self.simd else 1
        whole = len(products) // lanes * lanes
        value = f32(total + self.lane_total(products[:whole], lanes))
        for product in products[whole:]:
            value = f32(value + product)
        rule = "float sums in lanes" if lanes > 1 else "ordered float sums"
        return self.write(
            "accumulate", "accumulator", value, "{} + sum of {} float32 products in {} lanes", total,
            len(products), lanes, terms=terms, rule=rule,
        )  # fmt: skip

    def lane_total(self, terms: Sequence[float], lanes: int) -> float:
        """((lane_0 + lane_1) + lane_2) + ..., where lane_j = t_j + t_(j + lanes) + ..., in float32."""
        sums = [0.0] * lanes
        for position, term in enumerate(terms):
            sums[position % lanes] = f32(sums[position % lanes] + term)
        total = sums[0]
        for lane in sums[1:]:
            total = f32(total + lane)
        return total
