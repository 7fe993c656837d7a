"""What integer kernels ask of operands that have one scale each, and the tables that make them fast.

An 8-bit operand has 256 values, two have 65,536 pairs: a kernel that is applied to all of them once can be
looked up from then on. Other widths run the kernel itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError, UnsupportedError
from ptq.graph import Quantization, Tensor
from ptq.kernels.call import Call
from ptq.kernels.integer.parameters import input_quantization, output_quantization
from ptq.kernels.operands import check_broadcast
from ptq.lookup_table import lut_lookup_int8
from ptq.numerics import Numerics

Array = npt.NDArray[Any]

EVERY_BYTE: Array = np.arange(256, dtype=np.uint8)
"""All values of 8 bits, in the order of a table's entries."""

WORTH_A_TABLE = 4096
"""Elements of an output from which on a table of all pairs is filled: fewer are computed sooner."""


@dataclass(frozen=True)
class Scaled:
    """How the integers of one operand stand for reals: real = scale * (integer - zero_point)."""

    scale: np.float32
    zero_point: int
    dtype: np.dtype[Any]


def quantized(call: Call, inputs: int, *names: str) -> list[Scaled]:
    """The scales of the first inputs and, last, of the output, all of one dtype that has one of the names.

    Errors: UnsupportedError for another dtype; GraphError without a scale; QuantizationError for several
    scales, a scale of 0, or a zero point beyond the dtype.
    """
    found = [scaled_input(call, position) for position in range(inputs)]
    found.append(_scaled(call, call.output_tensors[0], output_quantization(call)))
    check_same_kind(call, found, *names)
    return found


def scaled_input(call: Call, position: int) -> Scaled:
    """The scale of one input. Errors as above."""
    return _scaled(call, call.tensors[position], input_quantization(call, position))


def check_same_kind(call: Call, operands: list[Scaled], *names: str) -> None:
    """UnsupportedError unless all operands have the same dtype, and that one of the names."""
    kinds = [operand.dtype.name for operand in operands]
    if len(set(kinds)) > 1 or kinds[0] not in names:
        raise UnsupportedError(
            f"{call.operator.type}: quantized operands of {', '.join(kinds)} found, expected all of "
            f"{' or all of '.join(names)}; TensorFlow Lite has no kernel for other types"
        )


def check_symmetric(call: Call, operands: list[Scaled]) -> None:
    """QuantizationError if an int16 operand has a zero point other than 0."""
    for operand in operands:
        if operand.dtype == np.int16 and operand.zero_point:
            raise QuantizationError(
                f"{call.operator.type}: int16 with zero point {operand.zero_point} found, expected 0: "
                "TensorFlow Lite's 16-bit kernels are symmetric; convert the model again"
            )


def factor(numerics: Numerics, above: list[np.float32], below: list[np.float32]) -> float:
    """The product of some scales over that of others: float32 at every step in lite, doubles in micro.

    (tflite-micro's sources, too, say float32 in places; its wheels for x86-64 compute doubles there.)
    """
    kind = np.float32 if numerics.integer_kernels == "lite" else np.float64
    with np.errstate(all="ignore"):
        return float(np.prod([kind(x) for x in above]) / np.prod([kind(x) for x in below]))


def clamped(scaled: Array, zero_point: int, bounds: tuple[int, int] | None, dtype: np.dtype[Any]) -> Array:
    """The rescaled integers, around the output's zero point and within bounds, else those of the dtype.

    The sum wraps around as an int32 does in C, which takes a factor of 2^20 or so.
    """
    limits = np.iinfo(dtype)
    total = (scaled.astype(np.int64) + zero_point).astype(np.int32)
    # clamp
    return np.clip(total, *(bounds or (limits.min, limits.max))).astype(dtype)


def one_operand(call: Call, rule: Callable[[Array], Array]) -> Array:
    """The rule applied to the first input: looked up if it has 8 bits. The rule depends on scales alone."""
    x = call.array(0)
    if x.itemsize > 1:
        return rule(x)
    return lut_lookup_int8(x, call.once("table", lambda: rule(EVERY_BYTE.view(x.dtype))))


def two_operands(call: Call, rule: Callable[[Array, Array], Array]) -> Array:
    """The rule applied to both inputs: looked up if they have 8 bits and the output many elements."""
    a, b = call.array(0), call.array(1)
    check_broadcast(a, b)
    many = math.prod(np.broadcast_shapes(a.shape, b.shape)) >= WORTH_A_TABLE
    if a.itemsize > 1 or b.itemsize > 1 or not (many or "table" in call.memory):
        return rule(a, b)
    every = EVERY_BYTE.view(a.dtype)
    table = call.once("table", lambda: rule(every[:, None], EVERY_BYTE.view(b.dtype)[None]).ravel())
    pair = a.view(np.uint8).astype(np.uint16) << 8 | b.view(np.uint8)
    return np.asarray(table[pair])


def _scaled(call: Call, tensor: Tensor | None, quantization: Quantization) -> Scaled:
    assert tensor is not None  # or it would have no scale
    dtype = tensor.dtype
    if dtype is None or dtype.kind not in "iu":
        raise UnsupportedError(
            f"{call.operator.type}: tensor '{tensor.name}' of type {tensor.type} found, expected integers"
        )
    if quantization.per_channel:
        raise QuantizationError(
            f"{call.operator.type}: tensor '{tensor.name}' has {quantization.scale.size} scales, expected "
            "one; only weights are quantized per channel"
        )
    if not quantization.scale[0] > 0:
        raise QuantizationError(
            f"{call.operator.type}: tensor '{tensor.name}' has scale {quantization.scale[0]}, expected one "
            "above 0; convert the model again"
        )
    zero_point, limits = int(quantization.zero_point[0]), np.iinfo(dtype)
    if not limits.min <= zero_point <= limits.max:
        raise QuantizationError(
            f"{call.operator.type}: tensor '{tensor.name}' has zero point {zero_point}, expected "
            f"{limits.min} to {limits.max}, as {dtype.name} holds; convert the model again"
        )
    return Scaled(np.float32(quantization.scale[0]), zero_point, dtype)
