"""Mistakes in an LSTM: gates, peepholes, states, directions, normalisation, other libraries' functions."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec import eigen, libm
from ptq.spec.numbers import divide, f32
from ptq.spec.question import Operand
from ptq.spec.rules.gates import CANDIDATE, FORGET, INPUT, OUTPUT, States
from ptq.spec.rules.running import Row

# --- gates ----------------------------------------------------------------------------------------


class CandidateLast(Mistake):
    """takes the gates' operands in the order input, forget, output, candidate."""

    title = "gates in the order i, f, o, c"

    def gate_operand(self, gate: str) -> int:
        """The candidate is the last."""
        return (INPUT, FORGET, OUTPUT, CANDIDATE).index(gate)


class ForgetAfterOutput(Mistake):
    """takes the gates' operands in the order input, output, forget, candidate, which is that of ONNX."""

    title = "gates in the order i, o, f, c"

    def gate_operand(self, gate: str) -> int:
        """ONNX's order."""
        return (INPUT, OUTPUT, FORGET, CANDIDATE).index(gate)


class ForgetBiasAgain(Mistake):
    """adds a forget bias of 1, which the stored bias holds already."""

    title = "forget bias added twice"

    def gate_bias(self, gate: str, bias: float) -> float:
        """bias + 1 for the forget gate."""
        return f32(bias + 1.0) if gate == FORGET else bias


class WithoutForgetBias(Mistake):
    """leaves out the bias of the forget gate."""

    title = "no forget bias"

    def gate_bias(self, gate: str, bias: float) -> float:
        """0 for the forget gate."""
        return 0.0 if gate == FORGET else bias


class OpenInputGate(Mistake):
    """takes an input gate that is absent for open, not for 1 - forget gate (CIFG)."""

    title = "CIFG forgotten"

    def coupled_input_gate(self, forget: float) -> float:
        """Always 1."""
        return 1.0


class OldPeephole(Mistake):
    """lets the output gate's peephole see the cell state before the step."""

    title = "output peephole to the old cell state"

    def peephole_cell(self, gate: str, before: float, after: float) -> float:
        """The old one for all gates."""
        return before


class GateScaleOfInput(Mistake):
    """takes the scale of the first gate's weights for all gates."""

    title = "one weight scale for all gates"

    def gate_scale(self, scales: Sequence[float], gate: int) -> float:
        """The first gate's: that of the forget gate with CIFG."""
        return scales[0] or scales[1]


class OneRowScale(Mistake):
    """quantizes input and state as one row with one scale."""

    title = "one row scale for input and state"

    def quantize_state(self, h: Sequence[float], x: Sequence[float], symmetric: bool, key: object) -> Row:
        """The range is that of both."""
        row = self.quantize_row([*h, *x], symmetric, key)
        return Row(row.values[: len(h)], row.scale, row.zero_point)


class ZerosMultiplied(Mistake):
    """adds products with rows of zeros, too, which turns -0 into 0."""

    title = "zero rows not skipped"

    def adds_nothing(self, row: Sequence[float], group: Sequence[Sequence[float]]) -> bool:
        """Never."""
        return False


class RowsSkipped(Mistake):
    """skips a row of zeros even if another row of its batch is not zero."""

    title = "zero rows skipped one by one"

    def adds_nothing(self, row: Sequence[float], group: Sequence[Sequence[float]]) -> bool:
        """Wherever this row is zero."""
        return not any(row)


# --- functions ------------------------------------------------------------------------------------


class LibraryTanh(Mistake):
    """computes tanh by the C library's function instead of Eigen's approximation."""

    title = "tanhf for Eigen's tanh"

    def eigen_tanh(self, x: float) -> float:
        """glibc's tanhf."""
        return libm.tanhf(x)


class LibrarySigmoid(Mistake):
    """computes 1 / (1 + e^-x) by the C library's exponential instead of Eigen's approximation."""

    title = "expf for Eigen's logistic function"

    def gate_sigmoid(self, x: float, single: bool) -> float:
        """By glibc's expf."""
        return f32(divide(1.0, f32(1.0 + libm.expf(-x))))


class PacketsOnly(Mistake):
    """computes the logistic function of all elements in packets of four, also of those that fill none."""

    title = "no elements outside of packets"

    def gate_sigmoid(self, x: float, single: bool) -> float:
        """As in a packet."""
        return eigen.eigen_sigmoid(x)


class CellTanh(Mistake):
    """applies tanh to the cell state, whatever the activation."""

    title = "tanh of the cell state for another activation"

    def activated_cell(self, cell: float, candidate: float, activation: str, hybrid: bool) -> float:
        """TANH."""
        return super().activated_cell(cell, candidate, "TANH", hybrid)


# --- cell, output, projection ---------------------------------------------------------------------


