"""The command line as a user meets it: what it prints, what it writes, how it fails."""

import os
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from control_flow import looping_accumulator

from ptq import cli
from ptq.build import Builder
from ptq.converter import Converter
from ptq.format import load, save, save_directory
from ptq.graph import Operator, Signature, Tensor
from ptq.interpreter import Interpreter

ROOT = Path(__file__).resolve().parents[1]


def network(layers=1):
    rng = np.random.default_rng(1)
    b = Builder("net")
    x = b.input("image", (-1, 6, 6, 16))
    for i in range(layers):
        x = b.conv2d(x, rng.normal(size=(16, 3, 3, 16)) / 12, np.zeros(16), name=f"conv{i}")
    x = b.relu(b.batch_norm(x, np.ones(16), np.zeros(16), np.zeros(16), np.ones(16)), name="relu")
    x = b.mean(x, (1, 2), name="mean")
    x = b.fully_connected(x, rng.normal(size=(4, 16)), np.zeros(4), name="logits")
    return b.finish(b.softmax(x, name="probabilities"), x)


@pytest.fixture
def model(tmp_path):
    """A float .tflite file."""
    path = tmp_path / "float.tflite"
    save(Converter.from_graph(network()).convert_to_graph(), path)
    return path


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(5).normal(size=(2, 6, 6, 16)).astype(np.float32))
    return path


def run(capsys, *arguments, status=0):
    """What `main` prints to standard output; and to standard error if it fails."""
    assert cli.main([str(a) for a in arguments]) == status
    printed = capsys.readouterr()
    if status == 0:
        assert printed.err == ""
        return printed.out
    return printed.err


def fails(capsys, *arguments):
    """The one line of a failure."""
    error = run(capsys, *arguments, status=1)
    assert error.startswith("ptq: error: ") and error.endswith("\n") and error.count("\n") == 1
    return error


