"""Joins operators to layers: bias, batch normalization and activation become part of the layer before.

With x = w * a + b: (x * m) = (m w) * a + m b and (x + c) = w * a + (b + c), in float32, as TensorFlow's
converter computes it; before a layer also w * (a * m) = (w m) * a and w * (a + c) + b = w * a + (w * c + b).
Source: `tensorflow/compiler/mlir/lite/transforms/optimize_patterns.td` and `optimize_pass.cc`
(FuseFullyConnectedAndAdd, FuseAddAndFullyConnected, FuseMulAndFullyConnected, FuseFullyConnectedAndReluX,
FuseBinaryOpToFollowingAffineOp).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.graph import ABSENT, Graph, Operator
from ptq.passes.fold import remove_unused_tensors
from ptq.saved_model.patterns import ACTIVATIONS, HARD_SWISH, MOVES, NORMS, neutral
from ptq.saved_model.recurrent import AFTERWARDS
from ptq.saved_model.rewriter import Pattern, Patterns, Rewriter

Array = npt.NDArray[Any]

CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0, "FULLY_CONNECTED": 0}
"""Layers with weights (input 1) and the axis of the weights that is the output channel."""

BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "TRANSPOSE_CONV": 3, "FULLY_CONNECTED": 2}
"""Where a layer reads its bias."""

TAKES_ACTIVATION = (*CHANNEL_AXIS, "ADD", "SUB", "MUL", "DIV", "AVERAGE_POOL_2D", "MAX_POOL_2D")
FUSABLE = ("RELU", "RELU6", "RELU_N1_TO_1")
FUSED = "fused_activation_function"


def fuse(graph: Graph) -> None:
    """Rewrite `graph` in place until no pattern fits, and drop what nothing reads."""
    rewriter = Rewriter(graph)
    rewriter.sweep()
    for patterns in ROUNDS:
        rewriter.run(patterns)
    remove_unused_tensors(graph, graph.signatures)


def _layer_before(r: Rewriter, operator: Operator) -> tuple[Operator, Array] | None:
    """The layer that an operator with a constant follows, and the constant, one number or one per channel."""
    layer, value = r.producer(operator.inputs[0], *CHANNEL_AXIS), r.constant(operator.inputs[1])
    if layer is None or value is None or not r.used_once(layer):
        return None
    if any(size != 1 for size in value.shape[:-1]):
        return None
    if layer.type == "FULLY_CONNECTED" and value.ndim > 1:
        return None
    if layer.options[FUSED] != "NONE" or r.constant(layer.inputs[1]) is None:
        return None
    channels = r.shape(layer.inputs[1])[CHANNEL_AXIS[layer.type]]
    return (layer, value.reshape(-1)) if value.size in (1, channels) else None


def _bias(r: Rewriter, layer: Operator) -> Array | None:
    where = BIAS[layer.type]
    return r.constant(layer.inputs[where]) if len(layer.inputs) > where else None


def _with_bias(r: Rewriter, layer: Operator, bias: Array, name: str) -> list[int]:
    return [*layer.inputs[: BIAS[layer.type]], r.add_constant(bias, f"{name}/bias")]


def fold_sum(r: Rewriter, operator: Operator) -> bool:
    """layer(x) + c or layer(x) - c: the constant becomes part of the bias."""
    found = _layer_before(r, operator)
    if found is None:
        return False
    layer, value = found
    bias, channels = _bias(r, layer), r.shape(layer.inputs[1])[CHANNEL_AXIS[layer.type]]
    if bias is None and len(layer.inputs) > BIAS[layer.type] and layer.inputs[BIAS[layer.type]] != ABSENT:
        return False
    if bias is None:
        total = np.broadcast_to(value if operator.type == "ADD" else -value, (channels,)).copy()
    else:
        total = bias + value if operator.type == "ADD" else bias - value
    inputs = _with_bias(r, layer, total, _name(r, operator))
    r.absorb(operator, layer, inputs, **{FUSED: operator.options[FUSED]})
    if operator.type == "TRANSPOSE_CONV":
        operator.version = 3 if operator.options[FUSED] == "NONE" else 4
    return True


def fold_product(r: Rewriter, operator: Operator) -> bool:
    """layer(x) * c or layer(x) / c: the constant becomes part of weights and bias."""
    found = _layer_before(r, operator)
    if found is None:
        return False
    layer, value = found
    weights, bias = r.constant(layer.inputs[1]), _bias(r, layer)
    assert weights is not None, "_layer_before has looked"
    combine = np.multiply if operator.type == "MUL" else np.divide
    along = [1] * weights.ndim
    along[CHANNEL_AXIS[layer.type]] = -1
    name = _name(r, operator)
    inputs = list(layer.inputs)
    inputs[1] = r.add_constant(combine(weights, value.reshape(along)), f"{name}/weights")
    if bias is not None:
        inputs[BIAS[layer.type]] = r.add_constant(combine(bias, value), f"{name}/bias")
    r.absorb(operator, layer, inputs, **{FUSED: operator.options[FUSED]})
    return True


def fuse_activation(r: Rewriter, operator: Operator) -> bool:
    """RELU, RELU6 or RELU_N1_TO_1 of an operator that can do it itself."""
    layer = r.producer(operator.inputs[0], *TAKES_ACTIVATION)
    if layer is None or not r.used_once(layer) or layer.options[FUSED] != "NONE":
        return False
    version = 4 if layer.type == "TRANSPOSE_CONV" else layer.version
    r.absorb(operator, layer, layer.inputs, **{FUSED: operator.type})
    operator.version = version
    return True


def _before_dense(r: Rewriter, dense: Operator, type: str) -> tuple[Operator, Array, Array] | None:
    """The operator with a constant vector before a dense layer, the constant and the weights."""
    operator, weights = r.producer(dense.inputs[0], type), r.constant(dense.inputs[1])
    if operator is None or weights is None or operator.options[FUSED] != "NONE":
        return None
    value = r.constant(operator.inputs[1])
    if value is None or value.ndim != 1 or value.size not in (1, weights.shape[1]):
        return None
    return operator, value, weights


def sum_into_dense(r: Rewriter, dense: Operator) -> bool:
    """w * (a + c) + b: the constant becomes w * c + b, float32 products added in double precision."""
    found, bias = _before_dense(r, dense, "ADD"), _bias(r, dense)
    if found is None or (bias is None and dense.inputs[2] != ABSENT):
        return False
    operator, value, weights = found
    start = np.zeros(weights.shape[0]) if bias is None else bias.astype(np.float64)
    total = np.asarray(in_turn(np.zeros_like(start), weights * value) + start, np.float32)
    inputs = [operator.inputs[0], dense.inputs[1], r.add_constant(total, f"{_name(r, dense)}/bias")]
    _read(r, dense, inputs)
    return True


def in_turn(first: Array, terms: Array) -> Array:
    """first + terms[:, 0] + terms[:, 1] + ..., one after the other: [channels] and [channels, n]."""
    return np.asarray(np.add.accumulate(np.concatenate([first[:, None], terms], axis=1), axis=1)[:, -1])


def product_into_dense(r: Rewriter, dense: Operator) -> bool:
    """w * (a m): the constant becomes part of the weights."""
    found = _before_dense(r, dense, "MUL")
    if found is None:
        return False
    operator, value, weights = found
    product = r.add_constant(weights * value, f"{_name(r, dense)}/weights")
    _read(r, dense, [operator.inputs[0], product, *dense.inputs[2:]])
    return True


def _read(r: Rewriter, operator: Operator, inputs: list[int]) -> None:
    r.become(operator, operator.type, inputs, operator.options, operator.version)


def number_into_layer(r: Rewriter, layer: Operator) -> bool:
    """w * (a + c) + b or w * (a m) with a single number c or m, which becomes part of bias or weights.

    A sum only where nothing is padded: the zeros around an image do not get the number added.
    """
    operator, weights = r.producer(layer.inputs[0], "ADD", "SUB", "MUL", "DIV"), r.constant(layer.inputs[1])
    value = None if operator is None else r.constant(operator.inputs[1])
    if operator is None or weights is None or value is None or value.size != 1:
        return False
    if operator.options[FUSED] != "NONE":
        return False
    number, name, inputs = value.reshape(()), _name(r, layer), [operator.inputs[0], *layer.inputs[1:]]
    if operator.type in ("MUL", "DIV"):
        scaled = weights * number if operator.type == "MUL" else weights / number
        inputs[1] = r.add_constant(np.asarray(scaled), f"{name}/weights")
    elif layer.options.get("padding", "VALID") == "VALID":
        channels = weights.shape[CHANNEL_AXIS[layer.type]]
        bias = _bias(r, layer)
        start = np.zeros(channels, np.float32) if bias is None else np.broadcast_to(bias, (channels,))
        number = number if operator.type == "ADD" else -number
        rows = np.moveaxis(weights, CHANNEL_AXIS[layer.type], 0).reshape(channels, -1)
        inputs = _with_bias(r, layer, in_turn(start, rows * number), name)
        inputs[0] = operator.inputs[0]
    else:
        return False
    _read(r, layer, inputs)
    return True


def same_padding(r: Rewriter, layer: Operator) -> bool:
    """A PAD before a convolution without padding of its own, if it is what SAME means."""
    pad = r.producer(layer.inputs[0], "PAD")
    if pad is None or layer.options["padding"] != "VALID":
        return False
    image, amounts = r.shape(pad.inputs[0]), r.graph.tensors[pad.inputs[1]].data
    if amounts is None or amounts.shape != (4, 2) or -1 in image[1:3]:
        return False
    kernel = r.shape(layer.inputs[1])[1:3]
    for axis, side in ((1, "h"), (2, "w")):
        stride, dilation = layer.options[f"stride_{side}"], layer.options[f"dilation_{side}_factor"]
        reach = dilation * (kernel[axis - 1] - 1) + 1
        total = max((-(-image[axis] // stride) - 1) * stride + reach - image[axis], 0)
        if amounts[axis].tolist() != [total // 2, total - total // 2]:
            return False
    if amounts[0].any() or amounts[3].any():
        return False
    options = {**layer.options, "padding": "SAME"}
    r.become(layer, layer.type, [pad.inputs[0], *layer.inputs[1:]], options, layer.version)
    return True


def _name(r: Rewriter, operator: Operator) -> str:
    return r.graph.tensors[operator.outputs[0]].name


PATTERNS: Patterns = {
    "ADD": [neutral, fold_sum, *ACTIVATIONS["ADD"], *MOVES["ADD"]],
    "SUB": [fold_sum, *MOVES["SUB"]],
    "MUL": [fold_product, *HARD_SWISH, *NORMS["MUL"], *MOVES["MUL"]],
    "DIV": [fold_product, *NORMS["DIV"], *MOVES["DIV"]],
    **{name: [*ACTIVATIONS.get(name, ()), fuse_activation, *MOVES[name]] for name in FUSABLE},
    **AFTERWARDS,
    "CONV_2D": [same_padding],
    "DEPTHWISE_CONV_2D": [same_padding],
    **{
        name: [*ACTIVATIONS.get(name, ()), *MOVES.get(name, ())]
        for name in {*ACTIVATIONS, *MOVES} - {"ADD", "SUB", "MUL", "DIV", *FUSABLE}
    },
}
"""The patterns that may end with an operator, by its type, in the order in which they are tried."""

_DENSE: list[Pattern] = [sum_into_dense, product_into_dense]
ROUNDS: list[Patterns] = [
    PATTERNS,
    {**PATTERNS, "FULLY_CONNECTED": _DENSE},
    {
        **PATTERNS,
        **{name: [*PATTERNS[name], number_into_layer] for name in ("CONV_2D", "DEPTHWISE_CONV_2D")},
        "FULLY_CONNECTED": [*_DENSE, number_into_layer],
    },
]
"""First the patterns; now a dense layer has its bias, and takes what is before it; last single numbers."""
