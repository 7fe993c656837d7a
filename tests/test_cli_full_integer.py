"""`ptq convert --full-integer` as a user meets it."""

import numpy as np
import pytest
from test_cli import fails, network, run, usage

from ptq.build import Builder
from ptq.converter import Converter
from ptq.format import load, save, save_directory
from ptq.graph import Signature
from ptq.observers import Percentile


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "float.tflite"
    save(Converter.from_graph(network()).convert_to_graph(), path)
    return path


@pytest.fixture
def images():
    return np.random.default_rng(6).normal(size=(5, 6, 6, 16)).astype(np.float32)


@pytest.fixture
def samples(tmp_path, images):
    np.save(tmp_path / "images.npy", images)
    return tmp_path / "images.npy"


def expected(model, images, **options):
    converter = Converter.from_tflite(model)
    converter.representative_dataset = [[x] for x in images[:, np.newaxis]]
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert()


INT8_BORDER = {"inference_input_type": np.int8, "inference_output_type": np.int8}
INT16 = {"inference_input_type": np.int16, "inference_output_type": np.int16, "activations": np.int16}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("", {}),
        ("--io float --observer min-max", {}),
        ("--io int8", INT8_BORDER),
        ("--io uint8", dict.fromkeys(INT8_BORDER, np.uint8)),
        ("--io int16 --int16-activations", INT16),
        ("--per-tensor", {"per_channel": False}),
        ("--observer percentile:99", {"observer": Percentile(99)}),
        ("--skip CONV_2D", {"skip": lambda operator, name: operator.type == "CONV_2D"}),
    ],
)
def test_it_writes_what_the_converter_makes(capsys, tmp_path, model, images, samples, arguments, options):
    target = tmp_path / "int8.tflite"
    command = ["convert", model, "-o", target, "--full-integer", "--samples", samples, *arguments.split()]
    text = run(capsys, *command)
    assert target.read_bytes() == expected(model, images, **options)
    assert ("skipped by the user" if "skip" in options else "2304 int8 weights") in text


def test_different_options_write_different_files(capsys, tmp_path, model, samples):
    """Otherwise the comparisons above would not show that an option is obeyed."""
    contents = set()
    for more in ([], ["--per-tensor"], ["--io", "int8"], ["--observer", "percentile:99"]):
        command = ["convert", model, "-o", tmp_path / "o.tflite", "--full-integer", "--samples", samples]
        run(capsys, *command, *more)
        contents.add((tmp_path / "o.tflite").read_bytes())
    assert len(contents) == 4


def test_the_quality_table_is_shown_on_request(capsys, tmp_path, model, samples):
    command = ["convert", model, "-o", tmp_path / "o.tflite", "--full-integer", "--samples", samples]
    assert "SQNR dB" not in run(capsys, *command)
    text = run(capsys, *command, "--quality")
    table = text[text.index("SQNR dB") :].splitlines()[2:]
    assert [row.split()[0] for row in table] == ["QUANTIZE", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert all(float(row.split()[-1]) > 20 for row in table)


def test_a_saved_directory_is_folded_first(capsys, tmp_path, images, samples):
    save_directory(network(), tmp_path / "saved")
    target = tmp_path / "o.tflite"
    command = ["convert", tmp_path / "saved", "-o", target, "--full-integer", "--samples", samples]
    run(capsys, *command, "--io", "int8", "--quality")
    kinds = [operator.type for operator in load(target).operators]
    assert kinds == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]


# --- several inputs -----------------------------------------------------------------------------------


def two_inputs():
    b = Builder()
    return b.finish(b.add(b.input("x", (1, 3)), b.mul(b.input("y", (2, 1, 3)), np.ones(3, np.float32))))


