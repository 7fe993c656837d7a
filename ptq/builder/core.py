"""The core of the builder: it names tensors, infers shapes and appends operators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, InputError
from ptq.graph import ABSENT, Graph, Operator, Quantization, Tensor, type_of
from ptq.operators import OPTIONS
from ptq.shapes import infer_shapes

Value = Tensor | npt.ArrayLike
"""What may stand for an operand: a tensor of the graph, or an array, which becomes a constant."""


class OperatorBuilder:
    """What every family of layers builds on: tensors, constants, variables and any operator."""

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

    def variable(self, name: str, shape: Sequence[int], type: str = "FLOAT32") -> Tensor:
        """A tensor that an operator keeps from one invocation to the next; zero at first."""
        tensor = Tensor(self._unique(name), tuple(int(size) for size in shape), type, is_variable=True)
        self._add(tensor)
        return tensor

    def op(
        self, type: str, inputs: Sequence[Value | None], options: dict[str, Any] | None = None,
        version: int = 1, **details: Any
    ) -> Tensor:
        """The first or only output of `ops`; the layers' methods are this one with the options filled in."""
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


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of what will be an operand."""
    return value.shape if isinstance(value, Tensor) else np.shape(value)
