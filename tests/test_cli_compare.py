"""`ptq compare`: two models or two arithmetics, and the page that it writes."""

import numpy as np
import pytest
from comparison_graphs import EVERY, conv
from test_cli import fails, run, usage

from ptq.build import Builder
from ptq.converter import Converter
from ptq.format import save


def squeezed(text):
    return " ".join(text.split())


@pytest.fixture
def quarter(tmp_path):
    """A convolution whose ties double and single rounding resolve differently, and all its inputs."""
    save(conv([[1]], 0.25, 1.0), tmp_path / "quarter.tflite")
    np.save(tmp_path / "x.npy", EVERY)
    return tmp_path / "quarter.tflite", ["--input", tmp_path / "x.npy"]


@pytest.fixture
def models(tmp_path):
    """A float model and its integer form that takes integers."""
    rng = np.random.default_rng(0)
    b = Builder("net")
    x = b.fully_connected(b.input("x", (2, 8)), rng.normal(size=(8, 8)), name="dense")
    converter = Converter.from_graph(b.finish(b.softmax(x, name="p")))
    save(converter.convert_to_graph(), tmp_path / "float.tflite")
    converter.representative_dataset = [[rng.normal(size=(2, 8)).astype(np.float32)] for _ in range(9)]
    converter.inference_input_type = converter.inference_output_type = np.int8
    save(converter.convert_to_graph(), tmp_path / "int8.tflite")
    return tmp_path / "float.tflite", tmp_path / "int8.tflite"


def test_one_model_in_two_arithmetics(capsys, quarter):
    model, inputs = quarter
    text = run(capsys, "compare", model, "--numerics", "double", "single", *inputs)
    said = squeezed(text)  # a long path is wrapped
    assert f"a: {model}, PORTABLE" in said and f"b: {model}, SINGLE_ROUNDING" in said
    assert "rounding: double / single (" in text
    assert "(1 LSB; rounding: rounding)" in squeezed(text)


def test_one_name_is_compared_with_the_default(capsys, quarter):
    model, inputs = quarter
    text = run(capsys, "compare", model, "--numerics", "xnnpack", *inputs)
    said = squeezed(text)
    assert f"a: {model}, LITERT_REFERENCE" in said and f"b: {model}, XNNPACK" in said
    assert "product_rescale: kernel / float32 (" in text
    assert "bit-identical." in run(capsys, "compare", model, "--numerics", "portable", *inputs)


def test_a_model_against_its_reals(capsys, quarter):
    model, inputs = quarter
    text = run(capsys, "compare", model, "--numerics", "float", "double", *inputs)
    assert f"a: {model}, float" in text and f"b: {model}, PORTABLE" in text
    assert "0.75" in text and "half a step to the nearest integer, and one of the kernel's" in squeezed(text)
    text = run(capsys, "compare", model, "--numerics", "single", "float", *inputs)
    assert f"b: {model}, float" in text and " 0.5 " in text
    run(capsys, "compare", model, "--numerics", "float", "float", *inputs)


def test_a_float_model_against_integers_takes_the_float_inputs(capsys, models):
    text = run(capsys, "compare", *models, "--random", 0)
    assert "FULLY_CONNECTED  dense" in text and "rounding" in text
    text = run(capsys, "compare", *reversed(models), "--random", 0)
    assert "FULLY_CONNECTED  dense" in text


def test_each_of_two_models_has_its_numerics(capsys, models):
    text = run(capsys, "compare", *models, "--random", 0, "--numerics", "xnnpack")
    assert f"{models[0]}, XNNPACK" in text and f"{models[1]}, XNNPACK" in text
    text = run(capsys, "compare", *models, "--random", 0, "--numerics", "portable", "xnnpack")
    assert f"{models[0]}, PORTABLE" in text and f"{models[1]}, XNNPACK" in text


def test_the_page_is_written(capsys, tmp_path, models):
    target = tmp_path / "report.html"
    text = run(capsys, "compare", *models, "--random", 0, "--html", target)
    assert text.endswith(f"\nsaved {target}\n")
    page = target.read_text()
    assert page.startswith("<!DOCTYPE html>") and str(models[0]) in page and "<svg" in page
    where = tmp_path / "nowhere" / "report.html"
    assert "cannot be written" in fails(capsys, "compare", *models, "--random", 0, "--html", where)


def test_wrong_numerics_are_told(capsys, quarter):
    model, inputs = quarter
    assert "give a second model, or --numerics" in usage(capsys, "compare", model, *inputs)
    three = ["--numerics", "double", "single", "xnnpack"]
    assert "one name or two" in usage(capsys, "compare", model, *three, *inputs)
    error = fails(capsys, "compare", model, "--numerics", "triple", *inputs)
    assert "numerics 'triple' found" in error and "XNNPACK" in error


def test_help_defines_the_classes(capsys):
    with pytest.raises(SystemExit):
        run(capsys, "compare", "--help")
    text = squeezed(capsys.readouterr().out)
    for word in (
        "identical: ",
        "rounding: ",
        "saturation: ",
        "scale: ",
        "inherited: ",
        "isolated: ",
        "LSB: ",
    ):
        assert word in text
