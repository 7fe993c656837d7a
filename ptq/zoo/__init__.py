"""Models and data: trained classifiers of clothes and of place names, and networks of random weights to time.

    graph = ptq.zoo.fashion_cnn()
    images, labels = ptq.zoo.data.test_images()
    graph = ptq.zoo.country_lstm(batch=250)
    ids, labels = ptq.zoo.names.test_names()

`ptq.zoo.train` is how the classifiers were trained, `ptq.zoo.accuracy` what quantization costs them. The
others are the networks of the announcement of post-training quantization, which `ptq.figures` measures.
"""

from ptq.graph import Graph
from ptq.zoo import data, names
from ptq.zoo.country import country_lstm_network
from ptq.zoo.export import to_graph
from ptq.zoo.fashion import fashion_cnn_network, fashion_ds_cnn_network
from ptq.zoo.inception import inception_v3
from ptq.zoo.lstm import stacked_lstm
from ptq.zoo.mobilenet import mobilenet_v1, mobilenet_v2
from ptq.zoo.resnet import resnet_v2_101

__all__ = [
    "country_lstm", "data", "fashion_cnn", "fashion_ds_cnn", "inception_v3", "mobilenet_v1", "mobilenet_v2",
    "names", "resnet_v2_101", "stacked_lstm",
]  # fmt: skip


def fashion_cnn() -> Graph:
    """The trained plain CNN: float32 "image" [batch, 28, 28, 1] in 0..1 -> "probabilities" [batch, 10].

    Accuracy: 92.80 % of the 10,000 test images, 93.30 % of the 2,000 that ptq ships.
    """
    network = fashion_cnn_network()
    network.load(data.shipped_weights("fashion_cnn"))
    return to_graph(network, "fashion_cnn")


def fashion_ds_cnn() -> Graph:
    """The trained depthwise-separable CNN; inputs and outputs as `fashion_cnn`.

    Accuracy: 91.18 % of the 10,000 test images, 92.35 % of the 2,000 that ptq ships. Two of its
    depthwise layers read channels that are always 0, and whose folded weights are the largest of all: with
    one int8 scale for a whole layer it loses 4.7 points, with one for each channel none
    (`python -m ptq.zoo.accuracy`).
    """
    network = fashion_ds_cnn_network()
    network.load(data.shipped_weights("fashion_ds_cnn"))
    return to_graph(network, "fashion_ds_cnn")


def country_lstm(batch: int = 1) -> Graph:
    """The trained LSTM: int32 "letters" [batch, 20] -> "probabilities" [batch, 12], a country of each name.

    batch: how many names an invocation reads; it is fixed, because the states have it. They are kept
    after an invocation, too: call `reset_all_variables` before the next names.
    Accuracy: 82.55 % of the 2,000 test names; the best constant answer: 9.40 %, a linear classifier of
    how often each letter occurs (`ptq.zoo.country`): 54.35 %.
    """
    network = country_lstm_network()
    network.load(data.shipped_weights("country_lstm"))
    return to_graph(network, "country_lstm", "letters", (batch, names.LENGTH), "INT32")
