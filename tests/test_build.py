"""Construction helpers: a network in a few lines that the interpreter runs and the file format keeps."""

import numpy as np
import pytest

import ptq.format
from ptq.build import Builder
from ptq.errors import GraphError, InputError, PtqError, ShapeError
from ptq.graph import ABSENT, Quantization
from ptq.interpreter import Interpreter


def weights(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def classifier():
    b = Builder("net")
    x = b.input("image", (-1, 8, 8, 1))
    x = b.conv2d(x, weights(4, 3, 3, 1), weights(4), activation="RELU")
    x = b.max_pool2d(x, 2)
    x = b.depthwise_conv2d(x, weights(1, 3, 3, 4), stride=2, activation="RELU6")
    x = b.reshape(x, (-1, 16))
    x = b.fully_connected(x, weights(3, 16), weights(3))
    return b.finish(b.softmax(x))


def test_a_network_in_a_few_lines_runs():
    graph = classifier()
    types = ["CONV_2D", "MAX_POOL_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert [operator.type for operator in graph.operators] == types
    assert [graph.tensors[op.outputs[0]].shape for op in graph.operators] == [
        (1, 8, 8, 4), (1, 4, 4, 4), (1, 2, 2, 4), (1, 16), (1, 3), (1, 3)
    ]  # fmt: skip
    for batch in (1, 5):
        (found,) = Interpreter(graph=graph).run([weights(batch, 8, 8, 1)])
        assert found.shape == (batch, 3)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_it_survives_a_file():
    graph = classifier()
    loaded = ptq.format.load(ptq.format.dumps(graph))
    assert loaded == graph


def test_names_are_given_and_unique():
    b = Builder()
    x = b.input("x", (1, 4))
    for _ in range(2):
        x = b.fully_connected(x, weights(4, 4), weights(4))
    x = b.relu(x, name="end")
    names = [tensor.name for tensor in b.finish(x).tensors]
    assert names == [
        "x",
        "fully_connected/weights", "fully_connected/bias", "fully_connected",
        "fully_connected_1/weights", "fully_connected_1/bias", "fully_connected_1",
        "end",
    ]  # fmt: skip


def test_arrays_numbers_and_tensors_may_be_operands():
    b = Builder()
    x = b.input("x", (2, 3))
    y = b.mul(b.add(b.sub(x, 1), [1.0, 2.0, 3.0]), np.full((2, 1), 2.0))
    z = b.concatenation([y, x], axis=0)
    (found,) = Interpreter(graph=b.finish(z)).run([np.ones((2, 3), np.float32)])
    assert found.tolist() == [[2, 4, 6], [2, 4, 6], [1, 1, 1], [1, 1, 1]]
    whole = Builder()
    n = whole.input("n", (2,), "INT32")
    graph = whole.finish(whole.add(n, 5))
    assert Interpreter(graph=graph).run([np.array([1, 2], np.int32)])[0].tolist() == [6, 7]


def test_batch_norm_is_the_formula():
    rng = np.random.default_rng(3)
    gamma, beta, mean, variance = rng.uniform(0.5, 2, (4, 3))
    x = rng.normal(size=(2, 3)).astype(np.float32)
    b = Builder()
    graph = b.finish(b.batch_norm(b.input("x", x.shape), gamma, beta, mean, variance, 1e-2))
    assert [operator.type for operator in graph.operators] == ["MUL", "ADD"]
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-2) + beta
    np.testing.assert_allclose(Interpreter(graph=graph).run([x])[0], expected, rtol=1e-5, atol=1e-6)


def test_every_helper_computes_what_it_says():
    x = np.linspace(-8, 8, 24, dtype=np.float32).reshape(1, 2, 4, 3)
    amounts = [(0, 0), (1, 0), (0, 2), (0, 0)]
    cases = {
        "relu": (lambda b, t: b.relu(t), np.maximum(x, 0)),
        "relu6": (lambda b, t: b.relu6(t), np.clip(x, 0, 6)),
        "relu_n1_to_1": (lambda b, t: b.relu_n1_to_1(t), np.clip(x, -1, 1)),
        "logistic": (lambda b, t: b.logistic(t), 1 / (1 + np.exp(-x))),
        "tanh": (lambda b, t: b.tanh(t), np.tanh(x)),
        "average": (lambda b, t: b.average_pool2d(t, 2), x.reshape(1, 1, 2, 2, 2, 3).mean(axis=(2, 4))),
        "maximum": (lambda b, t: b.max_pool2d(t, (1, 2)), x.reshape(1, 2, 2, 2, 3).max(axis=3)),
        "mean": (lambda b, t: b.mean(t, (1, 2), keep_dims=True), x.mean(axis=(1, 2), keepdims=True)),
        "mean of one axis": (lambda b, t: b.mean(t, -1), x.mean(axis=-1)),
        "squeeze": (lambda b, t: b.squeeze(t), x[0]),
        "pad": (lambda b, t: b.pad(t, amounts), np.pad(x, amounts)),
        "transpose": (lambda b, t: b.transpose(t, (3, 0, 1, 2)), x.transpose(3, 0, 1, 2)),
        "gather": (lambda b, t: b.gather(t, [2, 0], axis=2), x[:, :, [2, 0]]),
        "batch matmul": (lambda b, t: b.batch_matmul(t, x, adj_y=True), x @ x.swapaxes(-1, -2)),
        "pack": (lambda b, t: b.pack([t, t], axis=-1), np.stack([x, x], axis=-1)),
        "unpack": (lambda b, t: b.unpack(t, axis=2)[-1], x[:, :, 3]),
        "split": (lambda b, t: b.split(t, 2, axis=2)[1], x[:, :, 2:]),
        "quantize": (lambda b, t: b.dequantize(b.quantize(t, 0.5, 3)), np.round(x * 2) / 2),
    }
    for name, (add, expected) in cases.items():
        b = Builder()
        graph = b.finish(add(b, b.input("x", x.shape)))
        (found,) = Interpreter(graph=graph).run([x])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def test_options_have_the_schemas_names_in_the_right_direction():
    b = Builder()
    x = b.input("x", (1, 9, 9, 2))
    b.conv2d(x, weights(2, 3, 3, 2), stride=(2, 1), dilation=(1, 3), padding="VALID")
    options = b.graph.operators[0].options
    assert (options["stride_h"], options["stride_w"]) == (2, 1)
    assert (options["dilation_h_factor"], options["dilation_w_factor"]) == (1, 3)
    assert b.graph.operators[0].options_type == "Conv2DOptions"
    b.average_pool2d(x, (3, 2))
    options = b.graph.operators[1].options
    assert [options[k] for k in ("filter_height", "filter_width", "stride_h", "stride_w")] == [3, 2, 3, 2]
    b.depthwise_conv2d(x, weights(1, 3, 3, 4), dilation=2)
    assert b.graph.operators[2].options["depth_multiplier"] == 2 and b.graph.operators[2].version == 2


def test_a_convolution_without_bias_gets_one_of_zeros_and_a_dense_layer_none():
    b = Builder()
    b.conv2d(b.input("x", (1, 4, 4, 1)), weights(2, 3, 3, 1))
    b.fully_connected(b.input("y", (1, 4)), weights(2, 4))
    convolution, dense = b.graph.operators
    assert b.graph.tensors[convolution.inputs[2]].data.tolist() == [0, 0]
    assert len(dense.inputs) == 2 and dense.version == 6


def test_any_operator_can_be_added():
    b = Builder()
    x = b.input("x", (2, 2), quantization=Quantization(np.array([0.5], np.float32), np.array([0])))
    y = b.op("HARD_SWISH", [x], output_shape=(2, 2))
    inputs = [y, None, np.zeros(1, np.float32)]
    z = b.op("NEW_THING", inputs, {"a": 1}, output_shape=(1,), options_type="Thing")
    graph = b.finish(z)
    operator = graph.operators[1]
    assert (operator.inputs[1], operator.options, operator.options_type) == (ABSENT, {"a": 1}, "Thing")


def test_an_operator_may_have_several_outputs():
    b = Builder()
    x = b.input("x", (3, 2))
    rows = b.ops("UNPACK", [x], {"num": 3}, name="row")
    assert [(row.name, row.shape) for row in rows] == [("row", (2,)), ("row_1", (2,)), ("row_2", (2,))]
    (found,) = ptq.Interpreter(graph=b.finish(rows[2])).run([np.arange(6, dtype=np.float32).reshape(3, 2)])
    assert found.tolist() == [4, 5]


def test_mistakes_are_named_where_they_are_made():
    b = Builder()
    x = b.input("x", (1, 4))
    with pytest.raises(ShapeError, match="FULLY_CONNECTED"):
        b.fully_connected(x, weights(3, 5))
    with pytest.raises(InputError, match="'stranger'"):
        b.relu(Builder().input("stranger", (1,)))
    with pytest.raises(GraphError, match="no outputs"):
        b.finish()
    with pytest.raises(GraphError, match="no TensorFlow Lite type"):
        b.constant(np.array(["text"]))


@pytest.mark.parametrize(
    "index",
    [
        np.s_[1], np.s_[-1], np.s_[:, 2], np.s_[..., -1], np.s_[1:, ::2], np.s_[::-1, 3:0:-1],
        np.s_[:, None, 1], np.s_[..., None], np.s_[np.int64(1), ..., 1:3], np.s_[:-1, :, -3:-1],
        np.s_[None, 1, ..., None], (),
    ],
    ids=str,
)  # fmt: skip
def test_a_slice_is_what_python_makes_of_the_index(index):
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    b = Builder()
    graph = b.finish(b.strided_slice(b.input("x", x.shape), index))
    (found,) = Interpreter(graph=graph).run([x])
    assert found.shape == x[index].shape and found.tolist() == x[index].tolist()


def test_what_picks_or_moves_elements_keeps_type_and_quantization():
    quantization = Quantization(np.array([0.5], np.float32), np.array([3]))
    b = Builder()
    x = b.input("x", (2, 4), "INT8", quantization)
    results = [b.gather(x, [1]), *b.split(x, 2, 1), b.strided_slice(x, 0), b.pack([x, x]), *b.unpack(x)]
    assert {(t.type, t.quantization == quantization) for t in results} == {("INT8", True)}


def test_the_size_of_a_transposed_convolution():
    x = np.ones((1, 3, 4, 1), np.float32)
    sizes = {
        "SAME": (dict(stride=(2, 3)), (6, 12)), "VALID": (dict(stride=2, padding="VALID"), (8, 10)),
        "given": (dict(stride=2, size=(5, 7)), (5, 7)), "wide": (dict(stride=5, padding="VALID"), (15, 20)),
    }  # fmt: skip
    for name, (options, size) in sizes.items():
        b = Builder()
        y = b.transpose_conv(b.input("x", x.shape), np.ones((2, 4, 4, 1)), np.full(2, 0.5), **options)
        (found,) = Interpreter(graph=b.finish(y)).run([x])
        assert found.shape == y.shape == (1, *size, 2)
        # every element of x reaches 4 x 4 elements of both outputs, less those beyond the borders
        reached, cut = float((found - 0.5).sum()), name in ("SAME", "given")
        assert reached < 2 * 12 * 16 if cut else reached == 2 * 12 * 16
    assert b.graph.operators[0].version == 3


def test_mistakes_in_moving_are_shape_errors():
    b = Builder()
    x = b.input("x", (2, 4))
    for wrong in (lambda: b.unpack(x, 2), lambda: b.split(x, 3, 1), lambda: b.strided_slice(x, (0, 0, 0))):
        with pytest.raises(ShapeError):
            wrong()
    with pytest.raises(PtqError):
        b.pack([])
