"""The LSTM operators against LiteRT's reference kernels, random configuration by configuration.

Hybrid layers must be bit-equal. Float layers add their products in an order that only LiteRT's matrix
multiplication knows. So they are compared twice: bit by bit where every sum is exact in any order, and
otherwise step by step, from LiteRT's own states, within the bound that `largest_difference` derives.
"""

import dataclasses

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
OPERATORS = ["LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM"]
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
        self.exact = self.one_signed = False
        vars(self).update(fixed)
        if "outputs" in fixed:
            return
        self.outputs = int(rng.integers(1, self.cells + 1)) if self.projection else self.cells

    def __repr__(self):
        return str({k: v for k, v in vars(self).items() if k != "rng"})

    def weights(self, graph, name, *shape):
        """A weight tensor whose products with inputs of about 1 are of the size of `reach`."""
        spread = self.reach / np.sqrt(shape[-1]) if len(shape) == 2 else 0.5
        if self.exact and len(shape) == 2:
            return constant(graph, name, self.exact_matrix(name, shape))
        if not self.hybrid:
            return constant(graph, name, self.rng.normal(0, spread, shape).astype(F))
        values = self.rng.integers(115 if self.one_signed else -127, 128, shape).astype(np.int8)
        scale = np.array([spread / 64 * self.rng.uniform(0.5, 2)], F)
        return constant(graph, name, values, scale)

    def exact_matrix(self, name, shape):
        """Float weights whose products add up to the same sum in any order, with or without fused adds."""
        if "R" not in name and "P" not in name:  # met by inputs that are multiples of 1/16
            return (self.rng.integers(-16, 17, shape) / 16).astype(F)
        matrix = np.zeros(shape, F)  # met by any float: one power of two in each row
        columns = self.rng.integers(0, shape[1], shape[0])
        powers = self.rng.choice([-2, -1, -0.5, 0.25, 0.5, 1], shape[0])
        matrix[np.arange(shape[0]), columns] = powers
        return matrix

    def vector(self, graph, name, size, mean=0.0):
        values = self.rng.normal(mean, 1, size).astype(F)
        return constant(graph, name, np.round(values * F(16)) / F(16) if self.exact else values)

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
        if self.exact:
            x = np.clip(np.round(x * F(16)) / F(16), -8, 8)
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


