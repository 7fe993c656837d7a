"""In which country is this town? An LSTM that reads a name letter by letter, and what it must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptq.zoo.layers import Dense
from ptq.zoo.names import COUNTRIES, SYMBOLS
from ptq.zoo.network import Network
from ptq.zoo.recurrent import LSTM, Embedding, LastStep, SymbolCounts


def country_lstm_network(seed: int = 0) -> Network:
    """A recurrent classifier: 53,316 weights, a million multiplications per name.

    20 letters -> embedding 20x36 -> LSTM of 96 cells -> its output after the last letter -> dense 12.
    """
    rng, features, cells = np.random.default_rng(seed), 36, 96
    return Network(
        [
            Embedding("embedding", len(SYMBOLS), features, rng),
            LSTM("lstm", features, cells, rng),
            LastStep("last"),
            Dense("dense", cells, len(COUNTRIES), rng),
        ]
    )


def country_letters_network(seed: int = 0) -> Network:
    """The baseline without memory: a linear classifier of how often each letter occurs, 372 weights."""
    rng = np.random.default_rng(seed)
    return Network([SymbolCounts("counts", len(SYMBOLS)), Dense("dense", len(SYMBOLS), len(COUNTRIES), rng)])


NETWORKS: dict[str, Callable[[int], Network]] = {
    "country_lstm": country_lstm_network,
    "country_letters": country_letters_network,
}
