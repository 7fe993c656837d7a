"""Where a sliding window lies: output sizes, padding and taps, shared by convolutions and pools.

Source: `tflite/kernels/padding.h`, ComputeOutSize and ComputePaddingWithOffset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.shapes.common import window_size

Array = npt.NDArray[Any]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """The geometry of one spatial dimension.

    SAME:  out = ceil(in / stride);  VALID: out = floor((in + stride - extent) / stride)          (Q8)
    with extent = (kernel - 1) * dilation + 1. The odd row or column of padding goes after the image.
    """

    size: int
    before: int
    after: int


@lru_cache(maxsize=1024)
def window(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Window:
    """The output size and the padding before and after one dimension of `size` elements.

    Raises ShapeError if no position of the window fits or stride, kernel or dilation is not positive.
    """
    out = window_size(size, kernel, stride, dilation, padding)
    extent = (kernel - 1) * dilation + 1
    if out < 1:
        raise ShapeError(
            f"sliding window: {extent} elements do not fit into {size}; use padding SAME or a larger input"
        )
    total = max((out - 1) * stride + extent - size, 0)
    return Window(out, total // 2, total - total // 2)


def taps(length: int, size: int, stride: int, geometry: Window) -> Iterator[tuple[slice, slice]]:
    """For each element of the window: the outputs that have it inside the image, and where it lies."""
    earliest = geometry.before - (geometry.size - 1) * stride
    for tap in range(max(earliest, 0), min(geometry.before + length, size)):
        offset = tap - geometry.before
        first = max(-(offset // stride), 0)
        last = min((length - 1 - offset) // stride, geometry.size - 1)
        if first <= last:
            start = first * stride + offset
            yield slice(first, last + 1), slice(start, last * stride + offset + 1, stride)


def inside(length: int, size: int, stride: int, geometry: Window) -> Array:
    """How many elements of each window lie inside the image, along one axis."""
    start = np.arange(geometry.size) * stride - geometry.before
    count: Array = np.minimum(start + size, length) - np.maximum(start, 0)
    return count


def pad_image(image: Array, vertical: Window, horizontal: Window, value: float = 0) -> Array:
    """The image [H, W, C] with its border set to `value`; the image itself if there is no border."""
    height, width, channels = image.shape
    if not (vertical.before or vertical.after or horizontal.before or horizontal.after):
        return image
    shape = (
        vertical.before + height + vertical.after,
        horizontal.before + width + horizontal.after,
        channels,
    )
    padded = np.full(shape, value, image.dtype) if value else np.zeros(shape, image.dtype)
    padded[vertical.before : vertical.before + height, horizontal.before : horizontal.before + width] = image
    return padded
