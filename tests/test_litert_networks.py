"""Inception-v3 and ResNet-v2-101 of real size in LiteRT: its hybrid layers compute the same, bit for bit."""

from functools import cache

import numpy as np
import pytest
from litert import assert_same_bits, every_tensor_of_litert, run_litert

import ptq
from ptq import kernels, zoo
from ptq.kernels.call import Call
from ptq.zoo.standardize import random_images

pytestmark = pytest.mark.peers

NUMERICS = ptq.LITERT_REFERENCE_ORDERED
BUILD = {"inception_v3": zoo.inception_v3, "resnet_v2_101": zoo.resnet_v2_101}
HYBRID = {"inception_v3": 94, "resnet_v2_101": 105}
"""Of the convolutions, Inception's first has 864 weights, fewer than 1,024, and stays float."""


@cache
def graph_of(name):
    return BUILD[name]()


def image():
    return random_images(1, 299, np.random.default_rng(9))


def quantized(name, recipe):
    converter = ptq.Converter.from_graph(graph_of(name))
    converter.post_training_quantize, converter.recipe = True, recipe
    return converter.convert_to_graph()


@pytest.mark.parametrize("name", BUILD)
def test_the_float_file_runs_alike(name):
    """The sums are the same numbers in another order; measured: 2e-5 of the largest output."""
    ours = ptq.Interpreter(graph=graph_of(name)).run([image()])[0]
    theirs = run_litert(graph_of(name), [image()], "AUTO")[0]
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("recipe", ["2018", "current"])
@pytest.mark.parametrize("name", BUILD)
def test_every_operator_on_the_runtime_s_own_inputs(name, recipe):
    graph = quantized(name, recipe)
    theirs, counts = every_tensor_of_litert(graph, [image()]), {"hybrid": 0, "float": 0, "any": 0}
    for operator in graph.operators:
        tensors = [graph.tensors[i] for i in operator.inputs]
        read = zip(operator.inputs, tensors, strict=True)
        inputs = [theirs[i] if t.data is None else t.data for i, t in read]
        outputs = [graph.tensors[i] for i in operator.outputs]
        (ours,) = kernels.evaluate(Call(operator, tensors, inputs, outputs, NUMERICS), operator.type)
        assert_same_bits(ours, theirs[operator.outputs[0]], outputs[0].name)
        counts[kernels.arithmetic(operator, tensors)] += 1
    assert counts["hybrid"] == HYBRID[name]


@pytest.mark.parametrize("name", BUILD)
def test_the_quantized_file_is_bit_equal_end_to_end(name):
    graph = quantized(name, "2018")
    ours = ptq.Interpreter(graph=graph, numerics=NUMERICS).run([image()])[0]
    theirs = run_litert(graph, [image()])[0]
    assert_same_bits(ours, theirs)
    assert len(np.unique(theirs)) > 900
