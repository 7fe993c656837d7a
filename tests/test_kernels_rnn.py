"""The RNN operators against loops over single numbers, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from litert import assert_same_bits
from scalar import F, activate, add_in_lanes, quantize_row

import ptq
from ptq.build import Builder
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.bidirectional_rnn import bidirectional_sequence_rnn
from ptq.kernels.lanes import add_lane_products, lane_sum
from ptq.kernels.rnn import (
    RnnCell,
    rnn_float,
    rnn_hybrid,
    unidirectional_sequence_rnn_float,
    unidirectional_sequence_rnn_hybrid,
)

ORDERED = ptq.LITERT_REFERENCE_ORDERED
REPRODUCE = replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")
INTENDED = replace(ptq.LITERT_REFERENCE, upstream_defects="intended")


def spec_add(outputs, values, weights, symmetric, portable):
    """One row's outputs + weights @ values; weights: float32 [N, K], or int8 with a scale."""
    if not isinstance(weights, tuple):
        return [
            add_in_lanes(total, [F(w * v) for w, v in zip(row, values, strict=True)], 1 if portable else 4)
            for total, row in zip(outputs, weights, strict=True)
        ]
    integers, scale = weights
    q, row_scale, zero_point = quantize_row(list(values), symmetric, portable)
    sums = [sum(int(w) * (i - zero_point) for w, i in zip(row, q, strict=True)) for row in integers]
    return [F(total + F(F(acc) * F(row_scale * scale[0]))) for total, acc in zip(outputs, sums, strict=True)]


def spec_steps(rows, auxiliary, cell, state, activation, symmetric, portable=False):
    """All steps of a single batch row. cell: W, R, bias, A. Returns the outputs and the last state."""
    w, r, bias, a = cell
    outputs = []
    for t, x in enumerate(rows):
        y = list(bias)
        terms = [(x, w), (state, r)] if a is None else [(x, w), (auxiliary[t], a), (state, r)]
        for values, weights in terms:
            if not isinstance(weights, tuple) or any(value != 0 for value in values):
                y = spec_add(y, values, weights, symmetric, portable)
        state = [activate(value, activation) for value in y]
        outputs.append(state)
    return np.array(outputs, F), np.array(state, F)


def a_cell(rng, hybrid, inputs, units, auxiliary=None):
    def weights(columns):
        if not hybrid:
            return rng.normal(0, 0.4, (units, columns)).astype(F)
        return rng.integers(-127, 128, (units, columns)).astype(np.int8), np.array([0.008], F)

    bias = rng.normal(0, 1, units).astype(F)
    return weights(inputs), weights(units), bias, None if auxiliary is None else weights(auxiliary)


# --- lanes ----------------------------------------------------------------------------------------


def test_lanes_find_a_sum_that_is_lost_in_order():
    terms = np.array([2**24, 1, 0, 0, -(2**24), 0, 0, 0], F)  # in order, the 1 is lost beside 2^24
    assert lane_sum(terms, ptq.LITERT_REFERENCE) == 1
    assert lane_sum(terms, ptq.PORTABLE) == 0


@pytest.mark.parametrize("inner", [0, 1, 3, 4, 7, 8, 26])
@pytest.mark.parametrize(("numerics", "lanes"), [(ptq.LITERT_REFERENCE, 4), (ptq.PORTABLE, 1)])
def test_lanes_are_the_loop(inner, numerics, lanes):
    rng = np.random.default_rng(inner)
    terms = rng.normal(0, 1, (3, 2, inner)).astype(F)
    expected = np.array([[add_in_lanes(F(0), list(row), lanes) for row in pair] for pair in terms], F)
    assert_same_bits(lane_sum(terms, numerics), expected)
    x, weights, start = (rng.normal(0, 1, shape).astype(F) for shape in ((5, inner), (7, inner), (5, 7)))
    found = start.copy()
    add_lane_products(found, x, weights, numerics)
    expected = [
        [add_in_lanes(start[m, n], [F(a * b) for a, b in zip(x[m], weights[n], strict=True)], lanes)
         for n in range(7)]
        for m in range(5)
    ]  # fmt: skip
    assert_same_bits(found, np.array(expected, F))


