"""Builder methods for operators without weights: activations, two operands, movement, conversion."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ptq.builder.core import OperatorBuilder, Value
from ptq.graph import DTYPES, Array, Quantization, Tensor

Term = SupportsIndex | slice | EllipsisType | None
Index = Term | tuple[Term, ...]


class ElementwiseMethods(OperatorBuilder):
    """Element by element, or not even touching the elements."""

    # --- activations ------------------------------------------------------------------------------

    def softmax(self, x: Tensor, beta: float = 1.0, name: str | None = None) -> Tensor:
        """SOFTMAX of beta * x over the last axis."""
        return self.op("SOFTMAX", [x], {"beta": float(beta)}, name=name)

    def relu(self, x: Tensor, name: str | None = None) -> Tensor:
        """RELU: max(x, 0)."""
        return self.op("RELU", [x], name=name)

    def relu6(self, x: Tensor, name: str | None = None) -> Tensor:
        """RELU6: x clamped to [0, 6]."""
        return self.op("RELU6", [x], name=name)

    def relu_n1_to_1(self, x: Tensor, name: str | None = None) -> Tensor:
        """RELU_N1_TO_1: x clamped to [-1, 1]."""
        return self.op("RELU_N1_TO_1", [x], name=name)

    def logistic(self, x: Tensor, name: str | None = None) -> Tensor:
        """LOGISTIC: 1 / (1 + exp(-x))."""
        return self.op("LOGISTIC", [x], name=name)

    def tanh(self, x: Tensor, name: str | None = None) -> Tensor:
        """TANH: the hyperbolic tangent."""
        return self.op("TANH", [x], name=name)

    # --- two operands -----------------------------------------------------------------------------

    def add(self, a: Tensor, b: Value, activation: str = "NONE", name: str | None = None) -> Tensor:
        """ADD: a + b, broadcast."""
        return self.op("ADD", [a, _like(b, a)], {"fused_activation_function": activation}, name=name)

    def sub(self, a: Tensor, b: Value, activation: str = "NONE", name: str | None = None) -> Tensor:
        """SUB: a - b, broadcast."""
        return self.op("SUB", [a, _like(b, a)], {"fused_activation_function": activation}, name=name)

    def mul(self, a: Tensor, b: Value, activation: str = "NONE", name: str | None = None) -> Tensor:
        """MUL: a * b, broadcast."""
        return self.op("MUL", [a, _like(b, a)], {"fused_activation_function": activation}, name=name)

    # --- movement ---------------------------------------------------------------------------------

    def reshape(self, x: Tensor, shape: Sequence[int], name: str | None = None) -> Tensor:
        """RESHAPE; one entry of `shape` may be -1."""
        wanted = np.array(shape, np.int32).reshape(-1)
        options = {"new_shape": wanted}
        roles = ("input", "shape")
        quantization = x.quantization
        return self.op("RESHAPE", [x, wanted], options, roles=roles, quantization=quantization, name=name)

    def squeeze(self, x: Tensor, axes: Sequence[int] = (), name: str | None = None) -> Tensor:
        """SQUEEZE: without the given dimensions of size 1, or without all such dimensions."""
        options = {"squeeze_dims": np.array(axes, np.int32) if len(axes) else None}
        return self.op("SQUEEZE", [x], options, quantization=x.quantization, name=name)

    def pad(self, x: Tensor, paddings: npt.ArrayLike, name: str | None = None) -> Tensor:
        """PAD with zeros; paddings [rank, 2] is how much goes before and after each dimension."""
        amounts = np.array(paddings, np.int32)
        roles = ("input", "paddings")
        return self.op("PAD", [x, amounts], roles=roles, quantization=x.quantization, name=name)

    def concatenation(self, values: Sequence[Value], axis: int = -1, name: str | None = None) -> Tensor:
        """CONCATENATION along `axis`."""
        options = {"axis": int(axis), "fused_activation_function": "NONE"}
        first = values[0] if values else None
        quantization = first.quantization if isinstance(first, Tensor) else None
        return self.op("CONCATENATION", values, options, quantization=quantization, name=name)

    def transpose(self, x: Tensor, order: Sequence[int], name: str | None = None) -> Tensor:
        """TRANSPOSE: dimension i of the output is dimension order[i] of x."""
        permutation = np.array(order, np.int32)
        roles = ("input", "permutation")
        quantization = x.quantization
        return self.op("TRANSPOSE", [x, permutation], roles=roles, quantization=quantization, name=name)

    def gather(
        self, x: Value, indices: Value, axis: int = 0, batch_dims: int = 0, name: str | None = None
    ) -> Tensor:
        """GATHER: the slices of x along `axis` that `indices` name."""
        table = x if isinstance(x, Tensor) else self.constant(x, f"{name or 'gather'}/table")
        options, roles = {"axis": int(axis), "batch_dims": int(batch_dims)}, ("table", "indices")
        return self.op("GATHER", [table, indices], options, roles=roles, name=name, **_like_input(table))

    def split(self, x: Tensor, count: int, axis: int, name: str | None = None) -> list[Tensor]:
        """SPLIT: `count` equal parts of x along `axis`."""
        inputs: list[Value | None] = [np.array(axis, np.int32), x]
        options, roles = {"num_splits": int(count)}, ("axis", "input")
        return self.ops("SPLIT", inputs, options, roles=roles, name=name, **_like_input(x))

    def strided_slice(self, x: Tensor, index: Index, name: str | None = None) -> Tensor:
        """STRIDED_SLICE: x[index] as in Python; `np.s_[:, -1]` is a way to write an index down."""
        terms = index if isinstance(index, tuple) else (index,)
        options: dict[str, int] = {}
        for i, term in enumerate(terms):
            for mask in _masks(term):
                options[mask] = options.get(mask, 0) | 1 << i
        bounds = np.array([_bounds(term) for term in terms], np.int32).reshape(-1, 3).T
        roles = ("input", "begin", "end", "strides")
        return self.op("STRIDED_SLICE", [x, *bounds], options, roles=roles, name=name, **_like_input(x))

    def pack(self, values: Sequence[Tensor], axis: int = 0, name: str | None = None) -> Tensor:
        """PACK: tensors of one shape, stacked along a new dimension."""
        options = {"values_count": len(values), "axis": int(axis)}
        return self.op("PACK", values, options, name=name, **(_like_input(values[0]) if values else {}))

    def unpack(self, x: Tensor, axis: int = 0, name: str | None = None) -> list[Tensor]:
        """UNPACK: the slices of x along `axis`, without that dimension."""
        options = {"num": x.shape[axis] if -len(x.shape) <= axis < len(x.shape) else 0, "axis": int(axis)}
        return self.ops("UNPACK", [x], options, name=name, **_like_input(x))

    # --- conversion -------------------------------------------------------------------------------

    def quantize(
        self, x: Tensor, scale: float, zero_point: int = 0, type: str = "INT8", name: str | None = None
    ) -> Tensor:
        """QUANTIZE: real numbers to integers of one scale and zero point."""
        quantization = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))
        return self.op("QUANTIZE", [x], output_type=type, quantization=quantization, name=name)

    def dequantize(self, x: Tensor, name: str | None = None) -> Tensor:
        """DEQUANTIZE: integers of a quantized tensor, or float16, to float32."""
        return self.op("DEQUANTIZE", [x], output_type="FLOAT32", name=name)


def _like_input(x: Tensor) -> dict[str, Any]:
    """An output of the input's type and quantization."""
    return {"output_type": x.type, "quantization": x.quantization}


def _bounds(term: Term) -> tuple[int, int, int]:
    """begin, end, stride; 0 and 1 where a mask makes them meaningless."""
    if isinstance(term, slice):
        return term.start or 0, term.stop or 0, 1 if term.step is None else term.step
    if term is None or term is Ellipsis:
        return 0, 1, 1
    position = term.__index__()
    return position, position + 1, 1


def _masks(term: Term) -> list[str]:
    """The masks that have a bit for a term."""
    if isinstance(term, slice):
        given = {"begin_mask": term.start, "end_mask": term.stop}
        return [mask for mask, bound in given.items() if bound is None]
    if term is None:
        return ["new_axis_mask"]
    return ["ellipsis_mask" if term is Ellipsis else "shrink_axis_mask"]


def _like(value: Value, other: Tensor) -> Tensor | Array:
    """Python numbers as an array of the other operand's dtype; a tensor or an array as it is."""
    if isinstance(value, Tensor | np.ndarray):
        return value
    return np.asarray(value, DTYPES[other.type])
