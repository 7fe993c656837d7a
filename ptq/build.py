"""Construction helpers: a person writes a small network in a few lines, with arrays for the weights.

    b = Builder("net")
    x = b.input("image", (1, 28, 28, 1))
    x = b.conv2d(x, filter, bias, activation="RELU")
    x = b.max_pool2d(x, 2)
    x = b.fully_connected(b.reshape(x, (1, -1)), weights, bias)
    graph = b.finish(b.softmax(x))

Layouts are TensorFlow Lite's: images [batch, height, width, channels], convolution filters
[outputs, height, width, inputs], depthwise filters [1, height, width, outputs], weights [outputs, inputs].
"""

from __future__ import annotations

from ptq.builder.core import Value
from ptq.builder.layers import LayerMethods, Pair
from ptq.builder.recurrent import GATES, LSTMWeights, RecurrentMethods

__all__ = ["GATES", "Builder", "LSTMWeights", "Pair", "Value"]


class Builder(LayerMethods, RecurrentMethods):
    """Collects tensors and operators; every method adds one operator and returns what it writes.

    `name` of a method names its output tensor; a constant is named after the output and its role.
    """
