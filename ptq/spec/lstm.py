"""LSTM, UNIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_LSTM, one element at a time.

    i = sigmoid(W_i x + R_i h + p_i * c + b_i)     input gate; with CIFG there is none, and i = 1 - f
    f = sigmoid(W_f x + R_f h + p_f * c + b_f)     forget gate
    g = tanh(W_g x + R_g h + b_g)                  candidate
    c = clip(f * c + g * i)                        cell state
    o = sigmoid(W_o x + R_o h + p_o * c + b_o)     output gate, which sees the new c
    h = o * tanh(c)                                output; with a projection h = clip(P (o * tanh(c)) + b_P)

The step of the element that is asked for goes on the sheet; what it needs of other cells and earlier steps is
worked out once, and quietly. With a projection the output needs all cells: the sheet lists their gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ptq.spec.eigen import outside_packets
from ptq.spec.lstm_layer import Four, LstmLayer, given, one_direction, single_layer
from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.recurrent import Activations, add_product
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.gates import CANDIDATE, FORGET, INPUT, OUTPUT

Value = TypeVar("Value")
Rows = dict[int, Sequence[float]]
"""Rows of activations by their numbers."""


@dataclass(frozen=True)
class State:
    """Output and cell state of one row."""

    h: Sequence[float]
    c: Sequence[float]


@dataclass(frozen=True)
class Moment:
    """One row at one step: the state before, and what each matrix of the gates meets."""

    step: int
    row: int
    before: State
    products: Sequence[tuple[Activations, Four]]


def named(gate: str) -> str:
    """What a gate is called on sheets."""
    return gate if gate == CANDIDATE else f"{gate}_gate"


class Run:
    """One layer over a sequence by some rules."""

    def __init__(self, rules: Rules, question: Question, layer: LstmLayer) -> None:
        self.rules, self.question, self.layer = rules, question, layer
        self.activation: str = question.options["fused_activation_function"]
        self.symmetric = not question.options["asymmetric_quantize_inputs"]

    def remembered(self, key: tuple[object, ...], compute: Callable[[], Value]) -> Value:
        """`compute()`: once if nothing is written down, and else again, for the sheet."""
        if self.rules.sheet is not None:
            return compute()
        return self.question.once((self.layer.backward, *key), compute)

    # --- time -------------------------------------------------------------------------------------

    def before(self, step: int, row: int) -> State:
        """The state of a row before a step; all steps until then are worked out, the first one first."""
        layer = self.layer
        h, c = layer.output_state.values, layer.cell_state.values
        first = State(
            h[row * layer.outputs : (row + 1) * layer.outputs], c[row * layer.cells : (row + 1) * layer.cells]
        )
        states = self.question.once((layer.backward, "states", row), lambda: [first])
        while len(states) <= step:
            with self.rules.quietly():
                moment = self.moment(len(states) - 1, row)
                cells = [self.cell(moment, n) for n in range(layer.cells)]
                states.append(State([self.output(moment, n) for n in range(layer.outputs)], cells))
        return states[step]

    def moment(self, step: int, row: int) -> Moment:
        """What the gates of one row meet in one step: x, an auxiliary input, and the output before."""
        return self.remembered(("moment", step, row), lambda: self._moment(step, row))

    def _moment(self, step: int, row: int) -> Moment:
        rules, layer = self.rules, self.layer
        time = rules.time_read_backward(step, layer.steps) if layer.backward else step
        group, before = layer.group(row), self.before(step, row)
        products: list[tuple[Activations, Four]] = []
        for name, sequence, weights in (
            ("x", layer.x, layer.weights), ("auxiliary", layer.auxiliary, layer.auxiliary_weights)
        ):  # fmt: skip
            if sequence is not None:
                rows = {r: layer.row_of(sequence, time, r) for r in group}
                products.append((self.activations(name, step, row, rows), weights))
        rows = {r: self.before(step, r).h for r in group}
        x = layer.row_of(layer.x, time, row)
        products.append((self.activations("state", step, row, rows, x), layer.recurrent))
        return Moment(step, row, before, products)

    def activations(
        self, name: str, step: int, row: int, rows: Rows, x: Sequence[float] | None = None
    ) -> Activations:
        """A row among those that are computed together, quantized in hybrid layers. x: beside a state."""
        rules, hybrid, values = self.rules, self.layer.hybrid, rows[row]
        # float layers leave products with the input out, but none with the state
        skipped = (hybrid or name in ("x", "auxiliary")) and rules.adds_nothing(values, list(rows.values()))
        if not hybrid:
            return Activations(values, None, skipped)
        # quantize input
        key = (self.layer.backward, name, step, row)
        if x is None:
            return Activations(values, rules.quantize_row(values, self.symmetric, key), skipped)
        return Activations(values, rules.quantize_state(values, x, self.symmetric, key), skipped)

    # --- gates ------------------------------------------------------------------------------------

    def sum(self, gate: str, moment: Moment, n: int) -> float:
        """The sum of a gate of cell n before normalisation: bias, W x, auxiliary, R h, peephole."""
        return self.remembered(("sum", gate, moment.step, moment.row, n), lambda: self._sum(gate, moment, n))

    def _sum(self, gate: str, moment: Moment, n: int) -> float:
        rules, layer = self.rules, self.layer
        total = start = rules.gate_start(self.bias(gate, n), bool(layer.normalization))
        place = rules.gate_operand(gate)
        for met, weights in moment.products:
            scales = [w.scale[0] if w is not None and layer.hybrid else 0.0 for w in weights]
            scale = rules.gate_scale(scales, place) if layer.hybrid else 1.0
            total = add_product(rules, total, met, given(weights[place]), scale, n)
        if gate != CANDIDATE and layer.peephole[-1] is not None:
            total = rules.add_peephole(total, self.peephole(gate, n), self.seen_cell(gate, moment, n))
        return rules.write("accumulate", f"{named(gate)}_sum", total, "{} + the products above", start)

    def bias(self, gate: str, n: int) -> float:
        """The bias of a gate of cell n."""
        return self.rules.gate_bias(gate, given(self.layer.bias[self.rules.gate_operand(gate)]).values[n])

    def peephole(self, gate: str, n: int) -> float:
        """The weight from cell n to its gate."""
        weights = given(self.layer.peephole[self.rules.peephole_operand(gate)])
        q = weights.values[n]
        return self.rules.peephole_weight(q, weights.scale[0]) if self.layer.hybrid else q

    def seen_cell(self, gate: str, moment: Moment, n: int) -> float:
        """The cell state that the peephole of a gate looks at."""
        before = after = moment.before.c[n]
        if gate == OUTPUT:
            with self.rules.quietly():
                after = self.cell(moment, n)
        return self.rules.peephole_cell(gate, before, after)

    def total(self, gate: str, moment: Moment, n: int) -> float:
        """The sum of a gate, with layer normalisation normalised over the cells, scaled and biased."""
        rules, layer = self.rules, self.layer
        total = self.sum(gate, moment, n)
        if not layer.normalization:
            return total
        with rules.quietly():
            sums = [self.sum(gate, moment, other) for other in range(layer.cells)]
        weight = given(layer.normalization[rules.gate_operand(gate)]).values[n]
        return rules.normalize_gate(total, sums, weight, self.bias(gate, n))

    def gate(self, gate: str, moment: Moment, n: int) -> float:
        """The activation of a gate of cell n: what it lets through, or the candidate."""
        key = ("gate", gate, moment.step, moment.row, n)
        return self.remembered(key, lambda: self._gate(gate, moment, n))

    def _gate(self, gate: str, moment: Moment, n: int) -> float:
        rules = self.rules
        if gate == INPUT and self.layer.coupled:
            with rules.quietly():
                forget = self.gate(FORGET, moment, n)
            fill = rules.coupled_input_gate(forget)
            return rules.write("activate", "input_gate", fill, "1 - {}", forget, rule="CIFG")
        total = self.total(gate, moment, n)
        if gate == CANDIDATE:
            with rules.quietly():
                value = rules.activate(total, self.activation)
            return rules.write("activate", CANDIDATE, value, f"{self.activation}({{}})", total)
        single = self.single(gate, moment, n)
        value = rules.gate_sigmoid(total, single)
        way = "one by one" if single else "in a packet"
        return rules.write("activate", named(gate), value, "sigmoid({})", total, rule=f"Eigen, {way}")

    def single(self, gate: str, moment: Moment, n: int) -> bool:
        """Whether Eigen computes this gate of cell n outside of its packets."""
        layer, group = self.layer, self.layer.group(moment.row)
        size = len(group) * layer.cells
        buffer = self.rules.gate_buffers(layer.coupled).index(gate)
        start = (buffer * layer.batch + group[0]) * layer.cells
        return outside_packets(start + (moment.row - group[0]) * layer.cells + n, start, size)

    # --- cell and output --------------------------------------------------------------------------

    def cell(self, moment: Moment, n: int) -> float:
        """The new state of cell n."""
        return self.remembered(("cell", moment.step, moment.row, n), lambda: self._cell(moment, n))

    def _cell(self, moment: Moment, n: int) -> float:
        rules, clip = self.rules, self.question.options["cell_clip"]
        fill, forget, candidate = (self.gate(gate, moment, n) for gate in (INPUT, FORGET, CANDIDATE))
        return rules.clip_cell(rules.next_cell(forget, moment.before.c[n], candidate, fill), clip)

    def hidden(self, moment: Moment, n: int) -> float:
        """The output gate times the activation of the new state of cell n."""
        return self.remembered(("hidden", moment.step, moment.row, n), lambda: self._hidden(moment, n))

    def _hidden(self, moment: Moment, n: int) -> float:
        rules, layer = self.rules, self.layer
        after = self.cell(moment, n)
        gate = self.gate(OUTPUT, moment, n)
        with rules.quietly():
            candidate = self.gate(CANDIDATE, moment, n)
        shown = rules.shown_cell(moment.before.c[n], after)
        activated = rules.activated_cell(shown, candidate, self.activation, layer.hybrid)
        rules.write("activate", "activated_cell", activated, f"{self.activation}({{}})", shown)
        hidden = rules.hidden(gate, activated, layer.projection is not None)
        return rules.write("output", "hidden", hidden, "{} * {}", gate, activated)

    def output(self, moment: Moment, n: int) -> float:
        """Output n: of cell n, or of the projection."""
        return self.remembered(("output", moment.step, moment.row, n), lambda: self._output(moment, n))

    def _output(self, moment: Moment, n: int) -> float:
        rules, layer = self.rules, self.layer
        h = self.hidden(moment, n) if layer.projection is None else self.projected(moment, n)
        return rules.clip_projection(h, self.question.options["proj_clip"], layer.projection is not None)

    def projected(self, moment: Moment, n: int) -> float:
        """b_P + P hidden."""
        layer = self.layer
        projection = given(layer.projection)
        self.list_cells(moment)
        with self.rules.quietly():
            rows: Rows = {
                r: [self.hidden(self.moment(moment.step, r), m) for m in range(layer.cells)]
                for r in layer.group(moment.row)
            }
        met = self.activations("hidden", moment.step, moment.row, rows)
        start = 0.0 if layer.projection_bias is None else layer.projection_bias.values[n]
        scale = projection.scale[0] if layer.hybrid else 1.0
        return add_product(self.rules, start, met, projection, scale, n)

    def list_cells(self, moment: Moment) -> None:
        """Write the gates, states and outputs of all cells."""
        rules, cells = self.rules, range(self.layer.cells)
        if rules.sheet is None:
            return
        key = (self.layer.backward, moment.step, moment.row)
        with rules.quietly():
            gates = {g: [self.gate(g, moment, n) for n in cells] for g in (INPUT, FORGET, CANDIDATE, OUTPUT)}
            states, hidden = ([f(moment, n) for n in cells] for f in (self.cell, self.hidden))
        for gate, values in gates.items():
            rules.write("activate", named(gate), values, key=key)
        rules.write("update cell", "cell_state", states, key=key)
        rules.write("output", "hidden", hidden, key=key)


# --- the operators --------------------------------------------------------------------------------


def _run(rules: Rules, question: Question, backward: bool = False) -> Run:
    def begin() -> Run:
        if question.operator == "BIDIRECTIONAL_SEQUENCE_LSTM":
            return Run(rules, question, one_direction(rules, question, backward))
        return Run(rules, question, single_layer(question))

    return question.once(("run", backward), begin)


def _states(question: Question) -> tuple[int, int]:
    """Where the states of the forward layer and of the backward layer are."""
    return (35, 37) if question.operator == "BIDIRECTIONAL_SEQUENCE_LSTM" else (18, 18)


def lstm(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """An output at one time, or a state after the last step: the formulas above.                    (Q27)

    Source: `tflite/kernels/lstm_eval.cc`, EvalFloat and EvalHybrid.
    """
    if output >= len(question.outputs):
        return _new_state(rules, question, question.states[output - len(question.outputs)], index)
    backward, place = output == 1, list(index)
    if question.options.get("merge_outputs", False):
        widths = [_run(rules, question, direction).layer.outputs for direction in (False, True)]
        backward, place[-1] = rules.merged_place(place[-1], *widths)
    run = _run(rules, question, backward)
    time, row, unit = run.layer.place(place)
    step = rules.backward_step_shown(time, run.layer.steps) if backward else time
    return rules.write("output", "output", run.output(run.moment(step, row), unit))


def _new_state(rules: Rules, question: Question, position: int, index: Index) -> float:
    """Of an output state or of a cell state."""
    forward, backward = _states(question)
    run = _run(rules, question, forward < backward <= position)
    is_cell = (position - forward) % 2
    width = run.layer.cells if is_cell else run.layer.outputs
    row, unit = divmod(question.input(position).position(index), width)
    moment = run.moment(run.layer.steps - 1, row)
    return rules.write("output", "output", run.cell(moment, unit) if is_cell else run.output(moment, unit))


FLOAT: dict[str, Element] = {
    "LSTM": lstm,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "BIDIRECTIONAL_SEQUENCE_LSTM": lstm,
}
HYBRID = FLOAT
"""The weights' types choose the arithmetic."""
