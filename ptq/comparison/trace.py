"""One run of a model with all that its operators read and wrote, and values in another tensor's terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.graph import Array, Graph, Operator, Quantization, Tensor
from ptq.interpreter import Interpreter
from ptq.numerics import Numerics
from ptq.quantizer import dequantize, quantize


@dataclass
class Trace:
    """A run of `graph`, whose shapes are those of this run.

    values: what each tensor held, by index; of a state (variable) that no operator writes as its output,
    nothing, since it changes.
    read: what each operator read, states included as they were before the operator, in its inputs' order.
    """

    graph: Graph
    numerics: Numerics
    values: dict[int, Array] = field(default_factory=dict)
    read: dict[int, list[Array | None]] = field(default_factory=dict)


def run_traced(
    graph: Graph, numerics: Numerics, inputs: Sequence[npt.ArrayLike], states: dict[int, Array] | None = None
) -> Trace:
    """Run the model once and keep everything; states start at zero but for those given by tensor index.

    Raises what `Interpreter.run` raises.
    """
    interpreter = Interpreter(graph=graph, numerics=numerics)
    trace = Trace(interpreter.graph, numerics)
    tensors = trace.graph.tensors
    trace.values.update((i, t.data) for i, t in enumerate(tensors) if t.data is not None)

    def hook(position: int, operator: Operator, read: list[Array | None], written: list[Array]) -> None:
        trace.read[position] = read
        trace.values.update(zip(operator.outputs, written, strict=True))

    interpreter.add_hook(hook)
    if len(inputs) != len(trace.graph.inputs):
        raise InputError(f"run: {len(inputs)} inputs found, expected {len(trace.graph.inputs)}")
    arrays = [np.asarray(value) for value in inputs]
    for index, array in zip(trace.graph.inputs, arrays, strict=True):
        if array.shape != tensors[index].shape:
            interpreter.resize_tensor_input(index, array.shape, strict=True)
    interpreter.allocate_tensors()
    trace.values.update(zip(trace.graph.inputs, arrays, strict=True))
    for index, value in (*zip(trace.graph.inputs, arrays, strict=True), *(states or {}).items()):
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    return trace


def state_before(trace: Trace, position: int, place: int) -> Array | None:
    """What an operator's state was before it ran; None if it never ran or has none there."""
    read = trace.read.get(position, [])
    return read[place] if place < len(read) else None


def same_bits(x: Array, y: Array) -> bool:
    """Whether two arrays agree in type, shape and every bit."""
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def same_scales(a: Quantization | None, b: Quantization | None) -> bool:
    """Whether integers stand for the same reals under both."""
    if a is None or b is None:
        return a is b
    same = np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)
    return same and (not a.per_channel or a.quantized_dimension == b.quantized_dimension)


def reals_of(value: Array, tensor: Tensor) -> Array:
    """The reals that a value stands for: integers of a quantized tensor as scale * (q - zero_point)."""
    quantized = tensor.quantized
    return value if quantized is None or value.dtype.kind not in "iu" else dequantize(value, quantized)


def in_terms_of(value: Array, source: Tensor, target: Tensor) -> Array:
    """A value of one model as another model's tensor holds it: the same integers where the scales agree.

    Else the reals, as floats or quantized as the operator QUANTIZE does. InputError where the types have
    nothing to do with each other.
    """
    if source.type == target.type and same_scales(source.quantized, target.quantized):
        return value
    reals = reals_of(value, source)
    if reals.dtype.kind == "f" and target.dtype is not None:
        if target.dtype.kind == "f":
            return reals.astype(target.dtype)
        if target.quantized is not None and target.dtype.kind in "iu":
            return quantize(reals, target.quantized, target.dtype)
    elif value.dtype == target.dtype and source.quantized is target.quantized is None:
        return value
    raise InputError(f"'{source.name}' of type {source.type} cannot stand for '{target.name}', {target.type}")


def inputs_of(graph: Graph, other: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The inputs of another model in this one's types; as they are where that makes no sense.

    Inputs that do not fit are an error when the model runs.
    """
    if len(graph.inputs) != len(other.inputs) or len(inputs) != len(graph.inputs):
        return list(inputs)
    given = []
    for index, source, value in zip(graph.inputs, other.inputs, inputs, strict=True):
        try:
            given.append(in_terms_of(np.asarray(value), other.tensors[source], graph.tensors[index]))
        except InputError:
            given.append(value)
    return given
