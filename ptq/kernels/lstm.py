"""The LSTM: one layer over time, and the operators that run one or two such layers.

For each time step, with x the input, h the output before and c the cell state before              (Q27):

    i = sigmoid(W_i x + R_i h + p_i * c + b_i)     input gate; with CIFG there is none, and i = 1 - f
    f = sigmoid(W_f x + R_f h + p_f * c + b_f)     forget gate
    g = tanh(W_g x + R_g h + b_g)                  candidate, which TensorFlow Lite calls the cell gate
    c = clip(f * c + g * i)                        cell state
    o = sigmoid(W_o x + R_o h + p_o * c + b_o)     output gate, which sees the new c
    h = o * tanh(c)                                output; with a projection h = clip(P (o * tanh(c)) + b_P)

Peepholes p, projection P and the clips are options. With layer normalisation each gate's sum is first
normalised over the cells and scaled, and only then gets its bias. Float and hybrid layers are one code: the
products W x, R h and P t are what differs, and `recurrent.add_products` knows how.

Everything is vectorised over the gates, and W x is computed for all time steps at once: the loop over time
adds only what has to wait for h. The sums still run in TensorFlow Lite's order: bias, W x, R h, peephole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError
from ptq.kernels.activation import activate_float, sequential_sum
from ptq.kernels.eigen import eigen_logistic, outside_packets
from ptq.kernels.recurrent import Matrix, add_products
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]
F = np.float32

FORGET, CANDIDATE, OUTPUT = -3, -2, -1
"""The gates' places in every stack, counted from its end: CIFG leaves out the input gate, the first."""


@dataclass(frozen=True)
class LstmLayer:
    """The weights and options of one layer, gates stacked in the order input, forget, candidate, output.

    input: [gates * cells, inputs]. recurrent: [gates * cells, outputs]. bias: float32 [gates, cells].
    auxiliary: [gates * cells, auxiliary inputs], of a second input. peephole: float32 [gates - 1, cells], for
    all gates but the candidate. normalization: float32 [gates, cells], the coefficients of layer
    normalisation. projection: [outputs, cells]. projection_bias: float32 [outputs]. gates: 4, or 3 with CIFG.
    activation: of the candidate and of the cell state. cell_clip, projection_clip: 0 for none.
    """

    input: Matrix
    recurrent: Matrix
    bias: Array
    auxiliary: Matrix | None = None
    peephole: Array | None = None
    normalization: Array | None = None
    projection: Matrix | None = None
    projection_bias: Array | None = None
    activation: str = "TANH"
    cell_clip: float = 0.0
    projection_clip: float = 0.0
    asymmetric_quantize_inputs: bool = False

    def __post_init__(self) -> None:
        for name, matrix in (("input", self.input), ("recurrent", self.recurrent)):
            _expect(f"{name} weights", matrix.shape, (self.bias.size, matrix.shape[1]))

    @property
    def gates(self) -> int:
        """4, or 3 without an input gate (CIFG, "coupled input and forget gate")."""
        return len(self.bias)

    @property
    def cells(self) -> int:
        """The number of cells; also that of outputs, unless there is a projection."""
        return int(self.bias.shape[1])

    @property
    def outputs(self) -> int:
        """The width of the output h."""
        return self.recurrent.shape[1]


State = tuple[Array, Array]
"""Output h, float32 [batch, outputs], and cell state c, float32 [batch, cells]."""


def lstm(x: Array, state: State, layer: LstmLayer, numerics: Numerics = LITERT_REFERENCE) -> State:
    """One step of an LSTM: the new (h, c) for x, float32 [batch, inputs]; h is the output.

    Raises ShapeError if x or the state do not fit the layer. Source: `tflite/kernels/lstm.cc`, full::Eval.
    """
    output, state = unidirectional_sequence_lstm(x[None], state, layer, True, numerics)
    return output[0], state[1]


def unidirectional_sequence_lstm(
    x: Array,
    state: State,
    layer: LstmLayer,
    time_major: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
    auxiliary: Array | None = None,
) -> tuple[Array, State]:
    """An LSTM over a sequence: the outputs of all time steps and the state after the last.

    x: float32 [batch, time, inputs], or [time, batch, inputs] with time_major. auxiliary: as x, for a layer
    with auxiliary weights. Returns float32 [..., outputs] in the layout of x, and (h, c).
    Raises ShapeError if x or the state do not fit the layer. UnsupportedError for activation SIGN_BIT, and
    for two defects of the runtime, unless `numerics` says otherwise: activation NONE, and a float projection
    that is wider than the cells. Infinities and NaN in float layers are not the runtime's, whose matrix
    product clamps them to the largest finite numbers.
    Source: `tflite/kernels/unidirectional_sequence_lstm.cc`, Eval, and `lstm_eval.cc`, EvalFloat, EvalHybrid.
    """
    steps = _steps(x, time_major)
    more = None if auxiliary is None else _steps(auxiliary, time_major)
    h, c = _rows(state, layer, steps)
    outputs, h, c = run_layer(layer, steps, h, c, more, numerics)
    return _layout(outputs, time_major), (h.reshape(-1, layer.outputs), c.reshape(-1, layer.cells))


