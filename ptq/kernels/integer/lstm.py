"""The integer LSTM: int8 inputs, outputs and weights, int16 gates and cell state, "8x8_16" for short.

The formulas are those of `ptq.kernels.lstm`. Every sum of products is rescaled to int16 with 3 integer bits,
which hold the arguments of sigmoid and tanh; their results have none (Q39). An int16 has 65,536 values, so
that sigmoid and tanh are tables, which arithmetic in fixed point fills once.

TensorFlow Lite and its library for microcontrollers compute the same formulas with other roundings. An
`IntegerLstmLayer` holds what differs: the tables, and how each product is rescaled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.defects import INTEGER_LSTM_PEEPHOLE, INTEGER_LSTM_WIDE_PEEPHOLE
from ptq.errors import ShapeError
from ptq.fixed_point import multiply_by_quantized_multiplier, saturate, wrap_int32
from ptq.fixed_point_math import get_inv_sqrt_quantized_multiplier_exp, logistic, tanh
from ptq.gemm import IntegerWeights, multiply_integers
from ptq.kernels.integer.tables import logistic_int16, tanh_int16
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]

CANDIDATE, OUTPUT = -2, -1
"""The gates' places in every stack, counted from its end: CIFG leaves out the input gate, the first."""

GATE_BITS = 3
"""Integer bits of the arguments of sigmoid and tanh."""

Scaling = Callable[[Array], Array]
"""A change of scale: int32 products to integers of the new scale."""


@dataclass(frozen=True)
class Product:
    """A matrix and what becomes of its products: rescale(values @ weights.T + bias).

    weights: from int8 [N, K]. bias: int64 [N], in which the zero point of the values is accounted for:
    bias - zero_point * (sum of the row's weights).
    """

    weights: IntegerWeights
    bias: Array
    rescale: Scaling

    @property
    def size(self) -> int:
        """N."""
        return len(self.bias)

    def __call__(self, values: Array) -> Array:
        """int64 [..., N] for int8 values [..., K]; accumulators wrap around in int32."""
        rows = values.reshape(-1, values.shape[-1])
        # accumulate
        accumulator = multiply_integers(rows, self.weights, np.empty((len(rows), self.size), np.int64))
        # add bias
        accumulator += self.bias
        # rescale
        rescaled = self.rescale(accumulator.astype(np.int32))
        return rescaled.astype(np.int64).reshape(*values.shape[:-1], self.size)


@dataclass(frozen=True)
class Peephole:
    """Weights from the cell state to all gates but the candidate, int16 [gates - 1, cells], and a rescaling
    of the products for each gate."""

    weights: Array
    rescale: tuple[Scaling, ...]


@dataclass(frozen=True)
class LayerNormalization:
    """Of each gate: coefficients int16 and bias int32, [gates, cells]; then an entry for each gate.

    rescale: from units of 2^-10 of a coefficient to those of the gate. variance_limit: stands in for a
    variance below 1.
    """

    coefficients: Array
    bias: Array
    rescale: tuple[Scaling, ...]
    variance_limit: tuple[int, ...]


@dataclass(frozen=True)
class Projection:
    """A product with the cells' outputs. zero_point: of its result. bounds: its clip, or those of int8."""

    product: Product
    zero_point: int
    bounds: tuple[int, int] = (-128, 127)


@dataclass(frozen=True)
class IntegerLstmLayer:
    """The weights of one layer as integers, gates stacked in the order input, forget, candidate, output.

    input: of [gates * cells, inputs]. recurrent: of [gates * cells, outputs]. saturate_recurrent: whether
    products with h are brought to int16 before they are added. sigmoid, tanh, cell_tanh: int16 [65536], the
    functions of a gate and of the cell state, by the argument's unsigned bits. keep, write: change the
    products (forget gate * cell state) and (input gate * candidate) to the cell state's scale. cell_clip: a
    bound of the cell state, or None. hidden, hidden_zero_point: change the product of output gate and
    cell_tanh to the output's scale, or to the projection's input.
    """

    cells: int
    outputs: int
    input: Product
    recurrent: Product
    sigmoid: Array
    tanh: Array
    cell_tanh: Array
    keep: Scaling
    write: Scaling
    hidden: Scaling
    hidden_zero_point: int
    saturate_recurrent: bool = False
    cell_clip: int | None = None
    peephole: Peephole | None = None
    normalization: LayerNormalization | None = None
    projection: Projection | None = None

    @property
    def gates(self) -> int:
        """4, or 3 without an input gate (CIFG, "coupled input and forget gate")."""
        return self.input.size // self.cells


