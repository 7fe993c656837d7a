"""Defects of the hybrid layers without a state."""

from ptq.defects.defect import INTENDED, Defect

LOST_SIGN = Defect(
    "hybrid FULLY_CONNECTED, CONV_2D with one scale, recurrent operators, SVDF",
    "it multiplies a weight of -128 by a negative activation with the wrong sign, in all but the last K % 16 "
    "columns (x86 builds; no converter writes -128)",
    "quantize the weights in narrow range, -127 to 127",
    "`kernels/internal/optimized/sse_tensor_utils.cc`, SseMatrixBatchVectorMultiplyAccumulate",
    ("portable",),
    "dynamic_range",
)
WRAPPED_ROW_SUMS = Defect(
    "hybrid FULLY_CONNECTED, BATCH_MATMUL, recurrent operators, SVDF",
    "it adds the weights of a row in int16, which wraps around in long rows (K > 2064) of mostly one sign; "
    "with asymmetric activations the output is off by that (x86 builds)",
    "quantize the activations symmetrically",
    "`kernels/internal/optimized/sse_tensor_utils.cc`, SseReductionSumVector",
    ("wrapping", "exact"),
    "row_sums",
)
MATMUL_SCALES = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in lhs it takes the activations' scales from other rows: for matrix "
    "(i, j) those of matrix i + j",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): ioff_ext",
)
MATMUL_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in rhs and asymmetric activations it takes the row sums of other matrices",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): woff_ext",
)
MATMUL_MISSING_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with several batch dimensions in rhs and asymmetric activations it computes the row sums of the last "
    "two alone, and reads beyond them",
    "merge the batch dimensions with RESHAPE, or keep rhs in float",
    "`kernels/internal/reference/batch_matmul.h`, BatchMatMul (hybrid): num_weights_matrices",
    INTENDED,
)
MATMUL_STALE_ROW_SUMS = Defect(
    "hybrid BATCH_MATMUL",
    "with asymmetric activations and an int8 rhs that is computed it keeps the row sums of the first rhs",
    "set asymmetric_quantize_inputs to False",
    "`kernels/batch_matmul.cc`, EvalHybrid: compute_row_sums",
    INTENDED,
)
TRANSPOSE_CONV_SCALES = Defect(
    "hybrid TRANSPOSE_CONV",
    "it reads a scale for each output, but repeats a single one only along the quantized dimension",
    "set the quantized dimension to 0",
    "`kernels/transpose_conv.cc`, Prepare",
    INTENDED,
)
