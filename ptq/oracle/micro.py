"""What tflite-micro must not be asked: it ends the process, or answers what nobody can have meant."""

from __future__ import annotations

from ptq.oracle.problem import Given, Problem

LARGEST_RANK = 6
"""The dimensions that its `RuntimeShape` holds; more overwrite other memory."""


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
    if operator == "PRELU" and rank > 4:
        return "PRELU on more than 4 dimensions ends the process"
    if operator == "ADD" and _plain(first, "int32") and _activation(problem):
        return "ADD on int32 without a scale ignores its activation"
    if operator in ("MUL", "GREATER") and _plain(first, "int16"):
        return f"{operator} on int16 without a scale computes with a scale all the same"
    if operator == "STRIDED_SLICE" and (
        problem.options.get("ellipsis_mask") or problem.options.get("new_axis_mask")
        or given[1].array.size < given[0].array.ndim
    ):  # fmt: skip
        return "STRIDED_SLICE takes every term for a range, and reads one for each dimension"
    if operator == "DEQUANTIZE" and first.quantization is not None and first.quantization.per_channel:
        return "DEQUANTIZE reads the first channel's scale alone"
    return None


def _plain(given: Given, name: str) -> bool:
    return given.quantization is None and given.array.dtype.name == name


def _activation(problem: Problem) -> bool:
    return str(problem.options.get("fused_activation_function", "NONE")) != "NONE"
