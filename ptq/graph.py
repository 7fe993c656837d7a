"""The layer graph: tensors, operators and the graph that joins them. No arithmetic, no files.

The words are TensorFlow Lite's: an operator is named as in `BuiltinOperator` ("CONV_2D"), its options
as in the schema ("stride_w", "fused_activation_function"), with enums by name ("SAME", "RELU").
"""

from __future__ import annotations

import copy as _copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, QuantizationError

Array = npt.NDArray[Any]

ABSENT = -1
"""The index that stands for an optional operator input which is not given."""


class _ComparedByContent:
    """Equality of all fields; arrays are equal if dtype, shape and bytes are, so that NaN equals itself."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _same(vars(self), vars(other))

    __hash__ = None  # type: ignore[assignment]  # everything here can be changed


@dataclass(eq=False)
class Quantization(_ComparedByContent):
    """How a tensor's integers stand for real numbers: real = scale * (integer - zero_point)   (Q1).

    scale: float32 [1] or [channels], each > 0 (0 is written by an old converter for all-zero channels).
    zero_point: int64, as many entries as `scale`.
    quantized_dimension: the axis that the entries run along, when there is more than one.
    minimum, maximum: the observed float range, kept for the file; ptq computes nothing from it.
    extra: further fields of the file's table, kept for the round trip.
    """

    scale: Array
    zero_point: Array
    quantized_dimension: int = 0
    minimum: Array | None = None
    maximum: Array | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def per_channel(self) -> bool:
        """Whether each channel has a scale of its own."""
        return self.scale.size > 1

    @property
    def is_quantized(self) -> bool:
        """Whether there is a scale at all; some converters write an empty table instead of none."""
        return self.scale.size > 0

    def check(self, tensor: str, shape: tuple[int, ...]) -> None:
        """Raise QuantizationError unless scale, zero point and dimension fit a tensor of `shape`."""
        if not self.is_quantized:
            return
        if not np.all(np.isfinite(self.scale)) or np.any(self.scale < 0):
            worst = self.scale[~(np.isfinite(self.scale) & (self.scale >= 0))][0]
            raise QuantizationError(
                f"tensor '{tensor}': scale {worst} found, expected a finite number >= 0; "
                "convert the model again or repair the file"
            )
        if self.zero_point.size != self.scale.size:
            raise QuantizationError(
                f"tensor '{tensor}': {self.scale.size} scales but {self.zero_point.size} zero points; "
                "expected one zero point for each scale"
            )
        if not self.per_channel:
            return
        axis = self.quantized_dimension
        if not 0 <= axis < len(shape) or shape[axis] != self.scale.size:
            raise QuantizationError(
                f"tensor '{tensor}': {self.scale.size} scales along dimension {axis} of shape {shape}; "
                "expected one scale for each entry of the quantized dimension"
            )


@dataclass(eq=False)
class Tensor(_ComparedByContent):
    """A value of the graph: a constant if it has `data`, else computed, fed or (is_variable) kept.

    type: a `TensorType` name of the schema, "FLOAT32", "INT8", "INT32", ...
    data: an array of `shape`; raw bytes (uint8 [n]) for types that NumPy does not have.
    extra: fields of the file's table that ptq does not interpret, kept for the round trip.
    """

    name: str
    shape: tuple[int, ...]
    type: str = "FLOAT32"
    data: Array | None = None
    quantization: Quantization | None = None
    is_variable: bool = False
    shape_signature: tuple[int, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The NumPy dtype of the elements, or None where NumPy has no such type."""
        return DTYPES.get(self.type)

    @property
    def is_constant(self) -> bool:
        """Whether the value is stored in the graph."""
        return self.data is not None

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def quantized(self) -> Quantization | None:
        """The quantization if the integers of this tensor really stand for reals, else None."""
        if self.quantization is not None and self.quantization.is_quantized:
            return self.quantization
        return None


