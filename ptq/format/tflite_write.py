"""A layer graph as a `.tflite` file, the inverse of `tflite_read`.

Deterministic: equal graphs give equal bytes. Fields equal to the schema's default are not written.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError
from ptq.format import flatbuffer, schema
from ptq.format.elements import check_graph
from ptq.format.tflite_read import SCHEMA_VERSION
from ptq.graph import Graph, Operator, Quantization, Signature, Tensor
from ptq.operators import OPTIONS

Array = npt.NDArray[Any]

PLACEHOLDER_FOR_GREATER_OP_CODES = 127


def model_chunks(graph: Graph) -> list[flatbuffer.Chunk]:
    """The file that holds `graph`, as chunks to be written one after another; the weights are not copied.

    GraphError if the graph contradicts itself or holds what the schema has no place for.
    """
    check_graph(graph)
    graph.validate()
    return flatbuffer.serialize(schema.encode("Model", _Model().table(graph)), schema.IDENTIFIER)


class _Model:
    """The operator codes and buffers that the tables written so far refer to."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, int, str | None], int] = {}
        self.buffers = _Buffers()

    def table(self, graph: Graph) -> dict[str, Any]:
        """The Model table. The buffers and codes come last, since the other parts add to them."""
        extra = dict(graph.extra)
        extra.pop("debug_metadata_index", None)
        table: dict[str, Any] = {"version": SCHEMA_VERSION}
        table["subgraphs"] = [self._subgraph(subgraph) for subgraph in [graph, *graph.subgraphs]]
        table["description"] = graph.description
        if graph.metadata:
            table["metadata"] = [
                {"name": name, "buffer": self.buffers.add(data)} for name, data in graph.metadata
            ]
        if "metadata_buffer" in extra:
            table["metadata_buffer"] = [self.buffers.add(data) for data in _buffers(extra, "metadata_buffer")]
        if graph.signatures:
            table["signature_defs"] = [_signature(signature) for signature in graph.signatures]
        for data in _buffers(extra, "unreferenced_buffers"):
            self.buffers.add(data, shared=False)
        table["operator_codes"] = [_operator_code(*code) for code in self.codes]
        table["buffers"] = [{}, *({"data": data} for data in self.buffers.data)]
        return {**table, **extra}

    def _subgraph(self, graph: Graph) -> dict[str, Any]:
        return {
            "tensors": [self._tensor(tensor) for tensor in graph.tensors],
            "inputs": graph.inputs,
            "outputs": graph.outputs,
            "operators": [self._operator(op) for op in graph.operators],
            "name": graph.name,
            "debug_metadata_index": graph.extra.get("debug_metadata_index"),
        }

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        extra = dict(tensor.extra)
        data = extra.pop("sparse_data", tensor.data)
        table = {
            "shape": tensor.shape,
            "type": tensor.type,
            "buffer": 0 if data is None else self.buffers.add(data, shared=not tensor.is_variable),
            "name": tensor.name,
            "quantization": _quantization(tensor.quantization),
            "is_variable": tensor.is_variable,
            "shape_signature": tensor.shape_signature,
        }
        return schema.without_defaults("Tensor", {**table, **extra})

    def _operator(self, op: Operator) -> dict[str, Any]:
        code = (op.type, op.version, op.custom_code)
        table = {
            "opcode_index": self.codes.setdefault(code, len(self.codes)),
            "inputs": op.inputs,
            "outputs": op.outputs,
            **_options(op),
        }
        return schema.without_defaults("Operator", {**table, **op.extra})


