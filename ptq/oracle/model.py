"""A whole model by the specification, for arrays: what `ptq.Interpreter` computes, one element at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ptq.errors import InputError
from ptq.graph import DTYPES, Array, Graph
from ptq.oracle.problem import operand, problem_of
from ptq.shapes import recurrent
from ptq.spec.model import Ask, Machine, Part, Step
from ptq.spec.question import Operand, Question
from ptq.spec.rules import Rules
from ptq.subgraphs import check_calls

RECURRENT = frozenset(recurrent.RULES) - {"EMBEDDING_LOOKUP"}
"""The operators that write the states which they read; others only read them."""


class ScalarInterpreter:
    """Runs a model as `ptq.Interpreter.run` does, by the specification; for small models, as it is slow.

    States and variables last from one `run` to the next. rules: the right ones by default; a mistake shows
    what it does to a whole model. Raises what `check_calls` raises.
    """

    def __init__(self, graph: Graph, rules: Rules | None = None) -> None:
        check_calls(graph)
        self.graphs = [graph, *graph.subgraphs]
        self.machine = Machine([part_of(g) for g in self.graphs], rules or Rules())

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """All outputs, for all inputs in order; InputError for another number or type of them."""
        graph = self.graphs[0]
        found = [array.dtype for array in inputs]
        expected = [graph.tensors[index].dtype for index in graph.inputs]
        if found != expected:
            raise InputError(f"run: inputs of types {found} found, expected {expected}")
        given = [operand(graph.tensors[i], array) for i, array in zip(graph.inputs, inputs, strict=True)]
        return [array_of(value) for value in self.machine.run(given)]

    def get_tensor(self, index: int, subgraph_index: int = 0) -> Array:
        """What a tensor was when its subgraph ran last; InputError if it had no value then."""
        values = self.machine.values.get(subgraph_index, {})
        if index not in values:
            raise InputError(f"tensor {index} of subgraph {subgraph_index} has no value yet")
        return array_of(values[index])


def part_of(graph: Graph) -> Part:
    """One subgraph in plain Python numbers."""
    tensors = [operand(tensor, tensor.data if tensor.dtype is not None else None) for tensor in graph.tensors]
    steps = [
        Step(op.type, op.inputs, op.outputs, op.options, _asking(graph, position))
        for position, op in enumerate(graph.operators)
    ]
    constants = [index for index, tensor in enumerate(graph.tensors) if tensor.is_constant]
    states = [index for index, tensor in enumerate(graph.tensors) if tensor.is_variable]
    return Part(tensors, steps, graph.inputs, graph.outputs, constants, states)


def _asking(graph: Graph, position: int) -> Ask:
    """How operands become the question of an operator, whose shapes follow from them."""

    def ask(operands: Sequence[Operand | None]) -> Question:
        arrays = [None if x is None else array_of(x) for x in operands]
        question = problem_of(graph, position, arrays).question()
        return question if question.operator in RECURRENT else replace(question, states=())

    return ask


def array_of(value: Operand) -> Array:
    """The elements as an array of their type; a RESOURCE is the number of a variable."""
    dtype = np.dtype(np.int32) if value.type == "RESOURCE" else DTYPES[value.type]
    return np.array(value.values, dtype).reshape(value.shape)
