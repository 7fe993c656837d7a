"""A chain of layers: run it, differentiate it, take its weights out and put them back."""

from __future__ import annotations

import numpy as np

from ptq.errors import InputError, ShapeError
from ptq.graph import Array
from ptq.zoo.layers import Layer, softmax_cross_entropy


class Network:
    """Layers in the order in which they run; the last one's output is the classes' logits."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    def logits(self, images: Array, batch: int = 250) -> Array:
        """[n, ...] -> float32 [n, classes], with the statistics seen in training; `batch` bounds memory."""
        return np.concatenate([self._forward(images[i : i + batch]) for i in range(0, len(images), batch)])

    def accuracy(self, images: Array, labels: Array) -> float:
        """The share of images whose largest logit is their label's."""
        return float(np.mean(self.logits(images).argmax(axis=1) == labels))

    def learn(self, images: Array, labels: Array) -> float:
        """The loss of one batch; leaves its slope in every layer's `gradients`."""
        loss, gradient = softmax_cross_entropy(self._forward(images, training=True), labels)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return loss

    def weights(self) -> dict[str, Array]:
        """Parameters and statistics by "layer/parameter", batch norm as it was trained (not folded)."""
        return {
            f"{layer.name}/{key}": value
            for layer in self.layers
            for key, value in {**layer.parameters, **layer.statistics}.items()
        }

    def load(self, weights: dict[str, Array]) -> None:
        """Replace every parameter and statistic; InputError or ShapeError if they do not fit."""
        expected = self.weights()
        if weights.keys() != expected.keys():
            differing = ", ".join(sorted(weights.keys() ^ expected.keys()))
            raise InputError(f"weights of another architecture: {differing} found on one side only")
        for layer in self.layers:
            for arrays in (layer.parameters, layer.statistics):
                for key in arrays:
                    arrays[key] = _fitting(f"{layer.name}/{key}", weights[f"{layer.name}/{key}"], arrays[key])

    def _forward(self, x: Array, training: bool = False) -> Array:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x


def _fitting(name: str, found: Array, expected: Array) -> Array:
    if found.shape != expected.shape:
        raise ShapeError(f"weights '{name}': shape {found.shape} found, expected {expected.shape}")
    return found.astype(expected.dtype)
