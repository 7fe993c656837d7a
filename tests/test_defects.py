"""Every known defect, met once: refused by default, and computed in each way that its entry offers.

What the runtime does there is compared with LiteRT itself in `tests/test_litert_*.py`.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from control_flow import calling, counting_loop, graph_of, initialized_variable, pair
from integer_layers import small_layer
from integer_lstm import Recipe

import ptq
from ptq import defects
from ptq.build import Builder
from ptq.errors import PtqError
from ptq.graph import Operator, Quantization, Tensor, type_of
from ptq.kernels import logic
from ptq.kernels.batch_matmul import batch_matmul_hybrid
from ptq.kernels.bidirectional_rnn import bidirectional_sequence_rnn
from ptq.kernels.call import Call
from ptq.kernels.dense import fully_connected_hybrid
from ptq.kernels.integer.resize import resize_bilinear_integer
from ptq.kernels.integer.softmax import Distances, softmax_integer
from ptq.kernels.lstm import LstmLayer, bidirectional_sequence_lstm, unidirectional_sequence_lstm
from ptq.kernels.recurrent import Matrix
from ptq.kernels.rnn import RnnCell
from ptq.kernels.slicing import strided_slice
from ptq.shapes.movement import range_size

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials.md"
F = np.float32
CASES = {}


def case(function):
    """Register what meets a defect, a function of the numerics, under the defect's name."""
    CASES[function.__name__.upper()] = function
    return function


def reals(*shape):
    return np.random.default_rng(len(shape)).normal(0.3, 1, shape).astype(F)


def int8(*shape):
    """A hybrid kernel's weights: int8 and a scale."""
    return np.random.default_rng(len(shape)).integers(-127, 128, shape).astype(np.int8), np.full(1, F(0.01))


def execute(builder, output, *inputs, numerics):
    return ptq.Interpreter(graph=builder.finish(output), numerics=numerics).run(inputs)[0]


# --- hybrid layers ----------------------------------------------------------------------------------


@case
def lost_sign(numerics):
    return fully_connected_hybrid(-reals(1, 32), np.full((1, 32), -128, np.int8), F([1]), numerics=numerics)


@case
def wrapped_row_sums(numerics):
    weights = np.full((1, 5000), 127, np.int8)
    settings = {"asymmetric_quantize_inputs": True, "numerics": numerics}
    return fully_connected_hybrid(np.abs(reals(1, 5000)), weights, F([1]), **settings)


def matmul(left, right, asymmetric, numerics):
    weights, scale = int8(*right, 5, 3)
    x = reals(*left, 4, 5) * np.arange(1, np.prod(left, dtype=int) + 1, dtype=F).reshape(*left, 1, 1)
    return batch_matmul_hybrid(x, weights, scale, False, False, asymmetric, numerics)


@case
def matmul_scales(numerics):
    return matmul((2, 2), (), False, numerics)


@case
def matmul_row_sums(numerics):
    return matmul((), (2, 2), True, numerics)


@case
def matmul_missing_row_sums(numerics):
    return matmul((), (2, 1, 1), True, numerics)


@case
def matmul_stale_row_sums(numerics):
    b, (weights, scale) = Builder(), int8(5, 3)
    x, w = b.input("x", (2, 5)), b.input("w", (5, 3), "INT8", Quantization(scale, np.zeros(1, np.int64)))
    y = b.op("BATCH_MATMUL", [x, w], {"asymmetric_quantize_inputs": True})
    return execute(b, y, reals(2, 5), weights, numerics=numerics)


def constant(b, weights, scale, axis=0):
    return b.constant(weights, "w", Quantization(scale, np.zeros(scale.size, np.int64), axis))


