"""Figures of rounding: what is written in the cells is what the rules give."""

import math

from ptq import plot


def test_each_rule_has_a_row_and_says_up_or_down():
    rules = {"even": round, "down": math.floor}
    picture = plot.rounding_rules(rules, [1.5, 2.5, -0.7, 3])
    written = [text.get_text() for text in picture.axes[0].texts]
    rows = written[: written.index("1.5")]
    assert rows[:9] == ["even", "2", "▲", "2", "▼", "-1", "▼", "3", "="]
    assert rows[9:] == ["down", "1", "▼", "2", "▼", "-1", "▼", "3", "="]
    assert str(picture) == "2 rules differ on 1 of 4 numbers"
    alphas = [patch.get_alpha() for patch in picture.axes[0].patches]
    assert alphas == [0.5, 0.12, 0.12, 0.12] * 2


def test_two_roundings_and_one_part_by_hand():
    # 11 * 10 / 2^5 = 3.4375; the first rounding leaves one binary place: 3.5, the second goes away from 0
    picture = plot.two_roundings(11, 10, -1, bits=4)
    written = {text.get_text() for text in picture.axes[0].texts}
    assert {"3.5", "4", "3", "exact: 3.4375"} <= written
    assert str(picture) == "3.4375 becomes 4 in two roundings and 3 in one"


def test_below_zero_and_with_a_shift_to_the_left():
    assert str(plot.two_roundings(-11, 10, -1, bits=4)) == "-3.4375 becomes -4 in two roundings and -3 in one"
    assert str(plot.two_roundings(3, 13, 2, bits=4)) == "9.75 becomes 10 in two roundings and 10 in one"
