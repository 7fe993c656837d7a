"""RNN and UNIDIRECTIONAL_SEQUENCE_RNN: an output that is also an input of the next step.

    y[t] = activation(bias + W x[t] + A a[t] + R y[t-1])                                            (Q26)

y[-1] is the hidden state, which the operator keeps between invocations; a is an auxiliary input, which only
BIDIRECTIONAL_SEQUENCE_RNN has. The terms are added in this order. Hybrid kernels quantize x[t] and y[t-1]
anew at every step, so that each step's rounding errors come back in the next.

Layouts: x [batch, I] (RNN), [time, batch, I] (time_major) or [batch, time, I]; W [U, I]; R [U, U]; bias [U];
A [U, J]; hidden state [batch, U].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.graph import ABSENT
from ptq.kernels.activation import activate_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.recurrent import Matrix, Weights, add_products, matrix_of
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RnnCell:
    """The constants of one RNN, float or hybrid: W, R, bias and perhaps A."""

    operator: str
    input_weights: Matrix
    recurrent_weights: Matrix
    bias: Array
    auxiliary_weights: Matrix | None = None

    @staticmethod
    def of(
        input_weights: Weights,
        recurrent_weights: Weights,
        bias: Array,
        auxiliary_weights: Weights | None = None,
        operator: str = "RNN",
    ) -> RnnCell:
        """From matrices that are float32, or pairs (int8 matrix with zero point 0, scale float32 [1])."""
        w, r = (Matrix.of(operator, weights) for weights in (input_weights, recurrent_weights))
        a = None if auxiliary_weights is None else Matrix.of(operator, auxiliary_weights)
        return RnnCell(operator, w, r, bias, a)

    @property
    def is_hybrid(self) -> bool:
        """Whether the weights are int8."""
        return self.input_weights.hybrid is not None

    def expect(self, what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
        """Raise ShapeError if a shape is not the one that this cell needs."""
        if found != expected:
            raise ShapeError(
                f"{self.operator}: {what} of shape {found} found, expected {expected}; weights are "
                "[units, inputs], recurrent weights [units, units], biases [units], states [batch, units]"
            )


@dataclass(frozen=True)
class Settings:
    """What all steps share. time_major: a step is [batch, ...]; otherwise every batch row runs by itself."""

    activation: str
    asymmetric: bool
    numerics: Numerics
    time_major: bool = True


def rnn_float(
    input: Array,
    input_weights: Array,
    recurrent_weights: Array,
    bias: Array,
    hidden_state: Array,
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """One step y = activation(bias + W x + R h); returns y [batch, U] and the new state, which is y.

    All float32, layouts above. With ordered float sums the products are added in lanes as the runtime adds
    them; BLAS differs by at most (I + U) * 2^-23 * (|bias| + |W| |x| + |R| |h|) before the activation.
    Errors: ShapeError. Source: `tflite/kernels/internal/kernel_utils.cc`, RnnBatchStep.
    """
    cell = RnnCell.of(input_weights, recurrent_weights, bias)
    return run_step(cell, input, hidden_state, Settings(activation, False, numerics))


def rnn_hybrid(
    input: Array,
    input_weights: tuple[Array, Array],
    recurrent_weights: tuple[Array, Array],
    bias: Array,
    hidden_state: Array,
    activation: str = "NONE",
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """The same step with int8 weights: x and h are quantized, each row with a scale of its own.

    Weights are pairs (int8 matrix, scale float32 [1]); the rest is float32. An x, or h, that is all zero
    contributes nothing. Errors: ShapeError; QuantizationError: see `quantize_rows`, `refuse_minus_128`.
    Source: `tflite/kernels/internal/kernel_utils.cc`, RnnBatchStep.
    """
    cell = RnnCell.of(input_weights, recurrent_weights, bias)
    return run_step(cell, input, hidden_state, Settings(activation, asymmetric_quantize_inputs, numerics))


def unidirectional_sequence_rnn_float(
    input: Array,
    input_weights: Array,
    recurrent_weights: Array,
    bias: Array,
    hidden_state: Array,
    activation: str = "NONE",
    time_major: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """`rnn_float` step after step; returns all y, [time, batch, U] or [batch, time, U], and the last one.

    Source: `tflite/kernels/unidirectional_sequence_rnn.cc`, EvalFloat.
    """
    cell = RnnCell.of(input_weights, recurrent_weights, bias, operator="UNIDIRECTIONAL_SEQUENCE_RNN")
    return run_sequence(cell, input, hidden_state, Settings(activation, False, numerics, time_major))


def unidirectional_sequence_rnn_hybrid(
    input: Array,
    input_weights: tuple[Array, Array],
    recurrent_weights: tuple[Array, Array],
    bias: Array,
    hidden_state: Array,
    activation: str = "NONE",
    time_major: bool = False,
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[Array, Array]:
    """`rnn_hybrid` step after step. What is all zero is skipped: in time-major tensors a step of the whole
    batch, in batch-major ones a row.

    Source: `tflite/kernels/unidirectional_sequence_rnn.cc`, EvalHybrid.
    """
    cell = RnnCell.of(input_weights, recurrent_weights, bias, operator="UNIDIRECTIONAL_SEQUENCE_RNN")
    settings = Settings(activation, asymmetric_quantize_inputs, numerics, time_major)
    return run_sequence(cell, input, hidden_state, settings)


# --- the steps ------------------------------------------------------------------------------------


def run_step(cell: RnnCell, x: Array, state: Array, settings: Settings) -> tuple[Array, Array]:
    """One step with x [batch, I]: y and the new state, both [batch, U]."""
    if x.ndim != 2:
        raise ShapeError(f"{cell.operator}: input of shape {x.shape} found, expected [batch, inputs]")
    output, state = _run(cell, x[None], state, settings)
    return output[0], state


def run_sequence(
    cell: RnnCell,
    x: Array,
    state: Array,
    settings: Settings,
    auxiliary: Array | None = None,
    backward: bool = False,
) -> tuple[Array, Array]:
    """All steps of x, in its layout, from the first to the last or from the last to the first."""
    if x.ndim != 3:
        expected = "[time, batch, inputs]" if settings.time_major else "[batch, time, inputs]"
        raise ShapeError(f"{cell.operator}: input of shape {x.shape} found, expected {expected}")

    def turned(tensor: Array) -> Array:
        ordered = tensor if settings.time_major else tensor.swapaxes(0, 1)
        return ordered[::-1] if backward else ordered

    aux = None if auxiliary is None else turned(auxiliary)
    output, state = _run(cell, turned(x), state, settings, aux)
    output = output[::-1] if backward else output
    return np.ascontiguousarray(output if settings.time_major else output.swapaxes(0, 1)), state


def _run(
    cell: RnnCell, x: Array, state: Array, settings: Settings, auxiliary: Array | None = None
) -> tuple[Array, Array]:
    """x: [time, batch, I] in the order of the steps. Returns y [time, batch, U] and the last y."""
    _check(cell, x, state, auxiliary)
    output = np.empty((*x.shape[:2], len(cell.bias)), np.float32)
    output[...] = cell.bias
    if not output.size:
        return output, state.copy()
    _add(output, x, cell.input_weights, settings)
    if auxiliary is not None and cell.auxiliary_weights is not None:
        _add(output, auxiliary, cell.auxiliary_weights, settings)
    for step in output:
        _add(step[None], state[None], cell.recurrent_weights, settings)
        state = activate_float(step, settings.activation, out=step)
    return output, state.copy()


def _add(output: Array, x: Array, matrix: Matrix, settings: Settings) -> None:
    """output += x @ weights.T; hybrid kernels skip a zero x, be it a row or a step of the whole batch."""
    steps, batch, _ = output.shape
    view = (steps, batch) if settings.time_major else (steps * batch, 1)
    add_products(
        output.reshape(*view, output.shape[2]),
        x.reshape(*view, x.shape[2]),
        matrix,
        settings.asymmetric,
        settings.numerics,
        skip_zero_steps=matrix.hybrid is not None,
    )


def _check(cell: RnnCell, x: Array, state: Array, auxiliary: Array | None) -> None:
    units = cell.input_weights.shape[0]
    cell.expect("input weights", cell.input_weights.shape, (units, x.shape[2]))
    cell.expect("recurrent weights", cell.recurrent_weights.shape, (units, units))
    cell.expect("bias", cell.bias.shape, (units,))
    cell.expect("hidden state", state.shape, (x.shape[1], units))
    if auxiliary is not None and cell.auxiliary_weights is not None:
        cell.expect("auxiliary weights", cell.auxiliary_weights.shape, (units, auxiliary.shape[2]))


# --- for the registry -----------------------------------------------------------------------------


def cell_of(call: Call, hybrid: bool, first: int = 1, auxiliary: int = ABSENT) -> RnnCell:
    """The cell whose W, R and bias are three inputs in a row, from `first` on, and whose A is optional."""
    w, r = (matrix_of(call, position, hybrid) for position in (first, first + 1))
    weighted = auxiliary != ABSENT and call.optional(auxiliary) is not None
    a = matrix_of(call, auxiliary, hybrid) if weighted else None
    return RnnCell(call.operator.type, w, r, call.float_array(first + 2), a)


def settings_of(call: Call) -> Settings:
    """The settings that the options of a call ask for."""
    options = call.options
    return Settings(
        options["fused_activation_function"],
        options["asymmetric_quantize_inputs"],
        call.numerics,
        options.get("time_major", True),
    )


def _rnn(call: Call, hybrid: bool) -> list[Array]:
    cell = cell_of(call, hybrid)
    output, state = run_step(cell, call.float_array(0), call.state(4), settings_of(call))
    call.keep_state(4, state)
    return [output]


def _unidirectional(call: Call, hybrid: bool) -> list[Array]:
    cell = cell_of(call, hybrid)
    output, state = run_sequence(cell, call.float_array(0), call.state(4), settings_of(call))
    call.keep_state(4, state)
    return [output]


_OPERATORS = {"RNN": _rnn, "UNIDIRECTIONAL_SEQUENCE_RNN": _unidirectional}
FLOAT: dict[str, Kernel] = {name: partial(kernel, hybrid=False) for name, kernel in _OPERATORS.items()}
HYBRID: dict[str, Kernel] = {name: partial(kernel, hybrid=True) for name, kernel in _OPERATORS.items()}
