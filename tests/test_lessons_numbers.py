"""The answers of lessons 0 to 2 are what ptq's quantizer, its fixed point and its files have."""

import math
from fractions import Fraction

import numpy as np
import pytest

import ptq
from ptq.fixed_point import (
    multiply_by_quantized_multiplier_spec,
    quantize_multiplier_spec,
    round_half_away_spec,
    rounding_divide_by_pot_spec,
)
from ptq.lessons import announcement, numbers_and_scales, rounding_and_fixed_point
from ptq.oracle.problem import quantization
from ptq.quantizer import asymmetric_parameters, dequantize, quantize, quantize_weights


def solved(exercise):
    """The cases and what the answer makes of them."""
    return zip(exercise.cases, exercise.results(exercise.function(exercise.answer)), strict=True)


@pytest.mark.parametrize(
    ("module", "number"), [(announcement, 0), (numbers_and_scales, 1), (rounding_and_fixed_point, 2)]
)
def test_the_lessons_have_their_numbers(module, number):
    assert module.lesson.number == number


def one_dense_layer(outputs, inputs):
    weights = np.random.default_rng(0).standard_normal((outputs, inputs)).astype(np.float32)
    builder = ptq.Builder("one")
    x = builder.input("x", (1, inputs))
    return builder.finish(builder.fully_connected(x, weights, np.ones(outputs, np.float32), name="y"))


@pytest.mark.parametrize("shape", [(64, 1568), (32, 32), (31, 33), (10, 64)])
def test_the_predicted_bytes_are_those_of_a_file(shape):
    sizes = []
    for quantized in (False, True):
        converter = ptq.Converter.from_graph(one_dense_layer(*shape))
        converter.post_training_quantize = quantized
        sizes.append(len(converter.convert()))
    predict = announcement.SIZE.function(announcement.SIZE.answer)
    saved = 4 * math.prod(shape) - predict([("weights", shape)])
    assert abs((sizes[0] - sizes[1]) - saved) <= 128  # tables and padding


def test_the_predicted_bytes_by_hand():
    by_hand = [64 * 1568 + 64 * 12, 64 * 1568 + 64 * 12 + 256, 2560 + 40, 1024 + 32 * 12, 8000]
    assert [found for _, found in solved(announcement.SIZE)] == by_hand


def test_a_row_of_weights_is_the_converters():
    for (w,), (scale, integers) in solved(announcement.WEIGHTS):
        q, parameters = quantize_weights(np.array(w, np.float32), "mlir_dynamic_range")
        assert (scale, integers) == (np.float32(parameters.scale[0]), q.tolist())


def test_gained_and_lost_by_counting():
    for (before, after, labels), found in solved(announcement.CHANGES):
        triples = list(zip(before.tolist(), after.tolist(), labels.tolist(), strict=True))
        gained = sum(a != y and b == y for a, b, y in triples)
        lost = sum(a == y and b != y for a, b, y in triples)
        assert found == (gained, lost, sum(a != b for a, b, _ in triples))


def test_the_speedup_is_old_time_over_new():
    for (shares, factors), found in solved(announcement.SPEED):
        after = sum(Fraction(s) / Fraction(f) for s, f in zip(shares, factors, strict=True))
        assert found == float(1 / after)


def test_reals_are_the_dequantizers():
    for (q, scale, zero_point), found in solved(numbers_and_scales.REALS):
        np.testing.assert_array_equal(found, dequantize(q, quantization(scale, zero_point)))


def test_integers_are_the_quantizers():
    for (real, scale, zero_point), found in solved(numbers_and_scales.INTEGERS):
        assert found == quantize(np.float32(real), quantization(scale, zero_point))


def test_parameters_are_the_quantizers():
    for (low, high), (scale, zero_point) in solved(numbers_and_scales.PARAMETERS):
        wanted = asymmetric_parameters(low, high, float_scale=False)
        assert (np.float32(scale), zero_point) == (wanted.scale[0], wanted.zero_point[0])


def test_unsigned_integers_stand_for_the_same_reals():
    for (q, zero_point), (unsigned, other) in solved(numbers_and_scales.UNSIGNED):
        reals = dequantize(q, quantization(0.1, zero_point))
        np.testing.assert_array_equal(dequantize(unsigned, quantization(0.1, other)), reals)
        assert unsigned.dtype == np.uint8


def test_half_away_is_the_specifications():
    for (x,), found in solved(rounding_and_fixed_point.AWAY):
        assert found == round_half_away_spec(x)


def test_divisions_are_the_specifications():
    for (x, n), found in solved(rounding_and_fixed_point.SHIFT):
        assert found == rounding_divide_by_pot_spec(x, n)


def test_multipliers_are_the_specifications():
    for (m,), found in solved(rounding_and_fixed_point.MULTIPLIER):
        assert found == quantize_multiplier_spec(m)


def test_rescales_are_the_specifications_and_some_need_two_roundings():
    differ = 0
    for (acc, multiplier, shift), found in solved(rounding_and_fixed_point.DOUBLE):
        assert found == multiply_by_quantized_multiplier_spec(acc, multiplier, shift)
        differ += found != multiply_by_quantized_multiplier_spec(acc, multiplier, shift, "single")
    assert differ >= 3
