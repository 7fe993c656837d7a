"""MobileNet-v1 with random weights: a real architecture of real size, to time and to compare sizes with.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications";
the graph is that of the published `mobilenet_v1_1.0_224.tflite`: batch norm folded, ReLU6 fused.
"""

from __future__ import annotations

import numpy as np

from ptq.build import Builder
from ptq.errors import InputError
from ptq.graph import Array, Graph

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""(output channels at alpha 1, stride) of the 13 depthwise-separable blocks."""

RECTIFIED_MEAN = 1 / np.sqrt(2 * np.pi)
RECTIFIED_VARIANCE = 1 / 2 - 1 / (2 * np.pi)
"""Of max(x, 0) for a standard normal x: what a layer reads if the one before it is normalized."""


def mobilenet_v1(alpha: float = 1.0, resolution: int = 224, classes: int = 1001, seed: int = 0) -> Graph:
    """A float MobileNet-v1 of random weights: "input" [batch, resolution, resolution, 3] in -1..1.

    alpha: the width multiplier; each layer has max(8, floor(alpha * channels)) channels. At alpha 1 and
    1,001 classes: 4,222,057 weights and biases. Output: "probabilities" [batch, classes].
    Errors: InputError for alpha <= 0, a resolution that is no multiple of 32, or no classes.
    """
    if not 0 < alpha <= 4 or resolution < 32 or resolution % 32 or classes < 1:
        raise InputError(
            f"mobilenet_v1: alpha {alpha}, resolution {resolution}, {classes} classes found; "
            "expected alpha in (0, 4], a resolution that is a multiple of 32, and at least 1 class"
        )
    rng, builder = np.random.default_rng(seed), Builder(f"mobilenet_v1_{alpha}_{resolution}")
    channels = _width(32, alpha)
    x = builder.input("input", (-1, resolution, resolution, 3))
    # pixels spread evenly over -1..1 have mean 0 and variance 1/3
    x = builder.conv2d(x, *_weights((channels, 3, 3, 3), rng, 0, 1 / 3), 2, activation="RELU6", name="conv_0")
    for number, (outputs, stride) in enumerate(BLOCKS, 1):
        name, depthwise = f"conv_{number}_depthwise", _weights((1, 3, 3, channels), rng)
        x = builder.depthwise_conv2d(x, *depthwise, stride, activation="RELU6", name=name)
        name, pointwise = f"conv_{number}_pointwise", _weights((_width(outputs, alpha), 1, 1, channels), rng)
        x = builder.conv2d(x, *pointwise, activation="RELU6", name=name)
        channels = _width(outputs, alpha)
    x = builder.average_pool2d(x, resolution // 32, name="average_pool")
    x = builder.conv2d(x, *_weights((classes, 1, 1, channels), rng), name="logits")
    return builder.finish(builder.softmax(builder.squeeze(x, (1, 2), name="squeeze"), name="probabilities"))


def _width(channels: int, alpha: float) -> int:
    return max(8, int(alpha * channels))


def _weights(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    mean: float = RECTIFIED_MEAN,
    variance: float = RECTIFIED_VARIANCE,
) -> tuple[Array, Array]:
    """Random weights and the bias of a folded batch norm: outputs of about mean 0 and variance 1.

    weights ~ N(0, 1 / (inputs * variance)), bias = -mean * sum of weights, for inputs of this mean and
    variance. Without the bias, channels of a random network this deep freeze at constants.
    """
    channel_axis = 3 if shape[0] == 1 else 0
    inputs = int(np.prod(shape)) // shape[channel_axis]
    weights = rng.standard_normal(shape) / np.sqrt(inputs * variance)
    bias = -mean * weights.sum(axis=tuple(axis for axis in range(4) if axis != channel_axis))
    return weights.astype(np.float32), bias.astype(np.float32)
