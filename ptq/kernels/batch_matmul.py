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

from ptq.errors import QuantizationError, ShapeError, UnsupportedError
from ptq.gemm import ExactWeights, integer_matmul, ordered_matmul
from ptq.kernels.call import Call, Kernel
from ptq.kernels.dynamic_range import quantize_rows
from ptq.kernels.hybrid import wrapped_row_sums
from ptq.kernels.recurrent import reproduces_defect
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.shapes.common import Shape, broadcast_shapes
from ptq.shapes.layers import matmul_shape

Array = npt.NDArray[Any]

OPERATOR = "hybrid BATCH_MATMUL"
REMEDY = "merge the batch dimensions with RESHAPE, or keep rhs in float"


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
    operands = _oriented(lhs, rhs, adj_x, adj_y)
    # accumulate
    if numerics.float_sums == "ordered":
        left, right = _stacked(operands.left), _stacked(operands.right)
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
    int32; UnsupportedError for several batch dimensions: see `_scale_source` and `_row_sums_source`.
    Source: `tflite/kernels/batch_matmul.cc`, EvalHybrid; `internal/reference/batch_matmul.h`, BatchMatMul.
    """
    operands = _oriented(lhs, rhs, adj_x, adj_y)
    if rhs_scale.size not in (1, operands.right.shape[-2]):
        raise ShapeError(f"BATCH_MATMUL: {rhs_scale.size} scales for rhs {rhs.shape} found, expected 1 or N")
    weights = prepared if prepared is not None else RightMatrices.prepare(rhs, adj_y, numerics)
    scale_source = operands.spread(_scale_source(operands.left, numerics))
    sums_source = operands.spread(_row_sums_source(operands.right, asymmetric_quantize_inputs, numerics))
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
        matrices = _stacked(rhs if adj_y else np.swapaxes(rhs, -1, -2))
        rows = matrices.reshape(math.prod(matrices.shape[:-1]), matrices.shape[-1])
        wrapping = numerics.row_sums == "wrapping"
        sums = wrapped_row_sums(rows) if wrapping else rows.sum(axis=1, dtype=np.int64)
        return RightMatrices([ExactWeights.prepare(m) for m in matrices], sums.reshape(matrices.shape[:-1]))


def _quantize(left: Array, asymmetric: bool, numerics: Numerics) -> tuple[Array, Array, Array]:
    """The integers of left as float32 [matrices, M, K], scales and zero points [matrices, M]."""
    stack = np.ascontiguousarray(_stacked(left))
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
        return self.spread(_numbered(self.left)), self.spread(_numbered(self.right))

    def allocate(self) -> Array:
        """An output to fill: float32 [matrices, M, N]."""
        return np.empty((math.prod(self.batch), self.left.shape[-2], self.right.shape[-2]), np.float32)


def _oriented(lhs: Array, rhs: Array, adj_x: bool, adj_y: bool) -> Operands:
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
    if not adj_x and left.ndim > 2 and right.ndim > 2 and right.shape[-3] == 1:
        *batch, count, rows, inner = left.shape
        left, right = left.reshape(*batch, count * rows, inner), right[..., 0, :, :]
    return Operands(left, right, shape)


def _stacked(operand: Array) -> Array:
    return operand.reshape(math.prod(operand.shape[:-2]), *operand.shape[-2:])


def _numbered(operand: Array) -> Array:
    """0, 1, 2, ... for the matrices of an operand, in the shape of its batch."""
    batch = operand.shape[:-2]
    return np.arange(math.prod(batch)).reshape(batch)


def _scale_source(left: Array, numerics: Numerics) -> Array:
    """For each matrix of left, the matrix whose scales and zero points are taken: itself, if all is well.

    The runtime adds up the batch's indices as if each dimension were the only one: for matrix (i, j) it takes
    the scales of matrix i + j. Raises UnsupportedError where that is another one, if the numerics refuse it.
    """
    batch = left.shape[:-2]
    intended, upstream = _numbered(left), np.indices(batch).sum(axis=0)
    if np.array_equal(intended, upstream):
        return intended
    defect = f"it takes the scales of other rows if lhs has several batch dimensions, here {batch}"
    return upstream if reproduces_defect(OPERATOR, defect, REMEDY, numerics) else intended


def _row_sums_source(right: Array, asymmetric: bool, numerics: Numerics) -> Array:
    """The same for the sums of the rows of right, which matter only if there are zero points.

    Moreover, the runtime computes them for the last two batch dimensions alone.
    """
    batch = right.shape[:-2]
    intended, upstream = _numbered(right), np.indices(batch).sum(axis=0)
    if not asymmetric or not intended.size:
        return intended
    computed = bool(upstream.max() < math.prod(batch[-2:]))
    if computed and np.array_equal(intended, upstream):
        return intended
    defect = f"it takes the row sums of other matrices if rhs has several batch dimensions, here {batch}"
    return upstream if reproduces_defect(OPERATOR, defect, REMEDY, numerics, computed) else intended


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
        defect = f"it keeps the row sums of the first invocation, but rhs '{tensor.name}' is computed"
        remedy = "set asymmetric_quantize_inputs to False"
        reproduces_defect(OPERATOR, defect, remedy, call.numerics, reproducible=False)
    axis, expected = tensor.quantized.quantized_dimension, len(tensor.shape) - 1 - call.options["adj_y"]
    if count > 1 and axis != expected:
        raise UnsupportedError(
            f"{OPERATOR}: rhs '{tensor.name}' has scales along dimension {axis}, expected dimension "
            f"{expected}, that of the output's columns; quantize it along that dimension or with one scale"
        )


FLOAT: dict[str, Kernel] = {"BATCH_MATMUL": _float}
HYBRID: dict[str, Kernel] = {"BATCH_MATMUL": _hybrid}
