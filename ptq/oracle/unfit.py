"""Problems that a runtime must not be asked: where it ends the process, or is known to misread operands."""

from __future__ import annotations

import numpy as np

from ptq.oracle.problem import Problem

REFERENCE, MICRO = "BUILTIN_REF", "micro"


def refuse_unfit(problem: Problem, kernels: str) -> None:
    """RuntimeError if these kernels cannot confirm anything about a problem.

    kernels: a resolver of LiteRT, or MICRO.
    """
    reason = _of_micro(problem) if kernels == MICRO else _of_litert(problem, kernels)
    if reason:
        raise RuntimeError(f"{problem.operator}: {reason}")


def _of_litert(problem: Problem, kernels: str) -> str:
    if kernels != REFERENCE and problem.operator == "DEPTHWISE_CONV_2D" and not problem.operands[2:3]:
        return "the optimized kernels end the process without a bias"
    return ""


def _of_micro(problem: Problem) -> str:
    operands = problem.operands
    bias = operands[3] if problem.operator == "TRANSPOSE_CONV" and len(operands) > 3 else None
    if bias is not None and bias.array.dtype == np.int32 and problem.wanted[0].type == "INT16":
        return "micro reads an int32 bias of int16 activations as int64"
    table = operands[1] if problem.operator == "EMBEDDING_LOOKUP" else None
    if table is not None and table.quantization is not None and table.quantization.scale.size > 1:
        return "micro takes the first scale for all rows"
    return ""
