"""Models with subgraphs for the tests: a graph in a line, and operators that run others."""

import numpy as np

import ptq
from ptq.graph import Graph, Operator, Tensor
from ptq.operators import default_options

SCALAR = ((), "INT32")
CONDITION = ((), "BOOL")

VARIABLE_TABLES = {
    "VAR_HANDLE": "VarHandleOptions",
    "READ_VARIABLE": "ReadVariableOptions",
    "ASSIGN_VARIABLE": "AssignVariableOptions",
}


def pair():
    """Two numbers."""
    return (2,), "FLOAT32"


def graph_of(build, *inputs, name="main"):
    """The graph that returns build(builder, *tensors), a tensor or several, for inputs (shape, type)."""
    builder = ptq.Builder(name)
    tensors = [builder.input(f"{name}/x{i}", shape, type) for i, (shape, type) in enumerate(inputs)]
    results = build(builder, *tensors)
    return builder.finish(*(results if isinstance(results, list | tuple) else [results]))


def append(graph, type, inputs, outputs, options=None):
    """Append an operator whose inputs are tensors' indices and whose outputs are (shape, type)."""
    known = VARIABLE_TABLES.get(type)
    table, defaults = (known, {}) if known else default_options(type)
    indices = [
        graph.add_tensor(Tensor(f"{graph.name}/{type}{len(graph.tensors) + i}", shape, kind))
        for i, (shape, kind) in enumerate(outputs)
    ]
    graph.operators.append(Operator(type, inputs, list(indices), {**defaults, **(options or {})}, table))
    return indices


def calling(type, inputs, outputs, subgraphs, **options):
    """A main graph of one operator that runs `subgraphs`, numbered 1, 2, ... in its options' order."""
    graph = Graph(name="main", subgraphs=list(subgraphs))
    graph.inputs = [graph.add_tensor(Tensor(f"main/x{i}", *spec)) for i, spec in enumerate(inputs)]
    names = default_options(type)[1]
    numbered = {name: i for i, name in enumerate(names, 1)}
    graph.outputs = append(graph, type, list(graph.inputs), outputs, {**numbered, **options})
    graph.validate()
    return graph


def less(b, a, limit):
    """LESS, which yields a BOOL."""
    return b.op("LESS", [a, np.asarray(limit, np.int32)], output_type="BOOL", output_shape=())


def counting_loop(limit, step, *carried):
    """WHILE over (counter, *carried): as long as counter < limit, values = step(b, *values)."""
    inputs = [SCALAR, *carried]
    condition = graph_of(lambda b, i, *_: less(b, i, limit), *inputs, name="condition")

    def body(b, i, *values):
        return [b.add(i, np.int32(1)), *step(b, *values)]

    return calling("WHILE", inputs, inputs, [condition, graph_of(body, *inputs, name="body")])


def accumulator(shape=(1, 2), name="main"):
    """RNN whose state and output are x + the state before, and the index of the state."""
    graph = graph_of(lambda b, x: x, (shape, "FLOAT32"), name=name)
    eye = np.eye(shape[1], dtype=np.float32)
    constants = {"weights": eye, "recurrent": eye, "bias": 0 * eye[0]}
    weights = [graph.add_tensor(Tensor(f"{name}/{n}", w.shape, data=w)) for n, w in constants.items()]
    state = graph.add_tensor(Tensor(f"{name}/state", shape, is_variable=True))
    graph.outputs = append(graph, "RNN", [graph.inputs[0], *weights, state], [(shape, "FLOAT32")])
    graph.validate()
    return graph, state


def looping_accumulator(rounds):
    """WHILE over (counter, x) with x = accumulator(x) in each round, and the index of the body's state."""
    inputs = [SCALAR, ((1, 2), "FLOAT32")]
    condition = graph_of(lambda b, i, x: less(b, i, rounds), *inputs, name="condition")
    body, state = accumulator(name="body")
    counter = body.add_tensor(Tensor("counter", *SCALAR))
    one = body.add_tensor(Tensor("one", *SCALAR, np.array(1, np.int32)))
    body.inputs.insert(0, counter)
    body.outputs[:0] = append(body, "ADD", [counter, one], [SCALAR])
    return calling("WHILE", inputs, inputs, [condition, body]), state


def initialized_variable(value):
    """CALL_ONCE assigns `value`; main adds x to the variable, assigns and returns the sum."""
    graph, init = Graph(name="main"), Graph(name="init")
    handle, name = ((), "RESOURCE"), {"container": "", "shared_name": "total"}
    (resource,) = append(init, "VAR_HANDLE", [], [handle], name)
    append(init, "ASSIGN_VARIABLE", [resource, init.add_tensor(Tensor("value", (2,), data=value))], [])
    graph.inputs, graph.subgraphs = [graph.add_tensor(Tensor("x", (2,)))], [init]
    append(graph, "CALL_ONCE", [], [], {"init_subgraph_index": 1})
    (resource,) = append(graph, "VAR_HANDLE", [], [handle], name)
    (read,) = append(graph, "READ_VARIABLE", [resource], [pair()])
    graph.outputs = append(graph, "ADD", [read, graph.inputs[0]], [pair()])
    append(graph, "ASSIGN_VARIABLE", [resource, graph.outputs[0]], [])
    return graph