def bidirectional(recipe):
    """A graph of one BIDIRECTIONAL_SEQUENCE_LSTM."""
    graph, rng = Graph(), recipe.rng
    mode = rng.choice(["plain", "stacked", "auxiliary"])
    width = {"plain": 0, "stacked": recipe.inputs, "auxiliary": int(rng.integers(1, 20))}[mode]
    merge = bool(rng.integers(2)) and (recipe.time_major or recipe.batch == 1)
    sequence = recipe.sequence()
    graph.inputs = [graph.add_tensor(Tensor("x", (*sequence, recipe.inputs)))]
    if width:
        graph.inputs += [graph.add_tensor(Tensor("auxiliary", (*sequence, width)))]
    with_weights = width if mode == "auxiliary" else 0
    layers = [recipe.layer(graph, name, with_weights) for name in ("fw_", "bw_")]
    states = [*recipe.states(graph, "fw_"), *recipe.states(graph, "bw_")]
    second = graph.inputs[1] if width else ABSENT
    inputs = [0, *layers[0][0], *layers[1][0], *states, second, *layers[0][1], *layers[1][1]]
    shapes = [2 * recipe.outputs] if merge else [recipe.outputs] * 2
    graph.outputs = [graph.add_tensor(Tensor(f"y{i}", (*sequence, n))) for i, n in enumerate(shapes)]
    table, options = recipe.options(
        "BIDIRECTIONAL_SEQUENCE_LSTM", time_major=recipe.time_major, merge_outputs=merge
    )
    operator = Operator("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, graph.outputs[:], options, table)
    operator.version = VERSION[recipe.hybrid]
    graph.operators = [operator]
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


def graph_of(operator, recipe):
    return (
        bidirectional(recipe) if operator == "BIDIRECTIONAL_SEQUENCE_LSTM" else single_layer(operator, recipe)
    )


def invocations(graph, recipe, count):
    return [[recipe.x(graph.tensors[i].shape) for i in graph.inputs] for _ in range(count)]


def assert_all_same(graph, inputs, context, numerics=ptq.LITERT_REFERENCE):
    for found, expected in run_both(graph, inputs, numerics):
        for ours, theirs in zip(found, expected, strict=True):
            assert_same_bits(ours, theirs, context)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("operator", OPERATORS)
def test_hybrid_is_bit_equal(operator, seed):
    rng = np.random.default_rng(seed)
    for _ in range(CONFIGURATIONS // 4):
        recipe = Recipe(rng, hybrid=True)
        graph = graph_of(operator, recipe)
        assert_all_same(graph, invocations(graph, recipe, STEPS if operator == "LSTM" else 2), recipe)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("operator", OPERATORS)
def test_float_is_bit_equal_where_the_order_of_sums_does_not_matter(operator, seed):
    """Biases, inputs and their weights are multiples of 1/16, so that their sums are exact; in the matrices
    that meet the state, each row has one entry, a power of two, so that nothing is left to add up."""
    rng = np.random.default_rng(seed)
    for _ in range(CONFIGURATIONS // 4):
        recipe = Recipe(rng, hybrid=False, exact=True)
        graph = graph_of(operator, recipe)
        assert_all_same(graph, invocations(graph, recipe, STEPS if operator == "LSTM" else 2), recipe)


ROUNDING = 2.0**-24
FUNCTION = 3e-7
"""The error of Eigen's tanh and logistic, see test_kernels_activation.py."""


def largest_difference(graph, x, h, c):
    """How far apart the results of one float LSTM step from the same states may be: (output, cell state).

    The sum of n products in any order, with or without fused multiply-adds, is within n * ROUNDING times the
    sum of their magnitudes of the real one (two more for what is of second order). Two such sums differ by
    at most twice that. sigmoid shrinks a difference to a quarter, tanh lets it pass, and both add twice the
    error of their approximations. The gates and tanh are at most 1 in magnitude, which bounds the rest.
    """
    data = [None if i == ABSENT else graph.tensors[i].data for i in graph.operators[0].inputs]
    data = [None if value is None else np.abs(value.astype(np.float64)) for value in data]
    x, h, c = (np.abs(value.astype(np.float64)) for value in (x, h, c))
    terms = x.shape[1] + h.shape[1] + 2

    def gate(index, peephole, cell):
        if data[1 + index] is None:
            return None
        size = x @ data[1 + index].T + h @ data[5 + index].T + data[12 + index]
        size = size if peephole is None else size + peephole * cell
        return 2 * (terms + 2) * ROUNDING * size

    i, f = gate(0, data[9], c), gate(1, data[10], c)
    g = gate(2, None, c) + 2 * FUNCTION
    f = f / 4 + 2 * FUNCTION
    i = f if i is None else i / 4 + 2 * FUNCTION
    cell = c * f + g + (1 + g) * i + 8 * ROUNDING * (c + 1)
    o = gate(3, data[11], c + 1 + cell) / 4 + 2 * FUNCTION
    o += 0 if data[11] is None else data[11] * cell / 4
    output = o + cell + 2 * FUNCTION + 4 * ROUNDING
    if data[16] is not None:
        size = data[16].sum(axis=1) + (0 if data[17] is None else data[17])
        output = output @ data[16].T + 2 * (data[16].shape[1] + 3) * ROUNDING * size
    return output, cell


def test_float_steps_are_within_the_derived_bound():
    rng = np.random.default_rng(0)
    for _ in range(CONFIGURATIONS):
        recipe = Recipe(rng, hybrid=False, activation="TANH", normalization=False)
        graph = graph_of("LSTM", recipe)
        ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
        ours.allocate_tensors()
        h, c = graph.operators[0].inputs[18:20]
        for (x,) in invocations(graph, recipe, STEPS):
            states = [theirs.get_tensor(index) for index in (h, c)]
            for index, value in zip((h, c), states, strict=True):
                ours.set_tensor(index, value)
            ours.run([x])
            theirs.set_tensor(graph.inputs[0], x)
            theirs.invoke()
            for index, bound in zip((h, c), largest_difference(graph, x, *states), strict=True):
                difference = np.abs(ours.get_tensor(index).astype(np.float64) - theirs.get_tensor(index))
                assert (difference <= bound).all(), (recipe, (difference / bound).max())


LONG = [{"inputs": 2500, "cells": 8}, {"inputs": 3003, "cells": 13}, {"cells": 2500, "outputs": 3}]


@pytest.mark.parametrize("sizes", LONG)
@pytest.mark.parametrize("operator", OPERATORS)
def test_hybrid_with_long_one_signed_rows_is_bit_equal(operator, sizes):
    """x86 builds sum such rows in 16 bits, and wrap around."""
    rng, wrapped = np.random.default_rng(1), False
    for _ in range(3):
        recipe = Recipe(
            rng, hybrid=True, one_signed=True, asymmetric=True, projection="outputs" in sizes,
            reach=0.01, activation="TANH", normalization=False, **sizes,
        )  # fmt: skip
        graph = graph_of(operator, recipe)
        inputs = invocations(graph, recipe, 2)
        assert_all_same(graph, inputs, recipe)
        exact = dataclasses.replace(ptq.LITERT_REFERENCE, row_sums="exact")
        both = [
            ptq.Interpreter(graph=graph, numerics=n).run(inputs[0])[0] for n in (ptq.LITERT_REFERENCE, exact)
        ]
        wrapped |= bool((both[0] != both[1]).any())
    assert wrapped


@pytest.mark.parametrize("operator", OPERATORS)
def test_hybrid_without_activation_reproduces_what_litert_does_by_mistake(operator):
    rng = np.random.default_rng(2)
    reproduce = dataclasses.replace(ptq.LITERT_REFERENCE, upstream_defects="reproduce")
    for _ in range(20):
        recipe = Recipe(rng, hybrid=True, activation="NONE")
        graph = graph_of(operator, recipe)
        assert_all_same(graph, invocations(graph, recipe, 2), recipe, reproduce)
