"""The commands on TensorFlow's SavedModels: the one that ptq ships, and one with two signatures."""

import pytest

import ptq
from ptq.cli import main
from ptq.zoo import data


def run(capsys, *argv):
    assert main([str(a) for a in argv]) == 0
    return capsys.readouterr().out


@pytest.fixture
def two(shared):
    """A SavedModel with the signatures serving_default and timestwo."""
    return shared / "saved_models" / "tfjs_small" / "module_with_multiple_signatures"


def test_convert_writes_what_the_converter_does(capsys, tmp_path):
    converter = ptq.Converter.from_saved_model(data.SAVED_MODEL)
    for options in ([], ["--post-training-quantize"]):
        text = run(capsys, "convert", data.SAVED_MODEL, "-o", tmp_path / "out.tflite", *options)
        converter.post_training_quantize = bool(options)
        assert (tmp_path / "out.tflite").read_bytes() == converter.convert()
        size = sum(path.stat().st_size for path in data.SAVED_MODEL.rglob("*.*"))  # files have a suffix
        assert f" {size:,} " in text


def test_the_other_commands_read_it(capsys, tmp_path):
    text = run(capsys, "inspect", data.SAVED_MODEL)
    assert "16 operators" in text and "probabilities" in text
    assert "float32 [1x10]" in run(capsys, "run", data.SAVED_MODEL, "--random", "0")
    run(capsys, "convert", data.SAVED_MODEL, "-o", tmp_path / "same.tflite")
    text = run(capsys, "compare", data.SAVED_MODEL, tmp_path / "same.tflite", "--random", "0")
    assert "First isolated divergence beyond rounding: none." in text
    arguments = ["--op", "0", "--element", "0,1,1,1", "--random", "0"]
    assert "ptq's kernel computes the same" in run(capsys, "explain", data.SAVED_MODEL, *arguments)


def test_a_signature_is_chosen(capsys, tmp_path, two):
    run(capsys, "convert", two, "-o", tmp_path / "two.tflite", "--signature", "timestwo")
    assert [signature.key for signature in ptq.load(tmp_path / "two.tflite").signatures] == ["timestwo"]
    assert "timestwo" in run(capsys, "inspect", two, "--signature", "timestwo")
    run(capsys, "run", two, "--signature", "timestwo", "--random", "0")


@pytest.mark.parametrize("command", [["convert", "-o", "x.tflite"], ["inspect"], ["run", "--random", "0"]])
def test_an_unknown_signature_is_answered_by_those_there_are(capsys, command):
    assert main([command[0], str(data.SAVED_MODEL), "--signature", "none", *command[1:]]) == 1
    assert "the SavedModel has 'serving_default'" in capsys.readouterr().err


def test_a_file_has_no_signature_to_choose_before_converting(capsys, tmp_path):
    run(capsys, "convert", data.SAVED_MODEL, "-o", tmp_path / "a.tflite")
    with pytest.raises(SystemExit) as wrong:
        main(["convert", str(tmp_path / "a.tflite"), "-o", "b.tflite", "--signature", "serving_default"])
    assert wrong.value.code == 2 and "a SavedModel of TensorFlow" in capsys.readouterr().err
