"""Figures of sums of products: the short accumulator wraps where it must, differences are in steps."""

import numpy as np

from ptq import plot


def test_a_short_accumulator_leaves_its_range_and_comes_back_at_the_other_end():
    picture = plot.running_sum([100, 100, -100], bits=8, scale=0.5)
    lines = picture.axes[0].get_lines()
    np.testing.assert_array_equal(lines[0].get_ydata(), [100, 200, 100])
    short = lines[1].get_ydata()
    np.testing.assert_array_equal(short[~np.isnan(short)], [100, -56, 100])
    assert np.isnan(short).sum() == 2
    assert repr(picture) == "the exact sum ends at 100, int8 at 100, after wrapping around 2 times"


def test_a_sum_that_fits_is_drawn_without_a_gap():
    picture = plot.running_sum([3, 4], bits=16)
    assert not np.isnan(picture.axes[0].get_lines()[1].get_ydata()).any()
    assert "0 times" in repr(picture)


def test_differences_are_counted_in_steps_of_the_output():
    picture = plot.side_by_side([1.0, 2.0], {"hybrid": [1.5, 2.0], "integer": [1.0, 1.0]}, step=0.5)
    below = picture.axes[1]
    heights = [round(bar.get_height(), 6) for group in below.containers for bar in group]
    assert heights == [1, 0, 0, -2]
    assert "hybrid by at most 1.00 LSB, integer by at most 2.00 LSB" in repr(picture)
    hatches = {group.patches[0].get_hatch() for group in below.containers}
    assert len(hatches) == 2
