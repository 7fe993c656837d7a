"""Converter.from_saved_model on real SavedModels of TensorFlow: what becomes of them, without TensorFlow."""

import numpy as np
import pytest

import ptq
from ptq.errors import InputError


def types(graph):
    return [operator.type for operator in graph.operators]


@pytest.fixture
def small(shared):
    """The folder of TensorFlow.js' tiny models."""
    return shared / "saved_models" / "tfjs_small"


def test_keyword_spotting_in_four_lines(shared, tmp_path):
    converter = ptq.Converter.from_saved_model(shared / "saved_models" / "kws_ds_cnn")
    converter.post_training_quantize = True
    content = converter.convert()
    (tmp_path / "quantized_model.tflite").write_bytes(content)

    float_model = ptq.Converter.from_saved_model(shared / "saved_models" / "kws_ds_cnn").convert_to_graph()
    separable = ["DEPTHWISE_CONV_2D", "CONV_2D"] * 4
    head = ["AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert types(float_model) == ["CONV_2D", *separable, *head]
    fused = [op.options["fused_activation_function"] for op in float_model.operators[:9]]
    assert fused == ["RELU"] * 9  # and no batch normalization is left
    assert len(content) < len(ptq.dumps(float_model)) / 2

    interpreter = ptq.Interpreter(model_path=tmp_path / "quantized_model.tflite")
    features = np.random.default_rng(0).normal(0, 1, (3, 49, 10, 1)).astype(np.float32)
    (probabilities,) = interpreter.run([features])
    assert probabilities.shape == (3, 12)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=0, atol=12 * 2**-23)


def test_one_of_several_signatures(small):
    path = small / "module_with_multiple_signatures"
    results = {}
    for key in ("serving_default", "timestwo"):
        graph = ptq.Converter.from_saved_model(path, signature_key=key).convert_to_graph()
        assert [signature.key for signature in graph.signatures] == [key]
        results[key] = ptq.Interpreter(graph=graph).run([np.float32(3)])[0].item()
    assert results["timestwo"] == 6.0
    assert results["serving_default"] != 6.0
    with pytest.raises(InputError, match=r"serving_default.*timestwo|timestwo.*serving_default"):
        ptq.Converter.from_saved_model(path, signature_key="missing")


INTEGERS = {"int64_multiply": np.int64, "uint8_multiply": np.uint8, "times_two_int": np.int32}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name, small):
    graph = ptq.Converter.from_saved_model(small / name).convert_to_graph()
    (x,) = (graph.tensors[i] for i in graph.inputs)
    assert x.dtype == INTEGERS[name]
    (y,) = ptq.Interpreter(graph=graph).run([np.full(x.shape, 3, x.dtype)])
    assert np.issubdtype(y.dtype, np.integer) and y.shape == x.shape


def test_an_input_that_is_an_output_too(small):
    graph = ptq.Converter.from_saved_model(small / "model_multi_output").convert_to_graph()
    (signature,) = graph.signatures
    assert signature.outputs["output_1"] == signature.inputs["y"]
    graph.validate()


def test_a_directory_of_ptq_has_no_signature_to_choose(tmp_path):
    b = ptq.Builder()
    ptq.save_directory(b.finish(b.relu(b.input("x", (1, 2)))), tmp_path)
    with pytest.raises(InputError, match="'other' asked for, but this is no SavedModel of TensorFlow"):
        ptq.Converter.from_saved_model(tmp_path, signature_key="other")
