"""How large a file has to be: what its weights and their scales take."""

from __future__ import annotations

from ptq.graph import Graph

SCALE_BYTES = 4 + 8
"""A scale is a float32, its zero point an int64."""


def payload(graph: Graph) -> int:
    """bytes = sum over the constants of elements * bytes of an element, + 12 * scales             (Q44)

    Equal constants are counted once, as a file holds them once. The file is larger by its names and tables:
    some hundred bytes for each operator, however many weights it has. Source: `tflite/schema/schema.fbs`,
    Buffer and QuantizationParameters.
    """
    constants = {tensor.data.tobytes() for tensor in graph.tensors if tensor.data is not None}
    scales = sum(t.quantization.scale.size for t in graph.tensors if t.quantization is not None)
    return sum(map(len, constants)) + SCALE_BYTES * scales
