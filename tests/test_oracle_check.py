"""The checker: what it lets pass, what it shows, and how it tells one wrong rule from another."""

import dataclasses

import numpy as np
import pytest

import ptq.oracle
from ptq.errors import InputError
from ptq.numerics import PRESETS
from ptq.oracle.mistakes import MISTAKES
from ptq.oracle.mistakes.core import Mistake
from ptq.spec.rules import Rules

SUITE = {"op": "FULLY_CONNECTED", "arithmetic": "integer", "random": 10}


def by(rules):
    """A kernel that computes by the specification with other rules."""
    return lambda task: task.case.problem.answer(rules(PRESETS[task.numerics]))


def test_the_right_answer_passes():
    report = ptq.oracle.check(by(Rules), **SUITE)
    assert report.passed
    assert str(report) == f"{len(report.cases)} of {len(report.cases)} cases right, numerics LITERT_REFERENCE"


@pytest.mark.parametrize("title", ["half to even", "single rounding", "shift without rounding"])
def test_a_known_mistake_is_named_and_certain(title):
    report = ptq.oracle.check(by(MISTAKES[title]), **SUITE, numerics="TFLITE_MICRO")
    assert not report.passed
    best = report.causes[0]
    certain = [cause.title for cause in report.causes if cause.certain]
    assert title in certain
    assert best.certain and not best.contradicted
    text = str(report)
    assert "WRONG FULLY_CONNECTED-integer-boundary" in text
    assert "How ptq comes to the first wrong element" in text


def test_another_preset_is_named():
    kernel = by(lambda numerics: Rules(PRESETS["XNNPACK"]))
    report = ptq.oracle.check(kernel, **SUITE, numerics="TFLITE_MICRO")
    assert any(cause.title == "the rules of XNNPACK" and cause.certain for cause in report.causes)


def test_two_mistakes_at_once_are_found():
    first, second = MISTAKES["shift without rounding"], MISTAKES["single rounding"]

    class Both(Mistake):
        pass

    assert first and second  # both exist; the pair below is what is planted

    def kernel(task):
        (right,) = task.case.problem.answer(Rules(PRESETS[task.numerics]))
        return np.where(right == 127, right, right[..., ::-1]).astype(right.dtype)

    report = ptq.oracle.check(kernel, **SUITE)
    assert not report.passed
    assert all(not cause.certain for cause in report.causes)


def test_a_constant_offset_and_another_layout_are_recognised():
    offset = ptq.oracle.check(lambda task: task.case.answer(task.numerics).outputs[0] ^ 1, **SUITE)
    assert not offset.passed
    turned = ptq.oracle.check(
        lambda task: np.ascontiguousarray(task.case.answer(task.numerics).outputs[0][..., ::-1]), **SUITE
    )
    assert [cause.title for cause in turned.causes][:1] == ["another layout"]


def test_shape_and_dtype_are_part_of_the_answer():
    report = ptq.oracle.check(lambda t: t.case.answer(t.numerics).outputs[0].astype(np.int32), **SUITE)
    assert not report.passed
    assert "int32" in str(report.differences[0]) and "expected int8" in str(report.differences[0])
    assert report.differences[0].trace is None


def test_what_is_not_computed_is_counted_and_nothing_computed_is_no_success():
    report = ptq.oracle.check(lambda task: None, **SUITE)
    assert not report.passed
    assert report.left_out > 10


def test_a_task_checks_itself():
    first = ptq.oracle.tasks(**SUITE)[0]
    right = first.case.answer(first.numerics).outputs[0]
    first.check(right)
    with pytest.raises(AssertionError, match="elements differ"):
        first.check(right + np.int8(1))


@pytest.mark.parametrize("task", ptq.oracle.tasks("FULLY_CONNECTED", "integer", random=2), ids=str)
def test_tasks_are_parameters_of_a_test(task):
    task.check(task.case.problem.run(PRESETS[task.numerics]))


def test_too_many_results_are_an_error():
    with pytest.raises(InputError, match="3 results found, expected 1 outputs"):
        ptq.oracle.check(lambda task: [np.zeros(1)] * 3, **SUITE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"op": "CONV_3D"}, "no test vectors found"),
        ({"arithmetic": "fuzzy"}, "expected one of"),
        ({"numerics": "ARM"}, "or double or single"),
    ],
)
def test_unknown_names_are_errors_that_list_the_known_ones(change, words):
    with pytest.raises(InputError, match=words):
        ptq.oracle.check(lambda task: None, **{**SUITE, **change})


def test_reports_are_data():
    report = ptq.oracle.check(by(MISTAKES["half to even"]), **SUITE)
    difference = report.differences[0]
    assert difference.wrong <= difference.total
    assert dataclasses.is_dataclass(report)
    assert difference.trace.value == difference.expected[difference.index]
