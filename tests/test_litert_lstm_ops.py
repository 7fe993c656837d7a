"""The LSTM operators against LiteRT's reference kernels, random configuration by configuration."""

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter

import ptq
from ptq.graph import ABSENT, Graph, Operator, Quantization, Tensor
from ptq.operators import default_options

pytestmark = pytest.mark.peers

F = np.float32
CONFIGURATIONS = 200
STEPS = 12
VERSION = {False: 1, True: 3}


class Recipe:
    """A random choice of everything that an LSTM can be."""

    def __init__(self, rng, hybrid, **fixed):
        self.rng, self.hybrid = rng, hybrid
        self.batch = int(rng.integers(1, 5))
        self.inputs = int(rng.choice([1, 5, 16, 23]))
        self.cells = int(rng.choice([1, 3, 8, 13, 17, 20]))
        switches = ("cifg", "peephole", "normalization", "projection", "projection_bias", "time_major",
                    "asymmetric")  # fmt: skip
        vars(self).update({name: bool(rng.integers(2)) for name in switches})
        self.cell_clip, self.projection_clip = (float(rng.choice([0, 0.3])) for _ in range(2))
        self.activation = str(rng.choice(["TANH", "TANH", "TANH", "RELU", "RELU6", "RELU_N1_TO_1"]))
        self.reach = float(rng.choice([0.1, 1, 1, 4]))
        vars(self).update(fixed)
        self.outputs = int(rng.integers(1, self.cells + 1)) if self.projection else self.cells

    def __repr__(self):
        return str({k: v for k, v in vars(self).items() if k != "rng"})

    def weights(self, graph, name, *shape):
        """A weight tensor whose products with inputs of about 1 are of the size of `reach`."""
        spread = self.reach / np.sqrt(shape[-1]) if len(shape) == 2 else 0.5
        if not self.hybrid:
            return constant(graph, name, self.rng.normal(0, spread, shape).astype(F))
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        scale = np.array([spread / 64 * self.rng.uniform(0.5, 2)], F)
        return constant(graph, name, values, scale)

    def vector(self, graph, name, size, mean=0.0):
        return constant(graph, name, self.rng.normal(mean, 1, size).astype(F))

    def layer(self, graph, name="", auxiliary=0):
        """Inputs 1 to 17 of an LSTM, then those of the auxiliary input."""
        n, k, o = self.cells, self.inputs, self.outputs

        def four(role, *shape):
            gates = ["i", "f", "c", "o"]
            return [
                ABSENT if self.cifg and gate == "i" else self.weights(graph, f"{name}{role}{gate}", *shape)
                for gate in gates
            ]

        inputs = four("W", n, k) + four("R", n, o)
        peephole = four("p", n)
        inputs += [peephole[0], peephole[1], peephole[3]] if self.peephole else [ABSENT] * 3
        inputs += [ABSENT if self.cifg else self.vector(graph, f"{name}bi", n)]
        inputs += [self.vector(graph, f"{name}b{gate}", n) for gate in "fco"]
        inputs += [self.weights(graph, f"{name}P", o, n) if self.projection else ABSENT]
        biased = self.projection and self.projection_bias
        inputs += [self.vector(graph, f"{name}bP", o) if biased else ABSENT]
        return inputs, four("A", n, auxiliary) if auxiliary else [ABSENT] * 4

    def states(self, graph, name=""):
        widths = (self.outputs, self.cells)
        return [
            graph.add_tensor(Tensor(f"{name}{role}", (self.batch, width), is_variable=True))
            for role, width in zip("hc", widths, strict=True)
        ]

    def options(self, operator, **more):
        table, options = default_options(operator)
        options.update(
            fused_activation_function=self.activation, cell_clip=self.cell_clip,
            proj_clip=self.projection_clip, asymmetric_quantize_inputs=self.asymmetric, **more,
        )  # fmt: skip
        return table, options

    def sequence(self, steps=STEPS):
        return (steps, self.batch) if self.time_major else (self.batch, steps)

    def x(self, shape):
        """Inputs of several kinds, with zero rows and zero steps."""
        kind = self.rng.integers(4)
        x = self.rng.normal(0, 1, shape).astype(F)
        if kind == 1:
            x = np.maximum(x, 0)
        elif kind == 2:  # everything is a tie
            x = (self.rng.integers(-254, 255, shape) / 2).astype(F)
            x[..., 0] = 127
            x /= F(64)
        steps = shape[:-1]
        x[self.rng.random(steps) < 0.2] = 0
        axis = 0 if self.time_major or len(shape) == 2 else 1
        zero = self.rng.random(shape[axis]) < 0.2
        x[(slice(None),) * axis + (zero,)] = 0
        return x


def constant(graph, name, data, scale=None):
    quantization = None if scale is None else Quantization(scale, np.zeros(1, np.int64))
    kind = "FLOAT32" if scale is None else "INT8"
    return graph.add_tensor(Tensor(name, data.shape, kind, data, quantization))


def single_layer(operator, recipe):
    """A graph of one LSTM or UNIDIRECTIONAL_SEQUENCE_LSTM."""
    graph = Graph()
    shape = (recipe.batch,) if operator == "LSTM" else recipe.sequence()
    graph.inputs = [graph.add_tensor(Tensor("x", (*shape, recipe.inputs)))]
    inputs = [0, *recipe.layer(graph)[0], *recipe.states(graph)]
    if recipe.normalization:
        gates = "fco" if recipe.cifg else "ifco"
        inputs += [ABSENT] * recipe.cifg
        inputs += [recipe.vector(graph, f"n{gate}", recipe.cells, mean=1) for gate in gates]
    elif recipe.rng.integers(2):
        inputs += [ABSENT] * 4
    graph.outputs = [graph.add_tensor(Tensor("y", (*shape, recipe.outputs)))]
    more = {} if operator == "LSTM" else {"time_major": recipe.time_major}
    table, options = recipe.options(operator, **more)
    graph.operators = [Operator(operator, inputs, graph.outputs[:], options, table, VERSION[recipe.hybrid])]
    return graph


def run_both(graph, invocations, numerics=ptq.LITERT_REFERENCE):
    """Outputs and states after each invocation, of ptq and of LiteRT."""
    ours = ptq.Interpreter(graph=graph, numerics=numerics)
    theirs = litert_interpreter(graph)
    states = [i for i, tensor in enumerate(graph.tensors) if tensor.is_variable]
    for values in invocations:
        found = ours.run(values)
        for details, value in zip(theirs.get_input_details(), values, strict=True):
            theirs.set_tensor(details["index"], value)
        theirs.invoke()
        expected = [theirs.get_tensor(details["index"]) for details in theirs.get_output_details()]
        yield (
            found + [ours.get_tensor(i) for i in states],
            expected + [theirs.get_tensor(i) for i in states],
        )


@pytest.mark.parametrize("seed", range(4))
def test_hybrid_sequence_is_bit_equal(seed):
    rng = np.random.default_rng(seed)
    for _ in range(CONFIGURATIONS // 4):
        recipe = Recipe(rng, hybrid=True)
        graph = single_layer("UNIDIRECTIONAL_SEQUENCE_LSTM", recipe)
        invocations = [[recipe.x((*recipe.sequence(), recipe.inputs))] for _ in range(2)]
        for found, expected in run_both(graph, invocations):
            for ours, theirs in zip(found, expected, strict=True):
                assert_same_bits(ours, theirs, recipe)
