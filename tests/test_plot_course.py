"""The figures of the course: they show the numbers that they are given, and say so in a sentence."""

from itertools import pairwise

import numpy as np
import pytest

import ptq
from ptq import plot
from ptq.build import Builder
from ptq.format.regions import KINDS, regions
from ptq.oracle.problem import quantization

PNG = b"\x89PNG"


def texts(picture, place=0):
    return [text.get_text() for text in picture.axes[place].texts]


def test_a_number_line_has_integers_below_and_reals_above():
    picture = plot.number_line(quantization(0.5, -2), np.int8, [1.2], bits=4)
    written = texts(picture)
    assert {"-8", "-2", "7", "0", "-3", "4.5", "zero point -2", "1.2"} <= set(written)
    assert str(picture).startswith(
        "16 integers from -8 to 7 stand for reals from -3 to 4.5, 0.5 apart; -2 stands for 0"
    )
    assert picture._repr_png_().startswith(PNG)


def test_of_256_integers_some_are_written():
    numbers = [t for t in texts(plot.number_line(quantization(0.02, -14))) if t.lstrip("-").isdigit()]
    assert {"-128", "127", "-14"} <= set(numbers)
    assert len(numbers) < 40


def test_the_staircase_s_error_is_half_a_step_inside_and_grows_outside():
    above, below = plot.staircase(quantization(0.5, -2), -4, 5, -8, 7).axes
    x, y = above.lines[1].get_data()
    assert set(np.round(y / 0.5) * 0.5) == set(y)
    error = below.lines[0].get_ydata()
    inside = (x > -3.2) & (x < 4.7)
    assert np.abs(error[inside]).max() <= 0.5 + 1e-9
    assert error[0] == pytest.approx(2) and error[-1] == pytest.approx(-1)


def test_the_histogram_counts_what_is_clipped():
    values = np.array([0.0] * 98 + [5.0, -5.0], np.float32)
    picture = plot.clipped_histogram(values, quantization(0.01))
    assert str(picture).startswith("2.00% of the values are clipped")
    left, right = picture.axes
    assert sum(patch.get_height() for patch in left.patches) == 100
    assert "3 of 256 integers used" in right.get_title()


def test_the_terms_of_a_matrix_product_add_up():
    picture = plot.matrix_product([[1, 2, 3], [4, 5, 6]], [[1, 0, -1], [2, 1, 3]], 2, 1)
    cells = [[int(t) for t in texts(picture, n)] for n in range(5)]
    assert np.sum(cells[:4], axis=0).tolist() == cells[4]
    assert cells[4] == [-2, 1, -11, 10]  # by hand: (1-2)(1-1)+(2-2)(0-1)+(3-2)(-1-1) = -2, ...
    assert "equals" in str(picture)


def test_the_bit_ruler_rounds_as_the_library_does():
    picture = plot.bit_ruler(1396, 1525404782, -10)
    assert texts(picture)[1::2] == ["1,396", f"{1396 * 1525404782:,}", "992", "1"]
    assert str(picture) == "0.9684 becomes 1 in two roundings"


def test_target_and_yours_shows_what_is_missing():
    picture = plot.target_and_yours([(1,), (2,), (3,)], [1, 2, 3], [1, None, 5])
    assert str(picture) == "1 of 3 results are the target"
    above, below = picture.axes
    assert [bar.get_height() for bar in below.patches] == [0, 0, 2]
    drawn = {line.get_label(): line.get_xdata() for line in above.lines}
    assert drawn["yours: the target"].tolist() == [0]
    assert drawn["yours: another number"].tolist() == [2]
    assert below.lines[0].get_xdata().tolist() == [1]


def test_the_results_of_a_case_stand_between_lines_under_its_number():
    picture = plot.target_and_yours([(1,), (2,)], [(1, 2, 3), (4,)], [(1, 2, 3), (4,)])
    above, below = picture.axes
    assert below.get_xticks().tolist() == [1, 3]
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["1", "2"]
    assert [line.get_xdata() for line in above.lines if line.get_linestyle() == ":"] == [[2.5, 2.5]]