@case
def transpose_conv_scales(numerics):
    b, weights = Builder(), int8(3, 2, 2, 1)
    operands = [np.array([1, 4, 4, 3], np.int32), constant(b, *weights, axis=1), b.input("x", (1, 2, 2, 1))]
    options = {"stride_h": 2, "stride_w": 2}
    y = b.op("TRANSPOSE_CONV", operands, options, output_type="FLOAT32")
    return execute(b, y, reals(1, 2, 2, 1), numerics=numerics)


# --- recurrent operators ----------------------------------------------------------------------------


@case
def recurrent_scales(numerics):
    b, (w, _), (r, scale) = Builder(), int8(4, 3), int8(4, 4)
    x = b.input("x", (1, 3))
    y = b.rnn(x, constant(b, w, np.full(4, F(0.01))), constant(b, r, scale), np.zeros(4))
    return execute(b, y, reals(1, 3), numerics=numerics)


def lstm_layer(hybrid, cells=3, outputs=3, **more):
    def matrix(rows, columns, gates=4):
        pairs = [int8(rows, columns) for _ in range(gates)]
        if hybrid:
            return Matrix.stack("LSTM", *zip(*pairs, strict=True))
        return Matrix.stack("LSTM", [weights * scale for weights, scale in pairs])

    projection = matrix(outputs, cells, 1) if outputs != cells else None
    bias = np.zeros((4, cells), F)
    return LstmLayer(matrix(cells, 2), matrix(cells, outputs), bias, projection=projection, **more)


def lstm(layer, numerics):
    state = np.zeros((1, layer.outputs), F), np.zeros((1, layer.cells), F)
    return unidirectional_sequence_lstm(reals(1, 4, 2), state, layer, numerics=numerics)[0]


@case
def lstm_none_hybrid(numerics):
    return lstm(lstm_layer(True, activation="NONE"), numerics)


@case
def lstm_none_float(numerics):
    return lstm(lstm_layer(False, activation="NONE"), numerics)


@case
def lstm_wide_projection(numerics):
    return lstm(lstm_layer(False, outputs=5), numerics)


@case
def bidirectional_lstm_merged(numerics):
    layer, state = lstm_layer(False), (np.zeros((2, 3), F), np.zeros((2, 3), F))
    return bidirectional_sequence_lstm(
        reals(2, 4, 2), (state, state), layer, layer, False, True, None, numerics
    )[0][0]


def both_ways(numerics, hybrid=True, auxiliary=None, weighted=True, **options):
    """BIDIRECTIONAL_SEQUENCE_RNN on [2, 3, 4], batch-major or time-major."""
    matrices = [int8(5, 4), int8(5, 5)] + ([int8(5, auxiliary)] if auxiliary and weighted else [])
    w, r, *a = matrices if hybrid else [weights * scale for weights, scale in matrices]
    cell = RnnCell.of(w, r, np.zeros(5, F), *a)
    state = np.zeros((3 if options.get("time_major") else 2, 5), F)
    second = reals(2, 3, auxiliary) * 2 if auxiliary else None
    outputs, *_ = bidirectional_sequence_rnn(
        reals(2, 3, 4), cell, cell, state, state, "TANH", auxiliary_input=second, numerics=numerics, **options
    )
    return np.concatenate(outputs)


@case
def bidirectional_rnn_repeated(numerics):
    return both_ways(numerics, time_major=True)


@case
def bidirectional_rnn_crash(numerics):
    return both_ways(numerics, time_major=True, merge_outputs=True)


@case
def auxiliary_larger(numerics):
    return both_ways(numerics, auxiliary=6)


@case
def auxiliary_smaller(numerics):
    return both_ways(numerics, auxiliary=3)


@case
def auxiliary_unread(numerics):
    return both_ways(numerics, hybrid=False, auxiliary=4, weighted=False)


@case
def svdf_mixed(numerics):
    b = Builder()
    x = b.input("x", (1, 3))
    y = b.svdf(x, constant(b, *int8(4, 3)), reals(4, 2))
    return execute(b, y, reals(1, 3), numerics=numerics)


