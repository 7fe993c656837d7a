"""Which operators each recipe quantizes, case by case: types, versions and reasons derived by hand."""

import numpy as np
import pytest
from quantizable import CASES, all_inputs, dense, ids_and_table, lookup, lstm_basic, lstm_weights, normal

from ptq.build import Builder
from ptq.graph import Graph, Operator, Signature, Tensor
from ptq.interpreter import Interpreter
from ptq.passes.dynamic_range import quantize_dynamic_range
from ptq.passes.explain import explain
from ptq.passes.recipes import CURRENT, FIRST_RELEASE, RECIPES, weights

ADDED = "DEQUANTIZE"


def convert(case, recipe, skip=None):
    graph = CASES[case]() if isinstance(case, str) else case
    result, report = quantize_dynamic_range(graph, RECIPES[recipe], skip)
    result.validate()
    return result, report


def types(graph):
    return [operator.type for operator in graph.operators]


def int8_elements(graph):
    return sum(t.size for t in graph.tensors if t.type == "INT8" and t.is_constant)


# case, then for each recipe: where DEQUANTIZE stands in the order of execution, the version of the operator
# that the case is about (the last one), and how many weights are int8
RULES = [
    ("conv", ([], 5, 2304), ([], 2, 2304)),
    ("conv_grouped", ([], 6, 1152), ([0], 2, 1152)),
    ("conv_small_beside_large", ([], 5, 2304), ([], 2, 2304)),
    ("conv_small", ([], 1, 0), ([], 2, 0)),
    ("depthwise", ([], 6, 1152), ([0], 6, 1152)),
    ("dense_plain", ([], 12, 2048), ([], 3, 2048)),
    ("transpose_conv_plain", ([], 2, 2304), ([0], 1, 2304)),
    ("transpose_conv_with_activation", ([], 4, 2304), ([0], 4, 2304)),
    ("batch_matmul_by_a_constant", ([], 4, 2048), ([], 1, 2048)),
    ("batch_matmul_of_a_constant", ([], 1, 0), ([], 1, 0)),
    ("svdf", ([], 4, 3072), ([], 2, 3072)),
    ("svdf_partly_large", ([], 1, 0), ([0], 2, 2048)),
    ("rnn", ([], 3, 2048), ([], 2, 2048)),
    ("sequence_rnn", ([], 3, 2048), ([], 2, 2048)),
    ("sequence_rnn_partly_large", ([], 1, 0), ([0], 2, 1024)),
    ("bidirectional_rnn_plain", ([], 3, 4096), ([0, 1, 2, 3], 2, 4096)),
    ("bidirectional_rnn_with_second_input", ([], 3, 6144), ([0, 1, 2, 3, 4, 5], 2, 6144)),
    ("lstm_step", ([], 4, 8192), ([], 3, 8192)),
    ("lstm_step_partly_large", ([], 1, 0), ([0, 1, 2, 3], 3, 4096)),
    ("lstm_sequence", ([], 3, 8192), ([], 2, 8192)),
    ("lstm_sequence_with_projection", ([], 3, 14336), ([], 2, 14336)),
    ("lstm_sequence_with_small_peephole", ([], 1, 0), (list(range(8)), 2, 8192)),
    ("lstm_small_beside_large", ([], 3, 8192), ([], 2, 8192)),
    ("bidirectional_lstm_plain", ([], 3, 16384), ([], 3, 16384)),
    ("bidirectional_lstm_with_second_input", ([], 3, 24576), ([], 3, 24576)),
    ("bidirectional_lstm_partly_large", ([], 1, 0), (list(range(8)), 3, 8192)),
    ("gather", ([1], 2, 2048), ([1], 2, 2048)),
    ("gather_then_dense", ([1], 12, 3328), ([1], 3, 3328)),
    ("gather_more_than_there_is", ([0], 1, 1024), ([1], 2, 1024)),
    ("gather_weights_of_dense", ([1], 1, 2048), ([], 3, 2048)),
    ("gather_of_gather", ([2], 2, 2048), ([1], 1, 2048)),
    ("two_gathers_of_one_table", ([0], 1, 2048), ([0], 1, 2048)),
    ("gather_tied_to_dense", ([1], 12, 4096), ([0], 3, 2048)),
    ("embedding", ([], 4, 2048), ([1], 2, 2048)),
    ("embedding_tied_to_dense", ([], 12, 2048), ([0], 3, 2048)),
    ("two_dense_and_an_add", ([], 1, 4096), ([2], 1, 4096)),
    ("dense_and_batch_matmul", ([], 4, 8192), ([], 1, 4096)),
    ("conv_and_depthwise", ([], 5, 4608), ([0], 2, 2304)),
    ("weight_is_an_output", ([], 12, 4096), ([1], 2, 4096)),
]


