"""Cross-layer equalization: ranges become equal, the function stays, and what cannot be changed is named."""

from itertools import pairwise

import numpy as np
import pytest

from ptq.build import Builder
from ptq.errors import QuantizationError
from ptq.graph import Operator
from ptq.interpreter import Interpreter
from ptq.passes.equalize import equalize, typical_steps
from ptq.passes.fold import simplify
from ptq.zoo import data, fashion_cnn, fashion_ds_cnn

UNIT_ROUNDOFF = 2.0**-24


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def two_dense(activation="RELU"):
    """Channel 0 is written by 8 and read by 1/2, channel 1 written by 1/8 and read by 2."""
    b = Builder()
    x = b.input("x", (1, 2))
    y = b.fully_connected(x, [[8.0, 1.0], [0.0, 0.125]], [4.0, -1.0], activation, name="first")
    return b.finish(b.fully_connected(y, [[0.5, 2.0], [0.25, -1.0]], [1.0, 1.0], name="second"))


def weights_of(graph, position):
    return [graph.tensors[i].data.tolist() for i in graph.operators[position].inputs[1:3]]


def test_two_layers_by_hand():
    graph, report = equalize(two_dense())
    (pair,) = report
    # s = sqrt(r1 / r2) = sqrt(8 / 0.5), sqrt(0.125 / 2)
    assert pair.factors.tolist() == [4.0, 0.25]
    assert (pair.first, pair.second) == ("first", "second")
    assert (pair.before.tolist(), pair.after.tolist()) == ([8.0, 0.125], [2.0, 0.5])
    assert weights_of(graph, 0) == [[[2.0, 0.25], [0.0, 0.5]], [1.0, -4.0]]
    assert weights_of(graph, 1) == [[[2.0, 0.5], [1.0, -0.25]], [1.0, 1.0]]
    assert (typical_steps(pair.before), typical_steps(pair.after)) == (127 * 4.0625 / 8, 127 * 1.25 / 2)
    assert "1 pairs of layers, 2 sweeps" in str(report)
    assert "64.5 -> 79.4" in str(report)
    assert "not equalized: second: 'second' is returned, or read in several places" in str(report)


def uneven(*shape, axis=-1, seed=0):
    """Random weights whose channels along `axis` differ by factors of up to a million."""
    rng = np.random.default_rng(seed)
    along = [1] * len(shape)
    along[axis] = -1
    factors = 10 ** rng.uniform(-3, 3, shape[axis])
    return (rng.normal(0, 1, shape) * factors.reshape(along)).astype(np.float32)


def image_network(rectify=np.asarray):
    """Every kind of pair: ordinary, grown by a multiplier of 2, through pools, a mean and a flattening."""
    b = Builder()
    x = b.input("x", (2, 8, 8, 3))
    y = b.conv2d(x, rectify(uneven(4, 3, 3, 3, axis=0)), rectify(normal(4)), activation="RELU", name="conv")
    y = b.max_pool2d(y, 2)
    y = b.depthwise_conv2d(y, rectify(uneven(1, 3, 3, 8, seed=1)), rectify(normal(8)), name="grown")
    y = b.average_pool2d(y, 2, activation="RELU")
    y = b.conv2d(y, rectify(uneven(5, 1, 1, 8, axis=0, seed=2)), activation="RELU", name="pointwise")
    y = b.reshape(y, (2, 20))
    y = b.fully_connected(y, rectify(uneven(6, 20, axis=0, seed=3)), rectify(normal(6)), name="flat")
    y = b.reshape(y, (2, 1, 1, 6))
    y = b.depthwise_conv2d(y, rectify(uneven(1, 1, 1, 6, seed=4)), activation="RELU", name="alone")
    y = b.mean(y, (1, 2))
    return b.finish(b.fully_connected(y, rectify(normal(3, 6))))


NAMES = ["conv", "grown", "pointwise", "flat", "alone"]


