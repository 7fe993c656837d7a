"""Operators that take a tensor apart, against the sentences that define them."""

import itertools

import numpy as np
import pytest

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.graph import DTYPES, Operator, Quantization, Tensor, type_of
from ptq.kernels import slicing
from ptq.kernels.call import Call
from ptq.kernels.slicing import slice_array, split, split_v, strided_slice, unpack
from ptq.shapes.slicing import indexed_shape, strided_index


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def call(kind, inputs, options, outputs=1, quantizations=(None, None)):
    tensors = [Tensor("x", v.shape, type_of(v.dtype), quantization=quantizations[0]) for v in inputs]
    targets = [Tensor(f"y{i}", (), quantization=quantizations[1]) for i in range(outputs)]
    return Call(Operator(kind, [], [], options), tensors, list(inputs), targets)


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_every_dtype_is_taken_apart_unchanged(dtype):
    x = numbered(2, 4, dtype=dtype)
    parts = [*split(x, 2, 1), *split_v(x, [1, 3], -1), *unpack(x, 0), slice_array(x, [0, 1], [2, -1])]
    for part in parts:
        assert part.dtype == dtype and part.flags.c_contiguous
        assert set(part.ravel().tolist()) <= set(x.ravel().tolist())
        assert not np.shares_memory(part, x)


def test_split():
    x = numbered(2, 4)
    assert [p.tolist() for p in split(x, 2, 1)] == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    assert [p.shape for p in split(x, 1, -2)] == [(2, 4)]
    for count in (0, -2, 3, 8):
        with pytest.raises(ShapeError, match="divisor"):
            split(x, count, 1)
    with pytest.raises(ShapeError, match="axis 2"):
        split(x, 1, 2)
    with pytest.raises(ShapeError, match="divisor"):
        split(numbered(0), 2**31 - 1, 0)


def test_split_v_leaves_the_rest_to_minus_one():
    x = numbered(5)
    assert [p.tolist() for p in split_v(x, [1, -1, 2], 0)] == [[0], [1, 2], [3, 4]]
    assert [p.tolist() for p in split_v(x, [0, 5], 0)] == [[], [0, 1, 2, 3, 4]]
    for wrong in ([1, 1], [-1, -1], [6, -1], [-2, 7], []):
        with pytest.raises(ShapeError, match="add up to 5"):
            split_v(x, wrong, 0)


def test_unpack():
    x = numbered(2, 2, 3)
    assert [p.tolist() for p in unpack(x, -1)] == [[[0, 3], [6, 9]], [[1, 4], [7, 10]], [[2, 5], [8, 11]]]
    assert len(slicing.FLOAT["UNPACK"](call("UNPACK", [x], {"num": 2, "axis": 0}, 2))) == 2
    with pytest.raises(ShapeError, match="3 slices"):
        slicing.FLOAT["UNPACK"](call("UNPACK", [x], {"num": 3, "axis": 0}))
    one, other = (Quantization(np.array([s], np.float32), np.array([0])) for s in (0.5, 0.25))
    with pytest.raises(QuantizationError, match="QUANTIZE"):
        slicing.FLOAT["UNPACK"](call("UNPACK", [x], {"num": 2, "axis": 0}, 2, (one, other)))


def test_slice():
    x = numbered(3, 4)
    assert slice_array(x, [1, 2], [-1, 1]).tolist() == [[6], [10]]
    assert slice_array(x, [3, 0], [-1, 4]).shape == (0, 4)
    assert slice_array(numbered(), [], []).shape == ()
    for begin, size in [([0, 0], [4, 1]), ([-1, 0], [1, 1]), ([0, 5], [1, -1]), ([0, 0], [-2, 1])]:
        with pytest.raises(ShapeError, match="part of shape"):
            slice_array(x, begin, size)
    with pytest.raises(ShapeError, match="a number for each"):
        slice_array(x, [0], [1])


def positions(size, begin, end, stride):
    """Which elements a range of Python names, counted out: `begin`, `begin + stride`, ... before `end`."""
    first = begin + size if begin < 0 else begin
    last = end + size if end < 0 else end
    first = min(max(first, 0), size) if stride > 0 else min(max(first, -1), size - 1)
    last = min(max(last, 0), size) if stride > 0 else min(max(last, -1), size - 1)
    found = []
    while (first < last) if stride > 0 else (first > last):
        found.append(first)
        first += stride
    return found


