"""The demonstration: real files, counted accuracy, and results that do not depend on the batches."""

import re

import numpy as np
import pytest

from ptq import cli, demo, zoo
from ptq.errors import InputError
from ptq.format import load
from ptq.interpreter import Interpreter

IMAGES, LABELS = zoo.data.test_images()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return demo.write_models(tmp_path_factory.mktemp("demo") / "new" / "folder")


def test_the_files_are_a_float_model_and_its_quantized_forms(models):
    assert [m.recipe for m in models] == [None, "current", "2018"]
    for model in models:
        graph = load(model.path)
        assert model.size == model.path.stat().st_size
        types = [graph.tensors[o.inputs[1]].type for o in graph.operators if o.type == "FULLY_CONNECTED"]
        assert types == ["FLOAT32" if model.recipe is None else "INT8"] * 2
    for model, scales in ((models[1], 64), (models[2], 1)):
        graph = load(model.path)
        assert graph.tensors[graph.operators[2].inputs[1]].quantized.scale.size == scales


def test_the_quantized_files_are_four_times_smaller_and_as_accurate(models):
    float_right = None
    for model in models:
        right = np.mean(demo.classify(model, IMAGES[:400]).classes == LABELS[:400])
        if float_right is None:
            float_right = right
            assert right > 0.85
            continue
        assert model.size / models[0].size < 0.27
        assert abs(right - float_right) <= 0.01


def outputs(interpreter, images):
    interpreter.run([images])
    return [interpreter.get_tensor(operator.outputs[0]) for operator in interpreter.graph.operators]


@pytest.mark.parametrize("position", [1, 2])
def test_the_quantized_models_do_not_depend_on_the_batch(models, position):
    # convolutions go image by image, hybrid dense layers quantize row by row and sum integers
    interpreter = Interpreter(model_path=models[position].path)
    together = outputs(interpreter, IMAGES[: demo.BATCH])
    for i in range(demo.BATCH):
        for operator, batched, alone in zip(
            interpreter.graph.operators, together, outputs(interpreter, IMAGES[i : i + 1]), strict=True
        ):
            assert alone[0].tobytes() == batched[i].tobytes(), operator.type


def test_the_float_model_depends_on_the_batch_by_the_order_of_summation_alone(models):
    interpreter = Interpreter(model_path=models[0].path)
    together = outputs(interpreter, IMAGES[: demo.BATCH])
    dense = next(i for i, o in enumerate(interpreter.graph.operators) if o.type == "FULLY_CONNECTED")
    weights = np.abs(interpreter.get_tensor(interpreter.graph.operators[dense].inputs[1]).astype(np.float64))
    for i in range(demo.BATCH):
        alone = outputs(interpreter, IMAGES[i : i + 1])
        assert alone[dense - 1][0].tobytes() == together[dense - 1][i].tobytes()
        # each of two orders of n products and n sums is off by at most n * 2^-23 * sum |w||x|
        bound = 2 * weights.shape[1] * 2.0**-23 * (weights @ np.abs(alone[dense - 1][0].astype(np.float64)))
        assert np.all(np.abs(alone[dense][0].astype(np.float64) - together[dense][i]) <= bound)
        assert alone[-1][0].argmax() == together[-1][i].argmax()


def test_classify_counts_every_image_once(models):
    count = 2 * demo.BATCH + 7
    classes = demo.classify(models[1], IMAGES[:count]).classes
    assert classes.shape == (count,)
    (whole,) = Interpreter(model_path=models[1].path).run([IMAGES[:count]])
    assert np.array_equal(classes, whole.argmax(axis=1))


def test_the_table_is_computed_from_the_runs(models):
    labels = np.array([0, 1, 2, 3])
    runs = [
        demo.Run(np.array([0, 1, 2, 9]), 0.004),
        demo.Run(np.array([0, 1, 9, 3]), 0.008),
        demo.Run(np.array([9, 1, 9, 9]), 0.012),
    ]
    lines = demo.result_table(models, runs, labels).splitlines()
    find = {cells[0]: cells[1:] for cells in (re.split(r"  +", line) for line in lines)}
    assert find["images classified right"] == ["75.00 % (3)", "75.00 % (3)", "25.00 % (1)"]
    assert find["gained and lost against float"] == ["+0 -0", "+1 -1", "+0 -2"]
    assert find["same class as float"] == ["100.00 % (4)", "50.00 % (2)", "50.00 % (2)"]
    assert find["time per image"] == ["1.00 ms", "2.00 ms", "3.00 ms"]
    assert find["bytes"] == [f"{m.path.stat().st_size:,}" for m in models]


def test_the_command_prints_the_report_and_keeps_the_terminal_clean(capsys, tmp_path):
    assert cli.main(["demo", "-o", str(tmp_path / "d"), "--images", "100"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""  # no progress bar in a pipe
    assert max(map(len, (line for line in printed.out.splitlines() if str(tmp_path) not in line))) <= 100
    assert "100 test images not seen in training" in " ".join(printed.out.split())
    for graph_line in ("CONV_2D          float       288 weights, fewer than 1024", "ptq inspect "):
        assert graph_line in printed.out
    written = sorted(p.name for p in (tmp_path / "d").iterdir())
    assert written == [f"fashion_cnn_{kind}.tflite" for kind in ("float", "int8_2018", "int8_current")]


def test_a_recurrent_model_is_run_from_fresh_states(tmp_path):
    models = demo.write_models(tmp_path, "country_lstm")
    ids, labels = zoo.names.test_names()
    count = 2 * demo.BATCH + 7
    classes = demo.classify(models[1], ids[:count]).classes
    backwards = demo.classify(models[1], ids[:count][::-1]).classes
    assert classes.shape == (count,)
    assert np.array_equal(classes, backwards[::-1])
    assert np.mean(classes == labels[:count]) > 0.75


def test_the_command_demonstrates_another_model(capsys, tmp_path):
    arguments = ["demo", "-o", str(tmp_path / "d"), "--images", "60", "--model", "country_lstm"]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "60 test names not seen in training" in " ".join(printed.split())
    assert re.search(r"names classified right +\d", printed)
    assert re.search(r"UNIDIRECTIONAL_SEQUENCE_LSTM +hybrid", printed)
    assert (tmp_path / "d" / "country_lstm_int8_current.tflite").is_file()


def test_a_model_that_is_not_shipped(tmp_path):
    with pytest.raises(InputError, match=r"'resnet' found, expected one of fashion_cnn.*country_lstm"):
        demo.demo(tmp_path / "d", 10, name="resnet")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("count", [0, -1, 2001])
def test_a_number_of_images_that_there_is_not(tmp_path, count):
    with pytest.raises(InputError, match=rf"{count} images found, expected 1 to 2000"):
        demo.demo(tmp_path / "d", count)
    assert not (tmp_path / "d").exists()


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"file.*cannot be made"):
            demo.demo(path, 10)
