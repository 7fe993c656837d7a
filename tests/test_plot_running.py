"""Figures of quantization at run time: their ranges are those of the rows, their boxes those of the steps."""

import numpy as np

from ptq import plot


def test_the_ranges_hold_zero_and_end_at_the_extremes():
    (area,) = plot.row_ranges([[1.0, 4.0], [-2.0, 1.0]], ["a", "b"]).axes
    spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in area.patches]
    assert spans == [(-4, 4), (0, 4), (-2, 2), (-2, 1)]
    assert [tick.get_text() for tick in area.get_yticklabels()] == ["a", "b"]
    notes = [text.get_text() for text in area.texts]
    assert notes[0] == f"1 LSB: {4 / 127:.4f} symmetric\n1 LSB: {4 / 255:.4f} asymmetric"


def test_rows_without_a_name_have_numbers_and_zeros_a_line():
    (area,) = plot.row_ranges(np.zeros((2, 3))).axes
    assert [tick.get_text() for tick in area.get_yticklabels()] == ["row 0", "row 1"]


def test_integers_are_plain_and_floats_hatched():
    steps = [plot.Step("read", "float32"), plot.Step("round", "int8")]
    picture = plot.number_types({"one": steps})
    plates = [patch for patch in picture.axes[0].patches if patch.get_height() < 0.5]
    assert [bool(patch.get_hatch()) for patch in plates] == [True, False]
    assert repr(picture) == "steps whose result is an integer: one 1 of 2"
