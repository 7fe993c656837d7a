"""The report as text and as a page: what is said, what is drawn, and that names stay names."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from comparison_graphs import EVERY, add_conv, conv, model

from ptq.build import Builder
from ptq.compare import compare
from ptq.comparison.charts import ROWS_PER_PLOT, WORST, error_plots, histogram, legend, worst_rows
from ptq.comparison.glossary import GLOSSARY
from ptq.comparison.report_html import page
from ptq.comparison.svg import Axis, Drawing, escaped, number
from ptq.numerics import PORTABLE, SINGLE_ROUNDING

HOSTILE = "</title></svg><script>alert('1')</script>\"onload='x'&\x00\x1b[31m\u202e"


def deep(layers, name="layer", scale=1 / 4):
    """Convolutions in a row that divide by four and, every other one, multiply by four."""
    graph = model(1.0, EVERY.shape)
    last = 0
    for i in range(layers):
        last = add_conv(graph, last, f"{name}{i}", [[1 if i % 2 == 0 else 16]], scale, 1.0)
    graph.outputs = [last]
    return graph


def rounded(layers, name="layer"):
    graph = deep(layers, name)
    return compare(graph, graph, [EVERY], numerics=PORTABLE, numerics_b=SINGLE_ROUNDING)


class Page(HTMLParser):
    """The elements of a page in order, their attributes, and whether every one is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


# --- text ---------------------------------------------------------------------------------------------


def test_the_text_names_rules_and_counts_layers():
    text = " ".join(str(rounded(4)).split())
    assert "0 CONV_2D layer0 rounding 1 rounding 1" in text
    assert "rounding 1 0 0 1 rounding: double / single (a rescaled accumulator is rounded twice" in text
    assert (
        "First isolated divergence (differs even on a's values): 0 CONV_2D, writing 'layer0' (1 LSB;" in text
    )
    assert "First isolated divergence beyond rounding: none." in text


def test_a_cumulative_error_that_is_inherited_is_called_so():
    # layer1 multiplies by four what layer0 rounded: exact by itself, four steps off in the whole
    row = rounded(2).rows[1]
    assert (row.kind, row.cumulative.verdict.kind, row.cumulative.max_steps) == ("identical", "inherited", 4)


# --- page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 3, 2 * ROWS_PER_PLOT + 5])
def test_the_page_is_whole_and_loads_nothing(layers):
    text = page(rounded(layers), "a.tflite", "b.tflite")
    found = Page(text)
    assert not found.open and "script" not in found.tags and found.tags.count("html") == 1
    assert not {"src", "href", "xlink:href", "action"} & {name for name, _ in found.attributes}
    assert not [value for name, value in found.attributes if name.startswith("on")]
    assert "url(" not in text and "@import" not in text and "http:" not in text and "https:" not in text
    assert found.tags.count("svg") == 1 + math.ceil(layers / ROWS_PER_PLOT) + len(worst_rows(rounded(layers)))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


def test_names_in_a_page_stay_names():
    comparison = rounded(2, HOSTILE)
    text = page(comparison, HOSTILE, HOSTILE)
    found, plain = Page(text), Page(page(rounded(2), "a", "b"))
    assert found.tags == plain.tags
    assert {name for name, _ in found.attributes} == {name for name, _ in plain.attributes}
    assert "\x00" not in text and "\x1b" not in text and "\u202e" not in text
    assert "&lt;script&gt;" in text
    text.encode()


def test_surrogates_in_a_name_can_be_written():
    assert escaped("\ud800").encode() == b"\\ud800"