def usage(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([str(a) for a in arguments])
    assert stop.value.code == 2
    return capsys.readouterr().err


# --- convert ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["current", "2018"])
def test_convert_writes_what_the_converter_makes_and_prints_its_size(capsys, tmp_path, model, recipe):
    target = tmp_path / "int8.tflite"
    text = run(capsys, "convert", model, "-o", target, "--post-training-quantize", "--recipe", recipe)
    converter = Converter.from_tflite(model)
    converter.post_training_quantize, converter.recipe = True, recipe
    assert target.read_bytes() == converter.convert()
    before, after = model.stat().st_size, target.stat().st_size
    assert f" {before:,} " in text and f"{after:,}  {after / before:.3f}" in text
    scales = {"current": "2304 int8 weights, 16 scales", "2018": "2304 int8 weights, one scale"}[recipe]
    assert scales in text and "64 weights, fewer than 1024" in text


def test_the_default_recipe_is_the_current_one(capsys, tmp_path, model):
    arguments = ["convert", model, "--post-training-quantize"]
    run(capsys, *arguments, "-o", tmp_path / "a.tflite")
    run(capsys, *arguments, "-o", tmp_path / "b.tflite", "--recipe", "current")
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_convert_reads_a_saved_directory_and_folds_it(capsys, tmp_path):
    save_directory(network(), tmp_path / "saved")
    target = tmp_path / "out.tflite"
    text = run(capsys, "convert", tmp_path / "saved", "-o", target)
    assert [op.type for op in load(target).operators] == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert load(target).operators[0].options["fused_activation_function"] == "RELU"
    assert "post_training_quantize is off" in text
    size = sum(p.stat().st_size for p in (tmp_path / "saved").iterdir())
    assert f"{size:,}" in text


def test_convert_onto_its_own_input_compares_with_what_it_was(capsys, tmp_path, model):
    before = model.stat().st_size
    text = run(capsys, "convert", model, "-o", model, "--post-training-quantize")
    assert f"{before:,}" in text and model.stat().st_size < before


def test_a_long_report_is_summed_up_unless_it_is_wanted_in_full(capsys, tmp_path):
    save(network(layers=20), tmp_path / "deep.tflite")
    arguments = ["convert", tmp_path / "deep.tflite", "-o", tmp_path / "o.tflite", "--post-training-quantize"]
    short, full = run(capsys, *arguments), run(capsys, *arguments, "--verbose")
    assert "   20  CONV_2D" in short and short.count("CONV_2D") == 1
    assert full.count("CONV_2D") == 20


def test_recipe_without_quantization_is_wrong_usage(capsys, tmp_path, model):
    error = usage(capsys, "convert", model, "-o", tmp_path / "o.tflite", "--recipe", "2018")
    assert "--post-training-quantize" in error and not (tmp_path / "o.tflite").exists()


def test_an_unknown_recipe_lists_the_known_ones(capsys, tmp_path, model):
    arguments = ["-o", tmp_path / "o.tflite", "--post-training-quantize", "--recipe", "2019"]
    error = fails(capsys, "convert", model, *arguments)
    assert "'2019'" in error and "'current'" in error and "'2018'" in error


def test_a_failed_conversion_leaves_the_old_file_alone(capsys, tmp_path):
    graph = network()
    weights = next(t for t in graph.tensors if t.name == "conv0/filter")
    weights.data = np.full(weights.shape, np.nan, np.float32)
    save(graph, tmp_path / "nan.tflite")
    target = tmp_path / "o.tflite"
    target.write_bytes(b"old")
    error = fails(capsys, "convert", tmp_path / "nan.tflite", "-o", target, "--post-training-quantize")
    assert "conv0/filter" in error
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nan.tflite", "o.tflite"]


@pytest.mark.parametrize("name", ["nowhere/o.tflite", ".", "x" * 300])
def test_an_output_that_cannot_be_written_leaves_nothing(capsys, tmp_path, model, name):
    before = sorted(p.name for p in tmp_path.iterdir())
    assert "cannot be written" in fails(capsys, "convert", model, "-o", tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize("pattern", ["CONV_2D", "conv0", "re*", "r?lu"])
def test_skip_names_operators_by_type_or_output(capsys, tmp_path, pattern):
    save(Converter.from_graph(network(layers=2)).convert_to_graph(), tmp_path / "two.tflite")
    arguments = ["convert", tmp_path / "two.tflite", "-o", tmp_path / "o.tflite", "--post-training-quantize"]
    text = run(capsys, *arguments, "--skip", pattern)
    rows = [line for line in text.splitlines() if "skipped by the user" in line]
    skipped = {"CONV_2D": [0, 1], "conv0": [0]}.get(pattern, [1])  # the second one writes 'relu'
    assert [int(row.split()[0]) for row in rows] == skipped


def test_skip_may_be_given_again_and_a_slip_is_no_silence(capsys, tmp_path):
    save(Converter.from_graph(network(layers=2)).convert_to_graph(), tmp_path / "two.tflite")
    target = tmp_path / "o.tflite"
    arguments = ["convert", tmp_path / "two.tflite", "-o", target, "--post-training-quantize"]
    text = run(capsys, *arguments, "--skip", "conv0", "--skip", "relu")
    assert text.count("skipped by the user") == 2 and "hybrid" not in text
    target.unlink()
    assert "--skip 'conv2'" in fails(capsys, *arguments, "--skip", "conv0", "--skip", "conv2")
    assert not target.exists()
    assert "--skip belongs to" in usage(capsys, *arguments[:-1], "--skip", "conv0")


def test_convert_to_float16(capsys, tmp_path, model):
    target = tmp_path / "half.tflite"
    text = run(capsys, "convert", model, "-o", target, "--float16", "--skip", "logits")
    converter = Converter.from_tflite(model)
    converter.float16, converter.skip = True, lambda operator, name: name == "logits"
    assert target.read_bytes() == converter.convert()
    assert "constants stored as float16" in text and "skipped by the user" in text
    both = usage(capsys, "convert", model, "-o", target, "--float16", "--post-training-quantize")
    assert "not allowed with" in both


def test_subgraphs_and_states_are_told(capsys, tmp_path):
    graph, _ = looping_accumulator(3)
    save(graph, tmp_path / "loop.tflite")
    text = run(capsys, "run", tmp_path / "loop.tflite", "--random", 0)
    assert "1 operators, 3 more in 2 subgraphs, 1 states that were zero before in " in text
    text = run(capsys, "compare", tmp_path / "loop.tflite", tmp_path / "loop.tflite", "--random", 0)
    assert "Inside subgraphs of a, not compared: 3 operators" in text
    text = run(capsys, "convert", tmp_path / "loop.tflite", "-o", tmp_path / "o.tflite")
    assert "subgraph 1:\n#  operator" in text and "subgraph 2:\n" in text
    assert "condition 1, body 2" in run(capsys, "inspect", tmp_path / "loop.tflite")


# --- models that cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["inspect", "run", "convert", "compare"])
def test_a_model_that_cannot_be_read_is_named(capsys, tmp_path, model, command):
    damaged, empty = tmp_path / "damaged.tflite", tmp_path / "empty.tflite"
    damaged.write_bytes(model.read_bytes()[:100])
    empty.write_bytes(b"")
    folder = tmp_path / "folder"
    folder.mkdir()
    more = {
        "inspect": [], "run": ["--random", 1], "compare": [model, "--random", 1],
        "convert": ["-o", tmp_path / "o.tflite"],
    }[command]  # fmt: skip
    for path in (tmp_path / "missing.tflite", damaged, empty, folder):
        assert str(path) in fails(capsys, command, path, *more)
    assert not (tmp_path / "o.tflite").exists()


# --- run ----------------------------------------------------------------------------------------------


def test_run_prints_and_saves_what_the_interpreter_returns(capsys, tmp_path, model, image):
    text = run(capsys, "run", model, "--input", image, "-o", tmp_path / "y.npy", "--top", "1")
    probabilities, logits = Interpreter(model_path=model).run([np.load(image)])
    assert np.load(tmp_path / "y_0.npy").tobytes() == probabilities.tobytes()
    assert np.load(tmp_path / "y_1.npy").tobytes() == logits.tobytes()
    assert "output 0: 'probabilities', float32 [2x4]" in text and "output 1: 'logits', float32" in text
    best = probabilities[1].argmax()
    assert f"  [1] largest: [{best}] {probabilities[1, best]:.6g}\n" in text
    assert f"saved {tmp_path / 'y_1.npy'}" in text and " ms\n" in text


def test_run_with_random_inputs_repeats_itself(capsys, tmp_path, model):
    for name in ("a", "b"):
        run(capsys, "run", model, "--random", "3", "-o", tmp_path / f"{name}.npy")
    assert (tmp_path / "a_0.npy").read_bytes() == (tmp_path / "b_0.npy").read_bytes()


def test_run_reads_a_saved_directory(capsys, tmp_path):
    save_directory(network(), tmp_path / "saved")
    assert "output 0: 'probabilities'" in run(capsys, "run", tmp_path / "saved", "--random", "1")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 6, 6, 16)), ["'image'", "float64", "float32"]),
        (np.zeros((1, 6, 6, 16), np.uint8), ["'image'", "uint8", "float32"]),
        (np.zeros((6, 6, 16), np.float32), ["'image'", "(6, 6, 16)"]),
        (np.zeros((1, 7, 6, 16), np.float32), ["'image'", "(1, 7, 6, 16)"]),
    ],
)
def test_an_input_that_does_not_fit_is_named(capsys, tmp_path, model, array, words):
    np.save(tmp_path / "x.npy", array)
    error = fails(capsys, "run", model, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert all(word in error for word in words)
    assert not list(tmp_path.glob("y*"))


def test_inputs_that_are_missing_or_too_many(capsys, tmp_path, model, image):
    assert "missing.npy" in fails(capsys, "run", model, "--input", tmp_path / "missing.npy")
    assert "2 inputs found, expected 1" in fails(capsys, "run", model, "--input", image, "--input", image)
    assert "is no .npy file" in fails(capsys, "run", model, "--input", model)
    assert "required" in usage(capsys, "run", model)
    assert "not allowed with" in usage(capsys, "run", model, "--input", image, "--random", "1")
    assert "invalid int" in usage(capsys, "run", model, "--random", "x")
    assert "seed -1" in fails(capsys, "run", model, "--random", "-1")


@pytest.fixture
def codec(tmp_path):
    """A file with two functions: 'subtract' in the main graph, and 'double' in a subgraph."""
    b, other = Builder("subtract"), Builder("double")
    x, y = b.input("main_x", (1, 2)), b.input("main_y", (1, 2))
    graph = b.finish(b.sub(x, y))
    x = other.input("other_x", (1, 2))
    graph.subgraphs = [other.finish(other.mul(x, np.float32(2)), x)]
    graph.signatures = [
        Signature("subtract", {"b": 1, "a": 0}, {"difference": graph.outputs[0]}),
        Signature("double", {"x": 0}, dict(zip("yx", graph.subgraphs[0].outputs, strict=True)), 1),
    ]
    save(graph, tmp_path / "codec.tflite")
    for name, row in {"a": [5, 7], "b": [1, 2]}.items():
        np.save(tmp_path / f"{name}.npy", np.array([row], np.float32))
    return tmp_path / "codec.tflite"


def test_run_takes_inputs_by_the_names_of_a_signature(capsys, tmp_path, codec):
    named = ["--input", f"b={tmp_path}/b.npy", "--input", f"a={tmp_path}/a.npy"]
    by_tensor = ["--input", f"main_y={tmp_path}/b.npy", "--input", f"main_x={tmp_path}/a.npy"]
    for source in (named, by_tensor):
        text = run(capsys, "run", codec, *source, "-o", tmp_path / "out.npy")
        assert np.load(tmp_path / "out.npy").tolist() == [[4, 5]]
        assert text.startswith("output 0: 'sub'")
    text = run(capsys, "run", codec, *named, "--signature", "subtract")
    assert text.startswith("output 'difference': 'sub', float32 [1x2], 4 to 5")


def test_run_runs_the_signature_that_is_chosen(capsys, tmp_path, codec):
    for source in ("a.npy", "x=a.npy"):
        name, _, file = source.rpartition("=")
        given = f"{name}={tmp_path / file}" if name else tmp_path / file
        text = run(
            capsys, "run", codec, "--signature", "double", "--input", given, "-o", tmp_path / "out.npy"
        )
        assert "output 'x': 'other_x'" in text and "output 'y': 'mul'" in text
        assert "1 operators, 1 more in 1 subgraphs" in text
        saved = [np.load(tmp_path / f"out_{i}.npy").tolist() for i in range(2)]
        assert saved == [[[5, 7]], [[10, 14]]]
    assert "output 'y'" in run(capsys, "run", codec, "--signature", "double", "--random", "0")


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["--signature", "more", "--random", "0"], "'more' found, expected one of ['subtract', 'double']"),
        (["--input", "a=A", "--input", "B"], "b.npy' found beside NAME=FILE.npy"),
        (["--input", "a=A", "--input", "c=B"], "names ['a', 'c'] found, expected ['a', 'b']"),
        (["--input", "a=A", "--input", "a=A"], "names ['a', 'a'] found, expected ['a', 'b']"),
        (["--signature", "double", "--input", "a=A"], "names ['a'] found, expected ['x']"),
    ],
)
def test_a_wrong_name_of_an_input_or_signature_is_refused(capsys, tmp_path, codec, arguments, words):
    files = {"A": f"{tmp_path}/a.npy", "B": f"{tmp_path}/b.npy"}
    given = [a.replace("A", files["A"]).replace("B", files["B"]) for a in arguments]
    assert words in " ".join(fails(capsys, "run", codec, *given).split())


