"""The four lines of the announcement, and what the converter refuses."""

import numpy as np
import pytest

import ptq
from ptq.errors import FormatError, InputError, PtqError, UnsupportedError


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


@pytest.mark.parametrize("name", ["representative_dataset", "inference_input_type"])
def test_full_integer_options_are_refused_not_ignored(graph, name):
    with pytest.raises(UnsupportedError, match=name):
        setattr(ptq.Converter.from_graph(graph), name, None)


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
