"""The operands of one LSTM layer by their places among the 20, 24 or 48 inputs of an operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ptq.errors import GraphError
from ptq.spec.question import Operand, Question
from ptq.spec.rules import Rules
from ptq.spec.rules.gates import States

Four = Sequence[Operand | None]
"""The operands of one kind of the gates input, forget, candidate, output; the first is absent with CIFG."""


@dataclass(frozen=True)
class LstmLayer:
    """What one layer computes with.

    x, auxiliary: [batch, inputs] or a sequence of such, `time_major` or batch-major. weights, recurrent,
    auxiliary_weights: [cells, inputs] each. peephole: three of them, for input, forget and output gate.
    output_state [batch, outputs] and cell_state [batch, cells]: the states before the first step.
    """

    backward: bool
    time_major: bool
    x: Operand
    weights: Four
    recurrent: Four
    peephole: Four
    bias: Four
    projection: Operand | None
    projection_bias: Operand | None
    output_state: Operand
    cell_state: Operand
    auxiliary: Operand | None = None
    auxiliary_weights: Four = ()
    normalization: Four = ()

    @property
    def coupled(self) -> bool:
        """Whether there is no input gate, but 1 - forget gate (CIFG)."""
        return self.weights[0] is None

    @property
    def hybrid(self) -> bool:
        """Whether the weights are integers, which the activations become, too, row by row."""
        return given(self.weights[-1]).type == "INT8"

    @property
    def cells(self) -> int:
        """The number of cells."""
        return given(self.weights[-1]).shape[0]

    @property
    def outputs(self) -> int:
        """The width of the output: that of the cells, but for a projection."""
        return given(self.recurrent[-1]).shape[1]

    @property
    def batch(self) -> int:
        """The number of rows."""
        return self.x.shape[-2] if self.time_major or len(self.x.shape) == 2 else self.x.shape[0]

    @property
    def steps(self) -> int:
        """The length of the sequence."""
        return self.x.size // (self.batch * self.x.shape[-1])

    def group(self, row: int) -> range:
        """The rows that are computed together: in batch-major sequences each runs by itself."""
        return range(self.batch) if self.time_major or len(self.x.shape) == 2 else range(row, row + 1)

    def place(self, index: Sequence[int]) -> tuple[int, int, int]:
        """(time, row, unit) of an element of the output."""
        if len(index) == 2:
            return 0, index[0], index[1]
        return (index[0], index[1], index[2]) if self.time_major else (index[1], index[0], index[2])

    def row_of(self, sequence: Operand, time: int, row: int) -> Sequence[float]:
        """The inputs of a row at a time."""
        width = sequence.shape[-1]
        place = time * self.batch + row if self.time_major else row * self.steps + time
        return sequence.values[place * width : (place + 1) * width]


def given(operand: Operand | None) -> Operand:
    """An operand that the layer cannot be without; GraphError if it is absent."""
    if operand is None:
        raise GraphError("LSTM: an operand of a gate is absent, expected all of them")
    return operand


def single_layer(question: Question) -> LstmLayer:
    """The layer of LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM: x, 17 operands, two states, normalisation."""
    time_major = bool(question.options.get("time_major", False))
    states = question.input(18), question.input(19)
    normalization = _four(question, 20)
    return _layer(question, False, time_major, question.input(0), 1, states, normalization=normalization)


def one_direction(rules: Rules, question: Question, backward: bool) -> LstmLayer:
    """A layer of BIDIRECTIONAL_SEQUENCE_LSTM: x, 17 operands each, states, auxiliary x, 4 weights each."""
    x, auxiliary = question.input(0), question.optional(39)
    weights = _four(question, 44 if backward else 40)
    has_weights = weights[-1] is not None
    if backward:
        x = rules.backward_input(x, auxiliary, has_weights)
    own, other = ((question.input(n), question.input(n + 1)) for n in ((37, 35) if backward else (35, 37)))
    return _layer(
        question, backward, bool(question.options["time_major"]), x, 18 if backward else 1,
        rules.first_states(own, other), auxiliary if has_weights else None, weights,
    )  # fmt: skip


def _layer(
    question: Question, backward: bool, time_major: bool, x: Operand, first: int, states: States,
    auxiliary: Operand | None = None, auxiliary_weights: Four = (), normalization: Four = (),
) -> LstmLayer:  # fmt: skip
    """first: of the 17 operands of the layer."""
    return LstmLayer(
        backward, time_major, x, _four(question, first), _four(question, first + 4),
        [question.optional(first + 8 + n) for n in range(3)], _four(question, first + 11),
        question.optional(first + 15), question.optional(first + 16),
        *states, auxiliary, auxiliary_weights,
        normalization if any(operand is not None for operand in normalization) else (),
    )  # fmt: skip


def _four(question: Question, first: int) -> Four:
    return [question.optional(first + n) for n in range(4)]
