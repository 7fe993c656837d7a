"""Exact integer matrix products through floating-point BLAS, and the patches that make a convolution one.

NumPy multiplies integer matrices in a plain loop, fifty times slower than BLAS multiplies floats.
A float32 holds every integer up to 2^24 exactly, so BLAS gives the exact integer product as long as no
partial sum leaves that range, in whatever order and with or without fused multiply-add. With
x an activation, w a weight and any subset S of the inner dimension K,

    |sum_{k in S} x_k w_ok|  <=  max|x| * sum_k |w_ok|  =  max|x| * norm_o                           (Q7)

so `max|x| * max_o norm_o <= 2^24` proves float32 exact for these very weights. Where it does not hold,
K is split into blocks for which it does and the blocks are added in float64, exact up to 2^53.

Three entries use this. `integer_matmul` takes integers that are held in float32, as the hybrid kernels have
them. `multiply_integers` and `MultiplyShift` take integers and give integers: to the kernels of quantized
models floats are a fast way to multiply integers and nothing else, and they see none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[Any]

FLOAT32_EXACT = 2**24
"""Every integer of at most this magnitude is a float32."""

FLOAT64_EXACT = 2**53
"""Every integer of at most this magnitude is a float64."""

SHORTEST_BLOCK = 128
"""Below as many rows of weights, float32 blocks are no longer faster than one product in float64."""

ORDERED_BLOCK = 16_384
"""Elements of the result that `ordered_matmul` keeps in the cache while it goes through K."""

LARGEST_OPERAND = 255
"""The largest |x| that the bound allows for: an int8 minus an int8 zero point."""


def integer_matmul_loops(x: Array, weights: Array) -> Array:
    """The product sum_k x[m,k] * weights[n,k] with Python's unbounded integers; slow and obvious.

    x: integers [M, K]. weights: integers [N, K]. Returns int64 [M, N].
    """
    rows, inner = x.shape
    product = np.zeros((rows, len(weights)), np.int64)
    for m in range(rows):
        for n in range(len(weights)):
            product[m, n] = sum(int(x[m, k]) * int(weights[n, k]) for k in range(inner))
    return product


@dataclass(frozen=True)
class ExactWeights:
    """An integer weight matrix made ready for exact products: float32 blocks of K, with their bound.

    blocks: (start, stop, float32 [stop - start, N]) such that 255 * max_o norm_o <= 2^24 in each.
    lowest: the smallest weight.
    """

    blocks: tuple[tuple[int, int, Array], ...]
    lowest: int

    @staticmethod
    def prepare(weights: Array) -> ExactWeights:
        """Split int8 weights [N, K] into as few blocks as the bound (Q7) allows."""
        weights_float = weights.astype(np.float32)
        blocks: list[tuple[int, int, Array]] = []
        start, inner = 0, weights.shape[1]
        length = _exact_length(np.abs(weights.astype(np.int64)), LARGEST_OPERAND, FLOAT32_EXACT)
        while start < inner or not blocks:
            stop = min(start + length, inner)
            blocks.append((start, stop, np.ascontiguousarray(weights_float[:, start:stop].T)))
            start = max(stop, 1)
        return ExactWeights(tuple(blocks), int(weights.min(initial=0)))


def _exact_length(magnitude: Array, largest: int, exact: int) -> int:
    """The whole of K if the norms of these |weights| keep the bound, else what their largest one allows."""
    if largest * _norm(magnitude) <= exact:
        return max(int(magnitude.shape[1]), 1)
    return exact // (largest * int(magnitude.max()))


def _norm(magnitude: Array) -> int:
    return int(magnitude.sum(axis=1).max(initial=0))


def integer_matmul(x: Array, weights: ExactWeights, out: Array | None = None) -> Array:
    """The exact product sum_k x[m,k] * w[n,k] of integers that are held in floats.

    x: float32 [M, K] holding integers with |x| <= 255. out: an optional float32 [M, N] to write to.
    Returns [M, N]: float32 where one block suffices, else float64; every element is the exact integer.
    """
    (_, _, first), *others = weights.blocks
    if not others:
        return np.matmul(x, first, out=out)
    total = np.zeros((len(x), first.shape[1]), np.float64)
    for start, stop, block in weights.blocks:
        total += np.matmul(x[:, start:stop], block)
    return total


@dataclass(frozen=True)
class IntegerWeights:
    """An integer weight matrix made ready for exact products with integers of at most `largest` in magnitude.

    blocks: (start, stop, float32 or float64 [stop - start, N]), in each of which the bound (Q7) proves every
    partial sum exact. bound: no element of the whole product is larger in magnitude.
    """

    blocks: tuple[tuple[int, int, Array], ...]
    largest: int
    bound: int

    @staticmethod
    def prepare(weights: Array, largest: int) -> IntegerWeights:
        """From integers [N, K]; float32 where its blocks are long enough to be worth while, else float64."""
        magnitude = np.abs(weights.astype(np.int64))
        dtype: npt.DTypeLike = np.float32
        exact = FLOAT32_EXACT
        length = _exact_length(magnitude, largest, exact)
        if length < min(SHORTEST_BLOCK, weights.shape[1]):
            dtype, exact = np.float64, FLOAT64_EXACT
            length = _exact_length(magnitude, largest, exact)
        blocks = []
        for start in range(0, max(weights.shape[1], 1), length):
            stop = min(start + length, weights.shape[1])
            assert largest * _norm(magnitude[:, start:stop]) <= exact
            blocks.append((start, stop, np.ascontiguousarray(weights[:, start:stop].T, dtype)))
        return IntegerWeights(tuple(blocks), largest, largest * _norm(magnitude))


def largest_magnitude(dtype: npt.DTypeLike) -> int:
    """The largest |x| among integers of a type: 128 for int8, 255 for uint8, 32768 for int16."""
    limits = np.iinfo(dtype)
    return max(-int(limits.min), int(limits.max))


def multiply_integers(x: Array, weights: IntegerWeights, out: Array) -> Array:
    """The exact product sum_k x[m,k] * w[n,k], integers in and integers out.

    x: integers [M, K] of a type that holds no more than `weights.largest` in magnitude. out: int32 or int64
    [M, N], which is filled and returned; sums beyond int32 wrap around in it, as in C.
    """
    assert largest_magnitude(x.dtype) <= weights.largest
    for start, stop, block in weights.blocks:
        product = np.matmul(x[:, start:stop].astype(block.dtype), block)
        if block.dtype == np.float64:  # whose integers C may not convert to a shorter type without a wrap
            product = product.astype(np.int64)
        if start == 0:
            np.copyto(out, product, casting="unsafe")
        else:
            out += product.astype(out.dtype)
    return out


@dataclass(frozen=True)
class MultiplyShift:
    """floor((x * multiplier + addend) / 2^shift), each of them one number for a channel, through float64.

    Processors multiply float64 in vectors, but int64 often one by one. factor, term: multiplier and addend
    over 2^shift, float64 [channels]. If |x * multiplier| + |addend| <= 2^53, both the product and the sum are
    integers of that size over a power of two, and exact. Quotients below 0 come out at most 0: rounded up.
    """

    factor: Array
    term: Array

    @staticmethod
    def prepare(multiplier: Array, addend: Array, shift: Array, bound: int) -> MultiplyShift | None:
        """From int64 [channels], for |x| <= bound < 2^31; None where a float64 does not hold the sum."""
        if np.any(bound * np.abs(multiplier) + np.abs(addend) > FLOAT64_EXACT):
            return None
        return MultiplyShift(np.ldexp(multiplier, -shift), np.ldexp(addend, -shift))

    def repeated(self, times: int) -> MultiplyShift:
        """The same for channels that come several times in a row."""
        return MultiplyShift(np.tile(self.factor, times), np.tile(self.term, times))

    def __call__(self, x: Array, out: Array) -> None:
        """Write the quotients of x [lines, width], the first channels of a line, to out, integers as wide."""
        width = x.shape[1]
        products = x.astype(np.float64)
        products *= self.factor[:width]
        products += self.term[:width]
        np.copyto(out, products, casting="unsafe")  # cuts off the fraction


def ordered_matmul(x: Array, weights: Array, out: Array) -> None:
    """The float product sum_k x[m,k] * weights[n,k], added for k = 0, 1, 2, ... as a loop in C adds.

    x: float32 [M, K]. weights: float32 [N, K]. out: float32 [M, N]. Every product and every sum is rounded to
    float32, without fused multiply-add: the arithmetic of TensorFlow Lite's reference loops.
    """
    columns = np.ascontiguousarray(weights.T)
    step = max(ORDERED_BLOCK // max(len(weights), 1), 1)
    product = np.empty((step, len(weights)), np.float32)
    for top in range(0, len(x), step):
        rows, total = np.ascontiguousarray(x[top : top + step].T), out[top : top + step]
        total[...] = 0
        for values, column in zip(rows, columns, strict=True):
            total += np.multiply(values[:, None], column, out=product[: len(total)])


def im2col(
    image: Array, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Array:
    """The patches under each position of a kernel, one row each, so that convolution is `patches @ w.T`.

    image: [H, W, C], already padded. Returns [out_h, out_w, kernel_h * kernel_w * C]; a view of the
    image where the kernel is 1x1, else a copy.
    """
    height, width, channels = image.shape
    extent_h, extent_w = (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1
    out_h, out_w = (height - extent_h) // stride[0] + 1, (width - extent_w) // stride[1] + 1
    step_h, step_w, step_c = image.strides
    if kernel != (1, 1) and dilation[1] == 1 and image.flags.c_contiguous and image.size:
        # a row of the kernel is one piece of memory, which is copied faster than its numbers one by one
        piece = f"V{kernel[1] * channels * image.itemsize}"
        steps = step_h * stride[0], step_w * stride[1], step_h * dilation[0]
        rows = np.ndarray((out_h, out_w, kernel[0]), piece, image.data, 0, steps)
        return np.ascontiguousarray(rows).view(image.dtype).reshape(out_h, out_w, -1)
    patches = as_strided(
        image,
        (out_h, out_w, kernel[0], kernel[1], channels),
        (step_h * stride[0], step_w * stride[1], step_h * dilation[0], step_w * dilation[1], step_c),
        writeable=False,
    )
    return patches.reshape(out_h, out_w, kernel[0] * kernel[1] * channels)
