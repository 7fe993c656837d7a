"""Graphs that run other graphs, and what lasts from one invocation to the next."""

from dataclasses import replace

import numpy as np
import pytest
from control_flow import (
    CONDITION,
    SCALAR,
    accumulator,
    append,
    calling,
    counting_loop,
    graph_of,
    initialized_variable,
    less,
    looping_accumulator,
    pair,
)

import ptq
from ptq.errors import GraphError, InputError, ShapeError, UnsupportedError
from ptq.executor import Program
from ptq.graph import Operator, Quantization, Tensor
from ptq.kernels.call import Call
from ptq.kernels.control import if_else, while_loop, while_loop_in_place

ZERO = np.int32(0)
INTENDED = replace(ptq.LITERT_REFERENCE, upstream_defects="intended")
REPRODUCED = replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")


def run(graph, *inputs, numerics=ptq.LITERT_REFERENCE):
    return [y.tolist() for y in ptq.Interpreter(graph=graph, numerics=numerics).run(inputs)]


# --- the plain functions ----------------------------------------------------------------------------


def test_a_loop_runs_its_body_on_its_own_results():
    def condition(values):
        return [values[0] < 5]

    def body(values):
        return [values[0] + 1, np.append(values[1], values[0])]

    count, collected = while_loop(condition, body, [np.array(2), np.zeros(0)])
    assert (count, collected.tolist()) == (5, [2, 3, 4])
    count, collected = while_loop(condition, body, [np.array(7), np.zeros(0)])
    assert (count, collected.tolist()) == (7, [])


def test_a_swap_in_place_reads_what_it_has_overwritten():
    def condition(values):
        return [values[0] < 3]

    def body(values):
        return [values[0] + 1, values[2], values[1]]

    values = [np.array(0), np.array(10), np.array(20)]
    assert [int(v) for v in while_loop(condition, body, values)] == [3, 20, 10]
    # round 1: a = b = 20, then b = a, which is 20 already
    assert [int(v) for v in while_loop_in_place(condition, body, values, {1: 2, 2: 1})] == [3, 20, 20]


def test_the_condition_of_a_swap_in_place_sees_what_was_meant():
    seen = []

    def condition(values):
        seen.append([int(v) for v in values])
        return [np.array(len(seen) < 3)]

    while_loop_in_place(condition, lambda v: [v[0] + v[1], v[0]], [np.array(1), np.array(2)], {1: 0})
    # the second round computes from (3, 3), the third from (6, 6)
    assert seen == [[1, 2], [3, 1], [6, 3]]


def test_a_branch_is_chosen_by_one_bool_of_any_rank():
    def negative(values):
        return [-values[0]]

    x = [np.array(3)]
    assert if_else(np.array(True), negative, list, x) == [-3]
    assert if_else(np.array([[False]]), negative, list, x) == [3]


@pytest.mark.parametrize(
    "condition", [np.array(1), np.array([True, False]), np.zeros(0, bool), np.array([[True]])]
)
def test_a_loop_needs_one_bool(condition):
    with pytest.raises(GraphError, match=r"condition of dtype .* found, expected one bool"):
        while_loop(lambda values: [condition], list, [])


# --- models -----------------------------------------------------------------------------------------


def test_while():
    graph = counting_loop(4, lambda b, x: [b.mul(x, np.float32(2))], pair())
    assert run(graph, ZERO, np.array([1, 3], np.float32)) == [4, [16, 48]]
    assert run(graph, np.int32(9), np.array([1, 3], np.float32)) == [9, [1, 3]]


def test_a_carried_tensor_may_grow():
    graph = counting_loop(3, lambda b, x: [b.concatenation([x, np.float32([7])], 0)], pair())
    interpreter = ptq.Interpreter(graph=graph)
    x = np.array([1, 3], np.float32)
    for start, grown in ((0, [1, 3, 7, 7, 7]), (2, [1, 3, 7]), (3, [1, 3]), (1, [1, 3, 7, 7])):
        _, result = interpreter.run([np.int32(start), x])
        assert result.tolist() == grown
        assert interpreter.get_output_details()[1]["shape"].tolist() == [len(grown)]


