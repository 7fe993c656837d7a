"""The last steps of a product: as they are written, and merged, against one number at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptq.fixed_point import multiply_by_quantized_multiplier_spec, wrap_spec
from ptq.gemm import MultiplyShift
from ptq.kernels.integer.output_stage import (
    CHUNK,
    LIFT,
    RUN,
    MultiplyAdd,
    OutputStage,
    WideMultiplyShift,
    centred,
)
from ptq.kernels.integer.parameters import Rescale
from ptq.numerics import LITERT_REFERENCE, XNNPACK

SMALLEST, LARGEST = 2**30, 2**31 - 1


def stage_spec(total, bias, multiplier, shift, zero_point, bounds, rounding):
    scaled = multiply_by_quantized_multiplier_spec(wrap_spec(total + bias), multiplier, shift, rounding)
    return max(bounds[0], min(bounds[1], wrap_spec(scaled + zero_point)))


def stage_of(bias, multiplier, shift, zero_point, bounds, numerics, dtype=np.int8):
    rescale = Rescale(np.array(multiplier, np.int32), np.array(shift, np.int32), numerics)
    return OutputStage(np.array(bias, np.int64), rescale, zero_point, bounds, dtype)


def outputs(stage, sums):
    sums = np.array(sums, np.int32)
    out = np.empty(sums.shape, stage.dtype)
    stage.merged(int(np.abs(sums.astype(np.int64)).max())).start(sums.size)(sums, out)
    return out


channel = st.tuples(
    st.one_of(st.integers(-(2**10), 2**10), st.integers(-(2**20), 2**20)),
    st.one_of(st.sampled_from([0, SMALLEST, LARGEST]), st.integers(SMALLEST, LARGEST)),
    st.integers(-20, 3),
)
bounds = st.sampled_from([(-128, 127), (-1, 127), (-128, 5), (-3, 4), (-10, -10)])


@given(
    st.lists(channel, min_size=1, max_size=5),
    st.one_of(
        # with sums below 2^20 float64 holds their products, with longer ones it does not
        st.lists(st.integers(-(2**16), 2**16), min_size=1, max_size=5),
        st.lists(st.integers(-(2**23), 2**23), min_size=1, max_size=5),
    ),
    st.integers(-128, 127),
    bounds,
    st.sampled_from([LITERT_REFERENCE, XNNPACK]),
)
def test_merged_and_plain_stages_are_the_numbers(channels, sums, zero_point, bounds, numerics):
    constants = tuple(zip(*channels, strict=True))
    stage = stage_of(*constants, zero_point, bounds, numerics)
    rows = np.array([[total] * len(channels) for total in sums], np.int32)
    expected = [
        [stage_spec(total, *one, zero_point, bounds, numerics.rounding) for one in channels] for total in sums
    ]
    assert stage(rows).tolist() == expected
    assert outputs(stage, rows).tolist() == expected
    unsigned = replace(stage, dtype=np.uint8, bounds=(max(bounds[0], 0), max(bounds[1], 0)))
    assert outputs(unsigned, rows).tolist() == unsigned(rows).tolist()


@pytest.mark.parametrize("lowest", [-128, 5])
@pytest.mark.parametrize("shift", [0, -1, -2, -7])
@pytest.mark.parametrize("multiplier", [SMALLEST, SMALLEST + 1, 1_518_500_250, LARGEST])
def test_ties_and_the_neighbourhood_of_zero(multiplier, shift, lowest):
    # every sum around zero, where rounding twice treats the signs differently; with and without a RELU
    sums = np.arange(-3000, 3001)[:, None]
    stage = stage_of([7], [multiplier], [shift], 5, (lowest, 127), LITERT_REFERENCE)
    merged = stage.merged(3000)
    assert isinstance(merged.quotients, WideMultiplyShift) == (lowest == -128 and shift < 0)
    expected = [stage_spec(int(s), 7, multiplier, shift, 5, (lowest, 127), "double") for s in sums.ravel()]
    assert outputs(stage, sums).ravel().tolist() == expected


def test_a_stage_that_could_overflow_is_not_merged_and_wraps_as_c_does():
    def merges(bound, shift=0, zero_point=0, bias=0):
        stage = stage_of([bias], [LARGEST], [shift], zero_point, (-128, 127), LITERT_REFERENCE)
        return isinstance(stage.merged(bound), MultiplyAdd)

    assert merges(2**31 - 1) and not merges(2**31)
    assert merges(2**31 - 2, bias=-1) and not merges(2**31 - 1, bias=-1)
    assert merges(2**28 - 1, shift=3) and not merges(2**28, shift=3)
    assert merges(0, shift=30) and not merges(0, shift=31)
    assert merges(1, shift=-21) and not merges(1, shift=-22)
    wrapping = stage_of([1], [LARGEST], [-20], 0, (-128, 127), LITERT_REFERENCE)
    assert wrapping(np.array([[2**31 - 1]], np.int32)).tolist() == [[-128]]


def test_a_stage_is_cut_into_chunks_and_runs():
    rng = np.random.default_rng(0)
    for channels, rows in ((3, RUN), (RUN + 1, 9), (1, CHUNK * 2 + 5), (64, 1)):
        sums = rng.integers(-(2**18), 2**18, (rows, channels)).astype(np.int32)
        multiplier, shift = rng.integers(SMALLEST, LARGEST, channels), rng.integers(-12, -9, channels)
        stage = stage_of(rng.integers(-99, 99, channels), multiplier, shift, 3, (-128, 127), LITERT_REFERENCE)
        assert np.array_equal(outputs(stage, sums), stage(sums))


def test_a_short_type_holds_the_outputs_before_they_are_clamped():
    stage = stage_of([0], [SMALLEST], [1], 0, (-128, 127), LITERT_REFERENCE)
    assert stage.merged(2**15 - LIFT - 3).narrow == np.int16 and stage.merged(2**15).narrow == np.int32
    assert outputs(stage, [[2**16 + 3], [-(2**16) - 3]]).tolist() == [[127], [-128]]


def test_differences_to_a_zero_point_do_not_wrap():
    assert centred(np.array([0, 255], np.uint8), 255).tolist() == [-255, 0]
    assert centred(np.array([-128, 127], np.int8), -128).tolist() == [0, 255]


def test_float64_is_left_where_it_does_not_hold_the_products():
    def quotients(bound, dtype=np.int8, bias=0):
        stage = stage_of([bias], [LARGEST], [-8], -128, (-128, 127), LITERT_REFERENCE, dtype)
        return stage.merged(bound).quotients

    # 2^21 * (2^31 - 1) and the constants, of which (256 - 128) * 2^39 is the largest, are below 2^53
    assert isinstance(quotients(2**21), MultiplyShift) and isinstance(quotients(2**22), WideMultiplyShift)
    assert isinstance(quotients(0, bias=2**21), MultiplyShift)
    assert isinstance(quotients(0, bias=2**22), WideMultiplyShift)
    assert isinstance(quotients(1, np.int16), WideMultiplyShift)
