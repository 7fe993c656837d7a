"""Figures of scales that meet, of chosen ranges and of operators: what is drawn is what was given."""

import numpy as np
import pytest

from ptq import plot
from ptq.graph import Quantization


def scaled(scale, zero_point):
    return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))


def test_a_ruler_has_a_tick_for_each_integer_where_its_real_number_is():
    ruler = plot.Ruler("a", 0.5, 1, -2, 3, marks={3: "3 means 1.0"})
    picture = plot.rulers([ruler, plot.Ruler("b", 0.25, 0, -2, 3)])
    ticks = picture.axes[0].collections[0].get_segments()
    np.testing.assert_allclose([tick[0][0] for tick in ticks], [-1.5, -1, -0.5, 0, 0.5, 1])
    words = [text.get_text() for text in picture.axes[0].texts]
    assert "3 means 1.0" in words
    assert repr(picture) == "2 tensors, 2 rulers; one step is: a 0.5, b 0.25"


def test_of_many_integers_only_some_are_numbered():
    picture = plot.rulers([plot.Ruler("int8", 0.1, 5, -128, 127)])
    assert len(picture.axes[0].texts) <= 34


def test_a_table_is_drawn_with_the_steps_between_its_neighbours():
    table = np.minimum(np.arange(-128, 128) * 2, 127)
    picture = plot.table_curve(table, scaled(0.1, 0), scaled(0.2, 0), "doubled")
    heights = [bar.get_height() for bar in picture.axes[1].patches if bar.get_width() == 1]
    assert heights[:191] == [2] * 191
    assert repr(picture) == "256 inputs give 193 different outputs; neighbours differ by up to 2 LSB"


def test_ranges_say_what_they_clip():
    values = np.array([0, 1, 2, 10.0])
    picture = plot.chosen_ranges(values, {"min/max": (0, 10), "cut": (0, 2)})
    words = [text.get_text() for text in picture.axes[1].texts]
    assert words == ["clips 0.00%; 1 LSB = 0.0392", "clips 25.00%; 1 LSB = 0.00784"]
    assert repr(picture) == "4 values from 0 to 10: min/max clips 0.00%, cut clips 25.00%"


@pytest.mark.parametrize(("count", "lines"), [(3, 1), (14, 1), (15, 2)])
def test_operators_are_boxes_in_their_order(count, lines):
    chain = [("CONV_2D", "float"), *[("RELU", "hybrid")] * (count - 1)]
    picture = plot.operator_chains({"model": chain})
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert texts[:2] == ["model", "CONV"] and len(texts) == count + 1
    rows = {round(text.get_position()[1], 3) for text in picture.axes[0].texts[1:]}
    assert len(rows) == lines
    assert repr(picture) == f"model: {count} operators, 1 float, {count - 1} hybrid"


def test_arithmetics_have_different_hatches():
    kinds = ("float", "hybrid", "integer", "any")
    picture = plot.operator_chains({"model": [("ADD", kind) for kind in kinds]})
    hatches = {patch.get_hatch() for patch in picture.axes[0].patches[:8] if patch.get_linewidth() == 0}
    assert len(hatches) == 4
