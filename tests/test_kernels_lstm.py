"""The LSTM: one step against a scalar loop over the formulas, the shortcuts, and what is refused."""

import itertools

import numpy as np
import pytest
import scalar

import ptq
from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.graph import ABSENT, Graph, Operator, Quantization, Tensor
from ptq.interpreter import Interpreter
from ptq.kernels import lstm as module
from ptq.kernels.eigen import eigen_logistic, eigen_tanh
from ptq.kernels.lstm import LstmLayer, bidirectional_sequence_lstm, lstm, unidirectional_sequence_lstm
from ptq.kernels.recurrent import Matrix
from ptq.operators import default_options

F = np.float32
INPUTS, CELLS, OUTPUTS = 3, 4, 2
GATES = {"input": 0, "forget": 1, "candidate": 2, "output": 3}
VARIANTS = list(itertools.product([False, True], repeat=5))


class Weights:
    """Random weights. Float ones are such that any order of adding up gives the same sum: see `product`."""

    def __init__(self, rng, hybrid, cifg, peephole, normalization, projection):
        self.rng, self.hybrid, self.gates = rng, hybrid, 3 if cifg else 4
        outputs = OUTPUTS if projection else CELLS
        self.input = [self.matrix(CELLS, INPUTS) for _ in range(self.gates)]
        self.recurrent = [self.matrix(CELLS, outputs, lonely=True) for _ in range(self.gates)]
        self.bias = rng.integers(-16, 17, (self.gates, CELLS)).astype(F) / F(16)
        self.peephole = rng.normal(size=(self.gates - 1, CELLS)).astype(F) if peephole else None
        self.normalization = rng.normal(1, 1, (self.gates, CELLS)).astype(F) if normalization else None
        self.projection = self.matrix(outputs, CELLS, lonely=True) if projection else None
        self.state = rng.normal(size=(1, outputs)).astype(F), rng.normal(size=(1, CELLS)).astype(F)

    def matrix(self, rows, columns, lonely=False):
        """(weights, scale): int8 and a scale, or float32 and 1; lonely: one entry in a row, for any float."""
        if self.hybrid:
            return self.rng.integers(-127, 128, (rows, columns)).astype(np.int8), F(
                self.rng.uniform(0.01, 0.03)
            )
        weights = self.rng.integers(-8, 9, (rows, columns)).astype(F) / F(4)
        if lonely:
            weights[:] = 0
            weights[range(rows), self.rng.integers(0, columns, rows)] = 0.5
        return weights, F(1)

    def stack(self, matrices):
        scales = [np.array([scale]) for _, scale in matrices] if self.hybrid else None
        return Matrix.stack("LSTM", [weights for weights, _ in matrices], scales)

    def layer(self, **options):
        projection = None if self.projection is None else self.stack([self.projection])
        return LstmLayer(
            self.stack(self.input), self.stack(self.recurrent), self.bias, None, self.peephole,
            self.normalization, projection, **options,
        )  # fmt: skip


def product(matrix, x, symmetric):
    """matrix @ x, one row after the other; int8 weights meet quantized x."""
    weights, weights_scale = matrix
    if weights.dtype == np.float32:
        return [F(sum(float(w) * float(v) for w, v in zip(row, x, strict=True))) for row in weights]
    q, scale, zero_point = scalar.quantize_row(list(x), symmetric)
    totals = [sum(int(w) * (int(v) - zero_point) for w, v in zip(row, q, strict=True)) for row in weights]
    return [F(F(total) * F(scale * weights_scale)) for total in totals]


def normalized(sums):
    total = squares = F(0)
    for value in sums:
        total += value
    mean = total / F(len(sums))
    for value in sums:
        squares += (value - mean) * (value - mean)
    inverse = F(1) / np.sqrt(squares / F(len(sums)) + F(1e-8))
    return [(value - mean) * inverse for value in sums]


