"""The zoo's graphs: they compute what was trained, as accurately as said, and have the sizes said."""

import numpy as np
import pytest

from ptq import zoo
from ptq.errors import InputError, UnsupportedError
from ptq.format import dumps
from ptq.interpreter import Interpreter
from ptq.zoo.export import to_graph
from ptq.zoo.fashion import NETWORKS
from ptq.zoo.layers import Layer
from ptq.zoo.network import Network

MODELS = {"fashion_cnn": zoo.fashion_cnn, "fashion_ds_cnn": zoo.fashion_ds_cnn}

# correct answers among the 2,000 shipped test images, as the training command printed them
CORRECT = {"fashion_cnn": 1866, "fashion_ds_cnn": 1847}


def _trained(model):
    network = NETWORKS[model](0)
    network.load(zoo.data.shipped_weights(model))
    return network


def _softmax(logits):
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("model", MODELS)
def test_the_trained_network_is_as_accurate_as_said(model):
    images, labels = zoo.data.test_images()
    correct = np.sum(_trained(model).logits(images).argmax(axis=1) == labels)
    # another machine's float32 sums may flip an image that lies on the border between two classes
    assert abs(int(correct) - CORRECT[model]) <= 2


@pytest.mark.parametrize("model", MODELS)
def test_the_graph_computes_what_was_trained(model):
    images = zoo.data.test_images().images[:100]
    graph = MODELS[model]()
    assert graph.tensors[graph.inputs[0]].shape_signature == (-1, 28, 28, 1)
    assert {"MUL", "ADD", "RELU"} <= {operator.type for operator in graph.operators}
    (found,) = Interpreter(graph=graph).run([images])
    # batch norm's multiplier is rounded once here and twice there; the sums run in another order
    np.testing.assert_allclose(found, _softmax(_trained(model).logits(images)), atol=1e-4)


@pytest.mark.peers
@pytest.mark.parametrize("model", MODELS)
def test_litert_finds_the_graph_as_accurate(model):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    images, labels = zoo.data.test_images()
    interpreter = litert.Interpreter(model_content=dumps(MODELS[model]()), num_threads=1)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert abs(int(np.sum(found.argmax(axis=1) == labels)) - CORRECT[model]) <= 2
    np.testing.assert_allclose(found, _softmax(_trained(model).logits(images)), atol=1e-4)


def test_the_cnn_is_large_enough_to_show_the_ratio():
    assert len(dumps(zoo.fashion_cnn())) >= 2**20


def test_two_calls_give_two_equal_graphs():
    first, second = zoo.fashion_cnn(), zoo.fashion_cnn()
    assert first == second
    first.tensors[1].data[...] = 0
    assert first != second


def test_a_layer_without_an_operator():
    with pytest.raises(UnsupportedError, match="layer 'odd'"):
        to_graph(Network([Layer("odd")]), "net")


def test_mobilenet_has_the_published_size():
    graph = zoo.mobilenet_v1()
    assert len(dumps(graph)) == pytest.approx(16.9e6, rel=0.01)
    assert sum(t.size for t in graph.tensors if t.type == "FLOAT32" and t.is_constant) == 4_222_057
    types = [operator.type for operator in graph.operators]
    assert types.count("DEPTHWISE_CONV_2D") == 13
    assert types.count("CONV_2D") == 15
    assert types[-4:] == ["AVERAGE_POOL_2D", "CONV_2D", "SQUEEZE", "SOFTMAX"]


def test_mobilenet_v2_has_the_published_size():
    """Keras's MobileNetV2(classes=1001) has 3,506,153 trainable numbers, 17,056 of them are folded gammas."""
    graph = zoo.mobilenet_v2()
    assert sum(t.size for t in graph.tensors if t.type == "FLOAT32" and t.is_constant) == 3_506_153 - 17_056
    types = [operator.type for operator in graph.operators]
    assert types.count("DEPTHWISE_CONV_2D") == 17
    assert types.count("CONV_2D") == 36
    assert types.count("ADD") == 10
    assert types[-4:] == ["AVERAGE_POOL_2D", "CONV_2D", "SQUEEZE", "SOFTMAX"]


@pytest.mark.parametrize(
    ("alpha", "first", "inside", "last"),
    # 0.35 * 32 = 11.2 becomes 16, as 8 is less than nine tenths of it; 0.35 * 96 = 33.6 becomes 32
    [(1.0, 32, 96, 1280), (0.5, 16, 48, 1280), (0.35, 16, 32, 1280), (1.4, 48, 136, 1792)],
)
def test_mobilenet_v2_has_the_published_widths(alpha, first, inside, last):
    graph = zoo.mobilenet_v2(alpha, 32)
    channels = {t.name: t.shape[-1] for t in graph.tensors if not t.is_constant}
    assert [channels[name] for name in ("conv_0", "block_11_project", "conv_last")] == [first, inside, last]


@pytest.mark.parametrize("build", [zoo.mobilenet_v1, zoo.mobilenet_v2])
def test_mobilenets_are_seeded(build):
    small = {"alpha": 0.25, "resolution": 32, "classes": 5}
    assert build(**small, seed=1) == build(**small, seed=1)
    assert build(**small, seed=1) != build(**small, seed=2)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": float("nan")}, {"resolution": 100}, {"resolution": 0}, {"classes": 0}]
)
def test_mobilenet_of_impossible_size(wrong):
    for build in (zoo.mobilenet_v1, zoo.mobilenet_v2):
        with pytest.raises(InputError, match=build.__name__):
            build(**wrong)


@pytest.mark.parametrize(
    ("build", "count", "alpha", "resolution", "seed"),
    [
        (zoo.mobilenet_v1, 27, 1.0, 224, 0), (zoo.mobilenet_v1, 27, 0.5, 96, 3),
        (zoo.mobilenet_v2, 35, 1.0, 224, 0), (zoo.mobilenet_v2, 35, 0.5, 96, 3),
    ],
)  # fmt: skip
def test_mobilenets_activations_neither_die_nor_explode(build, count, alpha, resolution, seed):
    images = np.random.default_rng(1).uniform(-1, 1, (2, resolution, resolution, 3)).astype(np.float32)
    interpreter = Interpreter(graph=build(alpha, resolution, seed=seed))
    layers = []
    interpreter.add_hook(lambda position, operator, inputs, outputs: layers.append((operator, outputs[0])))
    (probabilities,) = interpreter.run([images])
    rectified = [y for operator, y in layers if operator.options.get("fused_activation_function") == "RELU6"]
    assert len(rectified) == count
    for activation in rectified:
        assert 0.2 < activation.mean() < 1
        assert 0.4 < np.mean(activation == 0) < 0.6
        assert np.mean(activation == 6) < 0.02
        # a channel that is always zero or always the same carries nothing
        assert np.mean(activation.std(axis=(0, 1, 2)) > 0.05) > 0.95
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-3
    assert probabilities.max() < 0.5
