"""Inception-v3 with random weights: a real architecture of real size, to time and to compare sizes with.

Szegedy et al. 2015, "Rethinking the Inception Architecture for Computer Vision". The graph is that of the
published `inception_v3.tflite`, 126 operators, which was converted from `slim`'s definition
(`research/slim/nets/inception_v3.py`): batch norm folded, ReLU fused, no auxiliary head. Keras's InceptionV3
has the same convolutions; its last pool is a MEAN, its last layer FULLY_CONNECTED, and nothing is squeezed.
"""

from __future__ import annotations

import re

import numpy as np

from ptq.build import Builder
from ptq.errors import InputError
from ptq.graph import Graph, Tensor
from ptq.zoo.standardize import sample_images, standardize

STEM = "32@3x3/2v 32@3x3v 64@3x3 max 80@1x1v 192@3x3v max"


def _factorized(channels: int) -> tuple[str, ...]:
    """A block at 17 x 17: a filter of 7 x 7 is done as one of 1 x 7 and one of 7 x 1."""
    c = channels
    return (
        "192@1x1", f"{c}@1x1 {c}@1x7 192@7x1", f"{c}@1x1 {c}@7x1 {c}@1x7 {c}@7x1 192@1x7", "average 192@1x1"
    )  # fmt: skip


BLOCKS: dict[str, tuple[str, ...]] = {
    "mixed_5b": ("64@1x1", "48@1x1 64@5x5", "64@1x1 96@3x3 96@3x3", "average 32@1x1"),
    "mixed_5c": ("64@1x1", "48@1x1 64@5x5", "64@1x1 96@3x3 96@3x3", "average 64@1x1"),
    "mixed_5d": ("64@1x1", "48@1x1 64@5x5", "64@1x1 96@3x3 96@3x3", "average 64@1x1"),
    "mixed_6a": ("384@3x3/2v", "64@1x1 96@3x3 96@3x3/2v", "max"),
    "mixed_6b": _factorized(128),
    "mixed_6c": _factorized(160),
    "mixed_6d": _factorized(160),
    "mixed_6e": _factorized(192),
    "mixed_7a": ("192@1x1 320@3x3/2v", "192@1x1 192@1x7 192@7x1 192@3x3/2v", "max"),
    "mixed_7b": ("320@1x1", "384@1x1 384@1x3|384@3x1", "448@1x1 384@3x3 384@1x3|384@3x1", "average 192@1x1"),
    "mixed_7c": ("320@1x1", "384@1x1 384@1x3|384@3x1", "448@1x1 384@3x3 384@1x3|384@3x1", "average 192@1x1"),
}
"""By slim's name, the branches whose outputs are concatenated, each a sequence of layers:

64@3x3: a convolution of 64 channels with ReLU, padding SAME; "/2": stride 2; "v": padding VALID; "a|b": both
on the same input, concatenated; average: a pool of 3 x 3, stride 1, SAME; max: of 3 x 3, stride 2, VALID.
"""

CONVOLUTION = re.compile(r"(?P<channels>\d+)@(?P<height>\d)x(?P<width>\d)(/(?P<stride>\d))?(?P<valid>v)?")

SMALLEST = 75
"""Pixels a side; fewer leave nothing after the unpadded layers."""


def inception_v3(resolution: int = 299, classes: int = 1001, seed: int = 0) -> Graph:
    """A float Inception-v3 of random weights: "input" [batch, resolution, resolution, 3] in -1..1.

    At 1,001 classes: 23,819,401 weights and biases, as many as slim's and Keras's networks have trainable
    numbers (their batch norm has no gamma, and beta becomes the bias). Every layer is standardized on random
    images.
    Output: "probabilities" [batch, classes].
    Errors: InputError for a resolution below 75, or no classes.
    """
    if resolution < SMALLEST or classes < 1:
        raise InputError(
            f"inception_v3: resolution {resolution}, {classes} classes found; "
            f"expected a resolution of at least {SMALLEST}, and at least 1 class"
        )
    rng, builder = np.random.default_rng(seed), Builder(f"inception_v3_{resolution}")
    x = builder.input("input", (-1, resolution, resolution, 3))
    x = _branch(builder, x, STEM, "stem", rng)
    for name, branches in BLOCKS.items():
        outputs = [_branch(builder, x, b, f"{name}/branch_{i}", rng) for i, b in enumerate(branches)]
        x = builder.concatenation(outputs, name=name)
    x = builder.average_pool2d(x, x.shape[1], name="average_pool")
    x = builder.conv2d(x, rng.standard_normal((classes, 1, 1, x.shape[-1]), np.float32), name="logits")
    x = builder.reshape(x, (-1, classes), name="squeeze")
    graph = builder.finish(builder.softmax(x, name="probabilities"))
    standardize(graph, sample_images(resolution, rng))
    return graph


def _branch(builder: Builder, x: Tensor, layers: str, name: str, rng: np.random.Generator) -> Tensor:
    for number, layer in enumerate(layers.split()):
        label = f"{name}/{number}"
        if layer == "max":
            x = builder.max_pool2d(x, 3, 2, name=f"{label}_max_pool")
        elif layer == "average":
            x = builder.average_pool2d(x, 3, 1, "SAME", name=f"{label}_average_pool")
        else:
            parts = [_convolution(builder, x, part, label, rng) for part in layer.split("|")]
            x = parts[0] if len(parts) == 1 else builder.concatenation(parts, name=label)
    return x


def _convolution(builder: Builder, x: Tensor, layer: str, label: str, rng: np.random.Generator) -> Tensor:
    found = CONVOLUTION.fullmatch(layer)
    assert found is not None, f"{layer} in the table above is no layer"
    channels, height, width = (int(found[key]) for key in ("channels", "height", "width"))
    weights = rng.standard_normal((channels, height, width, x.shape[-1]), np.float32)
    padding = "VALID" if found["valid"] else "SAME"
    name = f"{label}_conv_{height}x{width}"
    return builder.conv2d(x, weights, None, int(found["stride"] or 1), padding, "RELU", name=name)
