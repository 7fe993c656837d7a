"""RNN, UNIDIRECTIONAL_SEQUENCE_RNN and BIDIRECTIONAL_SEQUENCE_RNN, one element at a time.

    y[t] = activation(bias + W x[t] + A a[t] + R y[t-1])                                            (Q26)

The step of the element that is asked for goes on the sheet; earlier steps are worked out once, and quietly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Operand, Question
from ptq.spec.recurrent import Activations, add_product
from ptq.spec.registry import Element
from ptq.spec.rules import Rules

BOTH = "BIDIRECTIONAL_SEQUENCE_RNN"
Rows = dict[int, Sequence[float]]


@dataclass(frozen=True)
class Layer:
    """One direction: x and an auxiliary input with their weights, the recurrent weights, bias and state.

    x, auxiliary: [batch, inputs] or a sequence of such, `time_major` or batch-major. state: [batch, units].
    """

    backward: bool
    time_major: bool
    x: Operand
    weights: Operand
    recurrent: Operand
    bias: Operand
    state: Operand
    auxiliary: Operand | None = None
    auxiliary_weights: Operand | None = None

    @property
    def units(self) -> int:
        """The width of the output."""
        return self.bias.size

    @property
    def batch(self) -> int:
        """The number of rows."""
        return self.state.shape[0]

    @property
    def steps(self) -> int:
        """The length of the sequence."""
        return self.x.shape[0 if self.time_major else 1] if len(self.x.shape) == 3 else 1

    @property
    def hybrid(self) -> bool:
        """Whether the weights are integers."""
        return self.weights.type == "INT8"

    def group(self, row: int) -> range:
        """The rows that are computed together: in batch-major sequences each runs by itself."""
        whole = self.time_major or len(self.x.shape) == 2
        return range(self.batch) if whole else range(row, row + 1)

    def row_of(self, sequence: Operand, time: int, row: int) -> Sequence[float]:
        """The inputs of a row at a time."""
        width = sequence.shape[-1]
        place = time * self.batch + row if self.time_major else row * self.steps + time
        return sequence.values[place * width : (place + 1) * width]


class Run:
    """One layer over a sequence by some rules."""

    def __init__(self, rules: Rules, question: Question, layer: Layer) -> None:
        self.rules, self.question, self.layer = rules, question, layer
        self.activation: str = question.options["fused_activation_function"]
        self.symmetric = not question.options["asymmetric_quantize_inputs"]

    def before(self, step: int, row: int) -> Sequence[float]:
        """The output of a row before a step; all steps until then are worked out, the first one first."""
        units, values = self.layer.units, self.layer.state.values
        first = values[row * units : (row + 1) * units]
        states = self.question.once((self.layer.backward, "states", row), lambda: [first])
        while len(states) <= step:
            with self.rules.quietly():
                states.append([self.output(len(states) - 1, row, unit) for unit in range(units)])
        return self.rules.carried_state(states, step)

    def output(self, step: int, row: int, unit: int) -> float:
        """The output of one unit in one step."""
        rules, layer = self.rules, self.layer
        time = rules.time_read_backward(step, layer.steps) if layer.backward else step
        total = rules.write("add bias", "start", layer.bias.values[unit], "the bias")
        group = layer.group(row)
        for name, sequence, weights in (
            ("x", layer.x, layer.weights), ("auxiliary", layer.auxiliary, layer.auxiliary_weights)
        ):  # fmt: skip
            if sequence is not None and weights is not None:
                rows: Rows = {r: self._read(sequence, time, r) for r in group}
                total = self._add(name, total, step, row, rows, weights, unit)
        states: Rows = {r: self.before(step, r) for r in group}
        states[row] = rules.state_seen(states[row], unit, lambda other: self._updated(step, row, other))
        total = self._add("state", total, step, row, states, layer.recurrent, unit)
        # clamp
        return rules.activate(total, self.activation)

    def _read(self, sequence: Operand, time: int, row: int) -> Sequence[float]:
        layer = self.layer
        moment = time, row
        if len(sequence.shape) == 3:
            moment = self.rules.moment_read(time, row, layer.steps, layer.batch, layer.time_major)
        return layer.row_of(sequence, *moment)

    def _updated(self, step: int, row: int, unit: int) -> float:
        with self.rules.quietly():
            key = (self.layer.backward, "updated", step, row, unit)
            return self.question.once(key, lambda: self.output(step, row, unit))

    def _add(
        self, name: str, total: float, step: int, row: int, rows: Rows, weights: Operand, unit: int
    ) -> float:
        rules, hybrid, values = self.rules, self.layer.hybrid, rows[row]
        skipped = hybrid and rules.adds_nothing(values, list(rows.values()))
        # quantize input
        quantized = None
        if hybrid:
            key = (self.layer.backward, name, step, row)
            quantized = rules.quantize_row(values, self.symmetric, key)
        # accumulate, rescale
        scale = weights.scale[0] if hybrid else 1.0
        return add_product(rules, total, Activations(values, quantized, skipped), weights, scale, unit)


def _layer(rules: Rules, question: Question, backward: bool) -> Layer:
    both = question.operator == BOTH
    first = 5 if backward else 1
    x, auxiliary = question.input(0), question.optional(9) if both else None
    weights = question.optional(11 if backward else 10) if both else None
    if backward:
        x = rules.backward_input(x, auxiliary, weights is not None)
    state = question.input(first + 3)
    if both:
        other = question.input(4 if backward else 8)
        state, _ = rules.first_states((state, state), (other, other))
    time_major = bool(question.options.get("time_major", False))
    w, r, bias = (question.input(first + n) for n in range(3))
    return Layer(backward, time_major, x, w, r, bias, state, auxiliary if weights else None, weights)


def _run(rules: Rules, question: Question, backward: bool = False) -> Run:
    return question.once(("run", backward), lambda: Run(rules, question, _layer(rules, question, backward)))


def rnn(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """An output at one time, or the state after the last step, which is the last output.            (Q26)

    Source: `tflite/kernels/internal/kernel_utils.cc`, RnnBatchStep; `bidirectional_sequence_rnn.cc`.
    """
    if output >= len(question.outputs):
        position = question.states[output - len(question.outputs)]
        run = _run(rules, question, position == 8)
        last = run.layer.steps
        return rules.write("output", "output", run.before(last, index[0])[index[1]])
    backward, place = output == 1, list(index)
    if question.options.get("merge_outputs", False):
        widths = [_run(rules, question, direction).layer.units for direction in (False, True)]
        backward, place[-1] = rules.merged_place(place[-1], *widths)
    run = _run(rules, question, backward)
    row, time = (place[0], 0) if len(place) == 2 else (place[0], place[1])
    if run.layer.time_major and len(place) == 3:
        time, row = row, time
    step = rules.backward_step_shown(time, run.layer.steps) if backward else time
    run.before(step, row)  # quietly
    return run.output(step, row, place[-1])


FLOAT: dict[str, Element] = dict.fromkeys(("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", BOTH), rnn)
HYBRID = FLOAT
"""The weights' types choose the arithmetic."""
