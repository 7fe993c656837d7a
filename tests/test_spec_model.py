"""Whole models by the specification, one element at a time, against `ptq.Interpreter`: every tensor."""

from dataclasses import replace

import numpy as np
import pytest
from control_flow import (
    CONDITION,
    SCALAR,
    append,
    calling,
    counting_loop,
    graph_of,
    initialized_variable,
    less,
    pair,
)
from litert import assert_same_bits

import ptq
from ptq.errors import GraphError, InputError
from ptq.graph import Tensor
from ptq.oracle.mistakes.zero_points import NoInputZeroPoint
from ptq.oracle.model import ScalarInterpreter
from ptq.spec import model
from ptq.spec.rules import Rules

INTENDED = replace(ptq.LITERT_REFERENCE_ORDERED, upstream_defects="intended")
REPRODUCED = replace(ptq.LITERT_REFERENCE_ORDERED, upstream_defects="reproduce")

ZERO = np.int32(0)
ONE_THREE = np.array([1, 3], np.float32)


def agree(graph, *runs, numerics=INTENDED):
    """Both interpreters give the same outputs in every run, and the same tensors; the last outputs."""
    scalar, ours = ScalarInterpreter(graph, Rules(numerics)), ptq.Interpreter(graph=graph, numerics=numerics)
    for inputs in runs:
        found, expected = scalar.run(inputs), ours.run(inputs)
        for a, b in zip(found, expected, strict=True):
            assert_same_bits(a, b, graph.name)
    for number, subgraph in enumerate([graph, *graph.subgraphs]):
        if (
            number and number not in scalar.machine.values
        ):  # a branch that was not taken, a loop without rounds
            continue
        for index in (i for op in subgraph.operators for i in op.outputs):
            assert_same_bits(
                scalar.get_tensor(index, number), ours.get_tensor(index, number), (number, index)
            )
    return [y.tolist() for y in found]


# --- loops and branches -------------------------------------------------------------------------------


def test_a_loop():
    graph = counting_loop(4, lambda b, x: [b.mul(x, np.float32(2))], pair())
    assert agree(graph, [ZERO, ONE_THREE]) == [4, [16, 48]]
    assert agree(graph, [np.int32(9), ONE_THREE]) == [9, [1, 3]]


def test_what_a_loop_carries_may_grow_and_what_follows_too():
    graph = counting_loop(3, lambda b, x: [b.concatenation([x, np.float32([7])], 0)], pair())
    graph.outputs = append(graph, "RELU", [graph.outputs[1]], [pair()])
    runs = [[np.int32(start), -ONE_THREE] for start in (2, 3, 0)]
    assert agree(graph, *runs) == [[0, 0, 7, 7, 7]]


def test_a_loop_in_a_loop():
    inputs = [SCALAR, SCALAR]
    inner = graph_of(lambda b, i, total: less(b, i, 3), *inputs, name="inner condition")
    add = graph_of(lambda b, i, t: [b.add(i, np.int32(1)), b.add(t, i)], *inputs, name="inner body")
    outer = graph_of(lambda b, i, total: less(b, total, 10), *inputs, name="outer condition")
    body = graph_of(lambda b, i, total: [i, total], *inputs, name="outer body")
    numbers = {"cond_subgraph_index": 3, "body_subgraph_index": 4}
    body.outputs = [body.inputs[0], append(body, "WHILE", list(body.inputs), inputs, numbers)[1]]
    assert agree(calling("WHILE", inputs, inputs, [outer, body, inner, add]), [ZERO, ZERO]) == [0, 12]


def test_branches_of_different_shapes():
    then = graph_of(lambda b, x: b.add(x, x), pair(), name="then")
    otherwise = graph_of(lambda b, x: b.concatenation([x, x], 0), pair(), name="else")
    graph = calling("IF", [CONDITION, pair()], [pair()], [then, otherwise])
    for condition, expected in ((True, [2, 6]), (False, [1, 3, 1, 3])):
        assert agree(graph, [np.bool_(condition), ONE_THREE]) == [expected]


def swapping(rounds):
    """WHILE over (counter, x, y) whose body passes x and y on in the other order."""
    return counting_loop(rounds, lambda b, x, y: [y, x], pair(), pair())


