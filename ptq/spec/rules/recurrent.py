"""What the recurrent operators and SVDF share: sums in lanes, and products that are skipped."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.spec.numbers import f32
from ptq.spec.rules.accumulating import Term
from ptq.spec.rules.real import RealNumbers
from ptq.spec.rules.running import RunningQuantizer

FLOAT_LANES = 4
"""The floats of a register of the vector code."""


class Recurrent(RunningQuantizer, RealNumbers):
    """The rules of operators whose output is an input of the next step."""

    def adds_nothing(self, row: Sequence[float], group: Sequence[Sequence[float]]) -> bool:
        """Whether a product is skipped: where all rows that are computed together are zero."""
        return not any(map(any, group))

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
