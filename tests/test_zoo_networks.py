"""Inception-v3 and ResNet-v2-101 of random weights: published in structure and size, sane in their values."""

from collections import Counter
from functools import cache

import numpy as np
import pytest

from ptq import zoo
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.format import dumps, load
from ptq.interpreter import Interpreter
from ptq.zoo.standardize import random_images

BUILD = {"inception_v3": zoo.inception_v3, "resnet_v2_101": zoo.resnet_v2_101}

# float32 constants; of Keras's ResNet101V2, 16,256 trainable numbers are gammas that are folded here
PARAMETERS = {"inception_v3": 23_819_401, "resnet_v2_101": 44_579_945 - 16_256}

# Inception: 126, as the published file, whose operator 124 is the RESHAPE. ResNet: 33 units of 3 convolutions
# each, 4 shortcuts with one, the first, and the logits; a batch norm before each unit and after the last
OPERATORS = {
    "inception_v3": {
        "CONV_2D": 95, "CONCATENATION": 15, "AVERAGE_POOL_2D": 10, "MAX_POOL_2D": 4, "RESHAPE": 1,
        "SOFTMAX": 1,
    },
    "resnet_v2_101": {
        "CONV_2D": 1 + 33 * 3 + 4 + 1, "ADD": 33 + 34, "MUL": 34, "MAX_POOL_2D": 1 + 3, "PAD": 1 + 3,
        "MEAN": 1, "RESHAPE": 1,
    },
}  # fmt: skip

# the announcement's table, in bytes: float, and quantized by the first release
PUBLISHED = {"inception_v3": (95.7e6, 23.9e6), "resnet_v2_101": (178.3e6, 44.9e6)}

BLOCK_SHAPES = {
    "inception_v3": {
        "stem/1_conv_3x3": (147, 147, 32), "stem/4_conv_1x1": (73, 73, 80), "mixed_5b": (35, 35, 256),
        "mixed_5c": (35, 35, 288), "mixed_5d": (35, 35, 288), "mixed_6a": (17, 17, 768),
        "mixed_6e": (17, 17, 768), "mixed_7a": (8, 8, 1280), "mixed_7b": (8, 8, 2048),
        "mixed_7c": (8, 8, 2048),
    },
    "resnet_v2_101": {
        "conv1": (150, 150, 64), "pool1": (75, 75, 64), "block1/unit_2/add": (75, 75, 256),
        "block1/unit_3/add": (38, 38, 256), "block2/unit_4/add": (19, 19, 512),
        "block3/unit_23/add": (10, 10, 1024), "block4/unit_3/add": (10, 10, 2048), "pool5": (1, 1, 2048),
    },
}  # fmt: skip


@cache
def graph_of(name):
    return BUILD[name]()


def quantized(graph, recipe):
    converter = Converter.from_graph(graph)
    converter.post_training_quantize, converter.recipe = True, recipe
    return converter.convert()


