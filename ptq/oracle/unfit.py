"""What a runtime must not be asked: it ends the process, or answers what nobody can have meant."""

from __future__ import annotations

import numpy as np

from ptq.oracle.problem import Given, Problem

LARGEST_RANK = 6
"""The dimensions that its `RuntimeShape` holds; more overwrite other memory."""


def beyond_litert(problem: Problem, resolver: str) -> str | None:
    """Why a problem is none for LiteRT's kernels, or None. resolver: by its name, "BUILTIN_REF"."""
    if resolver != "BUILTIN_REF" and problem.operator == "DEPTHWISE_CONV_2D" and not problem.operands[2:3]:
        return "the optimized kernels of DEPTHWISE_CONV_2D end the process without a bias"
    return None


def beyond_micro(problem: Problem) -> str | None:
    """Why a problem is none for tflite-micro, or None."""
    given = [x for x in problem.operands if x is not None]
    first, operator = given[0], problem.operator
    rank = max(x.array.ndim for x in given)
    if rank > LARGEST_RANK:
        return f"{rank} dimensions found, it has room for {LARGEST_RANK}"
    if not first.array.size:
        return "an empty tensor found, which it takes for one of unknown size"
    if operator == "DIV" and _plain(first, "int32") and (given[1].array == -1).any():
        return "DIV of the smallest int32 by -1 ends the process"
    if operator == "SVDF" and problem.operands[3] is None:
        return "SVDF ends the process without a bias"
    if operator == "PRELU" and rank > 4:
        return "PRELU on more than 4 dimensions ends the process"
    if operator == "ADD" and _plain(first, "int32") and _activation(problem):
        return "ADD on int32 without a scale ignores its activation"
    if operator == "MUL" and _plain(first, "int16"):
        return "MUL on int16 without a scale computes with a scale all the same"
    if operator == "GREATER" and first.array.dtype == np.int16:
        return "GREATER on int16 computes with factors that it never prepares"
    if operator == "STRIDED_SLICE" and (
        problem.options.get("ellipsis_mask") or problem.options.get("new_axis_mask")
        or given[1].array.size < given[0].array.ndim
    ):  # fmt: skip
        return "STRIDED_SLICE takes every term for a range, and reads one for each dimension"
    if _reads_narrow_bias(problem):
        return "TRANSPOSE_CONV reads an int32 bias of int16 activations as int64"
    if operator == "EMBEDDING_LOOKUP" and _scales(given[-1]) > 1:
        return "EMBEDDING_LOOKUP takes the first scale for all rows"
    if operator == "DEQUANTIZE" and _scales(first) > 1:
        return "DEQUANTIZE reads the first channel's scale alone"
    return None


def _reads_narrow_bias(problem: Problem) -> bool:
    bias = problem.operands[3] if problem.operator == "TRANSPOSE_CONV" and len(problem.operands) > 3 else None
    return bias is not None and bias.array.dtype == np.int32 and problem.wanted[0].type == "INT16"


def _scales(given: Given) -> int:
    return 0 if given.quantization is None else given.quantization.scale.size


def _plain(given: Given, name: str) -> bool:
    return given.quantization is None and given.array.dtype.name == name


def _activation(problem: Problem) -> bool:
    return str(problem.options.get("fused_activation_function", "NONE")) != "NONE"
