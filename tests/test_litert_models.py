"""Whole models: the reference models, our files of them, and the runtime beside us."""

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


def float_graph(shared, name):
    return ptq.load(shared / "models" / f"{name}.tflite")


def random_input(graph, seed=0):
    tensor = graph.tensors[graph.inputs[0]]
    return np.random.default_rng(seed).random(tensor.shape, dtype=np.float32) * 2 - 1


def quantized(graph, recipe):
    converter = ptq.Converter.from_tflite(ptq.dumps(graph))
    converter.post_training_quantize, converter.recipe = True, recipe
    return ptq.load(converter.convert())


@pytest.mark.parametrize("name", MODELS)
def test_float_models_agree_to_float_rounding(shared, name):
    graph = float_graph(shared, name)
    x = random_input(graph)
    ours, theirs = ptq.Interpreter(graph=graph).run([x])[0], run_litert(graph, [x])[0]
    # Only the order of summation differs. A first-order bound through the layers would be vacuous; the
    # difference is measured (1.2e-6 at most) and stated with the room that another BLAS may need.
    assert np.abs(ours - theirs).max() <= 2e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_every_hybrid_operator_of_our_files_is_bit_equal_on_the_runtime_s_own_inputs(shared, name, recipe):
    graph = quantized(float_graph(shared, name), recipe)
    x = random_input(graph)
    theirs = every_tensor_of_litert(graph, [x])
    compared = 0
    for operator in graph.operators:
        tensors = [graph.tensors[i] if i >= 0 else None for i in operator.inputs]
        if kernels.arithmetic(operator, tensors) != "hybrid":
            continue
        inputs = [t.data if t is not None and t.is_constant else theirs.get(i)
                  for i, t in zip(operator.inputs, tensors, strict=True)]  # fmt: skip
        outputs = [graph.tensors[i] for i in operator.outputs]
        call = Call(operator, tensors, inputs, outputs, LITERT_REFERENCE)
        (ours,) = kernels.evaluate(call, operator.type)
        assert ours.tobytes() == theirs[operator.outputs[0]].tobytes()
        compared += 1
    assert compared > 0


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