class _Buffers:
    """The distinct contents of buffers; index 0 is kept for the empty one."""

    def __init__(self) -> None:
        self.data: list[Array] = []
        self.places: dict[tuple[int, int], tuple[int, Array]] = {}
        self.heads: dict[tuple[int, bytes], int] = {}
        self.digests: dict[bytes, int] = {}

    def add(self, data: Array | bytes, shared: bool = True) -> int:
        """The index of the buffer that holds `data`; equal contents share one.

        Contents are hashed only where their length and first bytes agree with an earlier buffer, and a piece
        of memory only once.
        """
        raw = _raw(data)
        place = (raw.__array_interface__["data"][0], raw.size)
        if not shared:
            return self._append(raw)
        if place not in self.places:
            # the array is kept with its address, which nothing else may come to have meanwhile
            self.places[place] = (self._find(raw), raw)
        return self.places[place][0]

    def _find(self, raw: Array) -> int:
        head = (raw.size, raw[:64].tobytes())
        if head not in self.heads:
            self.heads[head] = self._append(raw)
            return self.heads[head]
        earlier = self.heads[head]
        self.digests.setdefault(_digest(self.data[earlier - 1]), earlier)
        digest = _digest(raw)
        if digest not in self.digests:
            self.digests[digest] = self._append(raw)
        return self.digests[digest]

    def _append(self, raw: Array) -> int:
        self.data.append(raw)
        return len(self.data)


def _buffers(extra: dict[str, Any], name: str) -> list[Array | bytes]:
    found = extra.pop(name, [])
    if not isinstance(found, list):
        raise GraphError(f"{name}: {type(found).__name__} found, expected a list of buffers")
    return found


def _digest(raw: Array) -> bytes:
    return hashlib.blake2b(raw.data if raw.size else b"").digest()


def _raw(data: Array | bytes) -> Array:
    """The bytes of an array in row-major, little-endian order, as uint8 [n]."""
    if isinstance(data, bytes):
        return np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    if not isinstance(data, np.ndarray):
        raise GraphError(f"{type(data).__name__} found where a buffer's bytes or array is expected")
    little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8)


def _quantization(quantization: Quantization | None) -> dict[str, Any] | None:
    if quantization is None:
        return None
    table = {
        "min": quantization.minimum,
        "max": quantization.maximum,
        "scale": quantization.scale if quantization.scale.size else None,
        "zero_point": quantization.zero_point if quantization.zero_point.size else None,
        "quantized_dimension": quantization.quantized_dimension,
        **quantization.extra,
    }
    return schema.without_defaults("QuantizationParameters", table)


def _options(op: Operator) -> dict[str, Any]:
    options_type = op.options_type
    if options_type is None and op.options:
        if op.type not in OPTIONS:
            raise GraphError(f"operator {op.type} has options but no options_type; name the schema's table")
        options_type = OPTIONS[op.type][0]
    if options_type is None:
        return {}
    for union, field in (("BuiltinOptions", "builtin_options"), ("BuiltinOptions2", "builtin_options_2")):
        if options_type in schema.UNIONS[union][1:]:
            return {field: (options_type, schema.without_defaults(options_type, op.options))}
    raise GraphError(f"operator {op.type}: the schema has no table of options '{options_type}'")


def _operator_code(type_: str, version: int, custom_code: str | None) -> dict[str, Any]:
    if type_ not in schema.ENUM_VALUES["BuiltinOperator"]:
        raise GraphError(
            f"operator '{type_}' is not in the schema; a custom operator is CUSTOM and has a custom_code"
        )
    value = schema.ENUM_VALUES["BuiltinOperator"][type_]
    table = {
        "deprecated_builtin_code": min(value, PLACEHOLDER_FOR_GREATER_OP_CODES),
        "custom_code": custom_code,
        "version": version,
        "builtin_code": type_,
    }
    return schema.without_defaults("OperatorCode", table)


def _signature(signature: Signature) -> dict[str, Any]:
    def tensor_map(names: dict[str, int]) -> list[dict[str, Any]]:
        return [{"name": name, "tensor_index": index} for name, index in names.items()]

    return {
        "inputs": tensor_map(signature.inputs),
        "outputs": tensor_map(signature.outputs),
        "signature_key": signature.key,
        "subgraph_index": signature.subgraph or None,
        **signature.extra,
    }
