"""Which operators run other subgraphs of their model, and whether those exist and fit.

A subgraph is named by its number in the file: 0 is the main graph, i is `graph.subgraphs[i - 1]`.
"""

from __future__ import annotations

from ptq.errors import GraphError, UnsupportedError
from ptq.graph import Graph, Operator

CALLEES = {
    "WHILE": ("cond_subgraph_index", "body_subgraph_index"),
    "IF": ("then_subgraph_index", "else_subgraph_index"),
    "CALL_ONCE": ("init_subgraph_index",),
}
"""The options that hold the number of a subgraph."""

DEEPEST = 50
"""How many subgraphs may run inside one another; real models nest two or three."""


def callees(operator: Operator) -> list[int]:
    """The numbers of the subgraphs that an operator runs; none for an ordinary operator."""
    options = CALLEES.get(operator.type, ())
    missing = [name for name in options if name not in operator.options]
    if missing:
        raise GraphError(f"operator {operator.type}: option '{missing[0]}' is missing; expected a subgraph")
    return [int(operator.options[name]) for name in options]


def check_calls(graph: Graph) -> None:
    """Check every subgraph that runs when `graph` or one of its signatures does.

    Raises GraphError for a subgraph that does not exist, that has other inputs or outputs than the
    operator gives and takes, or that runs itself; UnsupportedError for more than DEEPEST nested ones.
    Source: the Prepare functions of `tflite/kernels/while.cc`, `if.cc` and `call_once.cc`.
    """
    known: dict[int, int] = {}
    for entry in {0, *(signature.subgraph for signature in graph.signatures)}:
        _height(entry, [graph, *graph.subgraphs], (), known)


def _height(index: int, graphs: list[Graph], callers: tuple[int, ...], known: dict[int, int]) -> int:
    """How many subgraphs run inside one another below subgraph `index`, itself included."""
    if index in callers:
        chain = " -> ".join(map(str, (*callers, index)))
        raise GraphError(f"subgraph {index} runs itself ({chain}); expected subgraphs without recursion")
    if index not in known and len(callers) <= DEEPEST:
        inner = [0]
        for position, operator in enumerate(graphs[index].operators):
            _check_operator(f"subgraph {index}, operator {position} ({operator.type})", operator, graphs)
            inner += [_height(i, graphs, (*callers, index), known) for i in callees(operator)]
        known[index] = 1 + max(inner)
    if len(callers) + known.get(index, 1) > DEEPEST:
        raise UnsupportedError(f"more than {DEEPEST} subgraphs run inside one another; expected fewer")
    return known[index]


def _check_operator(where: str, operator: Operator, graphs: list[Graph]) -> None:
    inputs, outputs = len(operator.inputs), len(operator.outputs)
    called = callees(operator)
    if operator.type == "WHILE":
        fits, wanted, interfaces = inputs == outputs, "as many outputs", [(inputs, 1), (inputs, inputs)]
    elif operator.type == "IF":
        fits, wanted, interfaces = inputs > 0, "a condition first", [(inputs - 1, outputs)] * 2
    else:
        fits, wanted, interfaces = not called or inputs == outputs == 0, "none", [(0, 0)] * len(called)
    if not fits:
        raise GraphError(f"{where}: {inputs} inputs and {outputs} outputs found, expected {wanted}")
    for index, expected in zip(called, interfaces, strict=True):
        if not 0 <= index < len(graphs):
            raise GraphError(f"{where}: subgraph {index} found, expected 0 to {len(graphs) - 1}")
        found = len(graphs[index].inputs), len(graphs[index].outputs)
        if found != expected:
            raise GraphError(
                f"{where}: subgraph {index} has {found[0]} inputs and {found[1]} outputs, "
                f"expected {expected[0]} and {expected[1]}"
            )
