"""Matching by the names that converters give to the integer form of a tensor."""

import numpy as np

from ptq.build import Builder
from ptq.comparison.match import Step, find_steps, match
from ptq.converter import Converter


def step(position, type, name, shape=(1, 4)):
    return Step(position, type, position + 100, name, shape)


def names(pairs):
    return [(a.name, a.type, b.name, b.type) for a, b in pairs]


def test_the_integer_form_of_a_float_result_is_its_counterpart():
    a = [step(0, "SOFTMAX", "p")]
    b = [step(0, "QUANTIZE", "x_quantized"), step(1, "SOFTMAX", "p_int8"), step(2, "DEQUANTIZE", "p")]
    assert names(match(a, b)) == [("p", "SOFTMAX", "p_int8", "SOFTMAX")]


def test_conversions_are_matched_with_their_like():
    steps = [step(0, "QUANTIZE", "x_quantized"), step(1, "ADD", "x"), step(2, "DEQUANTIZE", "y")]
    assert match(steps, steps) == [(s, s) for s in steps]


def test_a_result_before_its_requantization_is_the_tensor_that_it_becomes():
    a = [step(0, "CONV_2D", "x")]
    b = [step(0, "CONV_2D", "x_written"), step(1, "QUANTIZE", "x")]
    assert names(match(a, b)) == [("x", "CONV_2D", "x_written", "CONV_2D")]


def test_names_that_are_the_same_come_before_those_that_only_look_so():
    a = [step(0, "ADD", "x_int8"), step(1, "MUL", "x")]
    b = [step(0, "ADD", "x_int8"), step(1, "MUL", "x")]
    assert names(match(a, b)) == [("x_int8", "ADD", "x_int8", "ADD"), ("x", "MUL", "x", "MUL")]


def test_an_ambiguous_plain_name_is_left_to_the_order():
    a = [step(0, "ADD", "x"), step(1, "ADD", "y")]
    b = [step(0, "ADD", "x_int8"), step(1, "ADD", "x_int16")]
    assert [(p.name, q.name) for p, q in match(a, b)] == [("x", "x_int8"), ("y", "x_int16")]


def test_a_converted_model_is_matched_in_full():
    b = Builder("net")
    x = b.fully_connected(b.input("x", (1, 8)), np.eye(8, dtype=np.float32), name="dense")
    graph = b.finish(b.softmax(b.tanh(x, name="t"), name="p"))
    converter = Converter.from_graph(graph)
    converter.representative_dataset = [[np.linspace(-1, 1, 8, dtype=np.float32).reshape(1, 8)]]
    steps, integer = find_steps(graph)[0], find_steps(converter.convert_to_graph())[0]
    assert [(p.type, q.type) for p, q in match(steps, integer)] == [
        ("FULLY_CONNECTED", "FULLY_CONNECTED"), ("TANH", "TANH"), ("SOFTMAX", "SOFTMAX"),
    ]  # fmt: skip
    assert step(3, "ADD", "n").location == "3 ADD 'n'"