# --- one direction --------------------------------------------------------------------------------


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("numerics", [ORDERED, replace(ptq.PORTABLE, float_sums="ordered")])
def test_sequences_are_the_loop(hybrid, numerics):
    rng = np.random.default_rng(3)
    portable = numerics.dynamic_range == "portable"
    for trial in range(20):
        batch, steps, inputs, units = (int(n) for n in rng.integers(1, 12, 4))
        w, r, bias, _ = a_cell(rng, hybrid, inputs, units)
        x = rng.normal(0, 1, (batch, steps, inputs)).astype(F)
        x[rng.random((batch, steps)) < 0.2] = 0
        state = rng.normal(0, 1, (batch, units)).astype(F)
        activation = ("NONE", "RELU_N1_TO_1")[trial % 2]
        asymmetric = hybrid and trial % 3 == 0
        pairs = [
            spec_steps(row, None, (w, r, bias, None), list(h), activation, not asymmetric, portable)
            for row, h in zip(x, state, strict=True)
        ]
        expected, last = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
        more = {"asymmetric_quantize_inputs": asymmetric} if hybrid else {}
        sequence = unidirectional_sequence_rnn_hybrid if hybrid else unidirectional_sequence_rnn_float
        output, kept = sequence(x, w, r, bias, state, activation, numerics=numerics, **more)
        assert_same_bits(output, expected)
        assert_same_bits(kept, last)
        turned = np.ascontiguousarray(x.swapaxes(0, 1))
        output, _ = sequence(turned, w, r, bias, state, activation, True, numerics=numerics, **more)
        assert_same_bits(output, np.ascontiguousarray(expected.swapaxes(0, 1)))
        step, kept = (rnn_hybrid if hybrid else rnn_float)(
            x[:, 0], w, r, bias, state, activation, numerics=numerics, **more
        )
        assert_same_bits(step, np.ascontiguousarray(expected[:, 0]))
        assert_same_bits(kept, step)


def test_only_hybrid_kernels_skip_zeros_and_each_layout_looks_at_other_ones():
    bias, state = np.array([-0.0], F), np.zeros((2, 1), F)
    pair = np.array([[1]], np.int8), np.array([1], F)
    one = np.array([[1]], F)
    x = np.array([[[0], [-1e-30]]], F)  # [time 1, batch 2, 1]: a zero row in a step that is not zero
    hybrid, _ = unidirectional_sequence_rnn_hybrid(x, pair, pair, bias, state, time_major=True)
    assert not np.signbit(hybrid[0, 0])  # -0 + 0
    hybrid, _ = unidirectional_sequence_rnn_hybrid(x.swapaxes(0, 1), pair, pair, bias, state)
    assert np.signbit(hybrid[0, 0])  # skipped
    float_, _ = unidirectional_sequence_rnn_float(x.swapaxes(0, 1), one, one, bias, state)
    assert not np.signbit(float_[0, 0])


def test_a_state_that_is_passed_in_stays_as_it_is():
    w, r, bias, _ = a_cell(np.random.default_rng(0), False, 3, 2)
    state = np.ones((1, 2), F)
    output, kept = rnn_float(np.ones((1, 3), F), w, r, bias, state)
    output[...] = 7
    assert (state == 1).all()
    assert (kept != 7).all()


def test_sequences_without_steps_keep_the_state():
    w, r, bias, _ = a_cell(np.random.default_rng(0), True, 3, 2)
    state = np.ones((4, 2), F)
    output, kept = unidirectional_sequence_rnn_hybrid(np.zeros((4, 0, 3), F), w, r, bias, state)
    assert output.shape == (4, 0, 2)
    assert (kept == 1).all()


# --- both directions ------------------------------------------------------------------------------


def both(x, cells, states, auxiliary=None, numerics=ORDERED, **options):
    forward, backward = (RnnCell.of(*cell, operator="BIDIRECTIONAL_SEQUENCE_RNN") for cell in cells)
    return bidirectional_sequence_rnn(
        x, forward, backward, *states, auxiliary_input=auxiliary, numerics=numerics, **options
    )


