"""The answers of lesson 9 are what the kernels compute."""

import numpy as np
import pytest

import ptq
from ptq.kernels.dense import fully_connected_hybrid
from ptq.kernels.dynamic_range import quantize_rows
from ptq.lessons.dynamic_range import ACCUMULATE, ORDER, SYMMETRIC, VECTOR_ROUNDING, ZERO_POINT

RNG = np.random.default_rng(0)
ROWS = (RNG.standard_normal((50, 19)) * 10.0 ** RNG.integers(-3, 4, (50, 1))).astype(np.float32)


def answer(exercise):
    return exercise.function(exercise.answer)


@pytest.mark.parametrize("row", ROWS)
def test_a_symmetric_row(row):
    rows = quantize_rows(row[None], True, ptq.PORTABLE)
    assert answer(SYMMETRIC)(row) == (rows.scale[0], rows.centred[0].tolist())


@pytest.mark.parametrize("row", ROWS)
def test_the_zero_point_of_a_row(row):
    rows = quantize_rows(row[None], False, ptq.PORTABLE)
    low, high = min(0.0, float(row.min())), max(0.0, float(row.max()))
    assert answer(ZERO_POINT)(low, high) == rows.zero_point[0]


def test_a_tie_of_both_ends_goes_away_from_zero():
    assert answer(ZERO_POINT)(-2.5, 2.5) == -1


def test_the_zero_point_costs_nothing():
    for q, w, zero_point, row_sums in ACCUMULATE.cases:
        centred = [[int(a) * (int(b) - zero_point) for a, b in zip(row, q, strict=True)] for row in w]
        assert answer(ACCUMULATE)(q, w, zero_point, row_sums).tolist() == [sum(terms) for terms in centred]


@pytest.mark.parametrize("steps", ROWS)
def test_the_vector_code_rounds_so(steps):
    reach = np.float32(127)  # a step of exactly 1
    row = np.append(reach, np.clip(steps, -100, 100)).astype(np.float32)
    rows = quantize_rows(row[None], True, ptq.LITERT_REFERENCE)
    assert answer(VECTOR_ROUNDING)(row) == rows.centred[0].tolist()


@pytest.mark.parametrize("case", ORDER.cases)
def test_one_scale_is_multiplied_with_the_other_first(case):
    acc, scale_x, scale_w, per_channel = case
    integer = int(acc)
    expected = np.float32(integer) * np.float32(scale_x * scale_w)
    if per_channel:
        expected = np.float32(np.float32(np.float32(integer) * scale_w) * scale_x)
    assert answer(ORDER)(*case) == expected


def test_a_dense_layer_multiplies_the_scales_first():
    x, w = np.array([[127.0, 100.0]], np.float32), np.array([[127, 100]], np.int8)
    scale_w = np.float32(0.0077)
    y = fully_connected_hybrid(x, w, np.array([scale_w]))
    assert y[0, 0] == answer(ORDER)(127 * 127 + 100 * 100, np.float32(1), scale_w, False)
