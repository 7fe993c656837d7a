"""The shipped images and weights: complete, unchanged, small, and the reader of the data set's files."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from ptq.errors import FormatError, InputError, PtqError
from ptq.zoo import data

SYSTEM = Path("/usr/share/datasets/fashion-mnist")
IDX = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + bytes(range(6))


def test_shipped_images():
    for (images, labels), count in ((data.test_images(), 2000), (data.calibration_images(), 500)):
        assert images.shape == (count, 28, 28, 1)
        assert images.dtype == np.float32
        assert labels.shape == (count,)
        assert labels.dtype == np.int64
        assert images.min() == 0
        assert images.max() == 1
        assert set(labels.tolist()) == set(range(10))
        assert np.array_equal(images, np.rint(images * 255).astype(np.uint8) / np.float32(255))
        assert np.bincount(labels).min() > count / 15
    assert len(data.CLASS_NAMES) == 10


def test_no_test_image_is_a_calibration_image():
    tested = {image.tobytes() for image in data.test_images().images}
    assert not tested & {image.tobytes() for image in data.calibration_images().images}


# SHA-256 of the first 2,000 and 500 images of the published files, so that the test needs no files
TEST_DIGEST = "09bbac78738f0229a68f7ca74e62665d7fb34f45ea7a3509ab5c4a202c1370de"
CALIBRATION_DIGEST = "a2a303f7d309e0a855eeb32799ba2228f8fc7abfcb13cbc2aa3535fdabd082bb"


def _digest(images):
    return hashlib.sha256(np.rint(images * 255).astype(np.uint8).tobytes()).hexdigest()


def test_shipped_images_are_the_data_sets_own():
    assert _digest(data.test_images().images) == TEST_DIGEST
    assert _digest(data.calibration_images().images) == CALIBRATION_DIGEST
    assert data.test_images().labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]


@pytest.mark.skipif(not SYSTEM.is_dir(), reason="the Debian package dataset-fashion-mnist is not installed")
def test_shipped_images_equal_the_installed_data_set():
    for part, shipped in (("t10k", data.test_images()), ("train", data.calibration_images())):
        images = data.read_idx(SYSTEM / f"{part}-images-idx3-ubyte.gz")[: len(shipped.labels)]
        labels = data.read_idx(SYSTEM / f"{part}-labels-idx1-ubyte.gz")[: len(shipped.labels)]
        np.testing.assert_array_equal(np.rint(shipped.images[..., 0] * 255), images)
        np.testing.assert_array_equal(shipped.labels, labels)


def test_everything_shipped_is_at_most_three_megabytes_and_licensed():
    folder = Path(data.__file__).parent / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3 * 2**20
    licence = (folder / "LICENSE-fashion-mnist.txt").read_text()
    assert "Copyright (c) 2017 Zalando SE" in licence
    assert "MIT License" in licence


def test_unknown_weights_name_the_known_ones():
    with pytest.raises(InputError, match=r"'resnet'.*fashion_cnn"):
        data.shipped_weights("resnet")


def test_read_idx(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(IDX))
    found = data.read_idx(tmp_path / "x.gz")
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged|starts with"),
        (b"not gzip", "damaged"),
        (gzip.compress(IDX)[:-9], "damaged|ends after"),
        (gzip.compress(b"\0\0\x0d\x01\0\0\0\x01\0"), "type uint8"),
        (gzip.compress(IDX[:-1]), "ends after 5 of 6"),
        (gzip.compress(IDX[:7]), "ends after 3 of 8"),
        (gzip.compress(IDX + b"more"), "goes on after its 6"),
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12), "at most"),
    ],
    ids=["empty", "no gzip", "cut", "type", "one short", "header short", "too long", "too large"],
)
def test_damaged_idx_files(tmp_path, content, message):
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        data.read_idx(tmp_path / "x.gz")


def test_a_flipped_bit_gives_a_ptq_error_or_changes_nothing(tmp_path):
    content = gzip.compress(IDX)
    harmless = 0
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "x.gz").write_bytes(damaged)
        try:
            assert data.read_idx(tmp_path / "x.gz").tolist() == [[0, 1, 2], [3, 4, 5]]
            harmless += 1
        except PtqError:
            pass
    # the ten bytes of gzip's header hold a time stamp and flags that mean nothing here
    assert harmless < 8 * 10


def test_images_without_their_labels(tmp_path):
    for name in ("train-images-idx3", "train-labels-idx1"):
        (tmp_path / f"{name}-ubyte.gz").write_bytes(gzip.compress(IDX))
    with pytest.raises(FormatError, match=r"images \(2, 3\)"):
        data.load_fashion_mnist(tmp_path)
