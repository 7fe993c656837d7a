"""Random integer LSTM layers of every variant, for the comparisons with LiteRT and with micro."""

import numpy as np

from ptq.graph import ABSENT, Graph, Operator, Quantization, Tensor
from ptq.operators import default_options

F = np.float32
SWITCHES = ("cifg", "peephole", "normalization", "projection", "projection_bias", "time_major")


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


def int8_zero_point(rng):
    """Anywhere, and at both ends."""
    return int(rng.choice([-128, 127, 0, rng.integers(-128, 128)]))


class Recipe:
    """A random choice of everything that an integer LSTM can be; `fixed` overrides it.

    zero_point: of the output, if it is fixed.
    """

    def __init__(self, rng, **fixed):
        self.rng = rng
        self.batch, self.inputs = int(rng.integers(1, 4)), int(rng.choice([1, 3, 8, 16, 23]))
        self.cells = int(rng.choice([1, 3, 4, 8, 13, 17, 20, 33]))
        vars(self).update({name: bool(rng.integers(2)) for name in SWITCHES})
        self.cell_clip, self.proj_clip = (float(rng.choice([0, 0, 0.3, 1.7])) for _ in range(2))
        self.cell_exponent = int(rng.integers(-15, -8))
        self.reach = float(rng.choice([0.3, 1, 1, 4, 30]))
        self.zero_point = None
        vars(self).update(fixed)
        if "outputs" not in fixed:
            several = self.projection and not self.peephole
            self.outputs = int(rng.integers(1, self.cells + 3)) if several else self.cells

    def __repr__(self):
        return str({k: v for k, v in vars(self).items() if k != "rng"})

    def scale(self, middle):
        """A scale around `middle`, of which the gates' sums are of the size of `reach`."""
        return F(middle * np.exp(self.rng.uniform(-1, 1)))

    def layer(self, graph, x_scale, h_scale):
        """Inputs 1 to 17."""
        rng, n, k, o = self.rng, self.cells, self.inputs, self.outputs
        spread = 70 * 70  # of a product of two int8

        def matrix(name, shape, scale):
            data = rng.integers(-127, 128, shape).astype(np.int8)
            if rng.random() < 0.1:
                data[...] = rng.choice([-128, -127, 127])
            return constant(graph, name, data, scale)

        def four(name, make):
            return [ABSENT if self.cifg and gate == "i" else make(f"{name}{gate}") for gate in "ifco"]

        unit = 1.0 if not self.normalization else 4.0
        w_scale = self.reach * unit / (spread * np.sqrt(k)) / x_scale
        r_scale = self.reach * unit / (spread * np.sqrt(o)) / h_scale
        inputs = four("W", lambda name: matrix(name, (n, k), self.scale(w_scale)))
        inputs += four("R", lambda name: matrix(name, (n, o), self.scale(r_scale)))
        peepholes = [ABSENT] * 3
        if self.peephole:
            whole = four("p", lambda name: self.vector(graph, name, n, np.int16, self.scale(2.0**-15)))
            peepholes = [whole[0], whole[1], whole[3]]
        inputs += peepholes
        inputs += four("b", lambda name: self.bias(graph, name, n, 2.0 ** (12 + 2 * self.normalization)))
        if not self.projection:
            return [*inputs, ABSENT, ABSENT]
        inputs += [matrix("P", (o, n), self.scale(0.02 / np.sqrt(n)))]
        return [*inputs, self.bias(graph, "bP", o, 2.0**10) if self.projection_bias else ABSENT]

    def vector(self, graph, name, size, dtype, scale):
        limits = np.iinfo(dtype)
        data = self.rng.integers(limits.min, limits.max, size, dtype, endpoint=True)
        return constant(graph, name, data, scale)

    def bias(self, graph, name, size, spread):
        data = (self.rng.normal(0, spread, size)).astype(np.int32)
        if self.rng.random() < 0.1:
            data[...] = self.rng.choice([-(2**30), 2**30, 0])
        return constant(graph, name, data, 2.0**-20)

    def graph(self, operator="UNIDIRECTIONAL_SEQUENCE_LSTM", steps=12):
        """A graph of one layer, and the shape of its input."""
        rng, graph = self.rng, Graph()
        sequence = (steps, self.batch) if self.time_major else (self.batch, steps)
        sequence = (self.batch,) if operator == "LSTM" else sequence
        x_scale, h_scale = self.scale(1 / 64), self.scale(1 / 100)
        read, written = (quantization(s, int8_zero_point(rng)) for s in (x_scale, h_scale))
        if self.zero_point is not None:
            written.zero_point[0] = self.zero_point
        graph.inputs = [graph.add_tensor(Tensor("x", (*sequence, self.inputs), "INT8", None, read))]
        inputs = [0, *self.layer(graph, x_scale, h_scale)]
        kept = quantization(2.0**self.cell_exponent)
        states = ("h", self.outputs, "INT8", written), ("c", self.cells, "INT16", kept)
        for name, width, kind, scale in states:
            state = Tensor(name, (self.batch, width), kind, None, scale, is_variable=True)
            inputs.append(graph.add_tensor(state))
        norms = [ABSENT] * 4
        if self.normalization:
            gates = [ABSENT] * self.cifg
            norms = gates + [
                self.vector(graph, f"n{g}", self.cells, np.int16, self.scale(2.0**-14))
                for g in ("fco" if self.cifg else "ifco")
            ]
        graph.outputs = [graph.add_tensor(Tensor("y", (*sequence, self.outputs), "INT8", None, written))]
        table, options = default_options(operator)
        options.update(fused_activation_function="TANH", cell_clip=self.cell_clip, proj_clip=self.proj_clip)
        if operator != "LSTM":
            options["time_major"] = self.time_major
        layer = Operator(operator, inputs + norms, graph.outputs[:], options, table, 3)
        layer.extra["intermediates"] = self.intermediates(graph, written)
        graph.operators = [layer]
        return graph

    def intermediates(self, graph, written):
        gates = [quantization(self.scale(2.0**-11)) for _ in range(4)]
        hidden = quantization(self.scale(1 / 127), int8_zero_point(self.rng)) if self.projection else written
        return [
            graph.add_tensor(Tensor(f"intermediate_{i}", (0,), "INT16", None, scale))
            for i, scale in enumerate([*gates, hidden])
        ]

    def x(self, graph):
        """Inputs of several kinds."""
        shape = graph.tensors[0].shape
        x = self.rng.integers(-128, 128, shape).astype(np.int8)
        if self.rng.random() < 0.3:
            x = np.where(x > 0, 127, -128).astype(np.int8)
        x[self.rng.random(shape[:-1]) < 0.2] = graph.tensors[0].quantization.zero_point[0]
        return x


def constant(graph, name, data, scale):
    kind = {1: "INT8", 2: "INT16", 4: "INT32"}[data.itemsize]
    return graph.add_tensor(Tensor(name, data.shape, kind, data, quantization(scale)))
