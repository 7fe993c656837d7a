"""Every figure in print: what a legend tells apart differs without colour, and no text covers another."""

import inspect
from itertools import combinations

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.lines import Line2D

from ptq import plot
from ptq.format.regions import KINDS, Region
from ptq.oracle.problem import quantization

STEP = 40
"""Of 256 greys, by how many two plain surfaces have to differ."""

REALS = np.random.default_rng(0).normal(0, 1, 2000)
CHAIN = [("CONV_2D", "float"), ("RELU", "hybrid"), ("ADD", "integer"), ("RESHAPE", "any")]
FILE = [Region(16 * n, 16 * n + 16, kind, f"region {n}") for n, kind in enumerate(KINDS)]
FORMS = [plot.Measured("net", form, 10 - n, 9.5, 0.3) for n, form in enumerate("abcdef")]
SAMPLES = {
    "bar_panels": lambda: plot.bar_panels([plot.Panel(FORMS, "MB")]),
    "bit_ruler": lambda: plot.bit_ruler(19_262, 1_341_404_186, -9),
    "byte_fates": lambda: plot.byte_fates(["refused", "other output", "same output"] * 20),
    "byte_shares": lambda: plot.byte_shares({"a": FILE, "b": FILE[:3]}, "title"),
    "catches": lambda: plot.catches(
        {"a": [True, False] * 8, "b": [True] * 16}, ["boundary"] * 8 + ["random"] * 8, "title"
    ),
    "changed_answers": lambda: plot.changed_answers([[0.9, 0.1], [0.52, 0.48]], [[0.8, 0.2], [0.49, 0.51]]),
    "channel_ranges": lambda: plot.channel_ranges([plot.Ranges("a", [0.3, 12.7, 0.02, 1])] * 2, "title"),
    "chosen_ranges": lambda: plot.chosen_ranges(REALS, {"a": (-4, 4), "b": (-2, 2), "c": (-1, 1)}, "title"),
    "clipped_histogram": lambda: plot.clipped_histogram(REALS, quantization(0.01), title="title"),
    "error_map": lambda: plot.error_map([[0, -3], [7, 1]], 0.1, "title"),
    "grouped_bars": lambda: plot.grouped_bars(FORMS, "MB", "title"),
    "hex_dump": lambda: plot.hex_dump(bytes(112), FILE),
    "image_row": lambda: plot.image_row(np.zeros((3, 8, 8)), ["one\n90 %", "two", "three"], "title"),
    "layer_errors": lambda: plot.layer_errors(["a", "b", "c"], [0, 1, 0], [0, 1, 2], title="title"),
    "letter_by_letter": lambda: plot.letter_by_letter([[0.5, 0.5], [0.1, 0.9]], "ab", ["x", "y"]),
    "lines": lambda: plot.lines([1, 2, 3], {name: [n, 2, n] for n, name in enumerate("abcdef")}, "x", "y"),
    "matrix_product": lambda: plot.matrix_product([[1, 2, 3], [4, 5, 6]], [[1, 0, -1], [2, 1, 3]], 2, 1),
    "number_line": lambda: plot.number_line(quantization(0.5, -2), bits=3),
    "number_types": lambda: plot.number_types({"a": [plot.Step("x", "float32"), plot.Step("y", "int8")]}),
    "operator_chains": lambda: plot.operator_chains({"model": CHAIN}),
    "padded_images": lambda: plot.padded_images([[1, 2], [3, 4]], {"a": 1, "b": 0}, 0.5, 1),
    "rounding_rules": lambda: plot.rounding_rules({"a": round, "b": np.floor}, [-0.5, 1.5, 2.5], "title"),
    "row_ranges": lambda: plot.row_ranges([[1.0, 4.0], [-2.0, 1.0]]),
    "rulers": lambda: plot.rulers([plot.Ruler("a", 0.5, 1, marks={3: "here"}), plot.Ruler("b", 0.25)]),
    "running_sum": lambda: plot.running_sum([30_000, 20_000, -9_000], 16, 0.1, "title"),
    "side_by_side": lambda: plot.side_by_side([1, 2, 3], {name: [1, 2, 2.9] for name in "abc"}, 0.1, "title"),
    "size_and_accuracy": lambda: plot.size_and_accuracy(
        [plot.Bar("float", 1000, 90, 100), plot.Bar("int8", 250, 89, 100)], "title"
    ),
    "staircase": lambda: plot.staircase(quantization(0.5, -2), -4, 5, -8, 7),
    "table_curve": lambda: plot.table_curve(
        np.arange(-128, 128), quantization(0.1, 3), quantization(0.1, 3), "title"
    ),
    "target_and_yours": lambda: plot.target_and_yours([()] * 3, [1, 2, 3], [1, None, 5], "multiplications"),
    "two_roundings": lambda: plot.two_roundings(11, 10, -1, bits=4),
    "waiting": lambda: plot.waiting(),
}  # fmt: skip


