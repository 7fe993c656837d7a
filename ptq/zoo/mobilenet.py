"""MobileNets with random weights: real architectures of real size, to time and to compare sizes with.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", and
Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; the graphs are those of the
published `mobilenet_v1_1.0_224.tflite` and `mobilenet_v2_1.0_224.tflite`: batch norm folded, ReLU6 fused.
"""

from __future__ import annotations

import numpy as np

from ptq.build import Builder
from ptq.errors import InputError
from ptq.graph import Array, Graph, Tensor

BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""(output channels at alpha 1, stride) of the 13 depthwise-separable blocks."""

INVERTED_RESIDUALS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""(expansion, output channels at alpha 1, blocks, stride of the first of them) of version 2."""

PIXELS = 0, 1 / 3
"""Mean and variance of what is spread evenly over -1..1."""

RECTIFIED_MEAN = 1 / np.sqrt(2 * np.pi)
RECTIFIED_VARIANCE = 1 / 2 - 1 / (2 * np.pi)
"""Of max(x, 0) for a standard normal x: what a layer reads if the one before it is normalized."""


def mobilenet_v1(alpha: float = 1.0, resolution: int = 224, classes: int = 1001, seed: int = 0) -> Graph:
    """A float MobileNet-v1 of random weights: "input" [batch, resolution, resolution, 3] in -1..1.

    alpha: the width multiplier; each layer has max(8, floor(alpha * channels)) channels. At alpha 1 and
    1,001 classes: 4,222,057 weights and biases. Output: "probabilities" [batch, classes].
    Errors: InputError for alpha <= 0, a resolution that is no multiple of 32, or no classes.
    """
    _check("mobilenet_v1", alpha, resolution, classes)
    rng, builder = np.random.default_rng(seed), Builder(f"mobilenet_v1_{alpha}_{resolution}")
    channels = _width(32, alpha)
    x = builder.input("input", (-1, resolution, resolution, 3))
    x = builder.conv2d(x, *_weights((channels, 3, 3, 3), rng, *PIXELS), 2, activation="RELU6", name="conv_0")
    for number, (outputs, stride) in enumerate(BLOCKS, 1):
        name, depthwise = f"conv_{number}_depthwise", _weights((1, 3, 3, channels), rng)
        x = builder.depthwise_conv2d(x, *depthwise, stride, activation="RELU6", name=name)
        name, pointwise = f"conv_{number}_pointwise", _weights((_width(outputs, alpha), 1, 1, channels), rng)
        x = builder.conv2d(x, *pointwise, activation="RELU6", name=name)
        channels = _width(outputs, alpha)
    return _classified(builder, x, classes, rng)


def mobilenet_v2(alpha: float = 1.0, resolution: int = 224, classes: int = 1001, seed: int = 0) -> Graph:
    """A float MobileNet-v2 of random weights: "input" [batch, resolution, resolution, 3] in -1..1.

    A block expands its input sixfold, filters each channel, and projects to few channels without an
    activation. Blocks that repeat the one before add their input to their output.
    alpha: the width multiplier; layers have the multiple of 8 nearest to alpha * channels. At alpha 1 and
    1,001 classes: 3,489,097 weights and biases. Output: "probabilities" [batch, classes].
    Errors: as `mobilenet_v1`.
    """
    _check("mobilenet_v2", alpha, resolution, classes)
    rng, builder = np.random.default_rng(seed), Builder(f"mobilenet_v2_{alpha}_{resolution}")
    first = _width_of_8(32, alpha)
    x = builder.input("input", (-1, resolution, resolution, 3))
    x = builder.conv2d(x, *_weights((first, 3, 3, 3), rng, *PIXELS), 2, activation="RELU6", name="conv_0")
    statistics, number = (RECTIFIED_MEAN, RECTIFIED_VARIANCE), 0
    for expansion, outputs, count, first_stride in INVERTED_RESIDUALS:
        for repeat in range(count):
            number += 1
            stride = 1 if repeat else first_stride
            shape = expansion * x.shape[-1], _width_of_8(outputs, alpha)
            y = _bottleneck(builder, x, shape, stride, rng, statistics, f"block_{number}")
            x = builder.add(x, y, name=f"block_{number}_add") if repeat else y
            # each sum adds the variance of an output, which is 1; the next weights make up for it
            statistics = 0, 1 + repeat
    last = _width_of_8(1280, max(alpha, 1))
    weights = _weights((last, 1, 1, x.shape[-1]), rng, *statistics)
    x = builder.conv2d(x, *weights, activation="RELU6", name="conv_last")
    return _classified(builder, x, classes, rng)


def _bottleneck(
    builder: Builder, x: Tensor, shape: tuple[int, int], stride: int, rng: np.random.Generator,
    statistics: tuple[float, float], name: str
) -> Tensor:  # fmt: skip
    """An inverted residual without its sum; shape: channels inside and at the end."""
    inside, outputs = shape
    if inside != x.shape[-1]:
        weights = _weights((inside, 1, 1, x.shape[-1]), rng, *statistics)
        x = builder.conv2d(x, *weights, activation="RELU6", name=f"{name}_expand")
    weights = _weights((1, 3, 3, inside), rng)
    x = builder.depthwise_conv2d(x, *weights, stride, activation="RELU6", name=f"{name}_depthwise")
    return builder.conv2d(x, *_weights((outputs, 1, 1, inside), rng), name=f"{name}_project")


def _classified(builder: Builder, x: Tensor, classes: int, rng: np.random.Generator) -> Graph:
    """The end of both versions: the mean of each channel, a class's logit, and its probability."""
    channels = x.shape[-1]
    x = builder.average_pool2d(x, x.shape[1], name="average_pool")
    x = builder.conv2d(x, *_weights((classes, 1, 1, channels), rng), name="logits")
    return builder.finish(builder.softmax(builder.squeeze(x, (1, 2), name="squeeze"), name="probabilities"))


def _check(name: str, alpha: float, resolution: int, classes: int) -> None:
    if not 0 < alpha <= 4 or resolution < 32 or resolution % 32 or classes < 1:
        raise InputError(
            f"{name}: alpha {alpha}, resolution {resolution}, {classes} classes found; "
            "expected alpha in (0, 4], a resolution that is a multiple of 32, and at least 1 class"
        )


def _width(channels: int, alpha: float) -> int:
    return max(8, int(alpha * channels))


def _width_of_8(channels: int, alpha: float) -> int:
    """The nearest multiple of 8, but not one that takes away more than a tenth."""
    wanted = alpha * channels
    width = max(8, int(wanted + 4) // 8 * 8)
    return width if width >= 0.9 * wanted else width + 8


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
