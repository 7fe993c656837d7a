"""Loops that are an LSTM or a simple recurrent layer become one operator.

A While whose body is one step of a cell of `cells`, which starts from states of zeros and runs over all
steps of its input, is UNIDIRECTIONAL_SEQUENCE_LSTM or UNIDIRECTIONAL_SEQUENCE_RNN. The transposition to
[time, batch, inputs] before it and the one after it go; a layer that returns its last output alone gets a
STRIDED_SLICE. What goes backwards keeps its REVERSE_V2, and a bidirectional layer is two operators.

The operator keeps its states in variables, which start as zeros and last until `reset_all_variables()`: a
SavedModel begins each call with zeros, the converted file begins where the call before ended, as do files
that TensorFlow's converter fuses. An open batch is 1 there: the variables' size is fixed in the file.
TensorFlow's converter fuses the LSTM of Keras 2 alone, and sets cell_clip = 10, which Keras does not.
Source: `tensorflow/compiler/mlir/lite/utils/lstm_utils.cc`, ConvertKerasLSTMLayer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptq.builder.recurrent import LSTM_ROLES
from ptq.graph import ABSENT, Array, Operator
from ptq.saved_model.cells import GATES, Cell, match_lstm, match_rnn
from ptq.saved_model.lists import as_list
from ptq.saved_model.loops import Loop, limits
from ptq.saved_model.rewriter import Patterns, Rewriter
from ptq.saved_model.translation import Translation

SWAPPED = [1, 0, 2]
TIME = 1
"""The axis of time in [batch, time, inputs]; it is 0 where the operator is time_major."""

RNN_ROLES = ("input", "weights", "recurrent_weights", "bias", "hidden_state")


@dataclass(frozen=True)
class Layer:
    """A recurrent layer found in a loop.

    sequence: the tensor [time, batch, inputs]. hidden: the position of the state that is the output, written:
    that of the list of outputs; last_only: whether it holds the last one alone.
    """

    cell: Cell
    sequence: int
    hidden: int
    written: int
    last_only: bool


def fuse_loop(t: Translation, loop: Loop) -> list[int] | None:
    """The tensors that stand for the loop's results if it is a recurrent layer, else None."""
    layer = _layer(t, loop)
    if layer is None:
        return None
    name = loop.node.name
    x, time_major = _batch_first(t, layer.sequence, name)
    outputs = _operator(t, layer.cell, x, time_major, name)
    last = _last(t, outputs, time_major, f"{name}/last")
    results = t.inputs(loop.node)
    results[layer.hidden] = last
    if layer.last_only:
        results[layer.written] = as_list(t, last, f"{name}/list")
    elif time_major:
        results[layer.written] = outputs
    else:
        order = t.int32(SWAPPED, f"{name}/perm")
        results[layer.written] = t.one("TRANSPOSE", [outputs, order], f"{name}/time_major")
    return results


# --- is it one? -----------------------------------------------------------------------------------


def _layer(t: Translation, loop: Loop) -> Layer | None:
    if t.depth or not loop.states or len(loop.written) != 1:  # a variable in a loop lasts from round to round
        return None
    ((position, written),) = loop.written.items()
    hidden = next((k for k in loop.states if loop.result(k) == written.item), None)
    source = _source(loop)
    if hidden is None or source is None:
        return None
    value, where = source
    cell = _cell(loop, _known(t, loop), value, hidden)
    sequence = t.inputs(loop.node)[where]
    if cell is None or not _starts_from_zero(t, loop, sequence, cell.units):
        return None
    if not _runs_over_all(t, loop, sequence) or _others_are_read(t, loop, {hidden, position}):
        return None
    count = t.reserved.get(t.inputs(loop.node)[position])
    last_only = loop.body.constant(written.index) is not None  # of a list of one there is one place to set
    steps = [1] * len(t.worlds) if last_only else t.sizes(sequence, 0)
    counted = last_only or loop.body.arguments.get(written.index) in loop.counters
    if count is None or not counted or t.numbers_seen(count.size) != steps:
        return None
    return Layer(cell, sequence, hidden, position, last_only)


