"""SavedModels read without TensorFlow, beside the files that TensorFlow's own converter writes of them."""

import numpy as np
import pytest
from litert import assert_same_bits, run_litert
from tensorflow_files import (
    FOLDED_ERROR,
    assert_same_constants,
    assert_same_signature,
    constants,
    converted,
    described,
    feeds,
    rounding_bound,
    translated,
    types,
)
from tensorflow_models import LARGE, SMALL, Exported, randomise

import ptq
from ptq.saved_model import pointwise

pytestmark = pytest.mark.peers

@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    return Exported(tmp_path_factory.mktemp("saved_models"))


@pytest.fixture
def tensorflow_roots(monkeypatch):
    """TensorFlow's own 1 / sqrt for constants, the one function that ptq computes to other bits."""
    import tensorflow as tf

    monkeypatch.setattr(pointwise, "reciprocal_root", lambda x: tf.math.rsqrt(np.asarray(x)).numpy())


def run_by_name(graph):
    """LiteRT's outputs by their names; TensorFlow's files hold them in the order of a hash table."""
    results = dict(zip(graph.outputs, run_litert(graph, feeds(graph)), strict=True))
    return {name: results[index] for name, index in graph.signatures[0].outputs.items()}


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


# --- where the files differ, and why --------------------------------------------------------------


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
