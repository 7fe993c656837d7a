"""What quantization costs: the numbers that the documentation prints, and why one scale is not enough."""

from itertools import pairwise

import numpy as np
import pytest
from guide_tables import integers_of
from litert import assert_same_bits, run_litert

from ptq.converter import Converter
from ptq.figures.measure import TECHNIQUES
from ptq.interpreter import Interpreter
from ptq.passes.equalize import equalize, typical_steps
from ptq.passes.fold import simplify
from ptq.zoo import accuracy, data, fashion_ds_cnn
from ptq.zoo.fashion import fashion_ds_cnn_network
from ptq.zoo.layers import DepthwiseConv2D

# correct answers among the 2,000 shipped test examples, as `python -m ptq.zoo.accuracy` printed them
CORRECT = {
    "fashion_cnn": {
        "float": 1866, "float16": 1866, "hybrid, 2018": 1868, "hybrid, current": 1866,
        "int8 per tensor": 1867, "int8 per channel": 1866, "int16 x int8": 1866,
        "+ equalized": 1866, "+ bias corrected": 1867, "+ both": 1865,
    },
    "fashion_ds_cnn": {
        "float": 1847, "float16": 1847, "hybrid, 2018": 1844, "hybrid, current": 1846,
        "int8 per tensor": 1753, "int8 per channel": 1848, "int16 x int8": 1848,
        "+ equalized": 1842, "+ bias corrected": 1804, "+ both": 1843,
    },
    "country_lstm": {
        "float": 1651, "float16": 1651, "hybrid, 2018": 1651, "hybrid, current": 1651,
        "int8 per tensor": 1653, "int8 per channel": 1651, "int16 x int8": 1650, "+ bias corrected": 1652,
    },
}  # fmt: skip


@pytest.mark.parametrize("model", CORRECT)
def test_each_arithmetic_is_as_accurate_as_said(model):
    subject = accuracy.SUBJECTS[model]()
    results = [
        accuracy.measure(label, graph, subject.inputs) for label, graph in accuracy.variants(subject).items()
    ]
    found = {result.label: int(np.sum(result.classes == subject.labels)) for result in results}
    assert found.keys() == CORRECT[model].keys()
    for label, right in found.items():
        # another machine's float32 sums may move a scale by its last bit, and an image across a border
        assert abs(right - CORRECT[model][label]) <= 5, label
    sizes = {result.label: result.size for result in results}
    guide = integers_of("Size by technique", TECHNIQUES)[model]
    assert guide == {label: sizes[label] for label in TECHNIQUES}
    assert sizes["+ bias corrected"] == sizes["int8 per tensor"] < sizes["int8 per channel"] < sizes["float"]


def test_the_guide_has_these_accuracies():
    guide = integers_of("Accuracy by technique", TECHNIQUES)
    assert guide == {model: {t: right[t] for t in TECHNIQUES} for model, right in CORRECT.items()}


def dead_channels():
    """By depthwise layer: the channels in which it reads nothing but 0, and their variance after it."""
    network, x, found = fashion_ds_cnn_network(), data.calibration_images().images, {}
    network.load(data.shipped_weights("fashion_ds_cnn"))
    for layer, following in pairwise(network.layers):
        if isinstance(layer, DepthwiseConv2D):
            dead = np.flatnonzero(x.max(axis=(0, 1, 2)) == 0)
            found[layer.name] = dead, following.statistics["variance"][dead]
        x = layer.forward(x)
    return {name: both for name, both in found.items() if both[0].size}


def test_the_widest_channels_carry_nothing():
    layer, dead = accuracy.coarsest_depthwise(simplify(fashion_ds_cnn())), dead_channels()
    assert layer.first == "block1_depthwise_relu"
    assert np.sum(layer.before < layer.before.max() / 127 * 4) == 25
    assert typical_steps(layer.before) < 2
    assert typical_steps(layer.after) > 40
    assert {name: channels.size for name, (channels, _) in dead.items()} == {
        "block1_depthwise": 3, "block6_depthwise": 3
    }  # fmt: skip
    # batch norm divided by a deviation of 0: folding multiplies by gamma / sqrt(0 + epsilon)
    assert all(np.all(variance < 1e-30) for _, variance in dead.values())
    assert set(dead["block1_depthwise"][0]) == set(np.argsort(layer.before)[-3:])


def test_without_these_channels_one_scale_would_do():
    subject = accuracy.SUBJECTS["fashion_ds_cnn"]()
    graph, dead = subject.graph, dead_channels()
    for operator in graph.operators:
        name = graph.tensors[operator.outputs[0]].name.removesuffix("_relu")
        if name in dead:
            filter = graph.tensors[operator.inputs[1]]
            filter.data = filter.data.copy()
            filter.data[..., dead[name][0]] = 0
    converter = Converter.from_graph(graph)
    converter.representative_dataset, converter.per_channel = subject.samples, False
    classes = accuracy.measure("", converter.convert_to_graph(), subject.inputs).classes
    # 94 images are lost by one scale (above); 81 of them because of six channels whose weights multiply 0
    assert abs(int(np.sum(classes == subject.labels)) - 1834) <= 5


def test_equalization_reaches_every_layer_of_the_separable_network():
    _, report = equalize(simplify(fashion_ds_cnn()))
    assert len(report) == 13
    assert [name for name, _ in report.skipped] == ["dense"]
    assert all(typical_steps(pair.after) > 35 for pair in report)


def test_the_command_prints_the_table_and_draws_the_ranges(tmp_path, capsys):
    assert accuracy.main(["country_lstm", "--figure", str(tmp_path / "ranges.png")]) == 0
    assert (tmp_path / "ranges.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "country_lstm, 2,000 test examples"
    (row,) = (line.split() for line in printed if line.startswith("float "))
    assert row == ["float", "216,256", "1,651", "82.55%", "+0", "-0", "100.00%"]


def test_the_command_says_what_is_wrong(tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit, match="2"):
        accuracy.main(["resnet"])
    assert "model 'resnet' found, expected one of fashion_cnn" in capsys.readouterr().err
    monkeypatch.setattr(accuracy, "SUBJECTS", {})
    assert accuracy.main(["--figure", str(tmp_path / "missing" / "a.png")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.peers
@pytest.mark.parametrize("model", CORRECT)
def test_litert_computes_every_integer_variant_to_the_last_bit(model):
    subject = accuracy.SUBJECTS[model]()
    # sums of floats have no one order
    size, inexact = 1, ["float", "float16", "hybrid, 2018", "hybrid, current"]
    if model == "country_lstm":
        size, inexact = accuracy.BATCH, [*inexact, "int16 x int8"]  # an LSTM stays float beside int16
    for label, graph in accuracy.variants(subject).items():
        if label not in inexact:
            for first in range(0, 5 * size, size):
                x = [subject.inputs[first : first + size]]
                assert_same_bits(Interpreter(graph=graph).run(x)[0], run_litert(graph, x)[0], label)
