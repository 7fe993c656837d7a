"""Signatures as functions: several in one model, each with its own subgraph, and what is refused."""

import numpy as np
import pytest
from control_flow import accumulator, append, graph_of, initialized_variable

import ptq
from ptq.errors import GraphError, InputError
from ptq.graph import Graph, Signature

ROW = (-1, 3), "FLOAT32"


def two_functions():
    """'less' = x - y in the main graph; 'both' = (a + b, a * b) in a subgraph."""
    graph = graph_of(lambda b, x, y: b.sub(x, y), ROW, ROW)
    other = graph_of(lambda b, x, y: [b.add(x, y), b.mul(x, y)], ROW, ROW, name="other")
    graph.subgraphs = [other]
    graph.signatures = [
        Signature("less", {"y": graph.inputs[1], "x": graph.inputs[0]}, {"z": graph.outputs[0]}),
        Signature(
            "both", dict(zip("ba", other.inputs, strict=True)),
            dict(zip(("sum", "product"), other.outputs, strict=True)), 1,
        ),
    ]  # fmt: skip
    return graph


def row(*values):
    return np.array([values], np.float32)


def test_each_signature_runs_its_own_subgraph():
    interpreter = ptq.Interpreter(model_content=ptq.dumps(two_functions()))
    less, both = map(interpreter.get_signature_runner, ("less", "both"))
    assert less(x=row(5, 6, 7), y=row(1, 1, 1))["z"].tolist() == [[4, 5, 6]]
    result = both(a=row(2, 3, 4), b=row(5, 6, 7))
    assert {name: array.tolist() for name, array in result.items()} == {
        "sum": [[7, 9, 11]], "product": [[10, 18, 28]],
    }  # fmt: skip
    assert interpreter.get_tensor(interpreter.graph.outputs[0]).tolist() == [[4, 5, 6]]
    assert less(x=np.zeros((4, 3), np.float32), y=np.ones((4, 3), np.float32))["z"].tolist() == [[-1] * 3] * 4


def test_names_are_listed_sorted_and_keys_as_they_stand():
    interpreter = ptq.Interpreter(graph=two_functions())
    assert list(interpreter.get_signature_list().items()) == [
        ("less", {"inputs": ["x", "y"], "outputs": ["z"]}),
        ("both", {"inputs": ["a", "b"], "outputs": ["product", "sum"]}),
    ]
    runner = interpreter.get_signature_runner("both")
    assert list(runner(a=row(0, 0, 0), b=row(0, 0, 0))) == ["product", "sum"]
    assert list(runner.get_output_details()) == ["product", "sum"]
    given = runner.get_input_details()
    assert [(name, d["index"], d["name"]) for name, d in given.items()] == [
        ("a", 1, "other/x1"), ("b", 0, "other/x0"),
    ]  # fmt: skip
    assert given["a"]["shape_signature"].tolist() == [-1, 3]


def test_a_directory_keeps_signatures(tmp_path):
    graph = two_functions()
    ptq.save_directory(graph, tmp_path / "model")
    assert ptq.load_directory(tmp_path / "model").signatures == graph.signatures
    assert ptq.load(ptq.dumps(graph)).signatures == graph.signatures


@pytest.mark.parametrize(
    "key,message",
    [
        ("more", r"'more' found, expected one of \['less', 'both'\]"),
        ("", r"'' found, expected one of \['less', 'both'\]"),
        (None, r"no signature chosen, but the model has 2; expected one of \['less', 'both'\]"),
    ],
)
def test_an_unknown_key_is_refused_with_the_keys(key, message):
    with pytest.raises(InputError, match=message):
        ptq.Interpreter(graph=two_functions()).get_signature_runner(key)


def test_a_model_without_signatures_has_none():
    graph = two_functions()
    graph.signatures = []
    interpreter = ptq.Interpreter(graph=graph)
    assert interpreter.get_signature_list() == {}
    for key in (None, "serving_default"):
        with pytest.raises(InputError, match="no signatures"):
            interpreter.get_signature_runner(key)


@pytest.mark.parametrize(
    "inputs,message",
    [
        ({"x": row(1, 2, 3)}, r"'less': inputs \['y'\] missing, \[\] unknown; expected \['x', 'y'\]"),
        ({"x": row(1, 2, 3), "self": row(0)}, r"\['y'\] missing, \['self'\] unknown"),
        ({"x": row(1, 2, 3), "y": np.zeros((1, 3))}, "'main/x1': dtype float64 found, expected float32"),
    ],
)
def test_wrong_inputs_are_named(inputs, message):
    runner = ptq.Interpreter(graph=two_functions()).get_signature_runner("less")
    with pytest.raises(InputError, match=message):
        runner(**inputs)


def test_an_input_without_a_name_has_to_be_set_before():
    graph = two_functions()
    del graph.signatures[0].inputs["y"]
    interpreter = ptq.Interpreter(graph=graph)
    runner = interpreter.get_signature_runner("less")
    with pytest.raises(InputError, match="'main/x1' has not been set"):
        runner(x=row(1, 2, 3))
    interpreter.set_tensor(graph.inputs[1], row(1, 1, 1))
    assert runner(x=row(1, 2, 3))["z"].tolist() == [[0, 1, 2]]


def test_states_last_from_call_to_call_and_belong_to_one_subgraph():
    graph, other = accumulator()[0], accumulator(name="other")[0]
    graph.subgraphs = [other]
    graph.signatures = [
        Signature(key, {"x": g.inputs[0]}, {"sum": g.outputs[0]}, number)
        for number, (key, g) in enumerate([("a", graph), ("b", other)])
    ]
    interpreter = ptq.Interpreter(graph=graph)
    a, b = map(interpreter.get_signature_runner, "ab")
    x = np.array([[1, 2]], np.float32)
    sums = [run(x=x)["sum"].tolist() for run in (a, a, b, a)]
    assert sums == [[[1, 2]], [[2, 4]], [[1, 2]], [[3, 6]]]
    interpreter.reset_all_variables()
    assert a(x=x)["sum"].tolist() == b(x=x)["sum"].tolist() == [[1, 2]]


def test_resource_variables_are_shared_and_initialized_once():
    graph = initialized_variable(np.array([10, 20], np.float32))
    again = graph.copy()
    graph.subgraphs.append(again)
    again.subgraphs, again.name = [], "again"
    graph.signatures = [
        Signature(key, {"x": graph.inputs[0]}, {"sum": graph.outputs[0]}, number)
        for key, number in (("add", 0), ("also_add", 2))
    ]
    interpreter = ptq.Interpreter(model_content=ptq.dumps(graph))
    one = np.ones(2, np.float32)
    runners = map(interpreter.get_signature_runner, ("also_add", "add", "also_add"))
    assert [run(x=one)["sum"].tolist() for run in runners] == [[11, 21], [12, 22], [13, 23]]


def test_a_signature_whose_subgraph_runs_itself_is_refused():
    graph = two_functions()
    endless = Graph(name="endless")
    append(endless, "CALL_ONCE", [], [], {"init_subgraph_index": 2})
    graph.subgraphs.append(endless)
    ptq.Interpreter(graph=graph)  # nothing runs it
    graph.signatures.append(Signature("endless", {}, {}, 2))
    with pytest.raises(GraphError, match="subgraph 2 runs itself"):
        ptq.Interpreter(graph=graph)