def test_inspect_lists_signatures_and_convert_keeps_them(capsys, tmp_path, codec):
    run(capsys, "convert", codec, "-o", tmp_path / "small.tflite", "--post-training-quantize")
    assert load(tmp_path / "small.tflite").signatures == load(codec).signatures
    text = run(capsys, "inspect", tmp_path / "small.tflite")
    start = text.index("signature  ")
    assert [line.split() for line in text[start:].split("\n\n")[0].splitlines()[2:]] == [
        ["subtract", "0", "input", "a", "0", "float32", "1x2"],
        ["subtract", "0", "input", "b", "1", "float32", "1x2"],
        ["subtract", "0", "output", "difference", "2", "float32", "1x2"],
        ["double", "1", "input", "x", "0", "float32", "1x2"],
        ["double", "1", "output", "x", "0", "float32", "1x2"],
        ["double", "1", "output", "y", "2", "float32", "1x2"],
    ]


def test_a_model_with_an_operator_that_ptq_does_not_have(capsys, tmp_path):
    graph = network()
    index = graph.add_tensor(Tensor("y", (1, 4)))
    graph.operators.append(Operator("CUSTOM", [graph.outputs[0]], [index], custom_code="Mine\x1b[31m"))
    save(graph, tmp_path / "custom.tflite")
    error = fails(capsys, "run", tmp_path / "custom.tflite", "--random", "1")
    assert "Mine" in error and "\x1b" not in error


