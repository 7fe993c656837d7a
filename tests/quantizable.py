"""Small graphs, each with one kind of weight or one way of sharing it: cases for the converter's rules."""

import numpy as np

from ptq.build import Builder, LSTMWeights
from ptq.graph import ABSENT

RNG = np.random.default_rng(11)
CASES = {}


def case(build):
    """Register a graph by the name of the function that builds it."""
    CASES[build.__name__] = build
    return build


def normal(*shape):
    return RNG.normal(0, 1, shape).astype(np.float32)


def lookup(b, kind, table, ids, **options):
    operands = [table, ids] if kind == "GATHER" else [ids, table]
    return b.op(kind, operands, options, output_type="FLOAT32")


def dense(b, x, weights, outputs):
    return b.fully_connected(x, weights, normal(outputs))


# --- one layer --------------------------------------------------------------------------------------


@case
def conv():
    b = Builder()
    return b.finish(b.conv2d(b.input("x", (1, 8, 8, 16)), normal(16, 3, 3, 16), normal(16)))


@case
def conv_grouped():
    b = Builder()
    return b.finish(b.conv2d(b.input("x", (1, 8, 8, 16)), normal(16, 3, 3, 8), normal(16)))


@case
def conv_small_beside_large():
    b = Builder()
    x = b.conv2d(b.input("x", (1, 8, 8, 16)), normal(16, 3, 3, 16), normal(16))
    return b.finish(b.conv2d(x, normal(4, 1, 1, 16), normal(4)))


@case
def conv_small():
    b = Builder()
    return b.finish(b.conv2d(b.input("x", (1, 8, 8, 16)), normal(4, 1, 1, 16), normal(4)))


@case
def depthwise():
    b = Builder()
    return b.finish(b.depthwise_conv2d(b.input("x", (1, 8, 8, 128)), normal(1, 3, 3, 128), normal(128)))


@case
def dense_plain():
    b = Builder()
    return b.finish(dense(b, b.input("x", (1, 64)), normal(32, 64), 32))


@case
def dense_without_bias():
    b = Builder()
    return b.finish(b.fully_connected(b.input("x", (1, 64)), normal(32, 64)))


@case
def dense_with_a_zero_and_a_tiny_row():
    weights = normal(64, 64)
    weights[3], weights[4] = 0, 1e-9
    b = Builder()
    return b.finish(dense(b, b.input("x", (1, 64)), weights, 64))


@case
def dense_of_zeros():
    b = Builder()
    return b.finish(dense(b, b.input("x", (1, 64)), np.zeros((64, 64), np.float32), 64))


@case
def dense_with_a_large_bias():
    b = Builder()
    return b.finish(dense(b, b.input("x", (1, 4)), normal(2048, 4), 2048))


@case
def add_of_a_large_constant():
    b = Builder()
    return b.finish(b.add(b.input("x", (64, 64)), normal(64, 64)))


def transpose_conv(bias, activation="NONE", version=1):
    b = Builder()
    options = {"padding": "SAME", "stride_w": 2, "stride_h": 2, "fused_activation_function": activation}
    shape = np.array([1, 16, 16, 16], np.int32)
    operands = [shape, normal(16, 3, 3, 16), b.input("x", (1, 8, 8, 16)), normal(16) if bias else None]
    kind, result = "TRANSPOSE_CONV", (1, 16, 16, 16)
    return b.finish(b.op(kind, operands, options, version, output_type="FLOAT32", output_shape=result))


@case
def transpose_conv_plain():
    return transpose_conv(bias=False)


@case
def transpose_conv_with_bias():
    return transpose_conv(bias=True, version=3)


@case
def transpose_conv_with_activation():
    return transpose_conv(bias=True, activation="RELU", version=4)


@case
def batch_matmul_by_a_constant():
    b = Builder()
    return b.finish(b.op("BATCH_MATMUL", [b.input("x", (2, 4, 32)), normal(2, 32, 32)]))


@case
def batch_matmul_of_a_constant():
    b = Builder()
    return b.finish(b.op("BATCH_MATMUL", [b.constant(normal(2, 32, 32)), b.input("x", (2, 32, 4))]))


# --- layers with several weights --------------------------------------------------------------------


@case
def svdf():
    b = Builder()
    return b.finish(b.svdf(b.input("x", (2, 32)), normal(64, 32), normal(64, 16), normal(32), rank=2))


@case
def rnn():
    b = Builder()
    return b.finish(b.rnn(b.input("x", (2, 32)), normal(32, 32), normal(32, 32), normal(32)))


@case
def sequence_rnn():
    b = Builder()
    x = b.input("x", (2, 5, 32))
    return b.finish(b.unidirectional_sequence_rnn(x, normal(32, 32), normal(32, 32), normal(32)))


