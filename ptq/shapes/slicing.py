"""Which elements the slicing operators choose, and so the shapes that they write.

A choice is an index as NumPy takes it, one entry for each dimension: x[index] is the result.
"""

from __future__ import annotations

from collections.abc import Sequence

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.graph import Operator
from ptq.shapes.common import (
    Inputs,
    Rule,
    Shape,
    constant_value,
    constant_values,
    input_tensor,
    refuse,
    resolve_axis,
)

Index = tuple[slice | int | None, ...]
"""A range of a dimension; one element of it, which drops the dimension; None, which adds one of size 1."""


def even_sizes(size: int, count: int) -> list[int]:
    """The sizes of `count` equal parts of a dimension; ShapeError if it has no such parts."""
    if not 1 <= count <= max(size, 1) or size % count:
        raise ShapeError(f"SPLIT: {count} parts of a dimension of {size} found, expected a divisor of it")
    return [size // count] * count


def split_sizes(size: int, wanted: Sequence[int]) -> list[int]:
    """`wanted` with its one -1 replaced by what the others leave of `size`; ShapeError if they do not fit.

    Source: `tflite/kernels/split_v.cc`, ResizeOutputTensors.
    """
    left = size - sum(n for n in wanted if n != -1)
    sizes = [left if n == -1 else n for n in wanted]
    if list(wanted).count(-1) > 1 or min(sizes, default=0) < 0 or sum(sizes) != size:
        raise ShapeError(
            f"SPLIT_V: sizes {list(wanted)} found, expected numbers >= 0 (and at most one -1, for what is "
            f"left) that add up to {size}"
        )
    return sizes


def slice_index(shape: Shape, begin: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """`size[i]` elements of dimension i from `begin[i]` on; a size of -1 takes what is left.

    Source: `tflite/kernels/slice.cc`, CalculateOutputShapeVector. It does not look at a negative begin,
    and then reads outside of the tensor: that is an error here.
    """
    if not len(begin) == len(size) == len(shape):
        raise ShapeError(f"SLICE: begin {begin} and size {size} found, expected a number for each of {shape}")
    ends = [n if count == -1 else first + count for n, first, count in zip(shape, begin, size, strict=True)]
    for n, first, count, end in zip(shape, begin, size, ends, strict=True):
        if not (0 <= first <= end <= n and count >= -1):
            raise ShapeError(f"SLICE: begin {begin} and size {size} found, expected a part of shape {shape}")
    return tuple(map(slice, begin, ends))


def strided_index(
    shape: Shape,
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    offset: bool = False,
) -> Index:
    """Python's x[begin:end:stride, ...], one term for each entry of the three vectors.

    Bit i of a mask changes term i. begin, end: take everything on that side, as an empty place beside the
    colon does. ellipsis: the term is `...`. new_axis: the term is None. shrink_axis: it is the index
    `begin`, and the dimension disappears. offset: `end` counts from `begin` on.
    Raises ShapeError for terms that do not fit, UnsupportedError where TensorFlow Lite's runtime is wrong.
    Source: `tflite/kernels/strided_slice.cc`, BuildStridedSliceParams; `internal/reference/strided_slice.h`.
    """
    count = len(begin)
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    if not len(end) == len(strides) == count or any(mask >> count for mask in masks):
        raise ShapeError(
            f"STRIDED_SLICE: begin {begin}, end {end}, strides {strides} and masks {masks} found, "
            "expected vectors of one length and no bits beyond it"
        )
    rest = len(shape) - sum(not (ellipsis_mask | new_axis_mask) >> i & 1 for i in range(count))
    _check_terms(shape, rest, count, ellipsis_mask, offset, new_axis_mask)
    index: list[slice | int | None] = []
    sizes = iter(shape)
    for i, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        from_start, to_end, ellipsis, new_axis, single = (mask >> i & 1 for mask in masks)
        if ellipsis:
            index += [slice(0, next(sizes)) for _ in range(rest)]
        elif new_axis:
            index.append(None)
        elif single:
            index.append(_element(next(sizes), 0 if from_start else first, stride))
        else:
            size = next(sizes)
            chosen = _range(size, None if from_start else first, None if to_end else last, stride)
            index.append(_moved_range(size, chosen, last) if offset else chosen)
    return (*index, *(slice(0, size) for size in sizes))


def indexed_shape(shape: Shape, index: Index) -> Shape:
    """The shape of x[index] for an x of `shape`."""
    sizes = iter(shape)
    result = []
    for entry in index:
        if entry is None:
            result.append(1)
            continue
        size = next(sizes)
        if isinstance(entry, slice):
            result.append(len(range(*entry.indices(size))))
    return tuple(result)


def _check_terms(
    shape: Shape, rest: int, count: int, ellipsis_mask: int, offset: bool, new_axis_mask: int
) -> None:
    if rest < 0 or ellipsis_mask.bit_count() > 1:
        raise ShapeError(
            f"STRIDED_SLICE: {len(shape) - rest} indices and {ellipsis_mask.bit_count()} ellipses found for "
            f"shape {shape}, expected at most {len(shape)} indices and one ellipsis"
        )
    if ellipsis_mask and rest == 0:
        found = f"{count - 1} indices beside it for shape {shape}"
        raise UnsupportedError(defects.STRIDED_SLICE_ELLIPSIS.message(found))
    if offset and (ellipsis_mask or new_axis_mask or count < len(shape)):
        found = f"{count} terms for shape {shape}"
        raise UnsupportedError(defects.STRIDED_SLICE_OFFSET_TERMS.message(found))


def _element(size: int, position: int, stride: int) -> int:
    """The index of a dropped dimension; one before the first element means the first, as in LiteRT."""
    first = slice(position, None).indices(size)[0]
    if stride < 1 or first >= size:
        raise ShapeError(
            f"STRIDED_SLICE: index {position} with stride {stride} in a dimension of {size} found, expected "
            "an element of it and a positive stride; the runtime would return memory that nothing wrote"
        )
    return first


def _range(size: int, begin: int | None, end: int | None, stride: int) -> slice:
    if stride == 0:
        raise ShapeError(f"STRIDED_SLICE: stride 0 in a dimension of {size} found, expected another number")
    return slice(begin, end, stride)


def _moved_range(size: int, chosen: slice, count: int) -> slice:
    """A range whose end counts from its begin. LiteRT declares a size that ignores the ends of x."""
    first = chosen.indices(size)[0]
    moved = slice(chosen.start, None if chosen.stop is None else first + count, chosen.step)
    declared = max(-(-count // chosen.step), 0)
    written = len(range(*moved.indices(size)))
    if declared != written:
        found = f"{declared} elements from {first} on in a dimension of {size}, which has {written} of them,"
        raise UnsupportedError(defects.STRIDED_SLICE_OFFSET_SIZE.message(found))
    return moved


def _split(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 1)
    axis = resolve_axis(operator.type, constant_value(operator, tensors, 0), len(tensor.shape))
    sizes = even_sizes(tensor.shape[axis], operator.options["num_splits"])
    return [_resized(tensor.shape, axis, size) for size in sizes]


def _split_v(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 0)
    axis = resolve_axis(operator.type, constant_value(operator, tensors, 2), len(tensor.shape))
    sizes = split_sizes(tensor.shape[axis], constant_values(operator, tensors, 1))
    return [_resized(tensor.shape, axis, size) for size in sizes]


def _unpack(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor, count = input_tensor(operator, tensors, 0), operator.options["num"]
    axis = resolve_axis(operator.type, operator.options["axis"], len(tensor.shape))
    if tensor.shape[axis] != count or not tensor.size:
        refuse(operator, tensor, f"shape {tensor.shape}", f"{count} slices along axis {axis}, not empty")
    return [_resized(tensor.shape, axis)] * count


def _slice(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 0)
    begin, size = (constant_values(operator, tensors, position) for position in (1, 2))
    return [indexed_shape(tensor.shape, slice_index(tensor.shape, begin, size))]


def _strided_slice(operator: Operator, tensors: Inputs) -> list[Shape]:
    tensor = input_tensor(operator, tensors, 0)
    begin, end, strides = (constant_values(operator, tensors, position) for position in (1, 2, 3))
    index = strided_index(tensor.shape, begin, end, strides, **operator.options)
    return [indexed_shape(tensor.shape, index)]


def _resized(shape: Shape, axis: int, *size: int) -> Shape:
    """`shape` with another size along an axis, or without the axis."""
    return (*shape[:axis], *size, *shape[axis + 1 :])


RULES: dict[str, Rule] = {
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "UNPACK": _unpack,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
}
