"""A matrix product, output[m, o] = sum_k x[m, k] * w[o, k], as a problem of any operator with weights.

What follows the sum is the same in all of them: so their boundary problems are written once, as matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ptq.graph import Quantization
from ptq.oracle.draw.core import Array
from ptq.oracle.problem import CONSTANT, Given, Problem, Wanted

STEPS = {"stride_h": 1, "stride_w": 1}


def matrix_problem(
    operator: str,
    x: Given,
    weights: Given,
    bias: Given | None,
    wanted: Wanted,
    options: Mapping[str, Any] | None = None,
    version: int = 1,
    rows_are_images: bool = False,
    **more: Any,
) -> Problem:
    """x [M, K], weights [O, K] with scales for all or for each output, bias [O], as an operator has them.

    rows_are_images: whether each row is an image of its own, or all are rows of one. more: fields of Problem.
    """
    operands, given = _ARRANGED[operator](x, weights, rows_are_images)
    if bias is not None:
        operands.append(bias)
    return Problem(operator, operands, [wanted], {**given, **(options or {})}, version, **more)


Arranged = tuple[list[Given | None], dict[str, Any]]


def _dense(x: Given, weights: Given, images: bool) -> Arranged:
    return [x, weights], {}


def _matmul(x: Given, weights: Given, images: bool) -> Arranged:
    return [x, _reshaped(weights, np.ascontiguousarray(weights.array.T), 1)], {}


def _conv(x: Given, weights: Given, images: bool) -> Arranged:
    image, filter = _image(x, images), _reshaped(weights, weights.array[:, None, None, :], 0)
    return [image, filter], STEPS


def _transpose_conv(x: Given, weights: Given, images: bool) -> Arranged:
    image, filter = _image(x, images), _reshaped(weights, weights.array[:, None, None, :], 0)
    shape = np.array([*image.array.shape[:3], len(weights.array)], np.int32)
    return [Given(shape, None, CONSTANT, "output_shape"), filter, image], STEPS


def _depthwise(x: Given, weights: Given, images: bool) -> Arranged:
    """One channel, of which a kernel as long as a row makes all outputs."""
    rows = x.array[:, None, :, None] if images else x.array[None, :, :, None]
    filter = _reshaped(weights, np.ascontiguousarray(weights.array.T)[None, None], 3)
    options = {**STEPS, "padding": "VALID", "depth_multiplier": len(weights.array)}
    return [replace(x, array=rows), filter], options


def _image(x: Given, images: bool) -> Given:
    return replace(x, array=x.array[:, None, None, :] if images else x.array[None, :, None, :])


def _reshaped(weights: Given, array: Array, axis: int) -> Given:
    found = weights.quantization
    quantized = found and Quantization(found.scale, found.zero_point, axis if found.scale.size > 1 else 0)
    return replace(weights, array=array, quantization=quantized)


_ARRANGED = {
    "FULLY_CONNECTED": _dense, "BATCH_MATMUL": _matmul, "CONV_2D": _conv, "TRANSPOSE_CONV": _transpose_conv,
    "DEPTHWISE_CONV_2D": _depthwise,
}  # fmt: skip
