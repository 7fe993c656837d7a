"""The integer LSTM of TensorFlow Lite for Microcontrollers, bit for bit, step by step."""

import numpy as np
import pytest
from integer_lstm import Recipe
from litert import assert_same_bits
from micro import micro_interpreter, run_micro

import ptq

pytestmark = pytest.mark.peers
pytest.importorskip("tflite_micro")

PLAIN = dict.fromkeys(("cifg", "peephole", "normalization", "projection"), False)


@pytest.mark.parametrize("seed", range(4))
def test_the_plain_layer(seed):
    """Micro shows no states: three invocations of 12 steps each go on from them."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        recipe = Recipe(rng, **PLAIN, cell_exponent=int(rng.integers(-18, -6)))
        graph = recipe.graph()
        ours, theirs = ptq.Interpreter(graph=graph, numerics=ptq.TFLITE_MICRO), micro_interpreter(graph)
        for _ in range(3):
            x = recipe.x(graph)
            assert_same_bits(ours.run([x])[0], run_micro(graph, [x], theirs)[0], recipe)


def test_the_two_libraries_differ():
    rng = np.random.default_rng(9)
    differing = False
    for _ in range(10):
        recipe = Recipe(rng, **PLAIN, reach=1, cell_exponent=-11)
        graph = recipe.graph()
        x = recipe.x(graph)
        lite, micro = (
            ptq.Interpreter(graph=graph, numerics=numerics).run([x])[0]
            for numerics in (ptq.LITERT_REFERENCE, ptq.TFLITE_MICRO)
        )
        differing |= bool((lite != micro).any())
    assert differing
