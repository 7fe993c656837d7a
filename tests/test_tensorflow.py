"""Our dynamic-range files beside TensorFlow's own, made from the same Keras models."""

import os

import numpy as np
import pytest

import ptq

pytestmark = pytest.mark.peers

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def plain(keras):
    layers = keras.layers
    image = keras.Input((16, 16, 8), batch_size=1)
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=4, strides=2)(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(16, 1)(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Dense(20, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def separable(keras):
    layers = keras.layers
    image = keras.Input((12, 12, 64), batch_size=1)
    x = layers.DepthwiseConv2D(5, padding="valid")(image)
    x = layers.add([x, layers.DepthwiseConv2D(5, padding="valid")(image)])
    x = layers.concatenate([layers.Conv2D(24, 3, strides=2)(x), layers.Conv2D(40, 3, strides=2)(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(100, activation="sigmoid")(x))


@pytest.fixture(scope="module", params=[plain, separable], ids=lambda build: build.__name__)
def files(request):
    """The float file, and TensorFlow's quantized ones: "current" and "2018" (legacy, per tensor)."""
    tf = pytest.importorskip("tensorflow")
    tf.keras.utils.set_random_seed(3)
    model = request.param(tf.keras)

    def convert(**options):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        for name, value in options.items():
            setattr(converter, name, value)
        return converter.convert()

    dynamic = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    legacy = {"experimental_new_dynamic_range_quantizer": False, "_experimental_disable_per_channel": True}
    return {
        "float": convert(),
        "current": convert(**dynamic),
        "2018": convert(**dynamic, **legacy),
    }


@pytest.mark.parametrize("recipe", ["current", "2018"])
def test_the_same_operators_versions_weights_and_scales(files, recipe):
    converter = ptq.Converter.from_tflite(files["float"])
    converter.post_training_quantize, converter.recipe = True, recipe
    ours, theirs = ptq.load(converter.convert()), ptq.load(files[recipe])
    assert [o.type for o in ours.operators] == [o.type for o in theirs.operators]
    quantized = 0
    for mine, other in zip(ours.operators, theirs.operators, strict=True):
        assert (mine.type, mine.options) == (other.type, other.options)
        if (recipe, mine.type) != ("2018", "DEPTHWISE_CONV_2D"):
            # today's legacy pass raises the version of every DEPTHWISE_CONV_2D to that of the hybrid kernel,
            # although these stay float; the first release had no such kernel, and ptq keeps version 1
            assert mine.version == other.version
        for i, j in zip(mine.inputs, other.inputs, strict=True):
            a, b = ours.tensors[i], theirs.tensors[j]
            assert (a.type, a.shape, a.is_constant) == (b.type, b.shape, b.is_constant)
            if a.is_constant:
                assert np.array_equal(a.data, b.data)
            if b.quantized is not None:
                quantized += 1
                assert a.quantized.scale.tobytes() == b.quantized.scale.tobytes()
                assert np.array_equal(a.quantized.zero_point, b.quantized.zero_point)
                if b.quantized.per_channel:
                    assert a.quantized.quantized_dimension == b.quantized.quantized_dimension
    assert quantized >= 3


def test_a_tensorflow_file_runs_as_in_litert_and_converts_by_the_announcement_s_lines(files, tmp_path):
    from litert import run_litert

    path = tmp_path / "float.tflite"
    path.write_bytes(files["float"])
    converter = ptq.Converter.from_tflite(path)
    converter.post_training_quantize = True
    content = converter.convert()
    graph = ptq.load(content)
    x = np.random.default_rng(1).random(graph.tensors[graph.inputs[0]].shape, dtype=np.float32)
    ours, theirs = ptq.Interpreter(model_content=content).run([x])[0], run_litert(graph, [x])[0]
    # float operators between the hybrid ones may differ in their last bits and move an activation by one
    # step of 1/255 of its range; the outputs are probabilities
    assert np.abs(ours - theirs).max() <= 1 / 255
