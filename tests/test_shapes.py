"""Shape inference: what fits, and what is said where something does not."""

import numpy as np
import pytest

from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.graph import Operator, Tensor, type_of
from ptq.kernels.padding import window
from ptq.shapes import RULES, infer_shapes
from ptq.shapes.common import broadcast_shapes, resolve_reshape, window_size

GEOMETRY = {"stride_h": 2, "stride_w": 1, "padding": "SAME", "dilation_h_factor": 1, "dilation_w_factor": 1}
VALID = {**GEOMETRY, "padding": "VALID"}
POOL = {"stride_h": 2, "stride_w": 1, "padding": "VALID", "filter_height": 2, "filter_width": 3}

NORMAL = {"adj_x": False, "adj_y": False}

MERGED = {"merge_outputs": True}
RNN = [(3, 5), (3, 3), (3,)]
FULL = {"kernel_type": "FULL"}
LSTM = [(4, 5)] * 4 + [(4, 4)] * 4 + [None] * 3 + [(4,)] * 4 + [None] * 2
PROJECTED = [None, *[(4, 5)] * 3, None, *[(4, 3)] * 3, *[None] * 4, *[(4,)] * 3, (3, 4), (3,)]


def constant(*values):
    data = np.array(values, np.int32)
    return Tensor("operand", data.shape, type_of(data.dtype), data)


def tensors(*shapes):
    given = [s if isinstance(s, Tensor) or s is None else Tensor(f"t{i}", s) for i, s in enumerate(shapes)]
    return given


def infer(kind, *shapes, **options):
    """The shape of the output, or a list of them if there are several."""
    found = infer_shapes(Operator(kind, [], [], options), tensors(*shapes))
    return found[0] if len(found) == 1 else found


