"""ResNet-v2-101 with random weights: a real architecture of real size, to time and to compare sizes with.

He et al. 2016, "Identity Mappings in Deep Residual Networks". The graph is that of the published
`resnet_v2_101_299.tflite`, which was converted from `slim`'s definition (`research/slim/nets/resnet_v2.py`):
batch norm comes first in a unit ("pre-activation"), where no convolution precedes it into which it could be
folded, but a sum or a pool; so it stays, as MUL and ADD with ReLU fused. A block halves the image in its last
unit, by a convolution after PAD, and the shortcut beside it by MAX_POOL_2D over single pixels. The published
file returns logits: it has no SOFTMAX.

Keras's ResNet101V2 has the same weights. It ends in MEAN, FULLY_CONNECTED and SOFTMAX, and of its PADs
TensorFlow's converter merges those that are the same as a convolution's own padding.
"""

from __future__ import annotations

import numpy as np

from ptq.build import Builder
from ptq.errors import InputError
from ptq.graph import Graph, Tensor
from ptq.zoo.standardize import sample_images, standardize

BLOCKS = ((64, 3, 2), (128, 4, 2), (256, 23, 2), (512, 3, 1))
"""(inner channels, units, stride of the last unit) of each block; outside a unit 4 times as many."""

SMALLEST = 32
"""Pixels a side; the network divides them by 32."""


def resnet_v2_101(resolution: int = 299, classes: int = 1001, seed: int = 0) -> Graph:
    """A float ResNet-v2-101 of random weights: "input" [batch, resolution, resolution, 3] in -1..1.

    At 1,001 classes: 44,563,689 weights, biases and constants of batch norm: Keras's network has 16,256
    trainable numbers more, the gammas that are folded here. Every layer is standardized on random images; a
    block's sums grow with each unit, as in trained networks. Output: logits [batch, classes].
    Errors: InputError for a resolution below 32, or no classes.
    """
    if resolution < SMALLEST or classes < 1:
        raise InputError(
            f"resnet_v2_101: resolution {resolution}, {classes} classes found; "
            f"expected a resolution of at least {SMALLEST}, and at least 1 class"
        )
    rng, builder = np.random.default_rng(seed), Builder(f"resnet_v2_101_{resolution}")
    network = _Layers(builder, rng)
    x = builder.input("input", (-1, resolution, resolution, 3))
    x = network.conv(x, 64, 7, "conv1", stride=2, activation="NONE")
    x = builder.max_pool2d(x, 3, 2, "SAME", name="pool1")
    for number, (inner, units, stride) in enumerate(BLOCKS, 1):
        for unit in range(1, units + 1):
            x = network.unit(x, inner, stride if unit == units else 1, f"block{number}/unit_{unit}")
    x = builder.mean(network.normalized(x, "postnorm"), (1, 2), keep_dims=True, name="pool5")
    x = network.conv(x, classes, 1, "logits", activation="NONE")
    graph = builder.finish(builder.reshape(x, (-1, classes), name="squeeze"))
    standardize(graph, sample_images(resolution, rng))
    return graph


class _Layers:
    """The layers of a ResNet, with random weights."""

    def __init__(self, builder: Builder, rng: np.random.Generator) -> None:
        self.builder, self.rng = builder, rng

    def unit(self, x: Tensor, inner: int, stride: int, name: str) -> Tensor:
        """x + residual(x): 1x1 to fewer channels, 3x3, 1x1 back, each after batch norm and ReLU."""
        outputs = 4 * inner
        first = self.normalized(x, f"{name}/preact")
        if x.shape[-1] != outputs:
            shortcut = self.conv(first, outputs, 1, f"{name}/shortcut", stride, "NONE")
        elif stride > 1:
            shortcut = self.builder.max_pool2d(x, 1, stride, "SAME", name=f"{name}/shortcut")
        else:
            shortcut = x
        y = self.conv(first, inner, 1, f"{name}/conv1")
        y = self.conv(y, inner, 3, f"{name}/conv2", stride)
        y = self.conv(y, outputs, 1, f"{name}/conv3", activation="NONE")
        return self.builder.add(shortcut, y, name=f"{name}/add")

    def normalized(self, x: Tensor, name: str) -> Tensor:
        """Batch norm and ReLU, as MUL and ADD; their constants are set when the graph is standardized."""
        y = self.builder.mul(x, np.ones(x.shape[-1], np.float32), name=f"{name}/mul")
        return self.builder.add(y, np.zeros(x.shape[-1], np.float32), "RELU", name=name)

    def conv(
        self, x: Tensor, channels: int, size: int, name: str, stride: int = 1, activation: str = "RELU"
    ) -> Tensor:
        """A convolution; with a stride its padding is an operator of its own, the same before and after."""
        weights = self.rng.standard_normal((channels, size, size, x.shape[-1]), np.float32)
        before, padding = (size - 1) // 2, "SAME"
        if stride > 1 and size > 1:
            around = (before, size - 1 - before)
            x = self.builder.pad(x, ((0, 0), around, around, (0, 0)), name=f"{name}/pad")
            padding = "VALID"
        return self.builder.conv2d(x, weights, None, stride, padding, activation, name=name)
