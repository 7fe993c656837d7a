"""The answers of lesson 13 are what the specification, its rules and the files of vectors have."""

from fractions import Fraction

import numpy as np

import ptq
from ptq.lessons.an_oracle_for_your_kernel import ARRAY, DIFFERENCES, RESCALE, WITNESS, lesson
from ptq.numerics import LITERT_REFERENCE
from ptq.oracle.files import Blob, read_array
from ptq.oracle.mistakes import MISTAKES
from ptq.oracle.same import differing
from ptq.spec.rules import Rules


def solved(exercise):
    """The cases and what the answer makes of them."""
    return list(zip(exercise.cases, exercise.results(exercise.function(exercise.answer)), strict=True))


def test_the_lesson_has_its_number():
    assert lesson.number == 13


def test_differences_are_counted_in_wide_integers():
    for (found, expected), (count, largest) in solved(DIFFERENCES):
        assert count == differing(found, expected).sum()
        pairs = zip(found.reshape(-1).tolist(), expected.reshape(-1).tolist(), strict=True)
        assert largest == max(abs(a - b) for a, b in pairs)


def test_a_witness_is_the_first_sum_where_the_mistake_shows():
    right, mistaken = Rules(LITERT_REFERENCE), MISTAKES["half to even"](LITERT_REFERENCE)
    for (numerator, n), found in solved(WITNESS):
        sums = (a for a in range(1, 1 << (n + 3)) if apart(Fraction(a * numerator, 1 << n), right, mistaken))
        assert found == next(sums, 0)


def apart(x, right, mistaken):
    return right.round_half_away(x) != mistaken.round_half_away(x)


def outputs(acc, m, zero_point, numerics):
    """The sum comes in by the bias; the scales make the factor m."""
    operands = [np.array([[0]], np.int8), np.array([[0]], np.int8), np.array([acc], np.int32)]
    scales = [(m, 0), (1.0, 0), (m, 0)]
    return ptq.trace(
        "FULLY_CONNECTED", operands, scales, "INT8", (1.0, zero_point), element=(0, 0), numerics=numerics
    ).value


def test_the_other_right_answer_is_the_specifications():
    parted = 0
    for (acc, m, zero_point), found in solved(RESCALE):
        assert found == outputs(acc, m, zero_point, ptq.XNNPACK)
        parted += found != outputs(acc, m, zero_point, ptq.LITERT_REFERENCE)
    assert parted >= 4


def test_arrays_are_those_of_the_format():
    for (blob, entry, _), found in solved(ARRAY):
        wanted = read_array(entry, blob)
        np.testing.assert_array_equal(found, wanted)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert Blob().add(found)["shape"] == entry["shape"]