class OldCellShown(Mistake):
    """computes the output from the cell state before the step."""

    title = "output of the old cell state"

    def shown_cell(self, before: float, after: float) -> float:
        """The old one."""
        return before


class CellNotClipped(Mistake):
    """does not clip the cell state."""

    title = "cell state not clipped"

    def clip_cell(self, cell: float, limit: float) -> float:
        """As it is."""
        return cell


class ProjectionNotClipped(Mistake):
    """does not clip the projection."""

    title = "projection not clipped"

    def clip_projection(self, h: float, limit: float, projected: bool) -> float:
        """As it is."""
        return h


class EveryOutputClipped(Mistake):
    """clips outputs at the projection's bound though there is no projection."""

    title = "output clipped without projection"

    def clip_projection(self, h: float, limit: float, projected: bool) -> float:
        """Always."""
        return super().clip_projection(h, limit, True)


class ProjectionNotGated(Mistake):
    """projects the activated cell state, without the output gate."""

    title = "projection before the output gate"

    def hidden(self, gate: float, activated: float, projected: bool) -> float:
        """Ungated where a projection follows."""
        return activated if projected else super().hidden(gate, activated, projected)


# --- layer normalisation --------------------------------------------------------------------------


class SampleVariance(Mistake):
    """divides the sum of squares by n - 1 in layer normalisation."""

    title = "variance of n - 1"

    def gate_variance(self, sums: Sequence[float], mean: float) -> float:
        """The sample's variance."""
        return f32(divide(super().gate_variance(sums, mean) * len(sums), len(sums) - 1))


class MeanOfSquares(Mistake):
    """computes the variance in layer normalisation as the mean of the squares less the square of the mean."""

    title = "variance as a difference of squares"

    def gate_variance(self, sums: Sequence[float], mean: float) -> float:
        """E x^2 - (E x)^2."""
        squares = f32(self.sum_in_order([f32(x * x) for x in sums]) / len(sums))
        return f32(squares - f32(mean * mean))


class OtherEpsilon(Mistake):
    """adds 1e-3 to the variance in layer normalisation, as Keras does, for 1e-8."""

    title = "layer normalisation with 1e-3"

    def deviation_factor(self, variance: float) -> float:
        """1 / sqrt(variance + 1e-3)."""
        return super().deviation_factor(f32(variance + 1e-3))


class BiasNormalized(Mistake):
    """adds the bias before layer normalisation, too."""

    title = "bias added before normalisation"

    def gate_start(self, bias: float, normalized: bool) -> float:
        """The bias."""
        return bias


# --- directions -----------------------------------------------------------------------------------


class NotReversed(Mistake):
    """runs the backward layer from the beginning of the sequence."""

    title = "backward sequence not reversed"

    def time_read_backward(self, step: int, steps: int) -> int:
        """From the beginning."""
        return step


class LeftReversed(Mistake):
    """leaves the backward layer's results in the order in which they are computed, the last time first."""

    title = "backward outputs left reversed"

    def backward_step_shown(self, time: int, steps: int) -> int:
        """The order of computation."""
        return time


class ForwardStates(Mistake):
    """begins the backward layer with the forward layer's states, or the other way round."""

    title = "states of the other direction"

    def first_states(self, own: States, other: States) -> States:
        """The other layer's, if they fit."""
        fits = all(a.size == b.size for a, b in zip(own, other, strict=True))
        return other if fits else own


class SecondInputUnread(Mistake):
    """lets the backward layer read the input, not the auxiliary input that takes its place."""

    title = "stacked input not read"

    def backward_input(self, x: Operand, auxiliary: Operand | None, has_weights: bool) -> Operand:
        """The input, if the weights fit."""
        right = super().backward_input(x, auxiliary, has_weights)
        return x if x.shape == right.shape else right


class BackwardFirst(Mistake):
    """merges both directions with the backward layer's outputs first."""

    title = "backward outputs merged first"

    def merged_place(self, place: int, forward: int, backward: int) -> tuple[bool, int]:
        """Backward, then forward."""
        return place < backward, place if place < backward else place - backward


MISTAKES = (
    CandidateLast, ForgetAfterOutput, ForgetBiasAgain, WithoutForgetBias, OpenInputGate, OldPeephole,
    GateScaleOfInput, OneRowScale, ZerosMultiplied, RowsSkipped, LibraryTanh, LibrarySigmoid, PacketsOnly,
    CellTanh, OldCellShown, CellNotClipped, ProjectionNotClipped, EveryOutputClipped, ProjectionNotGated,
    SampleVariance, MeanOfSquares, OtherEpsilon, BiasNormalized, NotReversed, LeftReversed, ForwardStates,
    SecondInputUnread, BackwardFirst,
)  # fmt: skip