def bidirectional_case(hybrid, auxiliary=None, weighted=True, inputs=9):
    """x [batch 2, time 5], cells of 4 and 3 units, states and an auxiliary input."""
    rng = np.random.default_rng(5)
    x = rng.normal(0, 1, (2, 5, inputs)).astype(F)
    a = None if auxiliary is None else rng.normal(0, 1, (2, 5, auxiliary)).astype(F)
    cells = [a_cell(rng, hybrid, inputs, units, auxiliary if weighted else None) for units in (4, 3)]
    states = [rng.normal(0, 1, (2, units)).astype(F) for units in (4, 3)]
    return x, a, cells, states


def spec_both(x, backward_x, a, cells, states, activation="RELU_N1_TO_1"):
    outputs, last = [], []
    for cell, state, values, order in zip(cells, states, (x, backward_x), (1, -1), strict=True):
        pairs = [
            spec_steps(values[b, ::order], None if a is None else a[b, ::order], cell, list(state[b]),
                       activation, True)
            for b in range(len(x))
        ]  # fmt: skip
        outputs.append(np.stack([output[::order] for output, _ in pairs]))
        last.append(np.stack([kept for _, kept in pairs]))
    return outputs, last


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("auxiliary", [None, 9])
def test_both_directions_are_the_loop(hybrid, auxiliary):
    x, a, cells, states = bidirectional_case(hybrid, auxiliary)
    expected, last = spec_both(x, x, a, cells, states)
    outputs, *kept = both(x, cells, states, a, activation="RELU_N1_TO_1")
    for found, wanted in zip([*outputs, *kept], [*expected, *last], strict=True):
        assert_same_bits(found, wanted)
    (merged,), _, _ = both(x, cells, states, a, activation="RELU_N1_TO_1", merge_outputs=True)
    assert_same_bits(merged, np.concatenate(expected, axis=-1))


def test_a_hybrid_time_major_sequence_is_refused_or_repeated_or_right():
    x, _, cells, states = bidirectional_case(True)
    turned = x.swapaxes(0, 1)
    with pytest.raises(UnsupportedError, match=r"T times.*\(5, 2, 9\) found.*batch-major.*'reproduce'"):
        both(turned, cells, states, time_major=True)
    expected, last = spec_both(x, x, None, cells, states, "NONE")
    for numerics in (INTENDED, replace(ptq.PORTABLE, dynamic_range="simd")):
        options = {"time_major": True, "numerics": numerics}
        outputs, *kept = both(turned, cells, states, **options)
        for found, wanted in zip(outputs, expected, strict=True):
            assert_same_bits(found, np.ascontiguousarray(wanted.swapaxes(0, 1)))
    for _ in range(4):  # four times more, each from the states of the last
        expected, last = spec_both(x, x, None, cells, last, "NONE")
    outputs, *kept = both(turned, cells, states, **{**options, "numerics": REPRODUCE})
    for found, wanted in zip(kept, last, strict=True):
        assert_same_bits(found, wanted)
    assert_same_bits(outputs[1], np.ascontiguousarray(expected[1].swapaxes(0, 1)))


def test_the_crash_is_never_reproduced():
    x, _, cells, states = bidirectional_case(True)
    options = {"time_major": True, "merge_outputs": True}
    for numerics in (ptq.LITERT_REFERENCE, REPRODUCE):
        with pytest.raises(UnsupportedError, match="crashes"):
            both(x.swapaxes(0, 1), cells, states, numerics=numerics, **options)
    (merged,), _, _ = both(x.swapaxes(0, 1), cells, states, numerics=INTENDED, **options)
    assert merged.shape == (5, 2, 7)


