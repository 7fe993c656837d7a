"""Traces: what is written on the sheet of one element, checked against numbers worked out by hand."""

import numpy as np
import pytest

import ptq
from ptq.build import Builder
from ptq.errors import InputError, UnsupportedError
from ptq.oracle.explain import agreement, explain_model, trace
from ptq.oracle.problem import problem_of

Q = np.array([[-3, 7, 11]], np.int8)
W = np.array([[10, -20, 5], [1, 2, 3]], np.int8)
B = np.array([6, -40], np.int32)
ARGUMENTS = ("FULLY_CONNECTED", [Q, W, B], [(0.5, -3), (0.25, 0), (0.125, 0)], "INT8", (2.0, 1))


def test_every_step_of_a_dense_layer_is_the_one_on_paper():
    # (-3 + 3) 10 + (7 + 3)(-20) + (11 + 3) 5 = -130; + 6 = -124; * 0.0625 = -7.75, rounded -8; + 1 = -7
    result = trace(*ARGUMENTS, element=(0, 0))
    values = {line.name: line.value for line in result.lines}
    assert values["real_multiplier"] == 0.0625
    assert values["accumulator"] == -130
    assert values["biased"] == -124
    assert values["rescaled"] == -8
    assert values["with_zero_point"] == -7
    assert values["output"] == result.value == -7
    (products,) = [line.terms for line in result.lines if line.name == "accumulator"]
    assert products == [(10, 0), (-20, 10), (5, 14)]


def test_fixed_point_shows_both_roundings():
    result = trace(*ARGUMENTS, element=(0, 1), numerics=ptq.TFLITE_MICRO)
    # 0 + 20 + 42 - 40 = 22; 0.0625 = 2^30 * 2^(-3 - 31); 22 * 2^30 / 2^31 = 11; 11 / 2^3 = 1.375, rounded 1
    lines = {line.name: line for line in result.lines}
    assert (lines["output_multiplier"].value, lines["output_shift"].value) == (2**30, -3)
    assert lines["high"].value == 11
    assert lines["shifted"].value == 1
    assert lines["rescaled"].rule == "double rounding"
    assert lines["rescaled"].source.startswith("tflite/kernels/internal/common.cc")
    assert result.value == 2


def test_the_text_is_what_a_person_would_write():
    text = str(trace(*ARGUMENTS, element=(0, 0)))
    assert text.startswith("FULLY_CONNECTED, output 0 [0, 0], numerics LITERT_REFERENCE\n\n")
    assert [line for line in text.splitlines()[2:] if not line.startswith(" ")] == [
        "prepare", "accumulate", "add bias", "rescale", "clamp"
    ]  # fmt: skip
    assert "        (-20) * 10\n" in text
    assert "    biased = -130 + 6 = -124\n" in text
    assert "rule: float64 product" in text


def test_softmax_has_the_beta_that_every_model_writes():
    # e^-2 + e^-1 + e^0 = 1.5032..., of which e^-2 is 9 %: 23.05 of 256
    floats = trace("SOFTMAX", [np.float32([[1, 2, 3]])], element=(0, 0))
    assert floats.value == pytest.approx(0.0900306, abs=1e-6)
    q = np.array([[10, 20, 30]], np.int8)
    assert trace("SOFTMAX", [q], [(0.1, 0)], "INT8", (1 / 256, -128), element=(0, 0)).value == 23 - 128
    flat = trace("SOFTMAX", [np.float32([[1, 2, 3]])], options={"beta": 0.0}, element=(0, 0))
    assert flat.value == np.float32(1) / np.float32(3)


def test_long_sums_are_cut_unless_all_terms_are_wanted():
    x = np.ones((1, 100), np.int8)
    result = trace("FULLY_CONNECTED", [x, x], [(1.0, 0), (1.0, 0)], "INT8", (1.0, 0), element=(0, 0))
    assert "... and 88 more terms" in str(result)
    assert "more terms" not in result.text(terms=100)


def test_negative_indices_count_from_the_end():
    assert trace(*ARGUMENTS, element=(-1, -1)).index == (0, 1)


@pytest.mark.parametrize("element", [(0,), (0, 2), (1, 0), (0, 0, 0)])
def test_an_element_outside_is_an_error(element):
    with pytest.raises(InputError, match=r"expected an index into shape \[1, 2\]"):
        trace(*ARGUMENTS, element=element)


def test_an_operator_without_a_specification_is_an_error():
    with pytest.raises((UnsupportedError, ptq.PtqError)):
        trace("CONV_3D", [Q, W], element=(0, 0))


def test_options_and_outputs_in_numbers_that_follow_from_them():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    axis = np.array(1, np.int32)
    result = trace("SPLIT", [axis, x], options={"num_splits": 3}, element=(1, 0), output=2)
    assert result.value == 5.0


def small_network():
    b = Builder("net")
    rng = np.random.default_rng(0)
    x = b.input("image", (1, 6, 6, 2))
    x = b.conv2d(x, rng.normal(0, 0.3, (3, 3, 3, 2)), rng.normal(0, 1, 3), activation="RELU")
    x = b.max_pool2d(x, 2)
    return b.finish(
        b.fully_connected(b.reshape(x, (1, -1)), rng.normal(0, 0.2, (4, 27)), rng.normal(0, 1, 4))
    )


@pytest.mark.parametrize("operator", range(4))
def test_an_operator_of_a_model_is_explained_with_the_values_that_it_met(operator):
    graph = small_network()
    x = np.random.default_rng(1).normal(size=(1, 6, 6, 2)).astype(np.float32)
    numerics = ptq.LITERT_REFERENCE_ORDERED
    shape = ptq.Interpreter(graph=graph, numerics=numerics)
    shape.run([x])
    found = shape.get_tensor(graph.operators[operator].outputs[0])
    index = tuple(n - 1 for n in found.shape)
    result, kernels = explain_model(graph, operator, index, [x], numerics=numerics)
    assert np.float32(result.value) == found[index]
    assert agreement(result, kernels) == f"ptq's kernel computes the same: {found[index]}"


def test_a_sum_in_another_order_is_said_to_be_one():
    graph = small_network()
    x = np.random.default_rng(1).normal(size=(1, 6, 6, 2)).astype(np.float32)
    result, kernels = explain_model(graph, 0, (0, 0, 0, 0), [x])
    assert "computes" in agreement(result, kernels + np.float32(1))
    assert "leaves the order of float sums to BLAS" in agreement(result, kernels + np.float32(1))


@pytest.mark.parametrize(("operator", "output"), [(9, 0), (-1, 0), (0, 1)])
def test_an_operator_or_output_that_is_not_there_is_an_error(operator, output):
    with pytest.raises(InputError, match="found, expected 0 to"):
        explain_model(small_network(), operator, (0, 0, 0, 0), [np.zeros((1, 6, 6, 2), np.float32)], output)


def test_a_problem_of_a_model_keeps_its_constants_and_names():
    graph = small_network()
    arrays = [graph.tensors[i].data for i in graph.operators[0].inputs]
    arrays[0] = np.zeros((1, 6, 6, 2), np.float32)
    problem = problem_of(graph, 0, arrays)
    assert [given.kind for given in problem.operands] == ["input", "constant", "constant"]
    assert problem.operands[0].name == "image"
