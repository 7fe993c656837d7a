"""From TensorFlow's nodes to TensorFlow Lite's operators: layouts, fusions, open sizes, order, refusals."""

import numpy as np
import pytest
from flat_graphs import Flat, conv

from ptq.errors import UnsupportedError
from ptq.interpreter import Interpreter
from ptq.saved_model.dilation import undo_space_to_batch
from ptq.saved_model.order import in_converter_order
from ptq.saved_model.pointwise import reciprocal_root
from ptq.saved_model.translate import translate


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def types(graph):
    return [operator.type for operator in graph.operators]


def constants(graph, position=-1):
    """The constants that an operator reads."""
    tensors = [graph.tensors[i] for i in graph.operators[position].inputs if i >= 0]
    return [tensor.data for tensor in tensors if tensor.is_constant]


def run(graph, *inputs):
    interpreter = Interpreter(graph=graph)
    for index, value in zip(graph.inputs, inputs, strict=True):
        interpreter.resize_tensor_input(index, value.shape)
    return interpreter.run(list(inputs))


# --- layers ---------------------------------------------------------------------------------------


def test_batch_norm_and_activation_are_folded_in_tensorflows_order_of_arithmetic():
    filter, mean, gamma, beta = normal(3, 3, 2, 4), normal(4, seed=1), normal(4, seed=2), normal(4, seed=3)
    variance = np.abs(normal(4, seed=4)) + np.float32(0.5)
    f = Flat()
    x = conv(f, f.input("image", (-1, 8, 8, 2)), filter)
    root = f.op("Rsqrt", [f.op("AddV2", [variance, np.float32(1e-3)])])
    multiplier = f.op("Mul", [root, gamma])
    shift = f.op("Sub", [beta, f.op("Mul", [mean, multiplier])])
    x = f.op("Relu6", [f.op("AddV2", [f.op("Mul", [x, multiplier]), shift])], "relu")
    graph = translate(f.finish(x))
    assert types(graph) == ["CONV_2D"]
    assert graph.operators[0].options["fused_activation_function"] == "RELU6"
    factor = reciprocal_root(variance + np.float32(1e-3)) * gamma
    weights, bias = constants(graph)
    assert weights.tobytes() == (filter.transpose(3, 0, 1, 2) * factor.reshape(-1, 1, 1, 1)).tobytes()
    assert bias.tobytes() == (beta - mean * factor).tobytes()
    assert graph.tensors[graph.outputs[0]].name == "relu"


def test_fused_batch_norm_is_the_same_arithmetic():
    filter, scale, offset, mean = normal(3, 3, 1, 4), normal(4, seed=1), normal(4, seed=2), normal(4, seed=3)
    variance = np.abs(normal(4, seed=4)) + np.float32(0.5)
    f = Flat()
    x = conv(f, f.input("image", (1, 8, 8, 1)), filter)
    x = f.op("FusedBatchNormV3", [x, scale, offset, mean, variance], epsilon=1e-3, is_training=False)
    graph = translate(f.finish(x))
    factor = scale * reciprocal_root(variance + np.float32(1e-3))
    assert types(graph) == ["CONV_2D"]
    weights, bias = constants(graph)
    assert weights.tobytes() == (filter.transpose(3, 0, 1, 2) * factor.reshape(-1, 1, 1, 1)).tobytes()
    assert bias.tobytes() == (offset - mean * factor).tobytes()


def test_a_depthwise_filter_is_seen_as_one_row_of_channels():
    filter = normal(3, 3, 2, 3)
    f = Flat()
    x = conv(f, f.input("image", (1, 6, 6, 2)), filter, op="DepthwiseConv2dNative", dilations=(1, 2, 2, 1))
    graph = translate(f.finish(x))
    (operator,) = graph.operators
    assert (operator.type, operator.version) == ("DEPTHWISE_CONV_2D", 2)
    assert operator.options["depth_multiplier"] == 3
    assert constants(graph)[0].tobytes() == filter.reshape(1, 3, 3, 6).tobytes()


