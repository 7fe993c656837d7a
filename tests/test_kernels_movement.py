"""Data movers: every element in its place, for every dtype."""

import itertools

import numpy as np
import pytest

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.graph import DTYPES, Operator, Quantization, Tensor, type_of
from ptq.kernels import movement
from ptq.kernels.call import Call
from ptq.kernels.movement import concatenation, expand_dims, pack, pad, reshape, reverse, squeeze, transpose


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def call(kind, inputs, options=None, quantizations=None, output=None):
    tensors = []
    for i, array in enumerate(inputs):
        quantization = quantizations[i] if quantizations else None
        tensors.append(Tensor(f"x{i}", array.shape, type_of(array.dtype), quantization=quantization))
    target = Tensor("y", (), quantization=output)
    return Call(Operator(kind, list(range(len(inputs))), [9], options or {}), tensors, list(inputs), [target])


def run(kind, inputs, options=None, quantizations=None, output=None):
    (result,) = movement.FLOAT[kind](call(kind, inputs, options, quantizations, output))
    return result


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_is_moved_unchanged(dtype):
    x = numbered(2, 1, 3, dtype=dtype)
    results = [
        reshape(x, [3, 2]), squeeze(x), transpose(x, [2, 0, 1]), pad(x, np.zeros((3, 2), int)),
        concatenation([x], 0), expand_dims(x, 1), pack([x], 0), reverse(x, [2]),
    ]  # fmt: skip
    for result in results:
        assert result.dtype == dtype
        assert sorted(result.ravel().tolist(), key=str) == sorted(x.ravel().tolist(), key=str)


def test_reshape():
    x = numbered(2, 6)
    assert reshape(x, [3, -1]).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    for wrong in ([5, -1], [3, 5], [-1, -1], [-2, -6]):
        with pytest.raises(ShapeError, match="as many elements"):
            reshape(x, wrong)


def test_reshape_takes_the_shape_from_the_vector_and_else_from_the_option():
    x = numbered(6)
    assert run("RESHAPE", [x, np.array([2, 3], np.int32)], {"new_shape": [6]}).shape == (2, 3)
    assert run("RESHAPE", [x, np.array([[2, 3]], np.int32)], {"new_shape": [6, 1]}).shape == (6, 1)
    assert run("RESHAPE", [x], {"new_shape": [3, -1]}).shape == (3, 2)
    assert run("RESHAPE", [numbered(1)], {"new_shape": [0]}).shape == ()


def test_squeeze():
    x = numbered(1, 2, 1, 3)
    assert squeeze(x).shape == (2, 3)
    assert squeeze(x, [-2]).shape == (1, 2, 3)
    assert run("SQUEEZE", [x], {"squeeze_dims": None}).shape == (2, 3)
    with pytest.raises(ShapeError, match="size 1"):
        squeeze(x, [1])
    with pytest.raises(ShapeError, match="size 1"):
        squeeze(x, [4])


def test_expand_dims():
    x = numbered(2, 3)
    assert [expand_dims(x, axis).shape for axis in (0, 1, 2)] == [(1, 2, 3), (2, 1, 3), (2, 3, 1)]
    assert expand_dims(x, -1).shape == (2, 3, 1)
    assert run("EXPAND_DIMS", [numbered(), np.array([0], np.int32)]).shape == (1,)
    for wrong in (3, -4):
        with pytest.raises(ShapeError, match=f"axis {wrong}"):
            expand_dims(x, wrong)


def test_transpose_over_every_permutation():
    x = numbered(2, 3, 4)
    for order in itertools.permutations(range(3)):
        found = transpose(x, order)
        assert found.flags.c_contiguous
        for index in np.ndindex(*found.shape):
            source = [0, 0, 0]
            for axis, position in zip(order, index, strict=True):
                source[axis] = position
            assert found[index] == x[tuple(source)]
    for wrong in ([0, 1], [0, 0, 1], [0, 1, 3]):
        with pytest.raises(ShapeError, match="permutation"):
            transpose(x, wrong)


def test_pad():
    x = np.array([[1, 2], [3, 4]], np.int8)
    assert pad(x, np.array([[1, 0], [0, 2]]), 7).tolist() == [[7, 7, 7, 7], [1, 2, 7, 7], [3, 4, 7, 7]]
    with pytest.raises(ShapeError, match=">= 0"):
        pad(x, np.array([[1, 0], [0, -2]]))
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        pad(x, np.array([[1, 0]]))


def test_quantized_integers_are_padded_with_what_stands_for_zero():
    quantization = Quantization(np.array([0.5], np.float32), np.array([-3]))
    amounts = np.array([[1, 1]], np.int32)
    assert run("PAD", [np.array([5], np.int8), amounts], output=quantization).tolist() == [-3, 5, -3]
    assert run("PAD", [np.array([5], np.float32), amounts]).tolist() == [0, 5, 0]
    assert run("PADV2", [np.array([5], np.int32), amounts, np.array([8], np.int32)]).tolist() == [8, 5, 8]
    with pytest.raises(ShapeError, match="one element"):
        run("PADV2", [np.array([5], np.int32), amounts, np.array([8, 9], np.int32)])


def test_concatenation():
    a, b = numbered(2, 1), numbered(2, 2) + 10
    assert concatenation([a, b], -1).tolist() == [[0, 10, 11], [1, 12, 13]]
    assert run("CONCATENATION", [b, b], {"axis": 0}).shape == (4, 2)
    with pytest.raises(ShapeError, match="apart from dimension 0"):
        concatenation([a, b], 0)
    with pytest.raises(ShapeError, match="int8"):
        concatenation([a, a.astype(np.int8)], 0)
    with pytest.raises(ShapeError, match="axis 2"):
        concatenation([a, b], 2)
    with pytest.raises(UnsupportedError, match="RELU"):
        run("CONCATENATION", [a, b], {"axis": 1, "fused_activation_function": "RELU"})


def test_pack():
    a, b = numbered(2), numbered(2) + 10
    assert pack([a, b], 0).tolist() == [[0, 1], [10, 11]]
    assert pack([a, b], -1).tolist() == [[0, 10], [1, 11]]
    assert run("PACK", [numbered(), numbered()], {"axis": 0}).tolist() == [0, 0]
    for other in (numbered(3), a.astype(np.int8)):
        with pytest.raises(ShapeError, match="PACK"):
            pack([a, other], 0)
    with pytest.raises(ShapeError, match="axis 2"):
        pack([a, b], 2)


def test_reverse():
    x = numbered(2, 2, 2)
    assert reverse(x, [1]).tolist() == [[[2, 3], [0, 1]], [[6, 7], [4, 5]]]
    assert reverse(x, [-1, 1]).tolist() == [[[3, 2], [1, 0]], [[7, 6], [5, 4]]]
    assert run("REVERSE_V2", [x, np.array([0, 1, 2], np.int32)]).ravel().tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    for wrong in ([0, 2], [1, 1], [1, -2], [3], []):
        with pytest.raises(ShapeError, match="neighbours"):
            reverse(x, wrong)


def test_integers_of_different_scales_are_not_mixed():
    x = np.array([1], np.int8)
    one, other = (Quantization(np.array([s], np.float32), np.array([0])) for s in (0.5, 0.25))
    assert run("CONCATENATION", [x, x], {"axis": 0}, [one, one], one).tolist() == [1, 1]
    for kind in ("CONCATENATION", "PACK"):
        with pytest.raises(QuantizationError, match="'x1'"):
            run(kind, [x, x], {"axis": 0}, [one, other], one)