FITTING = [
    ("CONV_2D", [(2, 9, 7, 3), (8, 3, 3, 3), (8,)], GEOMETRY, (2, 5, 7, 8)),
    ("CONV_2D", [(1, 9, 7, 6), (8, 3, 3, 3), None], VALID, (1, 4, 5, 8)),
    ("CONV_2D", [(1, 9, 9, 1), (2, 3, 3, 1)], {**VALID, "dilation_w_factor": 3}, (1, 4, 3, 2)),
    ("DEPTHWISE_CONV_2D", [(1, 8, 8, 3), (1, 3, 3, 6), (6,)], GEOMETRY, (1, 4, 8, 6)),
    ("FULLY_CONNECTED", [(4, 2, 3), (5, 6), (5,)], {}, (4, 5)),
    ("FULLY_CONNECTED", [(4, 2, 3), (5, 3)], {"keep_num_dims": True}, (4, 2, 5)),
    ("BATCH_MATMUL", [(4, 1, 2, 3), (5, 3, 6)], NORMAL, (4, 5, 2, 6)),
    ("BATCH_MATMUL", [(3, 2), (5, 6, 3)], {"adj_x": True, "adj_y": True}, (5, 2, 6)),
    ("TRANSPOSE_CONV", [constant(2, 5, 4, 8), (8, 3, 3, 6), (2, 3, 4, 6), (8,)], GEOMETRY, (2, 5, 4, 8)),
    ("TRANSPOSE_CONV", [constant(1, 8, 6, 8), (8, 3, 3, 6), (1, 3, 4, 6)], VALID, (1, 8, 6, 8)),
    ("AVERAGE_POOL_2D", [(1, 5, 5, 2)], POOL, (1, 2, 3, 2)),
    ("MAX_POOL_2D", [(1, 5, 5, 2)], {**POOL, "padding": "SAME"}, (1, 3, 5, 2)),
    ("RNN", [(4, 5), *RNN, (4, 3)], {}, (4, 3)),
    ("UNIDIRECTIONAL_SEQUENCE_RNN", [(4, 9, 5), *RNN, (4, 3)], {}, (4, 9, 3)),
    ("BIDIRECTIONAL_SEQUENCE_RNN", [(4, 9, 5), *RNN, (4, 3), *RNN, (4, 3)], MERGED, (4, 9, 6)),
    ("SVDF", [(4, 5), (6, 5), (6, 8), (2,), (4, 48)], {"rank": 3}, (4, 2)),
    ("SOFTMAX", [(3, 4)], {}, (3, 4)),
    ("LOG_SOFTMAX", [(3, 0)], {}, (3, 0)),
    ("PRELU", [(2, 3, 4), (3, 1)], {}, (2, 3, 4)),
    ("TANH", [()], {}, ()),
    ("ADD", [(3, 1, 5), (4, 1)], {}, (3, 4, 5)),
    ("MUL", [(0, 3), (1, 3)], {}, (0, 3)),
    ("LESS", [(3, 1), (1, 4)], {}, (3, 4)),
    ("SELECT", [(3,), (3, 4), (3, 4)], {}, (3, 4)),
    ("SELECT", [(), (3, 4), (3, 4)], {}, (3, 4)),
    ("SELECT", [(1, 1), (1,), ()], {}, (1,)),
    ("SELECT_V2", [(3, 1), (4,), (2, 1, 1)], {}, (2, 3, 4)),
    ("RESHAPE", [(2, 6), constant(3, -1)], {"new_shape": [12]}, (3, 4)),
    ("RESHAPE", [(2, 6)], {"new_shape": [4, 3]}, (4, 3)),
    ("RESHAPE", [(1, 1)], {"new_shape": [0]}, ()),
    ("RESHAPE", [(2, 6)], {"new_shape": np.array([3, -1], np.int32)}, (3, 4)),
    ("SQUEEZE", [(1, 2, 1)], {"squeeze_dims": []}, (2,)),
    ("SQUEEZE", [(1, 2, 1)], {"squeeze_dims": None}, (2,)),
    ("SQUEEZE", [(1, 2, 1)], {"squeeze_dims": [-1]}, (1, 2)),
    ("SQUEEZE", [(1, 2, 1)], {"squeeze_dims": np.array([0, 2], np.int32)}, (2,)),
    ("PAD", [(2, 3), constant([1, 0], [2, 2])], {}, (3, 7)),
    ("CONCATENATION", [(2, 3), (2, 5), (2, 0)], {"axis": -1}, (2, 8)),
    ("MEAN", [(2, 3, 4), constant(0, -1)], {"keep_dims": False}, (3,)),
    ("MEAN", [(2, 3, 4), constant(1, 1)], {"keep_dims": True}, (2, 1, 4)),
    ("SUM", [(2, 3, 4), constant(-1)], {"keep_dims": False}, (2, 3)),
    ("ARG_MAX", [(2, 3, 4), constant(-2)], {}, (2, 4)),
    ("TRANSPOSE", [(2, 3, 4), constant(2, 0, 1)], {}, (4, 2, 3)),
    ("DEQUANTIZE", [(7,)], {}, (7,)),
    ("EXPAND_DIMS", [(2, 3), constant(-1)], {}, (2, 3, 1)),
    ("PACK", [(2, 3), (2, 3)], {"axis": 1}, (2, 2, 3)),
    ("UNPACK", [(2, 3)], {"axis": -1, "num": 3}, [(2,), (2,), (2,)]),
    ("SPLIT", [constant(1), (2, 6)], {"num_splits": 2}, [(2, 3), (2, 3)]),
    ("SPLIT_V", [(2, 6), constant(1, -1), constant(1)], {}, [(2, 1), (2, 5)]),
    ("SLICE", [(4, 6), constant(1, 2), constant(2, -1)], {}, (2, 4)),
    ("STRIDED_SLICE", [(4, 6), constant(1), constant(9), constant(2)], {}, (2, 6)),
    ("STRIDED_SLICE", [(4, 6), *[constant(1, 1)] * 3], {"shrink_axis_mask": 1, "new_axis_mask": 2}, (1, 6)),
    ("REVERSE_V2", [(2, 3), constant(0)], {}, (2, 3)),
    ("GATHER", [(2, 3, 4), (5, 6)], {"axis": 1, "batch_dims": 0}, (2, 5, 6, 4)),
    ("GATHER", [(2, 3, 4), (2, 6)], {"axis": -1, "batch_dims": 1}, (2, 3, 6)),
    ("EMBEDDING_LOOKUP", [(5,), (9, 3, 4)], {}, (5, 3, 4)),
    ("SHAPE", [(2, 3, 4)], {"out_type": "INT32"}, (3,)),
    ("FILL", [constant(2, 0), ()], {}, (2, 0)),
    ("ZEROS_LIKE", [(2, 3)], {}, (2, 3)),
    ("TILE", [(2, 3), constant(3, 0)], {}, (6, 0)),
    ("BROADCAST_TO", [(1, 3), constant(4, 2, 3)], {}, (4, 2, 3)),
    ("RANGE", [constant(1), constant(8), constant(3)], {}, (3,)),
    ("RESIZE_BILINEAR", [(2, 3, 4, 5), constant(7, 8)], {}, (2, 7, 8, 5)),
    ("RESIZE_NEAREST_NEIGHBOR", [(2, 3, 4, 5), constant(7, 8)], {}, (2, 7, 8, 5)),
    ("DEPTH_TO_SPACE", [(2, 3, 4, 18)], {"block_size": 3}, (2, 9, 12, 2)),
    ("SPACE_TO_DEPTH", [(2, 9, 12, 2)], {"block_size": 3}, (2, 3, 4, 18)),
    ("LSTM", [(2, 5), *LSTM], FULL, (2, 4)),
    ("LSTM", [(2, 5), *PROJECTED], FULL, (2, 3)),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", [(2, 9, 5), *LSTM], {}, (2, 9, 4)),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", [(2, 9, 5), *PROJECTED], {}, (2, 9, 3)),
    ("BIDIRECTIONAL_SEQUENCE_LSTM", [(2, 9, 5), *LSTM, *PROJECTED], {"merge_outputs": True}, (2, 9, 7)),
]


