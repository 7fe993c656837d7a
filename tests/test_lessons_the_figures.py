"""The answers of lesson 12 are what the files hold, what the timing does, and what chance does."""

from itertools import product

import numpy as np
import pytest

import ptq
from ptq.figures.payload import payload
from ptq.figures.timing import interleaved_medians
from ptq.lessons.the_figures import DIFFERENCE, SIZE, SPEEDUP, WAITING, lesson


def solved(exercise):
    return zip(exercise.cases, exercise.results(exercise.function(exercise.answer)), strict=True)


def test_the_lesson_has_its_number():
    assert lesson.number == 12


def one_layer(shape, axis):
    """A graph of one layer with distinct weights."""
    b, rng = ptq.Builder("one"), np.random.default_rng(0)
    w, bias = rng.standard_normal(shape).astype(np.float32), rng.standard_normal(shape[axis])
    if len(shape) == 2:
        return b.finish(b.fully_connected(b.input("x", (1, shape[1])), w, bias.astype(np.float32)))
    x = b.input("x", (1, 8, 8, shape[3]))
    layer = b.depthwise_conv2d if axis == 3 else b.conv2d
    return b.finish(layer(x, w, bias.astype(np.float32)))


def test_the_bytes_of_a_layer_are_those_of_its_file():
    for (shape, axis), found in solved(SIZE):
        graphs = []
        for options in ({}, {"recipe": "2018"}, {"recipe": "current"}):
            converter = ptq.Converter.from_graph(one_layer(shape, axis))
            converter.post_training_quantize = bool(options)
            for name, value in options.items():
                setattr(converter, name, value)
            graphs.append(ptq.load(converter.convert()))
        assert found == tuple(map(payload, graphs))


def test_a_speedup_is_that_of_interleaved_medians():
    for (times,), found in solved(SPEEDUP):
        now, waits = [0.0], iter(times.ravel().tolist())

        def run(now=now, waits=waits):
            now[0] += next(waits)

        seconds = interleaved_medians(
            {"float": run, "int8": run}, len(times) - 1, clock=lambda now=now: now[0]
        )
        assert found == pytest.approx(seconds["float"] / seconds["int8"], rel=1e-12)


def test_what_waits_for_memory_gains_four_and_what_multiplies_gains_the_ratio_of_the_rates():
    found = [gain for _, gain in solved(WAITING)]
    assert found[:2] == [4.0, 1.5]
    weights, products, bandwidth, float_rate, _ = WAITING.cases[2]
    assert 4 * weights / bandwidth == products / float_rate and found[2] == 1.5
    assert 1.5 < found[3] < 4


def test_a_difference_beyond_two_standard_errors_is_rarely_chance():
    for (gained, lost), found in solved(DIFFERENCE):
        if gained + lost <= 15:  # every way in which the answers might have gone
            ways = np.array([sum(way) for way in product((1, -1), repeat=gained + lost)])
            assert ways.std() == pytest.approx((gained + lost) ** 0.5)
            assert found == (abs(gained - lost) > 2 * ways.std())
    verdicts = dict(solved(DIFFERENCE))
    assert verdicts[14, 108] and not verdicts[50, 70]
