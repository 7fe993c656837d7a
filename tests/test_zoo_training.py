"""Training in NumPy: gradients against finite differences, falling loss, same seed same weights."""

import gzip
import itertools
import json
import math
import operator
import struct
from dataclasses import replace

import numpy as np
import pytest

from ptq.errors import InputError, ShapeError
from ptq.zoo import layers, recurrent, train
from ptq.zoo.data import test_images as held_back_images
from ptq.zoo.names import test_names as held_back_names
from ptq.zoo.network import Network
from ptq.zoo.train import NETWORKS


def _rng():
    return np.random.default_rng(7)


LAYERS = {
    "conv same": (lambda: layers.Conv2D("l", 2, 3, 3, _rng()), (2, 5, 4, 2)),
    "conv same, stride 2, even": (lambda: layers.Conv2D("l", 2, 3, 3, _rng(), stride=2), (2, 6, 4, 2)),
    "conv same, stride 2, odd": (lambda: layers.Conv2D("l", 2, 3, 3, _rng(), stride=2), (2, 5, 7, 2)),
    "conv valid, stride 2": (lambda: layers.Conv2D("l", 1, 2, 3, _rng(), 2, "VALID"), (2, 6, 7, 1)),
    "conv 1x1": (lambda: layers.Conv2D("l", 3, 2, 1, _rng()), (2, 3, 3, 3)),
    "conv 1x1, stride 2": (lambda: layers.Conv2D("l", 3, 2, 1, _rng(), stride=2), (2, 4, 3, 3)),
    "depthwise same": (lambda: layers.DepthwiseConv2D("l", 3, 3, _rng()), (2, 4, 5, 3)),
    "depthwise stride 2": (lambda: layers.DepthwiseConv2D("l", 2, 3, _rng(), stride=2), (2, 6, 5, 2)),
    "depthwise valid": (lambda: layers.DepthwiseConv2D("l", 2, 3, _rng(), padding="VALID"), (2, 4, 5, 2)),
    "batch norm": (lambda: layers.BatchNorm("l", 3), (3, 2, 2, 3)),
    "batch norm of vectors": (lambda: layers.BatchNorm("l", 4), (6, 4)),
    "relu": (lambda: layers.ReLU("l"), (3, 7)),
    "max pool": (lambda: layers.MaxPool("l"), (2, 4, 6, 3)),
    "global average": (lambda: layers.GlobalAverage("l"), (2, 3, 4, 3)),
    "flatten": (lambda: layers.Flatten("l"), (2, 3, 4, 2)),
    "dense": (lambda: layers.Dense("l", 5, 4, _rng()), (3, 5)),
    "lstm": (lambda: recurrent.LSTM("l", 3, 4, _rng()), (2, 5, 3)),
    "lstm of one step": (lambda: recurrent.LSTM("l", 2, 3, _rng()), (2, 1, 2)),
    "last step": (lambda: recurrent.LastStep("l"), (2, 3, 4)),
}


def _slopes(function, array, step=1e-6):
    """Central differences of a scalar function with respect to each element of `array`, in place."""
    slopes = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        below = function()
        array[index] = kept
        slopes[index] = (above - below) / (2 * step)
    return slopes


def _as_float64(layer):
    for arrays in (layer.parameters, layer.statistics):
        for key in arrays:
            # away from the initial ones and zeros, which would hide a missing factor
            arrays[key] = arrays[key].astype(np.float64) + _rng().uniform(0.1, 0.3, arrays[key].shape)
    return layer


@pytest.mark.parametrize("case", LAYERS)
def test_backward_is_the_slope_of_forward(case):
    make, shape = LAYERS[case]
    layer, rng = _as_float64(make()), np.random.default_rng(1)
    x = rng.standard_normal(shape)
    weighting = rng.standard_normal(layer.forward(x, training=True).shape)

    def loss():
        return float(np.sum(layer.forward(x, training=True) * weighting))

    loss()
    gradient = layer.backward(weighting)
    # central differences err by step^2 * third derivative and by rounding / step: about 1e-9 here
    np.testing.assert_allclose(gradient, _slopes(loss, x), rtol=1e-6, atol=1e-7)
    assert layer.gradients.keys() == layer.parameters.keys()
    for key, parameter in layer.parameters.items():
        np.testing.assert_allclose(layer.gradients[key], _slopes(loss, parameter), rtol=1e-6, atol=1e-7)


def test_an_embedding_collects_the_slope_of_every_reading():
    layer = recurrent.Embedding("l", 4, 2, _rng())
    assert layer.forward(np.array([[3, 1, 3]])).tolist() == [layer.parameters["table"][[3, 1, 3]].tolist()]
    layer.forward(np.array([[3, 1, 3], [1, 1, 0]]), training=True)
    gradient = np.array([[[1, 2], [10, 20], [100, 200]], [[3, 3], [0, 1], [7, 8]]], np.float32)
    assert layer.backward(gradient).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert layer.gradients["table"].tolist() == [[7, 8], [13, 24], [0, 0], [101, 202]]


