"""The layers that the zoo's classifiers are trained with: forward, backward, nothing else.

A tool of the zoo, not of the library: ptq quantizes trained models, wherever they come from.
Images are [batch, height, width, channels]; weights are laid out as TensorFlow Lite stores them, so
that a trained array goes into a model file as it is. A layer computes in the dtype of its parameters:
float32 to train, float64 to check gradients. Every backward takes the loss's gradient with respect to
the output, fills `gradients` (same keys as `parameters`) and returns the one with respect to the input.
"""

from __future__ import annotations

import numpy as np

from ptq.errors import InputError, ShapeError
from ptq.graph import Array


class Layer:
    """A step of a network.

    parameters: what the optimizer changes.   gradients: the loss's slope for each of them.
    statistics: what is observed in training and stored with the parameters (batch norm's averages).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.statistics: dict[str, Array] = {}

    def forward(self, x: Array, training: bool = False) -> Array:
        """The layer's output; with `training`, it also keeps what `backward` needs."""
        raise NotImplementedError

    def backward(self, gradient: Array) -> Array:
        """The gradient with respect to the input of the last `forward`."""
        raise NotImplementedError


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one axis for SAME: the smaller half comes first.

    out = ceil(size / stride);  total = max((out - 1) * stride + kernel - size, 0)
    Source: `lite/kernels/padding.h`, ComputePaddingWithOffset.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Windows(Layer):
    """What both convolutions share: padding, and where each kernel tap reads its input."""

    def __init__(self, name: str, kernel: int, stride: int, padding: str) -> None:
        super().__init__(name)
        if padding not in ("SAME", "VALID"):
            raise InputError(f"layer '{name}': padding '{padding}' found, expected 'SAME' or 'VALID'")
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self._input_shape: tuple[int, ...] = ()

    def _pad(self, x: Array) -> Array:
        if self.padding == "VALID":
            return x
        rows, columns = (same_padding(size, self.kernel, self.stride) for size in x.shape[1:3])
        return np.pad(x, ((0, 0), rows, columns, (0, 0)))

    def _unpad(self, gradient: Array) -> Array:
        if self.padding == "VALID":
            return gradient
        height, width = self._input_shape[1:3]
        top, left = (same_padding(size, self.kernel, self.stride)[0] for size in (height, width))
        return gradient[:, top : top + height, left : left + width]

    def _taps(self, padded: Array) -> list[tuple[int, int, Array]]:
        """(row, column, view [batch, out_height, out_width, channels]) for each tap of the kernel."""
        height, width = ((size - self.kernel) // self.stride + 1 for size in padded.shape[1:3])
        span_h, span_w = (height - 1) * self.stride + 1, (width - 1) * self.stride + 1
        return [
            (i, j, padded[:, i : i + span_h : self.stride, j : j + span_w : self.stride])
            for i in range(self.kernel)
            for j in range(self.kernel)
        ]


class Conv2D(_Windows):
    """Convolution without bias (batch norm follows): weights [out, kernel, kernel, in].

    y[n, r, c, o] = sum over i, j, k of x[n, r*stride + i, c*stride + j, k] * weights[o, i, j, k]
    computed as one matrix product of patches (im2col) with the weights.
    """

    def __init__(
        self,
        name: str,
        channels_in: int,
        channels_out: int,
        kernel: int,
        rng: np.random.Generator,
        stride: int = 1,
        padding: str = "SAME",
    ) -> None:
        super().__init__(name, kernel, stride, padding)
        shape = (channels_out, kernel, kernel, channels_in)
        self.parameters["weights"] = he_normal(shape, kernel * kernel * channels_in, rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        """[batch, height, width, in] -> [batch, out_height, out_width, out]."""
        weights = self.parameters["weights"]
        taps = self._taps(padded := self._pad(x))
        shape = taps[0][2].shape
        patches = np.empty((*shape[:3], self.kernel, self.kernel, shape[3]), x.dtype)
        for i, j, view in taps:
            patches[:, :, :, i, j] = view
        columns = patches.reshape(-1, weights[0].size)
        if training:
            self._input_shape, self._padded_shape, self._columns = x.shape, padded.shape, columns
        y: Array = columns @ weights.reshape(len(weights), -1).T
        return y.reshape(*shape[:3], len(weights))

    def backward(self, gradient: Array) -> Array:
        """weights' = gradient^T patches;  x' = every patch's gradient added where it was read."""
        weights = self.parameters["weights"]
        flat = gradient.reshape(-1, len(weights))
        self.gradients["weights"] = (flat.T @ self._columns).reshape(weights.shape)
        patches = (flat @ weights.reshape(len(weights), -1)).reshape(*gradient.shape[:3], *weights.shape[1:])
        padded = np.zeros(self._padded_shape, gradient.dtype)
        for i, j, view in self._taps(padded):
            view += patches[:, :, :, i, j]
        return self._unpad(padded)


class DepthwiseConv2D(_Windows):
    """One small convolution per channel, without bias: weights [1, kernel, kernel, channels].

    y[n, r, c, k] = sum over i, j of x[n, r*stride + i, c*stride + j, k] * weights[0, i, j, k]
    """

    def __init__(
        self,
        name: str,
        channels: int,
        kernel: int,
        rng: np.random.Generator,
        stride: int = 1,
        padding: str = "SAME",
    ) -> None:
        super().__init__(name, kernel, stride, padding)
        self.parameters["weights"] = he_normal((1, kernel, kernel, channels), kernel * kernel, rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        """[batch, height, width, channels] -> [batch, out_height, out_width, channels]."""
        weights = self.parameters["weights"][0]
        padded = self._pad(x)
        if training:
            self._input_shape, self._padded = x.shape, padded
        taps = self._taps(padded)
        y = np.zeros(taps[0][2].shape, x.dtype)
        for i, j, view in taps:
            y += view * weights[i, j]
        return y

    def backward(self, gradient: Array) -> Array:
        """weights'[i, j] = sum of gradient * what that tap read;  x' as for Conv2D."""
        weights = self.parameters["weights"]
        slope, padded = np.empty_like(weights), np.zeros_like(self._padded)
        reads, writes = self._taps(self._padded), self._taps(padded)
        for (i, j, read), (_, _, write) in zip(reads, writes, strict=True):
            slope[0, i, j] = np.einsum("nhwc,nhwc->c", gradient, read)
            write += gradient * weights[0, i, j]
        self.gradients["weights"] = slope
        return self._unpad(padded)


class BatchNorm(Layer):
    """Normalization of each channel over the batch, then a learnt scale and offset.

    y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
    training: mean and variance are the batch's, and move the stored averages by 1 - `momentum`;
    else: the stored averages, so that the layer is one multiplication and one addition.
    """

    epsilon = 1e-3

    def __init__(self, name: str, channels: int, momentum: float = 0.95) -> None:
        super().__init__(name)
        self.momentum = momentum
        self.parameters = {"gamma": np.ones(channels, np.float32), "beta": np.zeros(channels, np.float32)}
        self.statistics = {"mean": np.zeros(channels, np.float32), "variance": np.ones(channels, np.float32)}

    def multiplier_and_offset(self) -> tuple[Array, Array]:
        """The trained layer as y = multiplier * x + offset; both [channels], in the parameters' dtype."""
        multiplier = self.parameters["gamma"] / np.sqrt(self.statistics["variance"] + self.epsilon)
        multiplier = multiplier.astype(self.parameters["gamma"].dtype)
        return multiplier, self.parameters["beta"] - self.statistics["mean"] * multiplier

    def forward(self, x: Array, training: bool = False) -> Array:
        """[..., channels] -> the same shape."""
        if not training:
            multiplier, offset = self.multiplier_and_offset()
            return x * multiplier + offset
        flat = x.reshape(-1, x.shape[-1])
        mean = _column_means(flat)
        centred = flat - mean
        variance = _column_means(centred * centred)
        for key, batch in (("mean", mean), ("variance", variance)):
            self.statistics[key] = self.momentum * self.statistics[key] + (1 - self.momentum) * batch
        self._inverse = 1 / np.sqrt(variance + self.epsilon)
        self._normalized = centred * self._inverse
        return (self._normalized * self.parameters["gamma"] + self.parameters["beta"]).reshape(x.shape)

    def backward(self, gradient: Array) -> Array:
        """x' = gamma / std * (gradient - its mean - normalized * mean of gradient * normalized)."""
        flat = gradient.reshape(-1, gradient.shape[-1])
        beta_mean, gamma_mean = _column_means(flat), _column_means(flat * self._normalized)
        self.gradients["beta"], self.gradients["gamma"] = beta_mean * len(flat), gamma_mean * len(flat)
        centred = flat - beta_mean - self._normalized * gamma_mean
        return (centred * (self.parameters["gamma"] * self._inverse)).reshape(gradient.shape)


class ReLU(Layer):
    """y = max(x, 0)."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """Any shape."""
        y: Array = np.maximum(x, 0)
        if training:
            self._output = y
        return y

    def backward(self, gradient: Array) -> Array:
        """x' = gradient where x > 0, else 0."""
        return gradient * (self._output > 0)


class MaxPool(Layer):
    """The largest of each 2x2 square; height and width must be even."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """[batch, height, width, channels] -> [batch, height / 2, width / 2, channels]."""
        if x.shape[1] % 2 or x.shape[2] % 2:
            raise ShapeError(f"layer '{self.name}': input {x.shape} found, expected even height and width")
        y: Array = np.maximum.reduce(self._corners(x))
        if training:
            self._input, self._output = x, y
        return y

    def backward(self, gradient: Array) -> Array:
        """The gradient goes to the first of the equally large pixels of the square."""
        slope = np.zeros_like(self._input)
        unclaimed = np.ones(gradient.shape, bool)
        for read, write in zip(self._corners(self._input), self._corners(slope), strict=True):
            winner = unclaimed & (read == self._output)
            np.multiply(gradient, winner, out=write)
            unclaimed &= ~winner
        return slope

    @staticmethod
    def _corners(x: Array) -> list[Array]:
        return [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


class GlobalAverage(Layer):
    """The mean of each channel: [batch, height, width, channels] -> [batch, channels]."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """The mean over height and width."""
        self._shape = x.shape
        y: Array = x.mean(axis=(1, 2))
        return y

    def backward(self, gradient: Array) -> Array:
        """Each pixel gets an equal share."""
        area = self._shape[1] * self._shape[2]
        return np.broadcast_to((gradient / area)[:, None, None, :], self._shape).astype(gradient.dtype)


class Flatten(Layer):
    """[batch, height, width, channels] -> [batch, height * width * channels]."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """A reshape; the channels stay innermost."""
        self._shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, gradient: Array) -> Array:
        """The reshape backwards."""
        return gradient.reshape(self._shape)


class Dense(Layer):
    """y = x @ weights^T + bias, weights [out, in]."""

    def __init__(self, name: str, size_in: int, size_out: int, rng: np.random.Generator) -> None:
        super().__init__(name)
        self.parameters["weights"] = he_normal((size_out, size_in), size_in, rng)
        self.parameters["bias"] = np.zeros(size_out, np.float32)

    def forward(self, x: Array, training: bool = False) -> Array:
        """[batch, in] -> [batch, out]."""
        if training:
            self._input = x
        y: Array = x @ self.parameters["weights"].T + self.parameters["bias"]
        return y

    def backward(self, gradient: Array) -> Array:
        """weights' = gradient^T x;  bias' = sum of gradient;  x' = gradient @ weights."""
        self.gradients["weights"] = gradient.T @ self._input
        self.gradients["bias"] = gradient.sum(axis=0)
        slope: Array = gradient @ self.parameters["weights"]
        return slope


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The mean loss and its gradient with respect to the logits [batch, classes].

    loss = mean of -log softmax(logits)[label];   gradient = (softmax(logits) - one_hot) / batch
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1
    return float(-log_probabilities[rows, labels].mean()), gradient / len(labels)


def he_normal(shape: tuple[int, ...], inputs: int, rng: np.random.Generator) -> Array:
    """Random float32 weights of variance 2 / inputs, which keeps activations level through ReLUs."""
    weights: Array = rng.standard_normal(shape) * np.sqrt(2 / inputs)
    return weights.astype(np.float32)


def _column_means(x: Array) -> Array:
    # a product with ones: BLAS sums in blocks, both faster and closer than adding row to row
    means: Array = (np.ones(len(x), x.dtype) @ x) / len(x)
    return means.astype(x.dtype)
