"""Beside TensorFlow's own files: what is compared, and how far apart numbers may be."""

import numpy as np

import ptq
from ptq.saved_model import read, translate

STEP = 2.0**-24
"""Half the distance of float32 numbers near 1: the most that one rounding changes, relatively."""

FOLDED_ERROR = 8 * STEP
"""Of weights folded with TensorFlow's 1 / sqrt, which is up to two float32 steps (4 STEP) off, relatively.

Two more products are rounded on both sides, root * gamma and weight * multiplier: 4 STEP.
"""


def translated(path):
    return translate(read(path))


def described(graph):
    """What each operator is: type, version and options, without what CAST says of its types."""
    skipped = {"in_data_type", "out_data_type", "new_shape", "quant_spec"}

    def options(operator):
        return {k: v for k, v in operator.options.items() if k not in skipped and v not in (None, 0, "NONE")}

    return [(operator.type, operator.version, options(operator)) for operator in graph.operators]


def constants(graph):
    """The constants of each operator in order, with their scales."""
    for operator in graph.operators:
        for position, index in enumerate(operator.inputs):
            tensor = graph.tensors[index] if index >= 0 else None
            if tensor is not None and tensor.is_constant:
                yield (operator.type, position), tensor


def scales(tensor):
    q = tensor.quantized
    return None if q is None else (q.scale.tobytes(), q.zero_point.tobytes(), q.quantized_dimension)


def assert_same_constants(ours, theirs):
    for (place, mine), (other_place, other) in zip(constants(ours), constants(theirs), strict=True):
        assert place == other_place
        assert (mine.type, mine.shape) == (other.type, other.shape), place
        assert mine.data.tobytes() == other.data.tobytes(), f"{place} {mine.name}"
        assert scales(mine) == scales(other), f"{place} {mine.name}"


def assert_same_signature(ours, theirs):
    (mine,), (other,) = ours.signatures, theirs.signatures
    assert mine.key == other.key
    for a, b in ((mine.inputs, other.inputs), (mine.outputs, other.outputs)):
        assert list(a) == list(b)
        for name in a:
            tensor, expected = ours.tensors[a[name]], theirs.tensors[b[name]]
            assert (tensor.type, tensor.shape) == (expected.type, expected.shape)
            assert tensor.shape_signature == expected.shape_signature


def feeds(graph, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, graph.tensors[i].shape).astype(np.float32) for i in graph.inputs]


def rounding_bound(graph):
    """How far float32 results in different orders of summation may be apart, relative to the largest.

    A layer of n products adds at most n STEP on each side and FOLDED_ERROR of its weights; every other
    operator a few steps. The sum over all operators bounds the end result where no operator amplifies what it
    reads, as is so for networks with normalized activations.
    """
    total = 0.0
    for operator in graph.operators:
        weights = graph.tensors[operator.inputs[1]] if len(operator.inputs) > 1 else None
        terms = 4
        if weights is not None and weights.is_constant and weights.shape:
            terms = max(terms, weights.size // weights.shape[0])
        total += 2 * terms * STEP + FOLDED_ERROR
    return total


def types(graph):
    return [operator.type for operator in graph.operators]


def converted(path):
    import tensorflow as tf

    return ptq.load(tf.lite.TFLiteConverter.from_saved_model(str(path)).convert())
