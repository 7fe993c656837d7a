"""`ptq figures`: what it measures, draws and writes beside the published numbers, and says is missing."""

import re
import sys

import numpy as np
import pytest
from guide_tables import GUIDE, PAGE, integers_of, lines_of

import ptq
from ptq import cli, figures, zoo
from ptq.errors import InputError
from ptq.figures import draw, guide, measure, text, timing
from ptq.figures.measure import FORMS, NETWORKS, RUNTIMES, TECHNIQUES, Accuracy, Network, Performance
from ptq.figures.payload import payload
from ptq.figures.published import INCEPTION_V3, MOBILENET_V1, MOBILENET_V2, RESNET_V2_101


def performance(name="mobilenet_v1", runtimes=RUNTIMES):
    sizes = dict(zip(FORMS, (16_897_156, 4_274_484, 4_414_660), strict=True))
    times = [(0.006 * n, 0.003 * n, 0.002) for n in range(1, len(runtimes) + 1)]
    seconds = {r: dict(zip(FORMS, t, strict=True)) for r, t in zip(runtimes, times, strict=True)}
    return Performance(NETWORKS[name], sizes, seconds)


def accuracy():
    right = dict(zip(FORMS, (360, 359, 361), strict=True))
    return Accuracy("fashion_cnn", 400, right, dict.fromkeys(FORMS, 9))


def heights(area):
    return [round(patch.get_height(), 3) for patch in area.patches]


@pytest.fixture
def small(monkeypatch):
    """A small network in the place of MobileNet-v1, whose published numbers it keeps."""
    network = Network("MobileNet-v1", lambda: zoo.mobilenet_v1(0.25, 32), MOBILENET_V1)
    monkeypatch.setitem(NETWORKS, "mobilenet_v1", network)


def test_the_published_numbers_agree_with_what_was_announced():
    """A quarter of the size; 10 to 50 % faster, but for MobileNet-v2; large networks lose under a point."""
    networks = {"v1": MOBILENET_V1, "v2": MOBILENET_V2, "inception": INCEPTION_V3, "resnet": RESNET_V2_101}
    for network in networks.values():
        assert network.megabytes[1] / network.megabytes[0] == pytest.approx(0.25, abs=0.01)
    speedups = {name: round(network.speedup, 2) for name, network in networks.items()}
    assert speedups == {"v1": 1.24, "v2": 0.97, "inception": 1.34, "resnet": 1.39}
    assert max(n.top1[0] - n.top1[1] for n in (INCEPTION_V3, RESNET_V2_101)) < 0.01


def test_medians_without_the_first_run():
    times, calls = iter([0, 10, 20, 21, 30, 37, 40, 42, 50, 53]), []  # the first runs have a start alone
    runners = {name: lambda name=name: calls.append(name) for name in "ab"}
    found = timing.interleaved_medians(runners, 2, lambda: calls.append("done"), lambda: next(times))
    assert calls == ["a", "done", "b", "done"] * 3
    assert found == {"a": 1.5, "b": 5}


@pytest.mark.parametrize("form", TECHNIQUES)
def test_a_payload_is_the_file_but_for_some_hundred_bytes_an_operator(form):
    for build in (lambda: zoo.mobilenet_v1(0.25, 32), lambda: zoo.mobilenet_v2(0.35, 32)):
        _, contents = measure.files(Network("small", build), [form])
        graph = ptq.load(contents[form])
        assert 160 < (len(contents[form]) - payload(graph)) / len(graph.operators) < 400


def test_a_payload_counts_equal_constants_once():
    b, w = ptq.Builder("twice"), np.arange(4096, dtype=np.float32).reshape(64, 64)
    graph = b.finish(b.fully_connected(b.fully_connected(b.input("x", (1, 64)), w), w.copy()))
    assert payload(graph) == 4 * w.size
    converter = ptq.Converter.from_graph(graph)
    converter.post_training_quantize = True
    assert payload(converter.convert_to_graph()) == w.size + 12 * 2 * 64  # each tensor has its scales