def scalar_step(w, x, h, c, symmetric, cell_clip, projection_clip):
    """(h, c) after one step, cell by cell; the textbook's formulas in TensorFlow Lite's order of rounding."""
    absent = 4 - w.gates

    def gate(name, cell=None):
        index = GATES[name] - absent
        start = [F(0)] * CELLS if w.normalization is not None else w.bias[index]
        from_input, from_state = (
            product(w.input[index], x, symmetric),
            product(w.recurrent[index], h, symmetric),
        )
        sums = [start[n] + from_input[n] + from_state[n] for n in range(CELLS)]
        if w.peephole is not None and cell is not None:
            row = w.peephole[-1 if name == "output" else index]
            sums = [sums[n] + row[n] * cell[n] for n in range(CELLS)]
        if w.normalization is not None:
            normal = normalized(sums)
            sums = [normal[n] * w.normalization[index][n] + w.bias[index][n] for n in range(CELLS)]
        function = eigen_tanh if name == "candidate" else eigen_logistic
        return function(np.array(sums, F))

    f, g = gate("forget", c), gate("candidate")
    i = [F(1) - f[n] for n in range(CELLS)] if absent else gate("input", c)
    c = [f[n] * c[n] + g[n] * i[n] for n in range(CELLS)]
    c = [F(scalar.clip(value, -cell_clip, cell_clip)) for value in c] if cell_clip else c
    o, shown = gate("output", c), eigen_tanh(np.array(c, F))
    h = [o[n] * shown[n] for n in range(CELLS)]
    if w.projection is not None:
        h = product(w.projection, h, symmetric)
        h = (
            [F(scalar.clip(value, -projection_clip, projection_clip)) for value in h]
            if projection_clip
            else h
        )
    return h, c


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("clip", [0, F(0.25)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_one_step_is_the_scalar_formula(variant, clip, symmetric):
    rng = np.random.default_rng(variant)
    for _ in range(3):
        w = Weights(rng, *variant)
        layer = w.layer(cell_clip=clip, projection_clip=clip, asymmetric_quantize_inputs=not symmetric)
        x = rng.integers(-8, 9, (1, INPUTS)).astype(F) / F(4)
        h, c = lstm(x, w.state, layer)
        expected = scalar_step(w, x[0], w.state[0][0], w.state[1][0], symmetric, clip, clip)
        np.testing.assert_array_equal(h[0], expected[0])
        np.testing.assert_array_equal(c[0], expected[1])


def test_a_sequence_is_its_steps_in_both_layouts():
    rng = np.random.default_rng(0)
    w = Weights(rng, True, False, True, True, True)
    x = rng.normal(size=(5, 1, INPUTS)).astype(F)
    output, state = unidirectional_sequence_lstm(x, w.state, w.layer(), time_major=True)
    expected, steps = w.state, []
    for step in x:
        expected = lstm(step, expected, w.layer())
        steps.append(expected[0])
    np.testing.assert_array_equal(output, steps)
    np.testing.assert_array_equal(state[1], expected[1])
    turned, _ = unidirectional_sequence_lstm(x.transpose(1, 0, 2), w.state, w.layer())
    np.testing.assert_array_equal(turned.transpose(1, 0, 2), output)


def test_the_second_direction_reads_from_the_end():
    rng = np.random.default_rng(1)
    forward, backward = (Weights(rng, True, True, False, False, False) for _ in range(2))
    layers, states = (forward.layer(), backward.layer()), (forward.state, backward.state)
    x, other = rng.normal(size=(2, 5, 1, INPUTS)).astype(F)
    (y, z), _ = bidirectional_sequence_lstm(x, states, *layers)
    np.testing.assert_array_equal(y, unidirectional_sequence_lstm(x, forward.state, layers[0], True)[0])
    np.testing.assert_array_equal(
        z, unidirectional_sequence_lstm(x[::-1], backward.state, layers[1], True)[0][::-1]
    )
    (merged,), _ = bidirectional_sequence_lstm(x, states, *layers, merge_outputs=True)
    np.testing.assert_array_equal(merged, np.concatenate([y, z], axis=-1))
    (stacked, last), _ = bidirectional_sequence_lstm(x, states, *layers, auxiliary=other)
    np.testing.assert_array_equal(stacked, y)
    np.testing.assert_array_equal(last, bidirectional_sequence_lstm(other, states, *layers)[0][1])


def test_zero_products_are_skipped_only_where_all_rows_of_a_group_are_zero():
    """A row of zeros gets +0, which turns a bias of -0 into +0, if another row of its group is not zero."""
    one = Matrix.stack("LSTM", [np.ones((4, 1), np.int8)], [np.ones(1, F)])
    layer = LstmLayer(one, one, np.full((4, 1), -0.0, F))
    x, state = np.array([[[0]], [[1]]], F), (np.zeros((2, 1), F), np.full((2, 1), -0.0, F))
    row_by_row, _ = unidirectional_sequence_lstm(x, state, layer, time_major=False)
    together, _ = unidirectional_sequence_lstm(x.transpose(1, 0, 2), state, layer, time_major=True)
    assert np.signbit(row_by_row).ravel()[0] and not np.signbit(together).ravel()[0]


def test_packets_begin_where_the_runtime_keeps_the_gates():
    def outside(gates, cells):
        ones = Matrix.stack("LSTM", [np.ones((gates * cells, 1), np.int8)], [np.ones(1, F)])
        mask = module._outside_packets(LstmLayer(ones, ones, np.zeros((gates, cells), F)), 1, 1)
        return mask if mask is None else mask[0, 0].astype(int).tolist()

    assert outside(4, 8) is None
    # one behind the other lie input 0-4, candidate 5-9, forget 10-14, output 15-19; packets at 0, 4, 8, ...
    assert outside(4, 5) == [[0, 0, 0, 0, 1], [1] * 5, [1] * 5, [1, 0, 0, 0, 0]]
    # candidate 0-4, forget 5-9, output 10-14
    assert outside(3, 5) == [[1] * 5, [0, 0, 0, 0, 1], [1] * 5]


# --- what is refused ------------------------------------------------------------------------------


def run(operator="UNIDIRECTIONAL_SEQUENCE_LSTM", changes=(), numerics=ptq.LITERT_REFERENCE, **options):
    """Run a hybrid layer of 2 inputs and 4 cells on zeros, some inputs changed: None, an array or a scale."""
    matrix, square, vector = np.ones((4, 2), np.int8), np.ones((4, 4), np.int8), np.ones(4, F)
    layer = [matrix] * 4 + [square] * 4 + [None] * 3 + [vector] * 4 + [None] * 2
    batch = 2
    states = [("h", 4), ("c", 4)]
    if operator == "BIDIRECTIONAL_SEQUENCE_LSTM":
        layer, states = layer * 2, states * 2
    values = [*layer, *states, *[None] * (9 if len(states) == 4 else 4)]
    graph = Graph()
    shape = (batch, 2) if operator == "LSTM" else (batch, 3, 2)
    graph.inputs = [graph.add_tensor(Tensor("x", shape))]
    inputs = [0]
    for position, value in enumerate(values, start=1):
        value = dict(changes).get(position, value)
        scale = np.ones(1, F)
        if isinstance(value, np.ndarray) and value.dtype == np.float64:  # several scales for the given one
            value, scale = values[position - 1], value.astype(F)
        inputs.append(
            ABSENT if value is None else graph.add_tensor(tensor(f"t{position}", value, scale, batch))
        )
    table, defaults = default_options(operator)
    outputs = [graph.add_tensor(Tensor(f"y{i}", (*shape[:-1], 4))) for i in range(len(states) // 2)]
    if options.get("merge_outputs"):
        outputs = outputs[:1]
    options = {**defaults, "time_major": False, "fused_activation_function": "TANH", **options}
    graph.operators = [Operator(operator, inputs, outputs, options, table)]
    graph.outputs = outputs
    return Interpreter(graph=graph, numerics=numerics).run([np.zeros(shape, F)])


def tensor(name, value, scale, batch):
    if isinstance(value, tuple):
        return Tensor(name, (batch, value[1]), is_variable=True)
    if value.dtype != np.int8:
        return Tensor(name, value.shape, "FLOAT32", value)
    return Tensor(name, value.shape, "INT8", value, Quantization(scale, np.zeros(scale.size, np.int64)))


REFUSED = [
    ({2: None}, GraphError, "input 2 is absent"),
    ({8: None}, GraphError, "input 8 is absent"),
    ({15: None}, GraphError, "input 15 is absent"),
    ({1: None}, GraphError, "no input_to_input_weights"),
    ({5: None}, GraphError, "input 5 is absent"),
    ({10: np.ones(4, np.int8), 11: np.ones(4, np.int8)}, GraphError, "input 9 .* is absent, input 10"),
    ({21: np.ones(4, F)}, GraphError, "input 20 .* is absent"),
    ({3: np.ones((4, 2), F)}, UnsupportedError, "input 3 .* quantize all weights"),
    ({6: np.ones(4, np.int8)}, ShapeError, r"input 6 .*\(4,\)"),
    ({8: np.ones(4, np.int8)}, UnsupportedError, "diagonal"),
    ({3: np.ones((4, 5), np.int8)}, ShapeError, r"input 3 .*\(4, 5\).*\(4, 2\)"),
    ({13: np.ones(5, F)}, ShapeError, r"input 13 .*\(5,\).*\(4,\)"),
    (
        {9: np.ones(5, np.int8), 10: np.ones(4, np.int8), 11: np.ones(4, np.int8)},
        ShapeError,
        r"input 9 .*\(5,\)",
    ),
    ({8: np.ones((4, 3), np.int8)}, ShapeError, r"input 8 .*\(4, 3\).*\(4, 4\)"),
    ({16: np.ones((3, 4), np.int8)}, ShapeError, r"input 16 .*\(3, 4\).*\(4, 4\)"),
    ({17: np.ones(4, F)}, GraphError, "input 17 .* without projection"),
    ({7: np.ones(4)}, UnsupportedError, "input 7 .* 4 scales"),
    ({1: np.ones((4, 3), np.int8)}, ShapeError, r"input 1 .*\(4, 3\).*\(4, 2\)"),
    ({18: ("h", 5)}, ShapeError, r"state of shape \(2, 5\).*\(2, 4\)"),
    ({19: np.ones((2, 4), F)}, GraphError, "input 19 .* no variable"),
]


@pytest.mark.parametrize(("changes", "error", "words"), REFUSED)
def test_what_does_not_fit_is_named(changes, error, words):
    with pytest.raises(error, match=words):
        run(changes=changes)


def test_a_layer_that_fits_runs():
    for operator in ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"):
        assert run(operator)[0].shape[-1] == 4


def test_auxiliary_inputs_and_their_weights_come_together():
    weights = dict.fromkeys(range(40, 48), np.ones((4, 2), np.int8))
    with pytest.raises(GraphError, match="no auxiliary input"):
        run("BIDIRECTIONAL_SEQUENCE_LSTM", weights)
    auxiliary = {39: np.zeros((2, 3, 2), F)}
    assert len(run("BIDIRECTIONAL_SEQUENCE_LSTM", {**weights, **auxiliary})) == 2
    with pytest.raises(ShapeError, match="both or none"):
        run("BIDIRECTIONAL_SEQUENCE_LSTM", {**auxiliary, **{i: weights[i] for i in range(40, 44)}})
    with pytest.raises(ShapeError, match=r"input of shape .* expected \(3, 2, 1, 2\)"):
        run("BIDIRECTIONAL_SEQUENCE_LSTM", {39: np.zeros((2, 3, 5), F)})


def test_an_empty_sequence_leaves_the_state():
    w = Weights(np.random.default_rng(2), True, False, True, True, True)
    output, state = unidirectional_sequence_lstm(np.zeros((1, 0, INPUTS), F), w.state, w.layer())
    assert output.shape == (1, 0, OUTPUTS)
    np.testing.assert_array_equal(state[1], w.state[1])


def test_what_tensorflow_lite_gets_wrong_is_refused_and_computed_as_intended_on_request():
    merged = {"operator": "BIDIRECTIONAL_SEQUENCE_LSTM", "merge_outputs": True, "time_major": False}
    wide = {k: np.ones((4, 6), F) for k in (5, 6, 7, 8)} | {16: np.ones((6, 4), F), 18: ("h", 6)}
    wide |= {k: np.ones((4, 2), F) for k in (1, 2, 3, 4)}
    cases = [
        (merged, "outside their rows"),
        ({"fused_activation_function": "NONE"}, "candidate"),
        ({"changes": wide}, "overruns its buffers"),
    ]
    for case, words in cases:
        with pytest.raises(UnsupportedError, match=words):
            run(**case)
        assert run(numerics=ptq.PORTABLE, **case)[0].shape[0] == 2


def test_what_ptq_does_not_compute_is_refused():
    with pytest.raises(UnsupportedError, match="BASIC"):
        run("LSTM", kernel_type="BASIC")
    with pytest.raises(UnsupportedError, match="SIGN_BIT"):
        run(fused_activation_function="SIGN_BIT")
    with pytest.raises(GraphError, match=r"cell_clip -1\.0"):
        run(cell_clip=-1.0)