# --- inspect and compare ------------------------------------------------------------------------------


def test_inspect_describes_the_file(capsys, model):
    text = run(capsys, "inspect", model)
    assert text.startswith(str(model)[:20]) and f"{model.stat().st_size:,} bytes" in " ".join(text.split())
    assert "input 0: 'image', float32 [?x6x6x16]" in text and "float32, fed as it is" in text
    assert max(map(len, text.splitlines())) <= 100


def test_inspect_verbose_gives_names_in_full(capsys, tmp_path):
    b = Builder("n")
    save(b.finish(b.relu(b.input("n" * 150, (1,)))), tmp_path / "n.tflite")
    assert "n" * 150 in run(capsys, "inspect", tmp_path / "n.tflite", "--verbose")


def test_inspect_reads_a_saved_directory(capsys, tmp_path):
    save_directory(network(), tmp_path / "saved")
    assert "tensors" in run(capsys, "inspect", tmp_path / "saved")


def test_compare_names_the_first_divergent_operator(capsys, tmp_path, model, image):
    target = tmp_path / "int8.tflite"
    run(capsys, "convert", model, "-o", target, "--post-training-quantize")
    for source in (["--input", image], ["--random", "1"]):
        text = run(capsys, "compare", model, target, *source)
        assert "(outputs not bit-identical): 0 CONV_2D, writing 'relu'" in " ".join(text.split())
        assert "(SQNR below 20 dB): none" in text
    text = run(capsys, "compare", model, target, "--input", image, "--threshold", "200")
    assert "(SQNR below 200 dB): 0 CONV_2D" in " ".join(text.split())
    assert "bit-identical." in run(capsys, "compare", model, model, "--random", "1")