def test_what_follows_a_loop_of_unknown_shape_is_inferred_when_it_runs():
    graph = counting_loop(3, lambda b, x: [b.concatenation([x, np.float32([7])], 0)], pair())
    outputs = append(graph, "RELU", [graph.outputs[1]], [pair()])
    graph.outputs = outputs
    assert run(graph, ZERO, np.array([-1, 3], np.float32)) == [[0, 3, 7, 7, 7]]


def test_a_shape_that_depends_on_an_input_is_known_after_each_run():
    def filled(b, sizes):
        return b.op("FILL", [sizes, np.float32(7)], output_shape=(1, 1), output_type="FLOAT32")

    graph = graph_of(lambda b, sizes: b.relu(filled(b, sizes)), ((2,), "INT32"))
    interpreter = ptq.Interpreter(graph=graph)
    for shape in ((2, 3), (1, 0), (4, 1)):
        (result,) = interpreter.run([np.array(shape, np.int32)])
        assert result.shape == shape
        assert interpreter.get_output_details()[0]["shape"].tolist() == list(shape)
        between = interpreter.get_tensor_details()[graph.operators[0].outputs[0]]
        assert between["shape"].tolist() == list(shape)
    with pytest.raises(GraphError, match="at most 2147483648 bytes"):
        interpreter.run([np.array([2**20, 2**20], np.int32)])


def test_the_shape_after_a_loop_follows_the_input_before_anything_runs():
    graph = counting_loop(3, lambda b, x: [b.mul(x, np.float32(2))], ((1, 2), "FLOAT32"))
    graph.outputs = append(graph, "RELU", [graph.outputs[1]], [((1, 2), "FLOAT32")])
    graph.tensors[graph.inputs[1]].shape_signature = (-1, 2)
    interpreter = ptq.Interpreter(graph=graph)
    interpreter.resize_tensor_input(graph.inputs[1], (4, 2))
    interpreter.allocate_tensors()
    assert interpreter.get_output_details()[0]["shape"].tolist() == [4, 2]
    assert interpreter.run([ZERO, np.ones((4, 2), np.float32)])[0].tolist() == [[8, 8]] * 4


def test_a_loop_in_a_loop():
    inputs = [SCALAR, SCALAR]
    inner = graph_of(lambda b, i, total: less(b, i, 3), *inputs, name="inner condition")
    add = graph_of(lambda b, i, t: [b.add(i, np.int32(1)), b.add(t, i)], *inputs, name="inner body")
    outer = graph_of(lambda b, i, total: less(b, total, 10), *inputs, name="outer condition")
    body = graph_of(lambda b, i, total: [i, total], *inputs, name="outer body")
    numbers = {"cond_subgraph_index": 3, "body_subgraph_index": 4}
    body.outputs = [body.inputs[0], append(body, "WHILE", list(body.inputs), inputs, numbers)[1]]
    graph = calling("WHILE", inputs, inputs, [outer, body, inner, add])
    # each round adds 0 + 1 + 2, until 12 is reached
    assert run(graph, ZERO, ZERO) == [0, 12]


def test_if_with_branches_of_different_shapes():
    then = graph_of(lambda b, x: b.add(x, x), pair(), name="then")
    otherwise = graph_of(lambda b, x: b.concatenation([x, x], 0), pair(), name="else")
    interpreter = ptq.Interpreter(graph=calling("IF", [CONDITION, pair()], [pair()], [then, otherwise]))
    x = np.array([1, 3], np.float32)
    for condition, expected in ((True, [2, 6]), (False, [1, 3, 1, 3]), (True, [2, 6])):
        assert interpreter.run([np.bool_(condition), x])[0].tolist() == expected
        assert interpreter.get_output_details()[0]["shape"].tolist() == [len(expected)]


def test_a_tensor_of_a_subgraph_is_readable_and_hooks_see_its_operators():
    interpreter = ptq.Interpreter(graph=counting_loop(3, lambda b, x: [b.mul(x, np.float32(2))], pair()))
    main, inside = [], []
    interpreter.add_hook(lambda position, operator, _, outputs: main.append((position, operator.type)))
    interpreter.add_hook(lambda position, *_: inside.append(position), subgraph_index=2)
    interpreter.run([ZERO, np.array([1, 3], np.float32)])
    assert main == [(0, "WHILE")]
    assert inside == [0, 1] * 3
    assert interpreter.num_subgraphs() == 3
    body = interpreter.graph.subgraphs[1]
    assert interpreter.get_tensor(body.inputs[1], 2).tolist() == [4, 12]
    assert interpreter.get_tensor_details(2)[body.inputs[1]]["name"] == body.tensors[body.inputs[1]].name
    for call in (interpreter.get_tensor_details, lambda i: interpreter.get_tensor(0, i)):
        with pytest.raises(InputError, match="subgraph index 3 found, expected 0 to 2"):
            call(3)


