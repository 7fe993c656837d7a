"""The trained separable classifier as TensorFlow saves it: `python -m ptq.zoo.tensorflow_export [-o DIR]`.

It rebuilds the network in Keras, puts the weights in that `ptq.zoo.train` found, and exports a SavedModel:
what ptq ships in `ptq/zoo/data/fashion_saved_model`, so that there is one to read where TensorFlow is not
installed. This module alone needs TensorFlow (extra `peers`); the one that ptq ships was written by 2.21.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path
from typing import Any

from ptq.errors import UnsupportedError
from ptq.graph import Array
from ptq.zoo import data
from ptq.zoo.fashion import fashion_ds_cnn_network
from ptq.zoo.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D, GlobalAverage, Layer, ReLU
from ptq.zoo.network import Network


def to_keras(network: Network) -> Any:
    """The network as a Keras model with the same weights: "image" [batch, 28, 28, 1] -> "probabilities"."""
    keras = import_module("keras")
    x = image = keras.Input((28, 28, 1), name="image")
    for layer in network.layers:
        x = _keras_layer(keras.layers, layer)(x)
    x = keras.layers.Softmax(name="softmax")(x)
    model = keras.Model(image, {"probabilities": x}, name="fashion_ds_cnn")
    for layer in network.layers:
        weights = _keras_weights(layer)
        if weights:
            model.get_layer(layer.name).set_weights(weights)
    return model


def export(directory: str | Path) -> None:
    """Write the SavedModel of the trained network, with the signature "serving_default".

    A module that holds the variables alone is saved: with `model.export` of Keras 3 the directory would be
    twice as large, as that stores every variable twice and every function for two purposes.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else TensorFlow tells how it was built
    tf = import_module("tensorflow")
    network = fashion_ds_cnn_network()
    network.load(data.shipped_weights("fashion_ds_cnn"))
    model = to_keras(network)
    image = tf.TensorSpec([None, 28, 28, 1], tf.float32, "image")
    serve = tf.function(lambda image: model(image, training=False), input_signature=[image])
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(directory), signatures=serve)


def _keras_layer(layers: Any, layer: Layer) -> Any:
    name = layer.name
    match layer:
        case Conv2D():
            channels, window = len(layer.parameters["weights"]), (layer.kernel, layer.stride, layer.padding)
            return layers.Conv2D(channels, *window, use_bias=False, name=name)
        case DepthwiseConv2D():
            window = layer.kernel, layer.stride, layer.padding
            return layers.DepthwiseConv2D(*window, use_bias=False, name=name)
        case BatchNorm():
            return layers.BatchNormalization(epsilon=layer.epsilon, name=name)
        case ReLU():
            return layers.ReLU(name=name)
        case GlobalAverage():
            return layers.GlobalAveragePooling2D(name=name)
        case Dense():
            return layers.Dense(layer.parameters["bias"].size, name=name)
    raise UnsupportedError(f"layer '{name}': {type(layer).__name__} found, expected one of fashion_ds_cnn's")


def _keras_weights(layer: Layer) -> list[Array]:
    """The arrays of a layer in Keras' order and layout, TensorFlow's: the output channels last."""
    values = {**layer.parameters, **layer.statistics}
    match layer:
        case Conv2D() | DepthwiseConv2D():
            return [values["weights"].transpose(1, 2, 3, 0)]
        case BatchNorm():
            return [values[key] for key in ("gamma", "beta", "mean", "variance")]
        case Dense():
            return [values["weights"].T, values["bias"]]
    return []


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ptq.zoo.tensorflow_export", description=__doc__)
    parser.add_argument("-o", "--output", metavar="DIR", default=data.SAVED_MODEL)
    export(parser.parse_args().output)


if __name__ == "__main__":
    main()
