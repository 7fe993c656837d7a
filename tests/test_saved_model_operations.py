"""Every operation that the translator knows: a graph of one node, run, beside what NumPy says."""

import numpy as np
import pytest
from flat_graphs import Flat

from ptq.interpreter import Interpreter
from ptq.saved_model import control, lists
from ptq.saved_model.translate import RULES, translate

WINDOW = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": b"VALID", "data_format": b"NHWC"}
GEOMETRY = {"strides": (1, 1, 1, 1), "dilations": (1, 1, 1, 1), "padding": b"VALID", "data_format": b"NHWC"}
SLICE = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}


def values(*shape, low=-2.0, high=2.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


A, B, POSITIVE = values(2, 3), values(2, 3, seed=1), values(2, 3, low=0.5)
HOLES, ZEROS = np.float32([[1, np.nan, -np.inf]]), np.float32([[0, 2, 0], [-3, 0, 1]])
IMAGE, FLAGS, OTHER_FLAGS = values(1, 4, 4, 2), A > 0, B > 0
FILTER, STATS = values(3, 3, 2, 3), [values(2, low=0.5, seed=n) for n in range(4)]


def tiles(x):
    """[1, 4, 4, c] as [1, 2, 2, 4, c]: the four elements of each window of two by two."""
    return x.reshape(1, 2, 2, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 2, 2, 4, -1)


def convolve(x, filter):
    """Without padding, each output element a sum over its window."""
    height, width = (n - k + 1 for n, k in zip(x.shape[1:3], filter.shape[:2], strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, filter.shape[:2], (1, 2))
    assert windows.shape[1:3] == (height, width)
    return np.einsum("nhwcij,ijco->nhwo", windows, filter)


def depthwise(x, filter):
    windows = np.lib.stride_tricks.sliding_window_view(x, filter.shape[:2], (1, 2))
    return np.einsum("nhwcij,ijcm->nhwcm", windows, filter).reshape(*windows.shape[:3], -1)


def transposed(x, filter):
    """Stride 1, no padding: each input element adds its filter to the output."""
    height, width = (n + k - 1 for n, k in zip(x.shape[1:3], filter.shape[:2], strict=True))
    output = np.zeros((1, height, width, filter.shape[2]), np.float32)
    for row, column in np.ndindex(*x.shape[1:3]):
        patch = np.einsum("ijoc,c->ijo", filter, x[0, row, column])
        output[0, row : row + filter.shape[0], column : column + filter.shape[1]] += patch
    return output


def normalize(x):
    scale, offset, mean, variance = STATS
    return (x - mean) * scale / np.sqrt(variance + 1e-3) + offset


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def unary(function, x=A):
    return [x], {}, function(x)


def binary(function, a=A, b=B):
    return [a, b], {}, function(a, b)


CASES = {
    "Abs": unary(np.abs), "Elu": unary(lambda x: np.where(x < 0, np.expm1(x), x)), "Exp": unary(np.exp),
    "Floor": unary(np.floor), "Log": unary(np.log, POSITIVE), "LogicalNot": unary(np.logical_not, FLAGS),
    "LogSoftmax": unary(lambda x: np.log(softmax(x))), "Neg": unary(np.negative),
    "Relu": unary(lambda x: np.maximum(x, 0)), "Relu6": unary(lambda x: np.clip(4 * x / 4, 0, 6)),
    "Sigmoid": unary(sigmoid), "Sqrt": unary(np.sqrt, POSITIVE), "Square": unary(np.square),
    "Tanh": unary(np.tanh), "ZerosLike": unary(np.zeros_like), "Softmax": unary(softmax),
    "Rsqrt": unary(lambda x: 1 / np.sqrt(x), POSITIVE), "Reciprocal": unary(lambda x: 1 / x, POSITIVE),
    "Inv": unary(lambda x: 1 / x, POSITIVE), "Expm1": unary(np.expm1), "Log1p": unary(np.log1p, POSITIVE),
    "Softplus": unary(lambda x: np.log(np.exp(x) + 1)), "Softsign": unary(lambda x: x / (np.abs(x) + 1)),
    "Selu": unary(lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "IsFinite": unary(np.isfinite, HOLES), "IsNan": unary(np.isnan, HOLES), "OnesLike": unary(np.ones_like),
    "L2Loss": unary(lambda x: (x**2).sum() / 2),
    "DivNoNan": binary(lambda a, b: a / np.where(b == 0, np.inf, b), A, ZEROS),
    "MulNoNan": binary(lambda a, b: np.where(b == 0, 0, A * b), np.where(ZEROS == 0, np.inf, A), ZEROS),
    "Xdivy": binary(np.divide, ZEROS, POSITIVE),
    "Xlogy": binary(lambda a, b: a * np.log(b), ZEROS, POSITIVE),
    "Xlog1py": binary(lambda a, b: a * np.log1p(b), ZEROS, POSITIVE),
    "Roll": ([A, np.int32([1, -1]), np.int32([0, 1])], {}, np.roll(A, (1, -1), (0, 1))),
    "FloorDiv": binary(np.floor_divide, np.int32([-7, 7, 8]), np.int32([2, -2, 4])),
    "FloorMod": binary(np.mod, np.int32([-7, 7, 8]), np.int32([2, -2, 4])),
    "BroadcastArgs": ([np.int32([2, 1]), np.int32([3])], {}, np.int32([2, 3])),
    "Einsum": ([A, B], {"equation": b"ab,cb->ac"}, A @ B.T),
    "LeakyRelu": ([A], {"alpha": 0.1}, np.where(A < 0, 0.1 * A, A)),
    "Add": binary(np.add), "AddV2": binary(np.add), "BiasAdd": ([A, B[0]], {}, A + B[0]),
    "Div": binary(np.divide, A, POSITIVE), "RealDiv": binary(np.divide, A, POSITIVE),
    "Maximum": binary(np.maximum), "Minimum": binary(np.minimum), "Mul": binary(np.multiply),
    "Sub": binary(np.subtract), "SquaredDifference": binary(lambda a, b: (a - b) ** 2),
    "Pow": binary(np.power, A, np.float32(2)), "AddN": ([A, B, A], {}, A + B + A),
    "Equal": binary(np.equal, A, A), "NotEqual": binary(np.not_equal), "Greater": binary(np.greater),
    "GreaterEqual": binary(np.greater_equal), "Less": binary(np.less), "LessEqual": binary(np.less_equal),
    "LogicalAnd": binary(np.logical_and, FLAGS, OTHER_FLAGS),
    "LogicalOr": binary(np.logical_or, FLAGS, OTHER_FLAGS),
    "Select": ([FLAGS, A, B], {}, np.where(FLAGS, A, B)),
    "SelectV2": ([FLAGS, A, B], {}, np.where(FLAGS, A, B)),
    "Cast": ([A], {"DstT": np.dtype(np.int32)}, A.astype(np.int32)),
    **{
        name: ([IMAGE, *STATS], {"epsilon": 1e-3, "is_training": False}, normalize(IMAGE))
        for name in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
    },
    **{
        name: ([A], {}, A)
        for name in ("CheckNumerics", "Identity", "IdentityN", "PlaceholderWithDefault", "PreventGradient",
                     "Snapshot", "StopGradient")
    },
    "Const": ([], {"value": A}, A),
    "Conv2D": ([IMAGE, FILTER], GEOMETRY, convolve(IMAGE, FILTER)),
    "DepthwiseConv2dNative": ([IMAGE, FILTER], GEOMETRY, depthwise(IMAGE, FILTER)),
    "Conv2DBackpropInput": (
        [np.int32([1, 6, 6, 3]), FILTER.transpose(0, 1, 3, 2), IMAGE], GEOMETRY,
        transposed(IMAGE, FILTER.transpose(0, 1, 3, 2)),
    ),
    "MatMul": ([A, B], {"transpose_a": True, "transpose_b": False}, A.T @ B),
    **{
        name: ([A, B], {"adj_x": False, "adj_y": True}, A @ B.T)
        for name in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
    },
    "MaxPool": ([IMAGE], WINDOW, tiles(IMAGE).max(3)), "AvgPool": ([IMAGE], WINDOW, tiles(IMAGE).mean(3)),
    "Any": ([FLAGS, np.int32([1])], {"keep_dims": True}, FLAGS.any(1, keepdims=True)),
    "Max": ([A, np.int32([0])], {}, A.max(0)),
    "Min": ([A, np.int32([1])], {"keep_dims": True}, A.min(1)[:, None]),
    "Mean": ([A, np.int32(1)], {}, A.mean(1)), "Prod": ([A, np.int32([0])], {}, A.prod(0)),
    "Sum": ([A, np.int32([0, 1])], {}, A.sum()),
    "ArgMax": ([A, np.int32(1)], {"output_type": np.dtype(np.int64)}, A.argmax(1)),
    "ArgMin": ([A, np.int32(0)], {"output_type": np.dtype(np.int32)}, A.argmin(0).astype(np.int32)),
    "ResizeBilinear": (
        [IMAGE, np.int32([4, 4])], {"align_corners": False, "half_pixel_centers": True}, IMAGE
    ),
    "ResizeNearestNeighbor": (
        [IMAGE, np.int32([8, 8])], {"align_corners": False, "half_pixel_centers": False},
        IMAGE.repeat(2, 1).repeat(2, 2),
    ),
    "Reshape": ([A, np.int32([3, -1])], {}, A.reshape(3, 2)),
    "Squeeze": ([IMAGE], {"squeeze_dims": (0,)}, IMAGE[0]),
    "ExpandDims": ([A, np.int32(1)], {}, A[:, None]),
    "Pad": ([A, np.int32([[1, 0], [0, 2]])], {}, np.pad(A, ((1, 0), (0, 2)))),
    "PadV2": (
        [A, np.int32([[1, 0], [0, 2]]), np.float32(7)], {}, np.pad(A, ((1, 0), (0, 2)), constant_values=7)
    ),
    "ConcatV2": ([A, B, np.int32(1)], {}, np.concatenate([A, B], 1)),
    "Split": ([np.int32(1), A], {"num_split": 3}, A[:, :1]),
    "SplitV": ([A, np.int32([2, 1]), np.int32(1)], {"num_split": 2}, A[:, :2]),
    "Pack": ([A, B], {"axis": 1, "N": 2}, np.stack([A, B], 1)),
    "Unpack": ([A], {"axis": 1, "num": 3}, A[:, 0]),
    "Transpose": ([A, np.int32([1, 0])], {}, A.T),
    "StridedSlice": (
        [A, np.int32([0, 1]), np.int32([2, 3]), np.int32([1, 1])], {**SLICE, "shrink_axis_mask": 2}, A[:, 1]
    ),
    "Slice": ([A, np.int32([0, 1]), np.int32([2, 2])], {}, A[:, 1:3]),
    "Gather": ([A, np.int32([1, 0])], {}, A[[1, 0]]),
    "GatherV2": ([A, np.int32([2, 0]), np.int32(1)], {"batch_dims": 0}, A[:, [2, 0]]),
    "ResourceGather": ([A, np.int32([1, 0])], {"batch_dims": 0}, A[[1, 0]]),
    "Tile": ([A, np.int32([2, 1])], {}, np.tile(A, (2, 1))),
    "Fill": ([np.int32([2, 2]), np.float32(3)], {}, np.full((2, 2), np.float32(3))),
    "BroadcastTo": ([A, np.int32([2, 2, 3])], {}, np.broadcast_to(A, (2, 2, 3))),
    "ReverseV2": ([A, np.int32([1])], {}, A[:, ::-1]),
    "Range": ([np.int32(1), np.int32(7), np.int32(2)], {}, np.arange(1, 7, 2, np.int32)),
    "Shape": ([A], {"out_type": np.dtype(np.int32)}, np.int32([2, 3])),
    "Rank": ([A], {}, np.int32(2)), "Size": ([A], {"out_type": np.dtype(np.int32)}, np.int32(6)),
    "DepthToSpace": (
        [IMAGE.reshape(1, 2, 4, 4), ], {"block_size": 2, "data_format": b"NHWC"},
        IMAGE.reshape(1, 2, 4, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 8, 1),
    ),
    "SpaceToDepth": (
        [IMAGE], {"block_size": 2, "data_format": b"NHWC"}, tiles(IMAGE).reshape(1, 2, 2, 8)
    ),
}  # fmt: skip
"""For each operation: its inputs, the first of which is fed, its attributes, and its first output."""

FED = {"Split": 1, "Conv2DBackpropInput": 2}
"""Which input is fed where it is not the first; the others are constants, as exported models have them."""
NOT_FED = {"Const", "Range", "Fill", "FloorDiv", "FloorMod", "BroadcastArgs"}


def test_every_operation_has_a_case():
    with_functions = {*control.RULES, *lists.RULES}  # these have test_saved_model_loops.py
    assert set(CASES) == set(RULES) - with_functions


@pytest.mark.parametrize("op", CASES)
def test_operation(op):
    operands, attributes, expected = CASES[op]
    f, fed, feed = Flat(), FED.get(op, 0), []
    names = []
    for position, operand in enumerate(operands):
        if position == fed and op not in NOT_FED:
            names.append(f.input("x", operand.shape, operand.dtype))
            feed.append(operand)
        else:
            names.append(f.const(operand))
    if op in NOT_FED:
        names = [f.const(operand) for operand in operands]
    graph = translate(f.finish(f.op(op, names, "node", **attributes)))
    found = Interpreter(graph=graph).run(feed)[0]
    assert found.shape == expected.shape
    assert found.dtype == graph.tensors[graph.outputs[0]].dtype
    assert found.dtype == (np.float32 if expected.dtype == np.float64 else expected.dtype)
    # float32 sums of up to 18 products in another order: 18 rounding errors of 2**-24 of a sum below 2**6
    np.testing.assert_allclose(found, expected, rtol=2**-20, atol=18 * 2**-18)