def test_a_loop_that_swaps_as_intended_and_as_tensorflow_lite_computes_it():
    inputs = ZERO, ONE_THREE, 10 * ONE_THREE
    assert agree(swapping(3), inputs) == [3, [10, 30], [1, 3]]
    assert agree(swapping(3), inputs, numerics=REPRODUCED) == [3, [10, 30], [10, 30]]
    fibonacci = counting_loop(5, lambda b, x, y: [y, b.add(x, y)], pair(), pair())
    for numerics in (INTENDED, REPRODUCED):
        assert agree(fibonacci, [ZERO, 0 * ONE_THREE, ONE_THREE], numerics=numerics)[2] == [8, 24]


def test_random_bodies_that_pass_inputs_on():
    rng = np.random.default_rng(3)
    for _ in range(12):
        order = rng.integers(0, 4, 4)

        def shuffled(b, *values, order=order):
            return [values[i] if i < 3 else b.add(values[k], values[0]) for k, i in enumerate(order)]

        graph = counting_loop(int(rng.integers(1, 4)), shuffled, *[pair()] * 4)
        inputs = [ZERO, *(rng.normal(size=2).astype(np.float32) for _ in range(4))]
        for numerics in (INTENDED, REPRODUCED):
            agree(graph, inputs, numerics=numerics)


# --- what lasts ---------------------------------------------------------------------------------------


def test_a_variable_that_is_initialized_once():
    graph = initialized_variable(np.array([10, 20], np.float32))
    assert agree(graph, *[[ONE_THREE]] * 3) == [[13, 29]]


def lstm(name, steps=1):
    """LSTM of two cells on x [steps, 1, 2], and the numbers of its two states."""
    rng = np.random.default_rng(7)
    graph = graph_of(lambda b, x: x, ((steps, 1, 2), "FLOAT32"), name=name)
    w = [rng.normal(size=(2, 2)).astype(np.float32) for _ in range(8)]
    bias = [rng.normal(size=2).astype(np.float32) for _ in range(4)]

    def constant(data):
        return graph.add_tensor(Tensor(f"{name}/{len(graph.tensors)}", data.shape, data=data))

    states = [graph.add_tensor(Tensor(f"{name}/{n}", (1, 2), is_variable=True)) for n in ("output", "cell")]
    operands = [graph.inputs[0], *map(constant, w), -1, -1, -1, *map(constant, bias), -1, -1, *states]
    options = {"fused_activation_function": "TANH", "time_major": True}
    (y,) = append(
        graph, "UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, *[-1] * 4], [((steps, 1, 2), "FLOAT32")], options
    )
    graph.outputs = [y]
    graph.validate()
    return graph, states


def test_states_last_from_run_to_run():
    graph, states = lstm("main", steps=2)
    runs = [[np.full((2, 1, 2), x, np.float32)] for x in (0.5, -1, 0.25)]
    scalar, ours = ScalarInterpreter(graph), ptq.Interpreter(graph=graph, numerics=INTENDED)
    results = []
    for inputs in (*runs, runs[0]):
        results += scalar.run(inputs)
        assert_same_bits(results[-1], ours.run(inputs)[0])
        for state in states:
            assert_same_bits(scalar.get_tensor(state), ours.get_tensor(state), state)
    assert not np.array_equal(results[0], results[-1])


def test_states_in_a_loop_last_for_the_loop():
    inputs = [SCALAR, ((1, 1, 2), "FLOAT32")]
    condition = graph_of(lambda b, i, x: less(b, i, 3), *inputs, name="condition")
    body, _ = lstm("body")
    counter = body.add_tensor(Tensor("counter", *SCALAR))
    one = body.add_tensor(Tensor("one", *SCALAR, np.array(1, np.int32)))
    body.inputs.insert(0, counter)
    body.outputs[:0] = append(body, "ADD", [counter, one], [SCALAR])
    graph = calling("WHILE", inputs, inputs, [condition, body])
    x = np.array([[[1, 3]]], np.float32)
    assert agree(graph, [ZERO, x]) == agree(graph, [ZERO, x], [ZERO, x])


@pytest.mark.parametrize(("type", "start"), [("INT8", -7), ("INT16", 0), ("FLOAT32", 0)])
def test_only_an_int8_state_starts_at_its_zero_point(type, start):
    quantization = ptq.Quantization(np.float32([0.5]), np.array([-7])) if type != "FLOAT32" else None
    graph = graph_of(lambda b, x: x, pair())
    state = graph.add_tensor(Tensor("state", (2,), type, None, quantization, True))
    graph.outputs = append(graph, "RESHAPE", [state], [((2,), type)], {"new_shape": [2]})
    assert agree(graph, [ONE_THREE]) == [[start, start]]


