"""The figure of vectors and mistakes: a cross for each that is caught, and a count."""

from ptq import plot


def test_each_caught_mistake_has_a_cross_and_each_row_its_count():
    rows = {"half to even": [True, False, False], "no clamp": [True, False, True], "none": [False] * 3}
    picture = plot.catches(rows, ["boundary", "random", "random"], "which")
    (area,) = picture.axes
    texts = [text.get_text() for text in area.texts]
    assert texts.count("x") == 3
    assert [t for t in texts if " of " in t] == ["1 of 3", "2 of 3", "0 of 3"]
    assert {"boundary vectors", "random vectors"} <= set(texts)
    crosses = [text.get_position() for text in area.texts if text.get_text() == "x"]
    assert [(int(x), int(y)) for x, y in crosses] == [(0, 2), (0, 1), (2, 1)]
    assert str(picture) == "2 of 3 mistakes are caught by one of 3 vectors, 2 of them by a boundary vector"
    assert len({patch.get_facecolor() for patch in area.patches}) == 2


def test_one_kind_of_vectors_needs_no_line_between():
    area = plot.catches({"a": [True, True]}, ["random", "random"]).axes[0]
    assert [line for line in area.lines if len(line.get_xdata())] == []
