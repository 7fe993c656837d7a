"""LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM on integers, one element at a time.

The formulas are those of `ptq.spec.lstm`; every sum of products is rescaled to int16 with 3 integer bits, the
cell state is an int16 in units of a power of two.                                                  (Q39)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ptq.spec.lstm_layer import LstmLayer, given, single_layer
from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Operand, Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.gates import CANDIDATE, FORGET, INPUT, OUTPUT
from ptq.spec.rules.rescaling import Factor

Value = TypeVar("Value")
Row = Sequence[int]
GATE_SCALE = 2.0**-12
UNIT = 2.0**-15
OUTPUT_STATE, CELL_STATE = 18, 19
PEEPHOLES = {INPUT: 0, FORGET: 1, OUTPUT: 2}


class Run:
    """One layer over a sequence by some rules."""

    def __init__(self, rules: Rules, question: Question) -> None:
        self.rules, self.question = rules, question
        self.layer: LstmLayer = single_layer(question)
        self.micro = rules.micro
        exponent = rules.power_of_two(self.layer.cell_state.only_scale)
        self.exponent = 0 if exponent is None else exponent

    def once(self, key: tuple[object, ...], compute: Callable[[], Value]) -> Value:
        """`compute()`: once if nothing is written down, and else again, for the sheet."""
        return compute() if self.rules.sheet is not None else self.question.once(key, compute)

    # --- factors, worked out before any data is seen ----------------------------------------------------

    def factor(self, key: str, real: float) -> Factor:
        """The integers of a real factor."""
        return self.question.once(("factor", key), lambda: self._factor(key, real))

    def _factor(self, key: str, real: float) -> Factor:
        self.rules.write("prepare", "real_multiplier", real, f"of {key}", key=key)
        return self.rules.factor(real, key=key)

    def gate_scale(self, place: int) -> float:
        """The scale of a gate's sum."""
        return self.question.intermediates[place].only_scale if self.layer.normalization else GATE_SCALE

    def product_factor(self, weights: Operand, source: float, place: int, key: str) -> Factor:
        """weights scale * source scale / gate scale, in float32; micro divides in double."""
        product, gate = f32(weights.only_scale * source), self.gate_scale(place)
        return self.factor(key, product / gate if self.micro else f32(product / gate))

    def hidden(self) -> tuple[float, int]:
        """Scale and zero point of output gate * tanh(cell state); micro asks the output state for them."""
        operand = self.layer.output_state if self.micro else self.question.intermediates[4]
        return operand.only_scale, operand.only_zero_point

    def hidden_factor(self) -> Factor:
        """2^-30 over the scale of the hidden values."""
        scale = self.hidden()[0]
        return self.factor("hidden", UNIT * UNIT / scale if self.micro else f32(UNIT / scale * UNIT))

    def cell_factors(self) -> tuple[Factor, Factor] | None:
        """How micro brings both products to the scale of the cell state."""
        if not self.micro:
            return None
        scale = self.layer.cell_state.only_scale
        return self.factor("keep", UNIT), self.factor("write", UNIT * UNIT / scale)

    def cell_clip(self) -> int | None:
        """The bound of the cell state; micro divides in double and clips even to 0."""
        clip, scale = f32(self.question.options["cell_clip"]), self.layer.cell_state.only_scale
        if not clip > 0:
            return None
        bound = int(min(clip / scale if self.micro else f32(clip / scale), 32767.0))
        return bound if bound or self.micro else None

    # --- time -------------------------------------------------------------------------------------------

    def before(self, step: int, row: int) -> tuple[Row, Row]:
        """h and c of a row before a step; all steps until then are worked out, the first one first."""
        layer = self.layer
        h, c = layer.output_state.values, layer.cell_state.values
        first: tuple[Row, Row] = (
            self.rules.first_integer_output(
                [int(q) for q in h[row * layer.outputs : (row + 1) * layer.outputs]],
                layer.output_state.only_zero_point,
            ),
            [int(q) for q in c[row * layer.cells : (row + 1) * layer.cells]],
        )
        states = self.question.once(("states", row), lambda: [first])
        while len(states) <= step:
            with self.rules.quietly():
                now = len(states) - 1
                cells = [self.cell(now, row, n) for n in range(layer.cells)]
                states.append(([self.output(now, row, n) for n in range(layer.outputs)], cells))
        return self.rules.carried_state(states, step)

    # --- gates ------------------------------------------------------------------------------------------

    def terms(self, weights: Operand, values: Row, n: int, zero_point: int) -> list[tuple[int, int]]:
        """Row n of the weights, and what it meets without its zero point."""
        inner = weights.shape[1]
        row = weights.values[n * inner : (n + 1) * inner]
        less = self.rules.without_zero_point
        return [(int(w), int(less(q, zero_point))) for w, q in zip(row, values, strict=True)]

    def sum(self, gate: str, step: int, row: int, n: int) -> int:
        """The sum of a gate of cell n, before normalisation, in int16."""
        return self.once(("sum", gate, step, row, n), lambda: self._sum(gate, step, row, n))

    def _sum(self, gate: str, step: int, row: int, n: int) -> int:
        rules, layer = self.rules, self.layer
        place = rules.gate_operand(gate)
        moment = rules.moment_read(step, row, layer.steps, layer.batch, layer.time_major)
        x = [int(q) for q in layer.row_of(layer.x, *moment)]
        weights, recurrent = given(layer.weights[place]), given(layer.recurrent[place])
        bias = 0 if layer.normalization else int(given(layer.bias[place]).values[n])
        of_x = self.product_factor(weights, layer.x.only_scale, place, f"{gate} x")
        of_h = self.product_factor(recurrent, layer.output_state.only_scale, place, f"{gate} h")
        x_terms = self.terms(weights, x, n, layer.x.only_zero_point)
        h_terms = self.terms(recurrent, self.before(step, row)[0], n, layer.output_state.only_zero_point)
        input = rules.saturate_gate(rules.gate_product(x_terms, bias, of_x, f"{gate}_of_x"))
        total = rules.add_recurrent(input, rules.gate_product(h_terms, 0, of_h, f"{gate}_of_h"))
        if gate != CANDIDATE and layer.peephole[-1] is not None:
            total = self.with_peephole(total, gate, step, row, n)
        return total

    def with_peephole(self, total: int, gate: str, step: int, row: int, n: int) -> int:
        """The output gate sees the new cell state, the others the one before."""
        rules = self.rules
        weights = given(self.layer.peephole[rules.peephole_operand(gate)])
        scale = self.gate_scale(rules.gate_operand(gate))
        factor = self.factor(f"{gate} peephole", f32(2.0**self.exponent * weights.only_scale / scale))
        before = after = self.before(step, row)[1][n]
        if gate == OUTPUT:
            with rules.quietly():
                after = self.cell(step, row, n)
        cell = int(rules.peephole_cell(gate, before, after))
        return rules.add_integer_peephole(total, cell, int(weights.values[n]), factor)

    def argument(self, gate: str, step: int, row: int, n: int) -> int:
        """The argument of a gate's function: its sum, normalised over the cells."""
        rules, layer = self.rules, self.layer
        total = self.sum(gate, step, row, n)
        if not layer.normalization:
            return total
        with rules.quietly():
            sums = [self.sum(gate, step, row, other) for other in range(layer.cells)]
        place = rules.gate_operand(gate)
        weights, bias = given(layer.normalization[place]), given(layer.bias[place])
        factor = self.factor(f"{gate} normalization", weights.only_scale * 4096)
        limit = max(1, int(f32(f32(10000) * weights.only_scale)))
        return rules.normalize_integers(
            total, sums, int(weights.values[n]), int(bias.values[n]), factor, limit
        )

    def gate(self, gate: str, step: int, row: int, n: int) -> int:
        """What a gate lets through, in steps of 2^-15, or the candidate."""
        return self.once(("gate", gate, step, row, n), lambda: self._gate(gate, step, row, n))

    def _gate(self, gate: str, step: int, row: int, n: int) -> int:
        rules = self.rules
        if gate == INPUT and self.layer.coupled:
            with rules.quietly():
                forget = self.gate(FORGET, step, row, n)
            return rules.write(
                "activate", "input_gate", rules.coupled_integer_gate(forget), "32767 - {}", forget
            )
        x = self.argument(gate, step, row, n)
        if gate == CANDIDATE:
            return rules.write("activate", CANDIDATE, rules.integer_tanh(x), "tanh({} / 2^12) * 2^15", x)
        return rules.write(
            "activate", f"{gate}_gate", rules.integer_sigmoid(x), "sigmoid({} / 2^12) * 2^15", x
        )

    # --- cell and output ----------------------------------------------------------------------------------

    def cell(self, step: int, row: int, n: int) -> int:
        """The new state of cell n."""
        return self.once(("cell", step, row, n), lambda: self._cell(step, row, n))

    def _cell(self, step: int, row: int, n: int) -> int:
        rules = self.rules
        fill, forget, candidate = (self.gate(gate, step, row, n) for gate in (INPUT, FORGET, CANDIDATE))
        before = self.before(step, row)[1][n]
        value = rules.next_integer_cell(forget, before, fill, candidate, self.exponent, self.cell_factors())
        return rules.clip_integer_cell(value, self.cell_clip())

    def shown(self, step: int, row: int, n: int) -> int:
        """output gate * tanh(cell state), rescaled: before its zero point is added."""
        return self.once(("shown", step, row, n), lambda: self._shown(step, row, n))

    def _shown(self, step: int, row: int, n: int) -> int:
        rules = self.rules
        after = self.cell(step, row, n)
        gate = self.gate(OUTPUT, step, row, n)
        activated = rules.tanh_of_cell(after, self.exponent)
        rules.write("activate", "activated_cell", activated, "tanh({} * 2^{}) * 2^15", after, self.exponent)
        scaled = rules.rescale(gate * activated, self.hidden_factor())
        return rules.write("output", "hidden", scaled, "{} * {}, rescaled", gate, activated)

    def output(self, step: int, row: int, n: int) -> int:
        """Output n: of cell n, or of the projection."""
        if self.layer.projection is None:
            return self.once(("output", step, row, n), lambda: self._plain(step, row, n))
        return self.once(("output", step, row, n), lambda: self._projected(step, row, n))

    def _plain(self, step: int, row: int, n: int) -> int:
        return self.rules.finish(self.shown(step, row, n), self.hidden()[1], (-128, 127))

    def _projected(self, step: int, row: int, n: int) -> int:
        rules, layer = self.rules, self.layer
        projection, (scale, zero_point) = given(layer.projection), self.hidden()
        sign = rules.hidden_zero_point_sign(True)
        with rules.quietly():
            hidden = [
                min(max(self.shown(step, row, m) + sign * zero_point, -128), 127) for m in range(layer.cells)
            ]
        rules.write("output", "hidden", hidden, "of all cells", key=(step, row))
        state = layer.output_state
        factor = self.factor("projection", f32(f32(projection.only_scale * scale) / state.only_scale))
        terms = self.terms(projection, hidden, n, sign * zero_point)
        bias = 0 if layer.projection_bias is None else int(layer.projection_bias.values[n])
        scaled = rules.gate_product(terms, bias, factor, "projected")
        shifted = min(max(rules.add_zero_point(scaled, state.only_zero_point), -128), 127)
        return rules.clamp(shifted, *self.projection_bounds())

    def projection_bounds(self) -> tuple[int, int]:
        """The clip of the projection, around its zero point."""
        clip, zero_point = f32(self.question.options["proj_clip"]), self.layer.output_state.only_zero_point
        bound = int(min(f32(clip / self.question.outputs[0].only_scale), 127.0))
        return (zero_point - bound, zero_point + bound) if bound else (-128, 127)


def lstm_integer(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """An output at one time, or a state after the last step.                                       (Q39)

    Source: `tflite/kernels/lstm_eval.cc`, EvalInteger8x8_16; tflite-micro, `lstm_eval.h`, EvalLstm.
    """
    run: Run = question.once("run", lambda: Run(rules, question))
    layer = run.layer
    if output >= len(question.outputs):
        position = question.states[output - len(question.outputs)]
        h, c = run.before(layer.steps, index[0])
        return rules.write("output", "output", (h if position == OUTPUT_STATE else c)[index[1]])
    step, row, unit = layer.place(index)
    run.before(step, row)  # quietly
    return rules.write("output", "output", run.output(step, row, unit))


INTEGER: dict[str, Element] = {"LSTM": lstm_integer, "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm_integer}
