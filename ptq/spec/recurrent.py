"""What recurrent operators and SVDF share: a row of activations that meets a weight matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ptq.spec.numbers import f32
from ptq.spec.question import Operand
from ptq.spec.rules import Rules
from ptq.spec.rules.running import Row


@dataclass(frozen=True)
class Activations:
    """A row that meets weights. quantized: None in float layers. skipped: whether its product is left out."""

    values: Sequence[float]
    quantized: Row | None
    skipped: bool


def add_product(
    rules: Rules, total: float, met: Activations, weights: Operand, scale: float, unit: int
) -> float:
    """total + row `unit` of the weights times the activations; scale: that of the weights."""
    inner = weights.shape[1]
    row = weights.values[unit * inner : (unit + 1) * inner]
    nothing = "0: all activations are zero"
    if met.quantized is None:
        if met.skipped:
            return rules.write("accumulate", "accumulator", total, f"{{}} + {nothing}", total)
        return rules.add_in_lanes(total, list(zip(row, met.values, strict=True)))
    if met.skipped:
        rules.write("accumulate", "accumulator", 0, nothing)
        rules.write("accumulate", "without_zero_point", 0, nothing)
        rules.write("rescale", "rescaled", 0.0, nothing)
        return total
    # accumulate
    integers = [int(w) for w in row]
    accumulator = rules.accumulate(list(zip(integers, met.quantized.values, strict=True)), what="w * q")
    accumulator = rules.subtract_row_sum(accumulator, met.quantized.zero_point, integers)
    # rescale
    return rules.add_to_gate(total, rules.scale_at_once(f32(accumulator), met.quantized.scale, scale))