def test_a_dense_layer_turns_its_weights_and_takes_bias_and_activation():
    weights, bias = normal(5, 3), normal(3, seed=1)
    f = Flat()
    x = f.op("MatMul", [f.input("x", (-1, 5)), weights], transpose_a=False, transpose_b=False)
    graph = translate(f.finish(f.op("Relu", [f.op("BiasAdd", [x, bias])])))
    assert types(graph) == ["FULLY_CONNECTED"]
    turned, added = constants(graph)
    assert turned.tobytes() == weights.T.tobytes() and added.tobytes() == bias.tobytes()
    assert np.shares_memory(turned, weights)  # no copy: weights may be large, and lie in a mapped file


def test_what_stands_before_a_dense_layer_becomes_part_of_it():
    weights, bias, factor, term = normal(5, 3), normal(3, seed=1), normal(5, seed=2), normal(5, seed=3)
    f = Flat()
    x = f.op("Mul", [f.op("Relu", [f.input("x", (-1, 5))]), factor])
    x = f.op("MatMul", [f.op("AddV2", [x, term]), weights])
    graph = translate(f.finish(f.op("BiasAdd", [x, bias])))
    assert types(graph) == ["RELU", "FULLY_CONNECTED"]
    scaled, added = constants(graph)
    assert scaled.tobytes() == (weights.T * factor).tobytes()
    exact = (weights.T * term).astype(np.float64).sum(1) + bias  # five terms: exact to far below float32
    assert added.tobytes() == exact.astype(np.float32).tobytes()


@pytest.mark.parametrize("padding, kept", [(b"VALID", []), (b"SAME", ["ADD"])])
def test_a_number_is_added_before_a_convolution_only_where_nothing_is_padded(padding, kept):
    filter = normal(3, 3, 1, 2)
    f = Flat()
    x = f.op("Mul", [f.input("image", (1, 6, 6, 1)), np.float32(1 / 255)])
    x = f.op("AddV2", [x, np.float32(-0.5)])
    graph = translate(f.finish(conv(f, x, filter, padding=padding)))
    assert [name for name in types(graph) if name == "ADD"] == kept
    image = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
    f = Flat()
    plain = translate(f.finish(conv(f, f.input("image", (1, 6, 6, 1)), filter, padding=padding)))
    expected = run(plain, image * np.float32(1 / 255) - np.float32(0.5))[0]
    # ten float32 numbers below 4 are added in another order
    np.testing.assert_allclose(run(graph, image)[0], expected, rtol=0, atol=20 * 2**-22)


def test_a_layer_with_two_readers_keeps_its_weights():
    f = Flat()
    x = conv(f, f.input("image", (1, 6, 6, 1)), normal(3, 3, 1, 2))
    graph = translate(f.finish(f.op("Mul", [x, np.float32(2)]), f.op("Relu", [x])))
    assert sorted(types(graph)) == ["CONV_2D", "MUL", "RELU"]


def test_explicit_padding_is_an_operator_unless_it_is_what_same_means():
    def translated(before, after):
        f = Flat()
        amounts = (0, 0, before, after, before, after, 0, 0)
        x = f.input("image", (1, 8, 8, 1))
        strides = (1, 2, 2, 1)
        x = conv(f, x, normal(3, 3, 1, 2), strides=strides, padding=b"EXPLICIT", explicit_paddings=amounts)
        return translate(f.finish(x))

    assert types(translated(1, 1)) == ["PAD", "CONV_2D"]
    graph = translated(0, 1)
    assert types(graph) == ["CONV_2D"] and graph.operators[0].options["padding"] == "SAME"


def dilated(rank):
    """Dilation 2, as TensorFlow writes it, over rows of 9 or images of 9 x 9; and the image."""
    f = Flat()
    image = normal(1, *(9,) * rank, 2)
    block, amounts, crops = [2] * rank, [[2, 3]] * rank, [[0, 1]] * rank
    x = f.op("SpaceToBatchND", [f.input("image", image.shape), np.int32(block), np.int32(amounts)])
    if rank == 1:
        x = f.op("ExpandDims", [x, np.int32(1)])
    x = conv(f, x, normal(*(1,) * (2 - rank), *(3,) * rank, 2, 4), padding=b"VALID")
    if rank == 1:
        x = f.op("Squeeze", [x], squeeze_dims=(1,))
    return f.finish(f.op("BatchToSpaceND", [x, np.int32(block), np.int32(crops)])), image


