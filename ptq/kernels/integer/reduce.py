"""Reductions of quantized arrays over axes: MEAN, SUM, REDUCE_MAX and REDUCE_MIN.

MEAN needs no division on the device beyond one of its multiplier: 1 / n becomes part of the factor between
the scales.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels import reduce
from ptq.kernels.call import Call, Kernel
from ptq.kernels.integer.operands import check_symmetric, clamped, quantized
from ptq.kernels.integer.parameters import Rescale
from ptq.kernels.movement import check_same_scale
from ptq.shapes.common import resolve_axes

Array = npt.NDArray[Any]
Axes = int | Sequence[int]
Pair = tuple[int, int]


def mean_integer(
    x: Array, axes: Axes, zero_points: Pair, rescale: Rescale, keep_dims: bool = False
) -> Array:
    """output = clamp(rescale(sum over the axes - n * zx) / n + z), by input_scale / output_scale.

    x: int8, uint8 or int16, any shape; axes may count from the end; the result has its dtype. zero_points: of
    x and the output. The mean of no elements is the integer 0. Errors: ShapeError for an axis that x does not
    have. Source: `tflite/kernels/internal/reference/reduce.h`, QuantizedMeanOrSum.
    """
    reduced = _resolved(x, axes)
    return _reduced(x, reduced, zero_points, divided(rescale, _count(x, reduced)), keep_dims)


def sum_integer(x: Array, axes: Axes, zero_points: Pair, rescale: Rescale, keep_dims: bool = False) -> Array:
    """output = clamp(rescale(sum over the axes - n * zx) + z). Otherwise as `mean_integer`."""
    return _reduced(x, _resolved(x, axes), zero_points, rescale, keep_dims)


def divided(rescale: Rescale, count: int) -> Rescale:
    """The factor divided by a number of elements: as many bits as 1 / count gains go into the multiplier.

    multiplier * 2^k / count, rounded down, with k = floor(log2 count) as far as shifts reach.
    Source: as above.
    """
    if count < 2:
        return rescale
    gained = min(count.bit_length() - 1, 32, 31 + int(rescale.output_shift))
    multiplier = (int(rescale.output_multiplier) << gained) // count
    shift = np.asarray(int(rescale.output_shift) - gained)
    return Rescale(np.asarray(multiplier), shift, rescale.numerics)


def _reduced(x: Array, axes: tuple[int, ...], zero_points: Pair, rescale: Rescale, keep_dims: bool) -> Array:
    # accumulate
    total = np.add.reduce(x, axis=axes, dtype=np.int64, keepdims=True)
    if not keep_dims:
        total = total.reshape([size for axis, size in enumerate(x.shape) if axis not in axes])
    if not x.size:
        return np.zeros(total.shape, x.dtype)
    # subtract zero points
    centered = (total - zero_points[0] * _count(x, axes)).astype(np.int32)
    # rescale
    return np.asarray(clamped(rescale(centered), zero_points[1], None, x.dtype))


def _resolved(x: Array, axes: Axes) -> tuple[int, ...]:
    wanted = [axes] if isinstance(axes, int) else list(axes)
    reduced = resolve_axes(wanted, x.ndim) if x.ndim else ()
    if reduced is None:
        raise ShapeError(f"axes {wanted} found, expected axes of an array of shape {x.shape}")
    return reduced


def _count(x: Array, axes: tuple[int, ...]) -> int:
    """How many elements make one of the output."""
    return int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))


# --- for the registry -----------------------------------------------------------------------------


def mean_op(call: Call) -> list[Array]:
    """MEAN: inputs (x, axes)."""
    zero_points, rescale = call.once("parameters", lambda: _parameters(call))
    return [mean_integer(call.array(0), _axes(call), zero_points, rescale, call.options["keep_dims"])]


def sum_op(call: Call) -> list[Array]:
    """SUM: inputs (x, axes). The reference kernel takes int8 for uint8."""
    zero_points, rescale = call.once("parameters", lambda: _parameters(call))
    x, axes, keep_dims = call.array(0), _axes(call), call.options["keep_dims"]
    if x.dtype == np.int16:
        defects.SUM_HALVES.reproduced(call.numerics, "int16")
    if x.dtype == np.int8 and defects.SUM_BYTES.reproduced(call.numerics, "int8"):
        return [sum_integer(x.view(np.uint8), axes, zero_points, rescale, keep_dims).view(np.int8)]
    return [sum_integer(x, axes, zero_points, rescale, keep_dims)]


def _parameters(call: Call) -> tuple[Pair, Rescale]:
    x, output = operands = quantized(call, 1, "int8", "uint8", "int16")
    check_symmetric(call, operands)
    factor = float(x.scale) / float(output.scale)
    return (x.zero_point, output.zero_point), Rescale.by(factor, call.numerics)


def _axes(call: Call) -> list[int]:
    axes = call.array(1)
    if not np.issubdtype(axes.dtype, np.integer):
        raise UnsupportedError(f"{call.operator.type}: axes of dtype {axes.dtype} found, expected int32")
    found: list[int] = axes.ravel().tolist()
    return found


def _of_one_scale(function: Callable[[Array, Axes, bool], Array]) -> Kernel:
    def kernel(call: Call) -> list[Array]:
        check_symmetric(call, quantized(call, 1, "int8", "uint8", "int16"))
        check_same_scale(call, call.tensors[:1])
        return [function(call.array(0), _axes(call), call.options["keep_dims"])]

    return kernel


INTEGER: dict[str, Kernel] = {
    "MEAN": mean_op,
    "SUM": sum_op,
    "REDUCE_MAX": _of_one_scale(reduce.maximum_over),
    "REDUCE_MIN": _of_one_scale(reduce.minimum_over),
}
