"""The integer LSTM against a loop over Python's integers; what is refused; what lies behind the tables."""

import dataclasses

import numpy as np
import pytest
from integer_lstm import Recipe, quantization

import ptq
from ptq.errors import GraphError, PtqError, QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    multiply_by_quantized_multiplier_spec,
    quantize_multiplier_spec,
    rounding_divide_by_pot_spec,
    saturate_spec,
)
from ptq.fixed_point_math import (
    get_inv_sqrt_quantized_multiplier_exp_spec,
    logistic_spec,
    tanh_spec,
)
from ptq.gemm import IntegerWeights
from ptq.graph import ABSENT, Quantization
from ptq.kernels.integer.lstm import (
    IntegerLstmLayer,
    LayerNormalization,
    Product,
    interpolated_tables,
    normalize_integer,
    polynomial_tables,
    unidirectional_sequence_lstm_integer,
)
from ptq.kernels.integer.parameters import Rescale

F = np.float32
REPRODUCE = dataclasses.replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")
PLAIN = dict.fromkeys(("cifg", "peephole", "normalization", "projection"), False)


# --- against a loop -----------------------------------------------------------------------------------


def scaled(value, real):
    return multiply_by_quantized_multiplier_spec(value, *quantize_multiplier_spec(float(real)))


def inputs_of(graph):
    """The operator's tensors, and their data as lists, in which Python's integers cannot wrap around."""
    tensors = [None if i == ABSENT else graph.tensors[i] for i in graph.operators[0].inputs]
    return tensors, [None if t is None or t.data is None else t.data.tolist() for t in tensors]


def zero_point(tensor):
    return int(tensor.quantization.zero_point[0])


def gate_spec(tensors, data, gate, x, h):
    """The argument of one gate's function; x, h: lists of one row."""
    sums = []
    for place, source, values in ((1 + gate, 0, x), (5 + gate, 18, h)):
        scale = tensors[place].quantization.scale[0] * tensors[source].quantization.scale[0]
        offset = zero_point(tensors[source])
        for cell, weights in enumerate(data[place]):
            total = sum(w * (v - offset) for w, v in zip(weights, values, strict=True))
            if source == 0:
                sums.append(saturate_spec(scaled(total + data[12 + gate][cell], scale * F(4096)), 16))
            else:
                sums[cell] = saturate_spec(sums[cell] + scaled(total, scale * F(4096)), 16)
    return sums


def step_spec(tensors, data, options, x, h, c):
    """One row's next h and c, as `lstm_eval.cc` computes them for a plain layer."""
    i, f, g, o = (gate_spec(tensors, data, gate, x, h) for gate in range(4))
    cell_scale = tensors[19].quantization.scale[0]
    exponent = int(np.log2(cell_scale))
    clip = int(min(F(options["cell_clip"]) / cell_scale, F(32767)))
    hidden = F(2.0**-30 / float(tensors[18].quantization.scale[0]))
    states = []
    for cell, old in enumerate(c):
        kept = rounding_divide_by_pot_spec(logistic_spec(f[cell], 3, 16) * old, 15)
        product = logistic_spec(i[cell], 3, 16) * tanh_spec(g[cell], 3, 16)
        new = saturate_spec(kept + rounding_divide_by_pot_spec(product, 30 + exponent), 16)
        new = max(min(new, clip), -clip) if clip else new
        shown = logistic_spec(o[cell], 3, 16) * tanh_spec(new, 15 + exponent, 16)
        states.append((saturate_spec(scaled(shown, hidden) + zero_point(tensors[18]), 8), new))
    return [h for h, _ in states], [c for _, c in states]


def test_a_plain_layer_equals_a_loop():
    rng = np.random.default_rng(0)
    for cell_clip in (0.0, 0.3):
        recipe = Recipe(rng, **PLAIN, time_major=False, inputs=5, cells=4, cell_clip=cell_clip)
        graph = recipe.graph(steps=6)
        tensors, data = inputs_of(graph)
        interpreter, x = ptq.Interpreter(graph=graph), recipe.x(graph)
        y = interpreter.run([x])[0]
        for row in range(recipe.batch):
            h, c = [zero_point(tensors[18])] * 4, [0] * 4
            for step in range(6):
                h, c = step_spec(tensors, data, graph.operators[0].options, x[row, step].tolist(), h, c)
                assert y[row, step].tolist() == h
            assert interpreter.get_tensor(graph.operators[0].inputs[19])[row].tolist() == c