# --- networks -----------------------------------------------------------------------------------------


def network():
    """A float network: convolutions, a pool, a branch that is added, PAD, CONCATENATION, SOFTMAX."""
    rng = np.random.default_rng(5)

    def normal(*shape):
        return (rng.normal(size=shape) * 0.4).astype(np.float32)

    b = ptq.Builder("network")
    x = b.input("x", (1, 8, 8, 2))
    y = b.pad(x, [[0, 0], [1, 1], [1, 0], [0, 0]])
    y = b.conv2d(y, normal(4, 3, 3, 2), normal(4), padding="VALID", activation="RELU")
    z = b.depthwise_conv2d(y, normal(1, 3, 3, 4), normal(4), activation="RELU6")
    y = b.concatenation([b.add(y, z), z], 3)
    y = b.max_pool2d(y, 2, 2)
    y = b.fully_connected(b.reshape(y, (1, -1)), normal(5, 96), normal(5))
    return b.finish(b.softmax(y))


def images(count):
    rng = np.random.default_rng(6)
    return [[rng.normal(size=(1, 8, 8, 2)).astype(np.float32)] for _ in range(count)]


def converted():
    """The network with integers, as the converter makes it."""
    converter = ptq.Converter.from_graph(network())
    converter.post_training_quantize = True
    converter.representative_dataset = lambda: images(4)
    return ptq.load(converter.convert())


@pytest.mark.parametrize("numerics", ptq.numerics.PRESETS.values(), ids=lambda preset: preset.name)
def test_a_quantized_network(numerics):
    graph = converted()
    layers = {
        "PAD",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "CONCATENATION",
        "MAX_POOL_2D",
        "RESHAPE",
        "SOFTMAX",
    }
    assert {op.type for op in graph.operators} >= {*layers, "QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"}
    agree(graph, *images(2), numerics=numerics)


def test_a_float_network():
    agree(network(), *images(1))


def test_a_mistake_changes_a_whole_network():
    graph, inputs = converted(), images(1)[0]
    (right,), (wrong,) = (
        ScalarInterpreter(graph, kind(INTENDED)).run(inputs) for kind in (Rules, NoInputZeroPoint)
    )
    assert not np.array_equal(right, wrong)


# --- refusals -----------------------------------------------------------------------------------------


def test_a_variable_that_nothing_assigned():
    graph = initialized_variable(np.array([10, 20], np.float32))
    del graph.operators[0]
    with pytest.raises(GraphError, match="variable 0 is read before anything is assigned"):
        ScalarInterpreter(graph).run([ONE_THREE])


def test_a_tensor_that_nothing_writes():
    graph = graph_of(lambda b, x: b.relu(x), pair())
    graph.operators[0].inputs[0] = graph.add_tensor(Tensor("lost", (2,)))
    with pytest.raises(GraphError, match="nothing writes it"):
        ScalarInterpreter(graph).run([ONE_THREE])


def test_a_loop_without_end(monkeypatch):
    monkeypatch.setattr(model, "MOST_ROUNDS", 5)
    graph = counting_loop(7, lambda b, x: [b.relu(x)], pair())
    with pytest.raises(GraphError, match="expected a loop that ends"):
        ScalarInterpreter(graph).run([ZERO, ONE_THREE])


def test_a_condition_of_several_elements():
    then = graph_of(lambda b, x: b.relu(x), pair(), name="then")
    graph = calling("IF", [((2,), "BOOL"), pair()], [pair()], [then, then])
    with pytest.raises(GraphError, match="expected one bool"):
        ScalarInterpreter(graph).run([np.array([True, False]), ONE_THREE])


def test_inputs_that_do_not_fit():
    graph = graph_of(lambda b, x: b.relu(x), pair())
    with pytest.raises(InputError, match="expected"):
        ScalarInterpreter(graph).run([np.zeros(2, np.int8)])
    with pytest.raises(InputError, match="tensor 1 of subgraph 0 has no value"):
        ScalarInterpreter(graph).get_tensor(1)