@pytest.mark.parametrize("rank", [1, 2])
def test_three_nodes_are_one_dilated_convolution(rank):
    flat, image = dilated(rank)
    graph = translate(flat)
    operator = next(op for op in graph.operators if op.type == "CONV_2D")
    assert operator.options["padding"] == "SAME" and operator.options["dilation_w_factor"] == 2
    assert operator.options["dilation_h_factor"] == rank
    stored = [node.attributes["value"] for node in flat.nodes if node.op == "Const"]
    filter = next(value for value in stored if value.ndim == 4)
    padded = np.pad(image, [(0, 0), *[(2, 2)] * rank, (0, 0)])
    taps = np.stack([padded[:, 2 * i : 2 * i + 9] for i in range(3)])
    if rank == 2:
        taps = np.stack([taps[:, :, :, 2 * j : 2 * j + 9] for j in range(3)], 1)
        expected = np.einsum("ijnhwc,ijco->nhwo", taps, filter)
    else:
        expected = np.einsum("jnwc,jco->nwo", taps, filter[0])
    np.testing.assert_allclose(run(graph, image)[0], expected, rtol=0, atol=18 * 2**-18)


def test_other_uses_of_space_to_batch_are_refused_by_name():
    f = Flat()
    x = f.input("x", (1, 4, 4, 1))
    f.op("SpaceToBatchND", [x, np.int32([2, 2]), np.int32([[0, 0], [0, 0]])], "blocks")
    flat = f.finish("blocks:0")
    assert undo_space_to_batch(flat) is flat
    with pytest.raises(UnsupportedError, match="SpaceToBatchND 'blocks'"):
        translate(flat)


# --- activations ----------------------------------------------------------------------------------


def hard_swish(f, x):
    gate = f.op("Relu6", [f.op("AddV2", [x, np.float32(3)])])
    return f.op("Mul", [f.op("Mul", [x, gate]), np.float32(1 / 6)])


def hard_swish_divided(f, x):
    gate = f.op("RealDiv", [f.op("Relu6", [f.op("AddV2", [x, np.float32(3)])]), np.float32(6)])
    return f.op("Mul", [gate, x])


def clipped(low, high):
    return lambda f, x: f.op("Minimum", [f.op("Maximum", [x, np.float32(low)]), np.float32(high)])


def leaky(f, x):
    return f.op("Maximum", [f.op("Mul", [x, np.float32(0.1)]), x])


def prelu(f, x):
    below = f.op("Mul", [f.op("Relu", [f.op("Neg", [x])]), np.float32([-0.25, -0.5, -1])])
    return f.op("AddV2", [f.op("Relu", [x]), below])


def normalized(f, x):
    total = f.op("Sum", [f.op("Square", [x]), np.int32([-1])], keep_dims=True)
    return f.op("Mul", [x, f.op("Rsqrt", [f.op("Maximum", [total, np.float32(1e-12)])])])


def moved(f, x):
    return f.op("Tanh", [f.op("Transpose", [x, np.int32([1, 0])])])


PATTERNS = {
    "hard swish": (hard_swish, ["HARD_SWISH"], lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hard swish, divided": (hard_swish_divided, ["HARD_SWISH"], lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "relu6": (clipped(0, 6), ["RELU6"], lambda x: np.clip(x, 0, 6)),
    "relu1": (clipped(-1, 1), ["RELU_N1_TO_1"], lambda x: np.clip(x, -1, 1)),
    "another clip": (clipped(-2, 1), ["MAXIMUM", "MINIMUM"], lambda x: np.clip(x, -2, 1)),
    "leaky": (leaky, ["LEAKY_RELU"], lambda x: np.maximum(x, np.float32(0.1) * x)),
    "prelu": (prelu, ["PRELU"], lambda x: np.where(x < 0, x * np.float32([0.25, 0.5, 1]), x)),
    "norm": (normalized, ["L2_NORMALIZATION"], lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True))),
    "value before move": (moved, ["TANH", "TRANSPOSE"], lambda x: np.tanh(x).T),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_arithmetic_that_is_one_operator(name):
    build, expected, function = PATTERNS[name]
    f = Flat()
    graph = translate(f.finish(build(f, f.input("x", (-1, 3)))))
    assert types(graph) == expected
    x = 3 * normal(20, 3)
    # a handful of float32 operations on numbers below 64
    np.testing.assert_allclose(run(graph, x)[0], function(x), rtol=2**-20, atol=2**-18)