State = tuple[Array, Array]
"""Output h, int8 [batch, outputs], and cell state c, int16 [batch, cells]."""


def unidirectional_sequence_lstm_integer(
    x: Array,
    state: State,
    layer: IntegerLstmLayer,
    time_major: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, State]:
    """An integer LSTM over a sequence: the outputs of all time steps and the state after the last.

    x: int8 [batch, time, inputs], or [time, batch, inputs] with time_major. Returns int8 [..., outputs] in
    the layout of x, and (h, c). numerics: what becomes of a defect of the runtime.
    Raises ShapeError if x or the state do not fit the layer; UnsupportedError for peepholes beside a
    projection to another number of outputs, unless `numerics` say otherwise.
    Source: `tflite/kernels/lstm_eval.cc`, EvalInteger8x8_16; tflite-micro, `lstm_eval.h`, EvalLstm.
    """
    _check_shapes(x, state, layer, time_major)
    displaced = _displaces_peepholes(layer, numerics)
    steps = x if time_major else x.transpose(1, 0, 2)
    h, c = state[0], state[1].astype(np.int64)
    # W x, for all time steps
    sums = saturate(layer.input(steps), 16).reshape(*steps.shape[:2], layer.gates, layer.cells)
    outputs = np.empty((*steps.shape[:2], layer.outputs), np.int8)
    # the rows that the runtime computes together matter to that defect alone
    together = steps.shape[1] if time_major else 1
    for step, gates in enumerate(sums):
        h, c = lstm_step_integer(layer, gates, h, c, together if displaced else 0)
        outputs[step] = h
    return (outputs if time_major else outputs.transpose(1, 0, 2)), (h, c.astype(np.int16))


def lstm_step_integer(
    layer: IntegerLstmLayer, gates: Array, h: Array, c: Array, displaced: int = 0
) -> State:
    """The next h and c, int8 [rows, outputs] and int64 [rows, cells].

    gates: the sums so far, rescaled (W x + bias), int64 [rows, gates, cells]. displaced: reproduces a defect
    of peepholes in so many rows together; 0 for none.
    Source: `tflite/kernels/lstm_eval.cc`, LstmStepInteger8x8_16.
    """
    # R h
    recurrent = layer.recurrent(h).reshape(gates.shape)
    if layer.saturate_recurrent:
        recurrent = saturate(recurrent, 16)
    gates = saturate(gates + recurrent, 16)
    # input gate, forget gate and candidate
    early = range(layer.gates - 2)
    opened = [layer.sigmoid[_argument(layer, gates, gate, c, displaced)].astype(np.int64) for gate in early]
    candidate = layer.tanh[_argument(layer, gates, layer.gates + CANDIDATE, None, 0)].astype(np.int64)
    fill = opened[0] if layer.gates == 4 else 32767 - opened[0]
    # cell state
    c = saturate(layer.keep(opened[-1] * c) + layer.write(fill * candidate), 16)
    if layer.cell_clip is not None:
        c = np.clip(c, -layer.cell_clip, layer.cell_clip)
    # output gate
    shown = layer.sigmoid[_argument(layer, gates, layer.gates + OUTPUT, c, displaced)].astype(np.int64)
    # output
    return _output(layer, shown * layer.cell_tanh[c]), c


def _output(layer: IntegerLstmLayer, product: Array) -> Array:
    """The output, int8 [rows, outputs], from output gate * tanh(cell state), projected if there is one.

    Before a projection the runtime subtracts the zero point of the projection's input instead of adding it,
    and accounts for that in the projection's bias: only what saturates is another value.
    """
    # rescale
    hidden = layer.hidden(product).astype(np.int64)
    if layer.projection is None:
        return saturate(hidden + layer.hidden_zero_point, 8).astype(np.int8)
    hidden = saturate(hidden - layer.hidden_zero_point, 8)
    projected = layer.projection.product(hidden.astype(np.int8)) + layer.projection.zero_point
    # clamp
    return np.clip(saturate(projected, 8), *layer.projection.bounds).astype(np.int8)


def _argument(layer: IntegerLstmLayer, gates: Array, gate: int, c: Array | None, displaced: int) -> Array:
    """The argument of one gate's function: its sum with the peephole to c, normalised. int64 [rows, cells].

    A table has as many entries as there are arguments, and NumPy counts negative ones from its end.
    """
    value = gates[:, gate]
    if layer.peephole is not None and c is not None:
        row = gate if gate < layer.gates - 2 else gate - 1  # there is none for the candidate
        weights, rescale = layer.peephole.weights[row], layer.peephole.rescale[row]
        if displaced:
            value = _displaced(value, c, weights, rescale, layer, displaced)
        else:
            value = saturate(value + rescale(c * weights), 16)
    if layer.normalization is not None:
        value = normalize_integer(value, layer.normalization, gate)
    return value


