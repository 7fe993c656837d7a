"""Whole models: the reference models, our files of them, and the runtime beside us."""

from dataclasses import replace

import numpy as np
import pytest
from litert import every_tensor_of_litert, run_litert

import ptq
from ptq import kernels
from ptq.kernels.call import Call
from ptq.numerics import LITERT_REFERENCE

pytestmark = pytest.mark.peers

MODELS = ["resnet8_cifar10_float", "mobilenet_v1_0.25_224_float", "toycar_autoencoder_float"]
RECIPES = ["current", "2018"]
UNCLAMPED = {"fused_activation_function": "NONE"}


def float_graph(shared, name):
    return ptq.load(shared / "models" / f"{name}.tflite")


def random_input(graph, seed=0):
    tensor = graph.tensors[graph.inputs[0]]
    return np.random.default_rng(seed).random(tensor.shape, dtype=np.float32) * 2 - 1


def quantized(graph, recipe):
    converter = ptq.Converter.from_tflite(ptq.dumps(graph))
    converter.post_training_quantize, converter.recipe = True, recipe
    return ptq.load(converter.convert())


def graph_of(shared, name, recipe):
    graph = float_graph(shared, name)
    return graph if recipe == "float" else quantized(graph, recipe)


@pytest.mark.parametrize("recipe", ["float", *RECIPES])
@pytest.mark.parametrize("name", MODELS)
def test_every_operator_on_the_runtime_s_own_inputs(shared, name, recipe):
    """Bit-equal, but for the float matrix products, whose order of summation is free (bound as derived)."""
    graph = graph_of(shared, name, recipe)
    theirs = every_tensor_of_litert(graph, [random_input(graph)])
    for operator in graph.operators:
        tensors = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
        inputs = [t.data if t is not None and t.is_constant else theirs.get(i)
                  for i, t in zip(operator.inputs, tensors, strict=True)]  # fmt: skip
        outputs = [graph.tensors[i] for i in operator.outputs]
        call = Call(operator, tensors, inputs, outputs, LITERT_REFERENCE)
        (ours,) = kernels.evaluate(call, operator.type)
        reference = theirs[operator.outputs[0]]
        product = operator.type in ("CONV_2D", "FULLY_CONNECTED")
        if product and kernels.arithmetic(operator, tensors) == "float":
            call.inputs = [None if value is None else np.abs(value) for value in inputs]
            call.operator = replace(operator, options={**operator.options, **UNCLAMPED})
            (magnitude,) = kernels.evaluate(call, operator.type)
            bound = (inputs[1][0].size + 2) * 2.0**-23 * magnitude.astype(np.float64)
            assert np.all(np.abs(ours.astype(np.float64) - reference) <= bound), operator
        else:
            assert ours.tobytes() == reference.tobytes(), operator


@pytest.mark.parametrize("name", MODELS)
def test_float_models_end_to_end(shared, name):
    """What the different orders of summation add up to over a whole model.

    A bound through all layers would be vacuous. Measured over five inputs, relative to the largest output:
    8.4e-7 (resnet8), 6.4e-6 (mobilenet, 28 layers), 3.6e-7 (toycar); the limit says "rounding, no mistake".
    """
    graph = float_graph(shared, name)
    for seed in range(5):
        x = random_input(graph, seed)
        ours, theirs = ptq.Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0]
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.parametrize("recipe", ["float", *RECIPES])
@pytest.mark.parametrize("name", MODELS)
def test_whole_models_are_bit_equal_end_to_end_with_ordered_sums(shared, name, recipe):
    graph = graph_of(shared, name, recipe)
    for seed in range(3):
        x = random_input(graph, seed)
        ours = ptq.Interpreter(graph=graph, numerics=ptq.LITERT_REFERENCE_ORDERED).run([x])[0]
        assert ours.tobytes() == run_litert(graph, [x])[0].tobytes()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_model_whose_operators_are_all_hybrid_is_bit_equal_end_to_end(shared, recipe):
    graph = quantized(float_graph(shared, "toycar_autoencoder_float"), recipe)
    x = random_input(graph)
    assert ptq.Interpreter(graph=graph).run([x])[0].tobytes() == run_litert(graph, [x])[0].tobytes()


def test_our_weights_are_tensorflow_s_element_by_element(shared):
    # the reference file is symmetric and per tensor: what recipe "2018" writes
    ours = quantized(float_graph(shared, "toycar_autoencoder_float"), "2018")
    theirs = float_graph(shared, "toycar_autoencoder_hybrid")
    assert len(ours.operators) == len(theirs.operators) == 10
    for a, b in zip(ours.operators, theirs.operators, strict=True):
        assert (a.type, a.version, a.options) == (b.type, b.version, b.options)
        w, v = ours.tensors[a.inputs[1]], theirs.tensors[b.inputs[1]]
        assert w.type == v.type == "INT8"
        assert np.array_equal(w.data, v.data)
        assert w.quantization.scale.tobytes() == v.quantization.scale.tobytes()
        assert np.array_equal(ours.tensors[a.inputs[2]].data, theirs.tensors[b.inputs[2]].data)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS[1:])
def test_models_of_a_megabyte_and_more_shrink_to_0_27(shared, name, recipe):
    graph = float_graph(shared, name)
    small = quantized(graph, recipe)
    before, after = len(ptq.dumps(graph)), len(ptq.dumps(small))
    # a channel's own scale is 4 bytes and its zero point 8; in models as narrow as these they count
    per_channel = sum(12 * t.quantized.scale.size for t in small.tensors if t.quantized)
    assert after - (per_channel if recipe == "current" else 0) <= 0.27 * before
