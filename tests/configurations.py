"""Hundreds of random configurations of one operator, compared with LiteRT's reference kernels bit for bit.

To be quick, a graph holds many operators of a kind, each with inputs of its own.
"""

import numpy as np
from litert import assert_same_bits, run_litert

from ptq.build import Builder
from ptq.graph import type_of
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE

COUNT = 1200
PER_GRAPH = 40
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38, 6, -1, 1], np.float32)
MOVED = [np.float32, np.int8, np.uint8, np.int16, np.int32, np.int64]


def reals(rng, shape, odd=0.2):
    """Floats of all scales; now and then zeros, NaN, infinities and subnormals among them."""
    x = rng.normal(size=shape).astype(np.float32)
    x *= np.float32(10.0 ** (rng.integers(-3, 4) if rng.random() < 0.8 else rng.integers(-44, 38)))
    if rng.random() < odd and x.size:
        where = rng.random(shape) < 0.3
        x[where] = rng.choice(ODD, int(where.sum()))
    return x


def integers(rng, shape, dtype):
    """All integers of a type, its limits included."""
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def anything(rng, shape, dtype):
    """An array of any dtype that a mover may meet."""
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    return reals(rng, shape) if dtype == np.float32 else integers(rng, shape, dtype)


def pick(rng, *choices):
    """One of the choices, as it is."""
    return choices[rng.integers(len(choices))]


def shape_of(rng, rank, largest=5, smallest=1):
    """A random shape."""
    return tuple(int(n) for n in rng.integers(smallest, largest + 1, rank))


def compare(configure, count=COUNT, seed=0, run=run_litert, numerics=LITERT_REFERENCE):
    """Run `count` configurations here and in LiteRT, or in what `run(graph, inputs)` runs.

    `configure(rng)` gives the input arrays of an operator, or pairs (array, quantization), and a function
    that adds the operator to a builder and returns its output or a list of its outputs.
    """
    rng = np.random.default_rng(seed)
    for _ in range(0, count, PER_GRAPH):
        builder, arrays, outputs, labels = Builder("many"), [], [], []
        for _ in range(PER_GRAPH):
            values, add = configure(rng)
            tensors = []
            for value in values:
                value, quantization = value if isinstance(value, tuple) else (value, None)
                name = f"input_{len(arrays)}"
                tensors.append(builder.input(name, value.shape, type_of(value.dtype), quantization))
                arrays.append(value)
            added = add(builder, *tensors)
            added = added if isinstance(added, list) else [added]
            outputs += added
            labels += [f"{builder.graph.operators[-1]} on {[t.shape for t in tensors]}"] * len(added)
        graph = builder.finish(*outputs)
        expected = run(graph, arrays)
        found = Interpreter(graph=graph, numerics=numerics).run(arrays)
        for ours, theirs, label in zip(found, expected, labels, strict=True):
            assert_same_bits(ours, theirs, label)