def test_what_changes_nothing_is_dropped():
    f = Flat()
    x = f.op("Transpose", [f.op("Relu", [f.input("x", (2, 3))]), np.int32([0, 1])])
    x = f.op("AddV2", [f.op("RealDiv", [x, np.float32(1)]), np.zeros(3, np.float32)])
    x = f.op("Reshape", [f.op("Reshape", [x, np.int32([-1, 3, 1])]), np.int32([-1, 3])])
    assert types(translate(f.finish(f.op("Relu", [x])))) == ["RELU"]


def test_a_reshape_to_the_same_open_shape_stays_as_in_tensorflows_files():
    f = Flat()
    x = f.op("Exp", [f.op("Reshape", [f.op("Neg", [f.input("x", (-1, 3))]), np.int32([-1, 3])])])
    assert types(translate(f.finish(x))) == ["NEG", "EXP", "RESHAPE"]


# --- open sizes -----------------------------------------------------------------------------------


def flattened(shape):
    """Keras' Flatten: the batch comes from the shape, the rest is known."""
    f = Flat()
    x = f.op("Neg", [f.input("x", shape)])
    sizes = f.op("Shape", [x], "shape", out_type=np.dtype(np.int32))
    batch, rest = (
        f.op("StridedSlice", [sizes, *(np.int32([n]) for n in bounds)], shrink_axis_mask=shrink)
        for bounds, shrink in (((0, 1, 1), 1), ((1, 3, 1), 0))
    )
    rest = f.op("Prod", [rest, np.int32([0])])
    return f.finish(f.op("Reshape", [x, f.op("Pack", [batch, rest], axis=0)]))


def test_an_open_batch_is_computed_when_the_model_runs():
    graph = translate(flattened((-1, 4, 5)))
    assert types(graph) == ["NEG", "SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"]
    output = graph.tensors[graph.outputs[0]]
    assert (output.shape, output.shape_signature) == ((1, 20), (-1, 20))
    assert run(graph, normal(3, 4, 5))[0].shape == (3, 20)


def test_a_known_batch_is_a_constant():
    graph = translate(flattened((2, 4, 5)))
    assert types(graph) == ["NEG", "RESHAPE"]
    assert graph.tensors[graph.outputs[0]].shape_signature is None
    assert constants(graph)[0].tolist() == [2, 20]


def test_two_inputs_have_the_same_open_batch():
    f = Flat()
    x = f.op("AddV2", [f.input("a", (-1, 3)), f.input("b", (-1, 3))])
    graph = translate(f.finish(f.op("ConcatV2", [x, x, np.int32(0)])))
    assert graph.tensors[graph.outputs[0]].shape_signature == (-1, 3)
    assert run(graph, normal(2, 3), normal(2, 3))[0].shape == (4, 3)


def test_images_of_any_size():
    f = Flat()
    x = conv(f, f.input("image", (-1, -1, -1, 3)), normal(3, 3, 3, 4), strides=(1, 2, 2, 1), padding=b"VALID")
    graph = translate(f.finish(f.op("Mean", [x, np.int32([1, 2])])))
    assert [graph.tensors[i].shape_signature for i in graph.operators[1].inputs[:1]] == [(-1, -1, -1, 4)]
    assert run(graph, normal(2, 7, 9, 3))[0].shape == (2, 4)


# --- names, order, refusals -----------------------------------------------------------------------


def test_names_of_the_signature_are_kept():
    f = Flat()
    a, b = f.input("left", (-1, 2)), f.input("right", (-1, 2))
    graph = translate(f.finish(f.op("Sub", [a, b], "difference"), f.op("Neg", [a], "negative")))
    (signature,) = graph.signatures
    assert signature.key == "serving_default"
    names = {name: graph.tensors[i].name for name, i in signature.inputs.items()}
    assert names == {"left": "left:0", "right": "right:0"}
    names = {name: graph.tensors[i].name for name, i in signature.outputs.items()}
    assert names == {"output_0": "difference", "output_1": "negative"}


