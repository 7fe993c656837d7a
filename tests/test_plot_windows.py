"""Figures of images under a window: the border is hatched and says what it stands for, errors are centred."""

import numpy as np

from ptq import plot


def test_a_border_says_which_real_it_stands_for():
    picture = plot.padded_images([[5]], {"right": 3, "wrong": 0}, scale=0.5, zero_point=3)
    right, wrong = picture.axes
    assert "stands for 0" in right.get_title() and "stands for -1.5" in wrong.get_title()
    assert sorted({text.get_text() for text in right.texts}) == ["3\n0", "5\n1"]
    assert sum(bool(patch.get_hatch()) for patch in right.patches) == 8


def test_white_is_no_error_and_small_maps_hold_their_numbers():
    errors = np.zeros((3, 3))
    errors[0, 0], errors[1, 1] = -4, 2
    picture = plot.error_map(errors, step=0.25)
    area = picture.axes[0]
    low, high = area.images[0].get_clim()
    assert (low, high) == (-4, 4)
    assert area.texts[0].get_text() == "-4"
    assert [(patch.get_xy(), patch.get_hatch()) for patch in area.patches] == [((-0.5, -0.5), "//")]
    assert repr(picture) == "2 of 9 pixels are off, 1 of them at the edge; the largest error is 4 LSB, 1"


def test_large_maps_have_no_numbers():
    assert not plot.error_map(np.ones((9, 9)), step=1).axes[0].texts