def test_compare_needs_inputs_that_fit_both(capsys, tmp_path, model):
    b = Builder("other")
    save(b.finish(b.relu(b.input("x", (1, 3)))), tmp_path / "other.tflite")
    assert "model b" in fails(capsys, "compare", model, tmp_path / "other.tflite", "--random", "1")


# --- the program itself -------------------------------------------------------------------------------


def program(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ptq", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


def test_the_program_explains_itself():
    done = program("--help")
    assert done.returncode == 0 and done.stderr == ""
    for command in ("demo", "convert", "run", "inspect", "compare"):
        assert f"    {command} " in done.stdout


def test_the_program_tells_its_version(monkeypatch, capsys):
    for installed, expected in (("1.2.3", "ptq 1.2.3\n"), (None, "ptq, version unknown: ")):
        monkeypatch.setattr("importlib.metadata.version", _version(installed))
        with pytest.raises(SystemExit) as stop:
            cli.main(["--version"])
        assert not stop.value.code and capsys.readouterr().out.startswith(expected)


def _version(installed):
    def version(name):
        assert name == "ptq"
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    return version


def test_the_program_fails_with_one_line_and_no_traceback(tmp_path):
    done = program("inspect", tmp_path / "missing.tflite")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("ptq: error: ") and done.stderr.count("\n") == 1


def test_wrong_usage_has_status_2(capsys):
    assert program("frobnicate").returncode == 2
    assert "COMMAND" in usage(capsys)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_the_terminal_cannot_show_become_escapes(tmp_path, encoding, monkeypatch):
    b = Builder("n")
    save(b.finish(b.relu(b.input("größe→数", (1,)))), tmp_path / "n.tflite")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("PYTHONUTF8", "0")
    done = program("inspect", tmp_path / "n.tflite", encoding=encoding)
    assert done.returncode == 0 and r"\u2192\u6570" in done.stdout


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="this system has no broken pipes")
def test_a_reader_that_goes_away_is_no_error(model):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    cases = ((["inspect", str(model)], [cli.READER_GONE]), (["--help"], [0, cli.READER_GONE]))
    for arguments, statuses in cases:
        # argparse ignores a failed write of its help where output is not buffered: status 0
        done = subprocess.run(
            [sys.executable, "-m", "ptq", *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode in statuses and done.stderr == ""
    os.close(writing)


def test_interrupting_is_no_traceback(capsys, monkeypatch, model):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.inspect, "describe", interrupted)
    assert run(capsys, "inspect", model, status=cli.INTERRUPTED) == "ptq: interrupted\n"
