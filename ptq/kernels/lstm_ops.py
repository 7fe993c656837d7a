"""LSTM, UNIDIRECTIONAL_SEQUENCE_LSTM and BIDIRECTIONAL_SEQUENCE_LSTM for the registry.

These operators have up to 48 inputs. Here they are found by their places, checked against each other, and
stacked to an `LstmLayer`; the arithmetic is in `lstm.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.lstm import (
    LstmLayer,
    State,
    bidirectional_sequence_lstm,
    lstm,
    unidirectional_sequence_lstm,
)
from ptq.kernels.recurrent import Matrix, int8_weights

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Places:
    """Where an operator keeps the inputs of one layer: `weights` is the first of 17 that follow each other.

    state: output state and, next to it, cell state. normalization, auxiliary: the first of four inputs.
    """

    weights: int = 1
    state: int = 18
    normalization: int | None = None
    auxiliary: int | None = None

    @property
    def input(self) -> range:
        """W x of the gates input, forget, cell, output."""
        return range(self.weights, self.weights + 4)

    @property
    def recurrent(self) -> range:
        """R h of the same gates."""
        return range(self.weights + 4, self.weights + 8)

    @property
    def peephole(self) -> range:
        """Those from the cell state to the gates input, forget, output."""
        return range(self.weights + 8, self.weights + 11)

    @property
    def bias(self) -> range:
        """The gates' biases."""
        return range(self.weights + 11, self.weights + 15)

    @property
    def projection(self) -> int:
        """The projection; its bias comes next."""
        return self.weights + 15


class LayerReader:
    """Finds the inputs of one layer in a call: which gates there are, and whether all or none are given."""

    def __init__(self, call: Call, places: Places) -> None:
        self.call, self.places = call, places
        self.cells = self._matrix_shape(places.input[-1])[0]
        self.outputs = self._matrix_shape(places.recurrent[-1])[1]
        # an LSTM has an input gate or, with CIFG, none of its inputs
        self.first = 0 if call.optional(places.input[0]) is not None else 1

    def check_clips(self) -> None:
        """GraphError for a bound below 0; 0 stands for none."""
        for clip in ("cell_clip", "proj_clip"):
            if not self.call.options[clip] >= 0:
                raise GraphError(
                    f"{self.call.operator.type}: {clip} {self.call.options[clip]} found, expected >= 0"
                )

    def projected(self) -> bool:
        """Whether there is a projection; GraphError and ShapeError for what does not fit that."""
        place = self.places.projection
        projected = self.call.optional(place) is not None
        if not projected and self.call.optional(place + 1) is not None:
            raise GraphError(f"{self.name(place + 1)} is a projection's bias without projection")
        if not projected and self.outputs != self.cells:
            raise self.misfit(self.places.recurrent[-1], (self.cells, self.cells))
        return projected

    def moving(self) -> int:
        """An input that is no constant if there is one, else one that is."""
        places = self.places
        every: list[int] = [*range(places.weights, places.weights + 17)]
        for start in (places.normalization, places.auxiliary):
            every += [] if start is None else range(start, start + 4)
        given = [
            (i, tensor) for i in every if i < len(self.call.tensors) and (tensor := self.call.tensors[i])
        ]
        return next((i for i, tensor in given if not tensor.is_constant), given[0][0])

    def gates(self, positions: Sequence[int]) -> Sequence[int]:
        """These inputs without that of the input gate where there is none; GraphError if it is given."""
        if self.first and self.call.optional(positions[0]) is not None:
            raise GraphError(
                f"{self.name(positions[0])} found, but no input_to_input_weights; expected all inputs of "
                "the input gate or, for CIFG, none"
            )
        return positions[self.first :]

    def optional_gates(self, start: Sequence[int] | int | None) -> Sequence[int]:
        """The same for inputs of which all or none are given; a number stands for four."""
        positions = range(start, start + 4) if isinstance(start, int) else start or ()
        given = [i for i in positions if self.call.optional(i) is not None]
        if not given:
            return []
        expected = self.gates(positions)
        if len(given) != len(expected):
            missing = next(i for i in expected if i not in given)
            raise GraphError(f"{self.name(missing)} is absent, input {given[0]} is given; expected both")
        return expected

    def misfit(self, position: int, expected: tuple[int, ...]) -> ShapeError:
        """The error to raise for an input of another shape."""
        found = self.call.array(position).shape
        return ShapeError(f"{self.name(position)} has shape {found}, expected {expected}")

    def name(self, position: int) -> str:
        """An input, for messages."""
        tensors = self.call.tensors
        tensor = tensors[position] if position < len(tensors) else None
        return f"{self.call.operator.type}: input {position} ('{tensor.name if tensor else ''}')"

    def _matrix_shape(self, position: int) -> tuple[int, int]:
        shape = self.call.array(position).shape
        if len(shape) == 1 and position in self.places.recurrent:
            raise UnsupportedError(
                f"{self.name(position)} has shape {shape}: ptq has no diagonal recurrent weights; "
                "expected a matrix [cells, outputs]"
            )
        if len(shape) != 2:
            raise ShapeError(f"{self.name(position)} has shape {shape}, expected a matrix")
        return shape[0], shape[1]


