"""The answers of lessons 6 to 8 are what ptq's specification, observers and converter do."""

import numpy as np
import pytest

import ptq
from ptq import zoo
from ptq.histogram import HALF, Histogram
from ptq.kernels.pool import average_pool2d_float
from ptq.lessons import calibration, operators_without_weights, why_is_this_still_float
from ptq.observers import Percentile
from ptq.passes.fold import TAKES_ACTIVATION, simplify
from ptq.passes.integer_rules import FIXED_OUTPUT, INT8_VERSION, SAME_SCALE
from ptq.quality import Layer
from ptq.quantizer import asymmetric_parameters

F = np.float32
NUMBERS = {operators_without_weights: 6, calibration: 7, why_is_this_still_float: 8}


def solved(exercise):
    """The cases and what the answer makes of them."""
    return zip(exercise.cases, exercise.results(exercise.function(exercise.answer)), strict=True)


@pytest.mark.parametrize("module", NUMBERS, ids=lambda m: m.__name__.rsplit(".", 1)[-1])
def test_the_lessons_have_their_numbers(module):
    assert module.lesson.number == NUMBERS[module]


# --- lesson 6 -------------------------------------------------------------------------------------


def test_a_mean_of_integers_is_the_rounded_mean():
    for (window,), found in solved(operators_without_weights.AVERAGE):
        image = np.array(window, F).reshape(1, 1, -1, 1)
        mean = float(average_pool2d_float(image, (1, len(window)))[0, 0, 0, 0])
        assert found == operators_without_weights.round_half_away(mean)


def test_a_sum_is_that_of_the_specification():
    for (a, b, s_a, z_a, s_b, z_b, s_y, z_y), found in solved(operators_without_weights.ADD):
        operands, scales = [np.array([a], np.int8), np.array([b], np.int8)], [(s_a, z_a), (s_b, z_b)]
        assert found == ptq.trace("ADD", operands, scales, "INT8", (s_y, z_y), element=(0,)).value


@pytest.mark.parametrize(("case", "operator"), [(0, "LOGISTIC"), (1, "TANH"), (2, "ABS"), (3, "LOGISTIC")])
def test_a_table_holds_what_the_specification_computes(case, operator):
    cases = list(solved(operators_without_weights.TABLE))
    (_, s_x, z_x, s_y, z_y), found = cases[case]
    for q in range(-128, 128, 5):
        operand = [np.array([q], np.int8)]
        value = ptq.trace(operator, operand, [(s_x, z_x)], "INT8", (s_y, z_y), element=(0,)).value
        assert found[q + 128] == value


def test_the_three_families_are_those_of_the_converter():
    for (operator, given, observed), found in solved(operators_without_weights.PARAMETERS):
        assert operator in INT8_VERSION
        if operator in FIXED_OUTPUT["INT8"]:
            assert found == FIXED_OUTPUT["INT8"][operator]
        elif operator == "CONCATENATION":
            assert operator in SAME_SCALE and found == observed
        else:
            assert found == (given if operator in SAME_SCALE else observed)


# --- lesson 7 -------------------------------------------------------------------------------------


def test_parameters_are_those_of_the_quantizer():
    for (low, high), (scale, zero_point) in solved(calibration.RANGE):
        wanted = asymmetric_parameters(low, high)
        assert F(scale) == pytest.approx(wanted.scale[0], rel=2e-7)
        assert zero_point == wanted.zero_point[0]


