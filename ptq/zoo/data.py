"""Fashion-MNIST: the images that the zoo is trained on, and the part of them that ptq ships.

70,000 grey 28x28 photographs of clothes in ten classes; copyright 2017 Zalando SE, MIT licence
(`data/LICENSE-fashion-mnist.txt`). Shipped: the first 2,000 of the 10,000 test images, never used in
training, and the first 500 of the 60,000 training images, for calibration.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ptq.errors import FormatError, InputError
from ptq.graph import Array

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

HOW_TO_GET = (
    "the four *-ubyte.gz files of Fashion-MNIST come with the Debian/Ubuntu package dataset-fashion-mnist "
    "(in /usr/share/datasets/fashion-mnist) and from https://github.com/zalandoresearch/fashion-mnist "
    "(folder data/fashion)"
)

SHIPPED_TEST, SHIPPED_CALIBRATION = 2000, 500
_FOLDER = Path(__file__).parent / "data"

SAVED_MODEL = _FOLDER / "fashion_saved_model"
"""A SavedModel of TensorFlow: the trained fashion_ds_cnn, as `ptq.zoo.tensorflow_export` writes it."""

_FILE = "fashion_mnist.npz"
_NO_WEIGHTS = ("fashion_mnist", "place_names")


class Images(NamedTuple):
    """Labelled images: float32 [n, 28, 28, 1] in 0..1 and int64 [n] in 0..9."""

    images: Array
    labels: Array


def test_images() -> Images:
    """The 2,000 shipped held-back test images."""
    return _shipped("test")


def calibration_images() -> Images:
    """The 500 shipped training images, to observe activation ranges on without touching test data."""
    return _shipped("calibration")


def load_fashion_mnist(directory: str | Path) -> tuple[Images, Images]:
    """The full training set (60,000) and test set (10,000) from a folder with the four .gz files.

    Errors: InputError if a file is missing, FormatError if one is damaged.
    """
    folder = Path(directory)
    return _read_pair(folder, "train"), _read_pair(folder, "t10k")


def save_shipped(directory: str | Path, train: Images, test: Images) -> Path:
    """Write the part that ptq ships, as uint8, to `directory`/fashion_mnist.npz."""
    path = Path(directory) / _FILE
    np.savez_compressed(
        path,
        test_images=_to_bytes(test.images[:SHIPPED_TEST]),
        test_labels=test.labels[:SHIPPED_TEST].astype(np.uint8),
        calibration_images=_to_bytes(train.images[:SHIPPED_CALIBRATION]),
        calibration_labels=train.labels[:SHIPPED_CALIBRATION].astype(np.uint8),
    )
    return path


def shipped_weights(model: str) -> dict[str, Array]:
    """The trained float32 arrays of a zoo model, by "layer/parameter"; InputError if there is none."""
    path = _FOLDER / f"{model}.npz"
    if model in _NO_WEIGHTS or not path.is_file():
        known = sorted(p.stem for p in _FOLDER.glob("*.npz") if p.stem not in _NO_WEIGHTS)
        raise InputError(f"no trained weights for '{model}' found, expected one of {', '.join(known)}")
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def read_idx(path: str | Path) -> Array:
    """The uint8 array of a gzipped IDX file (MNIST's format).

    Layout: two zero bytes, the type (8 = uint8), the number of dimensions, each size as a big-endian
    int32, then the elements. Errors: InputError if there is no such file, FormatError if damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"no file '{path}' found; {HOW_TO_GET}")
    try:
        with gzip.open(path) as stream:
            elements = _read_idx(stream, str(path))
            # only reading past the end makes gzip compare the checksum
            if stream.read(1):
                raise FormatError(f"'{path}' goes on after its {elements.size} elements; fetch it again")
            return elements
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"'{path}' is damaged ({error}); fetch it again: {HOW_TO_GET}") from error


def _read_idx(stream: gzip.GzipFile, path: str) -> Array:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
        raise FormatError(f"'{path}' starts with {magic!r}, expected an IDX header of type uint8")
    shape = np.frombuffer(_exactly(stream, 4 * magic[3], path), ">u4").astype(np.int64)
    size = int(np.prod(shape.astype(object)))
    if size > 10**9:
        raise FormatError(f"'{path}' declares {size} elements, expected at most 10^9; fetch it again")
    return np.frombuffer(_exactly(stream, size, path), np.uint8).reshape(shape)


def _exactly(stream: gzip.GzipFile, count: int, path: str) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise FormatError(f"'{path}' ends after {len(content)} of {count} bytes; fetch it again")
    return content


def _read_pair(folder: Path, part: str) -> Images:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise FormatError(
            f"'{folder}' {part}: images {images.shape} and labels {labels.shape} found, "
            f"expected [n, 28, 28] and [n]; {HOW_TO_GET}"
        )
    return _to_floats(images, labels)


def _to_floats(images: Array, labels: Array) -> Images:
    # a true division: k / 255 correctly rounded, which is also what TensorFlow users feed
    return Images(images[..., None].astype(np.float32) / np.float32(255), labels.astype(np.int64))


def _to_bytes(images: Array) -> Array:
    pixels: Array = np.rint(images[..., 0] * 255)
    return pixels.astype(np.uint8)


def _shipped(part: str) -> Images:
    with np.load(_FOLDER / _FILE) as archive:
        return _to_floats(archive[f"{part}_images"], archive[f"{part}_labels"])
