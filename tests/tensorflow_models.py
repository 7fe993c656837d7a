"""SavedModels that TensorFlow exports for the tests, and what its own converter makes of them."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def randomise(model):
    """Biases and statistics of batch normalization that are not trivial, all of magnitude below 2."""
    import keras

    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.weights:
                low, high = (0.5, 1.5) if variable.name in ("gamma", "moving_variance") else (-1, 1)
                variable.assign(rng.uniform(low, high, variable.shape).astype(np.float32))
        elif hasattr(getattr(layer, "bias", None), "assign"):
            layer.bias.assign(rng.uniform(-0.3, 0.3, layer.bias.shape).astype(np.float32))
    return model


def keras_cnn():
    from keras import Input, Model, layers

    x = image = Input((28, 28, 1), name="image")
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(24, 3, strides=2)(layers.ZeroPadding2D(1)(x))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.LeakyReLU(negative_slope=0.2)(layers.SeparableConv2D(32, 3, padding="same")(x))
    x = layers.Dropout(0.3)(layers.MaxPooling2D(2)(x))
    x = layers.Dense(40, activation="relu")(layers.Flatten()(x))
    return Model(image, layers.Dense(10, activation="softmax")(layers.BatchNormalization()(x)))


def keras_mlp():
    from keras import Input, Sequential, layers

    widths = [layers.Dense(64, activation="relu"), layers.Dense(32, activation="tanh"), layers.Dense(5)]
    return Sequential([Input((40,), name="features"), *widths])


def keras_sequences():
    """Audio: convolutions along time, a dense layer at each step, layer normalization."""
    from keras import Input, Model, layers

    x = frames = Input((64, 4))
    x = layers.BatchNormalization()(layers.Conv1D(16, 5, padding="same", activation="relu")(x))
    x = layers.MaxPooling1D(2)(x)
    x = layers.LayerNormalization()(layers.Dense(32, activation="relu")(x))
    return Model(frames, layers.Dense(3, activation="sigmoid")(layers.GlobalMaxPooling1D()(x)))


def keras_many():
    """Two inputs and two outputs."""
    from keras import Input, Model, layers

    left, right = Input((16,), name="left"), Input((16, 16, 3), name="right")
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(right))
    x = layers.Dense(8)(left)
    kind = layers.Dense(3, activation="softmax")(layers.Concatenate()([x, y, layers.Add()([x, y])]))
    score = layers.Dense(1, activation="sigmoid")(layers.Multiply()([x, y]))
    return Model([left, right], {"kind": kind, "score": score})


def keras_unet():
    from keras import Input, Model, layers

    x = image = Input((32, 32, 3))
    x = skip = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(x))
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.AveragePooling2D(2)(layers.Concatenate()([x, skip]))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))


def application(name, size, **options):
    """A network of keras.applications with random weights."""

    def build():
        from keras import applications

        return getattr(applications, name)(weights=None, input_shape=(size, size, 3), **options)

    return build


def tensorflow_module():
    """A tf.Module: explicit padding, split, pack, slices and fused batch normalization."""
    import tensorflow as tf

    rng = np.random.default_rng(1)

    def variable(*shape, low=-0.3, high=0.3):
        return tf.Variable(rng.uniform(low, high, shape).astype(np.float32))

    class Module(tf.Module):
        def __init__(self):
            self.filter, self.depth = variable(3, 3, 3, 8), variable(3, 3, 8, 2)
            self.statistics = [variable(8, low=0.5, high=1.5) for _ in range(4)]
            self.weights, self.bias = variable(16, 10), variable(10)

        @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32, "pixels")])
        def __call__(self, x):
            x = tf.nn.conv2d(x, self.filter, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
            x, _, _ = tf.compat.v1.nn.fused_batch_norm(x, *self.statistics, is_training=False)
            x = tf.nn.depthwise_conv2d(tf.nn.relu6(x), self.depth, [1, 1, 1, 1], "SAME")
            x = tf.nn.relu(x * tf.nn.sigmoid(x)) - 0.5
            x = tf.maximum(*tf.split(x, 2, axis=1))
            x = tf.reduce_mean(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), [1, 2])
            x = tf.matmul(tf.reshape(x, [tf.shape(x)[0], 16]), self.weights) + self.bias
            pair = tf.transpose(tf.stack([x, -x], axis=1), [0, 2, 1])
            return {
                "logits": tf.nn.log_softmax(x), "best": tf.argmax(x, -1),
                "squares": tf.square(pair[:, 1:8, 0]), "top": tf.reduce_max(pair, axis=[1, 2]),
            }  # fmt: skip

    return Module()


SMALL = {
    "cnn": keras_cnn, "mlp": keras_mlp, "sequences": keras_sequences, "many": keras_many, "unet": keras_unet,
    "mobilenet": application("MobileNet", 64, alpha=0.25),
    "mobilenet_v2": application("MobileNetV2", 64, alpha=0.35),
    "mobilenet_v3": application("MobileNetV3Small", 64, alpha=0.75), "module": tensorflow_module,
}  # fmt: skip
"""Models whose files, float and quantized, are compared in full."""

LARGE = {"inception_v3": application("InceptionV3", 96), "resnet101_v2": application("ResNet101V2", 64)}
"""Models that TensorFlow takes a minute to convert: their quantized files alone."""


class Exported:
    """Exports models into a directory and converts them with TensorFlow, each once."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.float_file = functools.cache(lambda name: self._convert(name, quantized=False))
        self.quantized_file = functools.cache(lambda name: self._convert(name, quantized=True))
        self.path = functools.cache(self._export)

    def _export(self, name: str) -> Path:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(7)
        model, target = {**SMALL, **LARGE}[name](), self.directory / name
        if isinstance(model, keras.Model):
            randomise(model).export(target, verbose=False)
        else:
            tf.saved_model.save(model, target)
        keras.backend.clear_session()
        return target

    def _convert(self, name: str, quantized: bool) -> bytes:
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(self.path(name)))
        if quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return converter.convert()