@pytest.mark.parametrize("form", ["archive", "signature", "files"])
def test_several_inputs(capsys, tmp_path, form):
    """x has as many dimensions as the model's input, whose first is the batch; y has one more."""
    graph = two_inputs()
    graph.signatures = [Signature("serve", dict(zip("ab", graph.inputs, strict=True)), {})]
    save(graph, tmp_path / "two.tflite")
    rng = np.random.default_rng(2)
    x, y = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 3), (4, 2, 1, 3)))
    if form != "files":
        arrays = {"y": y, "x": x} if form == "archive" else {"b": y, "a": x}
        np.savez(tmp_path / "samples.npz", **arrays)
        source = ["--samples", tmp_path / "samples.npz"]
    else:
        np.save(tmp_path / "x.npy", x)
        np.save(tmp_path / "y.npy", y)
        source = ["--samples", tmp_path / "x.npy", "--samples", tmp_path / "y.npy"]
    run(capsys, "convert", tmp_path / "two.tflite", "-o", tmp_path / "o.tflite", "--full-integer", *source)
    converter = Converter.from_tflite(tmp_path / "two.tflite")
    converter.representative_dataset = [[x[i : i + 1], y[i]] for i in range(4)]
    assert (tmp_path / "o.tflite").read_bytes() == converter.convert()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.ones((4, 3))}, ["'x' found", "'x', 'y'"]),
        ({"x": np.ones((4, 3)), "z": np.ones(4)}, ["'x', 'z' found", "'x', 'y'"]),
        ({"x": np.ones((4, 3)), "y": np.ones((5, 2, 1, 3))}, ["'x': 4", "'y': 5"]),
        ({"x": np.ones(3), "y": np.ones((4, 2, 1, 3))}, ["'x'", "[3]"]),
        ({"x": np.ones((0, 3)), "y": np.ones((0, 2, 1, 3))}, ["no samples"]),
        ({"x": np.ones((4, 5)), "y": np.ones((4, 2, 1, 3))}, ["'x'", "(1, 5)", "(1, 3)"]),
    ],
)
def test_samples_that_do_not_fit_are_told(capsys, tmp_path, arrays, words):
    save(two_inputs(), tmp_path / "two.tflite")
    np.savez(tmp_path / "s.npz", **{name: value.astype(np.float32) for name, value in arrays.items()})
    command = ["convert", tmp_path / "two.tflite", "-o", tmp_path / "o.tflite", "--full-integer"]
    error = fails(capsys, *command, "--samples", tmp_path / "s.npz")
    assert all(word in error for word in words), error
    assert not (tmp_path / "o.tflite").exists()


# --- what cannot be -----------------------------------------------------------------------------------


def test_samples_that_cannot_be_read(capsys, tmp_path, model, samples, images):
    command = ["convert", model, "-o", tmp_path / "o.tflite", "--full-integer", "--samples"]
    assert "missing.npz" in fails(capsys, *command, tmp_path / "missing.npz")
    assert "is no .npy file" in fails(capsys, *command, model)
    (tmp_path / "damaged.npz").write_bytes(samples.read_bytes()[:50])
    assert "damaged.npz' is no .npz file" in fails(capsys, *command, tmp_path / "damaged.npz")
    np.savez(tmp_path / "objects.npz", image=np.array([{}], object))
    assert "objects.npz' is no .npz file" in fails(capsys, *command, tmp_path / "objects.npz")
    assert "2 files found" in fails(capsys, *command, samples, "--samples", samples)
    np.save(tmp_path / "doubles.npy", images.astype(np.float64))
    assert "astype(np.float32)" in fails(capsys, *command, tmp_path / "doubles.npy")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--observer", "largest"], "'largest' found, expected one of min-max"),
        (["--observer", "min-max:3"], "'min-max:3'"),
        (["--observer", "percentile:all"], "'percentile:all'"),
        (["--observer", "percentile:101"], "101"),
        (["--io", "int16"], "INT16 found, expected one of FLOAT32, INT8, UINT8"),
    ],
)
def test_options_without_a_meaning(capsys, tmp_path, model, samples, arguments, word):
    command = ["convert", model, "-o", tmp_path / "o.tflite", "--full-integer", "--samples", samples]
    assert word in fails(capsys, *command, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--io", "int8"], ["--per-tensor"], ["--int16-activations"], ["--observer", "entropy"], ["--quality"]],
)
def test_options_of_full_integer_belong_to_it(capsys, tmp_path, model, samples, arguments):
    command = ["convert", model, "-o", tmp_path / "o.tflite", *arguments]
    assert f"{arguments[0]} belongs to --full-integer" in usage(capsys, *command)
    assert f"{arguments[0]} belongs to" in usage(capsys, *command, "--post-training-quantize")
    assert "--full-integer needs --samples" in usage(capsys, *command, "--full-integer")
    assert "--samples belongs to" in usage(capsys, *command[:4], "--samples", samples)
    assert "not allowed with" in usage(capsys, *command, "--full-integer", "--float16")
