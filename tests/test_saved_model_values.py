"""Tensors, shapes and attributes: written down by hand, and made by TensorFlow."""

import numpy as np
import pytest

from ptq.errors import FormatError, UnsupportedError
from ptq.saved_model import values, wire
from ptq.saved_model.messages import TABLES
from ptq.saved_model.nodes import FunctionName, TypeName


def tensor(text):
    return values.Values().tensor(wire.decode(TABLES, "TensorProto", bytes.fromhex(text)))


def attribute(text):
    return values.Values().attribute(wire.decode(TABLES, "AttrValue", bytes.fromhex(text)))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("08 01 12 04 12 02 08 02 22 08 0000803f 00000040", np.array([1, 2], np.float32)),
        ("08 01 12 04 12 02 08 03 2a 08 0000803f 00000040", np.array([1, 2, 2], np.float32)),
        ("08 01 12 08 12 02 08 02 12 02 08 03 2d 0000803f", np.ones((2, 3), np.float32)),
        ("08 03 12 04 12 02 08 02", np.zeros(2, np.int32)),
        ("08 03 12 00 38 ff ff ff ff ff ff ff ff ff 01", np.array(-1, np.int32)),
        ("08 06 12 00 38 80 ff ff ff ff ff ff ff ff 01", np.array(-128, np.int8)),
        ("08 04 12 00 38 c8 01", np.array(200, np.uint8)),
        ("08 09 12 04 12 02 08 01 52 01 07", np.array([7], np.int64)),
        ("08 0a 12 04 12 02 08 02 5a 02 01 00", np.array([True, False])),
        ("08 13 12 04 12 02 08 01 6a 02 80 78", np.array([1], np.float16)),
        ("08 0e 12 04 12 02 08 02 6a 03 c0 ff 02", np.array([-1.5, -1.5], np.float32)),  # bfloat16 bfc0
        ("08 0e 12 04 12 02 08 02 22 04 80 3f c0 bf", np.array([1, -1.5], np.float32)),
        ("08 08 12 00 4a 08 0000803f 00000040", np.array(1 + 2j, np.complex64)),
        ("08 17 12 00 8a 01 0a ff ff ff ff ff ff ff ff ff 01", np.array(2**64 - 1, np.uint64)),
        ("08 01 12 04 12 02 08 00", np.zeros(0, np.float32)),
    ],
)
def test_a_tensor(text, expected):
    result = tensor(text)
    assert result.dtype == expected.dtype and not result.flags.writeable
    np.testing.assert_array_equal(result, expected)


def test_strings_are_bytes():
    result = tensor("08 07 12 04 12 02 08 02 42 02 61 ff 42 00")
    assert result.dtype == object and result.tolist() == [b"a\xff", b""]


def test_repeated_values_take_no_memory():
    result = tensor("08 01 12 0b 12 04 08 80 80 01 12 03 08 80 10 2d 0000803f")
    assert result.shape == (2**14, 2**11) and result.strides == (0, 0) and result[-1, -1] == 1


@pytest.mark.parametrize(
    "text, error, says",
    [
        ("08 01 12 04 12 02 08 02 22 04 0000803f", FormatError, "constant of 4 bytes found, expected 8"),
        ("08 01 12 0b 12 09 08 ff ff ff ff ff ff ff 7f", FormatError, "1 dimensions found"),
        ("08 01 12 0e 12 07 08 ff ff ff ff ff 7f 12 03 08 80 00", FormatError, "2 dimensions found"),
        ("08 01 12 84 01" + 33 * "12 02 08 01", FormatError, "33 dimensions found"),
        ("08 01 12 07 12 05 08 80 80 80 40", FormatError, "0 values found"),
        ("08 01 12 02 18 01", FormatError, "expected a known one"),
        ("08 01 12 0d 12 0b 08 fe ff ff ff ff ff ff ff ff 01", FormatError, "at least -1"),
        ("08 01 12 07 12 05 08 80 80 80 40 2a 08 0000803f 00000040", FormatError, "repeated values"),
        ("08 14 12 00", UnsupportedError, "'resource'"),
        ("08 18 12 00", UnsupportedError, "'float8_e5m2'"),
        ("12 00", FormatError, "element type 0"),
        ("08 08 12 00 4a 04 0000803f", FormatError, "pairs"),
    ],
)  # fmt: skip
def test_tensors_that_cannot_be(text, error, says):
    with pytest.raises(error, match=says):
        tensor(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("12 01 61", "a"), ("12 01 ff", b"\xff"), ("18 07", 7), ("25 00 00 c0 3f", 1.5), ("28 01", True),
        ("30 01", np.dtype(np.float32)), ("30 65", np.dtype(np.float32)), ("30 0e", TypeName("bfloat16")),
        ("30 07", np.dtype(object)), ("3a 00", ()), ("3a 02 18 01", None),
        ("3a 0d 12 0b 08 ff ff ff ff ff ff ff ff ff 01", (-1,)), ("52 03 0a 01 66", FunctionName("f")),
        ("0a 04 1a 02 01 02", (1, 2)), ("0a 03 12 01 61", ("a",)), ("0a 00", ()), ("", None),
    ],
)  # fmt: skip
def test_an_attribute(text, expected):
    result = attribute(text)
    assert result == expected and type(result) is type(expected)


def test_attributes_that_cannot_be():
    with pytest.raises(FormatError, match="one kind"):
        attribute("0a 06 1a 01 01 12 01 61")
    with pytest.raises(UnsupportedError, match="'\\$T'"):
        attribute("4a 01 54")


@pytest.mark.peers
@pytest.mark.parametrize(
    "dtype",
    "float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64".split(),
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5)])
def test_what_tensorflow_writes(dtype, shape):
    import tensorflow as tf

    draw = np.random.default_rng(3)
    array = draw.integers(0, 200, shape).astype(dtype)
    proto = tf.make_tensor_proto(array)
    written = [proto, tf.make_tensor_proto(np.full(shape, 3, dtype), shape=shape)]
    listed = tf.compat.v1.make_tensor_proto(array.tolist(), dtype=dtype, shape=shape)
    for proto in [*written, listed]:
        result = values.Values().tensor(wire.decode(TABLES, "TensorProto", proto.SerializeToString()))
        expected = tf.make_ndarray(proto)
        assert result.dtype == expected.dtype and result.shape == expected.shape
        assert result.tobytes() == expected.tobytes()
