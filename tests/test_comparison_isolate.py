"""An operator by itself: what it is fed, with which operators, in which state, and when it is refused."""

import numpy as np
import pytest
from comparison_graphs import EVERY, add_conv, conv, model, scales
from control_flow import initialized_variable, looping_accumulator
from quantizable import CASES

from ptq.arrays import random_inputs
from ptq.build import Builder
from ptq.compare import compare
from ptq.comparison.isolate import NotIsolated, cut_out, isolate
from ptq.comparison.match import find_steps, match
from ptq.comparison.trace import in_terms_of, inputs_of, run_traced
from ptq.comparison.twin import float_twin
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.graph import Tensor
from ptq.numerics import LITERT_REFERENCE, PORTABLE, SINGLE_ROUNDING


def chain(first=1 / 4):
    graph = model(1.0, EVERY.shape)
    middle = add_conv(graph, 0, "first", [[1]], first, 1.0)
    graph.outputs = [add_conv(graph, middle, "second", [[1]], 1 / 4, 1.0)]
    return graph


def test_an_operator_gets_the_other_run_s_integers():
    a = run_traced(chain(), PORTABLE, [EVERY])
    b = run_traced(chain(), SINGLE_ROUNDING, [EVERY])
    pairs = match(find_steps(a.graph)[0], find_steps(b.graph)[0])
    counterparts = {0: 0, **{y.tensor: x.tensor for x, y in pairs}}
    isolated = isolate(pairs[1], a, b, counterparts, find_steps(b.graph)[1])
    (given,) = isolated.inputs
    first, second = (step.tensor for step, _ in pairs)
    assert given.tobytes() == a.values[first].tobytes() != b.values[first].tobytes()
    alone = isolated.result(SINGLE_ROUNDING, second)
    # (x + 2) >> 2 of a's values is what one rounding makes of a quarter
    assert alone.tobytes() == ((a.values[first].astype(int) + 2) >> 2).astype(np.int8).tobytes()
    assert alone.tobytes() != b.values[second].tobytes()
    assert isolated.result(PORTABLE, second).tobytes() == a.values[second].tobytes()


def test_what_has_no_counterpart_is_run_along():
    b = Builder("float")
    x = b.input("x", (1, 8))
    float_graph = b.finish(b.relu(x, name="y"))
    converter = Converter.from_graph(float_graph)
    sample = np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8)
    converter.representative_dataset = [[sample]]
    integers = converter.convert_to_graph()
    assert [o.type for o in integers.operators] == ["QUANTIZE", "RELU", "DEQUANTIZE"]
    (row,) = compare(float_graph, integers, [sample]).rows
    assert (row.a.type, row.b.type, row.together) == ("RELU", "RELU", 2)


def test_a_segment_has_the_constants_and_the_shapes_of_the_run():
    graph = conv([[1]], 1.0, 1.0)
    segment = cut_out(graph, 0, {0})
    assert segment.positions == (0,) and segment.fed == [0] and not segment.states
    assert [t.name for t in segment.graph.tensors] == ["x", "y/filter", "y/bias", "y"]
    segment.graph.validate()
    with pytest.raises(NotIsolated, match="depends on 'x', which has no counterpart"):
        cut_out(graph, 0, set())


@pytest.mark.parametrize("name", ["lstm_step", "lstm_sequence", "svdf", "sequence_rnn"])
def test_a_state_is_what_it_was_before_the_operator(name):
    graph = Converter.from_graph(CASES[name]()).convert_to_graph()
    inputs = random_inputs(graph, 0)
    trace = run_traced(graph, LITERT_REFERENCE, inputs)
    steps, constant, _ = find_steps(graph)
    step = next(
        s for s in steps if any(graph.tensors[i].is_variable for i in graph.operators[s.operator].inputs)
    )
    same = {i: i for i in range(len(graph.tensors))}
    isolated = isolate((step, step), trace, trace, same, constant)
    assert isolated.states and all(not state.any() for state in isolated.states.values())
    assert isolated.result(LITERT_REFERENCE, step.tensor).tobytes() == trace.values[step.tensor].tobytes()