def normalization_spec(row, coefficients, bias, real, limit):
    count = len(row)
    total = sum(row)
    mean = abs(total) * 1024 // count * (1 if total >= 0 else -1)
    variance = sum(v * v for v in row) * (2**20 // count) - mean * mean
    variance = abs(variance) // 2**20 * (1 if variance >= 0 else -1)
    multiplier, shift = get_inv_sqrt_quantized_multiplier_exp_spec(variance if variance >= 1 else limit)
    result = []
    for value, coefficient, offset in zip(row, coefficients, bias, strict=True):
        normal = multiply_by_quantized_multiplier_spec(1024 * value - mean, multiplier, shift)
        weighted = normal * coefficient + offset
        rounded = (abs(weighted) + 512) // 1024 * (1 if weighted >= 0 else -1)
        result.append(saturate_spec(scaled(rounded, real), 16))
    return result


@pytest.mark.parametrize("cells", [1, 4, 13])
def test_layer_normalization_equals_a_loop(cells):
    rng = np.random.default_rng(cells)
    value = rng.integers(-32768, 32768, (5, cells))
    value[0], value[1] = 7, rng.integers(20000, 20003, cells)
    coefficients, bias = rng.integers(-32768, 32768, (1, cells)), rng.integers(-(2**20), 2**20, (1, cells))
    rescale = Rescale.by(0.4, ptq.LITERT_REFERENCE)
    normalization = LayerNormalization(coefficients, bias, (rescale,), (3,))
    lists = coefficients[0].tolist(), bias[0].tolist()
    expected = [normalization_spec(row, *lists, 0.4, 3) for row in value.tolist()]
    assert normalize_integer(value, normalization, 0).tolist() == expected


def test_a_layer_made_by_hand():
    """One cell whose gates are open: each step adds the candidate to c, and h is tanh of it."""
    rescale = Rescale.by(1.0, ptq.LITERT_REFERENCE)
    bias = np.array([32767, 32767, 0, 32767])  # sigmoid(8) = 0.9997
    weights = np.array([[0], [0], [100], [0]], np.int8)
    layer = IntegerLstmLayer(
        cells=1, outputs=1, hidden_zero_point=0,
        input=Product(IntegerWeights.prepare(weights, 128), bias, rescale),
        recurrent=Product(IntegerWeights.prepare(np.zeros((4, 1), np.int8), 128), np.zeros(4, int), rescale),
        **dict(zip(("sigmoid", "tanh", "cell_tanh"), polynomial_tables(-11), strict=True)),
        keep=lambda p: (p + (1 << 14)) >> 15, write=lambda p: (p + (1 << 18)) >> 19,
        hidden=lambda p: (p + (1 << 22)) >> 23,
    )  # fmt: skip
    state = np.zeros((1, 1), np.int8), np.zeros((1, 1), np.int16)
    y, (h, c) = unidirectional_sequence_lstm_integer(np.full((1, 3, 1), 41, np.int8), state, layer)
    # An open gate is sigmoid(8) = 0.99966, the candidate tanh(41 * 100 / 4096) = 0.7620, so that each step
    # adds 0.99966 * 0.7620 * 2^11 = 1560 to 0.99966 times the old c: 1560, 1559 + 1560, 3118 + 1560.
    assert c.tolist() == [[4678]]
    shown = [0.99966 * np.tanh(c / 2**11) * 2**7 for c in (1560, 3119, 4678)]
    assert [round(value) for value in shown] == y.ravel().tolist() == [82, 116, 125]
    assert h.tolist() == [[125]]


# --- the tables -----------------------------------------------------------------------------------------


def test_tables_hold_the_functions_of_every_int16():
    for value in [*range(-32768, 32768, 97), -1, 0, 1, 32767]:
        found = [int(table[value]) for table in polynomial_tables(-9)]
        assert found == [f(value, b, 16) for f, b in ((logistic_spec, 3), (tanh_spec, 3), (tanh_spec, 6))]


@pytest.mark.parametrize("exponent", [-18, -12, -9])
def test_interpolated_tables_rise_through_the_middle(exponent):
    ascending = np.arange(-32768, 32768)
    sigmoid, tanh, cell = interpolated_tables(exponent)
    assert (sigmoid[0], tanh[0], cell[0]) == (16384, 0, 0)
    assert all((np.diff(table[ascending].astype(int)) >= 0).all() for table in (sigmoid, tanh, cell))
    assert (tanh[4096] == cell[4096]) == (exponent == -12)


# --- what is refused --------------------------------------------------------------------------------------


def graph_of(seed=0, operator="UNIDIRECTIONAL_SEQUENCE_LSTM", **fixed):
    recipe = Recipe(np.random.default_rng(seed), **{**PLAIN, "proj_clip": 0.0, **fixed})
    graph = recipe.graph(operator)
    return graph, recipe.x(graph)


def run(graph, x, numerics=ptq.LITERT_REFERENCE):
    return ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]


def test_inner_scales_come_from_five_intermediates():
    graph, x = graph_of()
    layer = graph.operators[0]
    for wrong, error, match in (
        ([], UnsupportedError, "0 intermediate tensors found, expected 5"),
        (layer.extra["intermediates"] * 2, UnsupportedError, "10 intermediate tensors"),
        ([0, 1, 2, 3, 999], GraphError, "intermediate 999 found"),
    ):
        layer.extra["intermediates"] = wrong
        with pytest.raises(error, match=match):
            run(graph, x)