class _Reader(LayerReader):
    """Reads a float or hybrid layer, and checks shapes and types."""

    def __init__(self, call: Call, places: Places) -> None:
        super().__init__(call, places)
        self.hybrid = call.array(places.input[-1]).dtype == np.int8

    def layer(self, inputs: int, auxiliary_inputs: int) -> LstmLayer:
        """The layer, for x of so many inputs."""
        places, options = self.places, self.call.options
        self.check_clips()
        bias = np.stack([self._vector(i, self.cells) for i in self.gates(places.bias)])
        peephole = [self._peephole(i) for i in self.optional_gates(places.peephole)]
        normalization = [self._vector(i, self.cells) for i in self.optional_gates(places.normalization)]
        auxiliary = self.optional_gates(places.auxiliary)
        if auxiliary and not auxiliary_inputs:
            raise GraphError(f"{self.name(auxiliary[0])} is given, but no auxiliary input; expected both")
        projected = self.projected()
        return LstmLayer(
            input=self._matrix(self.gates(places.input), (self.cells, inputs)),
            recurrent=self._matrix(self.gates(places.recurrent), (self.cells, self.outputs)),
            bias=bias,
            auxiliary=self._matrix(auxiliary, (self.cells, auxiliary_inputs)) if auxiliary else None,
            peephole=np.stack(peephole) if peephole else None,
            normalization=np.stack(normalization) if normalization else None,
            projection=(self._matrix([places.projection], (self.outputs, self.cells)) if projected else None),
            projection_bias=self._optional_vector(places.projection + 1, self.outputs),
            activation=options["fused_activation_function"],
            cell_clip=options["cell_clip"],
            projection_clip=options["proj_clip"],
            asymmetric_quantize_inputs=options["asymmetric_quantize_inputs"],
        )

    def _matrix(self, positions: Sequence[int], shape: tuple[int, int]) -> Matrix:
        values, scales = zip(*(self._weights(i, shape) for i in positions), strict=True)
        return Matrix.stack(self.call.operator.type, values, scales if self.hybrid else None)

    def _peephole(self, position: int) -> Array:
        value, scale = self._weights(position, (self.cells,))
        dequantized: Array = value.astype(np.float32) * scale if self.hybrid else value
        return dequantized

    def _weights(self, position: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Weights and their scale, which float weights do not have."""
        call = self.call
        read = int8_weights(call, position) if self.hybrid else (call.float_array(position), np.ones(0))
        if read[0].shape != shape:
            raise self.misfit(position, shape)
        return read

    def _vector(self, position: int, size: int) -> Array:
        value = self.call.float_array(position)
        if value.shape != (size,):
            raise self.misfit(position, (size,))
        return value

    def _optional_vector(self, position: int, size: int) -> Array | None:
        return None if self.call.optional(position) is None else self._vector(position, size)


def _layer(call: Call, places: Places, inputs: int, auxiliary_inputs: int = 0) -> LstmLayer:
    """The layer, stacked once if all its weights are constants."""
    reader = _Reader(call, places)
    key = f"layer {places.weights}, {inputs} inputs"
    return call.remember(key, lambda: reader.layer(inputs, auxiliary_inputs), reader.moving())


def _state(call: Call, position: int) -> State:
    return call.state(position), call.state(position + 1)


def _keep(call: Call, position: int, state: State) -> None:
    for place, value in zip((position, position + 1), state, strict=True):
        call.keep_state(place, value.reshape(call.state(place).shape))


def _input(call: Call, position: int, rank: int) -> Array:
    x = call.float_array(position)
    if x.ndim != rank:
        raise ShapeError(
            f"{call.operator.type}: input {position} of shape {x.shape} found, expected {rank} dimensions"
        )
    return x


def lstm_op(call: Call) -> list[Array]:
    """LSTM: inputs (x, 17 of the layer, h, c, and 4 of layer normalisation or none)."""
    if call.options["kernel_type"] != "FULL":
        raise UnsupportedError(
            f"LSTM: kernel type {call.options['kernel_type']} found, expected FULL; ptq does not compute the "
            "older form, which has 5 inputs and 4 outputs; convert the model again"
        )
    x, places = _input(call, 0, 2), Places(normalization=20)
    layer = _layer(call, places, x.shape[1])
    h, c = lstm(x, _state(call, 18), layer, call.numerics)
    _keep(call, 18, (h, c))
    return [h]


def unidirectional_sequence_lstm_op(call: Call) -> list[Array]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: inputs as LSTM, option time_major."""
    x, time_major = _input(call, 0, 3), call.options["time_major"]
    layer = _layer(call, Places(normalization=20), x.shape[2])
    output, state = unidirectional_sequence_lstm(x, _state(call, 18), layer, time_major, call.numerics)
    _keep(call, 18, state)
    return [output]


def bidirectional_sequence_lstm_op(call: Call) -> list[Array]:
    """BIDIRECTIONAL_SEQUENCE_LSTM: inputs (x, 17 of each layer, both h and c, auxiliary x and 4 of each)."""
    x, time_major = _input(call, 0, 3), call.options["time_major"]
    auxiliary = None if call.optional(39) is None else _input(call, 39, 3)
    size = 0 if auxiliary is None else auxiliary.shape[2]
    forward = _layer(call, Places(1, 35, auxiliary=40), x.shape[2], size)
    backward = _layer(call, Places(18, 37, auxiliary=44), x.shape[2], size)
    states = _state(call, 35), _state(call, 37)
    merge_outputs = call.options["merge_outputs"]
    outputs, states = bidirectional_sequence_lstm(
        x, states, forward, backward, time_major, merge_outputs, auxiliary, call.numerics
    )
    _keep(call, 35, states[0])
    _keep(call, 37, states[1])
    return outputs


FLOAT: dict[str, Kernel] = {
    "LSTM": lstm_op,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": unidirectional_sequence_lstm_op,
    "BIDIRECTIONAL_SEQUENCE_LSTM": bidirectional_sequence_lstm_op,
}
HYBRID = FLOAT
"""The weights' types choose the arithmetic."""
