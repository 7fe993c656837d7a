"""The answers of lesson 10 are what the kernels and the specification compute."""

import numpy as np
import pytest

import ptq
from ptq import zoo
from ptq.fixed_point import rounding_divide_by_pot, saturate
from ptq.kernels.eigen import eigen_tanh
from ptq.kernels.lstm import LstmLayer, unidirectional_sequence_lstm
from ptq.kernels.recurrent import Matrix
from ptq.lessons.the_lstm import CELL, GATE, INTEGER_CELL, TANH, WAITING
from ptq.spec import eigen

F = np.float32


def answer(exercise):
    return exercise.function(exercise.answer)


def test_a_cell_forgets_half():
    half = F(0.5)
    c, h = answer(CELL)(half, half, F(0), half, F(1), eigen_tanh)
    assert (c, h) == (0.5, F(0.5) * F(eigen.eigen_tanh(0.5)))


def test_the_multiplications_are_those_of_the_zoos_lstm():
    tensors = {tensor.name: tensor for tensor in zoo.country_lstm().tensors}
    weights = [
        sum(t.size for name, t in tensors.items() if name.startswith(f"lstm/{kind}_to_"))
        for kind in ("input", "recurrent")
    ]
    assert answer(WAITING)(20, 36, 96) == (20 * weights[0], 20 * weights[1])


def test_a_gate_is_that_of_the_hybrid_kernel():
    """The output gate of one cell whose other gates say c = 1: h = sigmoid(sum) * tanh(1)."""
    x, h = np.array([[[127.0]]], F), np.array([[0.9]], F)
    w, r, scale_w, scale_r = 93, -71, F(0.0046), F(0.0083)
    matrices = [
        Matrix.stack("LSTM", [np.array([[v]], np.int8)] * 4, [np.array([scale])] * 4)
        for v, scale in ((w, scale_w), (r, scale_r))
    ]
    bias = np.array([[-200], [200], [0], [0.3]], F)  # nothing in, everything kept
    layer = LstmLayer(*matrices, bias)
    y, _ = unidirectional_sequence_lstm(x, (h, np.ones((1, 1), F)), layer, numerics=ptq.PORTABLE)
    scale_h = F(0.9) / F(127)
    total = answer(GATE)(F(0.3), 127 * w, F(1), scale_w, 127 * r, scale_h, scale_r)
    shown = F(eigen.eigen_sigmoid(float(total), single=True))
    assert y[0, 0, 0] == shown * F(eigen.eigen_tanh(1.0))


@pytest.mark.parametrize("case", TANH.cases)
def test_tanh_is_eigens(case):
    assert answer(TANH)(*case).tolist() == [F(eigen.eigen_tanh(float(v))) for v in case[0]]


def test_a_cell_of_integers_is_the_kernels():
    rng = np.random.default_rng(0)
    i, f = rng.integers(0, 32768, (2, 500))
    g, c = rng.integers(-32768, 32768, (2, 500))
    for n in (-15, -11, -9):
        kernel = saturate(rounding_divide_by_pot(f * c, 15) + rounding_divide_by_pot(i * g, 30 + n), 16)
        rows = zip(i.tolist(), f.tolist(), g.tolist(), c.tolist(), strict=True)
        assert [answer(INTEGER_CELL)(*row, n) for row in rows] == kernel.tolist()