def test_the_guide_compares_every_technique():
    sizes = dict(zip(TECHNIQUES, (1000, 500, 250, 260, 270, 280), strict=True))
    times = dict(zip(TECHNIQUES, (0.006, 0.006, 0.003, 0.004, 0.002, 0.012), strict=True))
    p = Performance(NETWORKS["mobilenet_v1"], sizes, {"ptq": times, measure.REFERENCE: times})
    right = dict(zip(TECHNIQUES, range(360, 366), strict=True))
    a = Accuracy("fashion_cnn", 400, right, sizes)
    size, latency, accuracies = guide.guide_sections([p], [a])
    assert size.rows[0] == [
        "MobileNet-v1", "1,000", "500 (0.500)", "250 (0.250)", "260 (0.260)", "270 (0.270)", "280 (0.280)"
    ]  # fmt: skip
    assert [row[0] for row in size.rows] == ["MobileNet-v1", "fashion_cnn"]
    assert latency.rows[1] == [
        "MobileNet-v1", "LiteRT BUILTIN_REF", "6.0", "6.0 (1.00 x)", "3.0 (2.00 x)", "4.0 (1.50 x)",
        "2.0 (3.00 x)", "12.0 (0.50 x)",
    ]  # fmt: skip
    assert accuracies.rows == [["fashion_cnn", *(f"{n} ({n / 4:.2f}%)" for n in range(360, 366))]]
    assert "![" not in size.markdown()
    # the figures show what was announced, whatever else was measured
    assert len(draw.draw_sizes([p]).axes[0].patches) == len(FORMS)
    assert len(draw.draw_speedups([p]).axes[0].patches) == 1
    assert [s.title for s in guide.guide_sections([], [a])] == ["Size by technique", "Accuracy by technique"]


