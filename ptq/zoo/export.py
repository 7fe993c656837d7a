"""From a trained network to a layer graph, batch norm still apart, as a training framework leaves it."""

from __future__ import annotations

import numpy as np

from ptq.build import Builder, LSTMWeights
from ptq.errors import UnsupportedError
from ptq.graph import Array, Graph, Tensor
from ptq.zoo.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAverage,
    Layer,
    MaxPool,
    ReLU,
)
from ptq.zoo.network import Network
from ptq.zoo.recurrent import LSTM, Embedding, LastStep


def to_graph(
    network: Network,
    name: str,
    input_name: str = "image",
    shape: tuple[int, ...] = (-1, 28, 28, 1),
    type: str = "FLOAT32",
) -> Graph:
    """The network in inference, with a softmax: the named input -> "probabilities" [batch, classes].

    A first dimension of -1 is a batch size of 1 until resized; an LSTM, whose states have it, needs a
    number. Batch norm becomes MUL and ADD, ReLU an operator of its own; `ptq.Converter` folds and fuses
    them. UnsupportedError for a layer that has no operator here.
    """
    builder = Builder(name)
    x = builder.input(input_name, shape, type)
    for layer in network.layers:
        x = _add(builder, layer, x)
    return builder.finish(builder.softmax(x, name="probabilities"))


def _add(builder: Builder, layer: Layer, x: Tensor) -> Tensor:
    name, values = layer.name, {**layer.parameters, **layer.statistics}
    match layer:
        case Conv2D():
            return builder.conv2d(x, values["weights"], None, layer.stride, layer.padding, name=name)
        case DepthwiseConv2D():
            weights = values["weights"]
            return builder.depthwise_conv2d(x, weights, None, layer.stride, layer.padding, name=name)
        case BatchNorm():
            return builder.batch_norm(x, **values, epsilon=layer.epsilon, name=name)
        case ReLU():
            return builder.relu(x, name=name)
        case MaxPool():
            return builder.max_pool2d(x, 2, name=name)
        case GlobalAverage():
            return builder.mean(x, (1, 2), name=name)
        case Flatten():
            return builder.reshape(x, (-1, x.size), name=name)
        case Dense():
            return builder.fully_connected(x, values["weights"], values["bias"], name=name)
        case Embedding():
            return _embedding(builder, x, values["table"], name)
        case LSTM():
            gates = LSTMWeights(values["input_weights"], values["recurrent_weights"], values["bias"])
            return builder.unidirectional_sequence_lstm(x, gates, name=name)
        case LastStep():
            return _last_step(builder, x, name)
    raise UnsupportedError(f"layer '{name}': {type(layer).__name__} found, expected one of ptq.zoo.layers")


def _embedding(builder: Builder, ids: Tensor, table: Array, name: str) -> Tensor:
    """EMBEDDING_LOOKUP takes a plain list of ids: [batch, time] is laid out as one and folded up again."""
    flat = builder.reshape(ids, (-1,), name=f"{name}/ids")
    rows = builder.embedding_lookup(flat, table, name=f"{name}/rows")
    return builder.reshape(rows, (*ids.shape, table.shape[1]), name=name)


def _last_step(builder: Builder, x: Tensor, name: str) -> Tensor:
    """x[:, -1]: bit 1 of a mask is the dimension of time, bits 0 and 2 are those that stay whole."""
    begin, end, strides = (np.array(v, np.int32) for v in ((0, -1, 0), (0, 0, 0), (1, 1, 1)))
    options = {"begin_mask": 0b101, "end_mask": 0b101, "shrink_axis_mask": 0b010}
    roles = ("input", "begin", "end", "strides")
    return builder.op("STRIDED_SLICE", [x, begin, end, strides], options, roles=roles, name=name)
