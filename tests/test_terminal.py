"""Tables are aligned and fit, sizes are rounded right, and the progress bar stays out of pipes."""

import io

import pytest

from ptq import terminal
from ptq.terminal import Progress, human_size, middle_cut, printable, shape_text, table


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table_aligns_its_columns():
    text = table(["name", "bytes"], [["a", "1,024"], ["longer", "7"]], right={"bytes"})
    assert text.splitlines() == ["name    bytes", "------  -----", "a       1,024", "longer      7"]


def test_a_table_cuts_names_in_the_middle_and_wraps_reasons():
    rows = [["first/" + "x" * 60 + "/last", "one two three four five six seven"]]
    lines = table(["name", "why"], rows, cut="name", wrap="why", columns=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[2].startswith("fir") and "..." in lines[2] and "/last" in lines[2]
    assert " ".join(line[14:].strip() for line in lines[2:]) == "one two three four five six seven"


def test_columns_are_wrapped_one_after_the_other():
    words = "seven words of text in one cell"
    text = table(["a", "b"], [[words, words]], wrap=("a", "b"), columns=50).splitlines()
    assert text == [
        "a                  b",
        "-----------------  -------------------------------",
        "seven words of     seven words of text in one cell",
        "text in one cell",
    ]
    assert max(map(len, table(["a", "b"], [[words, words]], wrap=("a", "b"), columns=30).splitlines())) <= 30


def test_a_table_without_limit_cuts_nothing():
    name = "x" * 300
    assert name in table(["name"], [[name]], cut="name", columns=0)


def test_a_table_without_rows_is_its_header():
    assert table(["a", "b"], []) == "a  b\n-  -"


def test_a_table_is_as_wide_as_the_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "61")
    assert max(map(len, table(["name"], [["x" * 300]], cut="name").splitlines())) == 61
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert max(map(len, table(["name"], [["x" * 300]], cut="name").splitlines())) == 100


def test_control_characters_of_a_name_do_not_reach_the_terminal():
    assert printable("a\nb\x1b[2J\u202e") == r"a\nb\x1b[2J\u202e"
    assert table(["name"], [["a\nb"]]).splitlines()[2] == r"a\nb"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (9994, "9.99 kB"), (9996, "10.0 kB"),
        (99_940, "99.9 kB"), (99_960, "100 kB"), (318_144, "318 kB"), (999_499, "999 kB"),
        (999_500, "1.00 MB"), (1_882_904, "1.88 MB"), (5 * 10**9, "5.00 GB"), (2 * 10**12, "2000 GB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits(count, text):
    assert human_size(count) == text


@pytest.mark.parametrize("columns", [3, 4, 5, 10, 11])
def test_a_cut_name_has_the_length_asked_for(columns):
    assert len(middle_cut("abcdefghijklmnopqrstuvwxyz", columns)) == columns
    assert middle_cut("abc", columns) == "abc"


def test_shapes_in_words():
    assert shape_text((1, 28, -1)) == "1x28x?"
    assert shape_text(()) == "scalar"


def test_the_progress_bar_is_seen_in_a_terminal_and_leaves_an_empty_line():
    stream = Terminal()
    with Progress("float", total=4, stream=stream) as progress:
        progress.advance(4)
        drawn = stream.getvalue()
    assert drawn.startswith("\rfloat [") and "4/4" in drawn and "." not in drawn.split("]")[0]
    assert stream.getvalue().endswith("\r") and stream.getvalue().split("\r")[-2].strip() == ""


def test_the_progress_bar_shows_the_share_that_is_done(monkeypatch):
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with Progress("x", total=10, stream=stream) as progress:
        now[0] = 2.0
        progress.advance(2)
        assert stream.getvalue() == "\rx [" + "#" * 6 + "." * 24 + "] 2/10, 8 s left"
        now[0] = 2.01
        progress.advance(1)
        assert "3/10" not in stream.getvalue()  # not more often than is readable


def test_the_progress_bar_writes_nothing_into_a_pipe():
    stream = io.StringIO()
    with Progress("float", total=2, stream=stream) as progress:
        progress.advance(2)
    assert stream.getvalue() == ""