def test_names_decide_the_order_where_inputs_do_not():
    f = Flat()
    x = f.input("x", (1, 2))
    late, early = f.op("Neg", [x], "b/late"), f.op("Exp", [x], "a/early")
    flat = f.finish(f.op("AddV2", [late, early], "sum"))
    assert [node.name for node in in_converter_order(flat)] == ["x", "a/early", "b/late", "sum"]
    assert types(translate(flat)) == ["EXP", "NEG", "ADD"]


def test_a_model_that_returns_its_input_and_a_constant():
    f = Flat()
    x = f.input("x", (-1, 2))
    graph = translate(f.finish(f.op("Identity", [x]), f.const(np.float32([1, 2]))))
    value, constant = run(graph, normal(3, 2))
    assert value.shape == (3, 2) and constant.tolist() == [1, 2]


def test_all_unknown_operations_are_named_at_once_and_what_follows_from_them_is_not():
    f = Flat()
    x = f.input("x", (1, 2))
    lost = f.op("Mystery", [x], "model/first")
    f.op("Neg", [lost], "model/follows")
    both = f.op("AddV2", [f.op("Neg", ["model/follows:0"]), f.op("Riddle", [x], "model/second")])
    with pytest.raises(UnsupportedError) as error:
        translate(f.finish(both))
    message = str(error.value)
    assert message.startswith("2 operations cannot be translated")
    assert "Mystery 'model/first'" in message and "Riddle 'model/second'" in message
    assert "follows" not in message and "supported are Abs, Add," in message


def channels_first(f, x):
    return conv(f, x, normal(3, 3, 4, 4), "conv", data_format=b"NCHW")


def training(f, x):
    stats = [np.ones(4, np.float32)] * 4
    return f.op("FusedBatchNormV3", [x, *stats], "norm", epsilon=1e-3, is_training=True)


def strided_batch(f, x):
    return conv(f, x, normal(3, 3, 4, 4), "conv", strides=(2, 1, 1, 1))


def odd_power(f, x):
    return f.op("Pow", [x, np.float32(3.5)], "power")


def computed_axis(f, x):
    axis = f.op("Cast", [f.op("Sum", [x, np.int32([0, 1, 2, 3])])], DstT=np.dtype(np.int32))
    return f.op("ConcatV2", [x, x, axis], "join")


