"""How the passes that store weights in fewer bits change a graph: who reads a tensor, and DEQUANTIZE."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from ptq.graph import Graph, Operator, Quantization, Tensor

Array = npt.NDArray[Any]

Use = tuple[Operator, int]
"""One place where a tensor is read: the operator, and the position among its inputs."""

Skip = Callable[[Operator, str], bool]
"""Whether an operator is to stay float, given it and the name of its output tensor."""

Skipped = frozenset[int]
"""The operators that stay float, by their identity, which rewriting does not change."""


def subgraphs(model: Graph) -> list[Graph]:
    """All subgraphs of a model in the order of their numbers; the main one is number 0."""
    return [model, *model.subgraphs]


def output_name(graph: Graph, operator: Operator) -> str:
    """The name that stands for an operator in reports: that of its first output."""
    return graph.tensors[operator.outputs[0]].name if operator.outputs else ""


def skipped_operators(model: Graph, skip: Skip | None) -> Skipped:
    """The operators of all subgraphs for which `skip` is true."""
    if skip is None:
        return frozenset()
    every = ((graph, operator) for graph in subgraphs(model) for operator in graph.operators)
    return frozenset(id(o) for graph, o in every if skip(o, output_name(graph, o)))


def uses(graph: Graph, tensor: int) -> list[Use]:
    """Where a tensor is read, in execution order."""
    return [(o, p) for o in graph.operators for p, index in enumerate(o.inputs) if index == tensor]


def redirect(places: Iterable[Use], tensor: int) -> None:
    """Let operators read `tensor` at these places."""
    for operator, position in places:
        operator.inputs[position] = tensor


def position_of(graph: Graph, operator: Operator) -> int:
    """The position of an operator in the execution order."""
    return next(p for p, other in enumerate(graph.operators) if other is operator)


def redirect_outputs(model: Graph, graph: Graph, old: int, new: int) -> None:
    """Let a subgraph, and the signatures that name its outputs, return `new` instead of `old`."""
    graph.outputs = [new if i == old else i for i in graph.outputs]
    number = next(n for n, other in enumerate(subgraphs(model)) if other is graph)
    for signature in (s for s in model.signatures if s.subgraph == number):
        signature.outputs = {name: new if i == old else i for name, i in signature.outputs.items()}


def retyped(
    tensor: Tensor, type: str, data: Array | None = None, quantization: Quantization | None = None,
    name: str | None = None
) -> Tensor:
    """A tensor of the same shape, with another type, content and perhaps name."""
    extra = {} if name else tensor.extra
    name = name or tensor.name
    return replace(tensor, name=name, type=type, data=data, quantization=quantization, extra=extra)


def insert_dequantize(graph: Graph, source: int, target: int, position: int, version: int) -> None:
    """Insert a DEQUANTIZE from `source` to `target`."""
    operator = Operator("DEQUANTIZE", [source], [target], {}, "DequantizeOptions", version)
    graph.operators.insert(position, operator)


def raise_version(model: Graph, type: str, version: int) -> None:
    """Give all operators of a type the highest version among them and `version`.

    A version belongs to the operator code, which all operators of a type share in files of TensorFlow.
    """
    same = [o for graph in subgraphs(model) for o in graph.operators if o.type == type]
    highest = max((version, *(o.version for o in same)))
    for operator in same:
        operator.version = highest