def bidirectional_rnn(with_second_input=False):
    b = Builder()
    x = b.input("x", (2, 5, 32))

    def half(name):
        return [normal(32, 32), normal(32, 32), normal(32), b.variable(name, (2, 32))]

    second = [x, normal(32, 32), normal(32, 32)] if with_second_input else [None] * 3
    operands = [x, *half("forward"), *half("backward"), *second]
    y = b.op("BIDIRECTIONAL_SEQUENCE_RNN", operands, {"merge_outputs": True})
    return all_inputs(b.finish(y), 12)


@case
def bidirectional_rnn_plain():
    return bidirectional_rnn()


@case
def bidirectional_rnn_with_second_input():
    return bidirectional_rnn(with_second_input=True)


def all_inputs(graph, count):
    """Absent inputs at the end of the list are -1, as the kernel wants it."""
    for operator in graph.operators:
        operator.inputs += [ABSENT] * (count - len(operator.inputs))
    return graph


def lstm(kind, inputs=32, cells=32, **options):
    b = Builder()
    x = b.input("x", (2, inputs) if kind == "LSTM" else (2, 5, inputs))
    y = getattr(b, kind.lower())(x, lstm_weights(inputs, cells, **options))
    return all_inputs(b.finish(y), 24)


def lstm_weights(inputs, cells, outputs=None, coupled=False, peephole=False, shared=None):
    def gates(count, *shape):
        return [None if coupled and gate == 0 else normal(*shape) for gate in range(count)]

    matrices = gates(4, cells, inputs)
    if shared is not None:
        matrices[1] = shared
    projection = {"projection": normal(outputs, cells)} if outputs else {}
    looks = {"peephole": gates(3, cells)} if peephole else {}
    recurrent = gates(4, cells, outputs or cells)
    return LSTMWeights(matrices, recurrent, gates(4, cells), **projection, **looks)


@case
def lstm_step():
    return lstm("LSTM")


@case
def lstm_sequence():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM")


@case
def lstm_sequence_with_projection():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", cells=64, outputs=32, coupled=True)


@case
def lstm_sequence_with_large_peephole():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs=1, cells=1024, outputs=1, peephole=True)


@case
def lstm_sequence_partly_large():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs=16)


@case
def lstm_sequence_with_small_peephole():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", peephole=True)