def embedded(counts):
    """Few bins around 0 among the many of a histogram."""
    whole = np.zeros(2 * HALF, np.int64)
    whole[HALF - len(counts) // 2 : HALF + len(counts) // 2] = counts
    return whole


def test_wider_bins_are_those_of_a_histogram_that_grows():
    for (counts,), found in solved(calibration.WIDEN):
        grown = Histogram(3, embedded(counts)).merge(Histogram(4))
        np.testing.assert_array_equal(grown.counts, embedded(found))
        assert sum(found) == sum(counts)


def test_a_percentile_is_that_of_the_observer():
    for (counts, width, percent), found in solved(calibration.PERCENTILE):
        exponent = int(np.log2(width * HALF))
        histogram = Histogram(exponent, embedded(counts))
        assert histogram.width == width
        assert found == Percentile(percent).choose((-9, 9), histogram)


def test_decibels_are_those_of_the_quality_table():
    for (real, other), found in solved(calibration.SQNR):
        layer = Layer("ADD", "x", asymmetric_parameters(-1, 1), np.dtype(np.int8))
        layer.signal, layer.noise = float(np.sum(real**2)), float(np.sum((real - other) ** 2))
        assert found == round(layer.sqnr, 1)


# --- lesson 8 -------------------------------------------------------------------------------------


def test_a_folded_layer_computes_both():
    x = np.random.default_rng(0).standard_normal((5, 2)).astype(F)
    for (w, b, gamma, beta, mean, variance, epsilon), (weights, bias) in solved(why_is_this_still_float.FOLD):
        rows = x[:, : w.shape[1]]
        wanted = gamma * (rows @ w.T + b - mean) / np.sqrt(variance + epsilon) + beta
        np.testing.assert_allclose(rows @ weights.T + bias, wanted, rtol=1e-5, atol=1e-5)


def one_relu(layer, fused, readers, is_output):
    """A graph in which a RELU reads what a layer writes."""
    b = ptq.Builder("net")
    x = b.input("x", (1, 4, 4, 2))
    make = {
        "CONV_2D": lambda: b.conv2d(x, np.ones((2, 1, 1, 2), F), activation=fused),
        "RESHAPE": lambda: b.reshape(x, (1, 32)),
        "ADD": lambda: b.add(x, x, activation=fused),
        "MEAN": lambda: b.mean(x, (1, 2)),
        "FULLY_CONNECTED": lambda: b.fully_connected(b.reshape(x, (1, 32)), np.ones((2, 32), F)),
    }
    y = make[layer]()
    outputs = [b.relu(y), *(b.logistic(y) for _ in range(readers - 1)), *([y] if is_output else [])]
    return b.finish(*outputs)


def test_what_may_be_fused_is_fused_by_the_pass():
    assert why_is_this_still_float.FUSE.setup["TAKES_ACTIVATION"] == TAKES_ACTIVATION
    for case, found in solved(why_is_this_still_float.FUSE):
        graph = simplify(one_relu(*case))
        assert found == all(operator.type != "RELU" for operator in graph.operators)


def weighted(kind, elements, stored):
    """A graph with one operator of so many weights."""
    b = ptq.Builder("net")
    w = np.ones(elements, F)
    if kind == "CONV_2D":
        y = b.conv2d(b.input("x", (1, 2, 2, elements)), w.reshape(1, 1, 1, -1))
    elif kind == "DEPTHWISE_CONV_2D":
        y = b.depthwise_conv2d(b.input("x", (1, 2, 2, elements)), w.reshape(1, 1, 1, -1))
    elif kind == "FULLY_CONNECTED" and stored:
        y = b.fully_connected(b.input("x", (1, elements)), w.reshape(1, -1))
    elif kind == "FULLY_CONNECTED":
        y = b.op("FULLY_CONNECTED", [b.input("x", (1, elements)), b.input("w", (1, elements))])
    else:
        x = b.input("x", (1, max(elements, 8)))
        y = b.mul(x, w) if kind == "MUL" else b.softmax(x)
    return b.finish(y)


def test_what_becomes_hybrid_does_so_in_the_converter():
    for case, found in solved(why_is_this_still_float.HYBRID):
        converter = ptq.Converter.from_graph(weighted(*case))
        converter.post_training_quantize = True
        converter.convert()
        assert found == (converter.report[0].arithmetic == "hybrid"), case


def test_skipping_keeps_the_named_layers_float():
    exercise = why_is_this_still_float.SKIP
    converter = ptq.Converter.from_graph(zoo.fashion_cnn())
    converter.representative_dataset = lambda: [[zoo.data.calibration_images().images[:2]]]
    converter.skip = exercise.function(exercise.answer)
    converter.convert()
    skipped = [d.name for d in converter.report if d.reason == "skipped by the user"]
    assert skipped == ["conv1_relu", "dense2", "probabilities"]
    assert {d.arithmetic for d in converter.report if d.name in skipped} == {"float"}
