"""Rows of a table by their numbers: against a loop, and the one product of the hybrid form."""

import numpy as np
import pytest

from ptq.build import Builder
from ptq.errors import InputError, ShapeError, UnsupportedError
from ptq.graph import DTYPES, Quantization
from ptq.interpreter import Interpreter
from ptq.kernels.embedding import embedding_lookup_float, embedding_lookup_hybrid, gather

TABLE = np.array([[1, -2, 3], [-127, 5, 127]], np.int8)


def gather_loop(x, indices, axis, shared):
    """Element by element: the place in the output, cut into its parts, says what is read."""
    shape = (*x.shape[:axis], *indices.shape[shared:], *x.shape[axis + 1 :])
    output = np.zeros(shape, x.dtype)
    inside = indices.ndim - shared
    for place in np.ndindex(*shape):
        batch, before = place[:shared], place[shared:axis]
        chosen, after = place[axis : axis + inside], place[axis + inside :]
        output[place] = x[(*batch, *before, indices[(*batch, *chosen)], *after)]
    return output


def test_gather_over_every_axis_and_number_of_batch_dimensions():
    rng = np.random.default_rng(0)
    x = rng.integers(-100, 100, (2, 3, 4, 5))
    for axis in range(4):
        for shared in range(axis + 1):
            for own in ((), (6,), (2, 3)):
                indices = rng.integers(0, x.shape[axis], (*x.shape[:shared], *own))
                expected = gather_loop(x, indices, axis, shared)
                np.testing.assert_array_equal(gather(x, indices, axis, shared), expected)
                np.testing.assert_array_equal(gather(x, indices, axis - 4, shared), expected)
                if own:
                    found = gather(x, indices, axis, shared - indices.ndim)
                    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_is_looked_up_unchanged(dtype):
    x = np.arange(4).reshape(2, 2).astype(dtype)
    for found in (gather(x, np.array([1, 0, 1])), embedding_lookup_float(np.array([1, 0, 1]), x)):
        assert found.dtype == dtype
        assert found.tolist() == [x[1].tolist(), x[0].tolist(), x[1].tolist()]


def test_an_index_outside_is_an_error_and_a_negative_one_too():
    x = np.zeros((3, 2), np.float32)
    for wrong in (-1, 3, 2**31 - 1):
        indices = np.array([0, wrong], np.int32)
        with pytest.raises(InputError, match=f"GATHER: index {wrong} found, expected 0 to 2"):
            gather(x, indices)
        with pytest.raises(InputError, match=f"EMBEDDING_LOOKUP: index {wrong} found"):
            embedding_lookup_float(indices, x)
        with pytest.raises(InputError, match=f"index {wrong}"):
            embedding_lookup_hybrid(indices, TABLE[[0, 1, 1]], np.ones(1, np.float32))


def test_what_does_not_fit_is_refused():
    x, indices = np.zeros((3, 2)), np.zeros((3, 1), int)
    with pytest.raises(ShapeError, match="axis 2"):
        gather(x, indices, axis=2)
    for axis, batch_dims in [(0, 1), (1, 2), (1, -3), (1, 3)]:
        with pytest.raises(ShapeError, match="batch_dims"):
            gather(x, indices, axis, batch_dims)
    with pytest.raises(ShapeError, match="batch_dims"):
        gather(x, indices[:2], 1, 1)
    with pytest.raises(UnsupportedError, match="float64"):
        gather(x, indices.astype(float))
    with pytest.raises(ShapeError, match=r"\[count\]"):
        embedding_lookup_float(indices, x)
    with pytest.raises(ShapeError, match="3 scales"):
        embedding_lookup_hybrid(indices[0], TABLE, np.ones(3, np.float32))


def test_the_hybrid_table_is_one_product_away_from_the_float_table():
    scale = np.float32(0.1)
    found = embedding_lookup_hybrid(np.array([1, 0, 1], np.int32), TABLE, np.array([scale]))
    for i, row in enumerate((1, 0, 1)):
        for j in range(3):
            assert found[i, j] == np.float32(np.float32(int(TABLE[row, j])) * scale)
    scales = np.array([0.5, 3.3e-39], np.float32)  # the second product is subnormal, and so is the scale
    found = embedding_lookup_hybrid(np.array([1, 0], np.int32), TABLE, scales)
    assert found[1].tolist() == [0.5, -1, 1.5]
    assert found[0, 2] == np.float32(np.float32(127) * scales[1])


def lookup(quantization, output_type):
    b = Builder()
    table = b.constant(TABLE, quantization=quantization)
    ids = b.input("ids", (2,), "INT32")
    return b.finish(b.op("EMBEDDING_LOOKUP", [ids, table], output_type=output_type))


def test_the_output_type_decides_whether_the_integers_become_reals():
    one = Quantization(np.array([0.5], np.float32), np.zeros(1, np.int64))
    ids = np.array([1, 0], np.int32)
    (reals,) = Interpreter(graph=lookup(one, "FLOAT32")).run([ids])
    (integers,) = Interpreter(graph=lookup(one, "INT8")).run([ids])
    assert reals.dtype == np.float32 and reals.tolist() == [[-63.5, 2.5, 63.5], [0.5, -1, 1.5]]
    assert integers.dtype == np.int8 and integers.tolist() == TABLE[::-1].tolist()
    with pytest.raises(UnsupportedError, match="FLOAT16"):
        Interpreter(graph=lookup(one, "FLOAT16")).run([ids])


def test_tables_that_tensorflow_lite_refuses():
    shifted = Quantization(np.array([0.5], np.float32), np.ones(1, np.int64))
    across = Quantization(np.ones(3, np.float32), np.zeros(3, np.int64), 1)
    for quantization, words in ((shifted, "zero point 1"), (across, "dimension 0")):
        with pytest.raises(UnsupportedError, match=words):
            Interpreter(graph=lookup(quantization, "FLOAT32")).run([np.zeros(2, np.int32)])
