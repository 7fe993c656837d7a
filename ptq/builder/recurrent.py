"""Builder methods for layers that keep a state, and for the table of embeddings that feeds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ptq.builder.core import OperatorBuilder, Value, shape_of
from ptq.errors import InputError
from ptq.graph import ABSENT, Array, Tensor

GATES = ("input", "forget", "cell", "output")
"""TensorFlow Lite's order of an LSTM's gates; "cell" is the candidate that may be written to the cell."""

PEEPHOLES = ("input", "forget", "output")
"""The gates that may look at the cell."""

Gates = Sequence[Value | None] | Array
"""An operand for each gate, or an array whose first dimension runs over the gates."""

RNNWeights = tuple[Value, Value, Value]
"""weights [units, inputs], recurrent_weights [units, units], bias [units]."""

LSTM_ROLES = (
    "input",
    *(f"input_to_{gate}_weights" for gate in GATES),
    *(f"recurrent_to_{gate}_weights" for gate in GATES),
    *(f"cell_to_{gate}_weights" for gate in PEEPHOLES),
    *(f"{gate}_gate_bias" for gate in GATES),
    "projection_weights", "projection_bias", "output_state", "cell_state",
    *(f"{gate}_layer_norm_coefficients" for gate in GATES),
)  # fmt: skip
"""The 24 inputs of an LSTM operator, in their order."""


@dataclass(frozen=True)
class LSTMWeights:
    """What an LSTM has learnt, a value for each gate in the order of GATES.

    input_weights [cells, inputs] and recurrent_weights [cells, outputs] each; bias [cells] each. Without an
    input gate (None in its place, in all of them) it is 1 - forget: a "coupled" LSTM.
    peephole: [cells] for the gates of PEEPHOLES. projection [outputs, cells], projection_bias [outputs];
    without them the outputs are the cells. layer_norm: [cells] each.
    """

    input_weights: Gates
    recurrent_weights: Gates
    bias: Gates
    peephole: Gates = (None, None, None)
    projection: Value | None = None
    projection_bias: Value | None = None
    layer_norm: Gates = (None, None, None, None)

    def __post_init__(self) -> None:
        expected = {"input_weights": 4, "recurrent_weights": 4, "bias": 4, "peephole": 3, "layer_norm": 4}
        for field, count in expected.items():
            if len(getattr(self, field)) != count:
                found = len(getattr(self, field))
                names = ", ".join(GATES if count == 4 else PEEPHOLES)
                raise InputError(f"LSTMWeights: {field} for {found} gates found, expected {count}: {names}")

    @property
    def cells(self) -> int:
        """The size of the cell state."""
        return _rows(self.input_weights[GATES.index("output")])

    @property
    def outputs(self) -> int:
        """The size of the output and of its state."""
        return self.cells if self.projection is None else _rows(self.projection)


class RecurrentMethods(OperatorBuilder):
    """Layers with a state: [batch, ...] variables, as large as the input's batch, which is thereby fixed."""

    def embedding_lookup(self, ids: Tensor, table: Value, name: str | None = None) -> Tensor:
        """EMBEDDING_LOOKUP: rows of `table` [rows, ...] by int32 ids [count]."""
        roles = ("ids", "table")
        return self.op("EMBEDDING_LOOKUP", [ids, table], roles=roles, output_type="FLOAT32", name=name)

    def lstm(
        self, x: Tensor, weights: LSTMWeights, activation: str = "TANH", cell_clip: float = 0.0,
        projection_clip: float = 0.0, name: str | None = None
    ) -> Tensor:
        """LSTM: one step, [batch, inputs] -> [batch, outputs]; a clip of 0 is none."""
        options = _lstm_options(activation, cell_clip, projection_clip)
        return self._lstm("LSTM", x, weights, options, _size(x, 0), name)

    def unidirectional_sequence_lstm(
        self, x: Tensor, weights: LSTMWeights, activation: str = "TANH", cell_clip: float = 0.0,
        projection_clip: float = 0.0, time_major: bool = False, name: str | None = None
    ) -> Tensor:
        """UNIDIRECTIONAL_SEQUENCE_LSTM: all steps of [batch, time, inputs] -> [batch, time, outputs].

        time_major: the first two dimensions are exchanged, in input and output.
        """
        options = {**_lstm_options(activation, cell_clip, projection_clip), "time_major": time_major}
        batch = _size(x, 1 if time_major else 0)
        return self._lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", x, weights, options, batch, name)

    def rnn(
        self, x: Tensor, weights: Value, recurrent_weights: Value, bias: Value, activation: str = "TANH",
        name: str | None = None
    ) -> Tensor:
        """RNN: one step, [batch, inputs] -> [batch, units]; shapes of weights as for the sequence."""
        options = {"fused_activation_function": activation}
        return self._rnn("RNN", x, [weights, recurrent_weights, bias], options, _size(x, 0), name)

    def unidirectional_sequence_rnn(
        self, x: Tensor, weights: Value, recurrent_weights: Value, bias: Value, activation: str = "TANH",
        time_major: bool = False, name: str | None = None
    ) -> Tensor:
        """UNIDIRECTIONAL_SEQUENCE_RNN: all steps of [batch, time, inputs] -> [batch, time, units].

        weights [units, inputs], recurrent_weights [units, units], bias [units].
        """
        options = {"fused_activation_function": activation, "time_major": time_major}
        batch, operands = _size(x, 1 if time_major else 0), [weights, recurrent_weights, bias]
        return self._rnn("UNIDIRECTIONAL_SEQUENCE_RNN", x, operands, options, batch, name)

    def bidirectional_sequence_lstm(
        self, x: Tensor, forward: LSTMWeights, backward: LSTMWeights, activation: str = "TANH",
        cell_clip: float = 0.0, projection_clip: float = 0.0, time_major: bool = False,
        merge_outputs: bool = False, name: str | None = None
    ) -> list[Tensor]:
        """BIDIRECTIONAL_SEQUENCE_LSTM: two LSTMs, the second from the end; shapes as for one.

        Returns both outputs, or with merge_outputs one with both side by side. There is no layer norm.
        """
        pair, label = {"forward": forward, "backward": backward}, name or "bidirectional_sequence_lstm"
        if any(gate is not None for weights in pair.values() for gate in weights.layer_norm):
            raise InputError("BIDIRECTIONAL_SEQUENCE_LSTM: layer_norm found, expected none; use two LSTMs")
        batch = _size(x, 1 if time_major else 0)
        states = [self._lstm_states(f"{label}/{way}", weights, batch) for way, weights in pair.items()]
        inputs = [x, *_lstm_operands(forward), *_lstm_operands(backward), *states[0], *states[1], *[None] * 9]
        roles = ["input", *(f"{way}/{role}" for way in pair for role in LSTM_ROLES[1:18])]
        options = {
            **_lstm_options(activation, cell_clip, projection_clip),
            "time_major": time_major, "merge_outputs": merge_outputs,
        }  # fmt: skip
        return self._both_ways("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, options, roles, name)

    def bidirectional_sequence_rnn(
        self, x: Tensor, forward: RNNWeights, backward: RNNWeights, activation: str = "TANH",
        time_major: bool = False, merge_outputs: bool = False, name: str | None = None
    ) -> list[Tensor]:
        """BIDIRECTIONAL_SEQUENCE_RNN: two RNNs, the second from the end; weights as three for each.

        Returns both outputs, or with merge_outputs one with both side by side.
        """
        label, batch = name or "bidirectional_sequence_rnn", _size(x, 1 if time_major else 0)
        inputs: list[Value | None] = [x]
        for way, weights in (("forward", forward), ("backward", backward)):
            inputs += [*weights, self.variable(f"{label}/{way}/hidden_state", (batch, _rows(weights[0])))]
        parts = ("weights", "recurrent_weights", "bias", "hidden_state")
        roles = ["input", *(f"{way}/{part}" for way in ("forward", "backward") for part in parts)]
        options = {
            "fused_activation_function": activation, "time_major": time_major, "merge_outputs": merge_outputs
        }  # fmt: skip
        return self._both_ways("BIDIRECTIONAL_SEQUENCE_RNN", [*inputs, *[None] * 3], options, roles, name)

    def svdf(
        self, x: Tensor, feature_weights: Value, time_weights: Value, bias: Value | None = None,
        rank: int = 1, activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """SVDF: one step of a filter over time, [batch, inputs] -> [batch, filters / rank].

        feature_weights [filters, inputs], time_weights [filters, memory], bias [filters / rank].
        """
        filters, memory = (*shape_of(time_weights), 0, 0)[:2]
        state = self.variable(f"{name or 'svdf'}/state", (_size(x, 0), filters * memory))
        options = {"rank": rank, "fused_activation_function": activation}
        roles = ("input", "feature_weights", "time_weights", "bias")
        inputs = [x, feature_weights, time_weights, bias, state]
        return self.op("SVDF", inputs, options, roles=roles, name=name)

    def _lstm(
        self, type: str, x: Tensor, weights: LSTMWeights, options: dict[str, Any], batch: int,
        name: str | None
    ) -> Tensor:
        states = self._lstm_states(name or type.lower(), weights, batch)
        inputs = [x, *_lstm_operands(weights), *states, *weights.layer_norm]
        return self.op(type, inputs, options, roles=LSTM_ROLES, name=name)

    def _lstm_states(self, label: str, weights: LSTMWeights, batch: int) -> list[Tensor]:
        sizes = {"output_state": weights.outputs, "cell_state": weights.cells}
        return [self.variable(f"{label}/{role}", (batch, size)) for role, size in sizes.items()]

    def _rnn(
        self, type: str, x: Tensor, operands: list[Value], options: dict[str, Any], batch: int,
        name: str | None
    ) -> Tensor:
        state = self.variable(f"{name or type.lower()}/hidden_state", (batch, _rows(operands[0])))
        roles = ("input", "weights", "recurrent_weights", "bias")
        return self.op(type, [x, *operands, state], options, roles=roles, name=name)

    def _both_ways(
        self, type: str, inputs: list[Value | None], options: dict[str, Any], roles: Sequence[str],
        name: str | None
    ) -> list[Tensor]:
        outputs = self.ops(type, inputs, options, roles=roles, name=name)
        read = self.graph.operators[-1].inputs
        read += [ABSENT] * (len(inputs) - len(read))  # TensorFlow Lite asks for all places of these
        return outputs


def _lstm_operands(weights: LSTMWeights) -> list[Value | None]:
    """The 17 inputs of an LSTM that follow x."""
    return [
        *weights.input_weights, *weights.recurrent_weights, *weights.peephole, *weights.bias,
        weights.projection, weights.projection_bias,
    ]  # fmt: skip


def _lstm_options(activation: str, cell_clip: float, projection_clip: float) -> dict[str, Any]:
    clips = {"cell_clip": float(cell_clip), "proj_clip": float(projection_clip)}
    return {"fused_activation_function": activation, **clips}


def _size(x: Tensor, dimension: int) -> int:
    """0 where there is no such dimension: the operator's shape rule says what is wrong with x."""
    return (*x.shape, 0, 0)[dimension]


def _rows(value: Value | None) -> int:
    return 0 if value is None else (*shape_of(value), 0)[0]
