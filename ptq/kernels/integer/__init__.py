"""The integer kernels: int8 (uint8, int16) activations and weights, int32 accumulators, no floats.

Each module here has its float counterpart of the same name in the room above. `parameters` is the offline
half, which turns scales into integers; a test watches that no kernel beside it holds a float array.
"""

from __future__ import annotations

from ptq.kernels.call import Kernel
from ptq.kernels.integer import (
    activation,
    batch_matmul,
    conv,
    convert,
    dense,
    depthwise,
    elementwise,
    logic,
    lstm_ops,
    pool,
    reduce,
    resize,
    softmax,
    tables,
    transpose_conv,
    unary,
)

INTEGER: dict[str, Kernel] = {
    **dense.INTEGER,
    **conv.INTEGER,
    **depthwise.INTEGER,
    **transpose_conv.INTEGER,
    **batch_matmul.INTEGER,
    **softmax.INTEGER,
    **tables.INTEGER,
    **activation.INTEGER,
    **unary.INTEGER,
    **elementwise.INTEGER,
    **logic.INTEGER,
    **pool.INTEGER,
    **reduce.INTEGER,
    **convert.INTEGER,
    **resize.INTEGER,
    **lstm_ops.INTEGER,
}
"""Operators on quantized activations."""