def test_large_results_are_written_out_and_long_units_in_lines():
    found = [1_000_000_123, 1_000_000_125]
    picture = plot.target_and_yours([(1,), (2,)], found, found, "multiplications")
    above, below = picture.axes
    picture.png()  # which places the ticks
    assert above.yaxis.get_offset_text().get_text() == ""
    assert "1,000,000,124" in [label.get_text() for label in above.get_yticklabels()]
    lines = below.get_ylabel().splitlines()
    assert "multiplications" in lines[-1] and max(map(len, lines)) <= 18
    assert below.get_ylim() == (-1, 1)  # no difference is not 0.05 of one


def test_layer_errors_mark_the_first_that_differs():
    picture = plot.layer_errors(["a", "b", "c"], [0, 1, 0], [0, 1, 2], title="t")
    assert str(picture) == "t: the first layer that differs is b"
    heights = [patch.get_height() for patch in picture.axes[0].patches]
    assert heights == [0, 1, 2, 0, 1, 0]
    assert str(plot.layer_errors(["a"], [0], [0])) == "no layer differs"


def test_grouped_bars_have_the_published_number_as_a_line():
    bars = [plot.Measured("net", "float", 16.9, 16.9), plot.Measured("net", "int8", 4.3)]
    picture = plot.grouped_bars(bars, "MB")
    area = picture.axes[0]
    assert str(picture) == "MB: net, float 16.9; net, int8 4.3"
    assert [patch.get_height() for patch in area.patches] == [16.9, 4.3]
    assert area.lines[0].get_ydata().tolist() == [16.9, 16.9]


def tiny():
    b = Builder("tiny")
    x = b.input("x", (1, 2))
    return ptq.dumps(
        b.finish(b.fully_connected(x, np.array([[1, 2], [3, 4]], np.float32), activation="RELU"))
    )


def test_regions_cover_a_file_without_overlap():
    content = tiny()
    found = regions(content)
    assert found[0].start == 0 and found[-1].stop == len(content)
    assert all(a.stop == b.start for a, b in pairwise(found))
    assert {region.kind for region in found} <= set(KINDS)
    (weights,) = [r for r in found if r.label.endswith("data: 16 x ubyte")]
    assert np.frombuffer(content[weights.start + 4 : weights.stop], "<f4").tolist() == [1, 2, 3, 4]
    (name,) = [r for r in found if r.label == "Model.subgraphs[0].tensors[0].name"]
    assert content[name.start : name.stop] == b"\x01\x00\x00\x00x\x00"


def test_regions_of_real_models_have_few_gaps(shared):
    for path in sorted((shared / "models").glob("*.tflite")):
        content = path.read_bytes()
        found = regions(content)
        assert sum(r.stop - r.start for r in found) == len(content)
        assert sum(r.stop - r.start for r in found if r.kind == "gap") < 1000


def test_a_damaged_file_has_no_regions():
    with pytest.raises(ptq.errors.FormatError):
        regions(tiny()[:-60])


def test_the_hex_dump_shows_the_bytes():
    content = tiny()
    picture = plot.hex_dump(content, regions(content), 0, 32)
    shown = [t for t in texts(picture) if len(t) == 2]
    assert shown == [f"{byte:02x}" for byte in content[:32]]
    assert any("file identifier TFL3" in t for t in texts(picture))


def test_no_label_of_the_hex_dump_is_cut():
    content = tiny()
    found = regions(content)
    picture = plot.hex_dump(content, found)
    shown = [t for t in texts(picture) if len(t) > 6]
    words = " ".join(" ".join(shown).split())
    assert all(region.label in words for region in found if region.kind != "gap")
    assert max(len(line) for text in shown for line in text.splitlines()) <= 95
    assert any("\n" in text for text in shown)
    tallest = max(patch.get_height() for patch in picture.axes[0].patches)
    assert tallest > 1  # a row with several lines of labels is higher
