"""BIDIRECTIONAL_SEQUENCE_RNN: one RNN that reads a sequence forward, another that reads it backward.

    forward:   y[t] = activation(bias + W x[t] + A a[t] + R y[t-1])
    backward:  z[t] = activation(bias'+ W'x[t] + A'a[t] + R'z[t+1])

The auxiliary input a serves stacks of such layers: with weights A and A' it is an input beside x; without
them it takes the place of x on the way back.

TensorFlow Lite's kernel has several defects (`ptq.defects`); `numerics.upstream_defects` decides what is
computed instead.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.defects import Defect
from ptq.errors import ShapeError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.rnn import RnnCell, Settings, cell_of, run_sequence, settings_of
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.shapes.common import Shape

Array = npt.NDArray[Any]
OPERATOR = "BIDIRECTIONAL_SEQUENCE_RNN"


def bidirectional_sequence_rnn(
    input: Array,
    forward: RnnCell,
    backward: RnnCell,
    forward_state: Array,
    backward_state: Array,
    activation: str = "NONE",
    time_major: bool = False,
    merge_outputs: bool = False,
    auxiliary_input: Array | None = None,
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> tuple[list[Array], Array, Array]:
    """Both directions, float or hybrid as the cells are: the outputs and the two new states.

    input: float32 [time, batch, I] (time_major) or [batch, time, I]. auxiliary_input: the same with J, or
    exactly of the input's shape if the cells have no weights for it. Outputs: [forward, backward], or merged
    a single one with both along its last axis. Bounds and zeros are as in `unidirectional_sequence_rnn_*`.

    Defects of TensorFlow Lite, refused unless `numerics` says otherwise:
    a hybrid, time-major sequence of T steps is run T times, carrying its states over;
    if it is merged, quantized symmetrically and has more than one batch row, the process crashes;
    an auxiliary input of another size than the input is looked for in wrong places (float, batch-major: not);
    in batch-major tensors an auxiliary input without weights is not read.
    Errors: ShapeError, UnsupportedError; QuantizationError as for `rnn_hybrid`.
    Source: `tflite/kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid.
    """
    _check(input, forward, backward, auxiliary_input)
    settings = Settings(activation, asymmetric_quantize_inputs, numerics, time_major)
    hybrid = forward.is_hybrid
    repetitions = _repetitions(input, settings, merge_outputs) if hybrid and time_major else 1
    backward_input = input
    if auxiliary_input is not None and forward.auxiliary_weights is None:
        backward_input = _backward_input(input, auxiliary_input, settings)
        auxiliary_input = None
    elif auxiliary_input is not None and (hybrid or time_major):
        auxiliary_input = _auxiliary_as_read(input, auxiliary_input, settings)
    for _ in range(repetitions):
        y, forward_state = run_sequence(forward, input, forward_state, settings, auxiliary_input)
        z, backward_state = run_sequence(
            backward, backward_input, backward_state, settings, auxiliary_input, backward=True
        )
    outputs = [np.concatenate([y, z], axis=-1)] if merge_outputs else [y, z]
    return outputs, forward_state, backward_state


# --- the defects ----------------------------------------------------------------------------------


def known_defect(
    x: Shape, auxiliary: Shape | None, time_major: bool, merge_outputs: bool, asymmetric: bool
) -> Defect | None:
    """What the runtime gets wrong of a hybrid operator with inputs of these shapes, if anything.

    auxiliary: None if there is none, or none with weights.
    """
    defect = _time_major_defect(x, merge_outputs, asymmetric) if time_major else None
    return defect or (None if auxiliary is None else _auxiliary_defect(x, auxiliary, time_major))


def _time_major_defect(x: Shape, merge_outputs: bool, asymmetric: bool) -> Defect | None:
    steps, batch, _ = x
    if merge_outputs and not asymmetric and batch > 1:
        return defects.BIDIRECTIONAL_RNN_CRASH
    return defects.BIDIRECTIONAL_RNN_REPEATED if steps > 1 else None


def _auxiliary_defect(x: Shape, auxiliary: Shape, time_major: bool) -> Defect | None:
    rows = x[0] if time_major else x[0] * x[1]
    if x[2] == auxiliary[2] or rows < 2:
        return None
    return defects.AUXILIARY_LARGER if auxiliary[2] > x[2] else defects.AUXILIARY_SMALLER


def _repetitions(x: Array, settings: Settings, merge_outputs: bool) -> int:
    """How often a hybrid, time-major sequence is run from end to end."""
    defect = _time_major_defect(x.shape, merge_outputs, settings.asymmetric)
    if defect is None or not defect.reproduced(settings.numerics, f"an input of shape {x.shape}"):
        return 1
    return int(x.shape[0])


def _backward_input(x: Array, auxiliary: Array, settings: Settings) -> Array:
    """What the way back reads where the auxiliary input has no weights."""
    if settings.time_major:
        return auxiliary
    return x if defects.AUXILIARY_UNREAD.reproduced(settings.numerics, "such an input") else auxiliary


def _auxiliary_as_read(x: Array, auxiliary: Array, settings: Settings) -> Array:
    """The auxiliary input's rows, found where they would begin if they were as long as the main input's."""
    expected, found = x.shape[2], auxiliary.shape[2]
    size = f"an auxiliary input of size {found} beside {expected}"
    defect = _auxiliary_defect(x.shape, auxiliary.shape, settings.time_major)
    if defect is None or not defect.reproduced(settings.numerics, size):
        return auxiliary
    count, rows = (x.shape[0], x.shape[1]) if settings.time_major else (x.shape[0] * x.shape[1], 1)
    places = np.arange(count)[:, None] * (rows * expected) + np.arange(rows * found)
    read: Array = auxiliary.ravel()[places].reshape(auxiliary.shape)
    return read


def _check(x: Array, forward: RnnCell, backward: RnnCell, auxiliary: Array | None) -> None:
    present = [cell.auxiliary_weights is not None for cell in (forward, backward)]
    if present[0] != present[1] or (present[0] and auxiliary is None):
        raise ShapeError(
            f"{OPERATOR}: auxiliary weights forward {present[0]}, backward {present[1]}, auxiliary input "
            f"{auxiliary is not None} found, expected all three or none, or the input alone"
        )
    if auxiliary is not None and x.ndim == 3:
        size = forward.auxiliary_weights.shape[1] if forward.auxiliary_weights is not None else x.shape[2]
        forward.expect("auxiliary input", auxiliary.shape, (*x.shape[:2], size))


# --- for the registry -----------------------------------------------------------------------------


def _bidirectional(call: Call, hybrid: bool) -> list[Array]:
    settings = settings_of(call)
    outputs, forward, backward = bidirectional_sequence_rnn(
        call.float_array(0),
        cell_of(call, hybrid, first=1, auxiliary=10),
        cell_of(call, hybrid, first=5, auxiliary=11),
        call.state(4),
        call.state(8),
        settings.activation,
        settings.time_major,
        call.options["merge_outputs"],
        call.optional_float_array(9),
        settings.asymmetric,
        call.numerics,
    )
    call.keep_state(4, forward)
    call.keep_state(8, backward)
    return outputs


FLOAT: dict[str, Kernel] = {OPERATOR: partial(_bidirectional, hybrid=False)}
HYBRID: dict[str, Kernel] = {OPERATOR: partial(_bidirectional, hybrid=True)}
