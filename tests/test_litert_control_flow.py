"""WHILE, IF, CALL_ONCE, resource variables and states against LiteRT's reference kernels, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from configurations import pick, reals, shape_of
from control_flow import (
    CONDITION,
    accumulator,
    calling,
    counting_loop,
    graph_of,
    initialized_variable,
    looping_accumulator,
    pair,
)
from litert import assert_same_bits, litert_interpreter, run_litert

import ptq
from ptq.errors import UnsupportedError

pytestmark = pytest.mark.peers

REPRODUCED = replace(ptq.LITERT_REFERENCE_ORDERED, upstream_defects="reproduce")
COUNT = 250


def compare(graph, inputs, context, numerics=ptq.LITERT_REFERENCE_ORDERED):
    found = ptq.Interpreter(graph=graph, numerics=numerics).run(inputs)
    for i, (a, b) in enumerate(zip(found, run_litert(graph, inputs), strict=True)):
        assert_same_bits(a, b, (context, i))


def step(rng, b, values, grow):
    """New values of the same shapes, or larger ones, that are computed from the old."""
    results = []
    for x in values:
        same = [x] if grow else [v for v in values if v.shape == x.shape]
        kind = rng.integers(6)
        if grow and x.shape and kind == 0:
            results.append(b.concatenation([x, x], int(rng.integers(len(x.shape)))))
        elif kind == 1:
            results.append(x)
        elif kind == 2:
            results.append(b.mul(x, np.float32(rng.normal())))
        elif kind == 3:
            results.append(b.relu(pick(rng, *same)))
        elif kind == 4 and not grow:
            results.append(b.reshape(pick(rng, *same), x.shape))
        else:
            results.append(b.add(x, pick(rng, *same)))
    return results


@pytest.mark.parametrize("grow", [False, True])
def test_random_loops(grow):
    rng = np.random.default_rng(grow)
    for number in range(COUNT):
        shapes = [shape_of(rng, rng.integers(0, 4), 3) for _ in range(rng.integers(1, 3))]
        shapes += [pick(rng, *shapes)]
        carried = [(shape, "FLOAT32") for shape in shapes]
        rounds = int(rng.integers(5))
        graph = counting_loop(rounds, lambda b, *values: step(rng, b, values, grow), *carried)
        inputs = [np.int32(rng.integers(-1, 3)), *(reals(rng, shape) for shape in shapes)]
        compare(graph, inputs, number)


def test_random_branches():
    rng = np.random.default_rng(2)
    for number in range(COUNT):
        shapes = [shape_of(rng, rng.integers(0, 4), 3) for _ in range(rng.integers(1, 4))]
        given = [(shape, "FLOAT32") for shape in shapes]
        grow = bool(rng.integers(2))
        branches = [
            graph_of(lambda b, *values, grow=grow: step(rng, b, values, grow), *given, name=name)
            for name in ("then", "else")
        ]
        graph = calling("IF", [CONDITION, *given], given, branches)
        for condition in (True, False):
            compare(graph, [np.bool_(condition), *(reals(rng, shape) for shape in shapes)], number)


def test_a_body_that_passes_inputs_on_goes_wrong_in_the_same_way():
    rng = np.random.default_rng(3)
    differing = 0
    for number in range(COUNT):
        order = rng.integers(0, 4, 4)

        def shuffled(b, *values, order=order):
            return [values[i] if i < 3 else b.add(values[k], values[0]) for k, i in enumerate(order)]

        graph = counting_loop(int(rng.integers(1, 4)), shuffled, *[pair()] * 4)
        inputs = [np.int32(0), *(reals(rng, (2,), odd=0) for _ in range(4))]
        compare(graph, inputs, number, REPRODUCED)
        try:
            compare(graph, inputs, number)
        except UnsupportedError:
            differing += 1
    assert COUNT // 2 < differing < COUNT  # some orders are harmless


def test_the_remedies_that_the_refusals_name():
    swap = counting_loop(3, lambda b, x, y: [b.reshape(y, (2,)), b.reshape(x, (2,))], pair(), pair())
    a, b = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
    compare(swap, [np.int32(0), a, b], "WHILE")

    def twice(b, x):
        result = b.relu(x)
        return [result, b.reshape(result, (2,))]

    branch = graph_of(twice, pair(), name="both")
    compare(calling("IF", [CONDITION, pair()], [pair()] * 2, [branch] * 2), [np.bool_(True), a], "IF")


def test_resource_variables():
    graph = initialized_variable(np.array([10, 20], np.float32))
    ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
    for number in range(4):
        for runtime in (ours, theirs):
            runtime.allocate_tensors()
            if number == 2:
                runtime.reset_all_variables()
            runtime.set_tensor(graph.inputs[0], np.array([1, number], np.float32))
            runtime.invoke()
        found, expected = (runtime.get_tensor(graph.outputs[0]) for runtime in (ours, theirs))
        assert_same_bits(found, expected, number)


def test_states_last_and_are_reset_as_in_litert():
    graph, state = accumulator()
    ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
    ours.allocate_tensors()
    rng = np.random.default_rng(4)
    actions = (
        lambda runtime: runtime.invoke(),
        lambda runtime: runtime.reset_all_variables(),
        lambda runtime: runtime.allocate_tensors(),
        lambda runtime: runtime.resize_tensor_input(graph.inputs[0], (1, 2)),
        lambda runtime: runtime.resize_tensor_input(graph.inputs[0], (5, 2)),
        lambda runtime: runtime.set_tensor(state, np.full((1, 2), 3, np.float32)),
    )
    for number in range(COUNT):
        action = actions[rng.choice(len(actions), p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1])]
        for runtime in (ours, theirs):
            action(runtime)
            runtime.resize_tensor_input(graph.inputs[0], (1, 2))
            runtime.allocate_tensors()
            runtime.set_tensor(graph.inputs[0], np.full((1, 2), number, np.float32))
            runtime.invoke()
        for index in (state, graph.outputs[0]):
            assert_same_bits(ours.get_tensor(index), theirs.get_tensor(index), number)


def test_states_in_a_loop_are_reset_as_in_litert():
    graph, state = looping_accumulator(rounds=4)
    ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
    for _ in range(3):
        for runtime in (ours, theirs):
            runtime.allocate_tensors()
            runtime.set_tensor(graph.inputs[0], np.array(0, np.int32))
            runtime.set_tensor(graph.inputs[1], np.ones((1, 2), np.float32))
            runtime.invoke()
        assert_same_bits(ours.get_tensor(graph.outputs[1]), theirs.get_tensor(graph.outputs[1]))
        assert_same_bits(ours.get_tensor(state, 2), theirs.get_tensor(state, 2))