def bidirectional_sequence_lstm(
    x: Array,
    states: tuple[State, State],
    forward: LstmLayer,
    backward: LstmLayer,
    time_major: bool = True,
    merge_outputs: bool = False,
    auxiliary: Array | None = None,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[list[Array], tuple[State, State]]:
    """Two LSTMs over a sequence, the second from its end: their outputs and states, forward first.

    x: as for `unidirectional_sequence_lstm`. auxiliary: a second input of both layers if they have weights
    for it, or else what the backward layer reads in place of x: that is how such layers are stacked.
    merge_outputs: one output, [..., forward outputs + backward outputs], instead of two.
    Raises ShapeError as above, and UnsupportedError for a merged batch-major batch of several rows: there the
    runtime looks for the rows of the output state in the wrong places.
    Source: `tflite/kernels/bidirectional_sequence_lstm.cc`, Eval.
    """
    if (forward.auxiliary is None) != (backward.auxiliary is None):
        raise ShapeError("LSTM: auxiliary weights for one direction found, expected them for both or none")
    if merge_outputs and not time_major and len(x) > 1:
        defects.BIDIRECTIONAL_LSTM_MERGED.reproduced(numerics, f"a merged batch of {len(x)}")
    second = x
    if backward.auxiliary is None and auxiliary is not None:
        second, auxiliary = auxiliary, None
    axis = 0 if time_major else 1
    y, forward_state = unidirectional_sequence_lstm(x, states[0], forward, time_major, numerics, auxiliary)
    turned = None if auxiliary is None else np.flip(auxiliary, axis)
    z, backward_state = unidirectional_sequence_lstm(
        np.flip(second, axis), states[1], backward, time_major, numerics, turned
    )
    z = np.flip(z, axis)
    outputs = [np.concatenate([y, z], axis=-1)] if merge_outputs else [y, z]
    return outputs, (forward_state, backward_state)


def run_layer(
    layer: LstmLayer, x: Array, h: Array, c: Array, auxiliary: Array | None, numerics: Numerics
) -> tuple[Array, Array, Array]:
    """The outputs of all steps, and h and c after the last.

    x, auxiliary: float32 [time, groups, rows, inputs]; h and c: [groups, rows, ...]. The rows of a group are
    those that the runtime computes together, which decides two things: products with zero are skipped only
    where the whole group is zero, and where Eigen's packets begin.
    """
    _check_projection(layer, numerics)
    time, groups, rows, _ = x.shape
    # bias
    gates = np.empty((time, groups, rows, layer.gates, layer.cells), F)
    gates[...] = layer.bias if layer.normalization is None else F(0)
    # W x, for all time steps
    flat = gates.reshape(time * groups, rows, layer.gates * layer.cells)
    for value, weights in ((x, layer.input), (auxiliary, layer.auxiliary)):
        if value is not None and weights is not None:
            _expect("input", value.shape, (time, groups, rows, weights.shape[1]))
            values = value.reshape(time * groups, rows, weights.shape[1])
            add_products(flat, values, weights, layer.asymmetric_quantize_inputs, numerics)
    outputs = np.empty((time, groups, rows, layer.outputs), F)
    single = _outside_packets(layer, groups, rows)
    for step in range(time):
        h, c = lstm_step(layer, gates[step], h, c, single, numerics)
        outputs[step] = h
    return outputs, h, c


def lstm_step(
    layer: LstmLayer, gates: Array, h: Array, c: Array, single: Array | None, numerics: Numerics
) -> tuple[Array, Array]:
    """The next h and c, from the gates' sums so far (bias + W x), [groups, rows, gates, cells].

    The gates are overwritten. single: what `_outside_packets` returns.
    Source: `tflite/kernels/lstm_eval.cc`, LstmStepFloat and LstmStepHybrid.
    """
    # R h
    sums = gates.reshape(*gates.shape[:2], layer.gates * layer.cells)
    asymmetric, hybrid = layer.asymmetric_quantize_inputs, layer.recurrent.real is None
    add_products(sums, h, layer.recurrent, asymmetric, numerics, skip_zero_steps=hybrid)
    # input gate, forget gate and candidate
    early = slice(None, CANDIDATE)
    opened = _sigmoid(layer, gates, early, c, single)
    candidate = activate_float(_complete(layer, gates, slice(CANDIDATE, OUTPUT)), layer.activation)[:, :, 0]
    forget = opened[:, :, -1]
    fill = opened[:, :, 0] if layer.gates == 4 else F(1) - forget
    # cell state
    c = forget * c + candidate * fill
    if layer.cell_clip > 0:
        c = _clip(c, layer.cell_clip)
    # output gate
    shown = _sigmoid(layer, gates, slice(OUTPUT, None), c, single)[:, :, 0]
    # output
    h = shown * _activated_state(layer, c, candidate, numerics)
    return (h if layer.projection is None else _project(layer, h, numerics)), c


def _sigmoid(layer: LstmLayer, gates: Array, part: slice, c: Array, single: Array | None) -> Array:
    """sigmoid of a part of the gates, after the peephole to the cell state."""
    if layer.peephole is not None:
        # the peepholes have no row for the candidate
        rows = layer.peephole[:-1] if part.start is None else layer.peephole[-1:]
        gates[:, :, part] += rows * c[:, :, None]
    return eigen_logistic(_complete(layer, gates, part), None if single is None else single[:, :, part])


def _complete(layer: LstmLayer, gates: Array, part: slice) -> Array:
    """The sums of a part of the gates; with layer normalisation, normalised, scaled and with their bias."""
    if layer.normalization is None:
        return gates[:, :, part]
    return normalize(gates[:, :, part]) * layer.normalization[part] + layer.bias[part]


def _activated_state(layer: LstmLayer, c: Array, candidate: Array, numerics: Numerics) -> Array:
    """The activation of the cell state.

    NONE copies nothing in the runtime, and the buffer meant for the result still holds the candidate. (In
    float layers NONE leaves the candidate itself unfinished in some steps, which nobody can want back.)
    """
    if layer.activation == "NONE":
        defect = defects.LSTM_NONE_HYBRID if layer.input.real is None else defects.LSTM_NONE_FLOAT
        if defect.reproduced(numerics, "activation NONE"):
            return candidate
    return activate_float(c, layer.activation)


def normalize(x: Array) -> Array:
    """(x - mean) / sqrt(variance + 1e-8) along the last axis; the sums run in order, in float32.  (Q28)

    Source: `tflite/kernels/internal/reference/portable_tensor_utils.cc`, PortableMeanStddevNormalization.
    """
    count = F(x.shape[-1])
    columns = x.reshape(-1, x.shape[-1]).T
    difference = columns - sequential_sum(columns) / count
    variance = sequential_sum(difference * difference) / count
    normal = difference * (F(1) / np.sqrt(variance + F(1e-8)))
    result: Array = normal.T.reshape(x.shape)
    return result


def _project(layer: LstmLayer, hidden: Array, numerics: Numerics) -> Array:
    """clip(P hidden + b_P): a narrower output."""
    assert layer.projection is not None
    h = np.zeros((*hidden.shape[:2], layer.outputs), F)
    if layer.projection_bias is not None:
        h[...] = layer.projection_bias  # (0 + -0 would be 0)
    asymmetric, hybrid = layer.asymmetric_quantize_inputs, layer.projection.real is None
    add_products(h, hidden, layer.projection, asymmetric, numerics, skip_zero_steps=hybrid)
    return _clip(h, layer.projection_clip) if layer.projection_clip > 0 else h


def _clip(x: Array, limit: float) -> Array:
    """x between -limit and limit; NaN becomes limit, as the runtime's std::min has it."""
    clipped: Array = np.maximum(np.fmin(x, F(limit)), F(-limit))
    return clipped


def _check_projection(layer: LstmLayer, numerics: Numerics) -> None:
    if layer.projection is not None and layer.projection.real is not None and layer.outputs > layer.cells:
        found = f"a projection of {layer.cells} cells to {layer.outputs} outputs"
        defects.LSTM_WIDE_PROJECTION.reproduced(numerics, found)


def _outside_packets(layer: LstmLayer, groups: int, rows: int) -> Array | None:
    """Which elements of the gates Eigen computes one by one: bool [groups, rows, gates, cells], None if none.

    The runtime keeps the gates one behind the other in one aligned buffer, in the order input (unless
    CIFG), candidate, forget, output, and within each gate the groups.
    """
    size = rows * layer.cells
    if size % 4 == 0:
        return None
    order = np.array([0, 2, 1, 3] if layer.gates == 4 else [1, 0, 2])
    start = (order * groups + np.arange(groups)[:, None])[:, None, :, None] * size
    within = np.arange(size).reshape(rows, 1, layer.cells)
    return outside_packets(start + within, start, size)


def _steps(x: Array, time_major: bool) -> Array:
    """[time, groups, rows, inputs]: time-major sequences are computed in one group, others row by row."""
    if x.ndim != 3:
        raise ShapeError(f"LSTM: input of shape {x.shape} found, expected three dimensions")
    return x[:, None] if time_major else x.transpose(1, 0, 2)[:, :, None]


def _rows(state: State, layer: LstmLayer, steps: Array) -> State:
    """h and c as [groups, rows, ...]; they may come in any shape of the right size."""
    _, groups, rows, _ = steps.shape
    for value, width in zip(state, (layer.outputs, layer.cells), strict=True):
        if value.size != groups * rows * width:
            _expect("state", value.shape, (groups * rows, width))
    h, c = state
    return h.reshape(groups, rows, layer.outputs), c.reshape(groups, rows, layer.cells)


def _expect(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ShapeError(f"LSTM: {what} of shape {found} found, expected {expected}")


def _layout(steps: Array, time_major: bool) -> Array:
    return steps[:, 0] if time_major else steps[:, :, 0].transpose(1, 0, 2)