@dataclass(eq=False)
class Operator(_ComparedByContent):
    """One layer: it reads tensors by index and writes tensors by index.

    options: the fields of the builtin options table, by the schema's names.
    options_type: the schema's name of that table; None stands for no table.
    extra: what ptq keeps but does not interpret (custom options, intermediates, ...).
    """

    type: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any] = field(default_factory=dict)
    options_type: str | None = None
    version: int = 1
    custom_code: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Signature(_ComparedByContent):
    """A named entry point: the inputs and outputs of a subgraph by name, as indices of its tensors.

    TensorFlow sorts the names, and `get_signature_list` lists them sorted, whatever their order here.
    subgraph: 0 is the main graph, i is `graph.subgraphs[i - 1]`.
    extra: further fields of the file's table, kept for the round trip.
    """

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraph: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Graph(_ComparedByContent):
    """A model: tensors, operators in execution order, and which tensors are fed and returned.

    subgraphs: the further subgraphs of the file, which control-flow operators refer to.
    metadata: (name, bytes) pairs that travel with the model.
    extra: fields of the file's tables that ptq does not interpret, kept for the round trip.
    """

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    name: str | None = "main"
    description: str | None = None
    subgraphs: list[Graph] = field(default_factory=list)
    signatures: list[Signature] = field(default_factory=list)
    metadata: list[tuple[str, bytes]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def add_tensor(self, tensor: Tensor) -> int:
        """Append a tensor and return its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def copy(self) -> Graph:
        """A graph that can be rewritten without touching this one; the weight arrays are shared."""
        weights = [t.data for g in (self, *self.subgraphs) for t in g.tensors if t.data is not None]
        return _copy.deepcopy(self, {id(array): array for array in weights})

    def consumers(self, tensor: int) -> list[int]:
        """The indices of the operators that read `tensor`, in execution order."""
        return [i for i, op in enumerate(self.operators) if tensor in op.inputs]

    def producer(self, tensor: int) -> int | None:
        """The index of the operator that writes `tensor`, or None for inputs and constants."""
        for i, op in enumerate(self.operators):
            if tensor in op.outputs:
                return i
        return None

    def validate(self) -> None:
        """Raise GraphError or QuantizationError at the first contradiction.

        Checked: every index exists; each tensor is written once at most and never after being read;
        constants have the shape and dtype that they declare; scales fit their tensors; signatures have
        different keys, and name inputs and outputs of the subgraphs that they run.
        """
        for tensor in self.tensors:
            _check_tensor(tensor)
        _check_indices("graph inputs", self.inputs, len(self.tensors))
        _check_indices("graph outputs", self.outputs, len(self.tensors))
        _check_order(self)
        _check_signatures(self)
        for subgraph in self.subgraphs:
            subgraph.validate()

    def __str__(self) -> str:
        """The graph as text: a line for each operator, with shapes and types."""
        lines = [f"graph '{self.name}': {len(self.operators)} operators, {len(self.tensors)} tensors"]
        lines += [f"  input  {self._label(i)}" for i in self.inputs]
        for position, op in enumerate(self.operators):
            read = ", ".join(self._label(i) for i in op.inputs)
            written = ", ".join(self._label(i) for i in op.outputs)
            lines.append(f"  {position:3d} {op.custom_code or op.type}({read}) -> {written}")
        lines += [f"  output {self._label(i)}" for i in self.outputs]
        return "\n".join(lines)

    def _label(self, index: int) -> str:
        if index == ABSENT:
            return "none"
        tensor = self.tensors[index]
        shape = "x".join(map(str, tensor.shape)) or "scalar"
        return f"{tensor.name}:{tensor.type.lower()}[{shape}]"


DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind)
    for name, kind in {
        "FLOAT32": "<f4", "FLOAT16": "<f2", "FLOAT64": "<f8", "BOOL": "?",
        "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
        "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
        "COMPLEX64": "<c8", "COMPLEX128": "<c16",
    }.items()
}  # fmt: skip
"""The tensor types that NumPy can hold, with their little-endian dtypes."""


def type_of(dtype: npt.DTypeLike) -> str:
    """The schema's name of a NumPy dtype; GraphError if it has none."""
    wanted = np.dtype(dtype)
    for name, known in DTYPES.items():
        if known == wanted:
            return name
    raise GraphError(f"dtype {wanted} has no TensorFlow Lite type; expected one of {', '.join(DTYPES)}")


def _check_tensor(tensor: Tensor) -> None:
    if any(size < 0 for size in tensor.shape):
        raise GraphError(f"tensor '{tensor.name}': negative size in shape {tensor.shape}")
    if tensor.quantization is not None:
        tensor.quantization.check(tensor.name, tensor.shape)
    if tensor.data is None or tensor.dtype is None:
        return
    if tensor.data.shape != tensor.shape:
        raise GraphError(
            f"tensor '{tensor.name}': constant of shape {tensor.data.shape} found, {tensor.shape} declared"
        )
    if tensor.data.dtype != tensor.dtype:
        raise GraphError(
            f"tensor '{tensor.name}': constant of dtype {tensor.data.dtype} found, {tensor.type} declared"
        )


def _check_indices(where: str, indices: list[int], count: int, optional: bool = False) -> None:
    lowest = ABSENT if optional else 0
    for index in indices:
        if not lowest <= index < count:
            raise GraphError(f"{where}: tensor index {index} found, expected {lowest} to {count - 1}")


def _check_order(graph: Graph) -> None:
    fed = set(graph.inputs)
    unwritten = {i for op in graph.operators for i in op.outputs}
    for position, op in enumerate(graph.operators):
        where = f"operator {position} ({op.type})"
        _check_indices(f"{where} inputs", op.inputs, len(graph.tensors), optional=True)
        _check_indices(f"{where} outputs", op.outputs, len(graph.tensors))
        for index in op.inputs:
            if index in unwritten:
                raise GraphError(
                    f"{where} reads tensor '{graph.tensors[index].name}' before any operator has written it; "
                    "operators must stand in execution order, without cycles"
                )
        for index in op.outputs:
            if index not in unwritten or index in fed or graph.tensors[index].is_constant:
                raise GraphError(
                    f"{where} writes tensor '{graph.tensors[index].name}', which is an input, a constant "
                    "or already written; expected exactly one producer"
                )
            unwritten.discard(index)


def _check_signatures(graph: Graph) -> None:
    graphs, keys = [graph, *graph.subgraphs], set[str]()
    for position, signature in enumerate(graph.signatures):
        where = f"signature '{signature.key}'"
        if not signature.key:
            raise GraphError(f"signature {position}: empty key found, expected a name to run it by")
        if signature.key in keys:
            raise GraphError(f"{where}: found twice, expected a different key for each signature")
        keys.add(signature.key)
        if not 0 <= signature.subgraph < len(graphs):
            raise GraphError(f"{where}: subgraph {signature.subgraph} found, expected 0 to {len(graphs) - 1}")
        run = graphs[signature.subgraph]
        for kind, names, known in (
            ("input", signature.inputs, run.inputs),
            ("output", signature.outputs, run.outputs),
        ):
            for name, index in names.items():
                _check_indices(f"{where}, {kind} '{name}'", [index], len(run.tensors))
                if index not in known:
                    found = f"tensor {index}, '{run.tensors[index].name}',"
                    raise GraphError(
                        f"{where}, {kind} '{name}': {found} found, which is no {kind} of subgraph "
                        f"{signature.subgraph}; expected one of {known}"
                    )


def _same(a: Any, b: Any) -> bool:
    """Deep equality in which arrays are equal if their dtype, shape and bytes are."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a is b or a.tobytes() == b.tobytes())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
