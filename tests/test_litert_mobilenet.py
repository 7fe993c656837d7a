"""MobileNet-v1 and v2 of real size, quantized to integers in full: LiteRT computes the same, bit for bit."""

import numpy as np
import pytest
from litert import assert_same_bits, every_tensor_of_litert, run_litert

import ptq
from ptq import zoo

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")


def images(count, seed):
    """Random images of some structure: noise of 8 x 8 pixels, in blocks, with finer noise upon it."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 1, (count, 1, 8, 8, 3)).repeat(28, axis=2).repeat(28, axis=3)
    fine = rng.normal(0, 0.2, (count, 1, 224, 224, 3))
    return np.clip(coarse + fine, -1, 1).astype(np.float32)


def quantized(build, activations=np.int8, per_channel=True):
    """The model, which returns its logits, too: int8 probabilities of 1,001 classes are hardly above 0."""
    graph = build()
    graph.outputs.insert(0, graph.operators[-1].inputs[0])
    converter = ptq.Converter.from_graph(graph)
    converter.representative_dataset = [[image] for image in images(3, seed=1)]
    converter.activations, converter.per_channel = activations, per_channel
    return converter.convert_to_graph()


def assert_same_outputs(ours, theirs):
    logits, probabilities = ours
    assert len(np.unique(logits)) > 50 and probabilities.shape == (1, 1001)
    for found, expected in zip(ours, theirs, strict=True):
        assert_same_bits(found, expected)


@pytest.mark.parametrize("per_channel", [True, False], ids=["per_channel", "per_tensor"])
@pytest.mark.parametrize("build", [zoo.mobilenet_v1, zoo.mobilenet_v2])
def test_the_integer_model_runs_as_in_litert(build, per_channel):
    graph = quantized(build, per_channel=per_channel)
    interpreter = ptq.Interpreter(graph=graph)
    for image in images(2, seed=2):
        assert_same_outputs(interpreter.run([image]), run_litert(graph, [image]))


@pytest.mark.parametrize("build", [zoo.mobilenet_v1, zoo.mobilenet_v2])
def test_every_layer_is_the_same(build):
    graph, (image,) = quantized(build), images(1, seed=3)
    interpreter, theirs = ptq.Interpreter(graph=graph), every_tensor_of_litert(graph, [image])
    interpreter.run([image])
    for operator in graph.operators:
        (index,) = operator.outputs
        values = interpreter.get_tensor(index)
        assert_same_bits(values, theirs[index], graph.tensors[index].name)
        if operator.type not in ("SOFTMAX", "DEQUANTIZE"):
            assert len(np.unique(values)) > 20, f"{graph.tensors[index].name} says nothing"


@pytest.mark.parametrize("build", [zoo.mobilenet_v1, zoo.mobilenet_v2])
def test_int16_activations_run_as_in_litert(build):
    graph, (image,) = quantized(build, np.int16), images(1, seed=4)
    assert_same_outputs(ptq.Interpreter(graph=graph).run([image]), run_litert(graph, [image]))
