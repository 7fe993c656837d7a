"""From a trained network to a layer graph, batch norm still apart, as a training framework leaves it."""

from __future__ import annotations

from ptq.build import Builder
from ptq.errors import UnsupportedError
from ptq.graph import Graph, Tensor
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


def to_graph(network: Network, name: str, image_shape: tuple[int, int, int] = (28, 28, 1)) -> Graph:
    """The network in inference, with a softmax: "image" [batch, *image_shape] -> "probabilities".

    The batch size is 1 until resized. Batch norm becomes MUL and ADD, ReLU an operator of its own;
    `ptq.Converter` folds and fuses them. UnsupportedError for a layer that has no operator here.
    """
    builder = Builder(name)
    x = builder.input("image", (-1, *image_shape))
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
    raise UnsupportedError(f"layer '{name}': {type(layer).__name__} found, expected one of ptq.zoo.layers")