def _source(loop: Loop) -> tuple[str, int] | None:
    """The step of the input that a round reads, list[counter], and the position of the list."""
    readers = [node for node in loop.body.flat.nodes if node.op == "TensorListGetItem"]
    if len(readers) != 1:
        return None
    values, index = (loop.body.arguments.get(name) for name in readers[0].inputs[:2])
    if values not in loop.constant or index not in loop.counters or values is None:
        return None
    return f"{readers[0].name}:0", values


def _known(t: Translation, loop: Loop) -> Callable[[str], Array | None]:
    def known(value: str) -> Array | None:
        position = loop.body.arguments.get(value)
        if position in loop.constant and position is not None:
            return t.data(t.inputs(loop.node)[position])
        return loop.body.constant(value)

    return known


def _cell(loop: Loop, known: Callable[[str], Array | None], x: str, hidden: int) -> Cell | None:
    h = loop.argument(hidden), loop.result(hidden)
    others = [k for k in loop.states if k != hidden]
    if not others:
        return match_rnn(loop.body, known, x, h)
    if len(others) > 1:
        return None
    return match_lstm(loop.body, known, x, h, (loop.argument(others[0]), loop.result(others[0])))


def _starts_from_zero(t: Translation, loop: Loop, sequence: int, units: int) -> bool:
    """Whether the counters start from 0 and the states [batch, units] are zeros."""
    if t.rank(sequence) != len(SWAPPED):
        return False
    inputs = t.inputs(loop.node)
    batches = t.sizes(sequence, 1)
    for position in loop.states:
        state = inputs[position]
        if t.rank(state) != 2 or t.sizes(state, 0) != batches or t.shape(state)[1] != units:
            return False
        if not _is_zero(t, state):
            return False
    return all(_is_zero(t, inputs[position]) for position in loop.counters)


def _is_zero(t: Translation, tensor: int) -> bool:
    producer = t.producer(tensor)
    if producer is not None and producer.type == "FILL":
        tensor = producer.inputs[1]
    data = t.data(tensor)
    return data is not None and not data.any()


def _runs_over_all(t: Translation, loop: Loop, sequence: int) -> bool:
    """Whether the loop ends after as many rounds as the input has steps, whatever that number is."""
    found = limits(loop.condition, loop.counters)
    if not found:
        return False
    bounds = [_limit(t, loop, value) for value in found]
    known = [bound for bound in bounds if bound is not None]
    return len(known) == len(bounds) and [min(b) for b in zip(*known, strict=True)] == t.sizes(sequence, 0)


def _limit(t: Translation, loop: Loop, value: str) -> list[int] | None:
    data = loop.condition.constant(value)
    if data is not None:
        return [int(data.ravel()[0])] * len(t.worlds) if data.size == 1 else None
    position = loop.condition.arguments.get(value)
    if position is None or position not in loop.constant:
        return None
    return t.numbers_seen(t.inputs(loop.node)[position])


def _others_are_read(t: Translation, loop: Loop, given: set[int]) -> bool:
    """Whether something reads a result that the operator does not give: the cell state, a counter."""
    missing = {*loop.states, *loop.counters} - given
    return any(f"{loop.node.name}:{position}" in t.read for position in missing)


# --- the operator ---------------------------------------------------------------------------------


def _batch_first(t: Translation, sequence: int, name: str) -> tuple[int, bool]:
    """[batch, time, inputs] and False, or [time, batch, inputs] and True where nothing has transposed it."""
    producer, reverse = t.producer(sequence), None
    if producer is not None and producer.type == "REVERSE_V2" and _holds(t, producer.inputs[1], [0]):
        reverse, producer = producer, t.producer(producer.inputs[0])
    if producer is None or producer.type != "TRANSPOSE" or not _holds(t, producer.inputs[1], SWAPPED):
        return sequence, True
    x = producer.inputs[0]
    if reverse is not None:
        x = t.one("REVERSE_V2", [x, t.int32([TIME], f"{name}/axis")], f"{name}/reversed")
    return x, False


