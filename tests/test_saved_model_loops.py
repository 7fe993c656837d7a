"""Loops by hand: what is one recurrent layer, what only looks like it, and what is refused."""

from collections import Counter
from dataclasses import replace

import bounded
import numpy as np
import pytest
from flat_graphs import Flat
from flat_loops import BATCH, INPUTS, STEPS, UNITS, argument, changed, evaluate, layer, weights

from ptq import executor
from ptq.errors import PtqError, UnsupportedError
from ptq.interpreter import Interpreter
from ptq.saved_model.nodes import FunctionName, TypeName
from ptq.saved_model.translate import translate

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
CHANGES = 150


def types(graph):
    return [operator.type for operator in graph.operators]


def assert_right(flat, graph, seed=1):
    shape = graph.tensors[graph.inputs[0]].shape
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    results = evaluate(flat, [bounded.exactly(x)])
    for found, expected in zip(Interpreter(graph=graph).run([x]), results, strict=True):
        if isinstance(expected, bounded.Bounded):
            bounded.assert_within(found, expected)
        else:
            np.testing.assert_array_equal(found, expected)


FUSED = {
    "all outputs": {},
    "commuted": {"commuted": True},
    "last axis": {"axis": -1},
    "two limits": {"limit": [STEPS, STEPS + 3]},
    "weights are arguments": {"captured": True},
}


@pytest.mark.parametrize("name", FUSED)
def test_one_operator(name):
    flat = layer(**FUSED[name])
    graph = translate(flat)
    assert types(graph) == [LSTM] and not graph.operators[0].options["time_major"]
    assert_right(flat, graph)


def test_the_last_output():
    flat = layer(sequences=False)
    graph = translate(flat)
    assert types(graph) == [LSTM, "STRIDED_SLICE"]
    assert_right(flat, graph)


def test_time_first_stays_so():
    flat = layer(swapped=False)
    graph = translate(flat)
    assert types(graph) == [LSTM, "TRANSPOSE"] and graph.operators[0].options["time_major"]
    assert_right(flat, graph)


def test_the_hidden_state_is_the_last_output():
    flat = layer(read=[2])
    graph = translate(flat)
    assert types(graph) == [LSTM, "STRIDED_SLICE"]
    assert_right(flat, graph)