def test_call_once_runs_once_and_resource_variables_outlive_a_reset():
    graph = initialized_variable(np.array([10, 20], np.float32))
    interpreter = ptq.Interpreter(model_content=ptq.dumps(graph))
    x = np.array([1, 2], np.float32)
    assert interpreter.run([x])[0].tolist() == [11, 22]
    assert interpreter.run([x])[0].tolist() == [12, 24]
    interpreter.reset_all_variables()
    assert interpreter.run([x])[0].tolist() == [13, 26]
    assert ptq.Interpreter(graph=graph).run([x])[0].tolist() == [11, 22]


@pytest.mark.parametrize(
    "change,error,message",
    [
        (lambda g: g.operators.pop(0), GraphError, "variable 0 is read before anything is assigned"),
        (lambda g: setattr(g.tensors[g.operators[2].outputs[0]], "shape", (3,)), UnsupportedError,
         r"variable of shape \(2,\), output .* of shape \(3,\)"),
        (lambda g: setattr(g.tensors[g.operators[2].outputs[0]], "type", "INT32"), GraphError,
         "variable of float32 found, tensor .* expects INT32"),
        (lambda g: g.operators[2].inputs.__setitem__(0, g.inputs[0]), GraphError,
         "dtype float32 .* expected one variable's handle"),
    ],
)  # fmt: skip
def test_variables_that_do_not_fit(change, error, message):
    graph = initialized_variable(np.array([10, 20], np.float32))
    change(graph)
    with pytest.raises(error, match=message):
        run(graph, np.zeros(2, np.float32))


# --- what TensorFlow Lite gets wrong ----------------------------------------------------------------


def test_a_loop_that_swaps_is_refused_reproduced_or_computed_as_intended():
    graph = counting_loop(3, lambda b, x, y: [y, x], pair(), pair())
    inputs = ZERO, np.array([1, 2], np.float32), np.array([10, 20], np.float32)
    with pytest.raises(UnsupportedError, match="input 1 passed on as output 2 found"):
        run(graph, *inputs)
    assert run(graph, *inputs, numerics=INTENDED) == [3, [10, 20], [1, 2]]
    assert run(graph, *inputs, numerics=REPRODUCED) == [3, [10, 20], [10, 20]]


def test_passing_on_is_right_upwards_and_where_a_value_stays():
    fibonacci = counting_loop(5, lambda b, x, y: [y, b.add(x, y)], pair(), pair())
    one = np.ones(2, np.float32)
    assert run(fibonacci, ZERO, 0 * one, one) == [5, [5, 5], [8, 8]]
    constant = counting_loop(2, lambda b, x, y: [x, x], pair(), pair())
    assert run(constant, ZERO, 3 * one, one) == [2, [3, 3], [3, 3]]


@pytest.mark.parametrize("numerics", [ptq.LITERT_REFERENCE, REPRODUCED])
def test_passing_on_what_grows_is_refused(numerics):
    graph = counting_loop(3, lambda b, x, y: [y, b.concatenation([y, x], 0)], pair(), pair())
    one = np.ones(2, np.float32)
    with pytest.raises(UnsupportedError, match=r"reads freed memory .* input 2, whose shape changes"):
        run(graph, ZERO, one, one, numerics=numerics)
    assert run(graph, ZERO, one, one, numerics=INTENDED) == [3, [1] * 6, [1] * 10]


def test_a_branch_that_returns_a_tensor_twice_is_refused_when_it_is_taken():
    then = graph_of(lambda b, x: [b.relu(x)] * 2, pair(), name="then")
    otherwise = graph_of(lambda b, x: [x, b.relu(x)], pair(), name="else")
    graph = calling("IF", [CONDITION, pair()], [pair(), pair()], [then, otherwise])
    x = np.array([1, 3], np.float32)
    with pytest.raises(UnsupportedError, match="the same tensor of the branch"):
        run(graph, np.bool_(True), x)
    assert run(graph, np.bool_(False), x) == [[1, 3], [1, 3]]
    assert run(graph, np.bool_(True), x, numerics=INTENDED) == [[1, 3], [1, 3]]


