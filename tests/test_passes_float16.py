"""Constants as float16: which, rounded how, and read through what."""

import numpy as np
import pytest
from quantizable import CASES, normal

from ptq.build import Builder
from ptq.format import dumps
from ptq.graph import ABSENT
from ptq.interpreter import Interpreter
from ptq.passes.float16 import store_float16


def types(graph):
    return [operator.type for operator in graph.operators]


def test_every_float_constant_that_is_read_is_halved_whatever_its_size():
    b = Builder()
    x = b.fully_connected(b.input("x", (1, 4)), normal(3, 4), normal(3))
    x = b.reshape(b.mul(x, np.float32(2.5)), (3, 1))
    graph = b.finish(x)
    result, report = store_float16(graph)
    result.validate()
    assert types(result) == ["DEQUANTIZE"] * 3 + ["FULLY_CONNECTED", "MUL", "RESHAPE"]
    assert sorted(t.shape for t in result.tensors if t.type == "FLOAT16") == [(), (3,), (3, 4)]
    assert not any(t.type == "FLOAT32" and t.is_constant for t in result.tensors)
    assert {o.version for o in result.operators if o.type == "DEQUANTIZE"} == {3}
    assert [d.reason for d in report] == [
        *["a float16 constant back to float32"] * 3,
        *["constants stored as float16, read through DEQUANTIZE"] * 2,
        "moves or converts data",
    ]
    assert len(graph.operators) == 3  # the original is untouched


def test_rounding_at_the_borders_of_float16():
    numbers = {
        65504.0: 65504.0, 65519.9: 65504.0, 65520.0: 65504.0, 1e30: 65504.0, -1e30: -65504.0,
        np.inf: 65504.0, -np.inf: -65504.0, -0.0: -0.0,
        2.0**-24: 2.0**-24, 2.0**-25: 0.0, 1.5 * 2.0**-24: 2.0**-23,  # subnormal, and ties to even
        1 + 2.0**-11: 1.0, 1 + 3 * 2.0**-11: 1 + 2.0**-9, 1 + 2.0**-11 + 2.0**-20: 1 + 2.0**-10,
    }  # fmt: skip
    b = Builder()
    graph = b.finish(b.add(b.input("x", (len(numbers) + 1,)), np.array([*numbers, np.nan], np.float32)))
    result, _ = store_float16(graph)
    halves = result.tensors[result.operators[0].inputs[0]].data
    assert halves[:-1].tobytes() == np.array([*numbers.values()], np.float16).tobytes()
    assert np.isnan(halves[-1])


def test_a_shared_constant_is_stored_and_dequantized_once():
    b = Builder()
    shared = b.constant(normal(4, 4), "shared")
    x = b.fully_connected(b.fully_connected(b.input("x", (1, 4)), shared), shared)
    result, _ = store_float16(b.finish(x))
    assert types(result) == ["DEQUANTIZE", "FULLY_CONNECTED", "FULLY_CONNECTED"]


def test_a_constant_that_is_returned_stays_exact_and_an_unread_one_stays_alone():
    b = Builder()
    both, only = b.constant(normal(4), "both"), b.constant(normal(4), "only returned")
    y = b.add(b.input("x", (4,)), both)
    result, _ = store_float16(b.finish(y, both, only))
    assert [result.tensors[i].type for i in result.outputs] == ["FLOAT32"] * 3
    assert types(result) == ["DEQUANTIZE", "ADD"]
    _, returned, _ = Interpreter(graph=result).run([np.zeros(4, np.float32)])
    assert returned.tobytes() == both.data.tobytes()


def test_variables_integers_and_empty_constants_are_left_alone():
    graph = CASES["lstm_sequence"]()
    result, _ = store_float16(graph)
    lstm = result.operators[-1]
    assert [result.tensors[i].is_variable for i in lstm.inputs[18:20]] == [True, True]
    assert types(result).count("DEQUANTIZE") == sum(t.is_constant for t in graph.tensors)
    b = Builder()
    nothing = b.concatenation([b.input("x", (4,)), np.zeros(0, np.float32)], 0)
    assert types(store_float16(b.finish(nothing))[0]) == ["CONCATENATION"]


def test_all_subgraphs_and_no_skipped_operator():
    b = Builder("body")
    body = b.finish(b.add(b.input("x", (4,)), normal(4), name="inner"))
    b = Builder()
    shared = b.constant(normal(4), "shared")
    graph = b.finish(b.mul(b.add(b.input("x", (4,)), shared), shared, name="exact"))
    graph.subgraphs = [body]
    result, report = store_float16(graph, lambda operator, name: name == "exact")
    assert types(result) == ["DEQUANTIZE", "ADD", "MUL"]
    assert types(result.subgraphs[0]) == ["DEQUANTIZE", "ADD"]
    exact = result.tensors[result.operators[2].inputs[1]]
    assert (exact.type, exact.data.tobytes()) == ("FLOAT32", shared.data.tobytes())
    assert [d.reason for d in report if d.name == "exact"] == ["skipped by the user"]


@pytest.mark.parametrize("case", [name for name in CASES if name != "weight_is_an_output"])
def test_the_file_is_half_as_large_and_only_rounding_is_between(case):
    graph = CASES[case]()
    result, _ = store_float16(graph)
    result.validate()
    before, after = (
        sum(t.data.nbytes for t in g.tensors if t.is_constant and "FLOAT" in t.type) for g in (graph, result)
    )
    assert after * 2 == before
    assert len(dumps(result)) < len(dumps(graph)) or before < 4096
    # dequantized again, the operators are the same and read the rounded constants
    origin = {o.outputs[0]: o.inputs[0] for o in result.operators if o.type == "DEQUANTIZE"}
    rest = [o for o in result.operators if o.type != "DEQUANTIZE"]
    for mine, other in zip(rest, graph.operators, strict=True):
        for i, j in zip(mine.inputs, other.inputs, strict=True):
            if j != ABSENT and graph.tensors[j].is_constant and graph.tensors[j].type == "FLOAT32":
                half, exact = result.tensors[origin[i]].data, graph.tensors[j].data
                assert half.tobytes() == exact.astype(np.float16).tobytes()
