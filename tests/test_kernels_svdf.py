"""SVDF against loops over single numbers, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from litert import assert_same_bits
from scalar import F, activate, add_in_lanes, quantize_row

import ptq
from ptq.build import Builder
from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.libm import tanhf
from ptq.kernels.svdf import svdf_float, svdf_hybrid


def spec(row, features, time, bias, memories, rank, activation, symmetric, portable=False):
    """One step of one batch row. memories: a list of the past values of each filter, oldest first, which this
    changes; features, time: float32 matrices or pairs of int8 and scale."""
    lanes = 1 if portable else 4
    if isinstance(features, tuple):
        q, scale, zero_point = quantize_row(list(row), symmetric, portable)
        sums = [sum(int(w) * (i - zero_point) for w, i in zip(f, q, strict=True)) for f in features[0]]
        values = [F(F(acc) * F(scale * features[1][0])) for acc in sums]
        time = [[F(F(w) * time[1][0]) for w in weights] for weights in time[0]]
    else:
        values = [
            add_in_lanes(F(0), [F(w * x) for w, x in zip(f, row, strict=True)], lanes) for f in features
        ]
    filtered = []
    for memory, value, weights in zip(memories, values, time, strict=True):
        memory.append(value)
        del memory[0]
        filtered.append(add_in_lanes(F(0), [F(w * m) for w, m in zip(weights, memory, strict=True)], lanes))
    outputs = []
    for unit in range(len(filtered) // rank):
        total = add_in_lanes(F(0), filtered[unit * rank : (unit + 1) * rank], lanes)
        outputs.append(activate(total if bias is None else F(total + bias[unit]), activation))
    return outputs


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("portable", [False, True])
def test_svdf_is_the_loop(hybrid, portable):
    rng = np.random.default_rng(7)
    numerics = ptq.PORTABLE if portable else ptq.LITERT_REFERENCE
    for trial in range(10):
        batch, inputs, units, rank, memory = (int(n) for n in rng.integers(1, 10, 5))
        filters = units * rank
        weights = [rng.normal(0, 0.4, (filters, n)).astype(F) for n in (inputs, memory)]
        if hybrid:
            weights = [
                (rng.integers(-127, 128, w.shape).astype(np.int8), rng.uniform(0.01, 0.02, 1).astype(F))
                for w in weights
            ]
        bias = rng.normal(0, 1, units).astype(F) if trial % 2 else None
        activation, asymmetric = ("NONE", "RELU")[trial % 2], hybrid and trial % 3 == 0
        state = np.zeros((batch, filters * memory), F)
        memories = [[[F(0)] * memory for _ in range(filters)] for _ in range(batch)]
        for step in range(memory + 2):
            x = rng.normal(0, 1, (batch, inputs)).astype(F) * F(step != 2)
            expected = [
                spec(row, *weights, bias, m, rank, activation, not asymmetric, portable)
                for row, m in zip(x, memories, strict=True)
            ]
            more = {"asymmetric_quantize_inputs": asymmetric} if hybrid else {}
            exact = replace(numerics, float_sums="ordered")
            run = svdf_hybrid if hybrid else svdf_float
            output, state = run(x, *weights, bias, state, rank, activation, numerics=exact, **more)
            assert_same_bits(output, np.array(expected, F))
            assert_same_bits(state, np.array(memories, F).reshape(batch, -1))


def test_the_oldest_value_leaves_and_the_newest_is_weighted_last():
    state = np.array([[1, 2, 3, 10, 20, 30]], F)  # two filters with a memory of three
    feature, time = np.array([[1], [2]], F), np.array([[1, 10, 100], [0, 0, 1]], F)
    output, kept = svdf_float(np.array([[4]], F), feature, time, np.array([0.5], F), state, 2)
    assert kept.tolist() == [[2, 3, 4, 20, 30, 8]]
    assert output.tolist() == [[2 + 30 + 400 + 8 + 0.5]]
    assert state.tolist() == [[1, 2, 3, 10, 20, 30]]


def test_what_does_not_fit_is_named():
    x, feature, time = np.ones((2, 3), F), np.ones((4, 3), F), np.ones((4, 5), F)
    state = np.zeros((2, 20), F)
    wrong = [
        ((x[0], feature, time, None, state, 2), "input of shape"),
        ((x, feature, time[:3], None, state, 2), r"expected \[4, memory\]"),
        ((x, feature, time[:, :0], None, state, 2), r"expected \[4, memory\]"),
        ((x, feature, time, None, state[:, 1:], 2), r"expected \(2, 20\)"),
        ((x, feature, time, None, state, 3), "multiple of the rank 3"),
        ((x, feature, time, None, state, 0), "multiple of the rank 0"),
        ((x, feature, time, np.ones(4, F), state, 2), "bias of shape"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ShapeError, match=message):
            svdf_float(*arguments)


def test_float_time_weights_beside_int8_feature_weights_are_refused_or_right():
    builder = Builder()
    x = builder.input("x", (1, 1))
    feature = builder.constant(
        np.array([[127]], np.int8), "w", Quantization(np.array([1 / 127], F), np.zeros(1, np.int64))
    )
    state = builder.variable("state", (1, 2))
    time = np.array([[0.25, 0.5]], F)
    graph = builder.finish(builder.op("SVDF", [x, feature, time, None, state], {"rank": 1}))
    for choice in ("refuse", "reproduce"):
        numerics = replace(ptq.LITERT_REFERENCE, upstream_defects=choice)
        with pytest.raises(UnsupportedError, match="SVDF: a defect of TensorFlow Lite"):
            ptq.Interpreter(graph=graph, numerics=numerics).run([np.ones((1, 1), F)])
    intended = ptq.Interpreter(graph=graph, numerics=ptq.PORTABLE)
    outputs = [float(intended.run([np.full((1, 1), value, F)])[0][0, 0]) for value in (2, 4)]
    np.testing.assert_allclose(outputs, [1, 2.5], rtol=2**-21)  # 127 / 127, rounded four times


ODD = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, -1e-45, 0.3, -2, 7], F)


def one_filter_each(values, activation, kernel_of=ptq.TFLITE_MICRO, bias=None):
    """Units that show a value each."""
    one = np.ones((1, 1), F)
    rows = values.reshape(-1, 1)
    bias = np.zeros(1, F) if bias is None else bias
    return svdf_float(rows, one, one, bias, np.zeros_like(rows), 1, activation, kernel_of)[0].ravel()


@pytest.mark.parametrize(
    "activation, of_nan", [("NONE", np.nan), ("RELU", 0), ("RELU6", 6), ("RELU_N1_TO_1", 1), ("TANH", np.nan)]
)
def test_micro_has_other_activations(activation, of_nan):
    """Of NaN and a bound it takes the bound; its tanh is the C library's."""
    found = one_filter_each(ODD, activation)
    assert_same_bits(found[4], F(of_nan))
    if activation != "TANH":
        lite = one_filter_each(ODD, activation, ptq.PORTABLE)
        assert_same_bits(np.delete(found, 4), np.delete(lite, 4))
    else:
        assert_same_bits(found, tanhf(ODD + F(0)))
        x = np.linspace(-3, 3, 99, dtype=F)
        assert (one_filter_each(x, "TANH") != one_filter_each(x, "TANH", ptq.PORTABLE)).any()


def test_micro_adds_the_filters_to_the_bias():
    """(1 + 2^-24) + 2^-24 = 1, but 1 + (2^-24 + 2^-24) is more."""
    x, features, time = np.full((1, 1), 2.0**-24, F), np.ones((2, 1), F), np.ones((2, 1), F)
    bias, state = np.ones(1, F), np.zeros((1, 2), F)
    micro, lite = (
        svdf_float(x, features, time, bias, state, 2, "NONE", numerics)[0]
        for numerics in (ptq.TFLITE_MICRO, ptq.PORTABLE)
    )
    assert micro[0, 0] == 1
    assert lite[0, 0] == 1 + 2.0**-23


@pytest.mark.peers
@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH"])
def test_micro_confirms_the_activations(activation):
    pytest.importorskip("tflite_micro")
    from micro import run_micro

    b = Builder()
    x = b.input("x", (len(ODD), 1))
    y = b.svdf(x, np.ones((1, 1), F), np.ones((1, 1), F), np.zeros(1, F), activation=activation)
    found = run_micro(b.finish(y), [ODD.reshape(-1, 1)])[0].ravel()
    assert_same_bits(one_filter_each(ODD, activation), found)