@pytest.mark.parametrize(("kind", "shapes", "options", "expected"), FITTING)
def test_shapes_that_fit(kind, shapes, options, expected):
    assert infer(kind, *shapes, **options) == expected


WRONG = [
    ("CONV_2D", [(9, 7, 3), (8, 3, 3, 3)], GEOMETRY, "batch, height"),
    ("CONV_2D", [(1, 9, 7, 4), (8, 3, 3, 3)], GEOMETRY, "4 channels"),
    ("CONV_2D", [(1, 9, 7, 0), (8, 3, 3, 3)], GEOMETRY, "0 channels"),
    ("CONV_2D", [(1, 9, 7, 6), (7, 3, 3, 3)], GEOMETRY, "divide 7"),
    ("CONV_2D", [(1, 9, 7, 3), (8, 3, 3)], GEOMETRY, "filter of shape"),
    ("CONV_2D", [(1, 9, 7, 3), (8, 3, 3, 3), (7,)], GEOMETRY, "bias of shape"),
    ("CONV_2D", [(1, 2, 7, 3), (8, 3, 3, 3)], VALID, "2x7"),
    ("CONV_2D", [(1, 9, 7, 3), (8, 3, 3, 3)], {**GEOMETRY, "stride_w": 0}, "stride 0"),
    ("CONV_2D", [(1, 9, 7, 3), (8, 3, 3, 3)], {**GEOMETRY, "padding": "FULL"}, "FULL"),
    ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 6)], GEOMETRY, "4 channels"),
    ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (2, 3, 3, 4)], GEOMETRY, "filter of shape"),
    ("FULLY_CONNECTED", [(4, 5), (5, 6)], {}, "multiple of 6"),
    ("FULLY_CONNECTED", [(4, 6), (5, 3)], {"keep_num_dims": True}, "last dimension of 3"),
    ("FULLY_CONNECTED", [(4, 6), (6,)], {}, "weights of shape"),
    ("BATCH_MATMUL", [(2, 3), (3,)], NORMAL, "two to five dimensions"),
    ("BATCH_MATMUL", [(2, 3), (1, 1, 1, 1, 3, 4)], NORMAL, "two to five dimensions"),
    ("BATCH_MATMUL", [(2, 3), (4, 3)], NORMAL, "'t0' of shape"),
    ("BATCH_MATMUL", [(2, 2, 3), (3, 3, 4)], NORMAL, "'t0' of shape"),
    ("TRANSPOSE_CONV", [constant(1, 8, 6, 8), (8, 3, 3), (1, 3, 4, 6)], VALID, "weights of shape"),
    ("TRANSPOSE_CONV", [constant(1, 8, 6, 8), (8, 3, 3, 6), (1, 3, 4, 5)], VALID, "width, 6"),
    ("TRANSPOSE_CONV", [constant(1, 8, 6, 8), (8, 3, 3, 6), (1, 3, 4, 6), (7,)], VALID, "bias of shape"),
    ("TRANSPOSE_CONV", [constant(2, 8, 6, 8), (8, 3, 3, 6), (1, 3, 4, 6)], VALID, r"\[1, height, width, 8\]"),
    ("TRANSPOSE_CONV", [constant([1, 8, 6, 8]), (8, 3, 3, 6), (1, 3, 4, 6)], VALID, "output shape"),
    ("TRANSPOSE_CONV", [constant(8, 6, 8), (8, 3, 3, 6), (1, 3, 4, 6)], VALID, r"\[1, height, width, 8\]"),
    ("TRANSPOSE_CONV", [constant(1, 9, 6, 8), (8, 3, 3, 6), (1, 3, 4, 6)], VALID, "4x4 inputs"),
    ("TRANSPOSE_CONV", [constant(1, 0, 6, 8), (8, 3, 3, 6), (1, 0, 6, 6)], GEOMETRY, "0x6 inputs"),
    ("RNN", [(4, 9, 5), *RNN], {}, r"\[batch, inputs\]"),
    ("UNIDIRECTIONAL_SEQUENCE_RNN", [(4, 5), *RNN], {}, r"\[batch, time, inputs\]"),
    ("UNIDIRECTIONAL_SEQUENCE_RNN", [(4, 9, 5), (3,)], {}, r"\[outputs, inputs\]"),
    ("BIDIRECTIONAL_SEQUENCE_RNN", [(4, 5), *RNN, (4, 3), *RNN, (4, 3)], MERGED, r"\[batch, time, inputs\]"),
    ("SVDF", [(4, 5), (6, 5), (6, 8)], {"rank": 4}, "multiple of the rank 4"),
    ("SVDF", [(4, 5), (6, 5), (6, 8)], {"rank": 0}, "multiple of the rank 0"),
    ("SOFTMAX", [()], {}, "scalar"),
    ("L2_NORMALIZATION", [()], {}, "scalar"),
    ("PRELU", [(3,), (2, 3)], {}, r"broadcasts to \(3,\)"),
    ("SELECT", [(3,), (3, 4), (3, 1)], {}, "as 't1' has"),
    ("SELECT", [(3, 1), (3, 4), (3, 4)], {}, r"\(3,\) or a scalar"),
    ("SELECT_V2", [(3,), (3, 4), (3, 4)], {}, "broadcasts with"),
    ("SELECT_V2", [(1,), (3, 4), (2, 4)], {}, "broadcasts with"),
    ("SUB", [(2, 3), (2,)], {}, "broadcasts with"),
    ("RESHAPE", [(5,)], {"new_shape": [2, -1]}, "as many elements"),
    ("SQUEEZE", [(1, 2)], {"squeeze_dims": [1]}, "size 1"),
    ("PAD", [(2, 3), constant([1, -1], [0, 0])], {}, ">= 0"),
    ("PAD", [(2,), constant([1, 1], [0, 0])], {}, r"\(1, 2\)"),
    ("CONCATENATION", [(2, 3), (3, 3)], {"axis": 1}, "apart from dimension 1"),
    ("CONCATENATION", [(2, 3), (2,)], {"axis": 1}, "apart from dimension 1"),
    ("CONCATENATION", [(2, 3)], {"axis": 2}, "axis 2"),
    ("MEAN", [(2, 3), constant(2)], {"keep_dims": False}, "axes"),
    ("ARG_MAX", [(2, 3), constant(2)], {}, "a single axis"),
    ("ARG_MAX", [(2, 3), constant(0, 1)], {}, "a single axis"),
    ("ARG_MIN", [(2, 0), constant(1)], {}, "that has elements"),
    ("TRANSPOSE", [(2, 3), constant(0, 0)], {}, "permutation"),
    ("EXPAND_DIMS", [(2, 3), constant(3)], {}, "axis 3"),
    ("EXPAND_DIMS", [(2, 3), constant(0, 1)], {}, "a single one"),
    ("PACK", [(2, 3), (2, 4)], {"axis": 0}, "first input"),
    ("UNPACK", [(2, 3)], {"axis": 0, "num": 3}, "3 slices"),
    ("UNPACK", [(2**31, 0)], {"axis": 0, "num": 2**31}, "not empty"),
    ("SPLIT", [constant(1), (2, 6)], {"num_splits": 4}, "divisor"),
    ("SPLIT", [constant(0), (0, 6)], {"num_splits": 2**31 - 1}, "divisor"),
    ("SPLIT_V", [(2, 6), constant(1, 4), constant(1)], {}, "add up to 6"),
    ("SLICE", [(4, 6), constant(1, 2), constant(4, 1)], {}, "part of shape"),
    ("STRIDED_SLICE", [(4,), constant(1), constant(2), constant(0)], {}, "stride 0"),
    ("GATHER", [(2, 3), (3, 6)], {"axis": 1, "batch_dims": 1}, "equal batch dimensions"),
    ("EMBEDDING_LOOKUP", [(5, 1), (9, 3)], {}, "rows"),
    ("FILL", [constant(2, -1), ()], {}, ">= 0"),
    ("TILE", [(2, 3), constant(3)], {}, "TILE"),
    ("BROADCAST_TO", [(2, 3), constant(4, 3)], {}, "broadcasts to"),
    ("RANGE", [constant(1), constant(8), constant(0)], {}, "towards the limit"),
    ("RESIZE_BILINEAR", [(2, 3, 4, 5), constant(7, 0)], {}, "all positive"),
    ("RESIZE_NEAREST_NEIGHBOR", [(2, 3, 4, 5), constant(7)], {}, "height, width"),
    ("DEPTH_TO_SPACE", [(2, 3, 4, 8)], {"block_size": 3}, "8 channels"),
    ("SPACE_TO_DEPTH", [(2, 8, 12, 2)], {"block_size": 3}, "8x12"),
    ("LSTM", [(2, 9, 5), *LSTM], FULL, r"\[batch, inputs\]"),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", [(2, 5), *LSTM], {}, r"\[batch, time, inputs\]"),
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", [(2, 9, 5), None, (4,)], {}, r"\[outputs, inputs\]"),
]


