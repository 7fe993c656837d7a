"""Recurrent Keras layers as TensorFlow's converter writes them, WHILE and all: bit-equal with LiteRT."""

import os
from dataclasses import replace

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter

import ptq

pytestmark = pytest.mark.peers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LAYERS = {
    "LSTM": lambda layers: layers.LSTM(64),
    "GRU": lambda layers: layers.GRU(32),
    "SimpleRNN": lambda layers: layers.SimpleRNN(40),
    "Bidirectional": lambda layers: layers.Bidirectional(layers.LSTM(32)),
    "return_sequences": lambda layers: layers.LSTM(32, return_sequences=True),
    "unroll": lambda layers: layers.GRU(32, unroll=True),
    "stateful": lambda layers: layers.LSTM(32, stateful=True),
}


@pytest.fixture(scope="module")
def tensorflow():
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module", params=LAYERS)
def files(request, tensorflow):
    """A model of two layers: the float file, TensorFlow's with int8 weights, and those of our recipes."""
    keras = tensorflow.keras
    keras.utils.set_random_seed(5)
    given = keras.Input((12, 28), batch_size=1)
    model = keras.Model(given, keras.layers.Dense(10)(LAYERS[request.param](keras.layers)(given)))
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    contents = {"float": converter.convert()}
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    contents["dynamic range"] = converter.convert()
    for recipe in ("current", "2018"):
        converter = ptq.Converter.from_tflite(contents["float"])
        converter.post_training_quantize, converter.recipe = True, recipe
        contents[recipe] = converter.convert()
    return request.param, contents


def operators(graph):
    return [operator for g in (graph, *graph.subgraphs) for operator in g.operators]


@pytest.mark.parametrize("kind", ["float", "dynamic range", "current", "2018"])
def test_keras_layers(files, kind):
    name, contents = files
    graph = ptq.load(contents[kind])
    types = {operator.type for operator in operators(graph)}
    assert ("WHILE" in types) == (name != "unroll")
    assert ("ASSIGN_VARIABLE" in types) == (name == "stateful")
    weights = {tensor.type for g in (graph, *graph.subgraphs) for tensor in g.tensors if tensor.size >= 1024}
    assert ("INT8" in weights) == (kind != "float")
    ours = ptq.Interpreter(graph=graph, numerics=ptq.LITERT_REFERENCE_ORDERED)
    theirs = litert_interpreter(graph)
    rng = np.random.default_rng(6)
    for _ in range(3):  # the stateful layer continues where it was
        x = rng.normal(size=(1, 12, 28)).astype(np.float32)
        theirs.set_tensor(graph.inputs[0], x)
        theirs.invoke()
        assert_same_bits(ours.run([x])[0], theirs.get_tensor(graph.outputs[0]), (name, kind))


def test_fibonacci_goes_wrong_in_litert(tensorflow):
    """The converter writes a body that passes its input 1 on as output 2."""
    vector = tensorflow.TensorSpec((2,), tensorflow.float32)

    @tensorflow.function(input_signature=[vector, vector])
    def fibonacci(a, b):
        return tensorflow.while_loop(
            lambda i, a, b: i < 5, lambda i, a, b: (i + 1, a + b, a), (tensorflow.constant(0), a, b)
        )[1:]

    function = fibonacci.get_concrete_function()
    graph = ptq.load(tensorflow.lite.TFLiteConverter.from_concrete_functions([function], fibonacci).convert())
    inputs = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
    meant = [y.numpy() for y in fibonacci(*inputs)]
    theirs = litert_interpreter(graph)
    for details, value in zip(theirs.get_input_details(), inputs, strict=True):
        theirs.set_tensor(details["index"], value)
    theirs.invoke()
    wrong = [theirs.get_tensor(index) for index in graph.outputs]
    assert [y.tolist() for y in meant] == [[58, 116], [35, 70]]
    assert [y.tolist() for y in wrong] == [[176, 352], [176, 352]]
    for defects, expected in (("intended", meant), ("reproduce", wrong)):
        numerics = replace(ptq.LITERT_REFERENCE, upstream_defects=defects)
        for a, b in zip(ptq.Interpreter(graph=graph, numerics=numerics).run(inputs), expected, strict=True):
            assert_same_bits(a, b, defects)
    with pytest.raises(ptq.errors.UnsupportedError, match="input 1 passed on as output 2"):
        ptq.Interpreter(graph=graph).run(inputs)
