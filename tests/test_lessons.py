"""Exercises: what a check lets pass, and what it says of a learner's mistakes."""

import numpy as np
import pytest

from ptq.errors import InputError
from ptq.lessons.exercise import Exercise, Lesson
from ptq.lessons.why_is_this_still_float import SKIP

LESSON = Lesson(
    1,
    "How far is it?",
    [
        Exercise(
            "Twice", "Return twice the integer.", "def twice(x):\n    return ...",
            "def twice(x):\n    return 2 * x",
            ["add it to itself"], [(1,), (-3,)],
        ),
        Exercise(
            "Half", "Return half of the array, float32.", "def half(x):\n    return ...",
            "def half(x):\n    return x / np.float32(2)", ["divide"], [(np.array([1, 3], np.float32),)],
        ),
    ],
)  # fmt: skip


def test_the_answer_passes_and_the_stub_does_not():
    for number, exercise in enumerate(LESSON.exercises, 1):
        assert LESSON.verdict(number, exercise.function(exercise.answer)).passed
        verdict = LESSON.verdict(number, exercise.function(exercise.stub))
        assert not verdict.passed
        assert "the function returns nothing so far" in str(verdict)


def test_wrong_cases_are_listed_with_what_was_expected():
    assert str(LESSON.wrong(1, lambda x: x + 1)) == (
        "```text\ncase 2: twice(-3)\nis        -2\nshould be -6\n```"
    )
    assert "is        ZeroDivisionError: " in str(LESSON.wrong(1, lambda x: x // 0))
    assert "case 1: half([1.0, 3.0])\nis        [1.0, 3.0]\nshould be [0.5, 1.5]" in str(
        LESSON.wrong(2, lambda x: x)
    )
    assert "no case is wrong" in str(LESSON.wrong(1, lambda x: 2 * x))


def test_of_a_long_row_the_first_wrong_number_is_shown():
    source = "def f(n):\n    return list(range(n))"
    row = Exercise("Row", "", source, source, [], [(3,), (20,), (30,)])
    text = str(Lesson(0, "", [row]).wrong(1, lambda n: [*range(19), -5]))
    assert "case 2: f(20), at [19]\nis        -5\nshould be 19\n" in text
    assert "case 3: f(30)\nis        [0, 1, 2, 3, 4, 5, 6, 7, " in text


def test_of_many_wrong_cases_the_first_are_listed():
    lines = str(Lesson(0, "", [SKIP]).wrong(1, lambda operator, name: name, most=2)).splitlines()
    assert lines[2].startswith("is        'conv1_relu'") and lines[3].startswith("should be True")
    assert lines[7:] == ["and 5 more", "```"]


def test_a_branch_that_returns_nothing_is_told():
    lesson = Lesson(0, "", [SKIP])
    verdict = lesson.verdict(1, lambda operator, name: True if name == "conv1_relu" else None)
    assert str(verdict).endswith("1 of 7 cases; the function returns nothing in the others")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x + x, "Exercise 1: right, 2 of 2 cases"),
        (lambda x: 2, "1 of 2 cases\n    case 2: twice(-3)\n    is        2\n    should be -6"),
        (lambda x: 2.0 * x, "case 1: twice(1)\n    is        2.0  (float64)\n    should be 2  (integer)"),
        (lambda x: x / 0, "; ZeroDivisionError: division by zero (case 1: twice(1))"),
        (lambda x: [x, x], "is        [1, 1]  (2 values)\n    should be 2  (integer)"),
        (lambda x: np.arange(200), "is        [0, 1, 2, 3,"),
    ],
)
def test_a_verdict_says_what_is_wrong(function, words, capsys):
    picture = LESSON.check(1, function)
    assert words in capsys.readouterr().out
    assert picture.png().startswith(b"\x89PNG")


def test_arrays_are_compared_to_the_last_bit_and_stay_as_they_are():
    def close(x):
        x /= np.float32(2)
        return np.nextafter(x, np.float32(9))

    assert not LESSON.verdict(2, close).passed
    assert LESSON.exercises[1].cases[0][0].tolist() == [1, 3]
    assert LESSON.verdict(2, lambda x: x * np.float32(0.5)).passed


def test_a_list_may_be_an_array_and_long_arguments_are_named_only():
    rows = Exercise(
        "Rows", "", "def rows(x):\n    return ...",
        "def rows(x):\n    return [int(r.sum()) for r in x]", ["-"],
        [(np.ones((3, 40), np.int8),), (np.array([[1, 2]]),)],
    )  # fmt: skip
    lesson = Lesson(1, "?", [rows])
    assert lesson.verdict(1, lambda x: x.sum(axis=1, dtype=int)).passed
    said = str(lesson.verdict(1, lambda x: x.sum(axis=0, dtype=int)))
    assert "case 1: rows(int8 [3, 40])\n    is        [3, 3, 3" in said
    assert said.endswith("...  (integer of shape [40])\n    should be [40, 40, 40]  (3 values)")


def test_questions_hints_and_answers_are_shown():
    assert "Return twice the integer" in LESSON.question(1)._repr_markdown_()
    assert "def twice(x)" in repr(LESSON.question(1))
    assert repr(LESSON.hint(1)) == "Hint 1 of 1: add it to itself"
    assert "has 1 hints" in repr(LESSON.hint(1, 2))
    assert "return 2 * x" in repr(LESSON.answer(1))
    with pytest.raises(InputError, match="expected 1 to 2"):
        LESSON.question(3)