@pytest.mark.parametrize(("kind", "shapes", "options", "words"), WRONG)
def test_shapes_that_do_not_fit_are_named(kind, shapes, options, words):
    with pytest.raises(ShapeError, match=words) as caught:
        infer(kind, *shapes, **options)
    assert kind in str(caught.value) or "sliding window" in str(caught.value)


def test_what_is_missing_is_named():
    with pytest.raises(GraphError, match="input 1 is absent"):
        infer("ADD", (2,))
    with pytest.raises(GraphError, match="'axis'"):
        infer("CONCATENATION", (2,))
    with pytest.raises(UnsupportedError, match="UNIQUE"):
        infer("UNIQUE", (2,))
    with pytest.raises(UnsupportedError, match="BASIC"):
        infer("LSTM", (2, 5), (2, 4), (16, 9), (16,), (2, 4), kernel_type="BASIC")
    with pytest.raises(UnsupportedError, match="run time"):
        infer("MEAN", (2,), (1,), keep_dims=False)
    real = Tensor("axes", (1,), data=np.zeros(1, np.float32))
    with pytest.raises(ShapeError, match="INT32"):
        infer("MEAN", (2,), real, keep_dims=False)


def test_two_outputs_have_two_shapes():
    operator = Operator("BIDIRECTIONAL_SEQUENCE_LSTM", [], [], {"merge_outputs": False})
    assert infer_shapes(operator, tensors((2, 9, 5), *LSTM, *PROJECTED)) == [(2, 9, 4), (2, 9, 3)]


