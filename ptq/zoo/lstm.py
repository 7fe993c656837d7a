"""Layers of LSTM cells with random weights, to time: the kind of model for which "up to 3x" was announced."""

from __future__ import annotations

import numpy as np

from ptq.build import Builder
from ptq.builder.recurrent import LSTMWeights
from ptq.errors import InputError
from ptq.graph import Graph


def stacked_lstm(cells: int = 512, layers: int = 2, steps: int = 64, seed: int = 0) -> Graph:
    """Layers of UNIDIRECTIONAL_SEQUENCE_LSTM: "input" [1, steps, cells] -> the outputs of all steps.

    A layer has 4 * cells * (2 * cells + 1) weights and biases, uniform in -1/sqrt(cells) .. 1/sqrt(cells);
    the bias of the forget gate is 1. Errors: InputError for a size below 1.
    """
    if min(cells, layers, steps) < 1:
        found = f"{cells} cells, {layers} layers, {steps} steps"
        raise InputError(f"stacked_lstm: {found} found, expected at least 1 of each")
    rng, reach = np.random.default_rng(seed), 1 / np.sqrt(cells)
    builder = Builder(f"lstm_{layers}x{cells}")
    x = builder.input("input", (1, steps, cells))
    for number in range(1, layers + 1):
        weights, recurrent = rng.uniform(-reach, reach, (2, 4, cells, cells)).astype(np.float32)
        bias = np.zeros((4, cells), np.float32)
        bias[1] = 1  # the forget gate starts open
        learnt = LSTMWeights(weights, recurrent, bias)
        x = builder.unidirectional_sequence_lstm(x, learnt, name=f"lstm_{number}")
    return builder.finish(x)