def _holds(t: Translation, tensor: int, numbers: list[int]) -> bool:
    data = t.data(tensor)
    return data is not None and data.tolist() == numbers


def _operator(t: Translation, cell: Cell, x: int, time_major: bool, name: str) -> int:
    weights, recurrent, bias = cell.parts()
    batch = t.shape(x)[1 if time_major else 0]
    size = (max(batch, 1), cell.units)
    if cell.gates == GATES:
        arrays = [*weights, *recurrent, *[None] * 3, *bias, None, None]
        type, roles, states = "UNIDIRECTIONAL_SEQUENCE_LSTM", LSTM_ROLES, 2
    else:
        arrays = [*weights, *recurrent, *bias]
        type, roles, states = "UNIDIRECTIONAL_SEQUENCE_RNN", RNN_ROLES, 1
    named = list(zip(roles[1:], arrays, strict=False))
    operands = [ABSENT if array is None else t.constant(array, f"{name}/{role}") for role, array in named]
    kept = roles[1 + len(arrays) : 1 + len(arrays) + states]
    variables = [t.variable(size, f"{name}/{role}") for role in kept]
    absent = [ABSENT] * (len(roles) - 1 - len(operands) - len(variables))
    options = {"fused_activation_function": cell.activation, "time_major": time_major}
    return t.one(type, [x, *operands, *variables, *absent], f"{name}/outputs", options)


def _last(t: Translation, outputs: int, time_major: bool, name: str) -> int:
    """The output of the last step, [batch, units], as TensorFlow's converter cuts it out."""
    time = 0 if time_major else TIME
    begin = [-1 if axis == time else 0 for axis in range(3)]
    others = 0b111 - (1 << time)
    options = {"begin_mask": others, "end_mask": others, "shrink_axis_mask": 1 << time}
    parts = ((begin, "begin"), ([0] * 3, "end"), ([1] * 3, "strides"))
    bounds = [t.int32(numbers, f"{name}/{part}") for numbers, part in parts]
    return t.one("STRIDED_SLICE", [outputs, *bounds], name, options)


# --- afterwards -----------------------------------------------------------------------------------


def item_of_one(r: Rewriter, operator: Operator) -> bool:
    """The first or last item of a list of one, which was put there by EXPAND_DIMS or RESHAPE."""
    made = r.producer(operator.inputs[0], "EXPAND_DIMS", "RESHAPE")
    begin, strides = (r.graph.tensors[operator.inputs[i]].data for i in (1, 3))
    if made is None or begin is None or strides is None or begin.size != 1 or begin.ravel()[0] not in (0, -1):
        return False
    before, after = r.shape(made.inputs[0]), r.shape(operator.inputs[0])
    if after != (1, *before) or operator.options["shrink_axis_mask"] != 1 or strides.ravel()[0] != 1:
        return False
    if made.type == "EXPAND_DIMS" and not _first_axis(r, made.inputs[1]):
        return False
    if before.count(-1) > 1:
        return False
    shape = r.add_constant(np.array(before, np.int32), f"{r.graph.tensors[operator.outputs[0]].name}/shape")
    r.become(operator, "RESHAPE", [made.inputs[0], shape])
    r.bypass(operator)  # the shape is the same; only a result that is an input too needs an operator
    return True


def _first_axis(r: Rewriter, axis: int) -> bool:
    data = r.graph.tensors[axis].data
    return data is not None and data.size == 1 and int(data.ravel()[0]) == 0


AFTERWARDS: Patterns = {"STRIDED_SLICE": [item_of_one]}
"""What is left to do where lists of one are unpacked."""
