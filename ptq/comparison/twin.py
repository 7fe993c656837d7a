"""The float twin of a quantized model: the same operators on the reals that its integers stand for.

An integer kernel approximates what the float kernel computes from those reals, so the twin tells what an
operator should have computed from the very integers that it was given.
"""

from __future__ import annotations

from dataclasses import replace

from ptq.comparison.match import CONVERSIONS
from ptq.graph import Array, Graph, Operator, Tensor
from ptq.quantizer import dequantize

INTEGERS = "INT8", "UINT8", "INT16", "INT32", "INT64"


def is_quantized(tensor: Tensor) -> bool:
    """Whether a tensor holds integers that stand for reals."""
    return tensor.quantized is not None and tensor.type in INTEGERS


def float_twin(graph: Graph) -> Graph:
    """A copy of the graph, subgraphs included, in which every quantized tensor is a float one.

    Constants become the reals that they stand for, float32. QUANTIZE and DEQUANTIZE are left out: what read
    their result reads what they read. Names stay, so that the twin can be compared with the model.
    """
    twin = graph.copy()
    for each in (twin, *twin.subgraphs):
        each.tensors = [as_float(tensor) for tensor in each.tensors]
        _leave_out_conversions(each)
    return twin


def as_float(tensor: Tensor) -> Tensor:
    """A quantized tensor as a float one, its constant as the reals that it stands for; another as it is."""
    if not is_quantized(tensor):
        return tensor
    data: Array | None = tensor.data
    if data is not None and tensor.quantized is not None:
        data = dequantize(data, tensor.quantized)
    return replace(tensor, type="FLOAT32", data=data, quantization=None)


def _leave_out_conversions(graph: Graph) -> None:
    """Drop the conversions between tensors that are floats by now; of a returned one the tensor stays."""
    same: dict[int, int] = {}
    kept: list[Operator] = []
    for operator in graph.operators:
        operator.inputs = [same.get(i, i) for i in operator.inputs]
        if operator.type in CONVERSIONS and _is_float(graph, operator.inputs[0]):
            same[operator.outputs[0]] = operator.inputs[0]
        else:
            kept.append(operator)
    graph.operators = kept
    graph.outputs = [same.get(i, i) for i in graph.outputs]
    for signature in graph.signatures:
        signature.outputs = {name: same.get(i, i) for name, i in signature.outputs.items()}


def _is_float(graph: Graph, index: int) -> bool:
    return graph.tensors[index].type == "FLOAT32"
