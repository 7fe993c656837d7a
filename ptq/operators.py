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
_DENSE = {"weights_format": "DEFAULT", "keep_num_dims": False, "asymmetric_quantize_inputs": False}

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
    "MEAN": ("ReducerOptions", {"keep_dims": False}),
    "SUM": ("ReducerOptions", {"keep_dims": False}),
    "RESHAPE": ("ReshapeOptions", {"new_shape": None}),
    "SQUEEZE": ("SqueezeOptions", {"squeeze_dims": None}),
    "PAD": ("PadOptions", {}),
    "PADV2": ("PadV2Options", {}),
    "TRANSPOSE": ("TransposeOptions", {}),
    "QUANTIZE": ("QuantizeOptions", {}),
    "DEQUANTIZE": ("DequantizeOptions", {}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": 0.0}),
    "GATHER": ("GatherOptions", {"axis": 0, "batch_dims": 0}),
    "BATCH_MATMUL": (
        "BatchMatMulOptions",
        {"adj_x": False, "adj_y": False, "asymmetric_quantize_inputs": False},
    ),
    "SVDF": ("SVDFOptions", {"rank": 0, **_ACTIVATION, "asymmetric_quantize_inputs": False}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        {
            **_ACTIVATION, "cell_clip": 0.0, "proj_clip": 0.0, "time_major": False,
            "asymmetric_quantize_inputs": False, "diagonal_recurrent_tensors": False,
        },
    ),
}  # fmt: skip
"""The options table of each operator that has one here, and its fields with the schema's defaults.

Numbers without a meaningful default (strides, filter sizes, beta) are 0 as in the schema: set them.
"""

WITHOUT_OPTIONS = ("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "HARD_SWISH", "CUSTOM")
"""Operators that are complete without an options table."""


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
