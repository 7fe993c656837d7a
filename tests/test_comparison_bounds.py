"""Derived bounds: they hold, they are not idle, and constants agree to half a step or not at all."""

import numpy as np
import pytest
from comparison_graphs import EVERY, conv

from ptq.build import Builder
from ptq.comparison.alone import deviation, parts, real_results, run_float
from ptq.comparison.bounds import Constant, constants_of, disagreement, float_bound
from ptq.comparison.match import find_steps
from ptq.comparison.trace import run_traced
from ptq.converter import Converter
from ptq.numerics import LITERT_REFERENCE, LITERT_REFERENCE_ORDERED, PORTABLE


def dense(features=257, outputs=16, seed=0, activation="NONE"):
    rng = np.random.default_rng(seed)
    b = Builder("dense")
    x = b.input("x", (3, features))
    w, bias = rng.normal(size=(outputs, features)), rng.normal(size=outputs)
    graph = b.finish(b.fully_connected(x, w, bias, activation=activation, name="y"))
    return Converter.from_graph(graph).convert_to_graph(), rng.normal(size=(3, features)).astype(np.float32)


def product(graph, x):
    """|x| |w| + |b| in float64."""
    w, bias = (np.abs(t.data.astype(np.float64)) for t in graph.tensors if t.data is not None)
    return np.abs(x.astype(np.float64)) @ w.T + bias


def traces(graph, other, x):
    return run_traced(graph, LITERT_REFERENCE, [x]), run_traced(other, LITERT_REFERENCE_ORDERED, [x])


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_the_bound_of_float_sums_is_the_formula(activation):
    graph, x = dense(activation=activation)
    bound = float_bound(*sum(((t, 0) for t in traces(graph, graph, x)), ()))
    assert bound.terms == 258
    formula = 258 * 2.0**-23 * product(graph, x)
    assert np.all(bound.largest >= formula * (1 - 1e-5)) and np.all(bound.largest <= formula * (1 + 1e-3))


def test_the_bound_of_other_weights_is_what_they_can_move():
    graph, x = dense(activation="RELU")
    other = graph.copy()
    weights = next(t for t in other.tensors if t.data is not None and t.data.ndim == 2)
    weights.data = weights.data + np.float32(0.01)
    a, b = traces(graph, other, x)
    bound = float_bound(a, 0, b, 0)
    expected = 0.01 * np.abs(x).sum(axis=1, keepdims=True)
    assert bound.largest == pytest.approx(np.broadcast_to(expected, bound.largest.shape), rel=0.01)
    moved = np.abs(a.values[graph.outputs[0]] - b.values[graph.outputs[0]])
    assert moved.max() > 0 and np.all(moved <= bound.largest)


def test_the_bound_of_hybrid_kernels_holds_for_many_inputs():
    for seed in range(20):
        graph, x = dense(outputs=40, seed=seed)
        converter = Converter(graph)
        converter.post_training_quantize = True
        hybrid = converter.convert_to_graph()
        a, b = traces(graph, hybrid, x)
        bound = float_bound(a, 0, b, 0)
        error = np.abs(a.values[graph.outputs[0]] - b.values[hybrid.outputs[0]])
        assert np.all(error <= bound.largest) and error.max() > 1e-3 * bound.largest.max()


def test_operators_that_add_no_products_have_no_bound():
    b = Builder("tanh")
    graph = b.finish(b.tanh(b.input("x", (1, 4)), name="y"))
    trace = run_traced(graph, PORTABLE, [np.ones((1, 4), np.float32)])
    assert float_bound(trace, 0, trace, 0) is None


# --- constants ----------------------------------------------------------------------------------------


def constant(values, half=0.0, name="w"):
    reals = np.asarray(values, np.float64)
    return Constant(name, reals, np.broadcast_to(half, reals.shape))


def test_constants_agree_to_half_a_step_of_each():
    assert disagreement([constant([1.0])], [constant([1.25], 0.25)]) is None
    assert disagreement([constant([1.0], 0.1)], [constant([1.35], 0.25)]) is None
    assert disagreement([constant([1.0])], [constant([1.26], 0.25)]) == (
        "'w' differs from a's by up to 0.26, more than half a step"
    )
    assert disagreement([constant([1.0])], [constant([np.nan])]) is not None
    # numbers that were never rounded have to be the same
    assert disagreement([constant([1.0])], [constant([1.0 + 1e-9])]) is not None


def test_constants_of_other_shapes_or_numbers_do_not_agree():
    assert "shape (2,), (1,) in a" in disagreement([constant([1.0])], [constant([1.0, 2.0])])
    assert disagreement([], [constant([1.0])]) == "1 constants, 0 in a"


def test_the_half_step_of_a_constant_is_that_of_its_channel():
    graph = conv([[1], [2]], [0.5, 0.25], 1.0)
    trace = run_traced(graph, PORTABLE, [EVERY])
    weights, bias = constants_of(trace, [0], find_steps(graph)[1])
    assert weights.half_step.ravel().tolist() == [0.25, 0.125]
    assert weights.reals.ravel().tolist() == [0.5, 0.5]
    assert bias.half_step.tolist() == [0.25, 0.125]


def test_a_float16_constant_is_close_in_proportion():
    graph, x = dense()
    converter = Converter(graph)
    converter.float16 = True
    half = converter.convert_to_graph()
    trace = run_traced(half, PORTABLE, [x])
    constant = find_steps(half)[1]
    last = len(half.operators) - 1
    found = constants_of(trace, [last], constant)
    assert np.array_equal(found[0].half_step, 2.0**-11 * np.abs(found[0].reals) + 2.0**-25)
    of_a = constants_of(run_traced(graph, PORTABLE, [x]), [0], find_steps(graph)[1])
    assert disagreement(of_a, found) is None


# --- the float kernel on the reals of integers ---------------------------------------------------------


def test_an_integer_kernel_is_within_a_step_of_the_float_one():
    graph = conv([[1]], 0.25, 1.0)
    trace = run_traced(graph, PORTABLE, [EVERY])
    (reals,) = real_results(trace, 0)
    assert reals.tobytes() == (EVERY / np.float32(4)).astype(np.float32).tobytes()
    assert deviation(trace, 0) == 0
    wrong = trace.values[graph.outputs[0]].copy()
    wrong[0, 0, 0, 0] += 3  # 128 / 4 = 32 exactly
    trace.values[graph.outputs[0]] = wrong
    assert deviation(trace, 0) == 3


def test_an_operator_that_cannot_be_run_in_float_has_no_result():
    graph = conv([[1]], 0.25, 1.0)
    trace = run_traced(graph, PORTABLE, [EVERY])
    assert run_float(trace, 0, [np.zeros((2, 2), np.float32), *trace.read[0][1:]]) is None


def test_the_parts_of_inputs_and_constants_are_told_apart():
    a, b = conv([[4]], 0.25, 1.0), conv([[6]], 0.25, 1.0)  # y = x and y = 1.5 x
    small = (EVERY // 2).astype(np.int8)
    x_a, x_b = run_traced(a, PORTABLE, [small]), run_traced(b, PORTABLE, [small + np.int8(1)])
    wanted = small.astype(np.float64)
    inputs, constants = parts(x_a, 0, x_b, 0, find_steps(a)[1], wanted)
    assert (inputs, constants) == (1.0, 32.0)
