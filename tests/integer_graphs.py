"""Float graphs for full integer quantization: cases with a name, random ones, and TensorFlow's quantizer."""

import os

import numpy as np
import pytest

import ptq
from ptq.build import Builder
from ptq.calibration import calibrate
from ptq.graph import Quantization

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES = {}


def case(build):
    CASES[build.__name__] = build
    return build


def normal(*shape, seed=7):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def image(b, name="x", shape=(1, 6, 6, 4)):
    return b.input(name, shape)


def samples_for(graph, count=3, seed=11):
    rng = np.random.default_rng(seed)

    def one(tensor):
        if tensor.type == "INT32":
            return rng.integers(0, 4, tensor.shape).astype(np.int32)
        return (rng.normal(size=tensor.shape) * 2).astype(np.float32)

    return [[one(graph.tensors[i]) for i in graph.inputs] for _ in range(count)]


# --- TensorFlow -------------------------------------------------------------------------------------


def with_recorded_ranges(graph, calibration):
    """The graph as TensorFlow's calibrator would leave it: with the ranges in its tensors."""
    result = graph.copy()
    for index in calibration.observers:
        low, high = calibration.range(index)
        none = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        ends = np.array([low], np.float32), np.array([high], np.float32)
        result.tensors[index].quantization = Quantization(*none, *ends)
    return result


def tensorflow_full_integer(graph, calibration, kind="FLOAT32", per_channel=True):
    """The graph quantized by today's converter (MLIR), from the same ranges."""
    tf = pytest.importorskip("tensorflow")
    from tensorflow.lite.python.convert import mlir_quantize

    types = {"FLOAT32": tf.float32, "INT8": tf.int8, "UINT8": tf.uint8}
    content = ptq.dumps(with_recorded_ranges(graph, calibration))
    return ptq.load(
        mlir_quantize(content, not per_channel, input_data_type=types[kind], output_data_type=types[kind])
    )


def tensorflow_int16(graph, samples):
    """The graph with int16 activations, by the older quantizer that TensorFlow still uses for them."""
    tf = pytest.importorskip("tensorflow")
    from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

    calibrator = Calibrator(add_intermediate_tensors(ptq.dumps(graph)))
    types = tf.float32, tf.float32, True, tf.int16, tf.int64
    return ptq.load(calibrator.calibrate_and_quantize(lambda: iter(samples), *types))


# --- comparison -------------------------------------------------------------------------------------

RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""TensorFlow writes RESHAPE for all of them, and none that changes nothing."""


def meaning(graph):
    """What each output of a graph is computed from, however its operators are ordered and named.

    The value of a tensor is a number that stands for the operator, its version, its options and the values
    of its operands; equal values get equal numbers. Returns the numbers of the outputs, and all values.
    """
    numbers, values = {}, {}
    for position, index in enumerate(graph.inputs):
        numbers[index] = _number(values, ("input", position, *_kind(graph.tensors[index])))
    for operator in graph.operators:
        read = [_value(graph, index, numbers, values) for index in operator.inputs]
        while read and read[-1] is None:
            read.pop()
        options = tuple(sorted((name, _plain(value)) for name, value in operator.options.items()))
        kind, result = operator.type, graph.tensors[operator.outputs[0]]
        if kind in RESHAPES:
            kind, options, read = "RESHAPE", (), read[:1]
            if graph.tensors[operator.inputs[0]].shape == result.shape:
                numbers[operator.outputs[0]] = read[0]
                continue
        for place, index in enumerate(operator.outputs):
            value = kind, operator.version, options, tuple(read), place, *_kind(graph.tensors[index])
            numbers[index] = _number(values, value)
    return [numbers[index] for index in graph.outputs], list(values)


def _number(values, value):
    return values.setdefault(value, len(values))


def _value(graph, index, numbers, values):
    if index < 0:
        return None
    tensor = graph.tensors[index]
    if tensor.data is not None:
        return _number(values, ("constant", *_kind(tensor), tensor.data.tobytes()))
    return numbers[index]


def _plain(value):
    return float(np.float32(value)) if isinstance(value, float) else str(value)


def _kind(tensor):
    scales = tensor.quantized
    if scales is None:
        return tensor.type, tensor.shape
    axis = scales.quantized_dimension if scales.per_channel else None
    return tensor.type, tensor.shape, scales.scale.tobytes(), scales.zero_point.tobytes(), axis


def assert_same_meaning(ours, theirs):
    """Every output is computed in the same way from the same integers."""
    values = {}
    results = []
    for graph in (ours, theirs):
        outputs, order = meaning(graph)
        known = []
        for value in order:  # a value refers to earlier ones: say so by their content, in both graphs alike
            if value[0] not in ("input", "constant"):
                operands = tuple(None if n is None else known[n] for n in value[3])
                value = (*value[:3], operands, *value[4:])
            known.append(values.setdefault(value, len(values)))
        results.append(([known[n] for n in outputs], {known[n]: order[n] for n in range(len(order))}))
    (mine, my_values), (others, other_values) = results
    only_mine = [v[:2] for n, v in my_values.items() if n not in other_values]
    only_theirs = [v[:2] for n, v in other_values.items() if n not in my_values]
    assert mine == others, f"only ours: {only_mine[:3]}, only TensorFlow's: {only_theirs[:3]}"


# --- cases ------------------------------------------------------------------------------------------


def conv(b, x, filters=5, size=3, bias=True, activation="NONE", seed=1):
    w = normal(filters, size, size, x.shape[-1], seed=seed) * normal(filters, 1, 1, 1, seed=seed + 1)
    return b.conv2d(x, w, normal(filters, seed=seed + 2) if bias else None, activation=activation)


def dense(b, x, units=6, bias=True, activation="NONE"):
    values = normal(units, seed=4) if bias else None
    return b.fully_connected(x, normal(units, x.shape[-1]), values, activation=activation)


@case
def convolutions():
    b = Builder()
    x = conv(b, image(b), activation="RELU")
    x = b.depthwise_conv2d(x, normal(1, 3, 3, 10), normal(10), activation="RELU6")
    return b.finish(conv(b, x, 3, activation="RELU_N1_TO_1"))


@case
def convolution_without_bias():
    b = Builder()
    return b.finish(conv(b, image(b), bias=False))


@case
def dense_layers():
    b = Builder()
    x = dense(b, b.input("x", (2, 8)), activation="RELU")
    return b.finish(b.softmax(dense(b, x, 4)))


@case
def dense_with_computed_weights():
    b = Builder()
    x, w = b.input("x", (2, 8)), b.input("w", (5, 8))
    return b.finish(b.fully_connected(x, b.relu(w)))


@case
def transposed_convolution():
    b = Builder()
    shape = np.array([1, 12, 12, 3], np.int32)
    options = {"padding": "SAME", "stride_w": 2, "stride_h": 2}
    operands = [shape, normal(3, 3, 3, 4), image(b), normal(3)]
    return b.finish(b.op("TRANSPOSE_CONV", operands, options, 3, output_type="FLOAT32"))


@case
def batch_matmul():
    b = Builder()
    x = b.op("BATCH_MATMUL", [b.input("x", (2, 3, 4)), b.input("y", (2, 4, 5))])
    return b.finish(b.op("BATCH_MATMUL", [x, normal(5, 6)]))


@case
def arithmetic_with_constants():
    b = Builder()
    x = b.add(image(b), normal(4), activation="RELU")
    x = b.sub(b.mul(x, normal(1, 6, 6, 4, seed=2)), normal(1, seed=3))
    return b.finish(b.mul(x, np.float32(0.5) * np.ones(1, np.float32)))


@case
def product_with_a_large_factor():
    b = Builder()
    x = b.input("x", (3, 8))
    return b.finish(b.sub(b.mul(x, 300 * np.abs(normal(8))), b.mul(x, x)))


@case
def pools():
    b = Builder()
    x = b.max_pool2d(b.average_pool2d(conv(b, image(b)), 2, 1), 2)
    return b.finish(x)


@case
def functions_with_fixed_outputs():
    b = Builder()
    x = dense(b, b.input("x", (2, 8)))
    return b.finish(b.logistic(x), b.tanh(x), b.softmax(x))


@case
def activations():
    b = Builder()
    x = b.sub(b.input("x", (2, 8)), normal(8))
    y = [b.relu(x), b.relu6(x), b.relu_n1_to_1(x), b.op("HARD_SWISH", [x])]
    return b.finish(*y, b.op("LEAKY_RELU", [x], {"alpha": 0.2}))


@case
def means():
    b = Builder()
    x = conv(b, image(b))
    return b.finish(b.mean(x, [1, 2]), b.mean(x, [1]))


@case
def sums():
    b = Builder()
    return b.finish(b.op("SUM", [conv(b, image(b)), np.array([1, 2], np.int32)], {"keep_dims": True}))


@case
def movers():
    b = Builder()
    x = b.pad(conv(b, image(b)), [[0, 0], [1, 1], [2, 0], [0, 0]])
    x = b.transpose(b.reshape(x, (1, x.shape[1] * x.shape[2], 5)), (0, 2, 1))
    begin, size = np.array([0, 1, 2], np.int32), np.array([1, 3, -1], np.int32)
    return b.finish(b.op("SLICE", [x, begin, size]))


@case
def tiling():
    b = Builder()
    return b.finish(b.op("TILE", [dense(b, b.input("x", (2, 8))), np.array([1, 2], np.int32)]))


@case
def concatenation():
    b = Builder()
    x = image(b)
    return b.finish(conv(b, b.concatenation([conv(b, x), conv(b, x, 2, seed=9), conv(b, x, 3, seed=5)])))


@case
def concatenation_of_constants_and_inputs():
    b = Builder()
    x = image(b)
    return b.finish(b.concatenation([x, b.constant(2 * normal(1, 6, 6, 2)), b.relu(x)]))


@case
def concatenation_behind_fixed_outputs():
    b = Builder()
    x = dense(b, b.input("x", (2, 8)))
    return b.finish(b.concatenation([b.logistic(x), b.reshape(b.tanh(x), (2, 6)), x]))


@case
def concatenation_twice():
    b = Builder()
    x = conv(b, image(b))
    y, z = b.relu(x), b.relu6(x)
    return b.finish(b.concatenation([x, y]), b.concatenation([y, z]))


@case
def maximum_and_minimum():
    b = Builder()
    x, y = conv(b, image(b)), conv(b, image(b, "y"), seed=20)
    z = b.op("MAXIMUM", [x, y])
    return b.finish(b.op("MINIMUM", [z, b.constant(np.float32(0.25) * np.ones(1, np.float32))]))


@case
def padding_with_a_value():
    b = Builder()
    x = conv(b, image(b))
    places = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    return b.finish(conv(b, b.op("PADV2", [x, places, np.array(-1.5, np.float32)]), seed=9))


@case
def packing():
    b = Builder()
    x, y = b.input("x", (2, 8)), b.input("y", (2, 8))
    packed = b.op("PACK", [dense(b, x), dense(b, y)], {"values_count": 2, "axis": 1})
    return b.finish(*b.ops("UNPACK", [packed], {"num": 2, "axis": 1}))


@case
def splitting():
    b = Builder()
    x = dense(b, b.input("x", (2, 8)))
    parts = b.ops("SPLIT", [np.array(1, np.int32), x], {"num_splits": 2}, output_type="FLOAT32")
    return b.finish(b.add(*parts), parts[1])


@case
def gathering():
    b = Builder()
    ids = b.input("ids", (3,), "INT32")
    rows = b.op("GATHER", [b.constant(normal(8, 5), "table"), ids], {"axis": 0}, output_type="FLOAT32")
    return b.finish(dense(b, rows))


@case
def float_in_the_middle():
    b = Builder()
    x = b.op("FLOOR", [conv(b, image(b))])
    return b.finish(conv(b, x, seed=9))


@case
def float_beside_integers():
    b = Builder()
    x = conv(b, image(b))
    return b.finish(b.add(b.op("FLOOR", [x]), x), b.op("FLOOR", [b.op("FLOOR", [b.relu(x)])]))


@case
def result_that_is_read_further():
    b = Builder()
    x = conv(b, image(b))
    return b.finish(x, b.relu(x), b.reshape(x, (1, -1)))


@case
def shared_weights():
    b = Builder()
    w, bias = b.constant(normal(8, 8), "w"), b.constant(normal(8), "bias")
    x = b.fully_connected(b.input("x", (2, 8)), w, bias)
    return b.finish(b.fully_connected(x, w, bias))


@case
def tiny_and_zero_ranges():
    b = Builder()
    x = b.fully_connected(b.input("x", (2, 8)), np.zeros((4, 8), np.float32), np.zeros(4, np.float32))
    return b.finish(x, b.add(x, np.full(4, 1e-7, np.float32)))


@case
def bias_that_would_overflow():
    b = Builder()
    w, bias = normal(5, 8), normal(5, seed=5)
    w[1], bias[1] = w[1] * 1e-6, 3000
    w[3], bias[3] = w[3] * 1e-7, -2000
    return b.finish(b.fully_connected(b.input("x", (2, 8)), w, bias))


# --- random graphs ----------------------------------------------------------------------------------


def random_graph(seed, joining=True):
    """A directed graph of up to a dozen operators.

    joining: also operators that move several operands into one, and those that TensorFlow folds on the way.
    """
    rng = np.random.default_rng(seed)
    b = Builder()
    values = [image(b), image(b, "y")]

    def pick():
        return values[rng.integers(len(values))]

    def partner(x):
        same = [v for v in values if v.shape == x.shape]
        return same[rng.integers(len(same))]

    # no x - x, and no constants that follow each other: those are folded, too
    steps = [
        lambda x: conv(b, x, int(rng.integers(2, 6)), 1, seed=int(rng.integers(99))),
        lambda x: conv(b, x, 4, 1, bool(rng.integers(2)), "RELU6", int(rng.integers(99))),
        lambda x: b.depthwise_conv2d(x, normal(1, 1, 1, x.shape[-1]), normal(x.shape[-1])),
        lambda x: b.add(x, partner(x), activation=["NONE", "RELU"][rng.integers(2)]),
        lambda x: b.sub(x, b.tanh(partner(x))),
        lambda x: b.mul(x, partner(x)),
        lambda x: b.max_pool2d(x, 2, 1, padding="SAME"),
        lambda x: b.average_pool2d(x, 2, 1, padding="SAME"),
        lambda x: b.pad(x, [[0, 0], [0, 1], [0, 0], [0, 0]]),
        lambda x: b.op("LEAKY_RELU", [x], {"alpha": 0.25}),
        lambda x: b.logistic(x),
        lambda x: b.tanh(x),
        lambda x: b.softmax(x),
        lambda x: b.op("FLOOR", [x]),
    ]
    if joining:
        steps += [
            lambda x: b.transpose(x, (0, 2, 1, 3)),
            lambda x: b.reshape(x, (1, x.shape[1] * x.shape[2], 1, x.shape[3])),
            lambda x: b.relu(x),
            lambda x: b.op("MAXIMUM", [x, partner(x)]),
            lambda x: b.op("MINIMUM", [x, partner(x)]),
            lambda x: b.concatenation([x, partner(x)], int(rng.integers(1, 4))),
            lambda x: b.concatenation([partner(x), x, partner(x)], 3),
        ]
    for _ in range(int(rng.integers(4, 13))):
        values.append(steps[rng.integers(len(steps))](pick()))
    read = {i for o in b.graph.operators for i in o.inputs}
    leaves = [v for i, v in enumerate(b.graph.tensors) if i not in read and not v.is_constant]
    leaves = [v for v in leaves if v not in (values[0], values[1])] or values[-1:]
    return b.finish(*leaves)


def calibrated(graph):
    return calibrate(graph, samples_for(graph))
