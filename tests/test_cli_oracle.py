"""ptq vectors, ptq check and ptq explain, as they are typed."""

import json
import re

import numpy as np
import pytest

import ptq
from ptq.build import Builder
from ptq.cli import main
from ptq.oracle.files import read_vectors


@pytest.fixture
def vectors(tmp_path, capsys):
    command = ["vectors", "--op", "FULLY_CONNECTED", "--arithmetic", "integer", "--numerics", "double"]
    assert main([*command, "-o", str(tmp_path / "v"), "--random", "3"]) == 0
    capsys.readouterr()
    return tmp_path / "v"


def results(vectors, folder, change=0):
    folder.mkdir(exist_ok=True)
    for case in read_vectors(vectors):
        output = case.answer("PORTABLE").outputs[0]
        (folder / f"{case.id}.0.bin").write_bytes((output + output.dtype.type(change)).tobytes())
    return folder


def test_vectors_writes_a_suite_and_says_so(tmp_path, capsys):
    command = [
        "vectors",
        "--op",
        "fully_connected",
        "--arithmetic",
        "integer",
        "-o",
        str(tmp_path),
        "--tflite",
    ]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert re.search(r"FULLY_CONNECTED +integer", text)
    assert (tmp_path / "README.md").read_text().startswith("# Test vectors")
    models = sorted((tmp_path / "FULLY_CONNECTED-integer").glob("*.tflite"))
    assert len(models) == len(read_vectors(tmp_path))
    case = next(case for case in read_vectors(tmp_path) if case.id == models[0].stem)
    interpreter = ptq.Interpreter(model_path=models[0])
    fed = [given.array for given in case.problem.operands if given.kind == "input"]
    assert np.array_equal(interpreter.run(fed)[0], case.answer("LITERT_REFERENCE").outputs[0])


def test_a_folder_that_cannot_be_made_is_an_error_and_no_traceback(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    command = ["vectors", "--op", "NEG", "--arithmetic", "float", "-o", str(tmp_path / "file")]
    assert main(command) == 1
    assert "cannot be made" in capsys.readouterr().err


def test_double_stands_for_the_portable_source(vectors):
    assert {answer.numerics for case in read_vectors(vectors) for answer in case.answers} == {("PORTABLE",)}


def test_right_results_pass(vectors, tmp_path, capsys):
    folder = results(vectors, tmp_path / "r")
    assert main(["check", str(vectors), "--results", str(folder), "--numerics", "double"]) == 0
    assert "cases right, numerics PORTABLE" in capsys.readouterr().out


def test_npy_results_pass(vectors, tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    for case in read_vectors(vectors):
        np.save(folder / f"{case.id}.0.npy", case.answer("PORTABLE").outputs[0])
    assert main(["check", str(vectors), "--results", str(folder), "--numerics", "portable"]) == 0


def test_wrong_results_are_shown_and_set_the_exit_status(vectors, tmp_path, capsys):
    folder = results(vectors, tmp_path / "r", change=1)
    assert main(["check", str(vectors), "--results", str(folder), "--numerics", "double"]) == 1
    text = capsys.readouterr().out
    assert "WRONG FULLY_CONNECTED-integer" in text
    assert "Most likely cause" in text and "How ptq comes to" in text


def test_missing_and_short_results_are_errors(vectors, tmp_path, capsys):
    folder = results(vectors, tmp_path / "r")
    first = next(iter(sorted(folder.iterdir())))
    first.write_bytes(first.read_bytes()[:-1])
    command = ["check", str(vectors), "--results", str(folder), "--numerics", "double"]
    assert main(command) == 1
    assert "bytes found, expected" in capsys.readouterr().err
    first.unlink()
    assert main(command) == 1
    assert "is missing" in capsys.readouterr().err
    assert main([*command, "--partial"]) == 0
    assert "1 more were not computed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vectors", "--op", "CONV_9D", "-o", "x"], "no test vectors found"),
        (["vectors", "--numerics", "ARM", "-o", "x"], "expected one of LITERT_REFERENCE"),
        (["vectors", "--random", "-1", "-o", "x"], "negative number"),
        (["check", "nowhere", "--results", "x"], "no manifest.json found"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line
    assert not list(tmp_path.iterdir())


def test_nothing_to_check_is_an_error(vectors, tmp_path, capsys):
    folder = results(vectors, tmp_path / "r")
    assert main(["check", str(vectors), "--results", str(folder), "--numerics", "TFLITE_MICRO"]) == 1
    assert "no case found" in capsys.readouterr().err


@pytest.fixture
def model(tmp_path):
    b = Builder("net")
    x = b.input("x", (1, 4))
    graph = b.finish(b.fully_connected(x, np.arange(8, dtype=np.float32).reshape(2, 4) / 8, np.ones(2)))
    ptq.save(graph, tmp_path / "net.tflite")
    return str(tmp_path / "net.tflite")


def test_explain_works_out_an_element(model, capsys):
    assert main(["explain", model, "--op", "0", "--element", "0,1", "--random", "0"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("FULLY_CONNECTED, output 0 [0, 1], numerics LITERT_REFERENCE")
    assert "ptq's kernel" in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--op", "3", "--element", "0,0"], "operator 3 found, expected 0 to 0"),
        (["--op", "0", "--element", "0,9"], "expected an index into shape"),
        (["--op", "0", "--element", "a"], "expected integers and commas"),
        (["--op", "0", "--element", "0,0", "--output", "1"], "output 1 found"),
    ],
)
def test_explain_says_what_does_not_exist(model, arguments, words, capsys):
    assert main(["explain", model, *arguments, "--random", "0"]) == 1
    assert words in capsys.readouterr().err


def test_the_invalid_suite_comes_with_all_operators(tmp_path, monkeypatch):
    from ptq.oracle import generate

    monkeypatch.setattr(
        generate, "DRAWS", {("FULLY_CONNECTED", "integer"): generate.DRAWS["FULLY_CONNECTED", "integer"]}
    )
    assert main(["vectors", "-o", str(tmp_path), "--random", "0"]) == 0
    assert json.loads((tmp_path / "invalid" / "manifest.json").read_text())["invalid"]
