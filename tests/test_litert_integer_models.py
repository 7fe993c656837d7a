"""Whole integer models: our files in our interpreter and in LiteRT, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from integer_graphs import CASES, calibrated, random_graph, samples_for
from litert import run_litert

import ptq
from ptq import zoo
from ptq.build import Builder
from ptq.builder.recurrent import LSTMWeights
from ptq.passes.full_integer import quantize_full_integer
from ptq.passes.integer_rules import Scheme
from ptq.quantizer import sqnr

pytestmark = pytest.mark.peers

MODELS = ["resnet8_cifar10_float", "mobilenet_v1_0.25_224_float", "toycar_autoencoder_float"]
SCHEMES = [Scheme(), Scheme("INT8", False, "INT8", "UINT8"), Scheme("INT8", True, "UINT8", "INT8")]
NOT_IN_THE_REFERENCE = ("tiling",)
"""int8 TILE has version 3, which LiteRT's reference resolver does not know."""

ORDERED = replace(ptq.LITERT_REFERENCE_ORDERED, upstream_defects="reproduce")


def as_taken(graph, sample):
    """A float sample as the types that a model's inputs have."""
    tensors = [graph.tensors[i] for i in graph.inputs]
    return [
        ptq.quantizer.quantize(x, t.quantized, t.dtype) if t.quantized is not None else x
        for x, t in zip(sample, tensors, strict=True)
    ]


def assert_runs_as_in_litert(graph, samples):
    interpreter = ptq.Interpreter(model_content=ptq.dumps(graph), numerics=ORDERED)
    for sample in samples:
        inputs = as_taken(graph, sample)
        interpreter.reset_all_variables()
        for ours, theirs in zip(interpreter.run(inputs), run_litert(graph, inputs), strict=True):
            assert ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("scheme", SCHEMES, ids=["float", "int8_to_uint8", "uint8_to_int8"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_IN_THE_REFERENCE])
def test_a_case_runs_as_in_litert(name, scheme):
    graph = CASES[name]()
    assert_runs_as_in_litert(quantize_full_integer(graph, calibrated(graph), scheme)[0], samples_for(graph))


@pytest.mark.parametrize("seeds", [range(n, n + 10) for n in range(0, 60, 10)], ids=str)
def test_random_graphs_run_as_in_litert(seeds):
    for seed in seeds:
        graph = random_graph(seed)
        quantized, _ = quantize_full_integer(graph, calibrated(graph), SCHEMES[seed % 3])
        assert_runs_as_in_litert(quantized, samples_for(graph, 1))


@pytest.mark.parametrize("per_channel", [True, False], ids=["per_channel", "per_tensor"])
@pytest.mark.parametrize("name", MODELS)
def test_the_models_run_as_in_litert(shared, name, per_channel):
    graph = ptq.load(shared / "models" / f"{name}.tflite")
    scheme = Scheme("INT8", per_channel, "INT8", "INT8")
    quantized, _ = quantize_full_integer(graph, calibrated(graph), scheme)
    assert_runs_as_in_litert(quantized, samples_for(graph))


@pytest.mark.parametrize("activations", ["INT8", "INT16"])
@pytest.mark.parametrize("name", ["fashion_cnn", "fashion_ds_cnn"])
def test_the_trained_classifiers_run_as_in_litert_and_classify_alike(name, activations):
    graph = getattr(zoo, name)()
    images = [[x[np.newaxis]] for x in zoo.data.test_images().images[:20]]
    calibration = ptq.calibration.calibrate(graph, images)
    quantized, _ = quantize_full_integer(graph, calibration, Scheme(activations))
    assert_runs_as_in_litert(quantized, images[:4])
    floats, integers = ptq.Interpreter(graph=graph), ptq.Interpreter(graph=quantized)
    logits = [(floats.run(image)[0], integers.run(image)[0]) for image in images]
    assert sqnr(*map(np.stack, zip(*logits, strict=True))) > (15 if activations == "INT8" else 30)


INT16 = ["convolutions", "convolution_without_bias", "dense_layers", "pools", "functions_with_fixed_outputs"]


@pytest.mark.parametrize("name", [*INT16, "concatenation", "packing", "gathering", "float_in_the_middle"])
def test_a_case_with_int16_activations_runs_as_in_litert(name):
    graph = CASES[name]()
    quantized, _ = quantize_full_integer(graph, calibrated(graph), Scheme("INT16", True, "INT16", "INT16"))
    assert_runs_as_in_litert(quantized, samples_for(graph))


# --- recurrent --------------------------------------------------------------------------------------


def recurrent_case(time_major, coupled, seed):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def gates(*shape):
        return [None if coupled and gate == 0 else normal(*shape) for gate in range(4)]

    b = Builder()
    x = b.input("x", (5, 2, 6) if time_major else (2, 5, 6))
    weights = LSTMWeights(gates(8, 6), gates(8, 8), gates(8))
    y = b.unidirectional_sequence_lstm(x, weights, time_major=time_major)
    return b.finish(b.fully_connected(b.reshape(y, (-1, 8)), normal(3, 8), normal(3)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("coupled", [False, True], ids=["four_gates", "coupled"])
@pytest.mark.parametrize("time_major", [False, True], ids=["batch_major", "time_major"])
def test_a_fused_lstm_is_calibrated_and_runs_as_in_litert(time_major, coupled, seed):
    graph = recurrent_case(time_major, coupled, seed)
    quantized, report = quantize_full_integer(graph, calibrated(graph), Scheme("INT8", True, "INT8", "INT8"))
    assert report[0].arithmetic == "integer"
    assert_runs_as_in_litert(quantized, samples_for(graph))


def test_the_trained_lstm_runs_as_in_litert_and_classifies_alike():
    graph = zoo.country_lstm()
    ids = zoo.names.test_names().ids
    converter = ptq.Converter.from_graph(graph)
    converter.representative_dataset = [[x[np.newaxis]] for x in zoo.names.calibration_names().ids[:40]]
    integers = ptq.Interpreter(model_content=converter.convert())
    floats = ptq.Interpreter(graph=graph)
    answers = []
    for x in ids[:40, np.newaxis]:
        floats.reset_all_variables()
        integers.reset_all_variables()
        ours = integers.run([x])[0]
        assert ours.tobytes() == run_litert(integers.graph, [x])[0].tobytes()
        answers.append((floats.run([x])[0].argmax(), ours.argmax()))
    assert sum(a == b for a, b in answers) >= 38
