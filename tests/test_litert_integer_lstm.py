"""The integer LSTM against LiteRT's reference kernels: outputs and both states, bit for bit."""

import dataclasses

import numpy as np
import pytest
from integer_lstm import Recipe
from litert import assert_same_bits, litert_interpreter

import ptq

pytestmark = pytest.mark.peers
pytest.importorskip("ai_edge_litert")

REPRODUCE = dataclasses.replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")
CONFIGURATIONS = 240


def assert_same_runs(recipe, operator="UNIDIRECTIONAL_SEQUENCE_LSTM", invocations=2, numerics=REPRODUCE):
    """Outputs and states after each invocation, of 12 steps for a sequence."""
    graph = recipe.graph(operator)
    ours, theirs = ptq.Interpreter(graph=graph, numerics=numerics), litert_interpreter(graph)
    states = [i for i, tensor in enumerate(graph.tensors) if tensor.is_variable]
    for _ in range(invocations):
        x = recipe.x(graph)
        found = ours.run([x])[0]
        theirs.set_tensor(graph.inputs[0], x)
        theirs.invoke()
        assert_same_bits(found, theirs.get_tensor(graph.outputs[0]), recipe)
        for state in states:
            assert_same_bits(ours.get_tensor(state), theirs.get_tensor(state), recipe)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_every_variant(seed):
    rng = np.random.default_rng(seed)
    different = [np.unique(assert_same_runs(Recipe(rng))).size for _ in range(CONFIGURATIONS // 3)]
    assert np.mean(np.array(different) > 20) > 0.25  # more than a few layers do not saturate


def test_one_step_at_a_time():
    rng = np.random.default_rng(3)
    for _ in range(CONFIGURATIONS // 3):
        assert_same_runs(Recipe(rng), "LSTM", 12)


@pytest.mark.parametrize(("cells", "outputs"), [(13, 5), (20, 17), (4, 1)])
def test_peepholes_that_meet_other_cells(cells, outputs):
    """See the defect INTEGER_LSTM_PEEPHOLE."""
    rng = np.random.default_rng(cells)
    for _ in range(20):
        assert_same_runs(Recipe(rng, peephole=True, projection=True, cells=cells, outputs=outputs))


def test_layer_normalization_of_other_numbers_of_cells_than_powers_of_two():
    """Its reciprocal of the number is cut off, which makes the variance too small, even negative."""
    rng = np.random.default_rng(4)
    for _ in range(60):
        cells = int(rng.choice([5, 11, 33, 61, 97]))
        assert_same_runs(Recipe(rng, normalization=True, cells=cells, projection=False))


def test_long_sums():
    rng = np.random.default_rng(5)
    for _ in range(4):
        assert_same_runs(Recipe(rng, inputs=1500, cells=70))


def test_an_activation_that_nothing_heeds():
    """See the defect INTEGER_LSTM_ACTIVATION."""
    recipe = Recipe(np.random.default_rng(6), peephole=False, proj_clip=0)
    graph = recipe.graph()
    x, expected = recipe.x(graph), None
    for activation in ("TANH", "RELU", "NONE"):
        graph.operators[0].options["fused_activation_function"] = activation
        interpreter = litert_interpreter(graph)
        interpreter.set_tensor(graph.inputs[0], x)
        interpreter.invoke()
        y = interpreter.get_tensor(graph.outputs[0])
        expected = y if expected is None else expected
        assert_same_bits(y, expected)
        assert_same_bits(ptq.Interpreter(graph=graph, numerics=REPRODUCE).run([x])[0], expected)
