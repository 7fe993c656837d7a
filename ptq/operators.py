"""Which options table belongs to which operator, with TensorFlow Lite's names and defaults.

For code that builds graphs; reading a file does not need it, since a file names the table itself.
Source: the unions and tables of `tflite/converter/schema/schema.fbs` (Apache-2.0) and the operator's
entry in `tflite/core/api/flatbuffer_conversions.cc`, which says what options it parses.
"""

from __future__ import annotations

from typing import Any

from ptq.errors import GraphError

_ACTIVATION = {"fused_activation_function": "NONE"}
_ADDITION = {**_ACTIVATION, "pot_scale_int16": True}
_WINDOW = {"padding": "SAME", "stride_w": 0, "stride_h": 0}
_DILATION = {"dilation_w_factor": 1, "dilation_h_factor": 1}
_BIAS_TYPE = {"quantized_bias_type": "FLOAT32"}
_HYBRID = {"asymmetric_quantize_inputs": False}
_CLIPS = {"cell_clip": 0.0, "proj_clip": 0.0}
_REDUCER = ("ReducerOptions", {"keep_dims": False})
_DENSE = {"weights_format": "DEFAULT", "keep_num_dims": False, **_HYBRID}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "CONV_2D": ("Conv2DOptions", {**_WINDOW, **_ACTIVATION, **_DILATION, **_BIAS_TYPE}),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        {**_WINDOW, "depth_multiplier": 0, **_ACTIVATION, **_DILATION},
    ),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {**_WINDOW, **_ACTIVATION, **_BIAS_TYPE}),
    "AVERAGE_POOL_2D": ("Pool2DOptions", {**_WINDOW, "filter_width": 0, "filter_height": 0, **_ACTIVATION}),
    "MAX_POOL_2D": ("Pool2DOptions", {**_WINDOW, "filter_width": 0, "filter_height": 0, **_ACTIVATION}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {**_ACTIVATION, **_DENSE, **_BIAS_TYPE, "quant_spec": None}),
    "SOFTMAX": ("SoftmaxOptions", {"beta": 0.0}),
    "CONCATENATION": ("ConcatenationOptions", {"axis": 0, **_ACTIVATION}),
    "ADD": ("AddOptions", _ADDITION),
    "SUB": ("SubOptions", _ADDITION),
    "MUL": ("MulOptions", _ACTIVATION),
    "DIV": ("DivOptions", _ACTIVATION),
    "RESHAPE": ("ReshapeOptions", {"new_shape": None}),
    "SQUEEZE": ("SqueezeOptions", {"squeeze_dims": None}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": 0.0}),
    "L2_NORMALIZATION": ("L2NormOptions", _ACTIVATION),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY"), _REDUCER),
    "ARG_MAX": ("ArgMaxOptions", {"output_type": "FLOAT32"}),
    "ARG_MIN": ("ArgMinOptions", {"output_type": "FLOAT32"}),
    "CAST": ("CastOptions", {"in_data_type": "FLOAT32", "out_data_type": "FLOAT32"}),
    "SHAPE": ("ShapeOptions", {"out_type": "FLOAT32"}),
    "GATHER": ("GatherOptions", {"axis": 0, "batch_dims": 0}),
    "SPLIT": ("SplitOptions", {"num_splits": 0}),
    "SPLIT_V": ("SplitVOptions", {"num_splits": 0}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {
            "begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0,
            "offset": False,
        },
    ),
    "PACK": ("PackOptions", {"values_count": 0, "axis": 0}),
    "UNPACK": ("UnpackOptions", {"num": 0, "axis": 0}),
    "RESIZE_BILINEAR": (
        "ResizeBilinearOptions",
        {"new_height": 0, "new_width": 0, "align_corners": False, "half_pixel_centers": False},
    ),
    "RESIZE_NEAREST_NEIGHBOR": (
        "ResizeNearestNeighborOptions", {"align_corners": False, "half_pixel_centers": False}
    ),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"block_size": 0}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"block_size": 0}),
    "BATCH_MATMUL": ("BatchMatMulOptions", {"adj_x": False, "adj_y": False, **_HYBRID}),
    "SVDF": ("SVDFOptions", {"rank": 0, **_ACTIVATION, **_HYBRID}),
    "RNN": ("RNNOptions", {**_ACTIVATION, **_HYBRID}),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ("SequenceRNNOptions", {"time_major": False, **_ACTIVATION, **_HYBRID}),
    "BIDIRECTIONAL_SEQUENCE_RNN": (
        "BidirectionalSequenceRNNOptions",
        {"time_major": False, **_ACTIVATION, "merge_outputs": False, **_HYBRID},
    ),
    "LSTM": ("LSTMOptions", {**_ACTIVATION, **_CLIPS, "kernel_type": "FULL", **_HYBRID}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        {**_ACTIVATION, **_CLIPS, "time_major": False, **_HYBRID, "diagonal_recurrent_tensors": False},
    ),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (
        "BidirectionalSequenceLSTMOptions",
        {**_ACTIVATION, **_CLIPS, "merge_outputs": False, "time_major": True, **_HYBRID},
    ),
    "WHILE": ("WhileOptions", {"cond_subgraph_index": 0, "body_subgraph_index": 0}),
    "IF": ("IfOptions", {"then_subgraph_index": 0, "else_subgraph_index": 0}),
    "CALL_ONCE": ("CallOnceOptions", {"init_subgraph_index": 0}),
    **{
        name: (table, {})
        for name, table in {
            "PAD": "PadOptions", "PADV2": "PadV2Options", "TRANSPOSE": "TransposeOptions",
            "QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions", "SLICE": "SliceOptions",
            "EXPAND_DIMS": "ExpandDimsOptions", "FILL": "FillOptions", "TILE": "TileOptions",
            "EXP": "ExpOptions", "NEG": "NegOptions", "ABS": "AbsOptions", "SQUARE": "SquareOptions",
            "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "MAXIMUM": "MaximumMinimumOptions",
            "MINIMUM": "MaximumMinimumOptions", "LOG_SOFTMAX": "LogSoftmaxOptions",
            "SELECT": "SelectOptions", "SELECT_V2": "SelectV2Options", "EQUAL": "EqualOptions",
            "NOT_EQUAL": "NotEqualOptions", "LESS": "LessOptions", "LESS_EQUAL": "LessEqualOptions",
            "GREATER": "GreaterOptions", "GREATER_EQUAL": "GreaterEqualOptions",
            "LOGICAL_AND": "LogicalAndOptions", "LOGICAL_OR": "LogicalOrOptions",
            "LOGICAL_NOT": "LogicalNotOptions", "REVERSE_V2": "ReverseV2Options", "RANGE": "RangeOptions",
            "ZEROS_LIKE": "ZerosLikeOptions", "BROADCAST_TO": "BroadcastToOptions",
        }.items()
    },
}  # fmt: skip
"""The options table of each operator that has one here, and its fields with the schema's defaults.

Numbers without a meaningful default (strides, filter sizes, beta) are 0 as in the schema: set them.
"""