@pytest.mark.parametrize("case,current,first", RULES, ids=[rule[0] for rule in RULES])
def test_the_rules(case, current, first):
    for recipe, (places, version, elements) in (("current", current), ("2018", first)):
        graph, _ = convert(case, recipe)
        assert [p for p, t in enumerate(types(graph)) if t == ADDED] == places, recipe
        assert graph.operators[-1].version == version, recipe
        assert int8_elements(graph) == elements, recipe


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_kernel_reads_all_of_its_weights_as_int8_or_none(case, recipe):
    graph, report = convert(case, recipe)
    for operator, decision in zip(graph.operators, report, strict=True):
        found = {tensor.type for tensor in weights(graph, operator)}
        if decision.arithmetic != "any":
            assert found <= {"INT8" if decision.arithmetic == "hybrid" else "FLOAT32"}


def test_an_lstm_of_kernel_type_basic_has_one_matrix_and_no_hybrid_kernel():
    result, report = convert(lstm_basic(), "2018")
    assert types(result) == ["DEQUANTIZE", "LSTM"]
    assert result.tensors[result.operators[0].inputs[0]].shape == (128, 64)
    assert result.operators[1].version == 3
    expected = "no hybrid kernel for kernel_type BASIC: weights stored as int8, read through DEQUANTIZE"
    assert report[1].reason == expected
    unchanged, report = convert(lstm_basic(), "current")
    assert (types(unchanged), unchanged.operators[0].version) == (["LSTM"], 2)
    assert report[0].reason == "recipe 'current' quantizes no constants of this operator"


def test_only_the_place_that_is_no_weight_reads_floats():
    b = Builder()
    shared = b.constant(normal(64, 64), "shared")
    graph = b.finish(b.add(dense(b, shared, shared, 64), b.input("x", (1, 64))))
    first, _ = convert(graph, "2018")
    assert types(first) == ["DEQUANTIZE", "FULLY_CONNECTED", "ADD"]
    assert [first.tensors[i].type for i in first.operators[1].inputs] == ["FLOAT32", "INT8", "FLOAT32"]
    current, _ = convert(graph, "current")
    assert [current.tensors[i].type for i in current.operators[0].inputs] == ["FLOAT32", "INT8", "FLOAT32"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_outputs_and_signatures_stay_float(recipe):
    b, ids, table = ids_and_table()
    rows = lookup(b, "GATHER", table, ids)
    graph = b.finish(rows, table, table)
    numbers = graph.outputs
    graph.signatures = [Signature("serve", {"ids": 0}, {"rows": numbers[0], "table": numbers[1]})]
    result, _ = convert(graph, recipe)
    signature = result.signatures[0]
    assert [result.tensors[i].type for i in result.outputs] == ["FLOAT32"] * 3
    assert list(signature.outputs.values()) == result.outputs[:2]
    looked_up, whole, _ = Interpreter(graph=result).run([np.arange(5, dtype=np.int32)])
    # rounding is off by half a step at most, and a step is max|w| / 127
    step = np.abs(table.data).max() / 127
    assert np.abs(looked_up - table.data[:5]).max() <= 0.5001 * step
    assert np.abs(whole - table.data).max() <= 0.5001 * step


@pytest.mark.parametrize("recipe", RECIPES)
def test_subgraphs_are_quantized_and_the_version_holds_for_the_whole_file(recipe):
    b = Builder("body")
    body = b.finish(dense(b, b.input("x", (1, 32)), normal(32, 32), 32))
    b = Builder()
    graph = b.finish(dense(b, b.input("x", (1, 32)), normal(4, 32), 4))
    graph.subgraphs = [body]
    result, report = convert(graph, recipe)
    assert int8_elements(result) == 0
    assert int8_elements(result.subgraphs[0]) == 1024
    versions = {g.operators[0].version for g in (result, result.subgraphs[0])}
    assert versions == {12 if recipe == "current" else 3}
    assert [(d.subgraph, d.arithmetic) for d in report] == [(0, "float"), (1, "hybrid")]
    assert "\nsubgraph 1:\n  0  FULLY_CONNECTED      hybrid" in str(report)


# --- reasons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case,recipe,position,arithmetic,reason",
    [
        ("lstm_sequence", "current", 0, "hybrid", "8192 int8 weights, 8 scales"),
        ("lstm_sequence", "2018", 0, "hybrid", "8192 int8 weights, 8 scales"),
        ("embedding", "current", 0, "hybrid", "2048 int8 weights, 64 scales"),
        ("gather", "current", 0, "any", "2048 int8 weights, one scale, looked up as integers"),
        ("gather", "current", 1, "any", "integers back to float: only what was looked up in the table"),
        ("two_gathers_of_one_table", "current", 1, "any", "no hybrid kernel: weights stored as int8, read "
         "through DEQUANTIZE"),
        ("lstm_sequence_small", "current", 0, "float", "64 weights, fewer than 1024"),
        ("lstm_sequence_partly_large", "current", 0, "float", "partly quantizable: "
         "'unidirectional_sequence_lstm/input_to_input_weights' has 512 weights, fewer than 1024"),
        ("lstm_sequence_with_small_peephole", "2018", 8, "float", "partly quantizable: "
         "'unidirectional_sequence_lstm/cell_to_input_weights' has 32 weights, fewer than 1024; the others "
         "are int8, read through DEQUANTIZE"),
        ("two_dense_and_an_add", "2018", 3, "float",
         "shares 'shared', which is stored as int8: read through DEQUANTIZE"),
        ("two_dense_and_an_add", "2018", 2, "any",
         "int8 weights back to float for an operator without a hybrid kernel"),
        ("two_dense_and_an_add", "current", 2, "float",
         "recipe 'current' quantizes no constants of this operator"),
        ("depthwise", "2018", 1, "float",
         "no hybrid kernel: weights stored as int8, read through DEQUANTIZE"),
        ("gather_weights_of_dense", "current", 2, "float", "its weights are computed, not stored"),
        ("batch_matmul_of_a_constant", "current", 0, "float", "its weights are computed, not stored"),
    ],
)  # fmt: skip
def test_the_reason(case, recipe, position, arithmetic, reason):
    _, report = convert(case, recipe)
    assert (report[position].arithmetic, report[position].reason) == (arithmetic, reason)


