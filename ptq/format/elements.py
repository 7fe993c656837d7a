"""How many bytes a tensor's elements take, and what a graph must satisfy to be stored at all."""

from __future__ import annotations

import math

import numpy as np

from ptq.errors import GraphError
from ptq.graph import DTYPES, Graph, Tensor

BITS = {
    **{name: 8 * dtype.itemsize for name, dtype in DTYPES.items()},
    "INT4": 4, "UINT4": 4, "INT2": 2, "BFLOAT16": 16, "FLOAT8_E4M3FN": 8, "FLOAT8_E5M2": 8,
}  # fmt: skip
"""Bits per element. Types below eight bits are packed; STRING, RESOURCE and VARIANT have no fixed size."""

MAX_RANK = 32
"""The most dimensions that every supported NumPy can hold."""

MAX_ELEMENTS = 2**56
"""Beyond this, sizes in bits would no longer fit 64 bits."""


def check_shape(tensor: str, shape: tuple[int, ...]) -> None:
    """Raise GraphError unless a tensor of `shape` could exist, so that its size can be computed safely."""
    if len(shape) > MAX_RANK:
        raise GraphError(f"tensor '{tensor}': {len(shape)} dimensions found, expected at most {MAX_RANK}")
    if any(size < 0 for size in shape):
        raise GraphError(
            f"tensor '{tensor}': negative size in shape {shape}; unknown sizes stand in shape_signature, "
            "and are 1 in the shape"
        )
    if math.prod(size for size in shape if size) > MAX_ELEMENTS:
        raise GraphError(f"tensor '{tensor}': shape {shape} has more elements than can be addressed")


def byte_count(tensor: Tensor) -> int | None:
    """The bytes that a constant of this shape and type takes, None where the type has no fixed size."""
    if tensor.type not in BITS:
        return None
    return (tensor.size * BITS[tensor.type] + 7) // 8


def check_graph(graph: Graph) -> None:
    """Raise GraphError for what `Graph.validate` leaves open: shapes, raw data, nesting."""
    for subgraph in [graph, *graph.subgraphs]:
        for tensor in subgraph.tensors:
            check_shape(tensor.name, tensor.shape)
            _check_raw(tensor)
        if subgraph is not graph and subgraph.subgraphs:
            raise GraphError(f"subgraph '{subgraph.name}' has subgraphs; expected them in the main graph")


def _check_raw(tensor: Tensor) -> None:
    if tensor.data is None or tensor.dtype is not None:
        return
    if tensor.data.dtype != np.uint8 or tensor.data.ndim != 1:
        raise GraphError(
            f"tensor '{tensor.name}': data {tensor.data.dtype} {tensor.data.shape} found; {tensor.type} has "
            "no NumPy type, so raw bytes, uint8 [n], are expected"
        )
    expected = byte_count(tensor)
    if expected is not None and tensor.data.size != expected:
        raise GraphError(
            f"tensor '{tensor.name}': {tensor.data.size} bytes of data found, but shape {tensor.shape} of "
            f"{tensor.type} needs {expected}"
        )