def test_every_range_of_a_short_vector():
    x = numbered(4)
    numbers = range(-6, 7)
    for begin, end, stride in itertools.product(numbers, numbers, (1, 2, 5, -1, -2, -5)):
        assert strided_slice(x, [begin], [end], [stride]).tolist() == positions(4, begin, end, stride)
        assert strided_slice(x, [begin], [9], [stride], end_mask=1).tolist() == positions(
            4, begin, 4 if stride > 0 else -5, stride
        )


def test_the_masks_write_pythons_slices():
    x = numbered(2, 3, 4)
    zeros, ones = [0, 0, 0], [1, 1, 1]
    cases = [
        ({"shrink_axis_mask": 1}, [1], x[1]),
        ({"shrink_axis_mask": 1}, [-1], x[-1]),
        ({"shrink_axis_mask": 1}, [-9], x[0]),  # LiteRT clamps an index that is too small
        ({"begin_mask": 2}, [1, 2], x[1:1, :1]),
        ({"end_mask": 3}, [1, 2], x[1:, 2:]),
        ({"ellipsis_mask": 1, "shrink_axis_mask": 2}, [0, 2], x[..., 2]),
        ({"ellipsis_mask": 2, "shrink_axis_mask": 5}, [1, 0, 3], x[1, ..., 3]),
        ({"new_axis_mask": 1, "shrink_axis_mask": 2}, [0, 1], x[None, 1]),
        ({"ellipsis_mask": 1, "new_axis_mask": 3}, [0, 0], x[..., None]),
    ]
    for masks, begin, expected in cases:
        found = strided_slice(x, begin, ones[: len(begin)], ones[: len(begin)], **masks)
        np.testing.assert_array_equal(found, expected, err_msg=str(masks))
    assert strided_slice(x, [1], zeros[:1], [-1], end_mask=1).tolist() == x[::-1].tolist()
    assert strided_slice(numbered(), [], [], []).shape == ()


def test_an_offset_counts_from_the_begin():
    x = numbered(5)
    assert strided_slice(x, [-3], [2], [1], offset=True).tolist() == [2, 3]
    assert strided_slice(x, [1], [4], [2], offset=True).tolist() == [1, 3]
    assert strided_slice(x, [3], [-2], [-1], offset=True).tolist() == [3, 2]
    for begin, count, masks in [(3, 4, {}), (-1, 9, {}), (1, 2, {"end_mask": 1})]:
        with pytest.raises(UnsupportedError, match=r"which has \d of them"):
            strided_slice(x, [begin], [count], [1], offset=True, **masks)


def test_strided_slices_that_are_refused():
    x = numbered(2, 3)
    cases = [
        (([0], [1], [0]), {}, ShapeError, "stride 0"),
        (([0], [1], [1, 1]), {}, ShapeError, "one length"),
        (([0], [1], [1]), {"new_axis_mask": 2}, ShapeError, "no bits beyond"),
        (([0], [1], [1]), {"begin_mask": -1}, ShapeError, "no bits beyond"),
        (([0] * 3, [1] * 3, [1] * 3), {}, ShapeError, "at most 2 indices"),
        (([0] * 2, [1] * 2, [1] * 2), {"ellipsis_mask": 3}, ShapeError, "one ellipsis"),
        (([2], [3], [1]), {"shrink_axis_mask": 1}, ShapeError, "nothing wrote"),
        (([1], [0], [-1]), {"shrink_axis_mask": 1}, ShapeError, "positive stride"),
        (([0] * 3, [1] * 3, [1] * 3), {"ellipsis_mask": 2}, UnsupportedError, "swallow"),
        (([0], [1], [1]), {"offset": True}, UnsupportedError, "a term for each dimension"),
    ]
    for vectors, masks, error, words in cases:
        with pytest.raises(error, match=words):
            strided_slice(x, *vectors, **masks)


def test_the_shape_is_known_before_the_elements():
    rng = np.random.default_rng(0)
    for _ in range(500):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)).tolist())
        count = int(rng.integers(0, len(shape) + 1))
        begin, end = rng.integers(-5, 6, (2, count)).tolist()
        strides = rng.choice([-2, -1, 1, 2], count).tolist()
        masks = {"begin_mask": int(rng.integers(2**count)), "end_mask": int(rng.integers(2**count))}
        index = strided_index(shape, begin, end, strides, **masks)
        assert indexed_shape(shape, index) == numbered(*shape)[index].shape
