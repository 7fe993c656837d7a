"""Construction helpers: a person writes a small network in a few lines, with arrays for the weights.

    b = Builder("net")
    x = b.input("image", (1, 28, 28, 1))
    x = b.conv2d(x, filter, bias, activation="RELU")
    x = b.max_pool2d(x, 2)
    x = b.fully_connected(b.reshape(x, (1, -1)), weights, bias)
    graph = b.finish(b.softmax(x))

Layouts are TensorFlow Lite's: images [batch, height, width, channels], convolution filters
[outputs, height, width, inputs], depthwise filters [1, height, width, outputs], weights [outputs, inputs].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, InputError
from ptq.graph import ABSENT, DTYPES, Array, Graph, Operator, Quantization, Tensor, type_of
from ptq.operators import OPTIONS
from ptq.shapes import infer_shapes

Value = Tensor | npt.ArrayLike
"""What may stand for an operand: a tensor of the graph, or an array, which becomes a constant."""

Pair = int | tuple[int, int]
"""One number for both directions, or (vertical, horizontal)."""


class Builder:
    """Collects tensors and operators; every method adds one operator and returns what it writes.

    `name` of a method names its output tensor; a constant is named after the output and its role.
    """

    def __init__(self, name: str = "main") -> None:
        self.graph = Graph(name=name)
        self._index: dict[int, int] = {}
        self._names: set[str] = set()

    # --- tensors ----------------------------------------------------------------------------------

    def input(
        self, name: str, shape: Sequence[int], type: str = "FLOAT32",
        quantization: Quantization | None = None
    ) -> Tensor:
        """A tensor that is fed; a first dimension of -1 stands for a batch size that may change (1 now)."""
        signature = tuple(int(size) for size in shape)
        fixed = tuple(1 if size == -1 else size for size in signature)
        tensor = Tensor(name, fixed, type, quantization=quantization)
        tensor.shape_signature = signature if -1 in signature else None
        self.graph.inputs.append(self._add(tensor))
        return tensor

    def constant(
        self, data: npt.ArrayLike, name: str = "constant", quantization: Quantization | None = None
    ) -> Tensor:
        """A tensor that is stored in the graph; Python floats and float64 become float32, ints int32."""
        array = np.asarray(data)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        elif array.dtype == np.int64 and not isinstance(data, np.ndarray):
            array = array.astype(np.int32)
        tensor = Tensor(name, array.shape, type_of(array.dtype), np.array(array, order="C"), quantization)
        self._add(tensor)
        return tensor

    def op(
        self, type: str, inputs: Sequence[Value | None], options: dict[str, Any] | None = None,
        version: int = 1, **details: Any
    ) -> Tensor:
        """The first or only output of `ops`; the methods below are this one with the options filled in."""
        return self.ops(type, inputs, options, version, **details)[0]

    def ops(
        self, type: str, inputs: Sequence[Value | None], options: dict[str, Any] | None = None,
        version: int = 1, *, options_type: str | None = None, roles: Sequence[str] = (),
        output_type: str | None = None, output_shape: Sequence[int] | None = None,
        quantization: Quantization | None = None, name: str | None = None
    ) -> list[Tensor]:
        """Any operator, with all its outputs.

        inputs: tensors, arrays, or None for an absent optional input. roles: how constants are named.
        options: those that differ from the schema's defaults. options_type: for operators ptq does not know.
        output_type: that of the first input unless given. output_shape: inferred unless given; an operator
        that ptq does not know needs it. Raises ShapeError if the inputs do not fit the operator.
        """
        label = self._unique(name or type.lower())
        roles = [*roles, *(f"input_{i}" for i in range(len(roles), len(inputs)))]
        table, defaults = OPTIONS.get(type, (None, {}))
        tensors = [self._tensor(value, f"{label}/{role}") for value, role in zip(inputs, roles, strict=False)]
        while tensors and tensors[-1] is None:  # TensorFlow Lite's CONV_2D takes two inputs or three, not -1
            tensors.pop()
        read = [ABSENT if tensor is None else self._find(tensor) for tensor in tensors]
        operator = Operator(type, read, [], {**defaults, **(options or {})}, options_type or table, version)
        shapes = infer_shapes(operator, tensors) if output_shape is None else [tuple(output_shape)]
        kind = output_type or next(t.type for t in tensors if t is not None)
        names = [label, *(self._unique(label) for _ in shapes[1:])]
        outputs = [Tensor(n, s, kind, quantization=quantization) for n, s in zip(names, shapes, strict=True)]
        operator.outputs += [self._add(output) for output in outputs]
        self.graph.operators.append(operator)
        return outputs

    def finish(self, *outputs: Tensor) -> Graph:
        """The graph that returns `outputs`, checked; GraphError if it contradicts itself."""
        if not outputs:
            raise GraphError("finish: no outputs given, expected at least one tensor")
        self.graph.outputs = [self._find(tensor) for tensor in outputs]
        self.graph.validate()
        return self.graph

    # --- layers with weights ----------------------------------------------------------------------

    def conv2d(
        self, x: Tensor, filter: Value, bias: Value | None = None, stride: Pair = 1,
        padding: str = "SAME", activation: str = "NONE", dilation: Pair = 1, name: str | None = None
    ) -> Tensor:
        """CONV_2D; filter [outputs, height, width, inputs / groups], bias [outputs], 0 if not given."""
        options = {**_geometry(padding, stride, activation), **_dilation(dilation)}
        shape = _shape(filter)
        grouped = shape[-1:] != x.shape[-1:]
        roles = ("input", "filter", "bias")
        version = 6 if grouped else 1
        inputs = [x, filter, _zeros(*shape[:1]) if bias is None else bias]
        return self.op("CONV_2D", inputs, options, version, roles=roles, name=name)

    def depthwise_conv2d(
        self, x: Tensor, filter: Value, bias: Value | None = None, stride: Pair = 1,
        padding: str = "SAME", activation: str = "NONE", dilation: Pair = 1, name: str | None = None
    ) -> Tensor:
        """DEPTHWISE_CONV_2D; filter [1, height, width, channels * multiplier], bias alike or 0."""
        outputs = (0, *_shape(filter))[-1]
        multiplier = outputs // max(x.shape[-1], 1) if x.shape else 0
        options = {**_geometry(padding, stride, activation), **_dilation(dilation)}
        options["depth_multiplier"] = multiplier
        roles = ("input", "filter", "bias")
        version = 1 if _pair(dilation) == (1, 1) else 2
        inputs = [x, filter, _zeros(outputs) if bias is None else bias]
        return self.op("DEPTHWISE_CONV_2D", inputs, options, version, roles=roles, name=name)

    def fully_connected(
        self, x: Tensor, weights: Value, bias: Value | None = None, activation: str = "NONE",
        keep_num_dims: bool = False, name: str | None = None
    ) -> Tensor:
        """FULLY_CONNECTED; weights [outputs, inputs], bias [outputs]; x is seen as rows of `inputs`."""
        options = {"fused_activation_function": activation, "keep_num_dims": keep_num_dims}
        version = 6 if bias is None else 5 if keep_num_dims else 1
        roles = ("input", "weights", "bias")
        return self.op("FULLY_CONNECTED", [x, weights, bias], options, version, roles=roles, name=name)

    def batch_norm(
        self, x: Tensor, gamma: npt.ArrayLike, beta: npt.ArrayLike, mean: npt.ArrayLike,
        variance: npt.ArrayLike, epsilon: float = 1e-3, name: str | None = None
    ) -> Tensor:
        """Batch normalisation at inference, as MUL and ADD of constants, which a pass folds later.

        output = x * multiplier + offset,  multiplier = gamma / sqrt(variance + epsilon),
        offset = beta - mean * multiplier; both in double precision, rounded to float32 at the end.
        """
        spread = np.sqrt(np.asarray(variance, np.float64) + epsilon)
        multiplier = np.asarray(gamma, np.float64) / spread
        offset = np.asarray(beta, np.float64) - np.asarray(mean, np.float64) * multiplier
        label = name or "batch_norm"
        scaled = self.mul(x, multiplier.astype(np.float32), name=f"{label}/mul")
        return self.add(scaled, offset.astype(np.float32), name=f"{label}/add")

    # --- pools and reductions ---------------------------------------------------------------------

    def average_pool2d(
        self, x: Tensor, size: Pair, stride: Pair | None = None, padding: str = "VALID",
        activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """AVERAGE_POOL_2D over windows of `size`, which do not overlap unless `stride` is given."""
        options = _pool(size, stride, padding, activation)
        return self.op("AVERAGE_POOL_2D", [x], options, name=name)

    def max_pool2d(
        self, x: Tensor, size: Pair, stride: Pair | None = None, padding: str = "VALID",
        activation: str = "NONE", name: str | None = None
    ) -> Tensor:
        """MAX_POOL_2D over windows of `size`, which do not overlap unless `stride` is given."""
        options = _pool(size, stride, padding, activation)
        return self.op("MAX_POOL_2D", [x], options, name=name)

    def mean(
        self, x: Tensor, axes: int | Sequence[int], keep_dims: bool = False, name: str | None = None
    ) -> Tensor:
        """MEAN over `axes`; mean(x, (1, 2)) is global average pooling."""
        axis = np.atleast_1d(np.array(axes, np.int32))
        return self.op("MEAN", [x, axis], {"keep_dims": keep_dims}, roles=("input", "axis"), name=name)

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

    # --- bookkeeping ------------------------------------------------------------------------------

    def _tensor(self, value: Value | None, name: str) -> Tensor | None:
        if value is None or isinstance(value, Tensor):
            return value
        return self.constant(value, self._unique(name))

    def _add(self, tensor: Tensor) -> int:
        self._names.add(tensor.name)
        index = self.graph.add_tensor(tensor)
        self._index[id(tensor)] = index
        return index

    def _find(self, tensor: Tensor) -> int:
        if id(tensor) not in self._index:
            raise InputError(
                f"tensor '{getattr(tensor, 'name', tensor)}' does not belong to this builder; expected what "
                "one of its methods returned"
            )
        return self._index[id(tensor)]

    def _unique(self, name: str) -> str:
        candidates = (f"{name}_{n}" if n else name for n in count())
        unique = next(candidate for candidate in candidates if candidate not in self._names)
        self._names.add(unique)
        return unique


def _shape(value: Value) -> tuple[int, ...]:
    return value.shape if isinstance(value, Tensor) else np.shape(value)


def _zeros(*shape: int) -> Array:
    """A bias that changes nothing: LiteRT's hybrid convolutions refuse to run without any."""
    return np.zeros(shape, np.float32)


def _like(value: Value, other: Tensor) -> Tensor | Array:
    """Python numbers as an array of the other operand's dtype; a tensor or an array as it is."""
    if isinstance(value, Tensor | np.ndarray):
        return value
    return np.asarray(value, DTYPES[other.type])


def _pair(value: Pair) -> tuple[int, int]:
    vertical, horizontal = (value, value) if isinstance(value, int) else value
    return int(vertical), int(horizontal)


def _geometry(padding: str, stride: Pair, activation: str) -> dict[str, Any]:
    stride_h, stride_w = _pair(stride)
    strides = {"stride_w": stride_w, "stride_h": stride_h}
    return {"padding": padding, **strides, "fused_activation_function": activation}


def _dilation(dilation: Pair) -> dict[str, Any]:
    dilation_h, dilation_w = _pair(dilation)
    return {"dilation_w_factor": dilation_w, "dilation_h_factor": dilation_h}


def _pool(size: Pair, stride: Pair | None, padding: str, activation: str) -> dict[str, Any]:
    filter_h, filter_w = _pair(size)
    options = _geometry(padding, size if stride is None else stride, activation)
    return {**options, "filter_width": filter_w, "filter_height": filter_h}