def normalize_integer(value: Array, normalization: LayerNormalization, gate: int) -> Array:
    """(value - mean) / deviation * coefficients + bias, along the last axis. int64 [rows, cells] in and out.

    The mean has 10 bits of fraction. The variance comes from the mean of squares, by a reciprocal of the
    cells' number that is exact for powers of two alone.
    Source: `tflite/kernels/internal/reference/portable_tensor_utils.cc`, PortableApplyLayerNorm.
    """
    count = value.shape[-1]
    total, squares = value.sum(axis=-1, keepdims=True), (value * value).sum(axis=-1, keepdims=True)
    mean = np.sign(total) * (np.abs(total) * 1024 // count)
    variance = squares * ((1 << 20) // count) - mean * mean
    variance = np.sign(variance) * (np.abs(variance) >> 20)
    variance = np.where(variance < 1, normalization.variance_limit[gate], variance)
    multiplier, shift = get_inv_sqrt_quantized_multiplier_exp(variance)
    normal = multiply_by_quantized_multiplier(1024 * value - mean, multiplier, shift)
    # In the source an int32, which can overflow; x86 wheels keep the 64 bits.
    weighted = normal.astype(np.int64) * normalization.coefficients[gate] + normalization.bias[gate]
    rounded = wrap_int32(np.sign(weighted) * ((np.abs(weighted) + 512) // 1024))
    return saturate(normalization.rescale[gate](rounded).astype(np.int64), 16)


def _displaced(
    value: Array, c: Array, weights: Array, rescale: Scaling, layer: IntegerLstmLayer, together: int
) -> Array:
    """The peephole as the runtime computes it: the first `outputs` weights over and over, row after row."""
    groups = value.reshape(-1, together * layer.cells).copy()
    reached = together * layer.outputs
    repeated = np.tile(weights[: layer.outputs], together)
    products = c.reshape(groups.shape)[:, :reached] * repeated
    groups[:, :reached] = saturate(groups[:, :reached] + rescale(products), 16)
    return groups.reshape(value.shape)


def _displaces_peepholes(layer: IntegerLstmLayer, numerics: Numerics) -> bool:
    if layer.peephole is None or layer.outputs == layer.cells:
        return False
    defect = INTEGER_LSTM_PEEPHOLE if layer.outputs < layer.cells else INTEGER_LSTM_WIDE_PEEPHOLE
    return defect.reproduced(numerics, f"{layer.outputs} outputs of {layer.cells} cells")


@cache
def polynomial_tables(cell_exponent: int) -> tuple[Array, Array, Array]:
    """TensorFlow Lite's sigmoid, tanh, and tanh of a cell state in units of 2^cell_exponent (-15 to -9).

    Each int16 [65536], by the argument's unsigned bits. Source:
    `tflite/kernels/internal/reference/portable_tensor_utils.cc`, PortableApplySigmoid and PortableApplyTanh.
    """
    every = _every_argument()
    tables = logistic(every, GATE_BITS, 16), tanh(every, GATE_BITS, 16), tanh(every, 15 + cell_exponent, 16)
    return tables[0].astype(np.int16), tables[1].astype(np.int16), tables[2].astype(np.int16)


@cache
def interpolated_tables(cell_exponent: int) -> tuple[Array, Array, Array]:
    """The same as micro has them, which interpolates. cell_exponent: -30 to 2.

    Source: tflite-micro, `lstm_eval.cc`, Sigmoid and Tanh.
    """
    every = _every_argument()
    shift = cell_exponent + 12
    cell = tanh_int16(every, 3 << max(shift, 0), max(-shift, 0))
    return logistic_int16(every, 3, 0), tanh_int16(every, 3, 0), cell


def _every_argument() -> Array:
    return np.arange(65536, dtype=np.uint16).view(np.int16)


def _check_shapes(x: Array, state: State, layer: IntegerLstmLayer, time_major: bool) -> None:
    if x.ndim != 3:
        raise ShapeError(f"LSTM: input of shape {x.shape} found, expected three dimensions")
    batch = x.shape[1 if time_major else 0]
    expected = [(batch, layer.outputs), (batch, layer.cells)]
    found = [value.shape for value in state]
    if found != expected:
        raise ShapeError(f"LSTM: states of shapes {found} found, expected {expected}")
