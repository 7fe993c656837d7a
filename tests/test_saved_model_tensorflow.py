"""SavedModels read without TensorFlow, beside the files that TensorFlow's own converter writes of them."""

import numpy as np
import pytest
from litert import assert_same_bits, run_litert
from tensorflow_models import LARGE, SMALL, Exported

import ptq
from ptq.saved_model import pointwise, read, translate

pytestmark = pytest.mark.peers

STEP = 2.0**-24
"""Half the distance of float32 numbers near 1: the most that one rounding changes, relatively."""

FOLDED_ERROR = 8 * STEP
"""Of weights folded with TensorFlow's 1 / sqrt, which is up to two float32 steps (4 STEP) off, relatively.

Two more products are rounded on both sides, root * gamma and weight * multiplier: 4 STEP.
"""


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    return Exported(tmp_path_factory.mktemp("saved_models"))


@pytest.fixture
def tensorflow_roots(monkeypatch):
    """TensorFlow's own 1 / sqrt for constants, the one function that ptq computes to other bits."""
    import tensorflow as tf

    monkeypatch.setattr(pointwise, "reciprocal_root", lambda x: tf.math.rsqrt(np.asarray(x)).numpy())


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


def run_by_name(graph):
    """LiteRT's outputs by their names; TensorFlow's files hold them in the order of a hash table."""
    results = dict(zip(graph.outputs, run_litert(graph, feeds(graph)), strict=True))
    return {name: results[index] for name, index in graph.signatures[0].outputs.items()}


def feeds(graph, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, graph.tensors[i].shape).astype(np.float32) for i in graph.inputs]


@pytest.mark.parametrize("name", SMALL)
def test_float_file_is_tensorflows(name, exported, tensorflow_roots):
    ours, theirs = translated(exported.path(name)), ptq.load(exported.float_file(name))
    assert described(ours) == described(theirs)
    assert_same_constants(ours, theirs)
    assert_same_signature(ours, theirs)
    found, expected = run_by_name(ours), run_by_name(theirs)
    for key in expected:
        assert_same_bits(found[key], expected[key], key)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_quantized_file_is_tensorflows(name, exported, tensorflow_roots):
    converter = ptq.Converter(translated(exported.path(name)))
    converter.post_training_quantize = True
    ours, theirs = converter.convert_to_graph(), ptq.load(exported.quantized_file(name))
    assert [op.type for op in ours.operators] == [op.type for op in theirs.operators]
    assert_same_constants(ours, theirs)


@pytest.mark.parametrize("name", ["cnn", "mobilenet", "module"])
def test_folded_weights_differ_by_tensorflows_root_alone(name, exported):
    ours, theirs = translated(exported.path(name)), ptq.load(exported.float_file(name))
    for (place, mine), (_, other) in zip(constants(ours), constants(theirs), strict=True):
        if mine.type != "FLOAT32":
            assert mine.data.tolist() == other.data.tolist()
        elif mine.data.ndim == 1:  # a bias: sums of at most three products, each below 8
            bound = 3 * 8 * FOLDED_ERROR
            np.testing.assert_allclose(mine.data, other.data, rtol=0, atol=bound, err_msg=str(place))
        else:
            bound = FOLDED_ERROR
            np.testing.assert_allclose(mine.data, other.data, rtol=bound, atol=0, err_msg=str(place))


@pytest.mark.parametrize("name", ["cnn", "mlp", "sequences", "many", "unet", "mobilenet_v2", "module"])
def test_outputs_are_tensorflows(name, exported):
    import tensorflow as tf

    graph = translated(exported.path(name))
    interpreter = ptq.Interpreter(graph=graph)
    inputs = [np.concatenate([value, value / 2]) for value in feeds(graph)]
    for index, value in zip(graph.inputs, inputs, strict=True):
        interpreter.resize_tensor_input(index, value.shape)
    found = dict(zip(graph.signatures[0].outputs, interpreter.run(inputs), strict=True))
    model = tf.saved_model.load(exported.path(name))
    fed = {key: tf.constant(value) for key, value in zip(graph.signatures[0].inputs, inputs, strict=True)}
    expected = model.signatures["serving_default"](**fed)
    bound = rounding_bound(graph)
    for key, value in found.items():
        reference = expected[key].numpy()
        scale = max(1.0, float(np.abs(reference).max()))
        np.testing.assert_allclose(value, reference, rtol=0, atol=bound * scale)


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
