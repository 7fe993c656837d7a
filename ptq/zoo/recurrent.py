"""The layers of the zoo's sequence classifier: a table of letters, an LSTM, and its last time step.

The gates stand in TensorFlow Lite's order: input, forget, candidate (its "cell gate"), output. Sequences
are [batch, time, features]; the rest is as in `zoo.layers`.
"""

from __future__ import annotations

import numpy as np

from ptq.build import GATES
from ptq.graph import Array
from ptq.zoo.layers import Layer


class Embedding(Layer):
    """A learnt row of numbers for each symbol: y = table[id], table [symbols, features]."""

    def __init__(self, name: str, symbols: int, features: int, rng: np.random.Generator) -> None:
        super().__init__(name)
        self.parameters["table"] = rng.standard_normal((symbols, features)).astype(np.float32)

    def forward(self, x: Array, training: bool = False) -> Array:
        """int [batch, time] -> [batch, time, features]."""
        if training:
            self._ids = x
        y: Array = self.parameters["table"][x]
        return y

    def backward(self, gradient: Array) -> Array:
        """table'[s] = sum of the gradients wherever s was read; x' = 0, as an id cannot move a little."""
        table = self.parameters["table"]
        one_hot = np.eye(len(table), dtype=table.dtype)[self._ids.reshape(-1)]
        self.gradients["table"] = one_hot.T @ gradient.reshape(-1, table.shape[1])
        return np.zeros(self._ids.shape, table.dtype)


class LSTM(Layer):
    """A long short-term memory: at each step four gates read the input and the last output.

    i, f, o = sigmoid(W x + R h + b), each with its own W, R, b;   g = tanh(W x + R h + b)
    c = f * c + i * g;   h = o * tanh(c);   h and c are 0 before the first step
    input_weights (W) [4, cells, features], recurrent_weights (R) [4, cells, cells], bias [4, cells].
    """

    def __init__(self, name: str, features: int, cells: int, rng: np.random.Generator) -> None:
        super().__init__(name)
        for key, inputs in (("input_weights", features), ("recurrent_weights", cells)):
            values = rng.standard_normal((4, cells, inputs)) / np.sqrt(inputs)
            self.parameters[key] = values.astype(np.float32)
        # a forget gate that starts open lets the first gradients reach the first letters
        self.parameters["bias"] = np.zeros((4, cells), np.float32)
        self.parameters["bias"][GATES.index("forget")] = 1

    def forward(self, x: Array, training: bool = False) -> Array:
        """[batch, time, features] -> h of every step, [batch, time, cells]."""
        input_weights, recurrent_weights, bias = self._flat()
        sums = x @ input_weights.T + bias
        h = c = np.zeros((len(x), recurrent_weights.shape[1]), x.dtype)
        outputs, steps = [], []
        for step in range(x.shape[1]):
            i, f, g, o = np.split(sums[:, step] + h @ recurrent_weights.T, 4, axis=1)
            i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            before, c = c, f * c + i * g
            squashed = np.tanh(c)
            h = o * squashed
            outputs.append(h)
            steps.append((i, f, g, o, before, squashed))
        y = np.stack(outputs, axis=1)
        if training:
            self._input, self._output, self._steps = x, y, steps
        return y

    def backward(self, gradient: Array) -> Array:
        """Backwards through time: h' and c' of a step also carry what all later steps ask of it.

        c' += h' * o * (1 - tanh(c)^2);   i' = c' * g,  f' = c' * c_before,  g' = c' * i,  o' = h' * tanh(c)
        times each gate's own slope (s * (1 - s) for a sigmoid, 1 - g^2), these are the sums' gradients.
        """
        input_weights, recurrent_weights, _ = self._flat()
        slopes = np.empty((*gradient.shape[:2], len(input_weights)), gradient.dtype)
        later_h = later_c = np.zeros_like(gradient[:, 0])
        for step in reversed(range(gradient.shape[1])):
            i, f, g, o, before, squashed = self._steps[step]
            slope_h = gradient[:, step] + later_h
            slope_c = later_c + slope_h * o * (1 - squashed * squashed)
            slopes[:, step] = np.concatenate(
                [
                    slope_c * g * i * (1 - i),
                    slope_c * before * f * (1 - f),
                    slope_c * i * (1 - g * g),
                    slope_h * squashed * o * (1 - o),
                ],
                axis=1,
            )
            later_h, later_c = slopes[:, step] @ recurrent_weights, slope_c * f
        self._collect(slopes)
        y: Array = slopes @ input_weights
        return y

    def _collect(self, slopes: Array) -> None:
        """The parameters' gradients from those of the sums, [batch, time, 4 * cells]."""
        before = np.concatenate([np.zeros_like(self._output[:, :1]), self._output[:, :-1]], axis=1)
        flat = slopes.reshape(-1, slopes.shape[2])
        for key, read in (("input_weights", self._input), ("recurrent_weights", before)):
            product = flat.T @ read.reshape(len(flat), -1)
            self.gradients[key] = product.reshape(self.parameters[key].shape)
        self.gradients["bias"] = flat.sum(axis=0).reshape(self.parameters["bias"].shape)

    def _flat(self) -> tuple[Array, Array, Array]:
        """W [4 * cells, features], R [4 * cells, cells], b [4 * cells]: one product for all gates."""
        keys = ("input_weights", "recurrent_weights", "bias")
        w, r, b = (self.parameters[key] for key in keys)
        return w.reshape(-1, w.shape[2]), r.reshape(-1, r.shape[2]), b.reshape(-1)


class LastStep(Layer):
    """What a sequence ends with: [batch, time, features] -> [batch, features]."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """x[:, -1]."""
        self._shape = x.shape
        return x[:, -1]

    def backward(self, gradient: Array) -> Array:
        """Only the last step was read."""
        slope = np.zeros(self._shape, gradient.dtype)
        slope[:, -1] = gradient
        return slope


class SymbolCounts(Layer):
    """How often each symbol occurs, whatever the order: what a classifier without memory could read."""

    def __init__(self, name: str, symbols: int) -> None:
        super().__init__(name)
        self.symbols = symbols

    def forward(self, x: Array, training: bool = False) -> Array:
        """int [batch, time] -> float32 [batch, symbols]."""
        self._shape = x.shape
        counts: Array = (x[:, :, None] == np.arange(self.symbols)).sum(axis=1)
        return counts.astype(np.float32)

    def backward(self, gradient: Array) -> Array:
        """0: an id cannot move a little."""
        return np.zeros(self._shape, gradient.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), through tanh, which cannot overflow."""
    y: Array = 0.5 * np.tanh(0.5 * x) + 0.5
    return y.astype(x.dtype)