def test_an_auxiliary_input_of_another_size_is_refused_or_misread_or_right():
    x, a, cells, states = bidirectional_case(True, auxiliary=12)
    with pytest.raises(UnsupportedError, match=r"larger than the input .* size 12 beside 9"):
        both(x, cells, states, a)
    buffer, misread = a.ravel(), np.empty_like(a)
    for row in range(10):
        misread.reshape(10, 12)[row] = buffer[9 * row : 9 * row + 12]
    for numerics, read in ((INTENDED, a), (REPRODUCE, misread)):
        expected, _ = spec_both(x, x, read, cells, states)
        outputs, _, _ = both(x, cells, states, a, numerics, activation="RELU_N1_TO_1")
        for found, wanted in zip(outputs, expected, strict=True):
            assert_same_bits(found, wanted)
    x, a, cells, states = bidirectional_case(True, auxiliary=8)  # it would read behind the buffer's end
    with pytest.raises(UnsupportedError, match="'intended'"):
        both(x, cells, states, a, REPRODUCE)
    x, a, cells, states = bidirectional_case(False, auxiliary=8)  # float, batch-major: no defect
    both(x, cells, states, a)


def test_an_auxiliary_input_without_weights_is_refused_or_not_read_or_right():
    x, a, cells, states = bidirectional_case(False, auxiliary=9, weighted=False)
    with pytest.raises(UnsupportedError, match="time-major"):
        both(x, cells, states, a)
    ordered = {"float_sums": "ordered"}
    for numerics, read in ((INTENDED, a), (REPRODUCE, x)):
        expected, _ = spec_both(x, read, None, cells, states)
        outputs, _, _ = both(x, cells, states, a, replace(numerics, **ordered), activation="RELU_N1_TO_1")
        for found, wanted in zip(outputs, expected, strict=True):
            assert_same_bits(found, wanted)


# --- what does not fit ----------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_named():
    w, r, bias, _ = a_cell(np.random.default_rng(0), False, 3, 2)
    x, state = np.ones((4, 3), F), np.zeros((4, 2), F)
    wrong = [
        ((x[None], w, r, bias, state), "expected .batch, inputs"),
        ((x[:, :2], w, r, bias, state), "input weights of shape .2, 3. found, expected .2, 2."),
        ((x, w, w, bias, state), "recurrent weights"),
        ((x, w, r, bias[:1], state), "bias of shape"),
        ((x, w, r, bias, state[:3]), "hidden state of shape .3, 2. found, expected .4, 2."),
        ((x, w[0], r, bias, state), "expected matrices"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ShapeError, match=message):
            rnn_float(*arguments)
    with pytest.raises(ShapeError, match=r"\[batch, time, inputs\]"):
        unidirectional_sequence_rnn_float(x, w, r, bias, state)
    with pytest.raises(QuantizationError, match="NaN"):
        rnn_hybrid(x * np.inf, (w.astype(np.int8), F([1])), (r.astype(np.int8), F([1])), bias, state)


def test_auxiliary_operands_that_do_not_fit_are_named():
    x, a, cells, states = bidirectional_case(False, auxiliary=9)
    with pytest.raises(ShapeError, match="auxiliary input False"):
        both(x, cells, states)
    with pytest.raises(ShapeError, match="backward False"):
        both(x, [cells[0], (*cells[1][:3], None)], states, a)
    with pytest.raises(ShapeError, match="auxiliary input of shape"):
        both(x, cells, states, a[:, :4])


def test_weights_of_mixed_types_and_scales_per_channel_are_refused():
    rng = np.random.default_rng(0)
    (w, _), r, bias, _ = *a_cell(rng, True, 3, 2)[:1], *a_cell(rng, False, 3, 2)[1:]
    scales = {1: "beside int8", 2: "2 scales"}
    for count, message in scales.items():
        builder = Builder()
        x = builder.input("x", (4, 3))
        quantization = Quantization(np.full(count, 0.1, F), np.zeros(count, np.int64))
        weights = builder.constant(w, "w", quantization)
        state = builder.variable("h", (4, 2))
        graph = builder.finish(builder.op("RNN", [x, weights, r, bias, state]))
        with pytest.raises(UnsupportedError, match=message):
            ptq.Interpreter(graph=graph).run([np.ones((4, 3), F)])
