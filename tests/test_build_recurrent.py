"""The builder's recurrent layers: which operand goes where, and which states come along."""

import numpy as np
import pytest

import ptq
from ptq.build import GATES, Builder, LSTMWeights
from ptq.errors import InputError, ShapeError
from ptq.format import dumps, load


def weights(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def read(graph):
    """The inputs of the last operator: name after the label, and shape."""
    tensors = [graph.tensors[i] if i >= 0 else None for i in graph.operators[-1].inputs]
    return [(t.name.split("/")[-1], t.shape) if t else None for t in tensors]


def full_lstm():
    return LSTMWeights(
        weights(4, 5, 3), weights(4, 2, 5).swapaxes(1, 2), weights(4, 5), weights(3, 5), weights(2, 5),
        weights(2), weights(4, 5),
    )  # fmt: skip


def test_every_operand_of_an_lstm_has_its_position():
    b = Builder()
    x = b.input("x", (6, 7, 3))
    y = b.unidirectional_sequence_lstm(x, full_lstm(), cell_clip=2, projection_clip=1)
    graph = b.finish(y)
    assert y.shape == (6, 7, 2)
    # positions as in the operator's list of inputs: 1-4, 5-8, 9-11, 12-15, 16, 17, 18, 19, 20-23
    assert read(graph) == [
        ("x", (6, 7, 3)),
        *((f"input_to_{gate}_weights", (5, 3)) for gate in ("input", "forget", "cell", "output")),
        *((f"recurrent_to_{gate}_weights", (5, 2)) for gate in ("input", "forget", "cell", "output")),
        *((f"cell_to_{gate}_weights", (5,)) for gate in ("input", "forget", "output")),
        *((f"{gate}_gate_bias", (5,)) for gate in ("input", "forget", "cell", "output")),
        ("projection_weights", (2, 5)), ("projection_bias", (2,)),
        ("output_state", (6, 2)), ("cell_state", (6, 5)),
        *((f"{gate}_layer_norm_coefficients", (5,)) for gate in ("input", "forget", "cell", "output")),
    ]  # fmt: skip
    options = graph.operators[0].options
    assert (options["cell_clip"], options["proj_clip"], options["time_major"]) == (2.0, 1.0, False)
    assert [t.name.split("/")[-1] for t in graph.tensors if t.is_variable] == ["output_state", "cell_state"]


def test_a_coupled_lstm_without_extras_has_twenty_inputs():
    b = Builder()
    gates = [(None, *weights(3, 5, n)) for n in (3, 5)]
    x = b.input("x", (7, 6, 3))
    lstm = LSTMWeights(*gates, (None, *weights(3, 5)))
    y = b.unidirectional_sequence_lstm(x, lstm, time_major=True)
    found = read(b.finish(y))
    assert y.shape == (7, 6, 5)
    assert len(found) == 20
    assert [i for i, operand in enumerate(found) if operand is None] == [1, 5, 9, 10, 11, 12, 16, 17]
    assert found[18:] == [("output_state", (6, 5)), ("cell_state", (6, 5))]


def every_layer():
    b = Builder()
    ids = b.input("ids", (6,), "INT32")
    x = b.embedding_lookup(ids, weights(9, 4))
    x = b.lstm(x, LSTMWeights(weights(4, 5, 4), weights(4, 5, 5), weights(4, 5)))
    x = b.rnn(x, weights(4, 5), weights(4, 4), weights(4))
    x = b.svdf(x, weights(6, 4), weights(6, 3), weights(2), rank=3)
    x = b.reshape(x, (2, 3, 2))
    x = b.unidirectional_sequence_rnn(x, weights(3, 2), weights(3, 3), weights(3))
    both = b.bidirectional_sequence_rnn(x, *[(weights(4, 3), weights(4, 4), weights(4))] * 2)
    x = b.add(*both)
    plain = LSTMWeights(weights(4, 2, 4), weights(4, 2, 2), weights(4, 2))
    (x,) = b.bidirectional_sequence_lstm(x, plain, plain, time_major=True, merge_outputs=True)
    return b.finish(b.unidirectional_sequence_lstm(x, plain))


def test_states_survive_a_file():
    graph = every_layer()
    assert load(dumps(graph)) == graph
    states = {t.name: t.shape for t in graph.tensors if t.is_variable}
    assert states == {
        "lstm/output_state": (6, 5), "lstm/cell_state": (6, 5), "rnn/hidden_state": (6, 4),
        "svdf/state": (6, 18), "unidirectional_sequence_rnn/hidden_state": (2, 3),
        "bidirectional_sequence_rnn/forward/hidden_state": (2, 4),
        "bidirectional_sequence_rnn/backward/hidden_state": (2, 4),
        "bidirectional_sequence_lstm/forward/output_state": (3, 2),
        "bidirectional_sequence_lstm/forward/cell_state": (3, 2),
        "bidirectional_sequence_lstm/backward/output_state": (3, 2),
        "bidirectional_sequence_lstm/backward/cell_state": (3, 2),
        "unidirectional_sequence_lstm/output_state": (2, 2),
        "unidirectional_sequence_lstm/cell_state": (2, 2),
    }  # fmt: skip


@pytest.mark.peers
def test_litert_accepts_and_runs_every_layer():
    pytest.importorskip("ai_edge_litert")
    from litert import run_litert

    (y,) = run_litert(every_layer(), [np.array([0, 8, 3, 3, 1, 7], np.int32)])
    assert y.shape == (2, 3, 2)
    assert np.abs(y).max() > 0


def test_a_wrong_number_of_gates():
    with pytest.raises(InputError, match=r"bias for 3 gates found, expected 4: input, forget, cell, output"):
        LSTMWeights(weights(4, 5, 3), weights(4, 5, 5), weights(3, 5))
    with pytest.raises(InputError, match=r"peephole for 4 gates found, expected 3"):
        LSTMWeights(weights(4, 5, 3), weights(4, 5, 5), weights(4, 5), peephole=weights(4, 5))
    assert GATES == ("input", "forget", "cell", "output")


def test_a_sequence_where_a_step_is_expected():
    b = Builder()
    plain = LSTMWeights(weights(4, 5, 3), weights(4, 5, 5), weights(4, 5))
    with pytest.raises(ShapeError, match=r"LSTM.*\[batch, inputs\]"):
        b.lstm(b.input("x", (2, 7, 3)), plain)
    with pytest.raises(ShapeError, match="batch, time, inputs"):
        b.unidirectional_sequence_lstm(b.input("y", ()), plain)


def test_two_lstms_have_their_operands_one_after_the_other():
    b = Builder()
    wide, narrow = (LSTMWeights(weights(4, n, 3), weights(4, n, n), weights(4, n)) for n in (5, 2))
    outputs = b.bidirectional_sequence_lstm(b.input("x", (6, 7, 3)), wide, narrow)
    assert [y.shape for y in outputs] == [(6, 7, 5), (6, 7, 2)]
    found = read(b.finish(*outputs))
    assert len(found) == 48
    assert [(i, t[0]) for i, t in enumerate(found) if t] == [
        (0, "x"),
        *((first + i, name) for first in (1, 18) for i, name in [
            *((i, f"input_to_{gate}_weights") for i, gate in enumerate(GATES)),
            *((4 + i, f"recurrent_to_{gate}_weights") for i, gate in enumerate(GATES)),
            *((11 + i, f"{gate}_gate_bias") for i, gate in enumerate(GATES)),
        ]),
        (35, "output_state"), (36, "cell_state"), (37, "output_state"), (38, "cell_state"),
    ]  # fmt: skip
    assert found[4][1] == (5, 3) and found[21][1] == (2, 3)
    assert [found[i][1] for i in (36, 38)] == [(6, 5), (6, 2)]


def test_two_rnns_read_from_both_ends():
    b = Builder()
    one = np.ones((1, 1))
    outputs = b.bidirectional_sequence_rnn(
        b.input("x", (3, 1, 1)), (one, one, np.zeros(1)), (one, 0 * one, np.ones(1)), "NONE", time_major=True
    )
    graph = b.finish(*outputs)
    assert len(graph.operators[0].inputs) == 12
    x = np.array([1, 10, 100], np.float32).reshape(3, 1, 1)
    sums, shifted = ptq.Interpreter(graph=graph).run([x])
    assert sums.ravel().tolist() == [1, 11, 111] and shifted.ravel().tolist() == [2, 11, 101]


def test_two_lstms_have_no_layer_normalization():
    b = Builder()
    x, lstm = b.input("x", (6, 7, 3)), full_lstm()
    with pytest.raises(InputError, match="layer_norm found, expected none"):
        b.bidirectional_sequence_lstm(x, lstm, lstm)