AS_ANOTHER = {
    "TANH": "RELU RELU6 RELU_N1_TO_1 LOGISTIC LEAKY_RELU ELU HARD_SWISH EXP LOG SQRT RSQRT SQUARE NEG ABS "
    "FLOOR LOGICAL_NOT CAST QUANTIZE",
    "SOFTMAX": "L2_NORMALIZATION",
    "ADD": "SUB DIV MAXIMUM MINIMUM SQUARED_DIFFERENCE EQUAL NOT_EQUAL LESS_EQUAL GREATER GREATER_EQUAL "
    "LOGICAL_AND LOGICAL_OR",
    "MEAN": "REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY",
    "ARG_MAX": "ARG_MIN",
    "PAD": "PADV2",
}


def test_every_operator_has_a_case_that_fits_or_the_rule_of_one_that_has():
    assert set(RULES) == {case[0] for case in FITTING} | set(" ".join(AS_ANOTHER.values()).split())
    for kind, others in AS_ANOTHER.items():
        assert all(RULES[other] == RULES[kind] for other in others.split())


def test_window_sizes_count_the_positions_and_agree_with_the_kernels():
    for size in range(1, 12):
        for kernel in range(1, 5):
            for stride in range(1, 4):
                for dilation in range(1, 4):
                    extent = (kernel - 1) * dilation + 1
                    valid = len(range(0, size - extent + 1, stride))
                    assert window_size(size, kernel, stride, dilation, "VALID") == valid
                    same = window_size(size, kernel, stride, dilation, "SAME")
                    assert same == len(range(0, size, stride))
                    assert window(size, kernel, stride, dilation, "SAME").size == same
                    if valid:
                        assert window(size, kernel, stride, dilation, "VALID").size == valid


def test_broadcasting_is_numpys():
    rng = np.random.default_rng(0)
    for _ in range(500):
        a, b = (tuple(rng.integers(0, 4, rng.integers(0, 4)).tolist()) for _ in range(2))
        try:
            expected = np.broadcast_shapes(a, b)
        except ValueError:
            expected = None
        assert broadcast_shapes(a, b) == expected


def test_reshape_with_empty_dimensions():
    assert resolve_reshape(0, [0, 5]) == (0, 5)
    assert resolve_reshape(0, [-1, 5]) == (0, 5)
    assert resolve_reshape(6, [0, -1]) is None
    assert resolve_reshape(0, [3]) is None
