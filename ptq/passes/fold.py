"""Simplify a graph before its weights are quantized: constants, batch normalization, activations.

A file that TensorFlow's converter wrote has been through all of this already; graphs built by hand have not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.graph import ABSENT, Graph, Operator, Signature, Tensor
from ptq.kernels.call import Call
from ptq.subgraphs import callees

Array = npt.NDArray[Any]

CHANNEL_AXIS = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}
"""Operators with weights and a bias, and the axis of their weights that is the output channel."""

FUSABLE = frozenset({"RELU", "RELU6", "RELU_N1_TO_1"})
TAKES_ACTIVATION = frozenset(
    {*CHANNEL_AXIS, "ADD", "SUB", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
)  # CONCATENATION has the option too, but its kernel ignores it


LARGEST_RESULT = 100 * 1024
"""A result of more bytes, and more than the operator reads, is not worth its place in the file."""


def simplify(model: Graph) -> Graph:
    """Fold constants, fold products and sums into weights, fuse activations, drop what is unused.

    In all subgraphs, which are seen one at a time: what a WHILE hands to its body is no constant there.
    """
    result = model.copy()
    for number, graph in enumerate([result, *result.subgraphs]):
        fold_constants(graph)
        fold_affine(graph)
        fuse_activations(graph)
        remove_unused_tensors(graph, [s for s in result.signatures if s.subgraph == number])
    return result


def fold_constants(graph: Graph) -> None:
    """Replace every operator that reads constants alone by its result.

    A DEQUANTIZE stays: its int8 input is there to keep the file small. So does what makes much of little,
    such as FILL, and what runs a subgraph. A variable is no constant, though its first value is known.
    """
    kept = []
    for position, operator in enumerate(graph.operators):
        tensors = [None if i == ABSENT else graph.tensors[i] for i in operator.inputs]
        known = [t.is_constant and t.dtype is not None for t in tensors if t is not None]
        if not (known and all(known) and _is_foldable(graph, operator)):
            kept.append(operator)
            continue
        outputs = [graph.tensors[i] for i in operator.outputs]
        call = Call(operator, tensors, [None if t is None else t.data for t in tensors], outputs)
        for tensor, value in zip(
            outputs, kernels.evaluate(call, f"operator {position} ({operator.type})"), strict=True
        ):
            tensor.data, tensor.shape = value, value.shape
    graph.operators = kept


def _is_foldable(graph: Graph, operator: Operator) -> bool:
    if operator.type not in kernels.FLOAT or operator.type == "DEQUANTIZE" or callees(operator):
        return False
    read = sum(_bytes(graph, i) for i in operator.inputs if i != ABSENT)
    return sum(_bytes(graph, i) for i in operator.outputs) <= max(read, LARGEST_RESULT)


def _bytes(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return tensor.size * (8 if tensor.dtype is None else tensor.dtype.itemsize)


def fold_affine(graph: Graph) -> None:
    """Fold multiplications and additions of constants into the weights before them, in execution order.

    Batch normalization in inference, y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, is one of
    each. With x = w * a + b:   (x * m) = (m w) * a + m b,   (x + c) = w * a + (b + c)              (Q13)
    computed in float32, channel by channel.
    """
    for operator in list(graph.operators):
        if operator.type not in ("MUL", "ADD") or _is_fused(operator) or not _has(operator, 2):
            continue
        for data, constant in (operator.inputs[:2], operator.inputs[1::-1]):
            layer = _foldable_layer(graph, data)
            factor = None if layer is None else _per_channel(graph, constant, layer)
            if layer is not None and factor is not None:
                _fold(graph, layer, operator.type, factor)
                _bypass(graph, layer, operator)
                break


def _has(operator: Operator, inputs: int) -> bool:
    """Whether so many inputs are there; graphs may come from files, and files may be damaged."""
    return len(operator.inputs) >= inputs and ABSENT not in operator.inputs[:inputs]


def _is_fused(operator: Operator) -> bool:
    return bool(operator.options.get("fused_activation_function", "NONE") != "NONE")


def _foldable_layer(graph: Graph, tensor: int) -> Operator | None:
    """The layer that writes `tensor` for this one reader, if its weights are its own constants."""
    position = graph.producer(tensor)
    if position is None or len(graph.consumers(tensor)) != 1 or tensor in graph.outputs:
        return None
    layer = graph.operators[position]
    if layer.type not in CHANNEL_AXIS or _is_fused(layer) or not _has(layer, 2):
        return None
    parts = [i for i in layer.inputs[1:3] if i != ABSENT]
    owned = all(len(graph.consumers(i)) == 1 and i not in graph.outputs for i in parts)
    real = all(graph.tensors[i].type == "FLOAT32" and graph.tensors[i].is_constant for i in parts)
    return layer if owned and real else None


def _per_channel(graph: Graph, constant: int, layer: Operator) -> Array | None:
    """A constant as float32 [channels], if it has one value for each output channel or one in all."""
    value = graph.tensors[constant].data
    shape, axis = graph.tensors[layer.inputs[1]].shape, CHANNEL_AXIS[layer.type]
    if value is None or value.dtype != np.float32 or axis >= len(shape):
        return None
    channels = shape[axis]
    if value.size != 1 and (value.size != channels or value.shape[-1] != channels):
        return None
    return np.broadcast_to(value.reshape(-1), (channels,))


def _fold(graph: Graph, layer: Operator, kind: str, factor: Array) -> None:
    weights, bias = graph.tensors[layer.inputs[1]], supply_bias(graph, layer)
    if weights.data is None or bias.data is None:
        return
    if kind == "ADD":
        bias.data = bias.data + factor
        return
    along = [1] * len(weights.shape)
    along[CHANNEL_AXIS[layer.type]] = -1
    weights.data = weights.data * factor.reshape(along)
    bias.data = bias.data * factor


def supply_bias(graph: Graph, layer: Operator) -> Tensor:
    """The bias of a layer with weights; one of zeros is added if it has none."""
    if len(layer.inputs) < 3 or layer.inputs[2] == ABSENT:
        weights = graph.tensors[layer.inputs[1]]
        zeros = np.zeros(weights.shape[CHANNEL_AXIS[layer.type]], np.float32)
        bias = graph.add_tensor(Tensor(f"{weights.name}_bias", zeros.shape, "FLOAT32", zeros))
        layer.inputs = [*layer.inputs[:2], bias]
    return graph.tensors[layer.inputs[2]]


def fuse_activations(graph: Graph) -> None:
    """Fuse RELU, RELU6 and RELU_N1_TO_1 into the operators before them."""
    for operator in list(graph.operators):
        if operator.type not in FUSABLE or not _has(operator, 1):
            continue
        source = operator.inputs[0]
        position = graph.producer(source)
        if position is None or len(graph.consumers(source)) != 1 or source in graph.outputs:
            continue
        layer = graph.operators[position]
        if layer.type not in TAKES_ACTIVATION or _is_fused(layer):
            continue
        if graph.tensors[source].type == "FLOAT32":
            layer.options["fused_activation_function"] = operator.type
            _bypass(graph, layer, operator)


def _bypass(graph: Graph, layer: Operator, operator: Operator) -> None:
    """Let `layer` write what `operator` wrote, and remove `operator`."""
    layer.outputs = list(operator.outputs)
    graph.operators = [other for other in graph.operators if other is not operator]


def remove_unused_tensors(graph: Graph, signatures: list[Signature]) -> None:
    """Drop the tensors that neither the graph nor its signatures refer to, and renumber the others."""
    used = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        used.update(i for i in (*operator.inputs, *operator.outputs) if i != ABSENT)
        used.update(int(i) for i in operator.extra.get("intermediates", ()))
    for signature in signatures:
        used.update([*signature.inputs.values(), *signature.outputs.values()])
    number = {old: new for new, old in enumerate(sorted(used))}
    number[ABSENT] = ABSENT
    graph.tensors = [graph.tensors[old] for old in sorted(used)]
    graph.inputs, graph.outputs = [number[i] for i in graph.inputs], [number[i] for i in graph.outputs]
    for operator in graph.operators:
        operator.inputs = [number[i] for i in operator.inputs]
        operator.outputs = [number[i] for i in operator.outputs]
        if "intermediates" in operator.extra:
            operator.extra["intermediates"] = [number[int(i)] for i in operator.extra["intermediates"]]
    for signature in signatures:
        signature.inputs = {name: number[i] for name, i in signature.inputs.items()}
        signature.outputs = {name: number[i] for name, i in signature.outputs.items()}
