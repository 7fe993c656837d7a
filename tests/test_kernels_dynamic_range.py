"""Run-time quantization of activations against the scalar specification, ties and odd sizes included."""

import numpy as np
import pytest
import scalar

from ptq.errors import QuantizationError
from ptq.kernels.dynamic_range import CHUNK, quantize_rows
from ptq.numerics import LITERT_REFERENCE, PORTABLE

NUMERICS = {"simd": LITERT_REFERENCE, "portable": PORTABLE}


def check(values, symmetric, kind):
    result = quantize_rows(values, symmetric, NUMERICS[kind])
    for r, row in enumerate(values):
        q, scale, zero_point = scalar.quantize_row(list(row), symmetric, kind == "portable")
        assert result.scale[r].tobytes() == scale.tobytes()
        assert result.zero_point[r] == zero_point
        assert result.centred[r].tolist() == [i - zero_point for i in q]


@pytest.mark.parametrize("kind", NUMERICS)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("size", [1, 7, 8, 9, 23, 64])
def test_random_rows_of_all_signs_and_scales(kind, symmetric, size):
    rng = np.random.default_rng(size)
    for exponent in (-30, -3, 0, 4, 30):
        values = (rng.normal(0, 1, (12, size)) * 2.0**exponent).astype(np.float32)
        values[1], values[2], values[3] = abs(values[1]), -abs(values[2]), 0
        check(values, symmetric, kind)


@pytest.mark.parametrize("kind", NUMERICS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_ties_and_the_number_below_one_half(kind, symmetric):
    top = 127 if symmetric else 255
    halves = np.arange(-20, 20) + 0.5
    row = np.array([top, *halves[halves > 0], 0.49999997, 0.5, 1.4999999, *([0.49999997] * 3)], np.float32)
    check(np.stack([row, -row]), symmetric, kind)
    mixed = np.where(np.arange(row.size) % 2, row, -row)
    check(mixed[None].astype(np.float32), symmetric, kind)


def test_the_vector_code_rounds_0_49999997_up_and_the_left_over_does_not():
    row = np.array([127.0] + [0.49999997] * 9, np.float32)
    q = quantize_rows(row[None], True, LITERT_REFERENCE).centred[0]
    assert q.tolist() == [127, 1, 1, 1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("extra", [0, 3, 8, 13])
def test_a_row_longer_than_a_chunk_is_one_row(symmetric, extra):
    rng = np.random.default_rng(extra)
    check(rng.normal(0, 1, (1, CHUNK + extra)).astype(np.float32), symmetric, "simd")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_without_an_answer_are_refused(bad):
    values = np.array([[1, bad, 2]], np.float32)
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        quantize_rows(values, False, LITERT_REFERENCE)
