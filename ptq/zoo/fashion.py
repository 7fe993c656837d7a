"""The two Fashion-MNIST classifiers: one description each, to train it and to build its graph from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


def fashion_cnn_network(seed: int = 0) -> Network:
    """A plain CNN: 272,426 weights, 4.9 million multiplications per image.

    28x28x1 -> conv 32 -> pool -> 14x14x32 -> conv 64 -> pool -> 7x7x64 -> conv 96, stride 2 -> 4x4x96
    -> dense 128 -> dense 10; every convolution 3x3 with batch norm and ReLU.
    """
    rng = np.random.default_rng(seed)
    return Network(
        [
            *_normalized(Conv2D("conv1", 1, 32, 3, rng), 32),
            MaxPool("pool1"),
            *_normalized(Conv2D("conv2", 32, 64, 3, rng), 64),
            MaxPool("pool2"),
            *_normalized(Conv2D("conv3", 64, 96, 3, rng, stride=2), 96),
            Flatten("flatten"),
            Dense("dense1", 4 * 4 * 96, 128, rng),
            ReLU("dense1_relu"),
            Dense("dense2", 128, 10, rng),
        ]
    )


def fashion_ds_cnn_network(seed: int = 0) -> Network:
    """A depthwise-separable CNN in the manner of MobileNet: 24,682 weights, 1.3 million multiplications.

    28x28x1 -> conv 32, stride 2 -> 14x14x32 -> separable 32 -> separable 64, stride 2 -> 7x7x64
    -> four times separable 64 -> global average -> dense 10; each convolution with batch norm and ReLU.
    """
    rng = np.random.default_rng(seed)
    return Network(
        [
            *_normalized(Conv2D("conv1", 1, 32, 3, rng, stride=2), 32),
            *_separable("block1", 32, 32, 1, rng),
            *_separable("block2", 32, 64, 2, rng),
            *_separable("block3", 64, 64, 1, rng),
            *_separable("block4", 64, 64, 1, rng),
            *_separable("block5", 64, 64, 1, rng),
            *_separable("block6", 64, 64, 1, rng),
            GlobalAverage("average"),
            Dense("dense", 64, 10, rng),
        ]
    )


NETWORKS: dict[str, Callable[[int], Network]] = {
    "fashion_cnn": fashion_cnn_network,
    "fashion_ds_cnn": fashion_ds_cnn_network,
}


def _normalized(convolution: Layer, channels: int) -> list[Layer]:
    name = convolution.name
    return [convolution, BatchNorm(f"{name}_norm", channels), ReLU(f"{name}_relu")]


def _separable(
    name: str, channels_in: int, channels_out: int, stride: int, rng: np.random.Generator
) -> list[Layer]:
    return [
        *_normalized(DepthwiseConv2D(f"{name}_depthwise", channels_in, 3, rng, stride), channels_in),
        *_normalized(Conv2D(f"{name}_pointwise", channels_in, channels_out, 1, rng), channels_out),
    ]