@case
def lstm_sequence_small():
    return lstm("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs=8, cells=8)


@case
def lstm_small_beside_large():
    b = Builder()
    x = b.unidirectional_sequence_lstm(b.input("x", (2, 5, 32)), lstm_weights(32, 32))
    return all_inputs(b.finish(b.unidirectional_sequence_lstm(x, lstm_weights(32, 8))), 24)


@case
def lstm_shares_a_gate_with_add():
    b = Builder()
    x, x2 = b.input("x", (2, 5, 32)), b.input("x2", (32, 32))
    shared = b.constant(normal(32, 32), "shared")
    y = b.unidirectional_sequence_lstm(x, lstm_weights(32, 32, shared=shared))
    graph = all_inputs(b.finish(y), 24)
    return b.finish(y, b.add(x2, shared)) and graph


def bidirectional_lstm(inputs=32, cells=32, with_second_input=False):
    b = Builder()
    x = b.input("x", (2, 5, inputs))

    def half():
        matrices = [normal(cells, inputs) for _ in range(4)] + [normal(cells, cells) for _ in range(4)]
        return [*matrices, None, None, None, *(normal(cells) for _ in range(4)), None, None]

    states = [b.variable(name, (2, cells)) for name in ("h", "c", "backward_h", "backward_c")]
    second = [x, *(normal(cells, inputs) for _ in range(8))] if with_second_input else [None] * 9
    options = {"merge_outputs": False, "time_major": False, "fused_activation_function": "TANH"}
    y = b.ops("BIDIRECTIONAL_SEQUENCE_LSTM", [x, *half(), *half(), *states, *second], options)
    return all_inputs(b.finish(*y), 48)


@case
def bidirectional_lstm_plain():
    return bidirectional_lstm()


@case
def bidirectional_lstm_with_second_input():
    return bidirectional_lstm(with_second_input=True)


@case
def bidirectional_lstm_partly_large():
    return bidirectional_lstm(inputs=16)


# --- partly quantizable layers of which TensorFlow writes mixtures ----------------------------------


@case
def lstm_step_partly_large():
    return lstm("LSTM", inputs=16)


@case
def lstm_step_with_small_peephole():
    return lstm("LSTM", peephole=True)


@case
def svdf_partly_large():
    b = Builder()
    return b.finish(b.svdf(b.input("x", (2, 32)), normal(64, 32), normal(64, 8), normal(32), rank=2))


@case
def sequence_rnn_partly_large():
    b = Builder()
    x = b.input("x", (2, 5, 16))
    return b.finish(b.unidirectional_sequence_rnn(x, normal(32, 16), normal(32, 32), normal(32)))


def lstm_basic():
    """Outside of CASES: the legacy quantizer reads beyond the five inputs of this operator."""
    b = Builder()
    x, output, state = b.input("x", (2, 32)), b.input("output", (2, 32)), b.input("state", (2, 32))
    operands = [x, output, normal(128, 64), normal(128), state]
    options = {"kernel_type": "BASIC", "fused_activation_function": "TANH"}
    return b.finish(b.op("LSTM", operands, options, 2, output_shape=(2, 32)))


# --- look-ups ---------------------------------------------------------------------------------------


def ids_and_table(rows=64):
    b = Builder()
    return b, b.input("ids", (5,), "INT32"), b.constant(normal(rows, 32), "table")


@case
def gather():
    b, ids, table = ids_and_table()
    return b.finish(lookup(b, "GATHER", table, ids))


@case
def gather_more_than_there_is():
    b, ids, table = Builder(), None, normal(32, 32)
    ids = b.input("ids", (40,), "INT32")
    return b.finish(lookup(b, "GATHER", b.constant(table, "table"), ids))


@case
def gather_then_dense():
    b, ids, table = ids_and_table()
    return b.finish(dense(b, lookup(b, "GATHER", table, ids), normal(40, 32), 40))


@case
def gather_weights_of_dense():
    b = Builder()
    ids, x = b.input("ids", (40,), "INT32"), b.input("x", (1, 32))
    return b.finish(dense(b, x, lookup(b, "GATHER", b.constant(normal(64, 32), "table"), ids), 40))


@case
def gather_of_gather():
    b, ids, table = ids_and_table()
    once = lookup(b, "GATHER", table, ids)
    return b.finish(lookup(b, "GATHER", once, b.input("fewer", (2,), "INT32")))


@case
def gather_then_slice():
    b, ids, table = ids_and_table()
    begin, size = np.array([1, 0], np.int32), np.array([2, 32], np.int32)
    once = lookup(b, "GATHER", table, ids)
    return b.finish(b.op("SLICE", [once, begin, size], output_shape=(2, 32)))


@case
def gather_read_twice():
    b, ids, table = ids_and_table()
    rows = lookup(b, "GATHER", table, ids)
    return b.finish(b.relu(rows), b.tanh(rows))


@case
def two_gathers_of_one_table():
    b, ids, table = ids_and_table()
    return b.finish(b.add(lookup(b, "GATHER", table, ids), lookup(b, "GATHER", table, ids)))


@case
def gather_tied_to_dense():
    b, ids, table = ids_and_table()
    return b.finish(dense(b, lookup(b, "GATHER", table, ids), table, 64))


@case
def gather_tied_to_batch_matmul():
    b, ids, table = ids_and_table(rows=32)
    return b.finish(b.op("BATCH_MATMUL", [lookup(b, "GATHER", table, ids), table]))


@case
def embedding():
    b, ids, table = ids_and_table()
    return b.finish(lookup(b, "EMBEDDING_LOOKUP", table, ids))


@case
def embedding_then_dense():
    b, ids, table = ids_and_table()
    return b.finish(dense(b, lookup(b, "EMBEDDING_LOOKUP", table, ids), normal(40, 32), 40))


@case
def two_embeddings_of_one_table():
    b, ids, table = ids_and_table()
    rows = [lookup(b, "EMBEDDING_LOOKUP", table, ids) for _ in range(2)]
    return b.finish(b.add(*rows))


@case
def embedding_tied_to_dense():
    b, ids, table = ids_and_table()
    return b.finish(dense(b, lookup(b, "EMBEDDING_LOOKUP", table, ids), table, 64))


# --- shared weights ---------------------------------------------------------------------------------


@case
def two_dense_and_an_add():
    b = Builder()
    x, shared = b.input("x", (1, 64)), b.constant(normal(64, 64), "shared")
    return b.finish(b.add(dense(b, dense(b, x, shared, 64), shared, 64), shared))


@case
def two_convs():
    b = Builder()
    x, shared = b.input("x", (1, 4, 4, 64)), b.constant(normal(64, 1, 1, 64), "shared")
    return b.finish(b.conv2d(b.conv2d(x, shared, normal(64)), shared, normal(64)))


@case
def dense_and_batch_matmul():
    b = Builder()
    x, shared = b.input("x", (2, 64)), b.constant(normal(64, 64), "shared")
    return b.finish(b.op("BATCH_MATMUL", [dense(b, x, shared, 64), shared]))


@case
def conv_and_depthwise():
    b = Builder()
    shared = b.constant(normal(1, 3, 3, 256), "shared")
    narrow, wide = b.input("x", (1, 8, 8, 32)), b.input("x2", (1, 8, 8, 256))
    return b.finish(b.depthwise_conv2d(narrow, shared), b.conv2d(wide, shared, normal(1)))


@case
def constant_as_input_of_dense():
    b = Builder()
    return b.finish(dense(b, b.constant(normal(64, 64), "x"), b.input("w", (16, 64)), 16))


@case
def weight_is_an_output():
    b = Builder()
    x, shared = b.input("x", (1, 64)), b.constant(normal(64, 64), "shared")
    return b.finish(dense(b, x, shared, 64), shared)