def test_an_lstm_equals_scalar_formulas():
    layer = _as_float64(recurrent.LSTM("l", 2, 3, _rng()))
    w, r, b = (layer.parameters[key] for key in ("input_weights", "recurrent_weights", "bias"))
    x = np.random.default_rng(6).standard_normal((2, 4, 2))
    y = layer.forward(x)
    for n in range(2):
        h, c = [0.0] * 3, [0.0] * 3
        for t in range(4):
            read, weights = [*x[n, t], *h, 1.0], np.concatenate([w, r, b[..., None]], axis=2)
            sums = [[sum(map(operator.mul, weights[g, k], read)) for k in range(3)] for g in range(4)]
            i, f, o = ([1 / (1 + math.exp(-s)) for s in sums[g]] for g in (0, 1, 3))
            c = [f[k] * c[k] + i[k] * math.tanh(sums[2][k]) for k in range(3)]
            h = [o[k] * math.tanh(c[k]) for k in range(3)]
            np.testing.assert_allclose(y[n, t], h, rtol=1e-12)
    # a new one starts with its forget gates open
    assert recurrent.LSTM("l", 2, 1, _rng()).parameters["bias"].tolist() == [[0], [1], [0], [0]]


def test_symbol_counts():
    counts = recurrent.SymbolCounts("l", 4).forward(np.array([[0, 0, 3], [1, 3, 1]]))
    assert counts.tolist() == [[2, 0, 0, 1], [0, 2, 0, 1]]


def test_cross_entropy_gradient_and_value():
    logits, labels = np.random.default_rng(2).standard_normal((4, 5)), np.array([0, 3, 4, 3])
    _, gradient = layers.softmax_cross_entropy(logits, labels)
    slopes = _slopes(lambda: layers.softmax_cross_entropy(logits, labels)[0], logits)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)
    # equal logits: probability 1/5 each; huge ones must not overflow
    assert layers.softmax_cross_entropy(np.full((3, 5), 1e4), labels[:3])[0] == pytest.approx(np.log(5))


@pytest.mark.parametrize(("stride", "padding"), [(1, "SAME"), (2, "SAME"), (1, "VALID"), (2, "VALID")])
def test_convolutions_equal_four_loops(stride, padding):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 6, 5, 3))
    conv = _as_float64(layers.Conv2D("c", 3, 4, 3, rng, stride, padding))
    depthwise = _as_float64(layers.DepthwiseConv2D("d", 3, 3, rng, stride, padding))
    y, z = conv.forward(x), depthwise.forward(x)
    same = padding == "SAME"
    # SAME by TensorFlow's rule, worked out by hand: 6 -> pads (1, 1) or, at stride 2, (0, 1); 5 -> (1, 1)
    top = 0 if not same or stride == 2 else 1
    padded = np.zeros((2, 12, 12, 3))
    padded[:, top : top + 6, same : same + 5] = x
    sizes = {(1, "SAME"): (6, 5), (2, "SAME"): (3, 3), (1, "VALID"): (4, 3), (2, "VALID"): (2, 2)}
    assert y.shape[1:3] == sizes[stride, padding]
    for n, r, c, o in np.ndindex(y.shape):
        window = padded[n, r * stride : r * stride + 3, c * stride : c * stride + 3]
        assert y[n, r, c, o] == pytest.approx(np.sum(window * conv.parameters["weights"][o]))
    for n, r, c, k in np.ndindex(z.shape):
        window = padded[n, r * stride : r * stride + 3, c * stride : c * stride + 3, k]
        assert z[n, r, c, k] == pytest.approx(np.sum(window * depthwise.parameters["weights"][0, :, :, k]))


def test_max_pool_sends_a_tie_to_one_pixel():
    layer = layers.MaxPool("pool")
    layer.forward(np.ones((1, 2, 2, 1)), training=True)
    assert layer.backward(np.full((1, 1, 1, 1), 5.0)).ravel().tolist() == [5, 0, 0, 0]


def test_batch_norm_learns_the_statistics_that_it_later_uses():
    layer, rng = layers.BatchNorm("norm", 2, momentum=0.9), np.random.default_rng(4)
    for _ in range(200):
        layer.forward(rng.normal([3, -1], [2, 0.5], (500, 2)).astype(np.float32), training=True)
    np.testing.assert_allclose(layer.statistics["mean"], [3, -1], atol=0.1)
    np.testing.assert_allclose(layer.statistics["variance"], [4, 0.25], rtol=0.1)
    multiplier, offset = layer.multiplier_and_offset()
    assert multiplier.dtype == offset.dtype == np.float32
    np.testing.assert_allclose(layer.forward(np.array([[3, -1]], np.float32)), 0, atol=0.1)


def test_wrong_layers_say_so():
    with pytest.raises(ShapeError, match="even height"):
        layers.MaxPool("pool").forward(np.zeros((1, 3, 4, 1)))
    with pytest.raises(InputError, match="padding 'same'"):
        layers.Conv2D("c", 1, 1, 3, _rng(), padding="same")


