"""Figures of answers: which change, and how sure the model was."""

import numpy as np

from ptq import plot


def test_images_stand_in_a_row_with_their_words():
    picture = plot.image_row(np.zeros((2, 4, 4, 1)), ["Bag\n90 %", "Coat"])
    assert [area.get_xlabel() for area in picture.axes] == ["Bag\n90 %", "Coat"]
    assert picture.axes[0].images[0].get_array().shape == (4, 4)
    assert str(picture) == "2 images: Bag 90 %, Coat"


def test_the_changed_answers_are_those_with_small_margins():
    one = np.array([[0.9, 0.1], [0.52, 0.48], [0.3, 0.7]])
    other = np.array([[0.85, 0.15], [0.49, 0.51], [0.3, 0.7]])
    picture = plot.changed_answers(one, other)
    same, changed, half = picture.axes[0].lines
    np.testing.assert_allclose(same.get_data(), [[0.8, 0.4], [0.05, 1e-5]])
    np.testing.assert_allclose(changed.get_data(), [[0.04], [0.03]])
    np.testing.assert_allclose(half.get_ydata(), half.get_xdata() / 2)
    assert str(picture) == "1 of 3 answers change; the surest of them had a margin of 0.04"
    assert str(plot.changed_answers(one, one)) == "0 of 3 answers change"
