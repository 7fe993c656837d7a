"""Models and images that ptq ships: two trained classifiers of clothes, and MobileNet-v1 to time.

    graph = ptq.zoo.fashion_cnn()
    images, labels = ptq.zoo.data.test_images()

`ptq.zoo.train` is how the classifiers were trained.
"""

from ptq.graph import Graph
from ptq.zoo import data
from ptq.zoo.export import to_graph
from ptq.zoo.fashion import fashion_cnn_network, fashion_ds_cnn_network
from ptq.zoo.mobilenet import mobilenet_v1

__all__ = ["data", "fashion_cnn", "fashion_ds_cnn", "mobilenet_v1"]


def fashion_cnn() -> Graph:
    """The trained plain CNN: float32 "image" [batch, 28, 28, 1] in 0..1 -> "probabilities" [batch, 10].

    Accuracy: 92.80 % of the 10,000 test images, 93.30 % of the 2,000 that ptq ships.
    """
    network = fashion_cnn_network()
    network.load(data.shipped_weights("fashion_cnn"))
    return to_graph(network, "fashion_cnn")


def fashion_ds_cnn() -> Graph:
    """The trained depthwise-separable CNN; inputs and outputs as `fashion_cnn`.

    Accuracy: 89.45 % of the 10,000 test images, 90.00 % of the 2,000 that ptq ships.
    """
    network = fashion_ds_cnn_network()
    network.load(data.shipped_weights("fashion_ds_cnn"))
    return to_graph(network, "fashion_ds_cnn")