# --- control flow and movement ----------------------------------------------------------------------


def loop(step, numerics):
    graph = counting_loop(3, step, pair(), pair())
    return ptq.Interpreter(graph=graph, numerics=numerics).run([np.int32(0), F([1, 2]), F([10, 20])])[2]


@case
def while_overwrites(numerics):
    return loop(lambda b, x, y: [y, x], numerics)


@case
def while_frees(numerics):
    return loop(lambda b, x, y: [y, b.concatenation([y, x], 0)], numerics)


@case
def if_twice(numerics):
    branch = graph_of(lambda b, x: [b.relu(x)] * 2, pair(), name="branch")
    graph = calling("IF", [((), "BOOL"), pair()], [pair(), pair()], [branch, branch])
    return ptq.Interpreter(graph=graph, numerics=numerics).run([np.bool_(True), F([1, 3])])[0]


@case
def read_variable_size(numerics):
    graph = initialized_variable(F([10, 20]))
    graph.tensors[graph.operators[2].outputs[0]].shape = (3,)
    return ptq.Interpreter(graph=graph, numerics=numerics).run([F([1, 2])])[0]


@case
def strided_slice_ellipsis(numerics):
    return strided_slice(reals(2, 3), [0] * 3, [1] * 3, [1] * 3, ellipsis_mask=2)


@case
def strided_slice_offset_terms(numerics):
    return strided_slice(reals(2, 3), [0], [1], [1], offset=True)


@case
def strided_slice_offset_size(numerics):
    return strided_slice(reals(5), [3], [4], [1], offset=True)


@case
def range_overflow(numerics):
    return range_size(*np.array([-(2**31), 2**31 - 1, 1], np.int32))


@case
def not_equal_int16(numerics):
    x = np.ones(2, np.int16)
    tensors = [Tensor(name, (2,), "INT16") for name in "ab"]
    call = Call(Operator("NOT_EQUAL", [0, 1], [2]), tensors, [x, x], [Tensor("y", (2,), "BOOL")])
    return logic.FLOAT["NOT_EQUAL"](call)


# --- integer kernels --------------------------------------------------------------------------------


def quantized(kind, inputs, output=(1, 0), constants=(), numerics=ptq.LITERT_REFERENCE, **details):
    """One operator on pairs of an array and its scale."""

    def parameters(scale, zero_point=0):
        return Quantization(np.array([scale], F), np.array([zero_point], np.int64))

    b = Builder()
    tensors = [
        b.input(f"x{i}", x.shape, type_of(x.dtype), parameters(scale)) for i, (x, scale) in enumerate(inputs)
    ]
    result = b.op(kind, [*tensors, *constants], quantization=parameters(*output), **details)
    return execute(b, result, *[x for x, _ in inputs], numerics=numerics)


BYTES = np.array([-100, -3, 0, 5, 90], np.int8)
WORDS = BYTES.astype(np.int16)


@case
def factor_aborts(numerics):
    return quantized("ADD", [(BYTES, 1), (BYTES, 1)], (2.0**-19, 0), numerics=numerics)


@case
def sub_fine_output(numerics):
    zeros = np.array([0, 0, 0, 0, 90], np.int8)
    return quantized("SUB", [(BYTES, 1), (zeros, 1)], (1e-7, 0), numerics=numerics)


@case
def compared_scale(numerics):
    fives = np.full_like(BYTES, 5)
    return quantized("LESS", [(BYTES, 2), (fives, 2)], output_type="BOOL", numerics=numerics)


@case
def compared_int16(numerics):
    above = WORDS + np.int16(1)
    return quantized("LESS", [(WORDS, 0.5), (above, 0.1)], output_type="BOOL", numerics=numerics)


@case
def add_powers_broadcast(numerics):
    return quantized("ADD", [(WORDS, 1), (WORDS[:1], 1)], numerics=numerics)