@pytest.mark.parametrize("kind", ["MEAN", "SUM"])
def test_axes_are_no_weights(kind):
    b = Builder()
    x = b.op(kind, [b.input("x", (1, 4)), np.array([1], np.int32)], {"keep_dims": True})
    report = explain(b.finish(x), CURRENT)
    assert (report[0].arithmetic, report[0].reason) == ("float", "has no weights")


def test_the_table_grows_with_the_longest_name():
    _, report = convert("bidirectional_lstm_plain", "current")
    header, row = str(report).splitlines()
    assert header.index("arithmetic") == row.index("hybrid")


def test_an_operator_without_weights_or_outputs_has_a_reason_too():
    operator = Operator("CALL_ONCE", [], [], {"init_subgraph_index": 1}, "CallOnceOptions")
    report = explain(Graph([], [operator], subgraphs=[Graph([Tensor("x", ())])]), CURRENT)
    assert (report[0].name, report[0].reason) == ("", "moves or converts data")


# --- skip -------------------------------------------------------------------------------------------


def two_layers():
    b = Builder()
    shared = b.constant(normal(32, 32), "shared")
    x = b.fully_connected(b.input("x", (1, 32)), shared, normal(32), name="first")
    return b.finish(b.fully_connected(x, shared, normal(32), name="second"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_skipped_operator_keeps_its_own_float_weights(recipe):
    graph = two_layers()
    result, report = convert(graph, recipe, lambda operator, name: name == "second")
    first, second = (result.tensors[operator.inputs[1]] for operator in result.operators)
    assert (first.type, second.type) == ("INT8", "FLOAT32")
    assert second.data.tobytes() == graph.tensors[graph.operators[0].inputs[1]].data.tobytes()
    assert [d.reason for d in report][1] == "skipped by the user"


@pytest.mark.parametrize("recipe", RECIPES)
def test_skip_sees_every_operator_of_every_subgraph_once(recipe):
    b = Builder()
    graph = b.finish(b.relu(b.input("x", (1, 2)), name="outer"))
    graph.subgraphs = [two_layers()]
    seen = []
    convert(graph, recipe, lambda operator, name: seen.append((operator.type, name)))
    assert seen == [("RELU", "outer"), ("FULLY_CONNECTED", "first"), ("FULLY_CONNECTED", "second")]


def test_skipping_everything_changes_only_what_2018_writes_for_all():
    for case in ("gather_then_dense", "lstm_shares_a_gate_with_add", "depthwise"):
        graph = CASES[case]()
        for recipe in (CURRENT, FIRST_RELEASE):
            result, _ = quantize_dynamic_range(graph, recipe, lambda operator, name: True)
            for mine, other in zip(result.operators, graph.operators, strict=True):
                mine.version = other.version
            assert result == graph


def test_a_skipped_reader_of_an_int8_look_up_reads_floats():
    b, ids, table = ids_and_table()
    graph = b.finish(dense(b, b.input("x", (1, 32)), lookup(b, "GATHER", table, ids), 5))
    result, _ = convert(graph, "2018", lambda operator, name: operator.type == "FULLY_CONNECTED")
    assert types(result) == ["GATHER", "DEQUANTIZE", "FULLY_CONNECTED"]


def test_a_shared_gate_is_read_as_int8_twice():
    b = Builder()
    x, shared = b.input("x", (2, 5, 32)), b.constant(normal(32, 32), "shared")
    learnt = lstm_weights(32, 32, shared=shared)
    graph = all_inputs(b.finish(b.unidirectional_sequence_lstm(x, learnt)), 24)
    graph.operators[0].inputs[6] = graph.operators[0].inputs[2]
    for recipe in RECIPES:
        result, _ = convert(graph, recipe)
        assert types(result) == ["UNIDIRECTIONAL_SEQUENCE_LSTM"]
        assert result.operators[0].inputs[6] == result.operators[0].inputs[2]