# --- refusals ---------------------------------------------------------------------------------------


def loop_with(condition=None, body=None, **options):
    inputs = [SCALAR, pair()]
    condition = condition or graph_of(lambda b, i, x: less(b, i, 3), *inputs, name="condition")
    body = body or graph_of(lambda b, i, x: [b.add(i, np.int32(1)), x], *inputs, name="body")
    return calling("WHILE", inputs, inputs, [condition, body], **options)


@pytest.mark.parametrize(
    "graph,message",
    [
        (loop_with(body_subgraph_index=3), r"operator 0 \(WHILE\): subgraph 3 found, expected 0 to 2"),
        (loop_with(cond_subgraph_index=-1), "subgraph -1 found"),
        (loop_with(body_subgraph_index=0), r"subgraph 0 runs itself \(0 -> 0\)"),
        (loop_with(body=graph_of(lambda b, i, x: [i], SCALAR, pair())),
         "subgraph 2 has 2 inputs and 1 outputs, expected 2 and 2"),
        (loop_with(condition=graph_of(lambda b, i: i, SCALAR)),
         "subgraph 1 has 1 inputs and 1 outputs, expected 2 and 1"),
        (calling("WHILE", [SCALAR], [SCALAR, SCALAR], []), "1 inputs and 2 outputs found, expected as many"),
        (calling("IF", [], [SCALAR], []), "0 inputs and 1 outputs found, expected a condition first"),
        (calling("IF", [CONDITION, SCALAR], [SCALAR], [graph_of(lambda b, i: i, SCALAR)] * 2,
                 else_subgraph_index=0), "subgraph 0 has 2 inputs and 1 outputs, expected 1 and 1"),
        (calling("CALL_ONCE", [SCALAR], [], []), "1 inputs and 0 outputs found, expected none"),
        (calling("CALL_ONCE", [], [], [graph_of(lambda b, i: i, SCALAR)]), "expected 0 and 0"),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit_are_refused_at_once(graph, message):
    with pytest.raises(GraphError, match=message):
        ptq.Interpreter(graph=graph)


def test_subgraphs_that_run_each_other_are_refused():
    then = graph_of(lambda b, c: c, CONDITION, name="then")
    then.outputs = append(then, "IF", [then.inputs[0]] * 2, [CONDITION], {
        "then_subgraph_index": 2, "else_subgraph_index": 2})  # fmt: skip
    otherwise = graph_of(lambda b, c: c, CONDITION, name="else")
    otherwise.outputs = append(otherwise, "IF", [otherwise.inputs[0]] * 2, [CONDITION], {
        "then_subgraph_index": 1, "else_subgraph_index": 1})  # fmt: skip
    graph = calling("IF", [CONDITION, CONDITION], [CONDITION], [then, otherwise])
    with pytest.raises(GraphError, match=r"subgraph 1 runs itself \(0 -> 1 -> 2 -> 1\)"):
        ptq.Interpreter(graph=graph)


def chain(length):
    """Subgraph i runs subgraph i + 1 twice, one after the other; the last returns its input."""
    graphs = []
    for i in range(length):
        graph = graph_of(lambda b, c: c, CONDITION, name=f"level {i}")
        if i < length - 1:
            for _ in range(2):
                numbers = {"then_subgraph_index": i + 1, "else_subgraph_index": i + 1}
                graph.outputs = append(graph, "IF", [graph.outputs[0]] * 2, [CONDITION], numbers)
        graphs.append(graph)
    graphs[0].subgraphs = graphs[1:]
    return graphs[0]


def test_nesting_has_a_limit():
    with pytest.raises(UnsupportedError, match="more than 50 subgraphs run inside one another"):
        ptq.Interpreter(graph=chain(52))
    assert run(chain(5), np.bool_(True)) == [True]


def test_a_loop_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr("ptq.executor.MOST_RUNS", 1000)
    endless = loop_with(body=graph_of(lambda b, i, x: [i, b.add(x, x)], SCALAR, pair(), name="body"))
    with pytest.raises(GraphError, match="subgraphs ran 1000 times in one invocation"):
        run(endless, ZERO, np.zeros(2, np.float32))
    with pytest.raises(GraphError, match="subgraphs ran 1000 times"):  # 2^29 runs
        run(chain(30), np.bool_(True))
    interpreter = ptq.Interpreter(graph=loop_with())
    for _ in range(200):  # the limit is one of each invocation
        interpreter.run([ZERO, np.zeros(2, np.float32)])


@pytest.mark.parametrize(
    "graph,message",
    [
        (loop_with(condition=graph_of(lambda b, i, x: i, SCALAR, pair())), "int32 .* expected one bool"),
        (loop_with(body=graph_of(lambda b, i, x: [i, x], ((), "INT64"), pair())),
         "subgraph 2, input 'main/x0': int32 found, expected int64"),
        (loop_with(body=graph_of(lambda b, i, x: [x, x], SCALAR, pair())), "float32 found, expected int32"),
        (calling("IF", [CONDITION, SCALAR], [pair()], [graph_of(lambda b, i: i, SCALAR)] * 2),
         "output 'main/IF2': int32 found, expected float32"),
        (calling("IF", [SCALAR, SCALAR], [SCALAR], [graph_of(lambda b, i: i, SCALAR)] * 2), "one bool"),
    ],
)  # fmt: skip
def test_types_that_do_not_fit(graph, message):
    inputs = [np.zeros(graph.tensors[i].shape, graph.tensors[i].dtype) for i in graph.inputs]
    with pytest.raises(GraphError, match=message):
        ptq.Interpreter(graph=graph, numerics=INTENDED).run(inputs)


def test_errors_inside_say_where():
    body = graph_of(lambda b, i, x: [b.add(i, np.int32(1)), x], SCALAR, pair(), name="body")
    append(body, "RELU", [body.add_tensor(Tensor("unwritten", (2,)))], [pair()])
    where = r"operator 0 \(WHILE\): subgraph 2, operator 1 \(RELU\) reads tensor 'unwritten'"
    with pytest.raises(GraphError, match=where):
        run(loop_with(body=body), ZERO, np.zeros(2, np.float32))


def test_errors_in_the_shapes_of_a_subgraph_say_in_which():
    body = graph_of(lambda b, i, x: [b.add(i, np.int32(1)), b.concatenation([x, x], 0)], SCALAR, pair())
    body.outputs[1] = append(body, "RESHAPE", [body.outputs[1]], [pair()], {"new_shape": np.array([4])})[0]
    with pytest.raises(ShapeError, match=r"subgraph 2, operator RESHAPE, .* shape \(8,\) found"):
        run(loop_with(body=body), ZERO, np.zeros(2, np.float32))


# --- states -----------------------------------------------------------------------------------------


def test_a_state_lasts_until_it_is_reset():
    graph, state = accumulator()
    interpreter = ptq.Interpreter(graph=graph)
    one = np.ones((1, 2), np.float32)
    assert [interpreter.run([one])[0].tolist() for _ in range(3)] == [[[1, 1]], [[2, 2]], [[3, 3]]]
    assert interpreter.get_tensor(state).tolist() == [[3, 3]]
    interpreter.allocate_tensors()  # nothing has changed, so that nothing is done
    assert interpreter.get_tensor(state).tolist() == [[3, 3]]
    interpreter.reset_all_variables()
    assert interpreter.get_tensor(state).tolist() == [[0, 0]]
    interpreter.invoke()
    assert interpreter.get_tensor(state).tolist() == [[1, 1]]


def test_a_new_input_shape_resets_states():
    graph, _ = accumulator()
    interpreter = ptq.Interpreter(graph=graph)
    one = np.ones((1, 2), np.float32)
    interpreter.run([one])
    interpreter.resize_tensor_input(graph.inputs[0], (1, 2))  # the shape that it has
    assert interpreter.run([one])[0].tolist() == [[2, 2]]
    interpreter.resize_tensor_input(graph.inputs[0], (3, 2))
    with pytest.raises(InputError, match="not allocated"):
        interpreter.invoke()
    interpreter.resize_tensor_input(graph.inputs[0], (1, 2))
    assert interpreter.run([one])[0].tolist() == [[1, 1]]


def test_a_state_can_be_set():
    graph, state = accumulator()
    interpreter = ptq.Interpreter(graph=graph)
    interpreter.allocate_tensors()
    interpreter.set_tensor(state, np.array([[5, 7]], np.float32))
    assert interpreter.run([np.ones((1, 2), np.float32)])[0].tolist() == [[6, 8]]
    with pytest.raises(InputError, match=r"shape \(1, 3\) found, expected \(1, 2\)"):
        interpreter.set_tensor(state, np.ones((1, 3), np.float32))


def test_what_was_read_from_a_state_keeps_its_value():
    graph, state = accumulator()
    table, before = {"new_shape": np.array([2], np.int32)}, graph.add_tensor(Tensor("before", (2,)))
    graph.operators.insert(0, Operator("RESHAPE", [state], [before], table, "ReshapeOptions"))
    graph.outputs.append(before)
    interpreter = ptq.Interpreter(graph=graph)
    one = np.ones((1, 2), np.float32)
    assert [y.tolist() for y in interpreter.run([one])] == [[[1, 1]], [0, 0]]
    assert [y.tolist() for y in interpreter.run([one])] == [[[2, 2]], [1, 1]]


def test_states_in_a_loop_last_for_the_loop():
    graph, state = looping_accumulator(rounds=3)
    interpreter = ptq.Interpreter(graph=graph)
    for _ in range(2):
        # x = state + x: 1, then 1 + 1, then 2 + 2; the next invocation starts anew
        assert interpreter.run([ZERO, np.ones((1, 2), np.float32)])[1].tolist() == [[4, 4]]
        assert interpreter.get_tensor(state, 2).tolist() == [[4, 4]]
    interpreter.reset_all_variables()
    assert interpreter.get_tensor(state, 2).tolist() == [[0, 0]]


@pytest.mark.parametrize("type,zero_point,start", [("INT8", -3, -3), ("UINT8", 3, 0), ("INT16", 3, 0)])
def test_only_an_int8_state_starts_at_its_zero_point(type, zero_point, start):
    graph, _ = accumulator()
    quantization = Quantization(np.array([0.5], np.float32), np.array([zero_point]))
    index = graph.add_tensor(Tensor("state", (2,), type, quantization=quantization, is_variable=True))
    interpreter = ptq.Interpreter(graph=graph)
    interpreter.allocate_tensors()
    assert interpreter.get_tensor(index).tolist() == [start, start]


@pytest.mark.parametrize(
    "more,error,message",
    [
        ({"data": np.ones((1, 2), np.float32)}, UnsupportedError, "'main/state': stored data found"),
        ({"type": "STRING"}, UnsupportedError, "type STRING found, expected numbers"),
        ({"shape": (2**16, 2**16)}, GraphError, "more than 2147483648 bytes"),
    ],
)
def test_states_that_cannot_be(more, error, message):
    graph, state = accumulator()
    graph.operators, graph.outputs = [], graph.inputs
    for name, value in more.items():
        setattr(graph.tensors[state], name, value)
    with pytest.raises(error, match=message):
        ptq.Interpreter(graph=graph).allocate_tensors()


def test_a_kernel_keeps_a_state_of_the_right_shape_only():
    state = Tensor("h", (1, 2), is_variable=True)
    call = Call(Operator("RNN", [0], [1]), [state], [np.zeros((1, 2), np.float32)], [])
    call.keep_state(0, np.ones((1, 2), np.float32))
    assert (call.state(0).tolist(), call.new_states[0].tolist()) == ([[0, 0]], [[1, 1]])
    with pytest.raises(ShapeError, match=r"state of shape \(1, 2\) found at input 0, expected \(2, 2\)"):
        call.keep_state(0, np.ones((2, 2), np.float32))
    state.is_variable = False
    with pytest.raises(GraphError, match="'h'\\) is no variable"):
        call.state(0)


def test_an_executor_runs_a_graph_on_its_own():
    program = Program(graph_of(lambda b, x: b.relu(x), pair()), ptq.LITERT_REFERENCE)
    (result,) = program.executors[0].run([np.array([-1, 2], np.float32)])
    assert result.tolist() == [0, 2]
