"""What an operator should have computed: its float kernel on the reals that its integers stand for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ptq.comparison.difference import Side
from ptq.comparison.match import CONVERSIONS
from ptq.comparison.trace import Trace, reals_of, run_traced
from ptq.comparison.twin import as_float, is_quantized
from ptq.errors import PtqError
from ptq.graph import ABSENT, Array, Graph, Tensor, type_of
from ptq.numerics import PORTABLE


def run_float(
    trace: Trace, position: int, values: Sequence[Array | None], options: dict[str, Any] | None = None
) -> list[Array] | None:
    """An operator of a model on other values of its inputs; quantized tensors that it writes become floats.

    options: instead of the operator's own. None if it cannot be run so.
    """
    old = trace.graph.operators[position]
    model = Graph(subgraphs=trace.graph.subgraphs)
    operator = replace(old, inputs=[], outputs=[], options=old.options if options is None else options)
    states: dict[int, Array] = {}
    for index, value in zip(old.inputs, values, strict=True):
        if index == ABSENT or value is None:
            operator.inputs.append(ABSENT)
            continue
        tensor = trace.graph.tensors[index]
        place = model.add_tensor(_holding(value, tensor))
        operator.inputs.append(place)
        if tensor.is_variable:
            states[place] = value
    operator.outputs = [model.add_tensor(as_float(trace.graph.tensors[i])) for i in old.outputs]
    operator.extra = {name: x for name, x in old.extra.items() if name != "intermediates"}
    model.operators, model.outputs = [operator], list(operator.outputs)
    try:
        done = run_traced(model, PORTABLE, [], states)
    except PtqError:
        return None
    return [done.values[i] for i in operator.outputs]


def _holding(value: Array, tensor: Tensor) -> Tensor:
    data = None if tensor.is_variable else value
    kind = type_of(value.dtype)
    return replace(tensor, shape=value.shape, type=kind, data=data, quantization=None, shape_signature=None)


def real_operands(trace: Trace, position: int) -> list[Array | None]:
    """What an operator read, integers of quantized tensors as the reals that they stand for."""
    reals: list[Array | None] = []
    for index, value in zip(trace.graph.operators[position].inputs, trace.read[position], strict=True):
        if index != ABSENT and value is not None and is_quantized(trace.graph.tensors[index]):
            value = reals_of(value, trace.graph.tensors[index])
        reals.append(value)
    return reals


def real_results(trace: Trace, position: int) -> list[Array] | None:
    """What the float kernel computes from the reals that an operator read; None where there is none."""
    reals = real_operands(trace, position)
    if trace.graph.operators[position].type in CONVERSIONS:
        return [x for x in reals[:1] if x is not None]
    return run_float(trace, position, reals)


NEAREST = 1.5
"""Steps: half of one to the nearest integer, and one of the kernel's own rounding."""


def deviation(trace: Trace, position: int) -> float | None:
    """How far an operator's integers are from what its float kernel computes, in steps.

    The float kernel is given the reals that the integer inputs stand for. 0 stands for NEAREST or
    less, and for an operator that writes no quantized integers. None: there is no such float kernel.
    """
    operator = trace.graph.operators[position]
    if not any(is_quantized(trace.graph.tensors[i]) for i in operator.outputs):
        return 0.0
    results = real_results(trace, position)
    if results is None:
        return None
    found = [
        _steps_apart(Side.of(trace.values[index], trace.graph, operator, index), real)
        for index, real in zip(operator.outputs, results, strict=True)
    ]
    return None if None in found else max(x for x in found if x is not None)


def _steps_apart(side: Side, real: Array) -> float | None:
    if real.shape != side.reals.shape:
        return None
    step = step_of(side.tensor, real.ndim)
    wanted = np.clip(real.astype(np.float64), side.low, side.high)
    steps = float(np.max(np.abs(side.reals - wanted) / np.maximum(step, 1e-300), initial=0.0))
    levels = 2.0 ** (8 * side.value.dtype.itemsize)
    return 0.0 if steps <= NEAREST + levels * 2.0**-22 else steps


def step_of(tensor: Tensor, dimensions: int) -> Array:
    """The scale of a quantized tensor, one number or along its channels; 0 for another tensor."""
    scales = tensor.quantized
    if scales is None or not is_quantized(tensor):
        return np.zeros(())
    if not scales.per_channel:
        return np.asarray(float(scales.scale[0]))
    shape = [1] * dimensions
    shape[scales.quantized_dimension] = -1
    return scales.scale.astype(np.float64).reshape(shape)


def parts(
    a: Trace, position_a: int, b: Trace, position_b: int, constant_a: Collection[int], wanted: Array
) -> tuple[float, float] | None:
    """How much b's inputs, and how much b's constants, move the result of a's operator: max |r - wanted|.

    Each is taken from b in turn, as the reals that it stands for, and all else from a; in float arithmetic.
    b: the operator run by itself. wanted: a's reals. None where the operators differ or cannot be run so.
    """
    first, second = a.graph.operators[position_a], b.graph.operators[position_b]
    if first.type != second.type or len(first.inputs) != len(second.inputs):
        return None
    of_a, of_b = real_operands(a, position_a), real_operands(b, position_b)
    is_constant = [index in constant_a for index in first.inputs]
    moved = []
    for constants in (False, True):
        mixed = [y if c == constants else x for x, y, c in zip(of_a, of_b, is_constant, strict=True)]
        results = run_float(a, position_a, mixed)
        side = Side.of(a.values[first.outputs[0]], a.graph, first, first.outputs[0])
        if results is None or results[0].shape != wanted.shape:
            return None
        real = np.clip(results[0].astype(np.float64), side.low, side.high)
        moved.append(float(np.abs(real - wanted).max(initial=0.0)))
    return moved[0], moved[1]
