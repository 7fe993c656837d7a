"""Models with subgraphs and states, altered at random: they run, or a ptq error says why not.

The bytes of such small files are nearly all structure, so that a damaged file hardly ever loads; here the
graph is altered instead: indices, shapes, types, constants and options.
"""

import time

import numpy as np
import pytest
from control_flow import (
    CONDITION,
    accumulator,
    append,
    calling,
    counting_loop,
    initialized_variable,
    looping_accumulator,
    pair,
)

import ptq
from ptq.errors import PtqError
from ptq.graph import DTYPES, Signature

TYPES = [*DTYPES, "RESOURCE", "STRING", "INT4"]
NUMBERS = [-1, 0, 1, 2, 3, 7, 2**31 - 1, -(2**31)]
COUNT = 600


def branches():
    """An IF between a loop over a growing tensor and a layer that keeps a state."""
    given = [((1, 2), "FLOAT32")]
    then = counting_loop(3, lambda b, x: [b.concatenation([x, x], 0)], *given)
    subgraphs, then.subgraphs = then.subgraphs, []
    then.operators[0].options.update(cond_subgraph_index=3, body_subgraph_index=4)
    then.tensors[then.inputs.pop(0)].data = np.array(0, np.int32)
    then.outputs.pop(0)
    graph = calling("IF", [CONDITION, *given], given, [then, accumulator(name="else")[0], *subgraphs])
    graph.outputs = append(graph, "RELU", list(graph.outputs), given)
    return graph


def models():
    return [
        looping_accumulator(rounds=3)[0],
        counting_loop(3, lambda b, x, y: [b.add(x, y), b.mul(y, np.float32(2))], pair(), pair()),
        initialized_variable(np.array([10, 20], np.float32)),
        branches(),
    ]


def altered(model, rng):
    """A copy with one to three random changes."""
    model = model.copy()
    for _ in range(rng.integers(1, 4)):
        graph = rng.choice([model, *model.subgraphs])
        tensor, operator = rng.choice(graph.tensors), rng.choice([*graph.operators, None])
        kind = rng.integers(7)
        if kind == 0:
            tensor.shape = tuple(int(n) for n in rng.choice(NUMBERS[1:6], rng.integers(4)))
        elif kind == 1:
            tensor.type = str(rng.choice(TYPES))
        elif kind == 2 and tensor.data is not None and tensor.dtype is not None:
            tensor.data = rng.choice(NUMBERS, tensor.shape).astype(tensor.dtype)
        elif kind == 3:
            tensor.is_variable = not tensor.is_variable
        elif kind == 4 and operator is not None and operator.options:
            name = rng.choice(list(operator.options))
            operator.options[name] = int(rng.choice(NUMBERS))
        else:
            lists = [graph.inputs, graph.outputs]
            lists += [operator.inputs, operator.outputs] if operator is not None else []
            indices = lists[rng.integers(len(lists))]
            if indices:
                indices[rng.integers(len(indices))] = int(rng.integers(-1, len(graph.tensors) + 1))
    return model


def run(graph):
    interpreter = ptq.Interpreter(graph=graph)
    for _ in range(2):
        interpreter.run([np.ones(d["shape"], d["dtype"]) for d in interpreter.get_input_details()])
    interpreter.reset_all_variables()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # altered weights overflow as they may
def test_only_ptq_errors_come_out(monkeypatch):
    monkeypatch.setattr("ptq.executor.MOST_RUNS", 1000)
    monkeypatch.setattr("ptq.executor.LARGEST_TENSOR", 2**24)  # some loops double a tensor until it is met
    rng = np.random.default_rng(8)
    ran, messages = 0, []
    for model in models():
        run(model)
        for _ in range(COUNT):
            start = time.monotonic()
            try:
                run(altered(model, rng))
                ran += 1
            except PtqError as error:
                messages.append(str(error))
            assert time.monotonic() - start < 20  # an ordinary run takes milliseconds
    assert ran > COUNT // 2
    for expected in ("a loop that ends", "runs itself", "is no variable", "one bool", "16777216 bytes"):
        assert any(expected in message for message in messages), expected


def signed(model, rng):
    """The model with a signature for each subgraph, one of which is altered now and then."""
    model.signatures = [
        Signature(f"of {number}", names(graph.inputs), names(graph.outputs), number)
        for number, graph in enumerate([model, *model.subgraphs])
    ]
    signature = rng.choice(model.signatures)
    kind = rng.integers(20)
    if kind == 0:
        signature.subgraph = int(rng.choice(NUMBERS))
    elif kind == 1:
        signature.key = str(rng.choice(["", model.signatures[0].key]))
    elif kind == 2:
        chosen = signature.inputs if rng.integers(2) else signature.outputs
        chosen["0"] = int(rng.choice(NUMBERS))
    elif kind == 3:
        signature.inputs.pop("0", None)
    return model


def names(indices):
    return {str(position): index for position, index in enumerate(indices)}


def run_signatures(graph):
    interpreter = ptq.Interpreter(model_content=ptq.dumps(graph))
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        for _ in range(2):
            given = {name: np.ones(d["shape"], d["dtype"]) for name, d in runner.get_input_details().items()}
            assert runner(**given).keys() == runner.get_output_details().keys()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_only_ptq_errors_come_out_of_signatures(monkeypatch):
    monkeypatch.setattr("ptq.executor.MOST_RUNS", 1000)
    monkeypatch.setattr("ptq.executor.LARGEST_TENSOR", 2**24)
    rng = np.random.default_rng(9)
    ran, messages = 0, []
    for model in models():
        for _ in range(COUNT // 2):
            start = time.monotonic()
            try:
                run_signatures(signed(altered(model, rng), rng))
                ran += 1
            except PtqError as error:
                messages.append(str(error))
            assert time.monotonic() - start < 20
    assert ran > COUNT // 4
    for expected in ("empty key", "found twice", "which is no", "subgraph -1", "has not been set"):
        assert any(expected in message for message in messages), expected