def test_the_command_measures_the_guide(small, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(measure, "litert_version", lambda: None)
    command = ["figures", "-o", str(tmp_path), "--quick", "--guide", "--models", "mobilenet_v1"]
    assert cli.main(command) == 0
    page = (tmp_path / "figures.md").read_text()
    assert "ptq figures --guide --quick --models mobilenet_v1" in page
    for title in ("Size", "Latency"):
        assert f"## {title} by technique" in page
    assert "Latency by technique" in capsys.readouterr().out


@pytest.mark.parametrize("title", ["Size", "Latency", "Accuracy"])
def test_the_tables_of_the_guide_are_those_that_the_command_wrote(title):
    assert lines_of(GUIDE, f"{title} by technique") == lines_of(PAGE, f"{title} by technique")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_guide_has_the_sizes_of_the_files(name):
    """All but the integer forms of the two large networks, whose calibration takes long."""
    large = name in ("inception_v3", "resnet_v2_101")
    forms = TECHNIQUES[:4] if large else TECHNIQUES
    _, contents = measure.files(NETWORKS[name], forms)
    told = integers_of("Size by technique", TECHNIQUES)[NETWORKS[name].title]
    assert {form: len(content) for form, content in contents.items()} == {form: told[form] for form in forms}


def test_sizes_beside_the_published_ones():
    (area,) = draw.draw_sizes([performance(), performance("lstm_512")]).axes
    assert heights(area) == [16.897, 4.274, 4.415] * 2
    assert [line.get_ydata()[0] for line in area.lines] == [16.9, 4.3]
    assert [t.get_text() for t in area.texts][:3] == ["16.9", "4.3\n(0.25)", "4.4\n(0.26)"]


def test_speedups_of_both_recipes_beside_the_published_ones():
    first, current = draw.draw_speedups([performance(), performance("lstm_512")]).axes
    assert heights(first) == [2.0] * 6
    assert heights(current) == [3.0, 6.0, 9.0] * 2
    for area in (first, current):
        assert [round(float(line.get_ydata()[0]), 2) for line in area.lines] == [1.24, 3.0, 1.0]


def test_without_litert_the_figure_says_so():
    picture = draw.draw_speedups([performance(runtimes=["ptq"])])
    assert "LiteRT is not installed: ptq alone" in str(picture)
    assert "not installed" not in str(draw.draw_speedups([performance()]))


def test_accuracies_beside_those_that_cannot_be_measured():
    ours, theirs = draw.draw_accuracies([accuracy()], [performance(), performance("lstm_512")]).axes
    assert heights(ours) == [90.0, 89.75, 90.25]
    assert heights(theirs) == [70.9, 65.7]
    assert "not measured here" in theirs.get_title()
    assert len(draw.draw_accuracies([accuracy()], []).axes) == 1


def test_tables_for_the_terminal_and_as_markdown():
    sizes = text.size_section([performance()])
    assert sizes.rows[0] == [
        "MobileNet-v1", "16,897,156", "16.9 MB", "4,274,484", "4.3 MB", "0.253", "4,414,660"
    ]  # fmt: skip
    latency = text.latency_section([performance(), performance("lstm_512")])
    assert latency.rows[0] == ["MobileNet-v1", "LiteRT optimized", "6.0", "3.0", "2.00 x", "2.0", "3.00 x"]
    assert latency.rows[3] == [
        "MobileNet-v1", "published (Pixel 2, one big core)", "180", "145", "1.24 x", "", ""
    ]  # fmt: skip
    assert latency.rows[-1][2:5] == ["", "", "up to 3 x"]
    found = text.accuracy_section([accuracy()], [performance()])
    assert found.rows[0][1:] == ["360 (90.00%)", "359 (89.75%)", "361 (90.25%)", "1.50%"]
    for section in (sizes, latency, found):
        assert {line.count("|") for line in section.markdown().splitlines() if "|" in line} == {
            len(section.header) + 1
        }
        assert section.plain().splitlines()[0] == section.title


@pytest.mark.parametrize("litert", [pytest.param(True, marks=pytest.mark.peers), False])
def test_the_command_writes_pictures_and_the_page(small, monkeypatch, capsys, tmp_path, litert):
    if not litert:
        monkeypatch.setattr(measure, "litert_version", lambda: None)
        monkeypatch.setattr(text, "litert_version", lambda: None)
    models = ["mobilenet_v1", "country_lstm"]
    assert cli.main(["figures", "-o", str(tmp_path / "new"), "--quick", "--models", *models]) == 0
    printed = capsys.readouterr().out
    for name in ("size.png", "latency.png", "accuracy.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")
        assert f"wrote {tmp_path / 'new' / name}" in printed
    page = (tmp_path / "new" / "figures.md").read_text()
    assert "ptq figures --quick --models mobilenet_v1 country_lstm" in page
    assert "ImageNet top-1 accuracy: it needs the trained weights" in page
    rows = re.findall(r"^\| MobileNet-v1 \| (.*?) \|", page, re.M)
    runtimes = ["LiteRT optimized", "LiteRT XNNPACK", "ptq"] if litert else ["ptq"]
    assert rows[1 : len(runtimes) + 1] == runtimes
    assert ("not installed" in page) is not litert
    assert "country_lstm, 200 examples | 16" in page


def test_every_network_can_be_built_and_fed():
    for name, network in NETWORKS.items():
        if name in ("mobilenet_v1", "lstm_512"):
            graph = network.build()
            x = measure.input_of(graph)
            assert x.shape == graph.tensors[graph.inputs[0]].shape
            assert x.dtype == np.float32
    assert set(NETWORKS) | set(figures.CLASSIFIERS) == set(figures.MODELS)


def test_only_the_figures_of_what_was_chosen(small, tmp_path):
    figures.make_figures(tmp_path, ["mobilenet_v1"], quick=True)
    assert {path.name for path in tmp_path.iterdir()} == {"size.png", "latency.png", "figures.md"}


def test_what_is_wrong_is_said_at_once(monkeypatch, capsys, tmp_path):
    with pytest.raises(InputError, match="model 'vgg' found, expected some of mobilenet_v1"):
        figures.make_figures(tmp_path, ["vgg"])
    with pytest.raises(InputError, match="model none found"):
        figures.make_figures(tmp_path, [])
    with pytest.raises(SystemExit):
        cli.main(["figures", "--models", "vgg"])
    assert "invalid choice: 'vgg'" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main(["figures", "-o", str(tmp_path / "file")]) == 1
    assert "cannot be made" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="pip install"):
        figures.make_figures(tmp_path / "figures")
