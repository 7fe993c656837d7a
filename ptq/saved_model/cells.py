"""Recurrent cells, recognized by what they compute, and their weights as TensorFlow Lite wants them.

One step of an LSTM with input x, output h and cell state c, as Keras writes it; split cuts z in four:

    z = x W + h R + b;   i, f, g, o = split(z);   c' = sigmoid(f) c + sigmoid(i) tanh(g)
    h' = sigmoid(o) tanh(c')

and one of a SimpleRNN: h' = activation(x W + h R + b). The terms of a sum and the factors of a product may
stand in any order; nothing else may differ, or the loop is kept as it is.
Source: `keras/src/layers/rnn/lstm.py` (LSTMCell.call), `simple_rnn.py` (SimpleRNNCell.call).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptq.graph import Array
from ptq.saved_model.loops import SUMS, Expressions

Known = Callable[[str], Array | None]
"""The array of a value of the body, if it is the same in all rounds."""

GATES = 4
ACTIVATIONS = {"Tanh": "TANH", "Relu": "RELU", "Relu6": "RELU6"}
MOST_TERMS = 3


@dataclass(frozen=True)
class Cell:
    """A cell's weights as Keras stores them, gates side by side: input, forget, cell, output.

    weights [inputs, gates * units], recurrent_weights [units, gates * units], bias [gates * units].
    activation: by TensorFlow Lite's name, of the output; TANH for an LSTM.
    """

    weights: Array
    recurrent_weights: Array
    bias: Array
    activation: str
    gates: int

    @property
    def units(self) -> int:
        """The size of the output."""
        return int(self.recurrent_weights.shape[0])

    def parts(self) -> tuple[list[Array], list[Array], list[Array]]:
        """For each gate weights [units, inputs], recurrent weights [units, units], bias [units]; views."""
        whole = self.weights.T, self.recurrent_weights.T, self.bias
        return tuple(np.split(array, self.gates) for array in whole)  # type: ignore[return-value]


def match_lstm(
    body: Expressions, known: Known, x: str, h: tuple[str, str], c: tuple[str, str]
) -> Cell | None:
    """The LSTM that takes x and the states h[0], c[0] to h[1], c[1]; None if it is something else."""
    gates = _output_gate(body, h[1], c[1]), *_cell_gates(body, c[0], c[1])
    if any(gate is None for gate in gates):
        return None
    o, f, i, g = (str(gate).rpartition(":") for gate in gates)
    if len({i[0], f[0], g[0], o[0]}) != 1 or [i[2], f[2], g[2], o[2]] != ["0", "1", "2", "3"]:
        return None
    split = body.node(f"{i[0]}:0", "Split")
    if split is None or split.attributes.get("num_split") != GATES:
        return None
    axis = body.constant(split.inputs[0])
    if axis is None or axis.size != 1 or int(axis.ravel()[0]) not in (1, -1):
        return None
    return _affine(body, known, split.inputs[1], x, h[0], "TANH", GATES)


def match_rnn(body: Expressions, known: Known, x: str, h: tuple[str, str]) -> Cell | None:
    """The simple cell that takes x and the state h[0] to h[1]; None if it is something else."""
    for op, activation in ACTIVATIONS.items():
        z = body.operand(h[1], op)
        if z is not None:
            return _affine(body, known, z, x, h[0], activation, 1)
    return _affine(body, known, h[1], x, h[0], "NONE", 1)


def _output_gate(body: Expressions, h: str, c: str) -> str | None:
    """z where h = sigmoid(z) tanh(c)."""
    for gate, value in body.pairs(h, "Mul"):
        if body.operand(value, "Tanh") == c:
            return body.operand(gate, "Sigmoid")
    return None


def _cell_gates(body: Expressions, before: str, after: str) -> tuple[str | None, str | None, str | None]:
    """f, i, g where after = sigmoid(f) before + sigmoid(i) tanh(g)."""
    for kept, new in body.pairs(after, "Add", "AddV2"):
        forget = next((a for a, b in body.pairs(kept, "Mul") if b == before), None)
        candidate = next(((a, b) for a, b in body.pairs(new, "Mul") if body.operand(b, "Tanh")), None)
        if forget is not None and candidate is not None:
            i, g = candidate
            return body.operand(forget, "Sigmoid"), body.operand(i, "Sigmoid"), body.operand(g, "Tanh")
    return None, None, None


def _affine(
    body: Expressions, known: Known, z: str, x: str, h: str, activation: str, gates: int
) -> Cell | None:
    """The cell with z = x W + h R + b, in any order, with or without b."""
    products: dict[str, Array] = {}
    bias: Array | None = None
    for term in _terms(body, z):
        product, value = body.node(term, "MatMul"), known(term)
        if product is not None and product.inputs[0] in (x, h) and product.inputs[0] not in products:
            weights = known(product.inputs[1])
            turned = product.attributes.get("transpose_a") or product.attributes.get("transpose_b")
            if weights is None or turned:
                return None
            products[product.inputs[0]] = weights
        elif product is None and value is not None and bias is None and value.shape[-1:] == (value.size,):
            bias = value
        else:
            return None
    if products.keys() != {x, h} or x == h:
        return None
    width = products[h].shape[-1]
    zeros = np.zeros(width, np.float32)
    cell = Cell(products[x], products[h], zeros if bias is None else bias.reshape(-1), activation, gates)
    return cell if _fits(cell, width) else None


def _fits(cell: Cell, width: int) -> bool:
    arrays = (cell.weights, cell.recurrent_weights, cell.bias)
    if any(array.dtype != np.float32 for array in arrays):
        return False
    shapes = cell.recurrent_weights.shape, cell.weights.shape[1:], cell.bias.shape
    return shapes == ((width // cell.gates, width), (width,), (width,)) and width % cell.gates == 0


def _terms(body: Expressions, z: str) -> list[str]:
    """The terms of a sum of sums, MOST_TERMS or a few more where there are too many."""
    terms: list[str] = []
    sums = [z]
    while sums and len(terms) + len(sums) <= MOST_TERMS:
        value = sums.pop()
        node = body.node(value, *SUMS)
        if node is not None and len(node.inputs) == 2:
            sums += node.inputs
        else:
            terms.append(value)
    return terms + sums
