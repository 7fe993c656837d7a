"""RNN, its sequences and SVDF against LiteRT's reference kernels: outputs and states, step after step.

Hybrid kernels must be equal bit for bit, and so must float ones with ordered sums. Through BLAS a float sum
of K products and a bias differs by at most (K + 2) * 2^-23 * (sum |products| + |bias|): each of the two sums
is within half of that of the real one.
"""

from dataclasses import replace

import numpy as np
import pytest
from litert import assert_same_bits, litert_interpreter

import ptq
from ptq.build import Builder
from ptq.errors import UnsupportedError
from ptq.graph import Quantization
from ptq.kernels.rnn import rnn_float

pytestmark = pytest.mark.peers

F = np.float32
CONFIGURATIONS = 300
STEPS = 12
ACTIVATIONS = ["NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH"]
ORDERED = ptq.LITERT_REFERENCE_ORDERED
REPRODUCE = replace(ORDERED, upstream_defects="reproduce")
INTENDED = replace(ORDERED, upstream_defects="intended")
ARITHMETICS = pytest.mark.parametrize("hybrid", [False, True], ids=["float", "hybrid"])


class Recipe:
    """A random configuration: sizes, activation, layout, and the weights made for them."""

    def __init__(self, seed, hybrid, **fixed):
        self.rng = rng = np.random.default_rng(seed)
        self.hybrid = hybrid
        self.batch, self.inputs, self.units, self.rank = (int(rng.integers(1, n)) for n in (5, 41, 25, 10))
        self.memory = int(rng.integers(1, 12))
        self.asymmetric, self.time_major, self.merge_outputs = (bool(rng.integers(2)) for _ in range(3))
        self.activation = str(rng.choice(ACTIVATIONS))
        self.reach = float(rng.choice([0.3, 1, 3]))
        vars(self).update(fixed)
        self.builder = Builder("recurrent")

    def weights(self, *shape):
        """Weights whose products with inputs of about 1 are of the size of `reach`."""
        spread = self.reach / np.sqrt(shape[1])
        if not self.hybrid:
            return self.rng.normal(0, spread, shape).astype(F)
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        scale = Quantization(np.array([spread / 73 * self.rng.uniform(0.5, 2)], F), np.zeros(1, np.int64))
        return self.builder.constant(values, f"weights_{len(self.builder.graph.tensors)}", scale)

    def bias(self, units):
        """Biases, some of them -0: adding a product of 0 makes that +0, skipping it does not."""
        bias = self.rng.normal(0, self.reach, units).astype(F)
        bias[self.rng.random(units) < 0.3] = -0.0
        return bias

    def cell(self, units, auxiliary=None):
        """The operands of one RNN, its state and auxiliary weights last."""
        state = self.builder.variable("state", (self.batch, units))
        operands = [self.weights(units, self.inputs), self.weights(units, units), self.bias(units), state]
        return operands, None if auxiliary is None else self.weights(units, auxiliary)

    def x(self, *shape):
        """Activations of several kinds: one-signed, ties, with zero rows and steps that are all zero."""
        x = self.rng.normal(0, 1, shape).astype(F)
        kind = self.rng.integers(5)
        if kind == 0:
            x = np.maximum(x, 0)
        elif kind == 1:
            x = -np.abs(x)
        elif kind == 2:  # halves of a step of 1 / 64: with a range of 127 or 255 steps everything is a tie
            x = (self.rng.integers(-254, 255, shape) / 2).astype(F)
            x[..., 0] = 127
            x /= F(64)
        x[self.rng.random(shape[:-1]) < 0.15] = 0
        axis = 0 if self.time_major or len(shape) == 2 else 1
        x[(slice(None),) * axis + (self.rng.random(shape[axis]) < 0.2,)] = 0
        return x

    def sequence(self, size):
        lead = (STEPS, self.batch) if self.time_major else (self.batch, STEPS)
        return (*lead, size)

    def options(self, *names, **more):
        shared = {
            "fused_activation_function": self.activation, "asymmetric_quantize_inputs": self.asymmetric
        }  # fmt: skip
        return {**shared, **{name: getattr(self, name) for name in names}, **more}

    def __repr__(self):
        return str({name: value for name, value in vars(self).items() if name not in ("rng", "builder")})