@pytest.mark.parametrize("name", BUILD)
def test_it_has_the_published_structure(name):
    graph = graph_of(name)
    assert Counter(operator.type for operator in graph.operators) == OPERATORS[name]
    assert sum(t.size for t in graph.tensors if t.type == "FLOAT32" and t.is_constant) == PARAMETERS[name]
    shapes = {t.name: t.shape[1:] for t in graph.tensors}
    assert {block: shapes[block] for block in BLOCK_SHAPES[name]} == BLOCK_SHAPES[name]
    assert graph.tensors[graph.inputs[0]].shape_signature == (-1, 299, 299, 3)
    assert graph.tensors[graph.outputs[0]].shape == (1, 1001)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "theirs", "trainable"),
    [("inception_v3", "InceptionV3", 23_819_401), ("resnet_v2_101", "ResNet101V2", 44_579_945)],
)
def test_keras_has_the_same_filters(name, theirs, trainable):
    tf = pytest.importorskip("tensorflow")
    model = getattr(tf.keras.applications, theirs)(weights=None, classes=1001, input_shape=(299, 299, 3))
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == trainable
    kernels = [tuple(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")]
    kernels[-1] = (1, 1, *kernels[-1])  # FULLY_CONNECTED is our convolution of 1 x 1
    ours = [t.shape for t in graph_of(name).tensors if t.is_constant and len(t.shape) == 4]
    assert Counter(ours) == Counter((outputs, *size, inputs) for *size, inputs, outputs in kernels)


@pytest.mark.parametrize("name", BUILD)
def test_it_has_the_published_sizes(name):
    graph, (real, small) = graph_of(name), PUBLISHED[name]
    assert len(dumps(graph)) == pytest.approx(real, rel=0.01)
    assert len(quantized(graph, "2018")) == pytest.approx(small, rel=0.03)


@pytest.mark.parametrize("name", BUILD)
def test_batch_norm_is_where_it_cannot_be_folded(name):
    """The converter finds nothing more to fold or to fuse."""
    graph = graph_of(name)
    simplified = load(Converter.from_graph(graph).convert())
    assert [o.type for o in simplified.operators] == [o.type for o in graph.operators]


@pytest.mark.parametrize("kind", ["blocks", "noise"])
@pytest.mark.parametrize("name", BUILD)
def test_activations_neither_die_nor_explode(name, kind):
    rng = np.random.default_rng(7)
    images = random_images(2, 299, rng)
    if kind == "noise":
        images = rng.uniform(-1, 1, images.shape).astype(np.float32)
    interpreter, layers = Interpreter(graph=graph_of(name)), []
    interpreter.add_hook(lambda position, operator, inputs, outputs: layers.append((operator, outputs[0])))
    (output,) = interpreter.run([images])
    rectified = [y for operator, y in layers if operator.options.get("fused_activation_function") == "RELU"]
    assert len(rectified) == {"inception_v3": 94, "resnet_v2_101": 2 * 33 + 34}[name]
    for activation in rectified:
        assert 0.2 < activation.mean() < 1.5  # 0.4 if normally distributed before, with variance 1
        assert 0.3 < activation.std() < 2.5  # 0.58
        assert 0.2 < np.mean(activation == 0) < 0.75
        # a channel that is always zero or always the same carries nothing
        assert np.mean(activation.std(axis=(0, 1, 2)) > 0.05) > 0.9
    logits = next(y for operator, y in layers[::-1] if operator.type == "RESHAPE")
    assert 0.5 < logits.std() < 4
    powers = np.exp(logits)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    assert probabilities.max() < 0.5
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-3
    if name == "inception_v3":
        np.testing.assert_allclose(output, probabilities, rtol=1e-4)


@pytest.mark.parametrize(("name", "resolution"), [("inception_v3", 75), ("resnet_v2_101", 32)])
def test_networks_are_seeded(name, resolution):
    small = {"resolution": resolution, "classes": 5}
    assert BUILD[name](**small, seed=1) == BUILD[name](**small, seed=1)
    assert BUILD[name](**small, seed=1) != BUILD[name](**small, seed=2)


@pytest.mark.parametrize("wrong", [{"resolution": 20}, {"classes": 0}])
@pytest.mark.parametrize("name", BUILD)
def test_a_network_of_impossible_size(name, wrong):
    with pytest.raises(InputError, match=f"{name}: .* found; expected"):
        BUILD[name](**wrong)


def test_the_stacked_lstm():
    graph = zoo.stacked_lstm(cells=6, layers=3, steps=5)
    assert [o.type for o in graph.operators] == ["UNIDIRECTIONAL_SEQUENCE_LSTM"] * 3
    assert sum(t.size for t in graph.tensors if t.is_constant) == 3 * 4 * 6 * (2 * 6 + 1)
    x = np.random.default_rng(0).normal(0, 1, (1, 5, 6)).astype(np.float32)
    (y,) = Interpreter(graph=graph).run([x])
    assert y.shape == (1, 5, 6)
    assert 0.01 < np.abs(y).max() < 1
    with pytest.raises(InputError, match="0 cells"):
        zoo.stacked_lstm(cells=0)
