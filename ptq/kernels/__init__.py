"""The operators: a plain function for each operator and arithmetic, and the registry that finds it.

`conv.conv2d_float`, `conv.conv2d_hybrid`, ... work on NumPy arrays from a notebook cell, without any
graph. The registry below serves the interpreter and the passes.
"""

from __future__ import annotations

from ptq.errors import GraphError, InputError, PtqError, UnsupportedError
from ptq.graph import Operator, Tensor
from ptq.kernels import (
    activation,
    batch_matmul,
    bidirectional_rnn,
    control,
    conv,
    convert,
    dense,
    depthwise,
    elementwise,
    embedding,
    filling,
    logic,
    lstm_ops,
    movement,
    pool,
    reduce,
    resize,
    rnn,
    slicing,
    svdf,
    transpose_conv,
    unary,
    variables,
)
from ptq.kernels.call import Array, Call, Kernel
from ptq.kernels.integer import INTEGER
from ptq.operators import WEIGHT_INPUTS

FLOAT: dict[str, Kernel] = {
    **dense.FLOAT,
    **conv.FLOAT,
    **depthwise.FLOAT,
    **batch_matmul.FLOAT,
    **transpose_conv.FLOAT,
    **pool.FLOAT,
    **activation.FLOAT,
    **unary.FLOAT,
    **elementwise.FLOAT,
    **logic.FLOAT,
    **logic.MOVES,
    **reduce.FLOAT,
    **movement.FLOAT,
    **slicing.FLOAT,
    **filling.FLOAT,
    **embedding.FLOAT,
    **resize.FLOAT,
    **convert.FLOAT,
    **control.FLOAT,
    **variables.FLOAT,
    **rnn.FLOAT,
    **bidirectional_rnn.FLOAT,
    **lstm_ops.FLOAT,
    **svdf.FLOAT,
}
"""Operators on real numbers, and those that move or convert data of any type."""

HYBRID: dict[str, Kernel] = {
    **dense.HYBRID,
    **conv.HYBRID,
    **depthwise.HYBRID,
    **embedding.HYBRID,
    **batch_matmul.HYBRID,
    **transpose_conv.HYBRID,
    **rnn.HYBRID,
    **bidirectional_rnn.HYBRID,
    **lstm_ops.HYBRID,
    **svdf.HYBRID,
}
"""Operators on float activations and int8 weights that accumulate integers."""

ANY_TYPE = frozenset({
    *movement.FLOAT, *logic.MOVES, *slicing.FLOAT, *filling.FLOAT, "GATHER", *resize.MOVERS, *convert.FLOAT,
    *control.FLOAT, *variables.FLOAT, "ARG_MAX", "ARG_MIN",
})  # fmt: skip
"""Operators that treat integers and reals alike, or convert between them."""

FIRST_DATA_INPUT = {"TRANSPOSE_CONV": 2}
"""Which input has the data that an operator computes with, where it is not the first."""


def arithmetic(operator: Operator, tensors: list[Tensor | None]) -> str:
    """Which arithmetic an operator computes in: "float", "hybrid", "integer" or "any".

    hybrid: float activations meet int8 weights; integer: quantized activations; any: data is moved or
    converted without arithmetic of its own. (QUANTIZE of integers rescales them, and is "integer".)
    """
    data = tensors[FIRST_DATA_INPUT.get(operator.type, 0) :]
    first = next((t for t in data if t is not None), None)
    if operator.type == "QUANTIZE" and first is not None and first.type != "FLOAT32":
        return "integer"
    if operator.type in ANY_TYPE:
        return "any"
    if first is not None and first.quantized is not None and first.type in ("INT8", "UINT8", "INT16"):
        return "integer"
    weights = (tensors[i] for i in WEIGHT_INPUTS.get(operator.type, ()) if i < len(tensors))
    if operator.type in HYBRID and any(tensor is not None and tensor.type == "INT8" for tensor in weights):
        return "hybrid"
    return "float"


def find(operator: Operator, tensors: list[Tensor | None]) -> Kernel:
    """The kernel for an operator on such tensors; UnsupportedError if ptq has none."""
    name = operator.custom_code or operator.type
    kind = arithmetic(operator, tensors)
    kernel = {"hybrid": HYBRID, "integer": INTEGER}.get(kind, FLOAT).get(operator.type)
    if kernel is None and kind == "integer":
        raise UnsupportedError(
            f"operator {name}: quantized activations found, for which ptq has no kernel of this operator; "
            f"expected one of {', '.join(sorted(INTEGER))}"
        )
    if kernel is None:
        raise UnsupportedError(
            f"operator {name}: ptq has no kernel for it; it is kept in files, but cannot be run; "
            f"expected one of {', '.join(sorted(FLOAT))}"
        )
    return kernel


def evaluate(call: Call, where: str) -> list[Array]:
    """Run one operator; whatever goes wrong in it becomes an error that says `where`."""
    if "kernel" not in call.memory:  # it depends on types alone
        call.memory["kernel"] = find(call.operator, call.tensors)
    kernel: Kernel = call.memory["kernel"]
    try:
        results = kernel(call)
    except PtqError as error:
        raise type(error)(f"{where}: {error}") from error
    except KeyError as error:
        raise GraphError(f"{where}: option {error} is missing; expected all options of the schema") from error
    except MemoryError as error:
        raise InputError(f"{where}: the result does not fit into memory; use a smaller input") from error
    except (ValueError, IndexError, TypeError, ArithmeticError, AttributeError) as error:
        raise GraphError(f"{where}: {error}; the tensors do not fit this operator") from error
    if len(results) != len(call.output_tensors):
        raise GraphError(
            f"{where}: {len(call.output_tensors)} outputs declared, the operator has {len(results)}"
        )
    return results