def rnn(recipe):
    """A graph of one RNN, and its inputs for each invocation."""
    shape = (recipe.batch, recipe.inputs)
    x = recipe.builder.input("x", shape)
    operands, _ = recipe.cell(recipe.units)
    output = recipe.builder.op("RNN", [x, *operands], recipe.options())
    return recipe.builder.finish(output), [[recipe.x(*shape)] for _ in range(STEPS)]


def unidirectional(recipe):
    shape = recipe.sequence(recipe.inputs)
    x = recipe.builder.input("x", shape)
    operands, _ = recipe.cell(recipe.units)
    options = recipe.options("time_major")
    output = recipe.builder.op("UNIDIRECTIONAL_SEQUENCE_RNN", [x, *operands], options)
    return recipe.builder.finish(output), [[recipe.x(*shape)] for _ in range(2)]


def bidirectional(recipe, auxiliary=None, weighted=False):
    """auxiliary: the size of the auxiliary input; weighted: whether it has weights of its own."""
    shapes = [recipe.sequence(size) for size in (recipe.inputs, auxiliary) if size is not None]
    tensors = [recipe.builder.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    size = auxiliary if weighted else None
    pairs = [recipe.cell(units, size) for units in (recipe.units, int(recipe.rng.integers(1, 25)))]
    x, a = (*tensors, None)[:2]
    inputs = [x, *pairs[0][0], *pairs[1][0], a, pairs[0][1], pairs[1][1]]
    if recipe.rng.integers(2) or a is None:  # absent inputs at the end may also be left out of the list
        inputs += [None] * (12 - len(inputs))
    options = recipe.options("time_major", "merge_outputs")
    outputs = recipe.builder.ops("BIDIRECTIONAL_SEQUENCE_RNN", inputs, options)
    graph = recipe.builder.finish(*outputs)
    graph.operators[0].inputs += [-1] * (12 - len(graph.operators[0].inputs))
    return graph, [[recipe.x(*shape) for shape in shapes] for _ in range(2)]


def svdf(recipe):
    shape = (recipe.batch, recipe.inputs)
    x = recipe.builder.input("x", shape)
    filters = recipe.units * recipe.rank
    state = recipe.builder.variable("state", (recipe.batch, filters * recipe.memory))
    weights = [recipe.weights(filters, recipe.inputs), recipe.weights(filters, recipe.memory)]
    bias = recipe.bias(recipe.units) if recipe.rng.integers(4) else None
    output = recipe.builder.op("SVDF", [x, *weights, bias, state], recipe.options("rank"))
    return recipe.builder.finish(output), [[recipe.x(*shape)] for _ in range(STEPS + 2)]


def invoke(interpreter, graph, values):
    """All outputs and states after one more invocation."""
    for index, value in zip(graph.inputs, values, strict=True):
        interpreter.set_tensor(index, value)
    interpreter.invoke()
    states = [i for i, tensor in enumerate(graph.tensors) if tensor.is_variable]
    return [interpreter.get_tensor(index) for index in [*graph.outputs, *states]]


def check(graph, invocations, context, numerics=ORDERED):
    ours, theirs = ptq.Interpreter(graph=graph, numerics=numerics), litert_interpreter(graph)
    ours.allocate_tensors()
    for values in invocations:
        pairs = zip(invoke(ours, graph, values), invoke(theirs, graph, values), strict=True)
        for found, expected in pairs:
            assert_same_bits(found, expected, context)


@ARITHMETICS
@pytest.mark.parametrize("build", [rnn, unidirectional, svdf])
def test_operators_are_bit_equal_at_every_step(build, hybrid):
    for seed in range(CONFIGURATIONS):
        recipe = Recipe(seed, hybrid)
        check(*build(recipe), recipe)


@ARITHMETICS
def test_bidirectional_sequences_without_defects_are_bit_equal(hybrid):
    for seed in range(CONFIGURATIONS):
        recipe = Recipe(seed, hybrid, **({"time_major": False} if hybrid else {}))
        auxiliary = recipe.inputs if recipe.rng.integers(2) else None
        check(*bidirectional(recipe, auxiliary, weighted=auxiliary is not None), recipe)


def test_row_sums_that_wrap_around_are_bit_equal():
    for seed, build in enumerate([rnn, unidirectional, bidirectional, svdf] * 2):
        inputs = int(np.random.default_rng(seed).integers(2100, 5000))
        recipe = Recipe(seed, True, inputs=inputs, asymmetric=True, time_major=False, units=3, rank=2)
        graph, invocations = build(recipe)
        for tensor in graph.tensors:
            if tensor.type == "INT8" and tensor.shape[1] == inputs:
                tensor.data = np.abs(tensor.data) // 2 + np.int8(60)
        shifted = [[value + F(0.3) for value in values] for values in invocations[:3]]
        check(graph, shifted, recipe)


# --- float sums through BLAS ----------------------------------------------------------------------


def test_one_float_rnn_step_through_blas_is_within_the_bound():
    for seed in range(CONFIGURATIONS):
        rng = np.random.default_rng(seed)
        activation = ACTIVATIONS[seed % 4]  # those that do not stretch distances
        recipe = Recipe(seed, False, activation=activation)
        graph, invocations = rnn(recipe)
        w, r, b = (graph.tensors[i].data for i in graph.operators[0].inputs[1:4])
        theirs = litert_interpreter(graph)
        state = graph.operators[0].inputs[4]
        for values in invocations[: 1 + rng.integers(3)]:
            h = theirs.get_tensor(state)
            expected, _ = invoke(theirs, graph, values)
        found, _ = rnn_float(values[0], w, r, b, h, activation)
        total = np.abs(values[0]) @ np.abs(w).T + np.abs(h) @ np.abs(r).T + np.abs(b)
        bound = (w.shape[1] + r.shape[1] + 2) * 2.0**-23 * total.astype(np.float64)
        assert (np.abs(found.astype(np.float64) - expected) <= bound).all()


def test_a_float_svdf_feature_through_blas_is_within_the_bound():
    for seed in range(CONFIGURATIONS):
        graph, invocations = svdf(Recipe(seed, False))
        weights = graph.tensors[graph.operators[0].inputs[1]].data
        ours, theirs = ptq.Interpreter(graph=graph), litert_interpreter(graph)
        ours.allocate_tensors()
        (_, found), (_, expected) = (invoke(run, graph, invocations[0]) for run in (ours, theirs))
        total = np.abs(invocations[0][0]).astype(np.float64) @ np.abs(weights).T
        newest = np.abs(found.astype(np.float64) - expected).reshape(*total.shape, -1)[:, :, -1]
        assert (newest <= (weights.shape[1] + 2) * 2.0**-23 * total).all()


# --- the defects of BIDIRECTIONAL_SEQUENCE_RNN ----------------------------------------------------


@ARITHMETICS
def test_defects_are_refused_by_default_and_reproduced_on_request(hybrid):
    reproduced = refused = 0
    for seed in range(2 * CONFIGURATIONS):
        recipe = Recipe(seed, hybrid, reach=0.2)  # no state may grow beyond all bounds in 144 steps
        kind = recipe.rng.integers(3)
        auxiliary = (None, int(recipe.rng.integers(1, 41)), recipe.inputs)[kind]
        graph, invocations = bidirectional(recipe, auxiliary, weighted=kind == 1)
        repeated = hybrid and recipe.time_major
        crashes = repeated and recipe.merge_outputs and not recipe.asymmetric and recipe.batch > 1
        misread = kind == 1 and auxiliary != recipe.inputs and (hybrid or recipe.time_major)
        outside = misread and auxiliary < recipe.inputs
        unread = kind == 2 and not recipe.time_major
        if repeated or misread or unread:
            with pytest.raises(UnsupportedError, match="defect"):
                ptq.Interpreter(graph=graph).run(invocations[0])
        if crashes or outside:
            refused += 1
            with pytest.raises(UnsupportedError, match="defect"):
                ptq.Interpreter(graph=graph, numerics=REPRODUCE).run(invocations[0])
        else:
            reproduced += repeated or misread or unread
            check(graph, invocations, (kind, recipe), REPRODUCE)
    assert reproduced >= 100 and refused >= 40


def test_an_intended_hybrid_time_major_sequence_is_what_litert_computes_batch_major():
    for seed in range(CONFIGURATIONS // 4):
        recipe = Recipe(seed, True, time_major=True)
        graph, invocations = bidirectional(recipe)
        for index in (3, 7):
            bias = graph.tensors[graph.operators[0].inputs[index]]
            bias.data = bias.data + F(0)  # no -0, for which the layouts differ: they skip other zeros
        found = ptq.Interpreter(graph=graph, numerics=INTENDED).run(invocations[0])
        turned = graph.copy()
        turned.operators[0].options["time_major"] = False
        for index in (*turned.inputs, *turned.outputs):
            steps, batch, size = turned.tensors[index].shape
            turned.tensors[index].shape = (batch, steps, size)
        x = np.ascontiguousarray(invocations[0][0].swapaxes(0, 1))
        expected = invoke(litert_interpreter(turned), turned, [x])
        for ours, theirs in zip(found, expected, strict=False):
            assert_same_bits(ours, np.ascontiguousarray(theirs.swapaxes(0, 1)), recipe)


def test_an_intended_auxiliary_input_of_another_size_is_one_padded_with_zeros():
    for seed in range(CONFIGURATIONS // 4):
        recipe = Recipe(seed, True, time_major=False, inputs=24)
        graph, invocations = bidirectional(recipe, 8, weighted=True)  # whole registers round alike
        found = ptq.Interpreter(graph=graph, numerics=INTENDED).run(invocations[0])
        x, auxiliary = invocations[0]
        padding = [(0, 0), (0, 0), (0, 16)]
        for index in graph.operators[0].inputs[10:12]:
            weights = graph.tensors[index]
            weights.data = np.pad(weights.data, padding[1:])
            weights.shape = weights.data.shape
        graph.tensors[graph.inputs[1]].shape = x.shape
        expected = invoke(litert_interpreter(graph), graph, [x, np.pad(auxiliary, padding)])
        for ours, theirs in zip(found, expected, strict=False):
            assert_same_bits(ours, theirs, recipe)


def test_an_intended_input_of_the_way_back_is_what_litert_reads_in_time_major_tensors():
    for seed in range(CONFIGURATIONS // 4):
        recipe = Recipe(seed, False, time_major=False)
        graph, invocations = bidirectional(recipe, recipe.inputs)
        found = ptq.Interpreter(graph=graph, numerics=INTENDED).run(invocations[0])
        graph.operators[0].options["time_major"] = True
        for index in (*graph.inputs, *graph.outputs):
            batch, steps, size = graph.tensors[index].shape
            graph.tensors[index].shape = (steps, batch, size)
        turned = [np.ascontiguousarray(value.swapaxes(0, 1)) for value in invocations[0]]
        expected = invoke(litert_interpreter(graph), graph, turned)
        for ours, theirs in zip(found, expected, strict=False):
            assert_same_bits(ours, np.ascontiguousarray(theirs.swapaxes(0, 1)), recipe)
