"""Figures: they are drawn from the numbers given, in colours that differ in grey, and fail clearly."""

import sys
from itertools import pairwise

import pytest

from ptq import plot
from ptq.errors import InputError

BARS = [plot.Bar("float", 1000, 90, 100), plot.Bar("int8", 250, 89, 100)]


def test_the_bars_have_the_lengths_of_the_numbers():
    left, right = plot.size_and_accuracy(BARS, "title").axes
    assert [patch.get_width() for patch in left.patches] == [1.0, 0.25]
    assert [patch.get_width() for patch in right.patches] == [90.0, 89.0]
    labels = [text.get_text().strip() for text in left.texts]
    assert labels == ["1 kB (1.00)", "0 kB (0.25)"]


def test_channel_ranges_against_the_steps_of_one_scale():
    panels = [plot.Ranges("before", [0.3, 12.7, 0, 1.0]), plot.Ranges("after", [1.27, 1.27])]
    before, after = plot.channel_ranges(panels, "title").axes
    assert [patch.get_height() for patch in before.patches] == [12.7, 1.0, 0.3, 0.0]  # widest first
    assert [line.get_ydata()[0] for line in before.lines] == pytest.approx([0.1, 0.05])
    texts = [text.get_text() for text in before.get_legend().get_texts()]
    assert "2 channels of 4 steps or more" in texts
    assert "2 channels of less than 4 steps" in texts
    assert [patch.get_facecolor() for patch in after.patches] == [before.patches[0].get_facecolor()] * 2
    assert before.get_yscale() == "log"
    assert before.get_ylim() == after.get_ylim()


def test_a_figure_is_written_or_refused(tmp_path):
    figure = plot.size_and_accuracy(BARS, "title")
    plot.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="cannot be written"):
        plot.save(figure, tmp_path / "missing" / "a.png")
    with pytest.raises(InputError, match=r"out\.png"):
        plot.save(figure, tmp_path / "a.nonsense")


def test_the_colours_differ_in_print():
    def grey(color):
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = sorted(grey(color) for color in plot.COLORS[:3])
    assert min(b - a for a, b in pairwise(shades)) > 15


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="pip install"):
        plot.size_and_accuracy(BARS, "title")