def test_powers_of_two_change_no_bit_of_the_output():
    graph, x = image_network(), normal(2, 8, 8, 3, seed=5)
    result, report = equalize(graph)
    assert [pair.first for pair in report] == NAMES
    assert all(np.all(np.frexp(pair.factors)[0] == 0.5) for pair in report)
    assert max(pair.factors.max() for pair in report) >= 64
    (expected,), (found,) = (Interpreter(graph=g).run([x]) for g in (graph, result))
    assert np.all(np.isfinite(expected))
    assert np.any(expected != 0)
    assert found.tobytes() == expected.tobytes()


def test_other_factors_change_the_output_by_rounding_alone():
    # nothing is negative, so that relative errors do not grow by cancellation: each weight and bias is
    # rounded once or twice, each of six layers sums 1 + 72 products at most, an average 4
    graph, x = image_network(np.abs), np.abs(normal(2, 8, 8, 3, seed=5))
    result, report = equalize(graph, powers_of_two=False)
    assert report.converged
    (expected,), (found,) = (Interpreter(graph=g).run([x]) for g in (graph, result))
    bound = 6 * (2 * 2 + 2 * (73 + 4)) * UNIT_ROUNDOFF
    assert 0 < np.max(np.abs(found - expected) / expected) < bound


def read_by(weights, second, channels):
    """r2 by a loop over channels: the largest |weight| that multiplies a channel."""
    width = weights.shape[-1]
    multiplier = width // channels if second == "DEPTHWISE_CONV_2D" and width > channels else 1
    return [
        max(np.abs(weights[..., j]).max() for j in range(width) if j // multiplier % channels == i)
        for i in range(channels)
    ]


@pytest.mark.parametrize("powers_of_two", [True, False])
def test_both_ranges_of_a_channel_become_equal(powers_of_two):
    graph, report = equalize(image_network(), powers_of_two)
    layers = [o for o in graph.operators if o.type in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    for pair, (_, second) in zip(report, pairwise(layers), strict=True):
        weights = graph.tensors[second.inputs[1]].data
        ratio = pair.after / read_by(weights, second.type, pair.after.size)
        # the last sweep left factors s of 1 +- 1e-3, and r1 / r2 = s^2; a later pair moved r2 as little
        # again. A power of two is off by sqrt(2) at most, in either layer and in the neighbours that share it
        limit = 2 ** (1 + 1) if powers_of_two else (1 + 1e-3) ** 3
        assert np.all((1 / limit <= ratio) & (ratio <= limit)), pair.first


def test_relu6_is_left_alone_unless_it_may_go():
    graph, report = equalize(two_dense("RELU6"))
    assert len(report) == 0
    assert report.skipped[0] == ("first", "fused RELU6 does not let factors pass")
    assert graph == two_dense("RELU6")
    graph, report = equalize(two_dense("RELU6"), relu6_as_relu=True)
    assert report.replaced == ("first",)
    assert "RELU6 became RELU: first" in str(report)
    assert graph == equalize(two_dense())[0]
    x = np.float32([[1, 1]])  # 8 + 1 + 4 exceeds 6: this is the loss
    assert Interpreter(graph=graph).run([x])[0].tolist() == [[0.5 * 13 + 1, 0.25 * 13 + 1]]
    assert Interpreter(graph=two_dense("RELU6")).run([x])[0].tolist() == [[0.5 * 6 + 1, 0.25 * 6 + 1]]


def test_a_channel_without_weights_keeps_the_rest():
    graph = two_dense()
    graph.tensors[graph.operators[0].inputs[1]].data[1] = 0
    result, report = equalize(graph)
    assert report[0].factors.tolist() == [4.0, 1.0]
    assert weights_of(result, 0)[0][1] == [0.0, 0.0]
    for position in (0, 1):
        graph.tensors[graph.operators[position].inputs[1]].data[...] = 0
    assert equalize(graph)[0] == graph


def conv(b, x, channels=4, **options):
    return b.conv2d(x, normal(channels, 1, 1, x.shape[-1]), normal(channels), **options)


def read_twice(b, x):
    y = conv(b, x)
    return b.add(conv(b, y), y)


def returned(b, x):
    return conv(b, x)


def tanh_between(b, x):
    return conv(b, b.tanh(conv(b, x)))


def channels_mixed(b, x):
    return b.fully_connected(b.reshape(conv(b, x), (-1, 2)), normal(3, 2))


def channels_averaged(b, x):
    return b.fully_connected(b.mean(conv(b, x), (-1,)), normal(3, 16))


def grouped(b, x):
    return b.conv2d(conv(b, x), normal(4, 1, 1, 2))


def shared_weights(b, x):
    weights = b.constant(normal(4, 1, 1, 4))
    return b.conv2d(b.conv2d(x, weights), weights)


def computed_weights(b, x):
    return b.fully_connected(b.reshape(conv(b, x), (16, 4)), b.input("weights", (3, 4)))


def as_weights(b, x):
    return b.fully_connected(b.input("other", (1, 4)), b.reshape(conv(b, x), (16, 4)))


REASONS = [
    (read_twice, "is returned, or read in several places"),
    (returned, "is returned, or read in several places"),
    (tanh_between, "TANH does not let factors pass"),
    (channels_mixed, "mixes its channels"),
    (channels_averaged, "MEAN does not let factors pass"),
    (grouped, "whose weights are not for all 4 channels"),
    (shared_weights, "is used elsewhere, too"),
    (computed_weights, "is no float constant"),
    (as_weights, "is returned, or read in several places"),
]


@pytest.mark.parametrize(("build", "reason"), REASONS, ids=[build.__name__ for build, _ in REASONS])
def test_what_cannot_be_equalized_says_why(build, reason):
    b = Builder()
    graph = b.finish(build(b, b.input("x", (1, 4, 4, 4))))
    result, report = equalize(graph)
    assert len(report) == 0
    assert reason in report.skipped[0][1]
    assert result == graph
    assert report.converged


@pytest.mark.parametrize("kind", ["CONV_2D", "RESHAPE", "MEAN", "MAX_POOL_2D"])
@pytest.mark.parametrize(
    ("inputs", "factors"),
    [([], [[4.0, 0.25]]), ([-1], [[4.0, 0.25]]), ([-1, 0], [[4.0, 0.25]]), ([0, -1], [[4.0, 0.25]]),
     ([0, 1, 2], []), ([3, 3], [])],
)  # fmt: skip
def test_damaged_operators_are_left_alone(kind, inputs, factors):
    graph = two_dense()
    assert graph.tensors[1].name == "first/weights"
    assert graph.tensors[3].name == "first"  # whoever reads these keeps the layers from being changed
    graph.operators.append(Operator(kind, inputs, []))
    result, report = equalize(graph)
    assert [pair.factors.tolist() for pair in report] == factors
    assert result.operators[-1] == graph.operators[-1]


def test_weights_must_be_finite():
    graph = two_dense()
    graph.tensors[graph.operators[1].inputs[1]].data[0, 0] = np.nan
    with pytest.raises(QuantizationError, match="second/weights"):
        equalize(graph)


@pytest.mark.parametrize("model", [fashion_cnn, fashion_ds_cnn])
def test_a_real_model_computes_the_same_bits_and_stays_as_it_was(model):
    images, graph = data.test_images().images[:20], simplify(model())
    before = graph.copy()
    result, report = equalize(graph)
    assert graph == before
    assert report.converged
    assert len(report) == sum("bias" in t.name for t in graph.tensors) - 1
    (expected,), (found,) = (Interpreter(graph=g).run([images]) for g in (graph, result))
    assert found.tobytes() == expected.tobytes()