REFUSED = {
    "channels first": (channels_first, "'conv': data_format NCHW found, expected NHWC"),
    "training": (training, "'norm': is_training = True found"),
    "strided batch": (strided_batch, r"'conv': strides \[2, 1, 1, 1\] found"),
    "odd power": (odd_power, "'power': exponent 3.5 found"),
    "computed axis": (computed_axis, "'join': the axis is computed at run time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tensorflow_lite_has_not_is_refused_with_its_place(name):
    build, message = REFUSED[name]
    f = Flat()
    with pytest.raises(UnsupportedError, match=message):
        translate(f.finish(build(f, f.input("x", (1, 4, 4, 4)))))


def test_an_input_of_unknown_rank_is_refused():
    f = Flat()
    with pytest.raises(UnsupportedError, match="input 'x': a shape of unknown rank found"):
        translate(f.finish(f.op("Neg", [f.input("x", None)])))


# --- as TensorFlow's converter rewrites it --------------------------------------------------------


def test_a_shape_packed_again_from_its_own_sizes_is_that_shape():
    f = Flat()
    x, y = f.input("x", (-1, 3)), f.input("y", (-1, 3, 1))
    shape = f.op("Shape", [x], out_type=np.dtype(np.int32))
    batch = f.op("StridedSlice", [shape, [0], [1], [1]], shrink_axis_mask=1)
    packed = f.op("Pack", [batch, np.int32(3)], axis=0)
    other = f.op("Pack", [batch, np.int32(1), np.int32(3)], axis=0)
    same, from_y = f.op("Reshape", [f.op("Relu", [x]), packed]), f.op("Reshape", [f.op("Neg", [y]), packed])
    graph = translate(f.finish(f.op("Reshape", [x, packed]), from_y, f.op("Reshape", [same, other])))
    assert types(graph).count("PACK") == 1
    assert types(graph).count("RESHAPE") == 2
    assert graph.outputs[0] == graph.inputs[0]


def test_select_of_equal_known_shapes_is_the_first_version():
    def chosen(shape, other):
        f = Flat()
        x = f.input("x", shape)
        flags = f.op("Greater", [x, np.float32(0)])
        below = f.op("Neg", [x]) if other is None else other
        return types(translate(f.finish(f.op("SelectV2", [flags, x, below]))))

    assert chosen((2, 3), None) == ["GREATER", "NEG", "SELECT"]
    assert chosen((-1, 3), None) == ["GREATER", "NEG", "SELECT_V2"]
    assert chosen((2, 3), np.float32(0)) == ["GREATER", "SELECT_V2"]


@pytest.mark.parametrize(
    "order, left, expected",
    [
        ((0, 2, 1), False, (["BATCH_MATMUL"], (False, True))),
        ((0, 2, 1), True, (["BATCH_MATMUL"], (True, False))),
        ((1, 0, 2), False, (["TRANSPOSE", "BATCH_MATMUL"], (False, False))),
        ((1, 0), False, (["FULLY_CONNECTED"], None)),
        ((1, 0), True, (["BATCH_MATMUL"], (True, False))),
    ],
)
def test_a_product_turns_its_own_matrices(order, left, expected):
    f = Flat()
    shape = (2, 2, 2)[: len(order)]
    x, y = f.input("x", shape), f.input("y", shape)
    turned = f.op("Transpose", [x, np.int32(order)])
    graph = translate(f.finish(f.op("BatchMatMulV2", [turned, y] if left else [y, turned])))
    options = graph.operators[-1].options
    adjoint = (options["adj_x"], options["adj_y"]) if "adj_x" in options else None
    assert (types(graph), adjoint) == expected
    a, b = normal(*shape), normal(*shape, seed=1)
    product = np.transpose(a, order) @ b if left else b @ np.transpose(a, order)
    np.testing.assert_allclose(run(graph, a, b)[0], product, rtol=0, atol=4 * 2**-22)


def test_a_quotient_by_a_root_is_a_product_if_nothing_else_reads_the_root():
    f = Flat()
    x = f.input("x", (2, 3))
    root = f.op("Sqrt", [x])
    assert types(translate(f.finish(f.op("RealDiv", [np.float32(1), root])))) == ["RSQRT"]
    assert types(translate(f.finish(f.op("RealDiv", [x, root]), root))) == ["SQRT", "DIV"]


def test_wide_operands_of_different_shapes_have_no_squared_difference():
    f = Flat()
    x, y = f.input("x", (1, 2, 2, 2, 2)), f.input("y", (1, 2, 1, 2, 2))
    graph = translate(f.finish(f.op("SquaredDifference", [x, y]), f.op("SquaredDifference", [x, x])))
    assert sorted(types(graph)) == ["SQUARE", "SQUARED_DIFFERENCE", "SUB"]
    assert [op.version for op in graph.operators if op.type == "SUB"] == [3]


def test_operators_of_a_type_have_one_version():
    f = Flat()
    flat = f.op("MatMul", [f.input("x", (2, 3)), normal(3, 3)])
    deep = f.op("BatchMatMulV2", [f.input("y", (2, 2, 3)), normal(3, 4)])
    graph = translate(f.finish(flat, deep))
    assert [(op.version, op.options["keep_num_dims"]) for op in graph.operators] in (
        [(5, False), (5, True)], [(5, True), (5, False)],
    )  # fmt: skip


@pytest.mark.parametrize(
    "equation, found",
    [
        (b"bii->bi", "'bii->bi'"), (b"bij,bk->bk", "'bij,bk->bk'"), (b"bij->", "'bij->'"), (b"", "''"),
        (b"b?j->b", r"'b\?j->b'"), (b"bij->bx", "'bij->bx'"), (b"ab,bc,cd->ad", "'ab,bc,cd->ad'"),
        (b"abc,abd->ab", "'abc,abd->ab'"),
    ],
)  # fmt: skip
def test_forms_of_einsum_that_tensorflow_lite_cannot_compute_are_refused(equation, found):
    f = Flat()
    letters = equation.partition(b"->")[0].split(b",")
    operands = [f.input(f"x{n}", (2,) * len(part)) for n, part in enumerate(letters)]
    with pytest.raises(UnsupportedError, match=rf"'product': {found}.*found, expected each letter once"):
        translate(f.finish(f.op("Einsum", operands, "product", equation=equation)))