def _tiny(seed):
    rng = np.random.default_rng(seed)
    return Network(
        [
            layers.Conv2D("conv", 1, 8, 3, rng, stride=2),
            layers.BatchNorm("norm", 8),
            layers.ReLU("relu"),
            layers.MaxPool("pool"),
            layers.DepthwiseConv2D("depthwise", 8, 3, rng),
            layers.BatchNorm("norm2", 8),
            layers.ReLU("relu2"),
            layers.Flatten("flatten"),
            layers.Dense("dense", 7 * 7 * 8, 10, rng),
        ]
    )


def _train_tiny(seed):
    images, labels = held_back_images()
    network = _tiny(seed)
    return network, train.train(network, images[:640], labels[:640], epochs=4, batch=32, seed=seed)


def test_loss_falls_and_the_same_seed_gives_the_same_weights():
    network, losses = _train_tiny(3)
    again, losses_again = _train_tiny(3)
    other, _ = _train_tiny(4)
    assert len(losses) == 80
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert losses == losses_again
    for key, value in network.weights().items():
        assert value.dtype == np.float32
        assert value.tobytes() == again.weights()[key].tobytes()
        assert value.tobytes() != other.weights()[key].tobytes()


@pytest.mark.parametrize("model", ["country_lstm", "country_letters"])
def test_a_classifier_of_names_learns_from_names(model):
    ids, labels = held_back_names()
    networks = [NETWORKS[model](seed) for seed in (3, 3)]
    losses = [
        train.train(n, ids[:640], labels[:640], task=train.PLACES, epochs=6, seed=3) for n in networks
    ]
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-10:]) < 0.8 * losses[0][0]
    for key, value in networks[0].weights().items():
        assert value.dtype == np.float32
        assert value.tobytes() == networks[1].weights()[key].tobytes()


def test_weights_go_out_and_in_again():
    network, _ = _train_tiny(3)
    copy = _tiny(9)
    copy.load(network.weights())
    images, labels = held_back_images()
    np.testing.assert_array_equal(copy.logits(images[:50]), network.logits(images[:50]))
    assert copy.accuracy(images[:50], labels[:50]) == network.accuracy(images[:50], labels[:50])
    with pytest.raises(InputError, match="conv/weights"):
        copy.load({k: v for k, v in network.weights().items() if k != "conv/weights"})
    with pytest.raises(ShapeError, match=r"dense/bias.*\(1,\).*\(10,\)"):
        copy.load({**network.weights(), "dense/bias": np.zeros(1, np.float32)})


def test_too_few_images_to_train_on():
    with pytest.raises(InputError, match="expected at least 64"):
        train.train(_tiny(0), np.zeros((3, 28, 28, 1), np.float32), np.zeros(3, np.int64))


def _write_idx(path, array):
    header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_the_command_writes_what_the_package_ships(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(5)
    for part, count in (("train", 160), ("t10k", 20)):
        _write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (count, 28, 28), np.uint8))
        _write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, count, np.uint8))
    monkeypatch.setitem(train.TASKS, "fashion_ds_cnn", replace(train.CLOTHES, validation=32))
    arguments = ["--data", str(tmp_path), "--epochs", "1", "--model", "fashion_ds_cnn"]
    assert train.main([*arguments, "-o", str(tmp_path / "out")]) == 0
    assert "accuracy on 20 test images" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "fashion_ds_cnn.npz") as archive:
        network = NETWORKS["fashion_ds_cnn"](1)
        network.load(dict(archive))
    with np.load(tmp_path / "out" / "fashion_mnist.npz") as archive:
        assert archive["test_images"].shape == (20, 28, 28)
        assert archive["calibration_images"].shape == (160, 28, 28)


def test_the_command_trains_on_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(train.TASKS, "country_lstm", replace(train.PLACES, validation=32))
    letters = "abcdefghij"
    names = ["".join(name) for name in itertools.product(letters, letters, letters, ["de", "fi", "jp"])]
    cities = {name: {"name": name, "countrycode": name[3:].upper()} for name in names}
    (tmp_path / "cities1000.json").write_text(json.dumps(cities))
    arguments = ["--data", str(tmp_path), "--epochs", "1", "--model", "country_lstm"]
    assert train.main([*arguments, "-o", str(tmp_path / "out")]) == 0
    assert "accuracy on 2000 test names" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "country_lstm.npz") as archive:
        NETWORKS["country_lstm"](1).load(dict(archive))
    with np.load(tmp_path / "out" / "place_names.npz") as archive:
        assert archive["test_ids"].shape == (2000, 20)
        assert archive["calibration_ids"].shape == (200, 20)


def test_the_command_says_where_to_get_the_data(tmp_path, capsys):
    assert train.main(["--data", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert "train-images-idx3-ubyte.gz" in message
    assert "dataset-fashion-mnist" in message
    assert not (tmp_path / "out").exists()