@case
def div_small(numerics):
    return quantized("DIV", [(BYTES, 1), (np.full_like(BYTES, -128), 1)], numerics=numerics)


@case
def sum_bytes(numerics):
    return quantized("SUM", [(BYTES, 1)], (0.5, 0), [np.array([0], np.int32)], numerics)


@case
def sum_halves(numerics):
    return quantized("SUM", [(WORDS, 1)], (1, 0), [np.array([0], np.int32)], numerics)


# --- integer SOFTMAX, RESIZE_BILINEAR and LSTM ------------------------------------------------------


@case
def softmax_aborts(numerics):
    exponentials = Distances.prepare(1.0, 0.1).exponentials
    return softmax_integer(np.zeros(512, np.int8), exponentials, numerics=numerics)


@case
def resize_beyond(numerics):
    image = np.arange(8, dtype=np.int8).reshape(1, 1, 8, 1)
    return resize_bilinear_integer(image, 1, 129, numerics=numerics)


def integer_lstm(numerics, activation="TANH", **fixed):
    """A random layer with a projection, batch-major."""
    layer = {"cifg": False, "normalization": False, "projection": True, "time_major": False, **fixed}
    recipe = Recipe(np.random.default_rng(1), **{"peephole": False, "proj_clip": 0.0, "reach": 1.0, **layer})
    graph = recipe.graph()
    graph.operators[0].options["fused_activation_function"] = activation
    return ptq.Interpreter(graph=graph, numerics=numerics).run([recipe.x(graph)])[0]


@case
def int16_bias(numerics):
    graph, x = small_layer(dtype=np.int16, bias=9, bias_type=np.int32)
    return ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]


@case
def weights_zero_point(numerics):
    graph, x = small_layer("DEPTHWISE_CONV_2D", zero_points=(3, 4, -1))
    return ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]


@case
def integer_lstm_activation(numerics):
    return integer_lstm(numerics, "RELU")


@case
def integer_lstm_peephole(numerics):
    return integer_lstm(numerics, peephole=True, cells=13, outputs=5)


@case
def integer_lstm_wide_peephole(numerics):
    return integer_lstm(numerics, peephole=True, cells=5, outputs=13)


@case
def integer_lstm_projection_clip(numerics):
    return integer_lstm(numerics, proj_clip=0.3, zero_point=20)


# --- the list ---------------------------------------------------------------------------------------


def test_every_defect_of_the_list_is_met_below():
    assert set(CASES) == set(defects.KNOWN)


@pytest.mark.parametrize("name", CASES)
def test_a_defect_is_never_followed_silently(name):
    defect, meet = defects.KNOWN[name], CASES[name]
    values = {"upstream_defects": ("refuse", "reproduce", "intended")}.get(defect.setting, ())
    refusing = [getattr(ptq.LITERT_REFERENCE, defect.setting), *values]
    for value in set(refusing) - set(defect.choices):
        with pytest.raises(PtqError, match=re.escape(defect.what)) as refusal:
            meet(replace(ptq.LITERT_REFERENCE, **{defect.setting: value}))
        assert defect.remedy in str(refusal.value)
        assert all(repr(choice) in str(refusal.value) for choice in defect.choices)


@pytest.mark.parametrize("name", [n for n, defect in defects.KNOWN.items() if defect.choices])
def test_each_choice_computes_a_result_of_its_own(name):
    defect = defects.KNOWN[name]
    results = [CASES[name](replace(ptq.LITERT_REFERENCE, **{defect.setting: c})) for c in defect.choices]
    assert len({result.tobytes() for result in results}) == len(defect.choices)
    assert all(np.isfinite(result).all() for result in results)


def test_the_table_of_the_tutorials_is_the_list():
    text = TUTORIALS.read_text()
    shown = re.search(r"<!-- python -m ptq\.defects -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert shown is not None, "expected the table between these two comments"
    assert shown[1].strip() == defects.table()
