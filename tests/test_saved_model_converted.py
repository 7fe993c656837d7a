"""SavedModels read without TensorFlow, beside the files that TensorFlow's own converter writes of them."""

import numpy as np
import pytest
from litert import assert_same_bits, run_litert
from tensorflow_models import LARGE, SMALL, Exported, randomise

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


# --- where the files differ, and why --------------------------------------------------------------


def types(graph):
    return [operator.type for operator in graph.operators]


def converted(path):
    import tensorflow as tf

    return ptq.load(tf.lite.TFLiteConverter.from_saved_model(str(path)).convert())


def test_weights_that_tensorflow_leaves_in_variables(tmp_path):
    """Keras 3's models in tf.saved_model.save: TensorFlow's file reads variables, ptq's has constants."""
    import tensorflow as tf

    model = randomise(SMALL["mlp"]())
    tf.saved_model.save(model, tmp_path)
    ours = translated(tmp_path)
    assert {"VAR_HANDLE", "READ_VARIABLE", "BATCH_MATMUL"} < set(types(converted(tmp_path)))
    assert types(ours) == ["FULLY_CONNECTED", "FULLY_CONNECTED", "TANH", "FULLY_CONNECTED"]
    stored = [tensor.data for _, tensor in constants(ours)]
    weights = [variable.numpy() for variable in model.weights]
    for found, expected in zip(stored, weights, strict=True):
        assert found.tobytes() == expected.T.tobytes()


def test_dilated_convolutions_are_one_operator(tmp_path):
    """TensorFlow's files keep the operators around them where the batch is open, and so a bias after them."""
    from keras import Input, Model, layers

    image = Input((14, 14, 3))
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, activation="relu")(image)
    x = layers.SeparableConv2D(8, 3, padding="same", dilation_rate=3)(x)
    randomise(Model(image, x)).export(tmp_path, verbose=False)
    ours, theirs = translated(tmp_path), converted(tmp_path)
    around = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "ADD")
    assert set(around) < set(types(theirs))
    assert types(ours) == [name for name in types(theirs) if name not in around]
    assert types(ours) == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    (x,) = feeds(ours)
    (found,), (expected,) = run_litert(ours, [x]), run_litert(theirs, [x])
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding_bound(ours) * np.abs(expected).max())


def test_a_frozen_graph_of_tensorflow_1(tmp_path):
    import tensorflow as tf

    rng = np.random.default_rng(2)
    filter, weights = (rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((3, 3, 1, 4), (64, 5)))
    statistics = [rng.uniform(0.5, 1.5, 4).astype(np.float32) for _ in range(4)]
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 8, 8, 1), "image")
        x = tf.compat.v1.nn.conv2d(x, filter, (1, 2, 2, 1), "SAME")
        x, _, _ = tf.compat.v1.nn.fused_batch_norm(x, *statistics, is_training=False)
        x = tf.matmul(tf.reshape(tf.nn.relu6(x), (-1, 64)), weights)
        tf.nn.softmax(x, name="probabilities")
    path = tmp_path / "frozen.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(str(path), ["image"], ["probabilities"])
    ours = ptq.Converter.from_saved_model(path).convert_to_graph()
    assert types(ours) == types(ptq.load(converter.convert()))
    assert types(ours) == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


def test_keras_2(tmp_path):
    keras = pytest.importorskip("tf_keras", reason="Keras 2, the package tf_keras, is not installed")
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(image))
    x = layers.DepthwiseConv2D(3, strides=2, activation="relu")(layers.ReLU(6.0)(x))
    x = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x).save(tmp_path / "model", save_format="tf")
    ours, theirs = translated(tmp_path / "model"), converted(tmp_path / "model")
    assert described(ours) == described(theirs)
    assert_same_signature(ours, theirs)
