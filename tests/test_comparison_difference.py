"""Differences in steps: whose step, what tolerance, what is at an end, and how they are counted."""

import math

import numpy as np
import pytest
from comparison_graphs import scales

from ptq.comparison.difference import Counts, Side, Verdict, measure, take_apart
from ptq.graph import Graph, Operator, Tensor


def side(values, scale=None, zero_point=0, activation="NONE", type="INT8", operator=None):
    value = np.asarray(
        values, {"INT8": np.int8, "INT16": np.int16}.get(type, np.int32) if scale else np.float32
    )
    quantization = scales(scale, zero_point) if scale else None
    graph = Graph([Tensor("t", value.shape, type if scale else "FLOAT32", quantization=quantization)])
    made_by = operator or Operator("ADD", [], [0], {"fused_activation_function": activation})
    return Side.of(value, graph, made_by, 0)


def test_integers_of_one_scale_are_compared_as_they_are():
    apart = take_apart(side([1, -5, 127], 0.5), side([2, -5, 120], 0.5))
    assert apart.d.tolist() == [1, 0, -7]
    assert (apart.step, apart.unit, apart.whole, apart.tolerance) == (0.5, "b", True, 1.0)
    assert apart.beyond.tolist() == [False, False, True]


def test_integers_of_two_scales_are_compared_as_reals_in_steps_of_b():
    # reals 0.5 -2.5 against 0.75 -2.25
    apart = take_apart(side([1, -5], 0.5), side([3, -9], 0.25))
    assert apart.d.tolist() == [1, 1] and apart.step == 0.25 and not apart.whole
    assert apart.tolerance == pytest.approx(1.5, abs=1e-4)


def test_a_zero_point_alone_changes_no_real():
    apart = take_apart(side([1, -5], 0.5), side([4, -2], 0.5, zero_point=3))
    assert apart.d.tolist() == [0, 0]


@pytest.mark.parametrize("swap", [False, True])
def test_floats_are_compared_in_the_steps_of_the_integers(swap):
    pair = [side([0.26, 1.0]), side([1, 6], 0.25)]
    apart = take_apart(*(pair[::-1] if swap else pair))
    expected = np.array([-0.04, 2.0]) * (-1 if swap else 1)
    assert apart.d == pytest.approx(expected, abs=1e-6) and apart.step == 0.25
    assert apart.unit == ("a" if swap else "b")


def test_two_floats_are_compared_in_the_steps_of_an_int8():
    apart = take_apart(side([0.0, -12.7]), side([0.05, -12.7]))
    assert apart.step == pytest.approx(0.1) and apart.unit == "range" and apart.tolerance == 0
    assert apart.d == pytest.approx([0.5, 0], abs=1e-6)


def test_what_dequantize_writes_has_the_step_of_its_integers():
    graph = Graph([Tensor("q", (2,), "INT8", quantization=scales(0.25)), Tensor("r", (2,))])
    made_by = Operator("DEQUANTIZE", [0], [1])
    a, b = (Side.of(np.array(x, np.float32), graph, made_by, 1) for x in ([1, 2], [1.5, 2]))
    apart = take_apart(a, b)
    assert apart.d.tolist() == [2, 0] and apart.step == 0.25


def test_the_ends_are_those_of_the_type_and_of_the_activation():
    plain, clamped = side([-128, 0, 127], 0.5), side([-128, 0, 12], 0.5, activation="RELU6")
    assert (plain.low, plain.high) == (-64.0, 63.5)
    assert (clamped.low, clamped.high) == (0.0, 6.0)
    floats = side([0.0, 6.0], activation="RELU6")
    assert (floats.low, floats.high) == (0.0, 6.0)
    assert side([1.0]).high == math.inf and side([1.0], activation="TANH").low == -math.inf
    alone = side([1.0], operator=Operator("RELU_N1_TO_1", [], [0]))
    assert (alone.low, alone.high) == (-1.0, 1.0)


def test_saturated_is_what_would_lie_beyond_an_end():
    # 127 * 0.5 = 63.5 is b's end: a's 70 lies beyond it, a's 60 does not
    apart = take_apart(side([70.0, 60.0, -70.0]), side([127, 127, -128], 0.5))
    assert apart.saturated.tolist() == [True, False, True]
    assert apart.beyond.tolist() == [True, True, True]
    # a is at its end, and b lies beyond
    apart = take_apart(side([127, 127], 0.5), side([70.0, 60.0]))
    assert apart.saturated.tolist() == [True, False]


def test_shapes_and_types_that_do_not_fit_are_not_compared():
    assert take_apart(side([1.0, 2.0]), side([1.0])) is None
    found = measure(side([1.0, 2.0]), side([1.0]), lambda _: Verdict("never"))
    assert found.verdict == Verdict("other", "shape (2,) in a, (1,) in b")
    assert math.isnan(found.max_error) and math.isnan(found.max_steps) and found.counts is None


def test_what_is_measured_is_what_was_worked_out_by_hand():
    found = measure(side([0, 3, 4], 0.5), side([0, 3, 8], 0.5), lambda _: Verdict("other"))
    assert (found.max_error, found.max_steps, found.differing, found.count) == (2.0, 4.0, 1, 3)
    assert found.rms_steps == pytest.approx(4 / math.sqrt(3))
    assert found.sqnr == pytest.approx(10 * math.log10((1.5**2 + 2**2) / 4))
    assert found.counts == Counts(-4.0, 1.0, (0, 0, 0, 0, 2, 0, 0, 0, 1))


def test_equal_reals_are_identical_whatever_the_integers():
    found = measure(side([2], 0.5), side([1], 1.0), lambda _: Verdict("never"))
    assert found.identical and found.verdict.kind == "identical" and found.max_steps == 0


def test_many_steps_share_bins_and_zero_keeps_the_middle():
    counts = Counts.of(np.array([-1000.0, 0, 0, 24, 26, 1000]), whole=True)
    assert counts.width == 50 and counts.lowest == -1000 and len(counts.counts) == 41
    assert counts.counts[0] == 1 and counts.counts[20] == 3 and counts.counts[21] == 1
    assert sum(counts.counts) == 6


def test_fractions_of_steps_have_bins_of_their_size():
    counts = Counts.of(np.array([-0.2, 0.0, 0.01, 0.1]), whole=False)
    assert counts.width == pytest.approx(0.01)
    assert [i - 20 for i, c in enumerate(counts.counts) if c] == [-20, 0, 1, 10]


def test_infinities_and_nothing_have_a_histogram():
    assert sum(Counts.of(np.array([np.inf, np.nan, 1.0]), False).counts) == 1
    assert Counts.of(np.zeros(0), True) == Counts(0.0, 1.0, (0,))


def test_a_verdict_reads_well():
    verdict = Verdict("rounding", "rounding: double / single (...)", ("rounding",), "3 values")
    assert verdict.brief == "rounding: rounding; 3 values"
    assert verdict.why == "rounding: double / single (...) (3 values)"
    assert Verdict("other").brief == "other" and Verdict("other").why == ""
