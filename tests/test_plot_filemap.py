"""Figures of a file's bytes."""

from ptq import plot
from ptq.format.regions import Region

MAP = [Region(0, 8, "header", "start"), Region(8, 40, "vector", "weights")]


def test_the_shares_are_those_of_the_regions():
    picture = plot.byte_shares({"a": MAP})
    widths = [patch.get_width() for patch in picture.axes[0].patches]
    assert [width for width in widths if width] == [20, 80]
    assert repr(picture) == "a: 80% of 40 bytes are vectors"


def test_each_byte_has_a_square_with_a_sign():
    picture = plot.byte_fates(["refused", "other output", "same output", "refused"])
    area = picture.axes[0]
    assert len(area.patches) == 4
    assert [text.get_text() for text in area.texts][:4] == ["x", "o", "", "x"]
    assert repr(picture) == "one wrong byte in each of 4 places: 2 refused, 1 other output, 1 same output"
