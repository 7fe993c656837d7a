"""An operator by itself: the part of a model that leads to its result, fed another model's values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ptq.comparison.match import Pair
from ptq.comparison.trace import Trace, in_terms_of, run_traced, same_bits, state_before
from ptq.errors import InputError
from ptq.graph import ABSENT, Array, Graph, Operator, Tensor
from ptq.numerics import Numerics
from ptq.subgraphs import callees


class NotIsolated(InputError):
    """An operator cannot be run by itself; the message says why."""


@dataclass(frozen=True)
class Segment:
    """The operators of a model between known tensors and what one of them writes, as a model of its own.

    Nearly always a single operator; more where those before it have no counterpart in the other model, such
    as a QUANTIZE behind a float input.

    positions: of the operators in the whole model. tensors: the index in the whole model of each tensor.
    states: the states that are read, by tensor of the segment: at which operator, at which of its inputs.
    """

    graph: Graph
    positions: tuple[int, ...]
    tensors: tuple[int, ...]
    states: Mapping[int, tuple[int, int]]

    @property
    def fed(self) -> list[int]:
        """The tensors of the whole model that the segment is fed, in order."""
        return [self.tensors[i] for i in self.graph.inputs]


def cut_out(graph: Graph, last: int, known: Collection[int]) -> Segment:
    """The operator at position `last`, with those that lead to it from the tensors `known` and constants.

    NotIsolated if they start at something else, or share resource variables with the rest of the model.
    """
    producers = {i: position for position, o in enumerate(graph.operators) for i in o.outputs}
    needed: set[int] = set()
    waiting = [last]
    while waiting:
        position = waiting.pop()
        if position in needed:
            continue
        needed.add(position)
        _check(graph, graph.operators[position])
        for index in graph.operators[position].inputs:
            if not _is_computed(graph, index, known):
                continue
            if index not in producers:
                raise NotIsolated(f"it depends on '{graph.tensors[index].name}', which has no counterpart")
            waiting.append(producers[index])
    return _as_model(graph, sorted(needed), known)


def _is_computed(graph: Graph, index: int, known: Collection[int]) -> bool:
    if index == ABSENT or index in known:
        return False
    return not (graph.tensors[index].is_constant or graph.tensors[index].is_variable)


def _check(graph: Graph, operator: Operator) -> None:
    """NotIsolated for an operator whose result depends on what others have stored."""
    types = [graph.tensors[i].type for i in (*operator.inputs, *operator.outputs) if i != ABSENT]
    inner = any(o.type == "VAR_HANDLE" for g in graph.subgraphs for o in g.operators)
    if "RESOURCE" in types or (callees(operator) and inner):
        raise NotIsolated(f"{operator.type} uses resource variables, which the whole model shares")


def _as_model(graph: Graph, positions: list[int], known: Collection[int]) -> Segment:
    model = Graph(name=graph.name)
    places: dict[int, int] = {ABSENT: ABSENT}
    states: dict[int, tuple[int, int]] = {}

    def place(index: int) -> int:
        if index not in places:
            places[index] = model.add_tensor(replace(graph.tensors[index]))
        return places[index]

    for position in positions:
        operator = graph.operators[position]
        inputs, outputs = [place(i) for i in operator.inputs], [place(i) for i in operator.outputs]
        extra = dict(operator.extra)
        if "intermediates" in extra:  # tensors that tell a quantized LSTM its inner scales
            extra["intermediates"] = np.array([place(int(i)) for i in extra["intermediates"]], np.int32)
        model.operators.append(replace(operator, inputs=inputs, outputs=outputs, extra=extra))
        for number, index in enumerate(operator.inputs):
            if index != ABSENT and graph.tensors[index].is_variable:
                states.setdefault(places[index], (position, number))
    del places[ABSENT]
    written = {i for operator in model.operators for i in operator.outputs}
    model.inputs = [
        new
        for old, new in places.items()
        if old in known and new not in written and new not in states and not graph.tensors[old].is_constant
    ]
    model.outputs = model.operators[-1].outputs
    if any(callees(operator) for operator in model.operators):
        model.subgraphs = graph.subgraphs
    return Segment(model, tuple(positions), tuple(places), states)


@dataclass
class Isolated:
    """A segment of model b with the values of model a that it is fed: integers where b has integers."""

    segment: Segment
    inputs: tuple[Array, ...]
    states: dict[int, Array]
    _traces: dict[Numerics, Trace] = field(default_factory=dict)

    def run(self, numerics: Numerics) -> Trace:
        """What it computes with these numerics, once for each. Raises what `Interpreter.run` raises."""
        if numerics not in self._traces:
            trace = run_traced(self.segment.graph, numerics, self.inputs, self.states)
            self._traces[numerics] = trace
        return self._traces[numerics]

    def result(self, numerics: Numerics, tensor: int) -> Array:
        """A tensor of the whole model, computed with these numerics."""
        return self.run(numerics).values[self.segment.tensors.index(tensor)]


def isolate(
    pair: Pair, a: Trace, b: Trace, counterparts: Mapping[int, int], constant: Collection[int]
) -> Isolated:
    """The operator of b that writes the second step's tensor, with a's values of what it reads.

    counterparts: the tensor of a for each tensor of b that has one. constant: the tensors of b that do not
    depend on the inputs; they keep b's own values. A state holds what a's state held before its operator.
    NotIsolated if there is no such value.
    """
    position = pair[1].operator
    known = (set(counterparts) | set(constant)).difference(b.graph.operators[position].outputs)
    segment = cut_out(b.graph, position, known)
    inputs = []
    for index in segment.fed:
        tensor = b.graph.tensors[index]
        if index in constant:
            inputs.append(b.values[index])
            continue
        source = counterparts[index]
        if source not in a.values:
            raise NotIsolated(f"'{tensor.name}' is a state, which has changed since")
        value = _translated(a.values[source], a.graph.tensors[source], tensor)
        if value.shape != tensor.shape:
            raise NotIsolated(f"'{tensor.name}' has shape {value.shape} in a, {tensor.shape} in b")
        inputs.append(value)
    states = {index: _state(pair, a, b, segment, index) for index in segment.states}
    return Isolated(segment, tuple(inputs), states)


def _state(pair: Pair, a: Trace, b: Trace, segment: Segment, index: int) -> Array:
    """What a state of b's operator holds in a's, at the same input of the matched operator."""
    position, place = segment.states[index]
    tensor = b.graph.tensors[segment.tensors[index]]
    value = state_before(a, pair[0].operator, place)
    matched = position == pair[1].operator and pair[0].type == pair[1].type
    if not matched or value is None or value.shape != tensor.shape:
        raise NotIsolated(f"its state '{tensor.name}' has no counterpart")
    source = a.graph.tensors[a.graph.operators[pair[0].operator].inputs[place]]
    if not source.is_variable:
        raise NotIsolated(f"its state '{tensor.name}' is no state in a")
    return _translated(value, source, tensor)


def _translated(value: Array, source: Tensor, target: Tensor) -> Array:
    try:
        return in_terms_of(value, source, target)
    except InputError as error:
        raise NotIsolated(str(error)) from error


def unchanged(isolated: Isolated, b: Trace) -> bool:
    """Whether b's operators were given these very values when the whole of b ran."""
    segment = isolated.segment
    fed = all(same_bits(x, b.values[i]) for x, i in zip(isolated.inputs, segment.fed, strict=True))
    return fed and all(
        (before := state_before(b, *segment.states[i])) is not None and same_bits(x, before)
        for i, x in isolated.states.items()
    )