def test_every_layer_has_a_bar_and_the_first_is_marked():
    comparison = rounded(5)
    (plot,) = error_plots(comparison)
    titles = re.findall(r"<title>(.*?)</title>", plot)
    assert titles.count("isolated: 1 LSB, rounding: rounding") == 1
    assert plot.count('class="marked"') == 1 and plot.count("mark-bits") == plot.count("mark-own") == 1
    assert "mark-cause" not in plot and "mark-cause" not in legend(comparison)
    assert "largest difference in LSB<" in plot and "in reals" in plot
    wrong = compare(conv([[8]], 1 / 8, 1.0), conv([[8]], 1 / 4, 1.0), [EVERY // 3])
    assert "mark-cause" in error_plots(wrong)[0] and "mark-cause" in legend(wrong)


def test_many_layers_are_drawn_in_pieces_of_a_page_with_one_axis():
    plots = error_plots(rounded(2 * ROWS_PER_PLOT + 1))
    assert len(plots) == 3
    ticks = [re.findall(r'class="tick mid">([^<]*)<', plot) for plot in plots]
    assert ticks[0] == ticks[1] == ticks[2]


def test_an_error_that_is_no_number_says_so():
    ones, nans = (np.full(8, v, np.float32) for v in (1, np.nan))
    graphs = []
    for value in (ones, nans):
        b = Builder("m")
        graphs.append(b.finish(b.mul(b.input("x", (1, 8)), value, name="y")))
    text = page(compare(*graphs, [np.ones((1, 8), np.float32)]), "a", "b")
    assert ">NaN<" in text and 'class="isolated unknown"' in text


def test_a_comparison_without_rows_is_a_page():
    b, c = Builder("a"), Builder("b")
    one = b.finish(b.tanh(b.input("x", (1, 4)), name="y"))
    other = c.finish(c.relu(c.input("x", (1, 4)), name="z"))
    text = page(compare(one, other, [np.ones((1, 4), np.float32)]), "a", "b")
    assert "nothing was compared" in text and "<svg" not in text
    assert not Page(text).open


def test_identical_models_are_a_page_without_histograms():
    graph = deep(2)
    text = page(compare(graph, graph, [EVERY]), "a", "b")
    assert "bit-identical" in text and "The worst layers" not in text


def test_the_page_defines_its_words():
    text = page(rounded(1), "a", "b")
    assert all(f"<dt>{escaped(term)}</dt>" in text for term in GLOSSARY)


# --- plots --------------------------------------------------------------------------------------------


def test_a_histogram_counts_and_has_two_scales():
    row = rounded(1).rows[0]
    drawn = histogram(row.isolated, "title")
    found = re.findall(r"<title>(.*?)</title>", drawn)
    # of the 64 ties one half is rounded up, where two roundings went away from zero, or down
    assert found == ["-1 LSB: 32 values", "0 LSB: 192 values", "1 LSB: 32 values"]
    assert "b - a in LSB" in drawn and "b - a in reals" in drawn


def test_the_worst_layers_come_first():
    comparison = compare(deep(9), deep(9, scale=1 / 3), [EVERY])
    worst = worst_rows(comparison)
    steps = [row.isolated.max_steps for row in worst]
    assert len(worst) == WORST and steps == sorted(steps, reverse=True)
    assert steps[0] == max(row.isolated.max_steps for row in comparison.rows)


def test_axes_begin_at_zero_unless_sizes_are_far_apart():
    linear = Axis.from_zero([1, 7.3], 0, 100)
    assert (linear.low, linear.high, linear.logarithmic) == (0, 8, False)
    assert linear.ticks == [0, 2, 4, 6, 8] and linear.at(4) == 50
    far = Axis.from_zero([0, 0.02, 45], 0, 100)
    assert (far.low, far.high, far.logarithmic) == (0.01, 50, True)
    assert [number(t) for t in far.ticks] == ["0.01", "0.1", "1", "10"]
    assert far.at(0) == 0 and far.at(50) == 100 and far.at(1e9) == 100


def test_an_axis_of_nothing_is_an_axis():
    for values in ([], [0.0], [math.inf], [math.nan]):
        assert Axis.from_zero(values, 0, 10).ticks[0] == 0
    huge = Axis.from_zero([1e-300, 1e300], 0, 10)
    assert huge.low >= 1e290 and len(huge.ticks) <= 10


def test_numbers_are_short():
    assert [number(x) for x in (0.0, 1.0, 0.12345, 1234.0, 12345.0, 1e-7, math.nan, math.inf)] == [
        "0", "1", "0.123", "1234", "1.23e4", "1e-7", "NaN", "inf",
    ]  # fmt: skip


def test_a_drawing_is_an_image_with_a_name():
    drawing = Drawing(10, 20, 'a "title"')
    drawing.rect(0, 0, -5, 2, "kind", "<b>")
    drawing.text(0, 0, "<i>")
    text = str(drawing)
    assert 'role="img" aria-label="a &quot;title&quot;"' in text and 'width="0.0"' in text
    assert "&lt;b&gt;" in text and "&lt;i&gt;" in text and "<i>" not in text