NEAR_MISSES = {
    "input and forget gates exchanged": {"order": (1, 0, 2, 3)},
    "cell and output gates exchanged": {"order": (0, 1, 3, 2)},
    "another activation": {"candidate": "Relu"},
    "states of ones": {"state": 1.0},
    "ends one step early": {"limit": STEPS - 1},
    "two limits, one too low": {"limit": [STEPS, STEPS - 1]},
    "begins with the second step": {"start": 1},
    "every other step": {"by": 2},
    "a longer list": {"count": STEPS + 1},
    "only the first place is set": {"index": 0, "count": STEPS},
    "the last of one output, at another place": {"sequences": False, "index": 1, "count": 2},
    "the cell state is read": {"read": [3]},
    "the counter is read": {"read": [0]},
    "something more": {"scale": 0.5},
    "weights turned by the product": {"turned": True},
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_misses_stay_loops(name):
    flat = layer(**NEAR_MISSES[name])
    graph = translate(flat)
    assert "WHILE" in types(graph) and LSTM not in types(graph)
    assert_right(flat, graph)


@pytest.mark.parametrize("turned", [False, True])
def test_a_simple_cell(turned):
    """Square weights that the product turns have the shape of others, but are not those."""
    kernel, recurrent, _ = weights(gates=1)

    def cell(f, x, h, c, parts):
        products = f.op("MatMul", [x, kernel]), f.op("MatMul", [h, recurrent], transpose_b=turned)
        return f.op("Tanh", [f.op("AddV2", products)]), c

    flat = layer(cell=cell)
    graph = translate(flat)
    assert ("UNIDIRECTIONAL_SEQUENCE_RNN" in types(graph)) != turned and ("WHILE" in types(graph)) == turned
    assert_right(flat, graph)


def test_states_of_another_batch_stay_a_loop():
    """Zeros of one row, which the first round spreads over the batch: shapes change, which is refused."""
    flat = layer()
    nodes = [
        replace(node, attributes={"value": np.zeros((1, UNITS), np.float32)})
        if node.op == "Const" and np.shape(node.attributes["value"]) == (BATCH, UNITS) else node
        for node in flat.nodes
    ]
    with pytest.raises(UnsupportedError, match=r"before a round and .* after it"):
        translate(replace(flat, nodes=tuple(nodes)))


def test_an_argument_passed_on_as_another_is_copied():
    """(a, b) -> (b, a) three times; in place, as TensorFlow Lite runs loops, b would overwrite a."""
    body, condition, main = Flat(), Flat(), Flat()
    counter, a, b = (argument(body, name) for name in ("counter", "a", "b"))
    body = body.finish(body.op("AddV2", [counter, np.int32(1)]), b, a)
    counter, *_ = (argument(condition, name) for name in ("counter", "a", "b"))
    condition = condition.finish(condition.op("Less", [counter, np.int32(3)]))
    values = [main.input(name, (2,)) for name in ("a", "b")]
    main.op("While", [np.int32(0), *values], "while", body=FunctionName("b"), cond=FunctionName("c"))
    flat = replace(main.finish("while:1", "while:2"), functions={"b": body, "c": condition})
    first, second = np.float32([1, 2]), np.float32([3, 4])
    found = Interpreter(graph=translate(flat)).run([first, second])
    assert [value.tolist() for value in found] == [second.tolist(), first.tolist()]


def _choice(then, otherwise, shape=(3,)):
    main = Flat()
    flag, x = main.input("flag", (), np.bool_), main.input("x", shape)
    functions = {}
    for name, ops in (("then", then), ("else", otherwise)):
        f = Flat()
        functions[name] = f.finish(*ops(f, argument(f, "y")))
    attributes = {"then_branch": FunctionName("then"), "else_branch": FunctionName("else")}
    count = len(functions["then"].outputs)
    main.op("If", [flag, x], "if", Tout=(np.dtype(np.float32),) * count, **attributes)
    return replace(main.finish(*(f"if:{k}" for k in range(count))), functions=functions)


def test_a_choice_has_two_subgraphs():
    def twice(f, x):
        y = f.op("Mul", [x, np.float32(2)])
        return y, y

    graph = translate(_choice(twice, lambda f, x: (x, f.op("Relu", [x]))))
    assert types(graph) == ["IF"] and len(graph.subgraphs) == 2
    x = np.float32([-1, 0, 3])
    for flag, expected in ((True, [2 * x, 2 * x]), (False, [x, np.maximum(x, 0)])):
        found = Interpreter(graph=graph).run([np.array(flag), x])
        assert [value.tolist() for value in found] == [value.tolist() for value in expected]


def test_a_layer_inside_of_a_choice_stays_a_loop():
    """Its states would last from one round of a loop around it to the next, instead of starting as zeros."""
    inner, main = layer(), Flat()
    given = [main.input("flag", (), np.bool_), main.input("x", (BATCH, STEPS, INPUTS))]
    branches = {"then_branch": FunctionName("layer"), "else_branch": FunctionName("layer")}
    main.op("If", given, "if", Tout=(np.dtype(np.float32),), **branches)
    flat = replace(main.finish("if:0"), functions={**inner.functions, "layer": replace(inner, functions={})})
    graph = translate(flat)
    assert LSTM not in [operator.type for g in graph.subgraphs for operator in g.operators]
    interpreter = Interpreter(graph=graph)
    for seed in range(2):
        x = np.random.default_rng(seed).normal(size=(BATCH, STEPS, INPUTS)).astype(np.float32)
        expected = evaluate(inner, [bounded.exactly(x)])[0]
        bounded.assert_within(interpreter.run([np.array(True), x])[0], expected)


def test_branches_of_different_shapes_are_refused():
    with pytest.raises(UnsupportedError, match="If 'if': branches with results"):
        translate(_choice(lambda f, x: (x,), lambda f, x: (f.op("Sum", [x, np.int32(0)]),)))


@pytest.mark.parametrize("name", ["all outputs", "commuted", "weights are arguments"])
def test_any_change_is_translated_as_it_is_meant_or_refused(name, monkeypatch):
    """What was one layer before something was changed, anywhere; some of it still is."""
    monkeypatch.setattr(executor, "MOST_RUNS", 60)
    flat, found = layer(**FUSED[name]), Counter()
    for seed in range(CHANGES):
        other = changed(flat, np.random.default_rng(seed))
        try:
            graph = translate(other)
            x = np.random.default_rng(seed).normal(size=(BATCH, STEPS, INPUTS)).astype(np.float32)
            results = Interpreter(graph=graph).run([x])
        except PtqError:
            found["refused"] += 1
            continue
        for result, expected in zip(results, evaluate(other, [bounded.exactly(x)]), strict=True):
            bounded.assert_within(result, expected, seed)
        found["fused" if LSTM in types(graph) else "loop"] += 1
    assert min(found[kind] for kind in ("refused", "fused", "loop")) >= CHANGES / 10, found


# --- refusals -------------------------------------------------------------------------------------


def test_what_is_missing_is_named():
    flat = layer()
    with pytest.raises(UnsupportedError, match=r"While 'while': function 'body' \(body\) is not"):
        translate(replace(flat, functions={"condition": flat.functions["condition"]}))
    functions = {**flat.functions, "condition": flat.functions["body"]}
    with pytest.raises(UnsupportedError, match="has 5 inputs and 5 outputs, expected 5 and 1"):
        translate(replace(flat, functions=functions))


def test_an_unknown_operation_in_a_body_is_named():
    def cell(f, x, h, c, parts):
        return f.op("Lgamma", [h], "body/lgamma"), c

    with pytest.raises(UnsupportedError, match=r"1 operations .*\n  Lgamma 'body/lgamma'\n"):
        translate(layer(cell=cell))


def test_lists_outside_of_loops_are_refused():
    f = Flat()
    x = f.input("x", (2, 3))
    listed = f.op("TensorListReserve", [np.int32([3]), np.int32(2)], "list")
    y = f.op("TensorListStack", [listed, np.int32([3])], "stack")
    with pytest.raises(UnsupportedError, match="TensorListStack 'stack': a list whose items"):
        translate(f.finish(f.op("AddV2", [x, y])))


def test_a_list_that_is_read_before_it_is_set_is_refused():
    body, condition, main = Flat(), Flat(), Flat()
    counter, listed = argument(body, "counter", np.int32), argument(body, "list", TypeName("variant"))
    item = body.op("TensorListGetItem", [listed, counter, np.int32([3])], "get")
    written = body.op("TensorListSetItem", [listed, counter, body.op("Tanh", [item])], "set")
    body = body.finish(body.op("AddV2", [counter, np.int32(1)]), written)
    counter, _ = argument(condition, "counter"), argument(condition, "list", TypeName("variant"))
    condition = condition.finish(condition.op("Less", [counter, np.int32(3)]))
    x = main.input("x", (2, 3))
    listed = main.op("TensorListReserve", [np.int32([3]), np.int32(2)], "list")
    main.op("While", [np.int32(0), listed], "while", body=FunctionName("b"), cond=FunctionName("c"))
    stacked = main.op("TensorListStack", ["while:1", np.int32([3])])
    flat = replace(main.finish(main.op("AddV2", [x, stacked])), functions={"b": body, "c": condition})
    with pytest.raises(UnsupportedError, match="TensorListGetItem 'get': a list whose items"):
        translate(flat)


def test_a_function_that_calls_itself_is_refused():
    f = Flat()
    values = [argument(f, "a"), argument(f, "b")]
    named = {"body": FunctionName("loop"), "cond": FunctionName("loop2")}
    inner = f.op("While", values, "inner", **named).rpartition(":")[0]
    second = f.op("While", values, "second", **named).rpartition(":")[0]
    body = f.finish(f"{inner}:0", f"{second}:1")
    condition = Flat()
    argument(condition, "a"), argument(condition, "b")
    condition = condition.finish(condition.op("Less", ["a:0", "b:0"]))
    main = Flat()
    given = [main.input("a", ()), main.input("b", ())]
    main.op("While", given, "outer", **named)
    flat = replace(main.finish("outer:0", "outer:1"), functions={"loop": body, "loop2": condition})
    with pytest.raises(UnsupportedError, match="loops or choices inside one another"):
        translate(flat)


def test_weights_of_the_wrong_size_stay_in_the_loop():
    kernel, recurrent, bias = weights()
    flat = layer(parts=[kernel, recurrent, bias[:1]])
    graph = translate(flat)
    assert "WHILE" in types(graph)
    assert_right(flat, graph)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3)], ids=["fused", "loop"])
def test_an_open_batch(order):
    """One in the operator, whose states have a size in the file; any number in a loop."""
    flat = layer(order=order, shape=(-1, STEPS, INPUTS))
    graph = translate(flat)
    fused = LSTM in types(graph)
    assert fused == (order == (0, 1, 2, 3)) and ("WHILE" in types(graph)) != fused
    interpreter = Interpreter(graph=graph)
    for batch in [1] if fused else [1, 2, 5]:
        x = np.random.default_rng(batch).normal(size=(batch, STEPS, INPUTS)).astype(np.float32)
        interpreter.resize_tensor_input(graph.inputs[0], x.shape)
        bounded.assert_within(interpreter.run([x])[0], evaluate(flat, [bounded.exactly(x)])[0])
    if fused:
        interpreter.resize_tensor_input(graph.inputs[0], (2, STEPS, INPUTS))
        with pytest.raises(PtqError):
            interpreter.run([np.zeros((2, STEPS, INPUTS), np.float32)])
