"""BATCH_MATMUL: a matrix product for each entry of the batch, in float and in hybrid arithmetic.

Layouts: lhs [..., M, K], or [..., K, M] with adj_x; rhs [..., K, N], or [..., N, K] with adj_y; output
[..., M, N]. Both have two to five dimensions, of which those in front broadcast as NumPy's do. The kernels
turn rhs to [..., N, K], so that its rows are the weights of one output each, as in FULLY_CONNECTED.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.defects import (
    MATMUL_MISSING_ROW_SUMS,
    MATMUL_ROW_SUMS,
    MATMUL_SCALES,
    MATMUL_STALE_ROW_SUMS,
    Defect,
)
from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.gemm import ExactWeights, integer_matmul, ordered_matmul
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.hybrid import wrapped_row_sums
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.shapes.common import Shape, broadcast_shapes
from ptq.shapes.layers import matmul_shape

Array = npt.NDArray[Any]

OPERATOR = "hybrid BATCH_MATMUL"


def batch_matmul_float(
    lhs: Array,
    rhs: Array,
    adj_x: bool = False,
    adj_y: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
) -> Array:
    """output[..., m, n] = sum_k lhs[..., m, k] * rhs[..., k, n]

    All arrays float32. With ordered float sums the products are added for k = 0, 1, ... as the reference
    adds them. BLAS chooses another order, whose result differs by at most K * 2^-23 * (|lhs| @ |rhs|).
    Raises ShapeError if the shapes do not fit.
    Source: `tflite/kernels/internal/reference/batch_matmul.h`, BatchMatMul.
    """
    operands = oriented(lhs, rhs, adj_x, adj_y)
    # accumulate
    if numerics.float_sums == "ordered":
        left, right = stacked(operands.left), stacked(operands.right)
        output = operands.allocate()
        for result, x, weights in zip(output, *operands.matrices(), strict=True):
            ordered_matmul(left[x], right[weights], result)
    else:
        output = np.matmul(operands.left, np.swapaxes(operands.right, -1, -2))
    return output.reshape(operands.shape)


def batch_matmul_hybrid(
    lhs: Array,
    rhs: Array,
    rhs_scale: Array,
    adj_x: bool = False,
    adj_y: bool = False,
    asymmetric_quantize_inputs: bool = False,
    numerics: Numerics = LITERT_REFERENCE,
    prepared: RightMatrices | None = None,
) -> Array:
    """output[..., m, n] = acc[m, n] * (scale[m] * rhs_scale[n])                                    (Q24)

    with acc[m, n] = sum_k q[m, k] * rhs[k, n] - zero_point[m] * sum_k rhs[k, n].
    lhs: float32; each of its rows is quantized by itself to q. rhs: int8, zero point 0. rhs_scale: float32
    [1] or [N]. The sums are int32, but are multiplied and subtracted as float32, which rounds beyond 2^24.
    prepared: `RightMatrices.prepare(rhs, adj_y, numerics)` where the same rhs is used again. A weight of
    -128 is right here, unlike in FULLY_CONNECTED: the runtime's product is a plain loop.
    Raises ShapeError if the shapes do not fit; QuantizationError as `quantize_rows` does and if a sum leaves
    int32; UnsupportedError for several batch dimensions: see `known_defect`.
    Source: `tflite/kernels/batch_matmul.cc`, EvalHybrid; `internal/reference/batch_matmul.h`, BatchMatMul.
    """
    operands = oriented(lhs, rhs, adj_x, adj_y)
    if rhs_scale.size not in (1, operands.right.shape[-2]):
        raise ShapeError(f"BATCH_MATMUL: {rhs_scale.size} scales for rhs {rhs.shape} found, expected 1 or N")
    weights = prepared if prepared is not None else RightMatrices.prepare(rhs, adj_y, numerics)
    left_batch, right_batch = operands.left.shape[:-2], operands.right.shape[:-2]
    scale_source = operands.spread(_source(left_batch, _scales_defect(left_batch), numerics))
    sums_defect = _row_sums_defect(right_batch, asymmetric_quantize_inputs)
    sums_source = operands.spread(_source(right_batch, sums_defect, numerics))
    # quantize input
    integers, scale, zero_point = _quantize(operands.left, asymmetric_quantize_inputs, numerics)
    output = operands.allocate()
    for position, (left, right) in enumerate(zip(*operands.matrices(), strict=True)):
        source, row_sums = scale_source[position], weights.row_sums[sums_source[position]]
        # accumulate
        total = integer_matmul(integers[left], weights.exact[right])
        accumulator = _less_offsets(total, zero_point[source], row_sums)
        # rescale
        accumulator *= scale[source][:, None] * rhs_scale
        np.add(accumulator, 0, out=output[position])  # the kernel adds to 0, which makes +0 of -0
    return output.reshape(operands.shape)


@dataclass(frozen=True)
class RightMatrices:
    """The int8 right operand made ready for repeated use.

    exact: one for each matrix [N, K]. row_sums: int64 [matrices, N], as the numerics sum them.
    """

    exact: list[ExactWeights]
    row_sums: Array

    @staticmethod
    def prepare(rhs: Array, adj_y: bool, numerics: Numerics) -> RightMatrices:
        """From int8 [..., K, N], or [..., N, K] with adj_y."""
        matrices = stacked(rhs if adj_y else np.swapaxes(rhs, -1, -2))
        rows = matrices.reshape(math.prod(matrices.shape[:-1]), matrices.shape[-1])
        wrapping = numerics.row_sums == "wrapping"
        sums = wrapped_row_sums(rows) if wrapping else rows.sum(axis=1, dtype=np.int64)
        return RightMatrices([ExactWeights.prepare(m) for m in matrices], sums.reshape(matrices.shape[:-1]))


def _quantize(left: Array, asymmetric: bool, numerics: Numerics) -> tuple[Array, Array, Array]:
    """The integers of left as float32 [matrices, M, K], scales and zero points [matrices, M]."""
    stack = np.ascontiguousarray(stacked(left))
    count, rows, inner = stack.shape
    quantized = quantize_rows(stack.reshape(count * rows, inner), not asymmetric, numerics)
    integers = quantized.centred + quantized.zero_point.astype(np.float32)[:, None]
    scale, zero_point = (values.reshape(count, rows) for values in (quantized.scale, quantized.zero_point))
    return integers.reshape(stack.shape), scale, zero_point


def _less_offsets(total: Array, zero_point: Array, row_sums: Array) -> Array:
    """float32(int32(float32(total) - float32(row_sum) * float32(zero_point))): [M, N].

    All of it is whole, so that the way through int32 changes nothing as long as the numbers fit.
    """
    product = zero_point.astype(np.float32)[:, None] * row_sums.astype(np.float32)
    difference: Array = total.astype(np.float32) - product
    reach = max(np.abs(total).max(initial=0), np.abs(difference).max(initial=0))
    if reach >= 2**31:
        raise QuantizationError(
            f"{OPERATOR}: a sum of products reaches {reach:.0f}, expected less than 2^31; the "
            "runtime's int32 overflows; split the inner dimension"
        )
    return difference


# --- batches ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operands:
    """left [..., M, K] and right [..., N, K], whose batches broadcast, and the shape of the output."""

    left: Array
    right: Array
    shape: Shape

    @property
    def batch(self) -> Shape:
        """The batch dimensions after broadcasting."""
        return broadcast_shapes(self.left.shape[:-2], self.right.shape[:-2]) or ()

    def spread(self, numbers: Array) -> list[int]:
        """One number for each matrix of an operand, broadcast to one for each matrix of the output."""
        return [int(n) for n in np.broadcast_to(numbers, self.batch).ravel()]

    def matrices(self) -> tuple[list[int], list[int]]:
        """Which matrix of left meets which matrix of right, for each matrix of the output."""
        left, right = self.left.shape[:-2], self.right.shape[:-2]
        return self.spread(_numbered(left)), self.spread(_numbered(right))

    def allocate(self, dtype: npt.DTypeLike = np.float32) -> Array:
        """An output to fill: [matrices, M, N]."""
        return np.empty((math.prod(self.batch), self.left.shape[-2], self.right.shape[-2]), dtype)


def oriented(lhs: Array, rhs: Array, adj_x: bool, adj_y: bool) -> Operands:
    """Transpose where asked for; ShapeError if the operands do not fit.

    A last batch dimension of 1 in rhs goes, with that of lhs merged into the rows, as the runtime does.
    """
    shape = matmul_shape(lhs.shape, rhs.shape, adj_x, adj_y)
    if shape is None:
        raise ShapeError(
            f"BATCH_MATMUL: lhs {lhs.shape}, rhs {rhs.shape} do not fit with adj_x={adj_x}, adj_y={adj_y}; "
            "expected [..., M, K] and [..., K, N] of two to five dimensions with batches that broadcast"
        )
    left = np.swapaxes(lhs, -1, -2) if adj_x else lhs
    right = rhs if adj_y else np.swapaxes(rhs, -1, -2)
    if _merges_rows(lhs.shape, rhs.shape, adj_x):
        *batch, count, rows, inner = left.shape
        left, right = left.reshape(*batch, count * rows, inner), right[..., 0, :, :]
    return Operands(left, right, shape)


def stacked(operand: Array) -> Array:
    """The matrices of an operand one after the other, [matrices, rows, columns]."""
    return operand.reshape(math.prod(operand.shape[:-2]), *operand.shape[-2:])


def _merges_rows(lhs: Shape, rhs: Shape, adj_x: bool) -> bool:
    return not adj_x and len(lhs) > 2 and len(rhs) > 2 and rhs[-3] == 1


def _numbered(batch: Shape) -> Array:
    """0, 1, 2, ... for the matrices of a batch."""
    return np.arange(math.prod(batch)).reshape(batch)


# --- the defects ------------------------------------------------------------------------------------


def known_defect(lhs: Shape, rhs: Shape, adj_x: bool, asymmetric_quantize_inputs: bool) -> Defect | None:
    """What the runtime gets wrong of a hybrid product of these shapes, if anything.

    It adds up a batch's indices as if each dimension were the only one: for matrix (i, j) it takes the scales
    and row sums of matrix i + j. Row sums matter only where there are zero points.
    """
    merged = 3 if _merges_rows(lhs, rhs, adj_x) else 2
    return _scales_defect(lhs[:-merged]) or _row_sums_defect(rhs[:-merged], asymmetric_quantize_inputs)


def _scales_defect(batch: Shape) -> Defect | None:
    return MATMUL_SCALES if _mixed_up(batch) else None


def _row_sums_defect(batch: Shape, asymmetric: bool) -> Defect | None:
    if not asymmetric or 0 in batch:
        return None
    if sum(size - 1 for size in batch) >= math.prod(batch[-2:]):
        return MATMUL_MISSING_ROW_SUMS
    return MATMUL_ROW_SUMS if _mixed_up(batch) else None


def _mixed_up(batch: Shape) -> bool:
    """Whether i + j is not always the number of matrix (i, j)."""
    return 0 not in batch and sum(size > 1 for size in batch) > 1


def _source(batch: Shape, defect: Defect | None, numerics: Numerics) -> Array:
    """For each matrix of a batch, the one whose scales or row sums are taken: itself, if all is well."""
    if defect is None or not defect.reproduced(numerics, f"batch {batch}"):
        return _numbered(batch)
    source: Array = np.indices(batch).sum(axis=0)
    return source


# --- for the registry -------------------------------------------------------------------------------


def _float(call: Call) -> list[Array]:
    options = call.options
    lhs, rhs = call.float_array(0), call.float_array(1)
    return [batch_matmul_float(lhs, rhs, options["adj_x"], options["adj_y"], call.numerics)]


def _hybrid(call: Call) -> list[Array]:
    lhs, rhs, options = call.float_array(0), call.array(1), call.options
    asymmetric = options["asymmetric_quantize_inputs"]
    _check_weights(call, asymmetric)
    prepared = call.remember("rhs", lambda: RightMatrices.prepare(rhs, options["adj_y"], call.numerics))
    scale = call.scale(1)
    return [
        batch_matmul_hybrid(
            lhs, rhs, scale, options["adj_x"], options["adj_y"], asymmetric, call.numerics, prepared
        )
    ]


def _check_weights(call: Call, asymmetric: bool) -> None:
    """Raise UnsupportedError for a rhs that may change, or that has scales along another axis than N."""
    tensor, count = call.tensors[1], call.scale(1).size
    if tensor is None or tensor.quantized is None:
        return  # call.scale has raised
    if asymmetric and not tensor.is_constant:
        MATMUL_STALE_ROW_SUMS.reproduced(call.numerics, f"a computed rhs '{tensor.name}'")
    axis, expected = tensor.quantized.quantized_dimension, len(tensor.shape) - 1 - call.options["adj_y"]
    if count > 1 and axis != expected:
        raise UnsupportedError(
            f"{OPERATOR}: rhs '{tensor.name}' has scales along dimension {axis}, expected dimension "
            f"{expected}, that of the output's columns; quantize it along that dimension or with one scale"
        )


FLOAT: dict[str, Kernel] = {"BATCH_MATMUL": _float}
HYBRID: dict[str, Kernel] = {"BATCH_MATMUL": _hybrid}
