"""LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM on integers for the registry.

The inputs are found as for a float layer. Their scales, and those of five intermediate tensors (the sums of
the four gates, which count only with layer normalisation, and the cells' output before a projection), become
the integers of an `IntegerLstmLayer`: once, before any data is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.defects import INTEGER_LSTM_ACTIVATION, INTEGER_LSTM_PROJECTION_CLIP
from ptq.errors import GraphError, QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import rounding_divide_by_pot, saturate
from ptq.gemm import IntegerWeights
from ptq.graph import Tensor
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.lstm import (
    IntegerLstmLayer,
    LayerNormalization,
    Peephole,
    Product,
    Projection,
    Scaling,
    State,
    interpolated_tables,
    polynomial_tables,
    unidirectional_sequence_lstm_integer,
)
from ptq.kernels.integer.parameters import Rescale, one_scale, power_of_two
from ptq.kernels.lstm_ops import LayerReader, Places

Array = npt.NDArray[Any]
F = np.float32

OUTPUT_STATE, CELL_STATE = 18, 19
GATE_SCALE = F(2.0**-12)
"""Of a gate's sum, unless layer normalisation changes it."""

UNIT = 2.0**-15
"""The scale of what sigmoid and tanh give."""


class _Reader(LayerReader):
    """Reads an integer layer: checks types, shapes and scales, and turns scales into integers."""

    def __init__(self, call: Call) -> None:
        super().__init__(call, Places(normalization=20))
        self.micro = call.numerics.integer_kernels == "micro"
        self.normalized = bool(self.optional_gates(self.places.normalization))
        if len(call.intermediates) != 5:
            raise UnsupportedError(
                f"{call.operator.type}: {len(call.intermediates)} intermediate tensors found, expected 5 of "
                "an LSTM with int8 activations and an int16 cell state; ptq has no other integer LSTM"
            )

    def layer(self, inputs: int) -> IntegerLstmLayer:
        """The layer, for x of so many inputs."""
        self.check_clips()
        self._check_variant()
        places, exponent = self.places, self._cell_exponent()
        scales = self._gate_scales()
        biases = [self._vector(i, (self.cells,), np.int32) for i in self.gates(places.bias)]
        hidden_scale, hidden_zero_point = self._hidden()
        sigmoid, tanh, cell_tanh = (interpolated_tables if self.micro else polynomial_tables)(exponent)
        return IntegerLstmLayer(
            cells=self.cells,
            outputs=self.outputs,
            input=self._gates_product(places.input, inputs, 0, scales, None if self.normalized else biases),
            recurrent=self._gates_product(places.recurrent, self.outputs, OUTPUT_STATE, scales, None),
            sigmoid=sigmoid,
            tanh=tanh,
            cell_tanh=cell_tanh,
            keep=self._to_cell_state(15, 1.0 * UNIT),
            write=self._to_cell_state(30 + exponent, UNIT * UNIT / float(self._one_scale(CELL_STATE)[0])),
            hidden=self._rescale(self._hidden_factor(hidden_scale)),
            hidden_zero_point=hidden_zero_point,
            saturate_recurrent=self.micro,
            cell_clip=self._cell_clip(),
            peephole=self._peephole(scales, exponent),
            normalization=self._normalization(biases) if self.normalized else None,
            projection=self._projection(hidden_scale, hidden_zero_point),
        )

    def _check_variant(self) -> None:
        """UnsupportedError for what the runtime computes otherwise than the options say, or not at all."""
        kind, options = self.call.operator.type, self.call.options
        activation = options["fused_activation_function"]
        variants = self.optional_gates(self.places.peephole) or self.normalized or self.projected()
        if self.micro and (self.first or variants or kind == "LSTM" or activation != "TANH"):
            raise UnsupportedError(
                f"{kind}: an LSTM without input gate, with peepholes, layer normalisation, a projection or "
                f"activation {activation} found; TensorFlow Lite for Microcontrollers has none but the plain "
                "UNIDIRECTIONAL_SEQUENCE_LSTM with TANH"
            )
        if activation != "TANH":
            INTEGER_LSTM_ACTIVATION.reproduced(self.call.numerics, f"activation {activation}")

    # --- the cell state -----------------------------------------------------------------------------

    def _cell_exponent(self) -> int:
        scale = float(self._one_scale(CELL_STATE)[0])
        exponent = power_of_two(scale)
        lowest, highest = (-30, 2) if self.micro else (-15, -9)
        if exponent is None or not lowest <= exponent <= highest:
            raise QuantizationError(
                f"{self.name(CELL_STATE)} has scale {scale}, expected a power of two from 2^{lowest} to "
                f"2^{highest}; convert the model again"
            )
        return exponent

    def _to_cell_state(self, shift: int, factor: float) -> Scaling:
        """TensorFlow Lite shifts, micro multiplies and saturates."""
        if not self.micro:
            return partial(rounding_divide_by_pot, exponent=shift)
        rescale = self._rescale(factor)
        return lambda product: saturate(rescale(product).astype(np.int64), 16)

    def _cell_clip(self) -> int | None:
        """Micro divides in double and clips even to 0."""
        clip, scale = F(self.call.options["cell_clip"]), self._one_scale(CELL_STATE)[0]
        if not clip > 0:
            return None
        bound = int(min(float(clip) / float(scale) if self.micro else float(clip / scale), 32767.0))
        return bound if bound or self.micro else None

    # --- products -----------------------------------------------------------------------------------

    def _gate_scales(self) -> list[np.float32]:
        """The scale of each gate's sum."""
        if not self.normalized:
            return [GATE_SCALE] * (4 - self.first)
        return [self._scale_of(tensor)[0] for tensor in self.call.intermediates[self.first : 4]]

    def _gates_product(
        self, positions: range, size: int, source: int, scales: list[np.float32], biases: list[Array] | None
    ) -> Product:
        """The product of all gates with the input or the output state, whose position is `source`."""
        places = self.gates(positions)
        scale, zero_point = self._one_scale(source)
        read = [self._weights(place, (self.cells, size)) for place in places]
        factors = [
            float(weight_scale * scale) / float(gate_scale) if self.micro
            else float(weight_scale * scale / gate_scale)
            for (_, weight_scale), gate_scale in zip(read, scales, strict=True)
        ]  # fmt: skip
        rescale = self._rescale([factor for factor in factors for _ in range(self.cells)])
        bias = None if biases is None else np.concatenate(biases)
        return _product(np.concatenate([weights for weights, _ in read]), bias, -zero_point, rescale)

    def _peephole(self, scales: list[np.float32], exponent: int) -> Peephole | None:
        positions = self.optional_gates(self.places.peephole)
        if not positions:
            return None
        others = [*scales[:-2], scales[-1]]
        vectors = [self._vector(place, (self.cells,), np.int16) for place in positions]
        factors = [
            F(2.0**exponent * float(self._one_scale(place)[0]) / float(gate_scale))
            for place, gate_scale in zip(positions, others, strict=True)
        ]
        return Peephole(np.stack(vectors), tuple(self._rescale(float(factor)) for factor in factors))

    def _normalization(self, biases: list[Array]) -> LayerNormalization:
        positions = self.optional_gates(self.places.normalization)
        vectors = [self._vector(place, (self.cells,), np.int16) for place in positions]
        scales = [self._one_scale(place)[0] for place in positions]
        return LayerNormalization(
            np.stack(vectors),
            np.stack(biases),
            tuple(self._rescale(float(scale) * 4096) for scale in scales),
            tuple(max(1, int(F(10000) * scale)) for scale in scales),
        )

    # --- the output -----------------------------------------------------------------------------------

    def _hidden(self) -> tuple[np.float32, int]:
        """Scale and zero point of output gate * tanh(cell state); micro asks the output state for them."""
        return self._one_scale(OUTPUT_STATE) if self.micro else self._scale_of(self.call.intermediates[4])

    def _hidden_factor(self, scale: np.float32) -> float:
        if self.micro:
            return UNIT * UNIT / float(scale)
        return float(F(UNIT / float(scale) * UNIT))

    def _projection(self, hidden_scale: np.float32, hidden_zero_point: int) -> Projection | None:
        if not self.projected():
            return None
        place = self.places.projection
        weights, weight_scale = self._weights(place, (self.outputs, self.cells))
        scale, zero_point = self._one_scale(OUTPUT_STATE)
        bias = None
        if self.call.optional(place + 1) is not None:
            bias = self._vector(place + 1, (self.outputs,), np.int32)
        rescale = self._rescale(float(weight_scale * hidden_scale / scale))
        product = _product(weights, bias, hidden_zero_point, rescale)
        return Projection(product, zero_point, self._projection_bounds(zero_point))

    def _projection_bounds(self, zero_point: int) -> tuple[int, int]:
        clip, scale = F(self.call.options["proj_clip"]), self._scale_of(self.call.output_tensors[0])[0]
        bound = int(min(float(clip / scale), 127.0))
        if not bound:
            return -128, 127
        if zero_point == 0 or INTEGER_LSTM_PROJECTION_CLIP.reproduced(
            self.call.numerics, f"a clip of {clip} and zero point {zero_point}"
        ):
            return -bound, bound
        return zero_point - bound, zero_point + bound

    # --- arrays and scales ------------------------------------------------------------------------------

    def _rescale(self, factor: float | Sequence[float]) -> Rescale:
        return Rescale.by(factor, self.call.numerics)

    def _weights(self, position: int, shape: tuple[int, ...]) -> tuple[Array, np.float32]:
        """Symmetric int8 weights and their scale."""
        scale, zero_point = self._one_scale(position)
        if zero_point != 0:
            raise QuantizationError(f"{self.name(position)} has zero point {zero_point}, expected 0")
        return self._vector(position, shape, np.int8), scale

    def _vector(self, position: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        value = self.call.typed_array(position, dtype)
        if value.shape != shape:
            raise self.misfit(position, shape)
        return value

    def _one_scale(self, position: int) -> tuple[np.float32, int]:
        self.call.array(position)  # GraphError if it is absent
        tensor = self.call.tensors[position]
        assert tensor is not None
        return self._scale_of(tensor)

    def _scale_of(self, tensor: Tensor) -> tuple[np.float32, int]:
        quantization = tensor.quantized
        if quantization is None or quantization.scale.size != 1 or not quantization.scale[0] > 0:
            found = "no" if quantization is None else quantization.scale.size
            raise QuantizationError(
                f"{self.call.operator.type}: tensor '{tensor.name}' with {found} scales found, expected one "
                "above 0; convert the model again"
            )
        return one_scale(quantization)


def _product(weights: Array, bias: Array | None, offset: int, rescale: Rescale) -> Product:
    """A product whose bias accounts for an offset that is added to all values."""
    total = np.zeros(len(weights), np.int64) if bias is None else bias.astype(np.int64)
    total += weights.sum(axis=1, dtype=np.int64) * offset
    return Product(IntegerWeights.prepare(weights, 128), total, rescale)


def _layer(call: Call, inputs: int) -> IntegerLstmLayer:
    reader = _Reader(call)
    with np.errstate(over="ignore", under="ignore"):  # an infinite factor has an error of its own
        return call.remember(f"layer of {inputs} inputs", lambda: reader.layer(inputs), reader.moving())


def _state(call: Call, layer: IntegerLstmLayer) -> State:
    """h and c, which may come in any shape of the right size."""
    h, c = call.state(OUTPUT_STATE, np.int8), call.state(CELL_STATE, np.int16)
    for position, value, width in ((OUTPUT_STATE, h, layer.outputs), (CELL_STATE, c, layer.cells)):
        if value.size % width:
            raise ShapeError(
                f"{call.operator.type}: state of shape {value.shape} found at input {position}, expected "
                f"[batch, {width}]"
            )
    return h.reshape(-1, layer.outputs), c.reshape(-1, layer.cells)


def _run(call: Call, x: Array, time_major: bool) -> Array:
    layer = _layer(call, x.shape[-1])
    output, state = unidirectional_sequence_lstm_integer(
        x, _state(call, layer), layer, time_major, call.numerics
    )
    for position, value in zip((OUTPUT_STATE, CELL_STATE), state, strict=True):
        call.keep_state(position, value.reshape(call.array(position).shape))
    return output


def _input(call: Call, rank: int) -> Array:
    x = call.typed_array(0, np.int8)
    if x.ndim != rank:
        raise ShapeError(f"{call.operator.type}: input of shape {x.shape} found, expected {rank} dimensions")
    return x


def lstm_op(call: Call) -> list[Array]:
    """LSTM: inputs (x, 17 of the layer, h, c, and 4 of layer normalisation or none), one step."""
    if call.options["kernel_type"] != "FULL":
        raise GraphError(f"LSTM: kernel type {call.options['kernel_type']} found, expected FULL")
    return [_run(call, _input(call, 2)[None], True)[0]]


def unidirectional_sequence_lstm_op(call: Call) -> list[Array]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: inputs as LSTM, option time_major."""
    return [_run(call, _input(call, 3), call.options["time_major"])]


INTEGER: dict[str, Kernel] = {
    "LSTM": lstm_op,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": unidirectional_sequence_lstm_op,
}