@pytest.mark.parametrize(
    ("place", "change", "match"),
    [
        (19, {"quantization": quantization(0.3)}, "expected a power of two"),
        (19, {"quantization": quantization(2.0**-8)}, "from 2\\^-15 to 2\\^-9"),
        (2, {"quantization": quantization(0.1, 4)}, "zero point 4, expected 0"),
        (6, {"quantization": None}, "no scales found, expected one"),
        (13, {"data": np.zeros(3, np.int32), "shape": (3,)}, "has shape"),
        (13, {"data": np.zeros(8, F), "shape": (8,), "type": "FLOAT32"}, "expected int32"),
        (18, {"is_variable": False}, "nothing writes|no variable"),
    ],
)
def test_inputs_that_do_not_fit_are_named(place, change, match):
    graph, x = graph_of(cells=8)
    tensor = graph.tensors[graph.operators[0].inputs[place]]
    for name, value in change.items():
        setattr(tensor, name, value)
    with pytest.raises(PtqError, match=match):
        run(graph, x)


def test_micro_has_the_plain_layer_only():
    for variant in ({"cifg": True}, {"peephole": True}, {"normalization": True}, {"projection": True}):
        graph, x = graph_of(**variant)
        with pytest.raises(UnsupportedError, match="none but the plain"):
            run(graph, x, ptq.TFLITE_MICRO)
    graph, x = graph_of(operator="LSTM")
    with pytest.raises(UnsupportedError, match="none but the plain"):
        run(graph, x, ptq.TFLITE_MICRO)


def test_a_state_of_the_wrong_shape():
    graph, x = graph_of(batch=2, cells=8, time_major=False)
    graph.tensors[graph.operators[0].inputs[18]].shape = (2, 7)
    with pytest.raises(ShapeError, match="expected \\[batch, 8\\]"):
        run(graph, x)


def test_a_cell_state_scale_within_the_tolerance_of_a_power_of_two():
    graph, x = graph_of(cell_exponent=-11, cell_clip=0.0)
    expected = run(graph, x)
    state = graph.tensors[graph.operators[0].inputs[19]]
    state.quantization = quantization(2.0**-11 * 1.0005)
    assert run(graph, x).tolist() == expected.tolist()
    state.quantization = quantization(2.0**-11 * 1.001)
    with pytest.raises(QuantizationError, match="expected a power of two"):
        run(graph, x)


SCALES = [
    None, quantization(0), quantization(1e-30, 5), quantization(3e38, -128), quantization(2.0**-9, 2**40),
    Quantization(np.ones(0, F), np.zeros(0, int)), Quantization(np.ones(3, F), np.zeros(3, int)),
]  # fmt: skip


def damage(graph, rng):
    """One change that no converter would make."""
    layer = graph.operators[0]
    tensor = graph.tensors[rng.integers(len(graph.tensors))]
    kind = rng.integers(7)
    if kind == 0:
        tensor.quantization = SCALES[rng.integers(len(SCALES))]
    elif kind == 1:
        tensor.shape = [(), (0,), (1,), (3, 5), (2, 3, 4)][rng.integers(5)]
        tensor.data = None if tensor.data is None else np.zeros(tensor.shape, tensor.dtype)
    elif kind == 2:
        tensor.type = str(rng.choice(["FLOAT32", "INT8", "INT16", "INT32", "BOOL"]))
        tensor.data = None if tensor.data is None else np.zeros(tensor.shape, tensor.dtype)
    elif kind == 3:
        layer.inputs[rng.integers(len(layer.inputs))] = int(rng.choice([ABSENT, 0, 1, 5]))
    elif kind == 4:
        layer.extra["intermediates"] = [[], [0] * 5, [0] * 12, [-1] * 5, [10**9]][rng.integers(5)]
    elif kind == 5:
        options = layer.options
        options[rng.choice(list(options))] = [np.nan, -1.0, 1e38, True, "RELU", None][rng.integers(6)]
    else:
        layer.inputs = layer.inputs[: rng.integers(1, 25)]


def test_damaged_layers_end_in_a_result_or_an_error_of_ptq():
    rng, errors = np.random.default_rng(0), 0
    for _ in range(300):
        recipe = Recipe(rng)
        graph = recipe.graph(str(rng.choice(["LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"])), steps=3)
        x = recipe.x(graph)
        for _ in range(rng.integers(1, 4)):
            damage(graph, rng)
        try:
            run(graph, x, [REPRODUCE, ptq.PORTABLE, ptq.TFLITE_MICRO][rng.integers(3)])
        except PtqError:
            errors += 1
    assert 0 < errors < 300
