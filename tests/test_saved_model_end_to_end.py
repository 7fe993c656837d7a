"""From a SavedModel to files that run: the same names and the same answers in LiteRT and in ptq."""

import subprocess
import sys

import numpy as np
import pytest

import ptq
from ptq.saved_model import read
from ptq.zoo import data


def files(directory):
    """The bytes of the float and of the quantized file."""
    converter = ptq.Converter.from_saved_model(directory)
    result = {"float": converter.convert()}
    converter.post_training_quantize = True
    return result | {"quantized": converter.convert()}


def answers_of_ptq(content, inputs):
    runner = ptq.Interpreter(model_content=content, numerics=ptq.LITERT_REFERENCE_ORDERED)
    return runner.get_signature_runner()(**inputs)


def answers_of_litert(content, inputs):
    from ai_edge_litert import interpreter as litert

    resolver = litert.OpResolverType.BUILTIN_REF
    interpreter = litert.Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    assert interpreter.get_signature_list().keys() == {"serving_default"}
    return interpreter.get_signature_runner()(**inputs)


def assert_same_everywhere(directory, inputs):
    """Both files: names of the signature, bits of the outputs, and the classes that come out first."""
    signature = read(directory)
    winners = {}
    for title, content in files(directory).items():
        ours, theirs = answers_of_ptq(content, inputs), answers_of_litert(content, inputs)
        names = {port.name for port in signature.outputs}
        assert ours.keys() == theirs.keys() == names
        assert inputs.keys() == {port.name for port in signature.inputs}
        for name in names:
            assert ours[name].tobytes() == theirs[name].tobytes()
        winners[title] = next(iter(ours.values())).argmax(axis=1)
    return winners


@pytest.mark.peers
def test_the_shipped_model_in_litert():
    images, labels = data.test_images()
    winners = assert_same_everywhere(data.SAVED_MODEL, {"image": images})
    assert {title: np.sum(found == labels) for title, found in winners.items()} == {
        "float": 1847, "quantized": 1846
    }  # fmt: skip


@pytest.mark.peers
def test_keyword_spotting_in_litert(shared):
    features = np.random.default_rng(0).normal(0, 1, (200, 49, 10, 1)).astype(np.float32)
    directory = shared / "saved_models" / "kws_ds_cnn"
    (port,) = read(directory).inputs
    winners = assert_same_everywhere(directory, {port.name: features})
    assert np.mean(winners["float"] == winners["quantized"]) > 0.95


def test_the_shipped_model_is_the_zoo_s():
    """Batch normalization folded from TensorFlow's graph and from the layer graph: the same answers."""
    images, _ = data.calibration_images()
    network = ptq.Converter.from_graph(ptq.zoo.fashion_ds_cnn())
    for quantize in (False, True):
        network.post_training_quantize = quantize
        expected = ptq.Interpreter(model_content=network.convert()).run([images])[0]
        content = files(data.SAVED_MODEL)["quantized" if quantize else "float"]
        found = ptq.Interpreter(model_content=content).run([images])[0]
        assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.peers
def test_the_shipped_model_is_what_the_script_writes(tmp_path):
    command = [sys.executable, "-m", "ptq.zoo.tensorflow_export", "-o", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    shipped, made = read(data.SAVED_MODEL), read(tmp_path)
    assert made.inputs == shipped.inputs and made.outputs == shipped.outputs
    assert len(made.nodes) == len(shipped.nodes)
    for found, expected in zip(made.nodes, shipped.nodes, strict=True):
        assert (found.name, found.op, found.inputs) == (expected.name, expected.op, expected.inputs)
        assert found.attributes.keys() == expected.attributes.keys()
        for key, value in expected.attributes.items():
            assert np.array_equal(found.attributes[key], value)


@pytest.mark.peers
def test_the_shipped_model_has_the_int8_weights_of_tensorflows_file():
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(data.SAVED_MODEL))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    ours, theirs = ptq.load(files(data.SAVED_MODEL)["quantized"]), ptq.load(converter.convert())
    assert [op.type for op in ours.operators] == [op.type for op in theirs.operators]
    compared = 0
    for mine, other in zip(ours.operators, theirs.operators, strict=True):
        for index, reference in zip(mine.inputs, other.inputs, strict=True):
            found, expected = ours.tensors[index], theirs.tensors[reference]
            assert found.type == expected.type
            if expected.type == "INT8":
                assert np.array_equal(found.data, expected.data)
                compared += expected.data.size
    assert compared == 19_456  # of six pointwise convolutions


def test_the_shipped_model_is_small():
    assert sum(path.stat().st_size for path in data.SAVED_MODEL.rglob("*") if path.is_file()) < 400_000
