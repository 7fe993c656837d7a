"""CONV_2D in float and hybrid arithmetic: the same convolution, one row of patches at a time.

Layouts: input [N, H, W, C]; filter [O, kernel_h, kernel_w, C / groups]; bias [O]; output [N, h, w, O].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError
from ptq.gemm import ExactWeights, im2col, integer_matmul, ordered_matmul
from ptq.kernels.activation import clamp_float
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import quantize_rows, refuse_minus_128
from ptq.kernels.padding import Pair, Window, pad_image, window
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]
Rows = tuple[slice, Array]

BLOCK = 131_072
"""Elements of the output that are accumulated and finished at once, so that they stay in the cache."""


Finish = Callable[[Array], None]
"""Takes accumulators in place through the steps after the sum: rescale, add bias, clamp."""


@dataclass(frozen=True)
class Geometry:
    """How the filter slides over the image."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: str = "SAME"

    def windows(self, image: tuple[int, ...], kernel: Pair) -> tuple[Window, Window]:
        """The vertical and the horizontal window for an image [..., H, W, C]."""
        vertical, horizontal = (
            window(image[axis - 3], kernel[axis], self.stride[axis], self.dilation[axis], self.padding)
            for axis in (0, 1)
        )
        return vertical, horizontal


def conv2d_float(
    input: Array,
    filter: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """output[n,y,x,o] = activation(bias[o] + sum_{i,j,c} filter[o,i,j,c] * image[n, y', x', c])  (Q9)

    with y' = y * stride - before + i * dilation, and 0 outside the image. All arrays float32. With ordered
    float sums the products are added over i, j, c as the reference adds them. BLAS chooses another order,
    whose result differs by at most K * 2^-23 * (sum |filter * image| + |bias|), with
    K = kernel_h * kernel_w * C / groups.
    Raises ShapeError if the channels do not fit. Source: `reference/conv.h`, Conv.
    """
    geometry = Geometry(stride, dilation, padding)
    output = _allocate(input, filter, geometry)
    products = [_product(matrix, numerics) for matrix in filter_groups(filter, input)]

    def finish(out: Array) -> None:
        # add bias
        if bias is not None:
            out += bias
        # clamp
        clamp_float(out, activation, out=out)

    for image, result in zip(input, output, strict=True):
        # accumulate
        _convolve(image, result, filter, geometry, products, finish)
    return output


def conv2d_hybrid(
    input: Array,
    filter: Array,
    filter_scale: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    padding: str = "SAME",
    activation: str = "NONE",
    numerics: Numerics = LITERT_REFERENCE,
    prepared: list[ExactWeights] | None = None,
) -> Array:
    """As `conv2d_float`, with an int8 filter and each image quantized at run time.

    Per-tensor scale: symmetric image q,       output = acc * (image_scale * filter_scale) + bias   (Q10)
    per-channel scale: asymmetric image q,     output = (acc * filter_scale[o]) * image_scale + bias
    where acc = sum filter * (q - zero_point) is an exact integer and every product and sum is rounded
    to float32. filter_scale: float32 [1] or [O]; if all entries are equal the per-tensor rule applies.
    prepared: `prepare(filter, input)` where the same filter is used again.
    Raises ShapeError if the channels do not fit, QuantizationError as `quantize_rows` and, with one scale,
    `refuse_minus_128` do. Source: `tflite/kernels/conv.cc`, EvalHybrid and EvalHybridPerChannel.
    """
    geometry = Geometry(stride, dilation, padding)
    output = _allocate(input, filter, geometry)
    weights = prepared if prepared is not None else prepare(filter, input)
    per_channel = bool(np.any(filter_scale != filter_scale[0]))
    if not per_channel:  # only this form runs the vector code
        refuse_minus_128("CONV_2D", min(matrix.lowest for matrix in weights), numerics)
    for image, result in zip(input, output, strict=True):
        # quantize input
        quantized = quantize_rows(image.reshape(1, -1), symmetric=not per_channel, numerics=numerics)
        centred, image_scale = quantized.centred.reshape(image.shape), quantized.scale[0]

        def finish(out: Array, image_scale: np.float32 = image_scale) -> None:
            # rescale
            if per_channel:
                out *= filter_scale
                out *= image_scale
            else:
                out *= image_scale * filter_scale[0]
            # add bias
            if bias is not None:
                out += bias
            # clamp
            clamp_float(out, activation, out=out)

        # accumulate
        _convolve(centred, result, filter, geometry, [_exact_product(matrix) for matrix in weights], finish)
    return output


def prepare(filter: Array, input: Array) -> list[ExactWeights]:
    """Make an int8 filter ready for repeated use: an exact matrix for each group."""
    return [ExactWeights.prepare(matrix) for matrix in filter_groups(filter, input)]


def _group_count(filter: Array, input: Array) -> int:
    """How many groups the shapes imply, channels / filter depth; ShapeError if they do not fit."""
    channels, depth, count = input.shape[-1], filter.shape[-1], len(filter)
    if input.ndim != 4 or filter.ndim != 4 or depth == 0 or channels % depth or count % (channels // depth):
        raise ShapeError(
            f"CONV_2D: input {input.shape} and filter {filter.shape} do not fit; expected "
            "[N, H, W, C] and [O, h, w, C / groups] with O a multiple of the groups"
        )
    return int(channels // depth)


def filter_groups(filter: Array, input: Array) -> list[Array]:
    """The filter as one matrix [O / groups, kernel_h * kernel_w * C / groups] for each group.

    Raises ShapeError if the channels do not fit.
    """
    groups = _group_count(filter, input)
    return list(filter.reshape(groups, len(filter) // groups, -1))


def _allocate(input: Array, filter: Array, geometry: Geometry) -> Array:
    _group_count(filter, input)
    vertical, horizontal = geometry.windows(input.shape, filter.shape[1:3])
    return np.empty((len(input), vertical.size, horizontal.size, len(filter)), np.float32)


Product = Callable[[Array, Array], None]
"""Writes the product of patches [M, K] and one group's weights to out [M, O / groups]."""


def _product(weights: Array, numerics: Numerics) -> Product:
    def multiply(patches: Array, out: Array) -> None:
        if numerics.float_sums == "ordered":
            ordered_matmul(patches, weights, out)
        else:
            np.matmul(patches, weights.T, out=out)

    return multiply


def _exact_product(weights: ExactWeights) -> Product:
    def multiply(patches: Array, out: Array) -> None:
        product = integer_matmul(patches, weights, out)
        if product is not out:
            out[...] = product  # float64 to float32 rounds as an int32 accumulator would

    return multiply


def _convolve(
    image: Array,
    result: Array,
    filter: Array,
    geometry: Geometry,
    products: list[Product],
    finish: Finish,
) -> None:
    """Convolve one image [H, W, C] into result [h, w, O], then `finish` each block while it is cached."""
    kernel = filter.shape[1:3]
    padded = pad_image(image, *geometry.windows(image.shape, kernel))
    depth = filter.shape[-1]
    width = len(filter) // len(products)
    flat = result.reshape(-1, len(filter))
    for group, multiply in enumerate(products):
        channels = padded if len(products) == 1 else padded[:, :, group * depth : (group + 1) * depth]
        for rows, patches in patch_rows(channels, kernel, geometry, result.shape):
            multiply(patches, flat[rows, group * width : (group + 1) * width])
            if group == len(products) - 1:
                finish(flat[rows])


def patch_rows(
    image: Array, kernel: Pair, geometry: Geometry, result: tuple[int, ...], block: int = BLOCK
) -> Iterator[Rows]:
    """Walk over the output a few rows at a time: (rows of the flat output, their patches [M, K])."""
    height, width, count = result
    extent = (kernel[0] - 1) * geometry.dilation[0] + 1
    inner = kernel[0] * kernel[1] * image.shape[2]
    step = max(block // max(width * max(count, inner), 1), 1)
    if kernel == geometry.stride == (1, 1):  # the pixels are the patches
        pixels = image.reshape(-1, inner)
        for start in range(0, len(pixels), step * width):
            rows = slice(start, min(start + step * width, len(pixels)))
            yield rows, pixels[rows]
        return
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = top * geometry.stride[0], (bottom - 1) * geometry.stride[0] + extent
        patches = im2col(image[first:last], kernel, geometry.stride, geometry.dilation)
        yield slice(top * width, bottom * width), patches.reshape(-1, inner)


def geometry_options(call: Call) -> dict[str, Any]:
    """The options that CONV_2D and DEPTHWISE_CONV_2D share, as keyword arguments."""
    options = call.options
    return {
        "stride": (options["stride_h"], options["stride_w"]),
        "dilation": (options["dilation_h_factor"], options["dilation_w_factor"]),
        "padding": options["padding"],
        "activation": options["fused_activation_function"],
    }


def _float(call: Call) -> list[Array]:
    return [
        conv2d_float(
            call.float_array(0),
            call.float_array(1),
            call.optional_float_array(2),
            numerics=call.numerics,
            **geometry_options(call),
        )
    ]


def _hybrid(call: Call) -> list[Array]:
    input, filter = call.float_array(0), call.array(1)
    prepared = call.remember("filter", lambda: prepare(filter, input))
    return [
        conv2d_hybrid(
            input,
            filter,
            call.scale(1),
            call.optional_float_array(2),
            numerics=call.numerics,
            prepared=prepared,
            **geometry_options(call),
        )
    ]


FLOAT: dict[str, Kernel] = {"CONV_2D": _float}
HYBRID: dict[str, Kernel] = {"CONV_2D": _hybrid}
