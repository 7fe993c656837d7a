"""The four lines of the announcement, and what the converter refuses."""

import numpy as np
import pytest

import ptq
from ptq.errors import FormatError, InputError, PtqError


@pytest.fixture
def graph():
    b = ptq.Builder("net")
    x = b.input("image", (-1, 8, 8, 3))
    rng = np.random.default_rng(0)
    x = b.conv2d(x, rng.normal(0, 1, (64, 3, 3, 3)).astype(np.float32))
    x = b.relu(b.batch_norm(x, *(rng.uniform(0.5, 1, 64).astype(np.float32) for _ in range(4))))
    x = b.fully_connected(b.mean(x, (1, 2)), rng.normal(0, 1, (10, 64)).astype(np.float32))
    return b.finish(b.softmax(x))


def test_the_four_lines_of_the_announcement(graph, tmp_path):
    saved_model_dir = tmp_path / "saved"
    ptq.save_directory(graph, saved_model_dir)
    converter = ptq.Converter.from_saved_model(saved_model_dir)
    converter.post_training_quantize = True
    content = converter.convert()
    (tmp_path / "model.tflite").write_bytes(content)

    assert [d.type for d in converter.report] == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert converter.report.counts()["hybrid"] == 1
    assert "640 weights, fewer than 1024" in str(converter.report)
    image = np.random.default_rng(1).random((2, 8, 8, 3), dtype=np.float32)
    small = ptq.Interpreter(model_path=tmp_path / "model.tflite").run([image])[0]
    exact = ptq.Interpreter(graph=graph).run([image])[0]
    assert small.shape == exact.shape == (2, 10)
    assert not np.array_equal(small, exact)
    # 27 products, each with weights and pixels half a step off, stay well below a tenth of the range
    assert np.abs(small - exact).max() < 0.1


def test_without_quantization_the_file_is_float_and_the_report_says_why(graph):
    converter = ptq.Converter.from_graph(graph)
    model = ptq.load(converter.convert())
    assert {t.type for t in model.tensors} == {"FLOAT32", "INT32"}
    assert all(d.arithmetic != "hybrid" for d in converter.report)
    assert "post_training_quantize is off" in str(converter.report)


def test_converting_twice_gives_the_same_bytes(graph):
    converter = ptq.Converter.from_graph(graph)
    converter.post_training_quantize = True
    assert converter.convert() == converter.convert()


@pytest.mark.parametrize("name", ["inference_input_type", "inference_output_type"])
def test_integer_borders_are_refused_without_samples(graph, name):
    converter = ptq.Converter.from_graph(graph)
    setattr(converter, name, np.int8)
    with pytest.raises(InputError, match="no representative_dataset"):
        converter.convert()


def test_a_misspelt_option_is_refused_not_ignored(graph):
    with pytest.raises(InputError, match=r"post_training_quantise.*expected one of"):
        ptq.Converter.from_graph(graph).post_training_quantise = True


def test_an_unknown_recipe_is_refused(graph):
    converter = ptq.Converter.from_graph(graph)
    converter.recipe = "2017"
    with pytest.raises(InputError, match="2017"):
        converter.convert()


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(PtqError):
        ptq.Converter.from_saved_model(tmp_path)
    with pytest.raises(InputError):
        ptq.Converter.from_tflite(tmp_path / "absent.tflite")
    with pytest.raises(FormatError):
        ptq.Converter.from_tflite(b"not a model")


def test_float16_halves_the_weights_and_computes_in_float(graph):
    exact, half = ptq.Converter.from_graph(graph), ptq.Converter.from_graph(graph)
    half.float16 = True
    model, halved = (ptq.load(converter.convert()) for converter in (exact, half))
    constants = [[t for t in m.tensors if t.is_constant and "FLOAT" in t.type] for m in (model, halved)]
    sizes = [sum(t.data.nbytes for t in group) for group in constants]
    assert sizes[1] * 2 == sizes[0]
    assert "hybrid" not in half.report.counts()
    assert "constants stored as float16, read through DEQUANTIZE" in str(half.report)
    for tensor in model.tensors:
        if tensor.is_constant and tensor.type == "FLOAT32":
            tensor.data = tensor.data.astype(np.float16).astype(np.float32)
    image = np.random.default_rng(1).random((2, 8, 8, 3), dtype=np.float32)
    rounded, stored = (ptq.Interpreter(graph=m).run([image])[0] for m in (model, halved))
    assert rounded.tobytes() == stored.tobytes()


def test_float16_and_int8_together_are_refused(graph):
    converter = ptq.Converter.from_graph(graph)
    converter.post_training_quantize = converter.float16 = True
    with pytest.raises(InputError, match="both float16 and post_training_quantize"):
        converter.convert()


@pytest.mark.parametrize("option", ["post_training_quantize", "float16"])
def test_operators_to_skip_stay_float_and_the_report_says_so(graph, option):
    converter = ptq.Converter.from_graph(graph)
    setattr(converter, option, True)
    converter.skip = lambda operator, name: operator.type == "CONV_2D"
    model = ptq.load(converter.convert())
    conv = next(o for o in model.operators if o.type == "CONV_2D")
    assert [model.tensors[i].type for i in conv.inputs] == ["FLOAT32"] * 3
    reasons = {d.type: d.reason for d in converter.report}
    assert reasons["CONV_2D"] == "skipped by the user"
    converter.skip = None
    converter.convert()
    assert "skipped" not in str(converter.report)


@pytest.mark.parametrize("wrong", ["CONV_2D", True, ["CONV_2D"]])
def test_what_is_no_function_cannot_say_what_to_skip(graph, wrong):
    with pytest.raises(InputError, match=f"skip: {type(wrong).__name__} found, expected a function"):
        ptq.Converter.from_graph(graph).skip = wrong