def test_a_state_without_a_counterpart_is_a_reason():
    graph = Converter.from_graph(CASES["svdf"]()).convert_to_graph()
    other = graph.copy()
    position = next(i for i, o in enumerate(other.operators) if o.type == "SVDF")
    other.operators[position].type = "CUSTOM"  # as if a had something else there
    trace = run_traced(graph, LITERT_REFERENCE, random_inputs(graph, 0))
    other_trace = run_traced(graph, LITERT_REFERENCE, random_inputs(graph, 0))
    other_trace.graph = other
    step = next(s for s in find_steps(graph)[0] if s.operator == position)
    fake = next(s for s in find_steps(other)[0] if s.operator == position)
    with pytest.raises(NotIsolated, match=r"its state '.*' has no counterpart"):
        isolate((fake, step), other_trace, trace, {i: i for i in range(20)}, find_steps(graph)[1])


def test_loops_are_isolated_as_a_whole():
    graph, _ = looping_accumulator(3)
    inputs = [np.array(0, np.int32), np.array([[1, 2]], np.float32)]
    wrong = graph.copy()
    body = wrong.subgraphs[1]
    weights = next(t for t in body.tensors if t.name == "body/recurrent")
    weights.data = 2 * weights.data
    same, other = (compare(graph, g, inputs).rows for g in (graph, wrong))
    assert [row.kind for row in same] == ["identical", "identical"]
    # a counter, and a sum that has become another one
    assert [row.kind for row in other] == ["identical", "other"]
    assert other[1].isolated.verdict.brief == "other: not the same operator; its subgraphs differ from a's"
    assert all(row.obstacle == "" for row in other)


def test_resource_variables_are_a_reason():
    graph = initialized_variable(np.array([1, 2], np.float32))
    other = graph.copy()
    other.subgraphs[0].tensors[1].data = np.array([1, 3], np.float32)
    found = compare(graph, other, [np.ones(2, np.float32)])
    by_type = {row.a.type: row for row in found.rows}
    assert by_type["READ_VARIABLE"].isolated is None
    assert by_type["READ_VARIABLE"].obstacle.startswith("READ_VARIABLE uses resource variables")
    assert by_type["ADD"].kind == "identical" and not by_type["ADD"].identical
    assert "Not isolated: 2 outputs, the first of 1 VAR_HANDLE" in " ".join(str(found).split())


# --- values in other terms ----------------------------------------------------------------------------


def test_values_in_terms_of_other_tensors():
    real, fine, coarse = Tensor("r", (3,)), Tensor("f", (3,), "INT8"), Tensor("c", (3,), "UINT8")
    fine.quantization, coarse.quantization = scales(0.25), scales(0.5, 10)
    values = np.array([1, -3, 100], np.int8)
    assert in_terms_of(values, fine, fine) is values
    assert in_terms_of(values, fine, real).tolist() == [0.25, -0.75, 25.0]
    assert in_terms_of(values, fine, coarse).tolist() == [11, 8, 60]  # 0.5 and -1.5 away from zero
    assert in_terms_of(np.array([99, 0, -99], np.float32), real, fine).tolist() == [127, 0, -128]
    flags = Tensor("b", (3,), "BOOL")
    with pytest.raises(InputError, match="cannot stand for"):
        in_terms_of(np.array([True] * 3), flags, fine)


def test_inputs_that_cannot_be_translated_stay_as_they_are():
    a, b = model(0.5), model(0.25)
    assert inputs_of(b, a, [np.array([[1]], np.int8)])[0].tolist() == [[2]]
    assert inputs_of(b, a, [1, 2]) == [1, 2]


def test_a_float_twin_computes_on_the_reals_of_the_integers():
    graph = conv([[3]], 0.5, 0.125, bias=[4], x_scale=0.25)
    twin = float_twin(graph)
    assert {t.type for t in twin.tensors} == {"FLOAT32"}
    x = (EVERY * 0.25).astype(np.float32)
    (y,) = (run_traced(twin, PORTABLE, [x]).values[i] for i in twin.outputs)
    assert y.tobytes() == (x * 1.5 + np.float32(0.5)).tobytes()  # the bias counts steps of 0.25 * 0.5


def test_a_float_twin_has_no_conversions():
    b = Builder("converting")
    x = b.quantize(b.input("x", (1, 4)), 0.5, name="q")
    graph = b.finish(b.dequantize(x, name="r"))
    twin = float_twin(graph)
    assert twin.operators == [] and twin.outputs == twin.inputs
    sample = np.array([[0.3, 1, 2, 3]], np.float32)
    assert compare(twin, graph, [sample]).only_b[0].name == "q"
