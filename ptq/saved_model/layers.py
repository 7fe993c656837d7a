"""Layers with weights: convolutions and matrix products, their filters turned as TensorFlow Lite stores them.

TensorFlow stores convolution filters [height, width, inputs, outputs] and TensorFlow Lite [outputs, height,
width, inputs]; depthwise filters [height, width, channels, multiplier] become [1, height, width, channels *
multiplier], the weights of a dense layer [inputs, outputs] become [outputs, inputs]. No number is changed.
Source: `tensorflow/compiler/mlir/lite/transforms/prepare_tf.cc` (ConvertTFConv2D,
ConvertTFDepthwiseConv2dNative), `legalize_tf.cc` (ConvertTFMatMulOp), `optimize_batch_matmul_pass.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ptq.graph import ABSENT
from ptq.saved_model.attributes import check_layout, padding, refuse, window
from ptq.saved_model.nodes import Node
from ptq.saved_model.translation import Rule, Translation

TO_OHWI = (3, 0, 1, 2)


def turn(t: Translation, tensor: int, order: Sequence[int], name: str) -> int:
    """TRANSPOSE; of a constant at once, as a view of the same memory."""
    data = t.data(tensor)
    if data is not None:
        return t.constant(data.transpose(order), name)
    return t.one("TRANSPOSE", [tensor, t.int32(order, f"{name}/perm")], name)


def _conv2d(t: Translation, node: Node) -> list[int]:
    check_layout(node)
    x, filter = t.inputs(node)
    x, options = _geometry(t, node, x)
    weights = turn(t, filter, TO_OHWI, f"{node.name}/filter")
    bias = _zeros(t, t.shape(weights)[0], node.name)
    grouped = t.shape(weights)[3] != t.shape(x)[3]
    return t.op("CONV_2D", [x, weights, bias], node.name, options, 6 if grouped else 1)


def _depthwise_conv2d(t: Translation, node: Node) -> list[int]:
    check_layout(node)
    x, filter = t.inputs(node)
    x, options = _geometry(t, node, x)
    data = t.data(filter)
    if data is None or data.ndim != 4:
        raise refuse(node, "a filter that is computed at run time", "a constant of four dimensions")
    height, width, channels, multiplier = data.shape
    weights = t.constant(data.reshape(1, height, width, channels * multiplier), f"{node.name}/filter")
    bias = _zeros(t, channels * multiplier, node.name)
    options["depth_multiplier"] = multiplier
    dilated = (options["dilation_h_factor"], options["dilation_w_factor"]) != (1, 1)
    return t.op("DEPTHWISE_CONV_2D", [x, weights, bias], node.name, options, 2 if dilated else 1)


def _transpose_conv(t: Translation, node: Node) -> list[int]:
    check_layout(node)
    sizes, filter, x = t.inputs(node)
    if window(node, "dilations") != (1, 1) or padding(node) == "EXPLICIT":
        raise refuse(node, "dilations or explicit padding", "neither, as TRANSPOSE_CONV has no such options")
    stride_h, stride_w = window(node, "strides")
    options = {"padding": padding(node), "stride_h": stride_h, "stride_w": stride_w}
    weights = turn(t, filter, (2, 0, 1, 3), f"{node.name}/filter")
    return t.op("TRANSPOSE_CONV", [sizes, weights, x], node.name, options, kinds=[t.type(x)])


def _matmul(t: Translation, node: Node) -> list[int]:
    a, b = t.inputs(node)
    adj_x, adj_y = (bool(node.attributes.get(name)) for name in ("transpose_a", "transpose_b"))
    if t.data(b) is None and (adj_x or not adj_y):
        return t.op("BATCH_MATMUL", [a, b], node.name, {"adj_x": adj_x, "adj_y": adj_y})
    if adj_x:
        a = turn(t, a, (1, 0), f"{node.name}/a")
    weights = b if adj_y else turn(t, b, (1, 0), f"{node.name}/weights")
    return t.op("FULLY_CONNECTED", [a, weights, ABSENT], node.name)


def _batch_matmul(t: Translation, node: Node) -> list[int]:
    a, b = t.inputs(node)
    adj_x, adj_y = bool(node.attributes.get("adj_x")), bool(node.attributes.get("adj_y"))
    return [product(t, a, b, node.name, adj_x, adj_y)]


def product(t: Translation, a: int, b: int, name: str, adj_x: bool = False, adj_y: bool = False) -> int:
    """The matrix products of two tensors; a dense layer where the second is one constant matrix."""
    if t.data(b) is None or t.rank(b) != 2 or adj_x:
        return t.one("BATCH_MATMUL", [a, b], name, {"adj_x": adj_x, "adj_y": adj_y})
    weights = b if adj_y else turn(t, b, (1, 0), f"{name}/weights")
    if t.rank(a) == 2:
        return t.one("FULLY_CONNECTED", [a, weights, ABSENT], name)
    return t.one("FULLY_CONNECTED", [a, weights, ABSENT], name, {"keep_num_dims": True}, 5)


def _geometry(t: Translation, node: Node, x: int) -> tuple[int, dict[str, Any]]:
    """Strides, dilations and padding; what is padded by given amounts is padded before, by an operator."""
    (stride_h, stride_w), (dilation_h, dilation_w) = window(node, "strides"), window(node, "dilations")
    kind = padding(node)
    if kind == "EXPLICIT":
        amounts = np.array(node.attributes["explicit_paddings"], np.int32).reshape(-1, 2)
        x = t.one("PAD", [x, t.int32(amounts, f"{node.name}/paddings")], f"{node.name}/pad")
        kind = "VALID"
    strides = {"padding": kind, "stride_h": stride_h, "stride_w": stride_w}
    return x, {**strides, "dilation_h_factor": dilation_h, "dilation_w_factor": dilation_w}


def _zeros(t: Translation, channels: int, name: str) -> int:
    return t.constant(np.zeros(channels, np.float32), f"{name}/bias")


RULES: dict[str, Rule] = {
    "Conv2D": _conv2d,
    "DepthwiseConv2dNative": _depthwise_conv2d,
    "Conv2DBackpropInput": _transpose_conv,
    "MatMul": _matmul,
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _batch_matmul),
}
