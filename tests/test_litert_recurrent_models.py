"""Recurrent models of others, as they are and converted, against LiteRT's reference kernels.

DTLN's first network takes noise out of speech, frame by frame, with its LSTM states as inputs and outputs;
the other model reads handwritten digits row by row, with a fused LSTM that keeps its states itself.
"""

import numpy as np
import pytest
from litert import assert_same_bits, every_tensor_of_litert, litert_interpreter
from test_litert_lstm_ops import largest_difference

import ptq
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.operators import WEIGHT_INPUTS, default_options
from ptq.quantizer import quantize_weights

pytestmark = pytest.mark.peers

EXACT = ptq.LITERT_REFERENCE_ORDERED
LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
RECIPES = ["float", "current", "2018"]


def converted(graph, recipe):
    if recipe == "float":
        return graph
    converter = ptq.Converter.from_graph(graph)
    converter.post_training_quantize, converter.recipe = True, recipe
    return ptq.load(converter.convert())


@pytest.mark.parametrize("recipe", RECIPES)
def test_noise_suppression(shared, recipe):
    graph = converted(ptq.load(shared / "models" / "dtln_1_float.tflite"), recipe)
    assert any(tensor.type == "INT8" for tensor in graph.tensors) == (recipe != "float")
    ours, theirs = ptq.Interpreter(graph=graph, numerics=EXACT), litert_interpreter(graph)
    rng = np.random.default_rng(0)
    states = np.zeros(graph.tensors[graph.inputs[1]].shape, np.float32)
    for frame in range(8):
        magnitudes = np.abs(rng.normal(0, 1 + frame, graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
        for index, value in zip(graph.inputs, (magnitudes, states), strict=True):
            theirs.set_tensor(index, value)
        theirs.invoke()
        mask, states = ours.run([magnitudes, states])
        assert_same_bits(mask, theirs.get_tensor(graph.outputs[0]), frame)
        assert_same_bits(states, theirs.get_tensor(graph.outputs[1]), frame)


def digits(shared, recipe):
    """The digit model; its LSTM's matrices have fewer than 1024 elements, so that no recipe touches them."""
    graph = converted(ptq.load(shared / "models" / "mnist_lstm_float.tflite"), recipe)
    assert graph.operators[0].type == LSTM
    return graph


@pytest.mark.parametrize("asymmetric", [False, True])
def test_digits_with_an_int8_lstm(shared, asymmetric):
    graph = digits(shared, "float")
    lstm = graph.operators[0]
    lstm.options["asymmetric_quantize_inputs"], lstm.version = asymmetric, 3
    for position in WEIGHT_INPUTS[LSTM]:
        if lstm.inputs[position] != ABSENT:
            tensor = graph.tensors[lstm.inputs[position]]
            tensor.data, tensor.quantization = quantize_weights(tensor.data)
            tensor.type = "INT8"
    ours, theirs = ptq.Interpreter(graph=graph, numerics=EXACT), litert_interpreter(graph)
    rng = np.random.default_rng(1)
    for _ in range(4):  # the states go on from one to the next
        image = rng.random((1, 28, 28), np.float32)
        theirs.set_tensor(graph.inputs[0], image)
        theirs.invoke()
        assert_same_bits(ours.run([image])[0], theirs.get_tensor(graph.outputs[0]))
        for state in lstm.inputs[18:20]:
            assert_same_bits(ours.get_tensor(state), theirs.get_tensor(state))


@pytest.mark.parametrize("recipe", RECIPES)
def test_digits_after_the_float_lstm(shared, recipe):
    """Which sums a float LSTM makes first, only LiteRT knows; all that follows it is bit-equal."""
    graph = digits(shared, recipe)
    image = np.random.default_rng(2).random((1, 28, 28), np.float32)
    expected = every_tensor_of_litert(graph, [image])
    states = graph.operators.pop(0).outputs
    graph.inputs, graph.signatures = states, []  # the signature names the input that is no more
    (scores,) = ptq.Interpreter(graph=graph, numerics=EXACT).run([expected[states[0]]])
    assert_same_bits(scores, expected[graph.outputs[0]])


def test_the_float_lstm_of_the_digits_step_by_step(shared):
    """Each step from LiteRT's own states, within the bound that `largest_difference` derives."""
    model = digits(shared, "float")
    step = Graph([Tensor(t.name, t.shape, t.type, t.data, is_variable=t.is_variable) for t in model.tensors])
    step.inputs = [step.add_tensor(Tensor("x", (1, 28)))]
    step.outputs = [step.add_tensor(Tensor("y", (1, 20)))]
    table, options = default_options("LSTM")
    options["fused_activation_function"] = "TANH"
    inputs = [step.inputs[0], *model.operators[0].inputs[1:]]
    step.operators = [Operator("LSTM", inputs, list(step.outputs), options, table)]
    ours, theirs = ptq.Interpreter(graph=step, numerics=EXACT), litert_interpreter(step)
    ours.allocate_tensors()
    states = inputs[18:20]
    for row in np.random.default_rng(3).random((28, 1, 28), np.float32):
        before = [theirs.get_tensor(index) for index in states]
        for index, value in zip(states, before, strict=True):
            ours.set_tensor(index, value)
        ours.run([row])
        theirs.set_tensor(step.inputs[0], row)
        theirs.invoke()
        for index, bound in zip(states, largest_difference(step, row, *before), strict=True):
            difference = np.abs(ours.get_tensor(index).astype(np.float64) - theirs.get_tensor(index))
            assert (difference <= bound).all()
