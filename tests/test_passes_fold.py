"""Folding beside state and control flow: what is known before the model runs, and what only looks so."""

import numpy as np
import pytest
from quantizable import CASES, normal

from ptq.build import Builder
from ptq.graph import Operator, Signature
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.fold import simplify
from ptq.passes.recipes import RECIPES


def types(graph):
    return [operator.type for operator in graph.operators]


@pytest.mark.parametrize("case", ["svdf", "rnn", "lstm_step"])
def test_a_layer_with_a_state_is_not_folded_though_its_input_is_constant(case):
    graph = CASES[case]()
    x = graph.tensors[graph.inputs.pop()]
    x.data = np.zeros(x.shape, np.float32)
    assert simplify(graph) == graph


def test_a_variable_is_no_constant():
    b = Builder()
    state = b.variable("state", (4,))
    graph = b.finish(b.add(state, normal(4)))
    assert types(simplify(graph)) == ["ADD"]


def counting_loop():
    """while (i < 3) i = i + (1 + 0), with a batch norm of constants that nobody needs in the body."""
    b = Builder("cond")
    condition = b.finish(b.op("LESS", [b.input("i", (1,)), np.float32([3])], output_type="BOOL"))
    b = Builder("body")
    one = b.add(b.constant(np.float32([1])), np.float32([0]))
    body = b.finish(b.relu(b.add(b.input("i", (1,)), one)))
    b = Builder()
    i = b.constant(np.float32([0]), "i")
    options = {"cond_subgraph_index": 1, "body_subgraph_index": 2}
    y = b.op("WHILE", [i], options, output_shape=(1,))
    graph = b.finish(y)
    graph.subgraphs = [condition, body]
    graph.signatures = [Signature("serve", {}, {"y": graph.outputs[0]}), Signature("body", {"i": 0}, {}, 2)]
    graph.signatures[1].inputs = {"i": body.inputs[0]}
    graph.signatures[1].outputs = {"next": body.outputs[0]}
    return graph


def test_a_loop_is_not_run_while_folding_but_its_body_is_simplified():
    graph = counting_loop()
    folded = simplify(graph)
    folded.validate()
    assert types(folded) == ["WHILE"]
    assert [types(s) for s in folded.subgraphs] == [["LESS"], ["ADD"]]
    (add,), body = folded.subgraphs[1].operators, folded.subgraphs[1]
    assert add.options["fused_activation_function"] == "RELU"
    assert [body.tensors[i].data for i in add.inputs][1].tolist() == [1.0]
    assert len(body.tensors) == 3  # i, the folded constant and the result
    signature = folded.signatures[1]
    assert (signature.inputs, signature.outputs) == ({"i": body.inputs[0]}, {"next": body.outputs[0]})


def test_a_large_result_of_little_is_not_stored():
    def filled(size):
        b = Builder()
        zeros = b.op("TILE", [np.zeros(1, np.float32), np.array([size], np.int32)], output_shape=(size,))
        return b.finish(b.add(b.input("x", (size,)), zeros))

    assert types(simplify(filled(25_600))) == ["ADD"]
    assert types(simplify(filled(25_601))) == ["TILE", "ADD"]


def test_an_operator_without_inputs_is_left_alone():
    graph = counting_loop()
    graph.operators.insert(0, Operator("CALL_ONCE", [], [], {"init_subgraph_index": 2}, "CallOnceOptions"))
    assert types(simplify(graph)) == ["CALL_ONCE", "WHILE"]


@pytest.mark.parametrize("kind", ["MUL", "ADD", "RELU", "DEQUANTIZE", "GATHER", "CONV_2D"])
@pytest.mark.parametrize("inputs", [[], [-1], [-1, 0], [0, -1], [0, 1, 2]])
def test_damaged_operators_are_left_alone(kind, inputs):
    graph = CASES["dense_plain"]()
    graph.operators.append(Operator(kind, inputs, []))
    for recipe in RECIPES.values():
        result, report = quantize_dynamic_range(simplify(graph), recipe)
        result.validate()
        assert types(result)[-1] == kind
        assert report[-1].type == kind