WITHOUT_OPTIONS = (
    "LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH", "ELU", "PRELU", "LOG", "SQRT", "RSQRT",
    "FLOOR", "EMBEDDING_LOOKUP", "CUSTOM",
)  # fmt: skip
"""Operators that are complete without an options table."""


_LSTM = (*range(1, 12), 16)
WEIGHT_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "EMBEDDING_LOOKUP",
         "TRANSPOSE_CONV"), (1,)
    ),
    "GATHER": (0,),
    **dict.fromkeys(("SVDF", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"), (1, 2)),
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"), _LSTM),
    "BIDIRECTIONAL_SEQUENCE_RNN": (1, 2, 5, 6, 10, 11),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*_LSTM, *range(18, 29), 33, *range(40, 48)),
}  # fmt: skip
"""The inputs that hold weights, of each operator that can read them as int8.

Source: `tflite/converter/tools/optimize/operator_property.cc` and `legacy/quantize_weights.cc`
(GetWeightInputIndices); the states that the latter lists for BIDIRECTIONAL_SEQUENCE_RNN are no constants.
"""


def default_options(operator: str) -> tuple[str | None, dict[str, Any]]:
    """The name of the options table of `operator` and a fresh dictionary of its defaults.

    (None, {}) for an operator that needs no table; GraphError for one that is not listed.
    """
    if operator in OPTIONS:
        table, options = OPTIONS[operator]
        return table, dict(options)
    if operator in WITHOUT_OPTIONS:
        return None, {}
    known = ", ".join([*OPTIONS, *WITHOUT_OPTIONS])
    raise GraphError(f"no default options for operator '{operator}'; expected one of {known}")
