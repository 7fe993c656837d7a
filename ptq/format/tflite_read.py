"""A `.tflite` file as a layer graph.

What ptq does not interpret goes to the `extra` of the tensor, operator or graph that it belongs to, under the
schema's names, and `tflite_write` puts it back. Dropped, since they carry no meaning: operator codes that no
operator uses, and the difference between a field that is absent and one that is written with its default.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, UnsupportedError
from ptq.format import flatbuffer, schema
from ptq.format.elements import byte_count, check_graph, check_shape
from ptq.graph import Graph, Operator, Quantization, Signature, Tensor

Array = npt.NDArray[Any]

SCHEMA_VERSION = 3


def read_model(content: bytes) -> Graph:
    """The graph that a `.tflite` file holds; constants are read-only views of `content`.

    FormatError if the bytes are no such file; GraphError or QuantizationError if the graph is inconsistent;
    UnsupportedError for schema versions before 3.
    Source: `tflite/core/interpreter_builder.cc`, which reads the same fields for LiteRT.
    """
    reader = flatbuffer.Reader(content, schema.IDENTIFIER)
    model = schema.decode(reader)
    if model.get("version", 0) != SCHEMA_VERSION:
        raise UnsupportedError(
            f"schema version {model.get('version', 0)} found, expected {SCHEMA_VERSION}; "
            "write the file again with a converter from 2018 or later"
        )
    graph = _Model(reader, model).graph()
    check_graph(graph)
    graph.validate()
    return graph


class _Model:
    """A decoded model, and which of its buffers have been used."""

    def __init__(self, reader: flatbuffer.Reader, model: dict[str, Any]) -> None:
        self.reader = reader
        self.model = model
        self.buffers = [self._buffer(buffer) for buffer in model.get("buffers", [])]
        self.used: set[int] = {0}
        self.copies: dict[int, bytes] = {}

    def graph(self) -> Graph:
        """The main graph with everything that belongs to the model as a whole."""
        tables = self.model.get("subgraphs", [])
        if not tables:
            raise FormatError("model without any subgraph found, expected at least one; the file is damaged")
        graph, *graph.subgraphs = [self.subgraph(table) for table in tables]
        graph.description = self.model.get("description")
        graph.signatures = [self._signature(table) for table in self.model.get("signature_defs", [])]
        graph.metadata = [
            (table.get("name", ""), self._copy(table.get("buffer", 0), "metadata"))
            for table in self.model.get("metadata", [])
        ]
        for name in ("external_buffer_groups", "external_buffers"):
            if name in self.model:
                graph.extra[name] = self.model[name]
        if "metadata_buffer" in self.model:
            indices = self.model["metadata_buffer"].tolist()
            graph.extra["metadata_buffer"] = [self._copy(index, "metadata_buffer") for index in indices]
        unused = [b for i, b in enumerate(self.buffers) if i not in self.used and b is not None and b.size]
        if unused:
            graph.extra["unreferenced_buffers"] = unused
        return graph

    def subgraph(self, table: dict[str, Any]) -> Graph:
        """One subgraph with its tensors and operators."""
        operators = [self._operator(item) for item in table.get("operators", [])]
        inputs, outputs = _indices(table, "inputs"), _indices(table, "outputs")
        computed = {*inputs, *(index for op in operators for index in op.outputs)}
        tensors = [
            self._tensor(item, index in computed) for index, item in enumerate(table.get("tensors", []))
        ]
        graph = Graph(tensors, operators, inputs, outputs, name=table.get("name"))
        if table.get("debug_metadata_index", -1) != -1:
            graph.extra["debug_metadata_index"] = table["debug_metadata_index"]
        return graph

    def _buffer(self, table: dict[str, Any]) -> Array | None:
        if "data" in table:
            data: Array = table["data"]
            return data
        if table.get("offset", 0) > 1:  # the data stands behind the FlatBuffer, as in files above 2 GiB
            return self.reader.span(table["offset"], table.get("size", 0))
        return None

    def _data(self, index: int, where: str) -> Array | None:
        if index >= len(self.buffers):
            if index == 0:
                return None
            raise FormatError(
                f"{where}: buffer {index} found, but the file has {len(self.buffers)}; the file is damaged"
            )
        self.used.add(index)
        return self.buffers[index] if index else None

    def _copy(self, index: int, where: str) -> bytes:
        if index not in self.copies:
            if index < 0:
                raise FormatError(f"{where}: buffer {index} found, expected an index from 0 on")
            data = self._data(index, where)
            self.copies[index] = b"" if data is None else data.tobytes()
        return self.copies[index]

    def _tensor(self, table: dict[str, Any], computed: bool) -> Tensor:
        name = table.get("name", "")
        where = f"tensor '{name}'"
        tensor = Tensor(name, _shape(table, name), table.get("type", "FLOAT32"))
        tensor.is_variable = table.get("is_variable", False)
        if "shape_signature" in table:
            tensor.shape_signature = tuple(table["shape_signature"].tolist())
        if "quantization" in table:
            tensor.quantization = _quantization(table["quantization"])
        tensor.extra = _extra("Tensor", table, "sparsity", "has_rank", "variant_tensors", "external_buffer")
        data = self._data(table.get("buffer", 0), where)
        # an empty buffer makes a constant only where nothing else can give the tensor its (no) elements
        if data is None or (data.size == 0 and (tensor.size or computed or tensor.is_variable)):
            return tensor
        if "sparsity" in tensor.extra:
            tensor.extra["sparse_data"] = data
        else:
            tensor.data = _constant(data, tensor, where)
        return tensor

    def _operator(self, table: dict[str, Any]) -> Operator:
        codes = self.model.get("operator_codes", [])
        index = table.get("opcode_index", 0)
        if index >= len(codes):
            raise FormatError(f"operator code {index} found, but the file has {len(codes)}; it is damaged")
        op = Operator(_operator_type(codes[index]), _indices(table, "inputs"), _indices(table, "outputs"))
        op.version = codes[index].get("version", 1)
        op.custom_code = codes[index].get("custom_code")
        unions = [table[name] for name in ("builtin_options", "builtin_options_2") if name in table]
        if len(unions) > 1:
            raise FormatError(f"operator {op.type} with two tables of options found, expected one at most")
        for options_type, present in unions:
            op.options_type = options_type
            op.options = {**schema.defaults(options_type), **present}
        op.extra = _extra("Operator", table, "custom_options_format", "debug_metadata_index")
        for name in ("mutating_variable_inputs", "intermediates"):
            if name in table:
                op.extra[name] = table[name].tolist()
        if "custom_options" in table:
            op.extra["custom_options"] = table["custom_options"].tobytes()
        elif table.get("large_custom_options_offset", 0) > 1:
            start, size = table["large_custom_options_offset"], table.get("large_custom_options_size", 0)
            op.extra["custom_options"] = self.reader.span(start, size).tobytes()
        return op

    def _signature(self, table: dict[str, Any]) -> Signature:
        key = table.get("signature_key", "")
        if not key:
            raise FormatError("signature without a key found, expected a name to run it by; it is damaged")
        signature = Signature(
            key, _names(table, "inputs", key), _names(table, "outputs", key), table.get("subgraph_index", 0)
        )
        if "deprecated_tag" in table:
            signature.extra["deprecated_tag"] = table["deprecated_tag"]
        return signature


def _operator_type(code: dict[str, Any]) -> str:
    # the first field is a byte and stays at 127 for the operators that came later
    new = schema.ENUM_VALUES["BuiltinOperator"][code.get("builtin_code", "ADD")]
    value: int = max(code.get("deprecated_builtin_code", 0), new)
    return schema.ENUMS["BuiltinOperator"][value]


def _indices(table: dict[str, Any], name: str) -> list[int]:
    indices: list[int] = table[name].tolist() if name in table else []
    return indices


def _extra(name: str, table: dict[str, Any], *fields: str) -> dict[str, Any]:
    kept = {field: table[field] for field in fields if field in table}
    return schema.without_defaults(name, kept)


def _names(table: dict[str, Any], name: str, key: str) -> dict[str, int]:
    pairs = [(item.get("name"), item.get("tensor_index", 0)) for item in table.get(name, [])]
    if None in dict(pairs):
        raise FormatError(f"signature '{key}': {name} without a name found; the file is damaged")
    if len(dict(pairs)) != len(pairs):
        raise FormatError(f"signature '{key}': {name} with equal names found, expected distinct names")
    return dict(pairs)


def _shape(table: dict[str, Any], name: str) -> tuple[int, ...]:
    shape = tuple(table["shape"].tolist()) if "shape" in table else ()
    check_shape(name, shape)
    return shape


def _quantization(table: dict[str, Any]) -> Quantization:
    quantization = Quantization(
        table.get("scale", np.zeros(0, np.float32)).copy(),
        table.get("zero_point", np.zeros(0, np.int64)).copy(),
        table.get("quantized_dimension", 0),
        table["min"].copy() if "min" in table else None,
        table["max"].copy() if "max" in table else None,
    )
    if "details" in table:
        quantization.extra["details"] = table["details"]
    return quantization


def _constant(data: Array, tensor: Tensor, where: str) -> Array:
    """The elements of a constant as an array of its shape, or as raw bytes where NumPy has no such type."""
    expected = byte_count(tensor)
    if expected is not None and data.size != expected:
        raise FormatError(
            f"{where}: {data.size} bytes of data found, but shape {tensor.shape} of {tensor.type} needs "
            f"{expected}; the file is damaged"
        )
    return data if tensor.dtype is None else data.view(tensor.dtype).reshape(tensor.shape)
