"""What operators that work element by element ask of their operands: one dtype, shapes that broadcast."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.call import Call
from ptq.shapes.common import broadcast_shapes

Array = npt.NDArray[Any]

MAXIMUM_RANK = 8
"""How many dimensions TensorFlow Lite can broadcast over; `reference/broadcast_loop.h`, kMaxRank."""


def typed(call: Call, position: int, *names: str) -> Array:
    """The value of an input whose dtype has one of these names; UnsupportedError if it has another."""
    value = call.array(position)
    if value.dtype.name not in names:
        tensor = call.tensors[position]
        raise UnsupportedError(
            f"{call.operator.type}: input {position} ('{tensor.name if tensor else ''}') of dtype "
            f"{value.dtype} found, expected {' or '.join(names)}; TensorFlow Lite has no kernel for another "
            "type without a scale"
        )
    return value


def check_same_dtype(a: Array, b: Array) -> None:
    """UnsupportedError unless both operands have the same dtype."""
    if a.dtype != b.dtype:
        raise UnsupportedError(f"operands of {a.dtype} and {b.dtype} found, expected the same dtype")


def check_broadcast(*operands: Array) -> None:
    """ShapeError unless the operands broadcast, over no more dimensions than TensorFlow Lite can."""
    shapes = [operand.shape for operand in operands]
    found = " and ".join(map(str, shapes))
    together: tuple[int, ...] | None = ()
    for shape in shapes:
        together = None if together is None else broadcast_shapes(together, shape)
    if together is None:
        raise ShapeError(f"shapes {found} found, expected shapes that broadcast")
    if len(set(shapes)) > 1 and max(map(len, shapes)) > MAXIMUM_RANK:
        raise ShapeError(f"shapes {found} found, expected at most {MAXIMUM_RANK} dimensions to broadcast")
