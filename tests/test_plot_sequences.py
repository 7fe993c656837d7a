"""Figures of layers with a memory."""

import numpy as np

from ptq import plot


def test_shares_are_written_into_their_cells():
    picture = plot.letter_by_letter([[0.5, 0.5], [0.05, 0.95]], ["a", "b"], ["one", "two"], "sure?")
    texts = {tuple(text.get_position()): text.get_text() for text in picture.axes[0].texts}
    assert texts == {(0, 0): "50", (0, 1): "50", (1, 1): "95"}
    assert repr(picture) == "after 2 letters: two, 95%"
    assert picture.axes[0].get_title() == "sure?"


def test_every_step_waits_for_the_one_before():
    area = plot.waiting(3).axes[0]
    texts = [text.get_text() for text in area.texts]
    assert [text for text in texts if text.startswith("+ R h")] == ["+ R h (state)", "+ R h[0]", "+ R h[1]"]
    assert len(area.patches) == 9


def test_lines_differ_in_more_than_their_colour():
    area = plot.lines(np.arange(30), {"a": np.arange(30), "b": np.ones(30)}, "x", "y", yscale="log").axes[0]
    first, second = area.lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert area.get_yscale() == "log"
    assert [text.get_text() for text in area.get_legend().get_texts()] == ["a", "b"]
