"""What an operator of a graph hands to a kernel: its arrays, their tensors and its options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, ShapeError, UnsupportedError
from ptq.graph import Graph, Operator, Tensor
from ptq.numerics import LITERT_REFERENCE, Numerics

Array = npt.NDArray[Any]
Memory = TypeVar("Memory")



@dataclass(frozen=True)
class Subgraph:
    """Another subgraph of the model: itself, and a function that runs it on its inputs."""

    graph: Graph
    run: Callable[[list[Array]], list[Array]]


def _no_subgraphs(index: int) -> Subgraph:
    raise GraphError(f"subgraph {index} is called, but this operator runs outside a model")


@dataclass
class Shared:
    """What the operators of one model share from invocation to invocation.

    variables: the resource variables by their handles. handles: those by (container, shared name).
    initialized: the subgraphs that CALL_ONCE has run.
    """

    variables: dict[int, Array] = field(default_factory=dict)
    handles: dict[tuple[str, str], int] = field(default_factory=dict)
    initialized: set[int] = field(default_factory=set)


@dataclass
class Call:
    """One evaluation of one operator.

    tensors, inputs: the input tensors and their values; None for an optional input that is absent.
    output_tensors: the tensors that are written. intermediates: tensors that are neither read nor written;
    their scales say how a quantized LSTM computes inside. memory: what is kept from call to call, for work
    that depends on constants alone. subgraph: another subgraph of the model by its number, with its states
    at their initial values. shared: what all operators of the model share. new_states: what `keep_state`
    was given, by input position.
    """

    operator: Operator
    tensors: list[Tensor | None]
    inputs: list[Array | None]
    output_tensors: list[Tensor]
    numerics: Numerics = LITERT_REFERENCE
    memory: dict[str, Any] = field(default_factory=dict)
    subgraph: Callable[[int], Subgraph] = field(default=_no_subgraphs)
    shared: Shared = field(default_factory=Shared)
    new_states: dict[int, Array] = field(default_factory=dict)
    intermediates: list[Tensor] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """The operator's options by the schema's names."""
        return self.operator.options

    def array(self, position: int) -> Array:
        """The value of a mandatory input; GraphError if the operator has none there."""
        value = self.optional(position)
        if value is None:
            raise GraphError(f"{self.operator.type}: input {position} is absent, expected a tensor")
        return value

    def optional(self, position: int) -> Array | None:
        """The value of an optional input, or None."""
        return self.inputs[position] if position < len(self.inputs) else None

    def float_array(self, position: int) -> Array:
        """The value of a mandatory input that must be float32; UnsupportedError if it is of another type."""
        return self.typed_array(position, np.float32)

    def typed_array(self, position: int, dtype: npt.DTypeLike) -> Array:
        """The value of a mandatory input that must have this dtype; UnsupportedError if it has another."""
        value = self.array(position)
        if value.dtype != dtype:
            tensor = self.tensors[position]
            raise UnsupportedError(
                f"{self.operator.type}: input {position} ('{tensor.name if tensor else ''}') of dtype "
                f"{value.dtype} found, expected {np.dtype(dtype)}; ptq has no kernel for this combination of "
                "types"
            )
        return value

    def optional_float_array(self, position: int) -> Array | None:
        """The same for an optional input, such as a bias; None if it is absent."""
        return None if self.optional(position) is None else self.float_array(position)

    def state(self, position: int, dtype: npt.DTypeLike = np.float32) -> Array:
        """The value of a state, which outlives the call; GraphError if the tensor is no variable."""
        tensor = self.tensors[position]
        if tensor is None or not tensor.is_variable:
            raise GraphError(
                f"{self.operator.type}: input {position} ('{tensor.name if tensor else ''}') is no variable; "
                "expected a tensor marked is_variable, which keeps the state between invocations"
            )
        return self.typed_array(position, dtype)

    def keep_state(self, position: int, value: Array) -> None:
        """Store a state's new value, for the operators that follow and for the next invocation.

        ShapeError unless it has the state's shape. What was read before keeps the old value.
        """
        old = self.state(position, self.array(position).dtype)
        if value.shape != old.shape:
            raise ShapeError(
                f"{self.operator.type}: state of shape {old.shape} found at input {position}, "
                f"expected {value.shape}"
            )
        self.new_states[position] = value.astype(old.dtype)

    def scale(self, position: int) -> Array:
        """The scales of a quantized, symmetric input; UnsupportedError if it is neither."""
        tensor = self.tensors[position]
        if tensor is None or tensor.quantized is None:
            raise GraphError(
                f"{self.operator.type}: input {position} has type {tensor and tensor.type} but no scale; "
                "expected quantization parameters; convert the model again"
            )
        if np.any(tensor.quantized.zero_point != 0):
            raise UnsupportedError(
                f"{self.operator.type}: tensor '{tensor.name}' has zero point "
                f"{int(tensor.quantized.zero_point[0])}; hybrid weights are symmetric, expected 0"
            )
        return tensor.quantized.scale

    def remember(self, key: str, compute: Callable[[], Memory], position: int = 1) -> Memory:
        """`compute()`, done once if input `position` is a constant of the graph."""
        tensor = self.tensors[position]
        if tensor is None or not tensor.is_constant:
            return compute()
        return self.once(key, compute)

    def once(self, key: str, compute: Callable[[], Memory]) -> Memory:
        """`compute()`, done once for the operator: for what follows from scales and options alone."""
        if key not in self.memory:
            self.memory[key] = compute()
        value: Memory = self.memory[key]
        return value


Kernel = Callable[[Call], list[Array]]
"""How the registry calls a kernel: one output array for each output tensor."""