def grey(color):
    """The luminance of a colour on white paper, 0 to 255."""
    red, green, blue, alpha = to_rgba(color)
    return 255 * (1 - alpha + alpha * (0.299 * red + 0.587 * green + 0.114 * blue))


def look(handle, label):
    """What tells a mark of a legend apart: its kind, what is not its colour, and its grey."""
    sign = label.split()[0] if len(label.split()[0]) == 1 else ""  # a letter that stands in the figure, too
    if isinstance(handle, ErrorbarContainer | LineCollection):
        return ("whisker", sign), 0
    if isinstance(handle, BarContainer):
        handle = handle.patches[0]
    if isinstance(handle, Line2D):
        line = handle.get_linestyle() if len(handle.get_xdata()) else "None"
        filled = to_rgba(handle.get_markerfacecolor())[3] > 0 if handle.get_marker() != "None" else True
        marker = (handle.get_marker(), filled, round(handle.get_markersize()))
        return ("line", line, marker, sign), grey(handle.get_color())
    alpha = handle.get_alpha()
    face = to_rgba(handle.get_facecolor())
    return ("surface", handle.get_hatch() or "", sign), grey(face if alpha is None else (*face[:3], alpha))


def lookalikes(picture):
    """The pairs of labels whose marks nobody can tell apart in print."""
    areas = [area for area in picture.axes if area.get_legend()]
    legends = [area.get_legend_handles_labels() for area in areas]
    for legend in picture.figure.legends:
        handles = legend.legend_handles
        legends.append((handles, [text.get_text() for text in legend.get_texts()]))
    found = []
    for handles, labels in legends:
        looks = [look(handle, label) for handle, label in zip(handles, labels, strict=True)]
        for (a, one), (b, other) in combinations(zip(labels, looks, strict=True), 2):
            if one[0] == other[0] and abs(one[1] - other[1]) < STEP:
                found.append((a, b))
    return found


def words(area):
    """The texts of axes: their own, those of legend and title, and the numbers of their axes."""
    yield from (*area.texts, area.title)
    if area.get_legend():
        yield from area.get_legend().get_texts()
    for axis in (area.xaxis, area.yaxis) if area.axison else ():
        low, high = sorted(axis.get_view_interval())
        yield axis.label
        yield from (t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high)
    for child in area.child_axes:
        yield from words(child)


def overlaps(picture):
    """The pairs of upright texts that cover one another by more than a pixel."""
    picture.figure.canvas.draw()
    renderer = picture.figure.canvas.get_renderer()
    texts = [*picture.figure.texts, *(text for area in picture.axes for text in words(area))]
    for legend in picture.figure.legends:
        texts += legend.get_texts()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer)) for text in texts
        if text.get_visible() and text.get_text().strip() and text.get_rotation() % 90 == 0
    ]  # fmt: skip
    return [
        (a, b) for (a, one), (b, other) in combinations(boxes, 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    ]  # fmt: skip


def test_every_figure_has_a_sample():
    drawing = {
        name for name in plot.__all__
        if inspect.isfunction(function := getattr(plot, name))
        and inspect.signature(function).return_annotation == "Picture"
    }  # fmt: skip
    assert drawing == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_marks_differ_without_colour(name):
    assert lookalikes(SAMPLES[name]()) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_no_text_covers_another(name):
    assert overlaps(SAMPLES[name]()) == []


def test_marks_that_differ_in_colour_alone_are_found():
    picture = SAMPLES["lines"]()
    (area,) = picture.axes
    area.plot([1], [1], "o", color="#D55E00", label="red")
    area.plot([1], [1], "o", color="#009E73", label="green")
    area.legend()
    assert lookalikes(picture) == [("red", "green")]


def test_texts_that_cover_one_another_are_found():
    picture = SAMPLES["matrix_product"]()
    picture.axes[0].text(0.5, 0.5, "over it", ha="center", va="center")
    assert any("over it" in pair for pair in overlaps(picture))
