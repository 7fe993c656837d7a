"""One step of an LSTM: what a gate's sum is made of, how cell and output follow from the gates.

The gates are called "input", "forget", "candidate" (TensorFlow Lite's cell gate) and "output". Source of
all: `tflite/kernels/lstm_eval.cc`, LstmStepFloat and LstmStepHybrid.
"""

from __future__ import annotations

from collections.abc import Sequence

from ptq.spec.eigen import eigen_sigmoid
from ptq.spec.numbers import divide, f32, maximum, minimum, square_root
from ptq.spec.question import Operand
from ptq.spec.rules.recurrent import Recurrent
from ptq.spec.rules.running import Row

States = tuple[Operand, Operand]
"""Output state and cell state."""

INPUT, FORGET, CANDIDATE, OUTPUT = "input", "forget", "candidate", "output"
NORMALIZATION = f32(1e-8)
"""What layer normalisation adds to the variance, lest it divide by 0."""

NORMALIZE = "tflite/kernels/internal/reference/portable_tensor_utils.cc, PortableMeanStddevNormalization"
STEP = "tflite/kernels/lstm_eval.cc"


class Gates(Recurrent):
    """The rules of the LSTM operators."""

    # --- which operand, which row, which time -----------------------------------------------------

    def gate_operand(self, gate: str) -> int:
        """Where a gate's operand stands among the four of a kind: input, forget, candidate, output."""
        return (INPUT, FORGET, CANDIDATE, OUTPUT).index(gate)

    def peephole_operand(self, gate: str) -> int:
        """The same among the three peepholes, of which the candidate has none."""
        return (INPUT, FORGET, OUTPUT).index(gate)

    def time_read_backward(self, step: int, steps: int) -> int:
        """The time whose input a step of a backward layer reads: it begins at the end."""
        return steps - 1 - step

    def backward_step_shown(self, time: int, steps: int) -> int:
        """The step whose result stands at a time of its output: the one that read the input there."""
        return self.time_read_backward(time, steps)

    def first_states(self, own: States, other: States) -> States:
        """The states that a layer begins with: its own, not those of the other direction."""
        return own

    def backward_input(self, x: Operand, auxiliary: Operand | None, has_weights: bool) -> Operand:
        """What a backward layer reads as x: the auxiliary input if that has no weights of its own."""
        return x if auxiliary is None or has_weights else auxiliary

    def merged_place(self, place: int, forward: int, backward: int) -> tuple[bool, int]:
        """Direction and output unit of an element of the merged output: the forward layer's come first."""
        return place >= forward, place - forward if place >= forward else place

    # --- sums of the gates ------------------------------------------------------------------------

    def quantize_state(self, h: Sequence[float], x: Sequence[float], symmetric: bool, key: object) -> Row:
        """The output before this step, quantized with a scale of its own, whatever that of the input is."""
        return self.quantize_row(h, symmetric, key)

    def gate_scale(self, scales: Sequence[float], gate: int) -> float:
        """The scale of a gate's weights: each gate has its own."""
        return scales[gate]

    def gate_bias(self, gate: str, bias: float) -> float:
        """The bias as it is stored: that of the forget gate holds a training's "forget bias" already."""
        return bias

    def gate_start(self, bias: float, normalized: bool) -> float:
        """What the products are added to: the bias, or 0 where normalisation comes before the bias."""
        return 0.0 if normalized else bias

    def add_to_gate(self, total: float, product: float) -> float:
        """The sum so far + a product, in float32."""
        return f32(total + product)

    def peephole_cell(self, gate: str, before: float, after: float) -> float:
        """The cell state that a gate sees: the output gate sees the new one, the others the one before."""
        return after if gate == OUTPUT else before

    def peephole_weight(self, q: float, scale: float) -> float:
        """The real value of an int8 peephole weight: the cell state that it meets is not quantized."""
        return f32(q * scale)

    def add_peephole(self, total: float, weight: float, cell: float) -> float:
        """total + weight * cell, in float32."""
        value = f32(total + f32(weight * cell))
        return self.write("accumulate", "with_peephole", value, "{} + {} * {}", total, weight, cell)

    # --- layer normalisation ----------------------------------------------------------------------

    def gate_mean(self, sums: Sequence[float]) -> float:
        """The mean of a gate's sums over the cells, which are added in order in float32."""
        return f32(self.sum_in_order(sums) / len(sums))

    def gate_variance(self, sums: Sequence[float], mean: float) -> float:
        """The mean of the squares of what the sums differ from their mean."""
        differences = [f32(x - mean) for x in sums]
        return f32(self.sum_in_order([f32(d * d) for d in differences]) / len(sums))

    def sum_in_order(self, terms: Sequence[float]) -> float:
        """0 + t_0 + t_1 + ..., each sum rounded to float32."""
        total = 0.0
        for term in terms:
            total = f32(total + term)
        return total

    def deviation_factor(self, variance: float) -> float:
        """1 / sqrt(variance + 1e-8), each operation rounded to float32."""
        return f32(divide(1.0, f32(square_root(f32(variance + NORMALIZATION)))))

    def normalize_gate(self, x: float, sums: Sequence[float], weight: float, bias: float) -> float:
        """(x - mean) / sqrt(variance + 1e-8) * weight + bias.                                     (Q28)"""
        mean = self.gate_mean(sums)
        variance = self.gate_variance(sums, mean)
        factor = self.deviation_factor(variance)
        self.write("normalize", "mean", mean, "of {} sums", len(sums))
        self.write("normalize", "variance", variance, "of {} sums", len(sums))
        normal = self.write("normalize", "normalized", f32(f32(x - mean) * factor), "({} - {}) * {}", x, mean,
                            factor, source=NORMALIZE)  # fmt: skip
        return self.write("normalize", "normalized_and_scaled", f32(f32(normal * weight) + bias),
                          "{} * {} + {}", normal, weight, bias)  # fmt: skip

    # --- activations ------------------------------------------------------------------------------

    def gate_buffers(self, coupled: bool) -> Sequence[str]:
        """In which order the runtime keeps the gates, one behind the other from a 16-byte boundary on."""
        return (CANDIDATE, FORGET, OUTPUT) if coupled else (INPUT, CANDIDATE, FORGET, OUTPUT)

    def gate_sigmoid(self, x: float, single: bool) -> float:
        """The logistic function as Eigen computes it. single: whether x fills none of its packets."""
        return eigen_sigmoid(x, single)

    def activated_cell(self, cell: float, candidate: float, activation: str, hybrid: bool) -> float:
        """The activation of the cell state.

        Hybrid kernels copy nothing for NONE: the buffer meant for the result still holds the candidate.
        """
        if hybrid and activation == "NONE" and self.numerics.upstream_defects == "reproduce":
            return candidate
        with self.quietly():
            return self.activate(cell, activation)

    # --- cell and output --------------------------------------------------------------------------

    def coupled_input_gate(self, forget: float) -> float:
        """1 - forget gate: the input gate of an LSTM that has none (CIFG)."""
        return f32(1.0 - forget)

    def next_cell(self, forget: float, cell: float, candidate: float, input: float) -> float:
        """forget gate * cell state + candidate * input gate, in float32."""
        value = f32(f32(forget * cell) + f32(candidate * input))
        return self.write(
            "update cell", "cell_state", value, "{} * {} + {} * {}", forget, cell, candidate, input,
            source=f"{STEP}, UpdateLstmCellFloat",
        )  # fmt: skip

    def clip_cell(self, cell: float, limit: float) -> float:
        """The new cell state between -limit and limit; a limit of 0 is none."""
        if limit <= 0:
            return cell
        clipped = self.clip(cell, limit)
        return self.write("update cell", "clipped_cell_state", clipped, "{} within +-{}", cell, limit)

    def shown_cell(self, before: float, after: float) -> float:
        """The cell state that the output shows: the new one, clipped."""
        return after

    def hidden(self, gate: float, activated: float, projected: bool) -> float:
        """output gate * activation of the cell state: also where a projection follows."""
        return f32(gate * activated)

    def clip_projection(self, h: float, limit: float, projected: bool) -> float:
        """The projection between -limit and limit; without a projection there is nothing to clip."""
        if limit <= 0 or not projected:
            return h
        return self.write("clamp", "clipped_output", self.clip(h, limit), "{} within +-{}", h, limit)

    def clip(self, x: float, limit: float) -> float:
        """min(x, limit), then max with -limit, a float32; NaN becomes limit."""
        return maximum(-f32(limit), minimum(f32(limit), x))
