"""Dilated convolutions that TensorFlow writes as three nodes, read as the one that they are.

SpaceToBatchND interleaves the image into a batch of smaller ones, a convolution without dilation or padding
runs on them, and BatchToSpaceND puts the results back: together a convolution with dilation = block_shape.
With `paddings` before and `crops` after, its own padding is (paddings_begin, paddings_end - crops_end).
TensorFlow's converter does the same, but not where the batch is open: there its files keep all three.
Source: `tensorflow/compiler/mlir/lite/transforms/dilated_conv.h`, ConvertTFDilatedConvOp.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.saved_model.nodes import FlatGraph, Node

Array = npt.NDArray[Any]

CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2dNative"})
ONE_INPUT = 1


def undo_space_to_batch(flat: FlatGraph) -> FlatGraph:
    """The same graph with the three nodes made one wherever they stand together."""
    if not any(node.op == "BatchToSpaceND" for node in flat.nodes):
        return flat
    by_name = {node.name: node for node in flat.nodes}
    changed: dict[str, Node] = {}
    instead: dict[str, str] = {}
    for last in flat.nodes:
        found = _found(last, by_name) if last.op == "BatchToSpaceND" else None
        if found is not None:
            first, convolution = found
            changed[convolution.name] = convolution
            instead[f"{first.name}:0"] = first.inputs[0]
            instead[f"{last.name}:0"] = last.inputs[0]
    gone = {name.rpartition(":")[0] for name in instead}
    nodes = [changed.get(node.name, node) for node in flat.nodes if node.name not in gone]
    rewired = tuple(replace(n, inputs=tuple(_follow(instead, i) for i in n.inputs)) for n in nodes)
    outputs = tuple(replace(port, tensor=_follow(instead, port.tensor)) for port in flat.outputs)
    return replace(flat, nodes=rewired, outputs=outputs)


def _follow(instead: dict[str, str], name: str) -> str:
    while name in instead:
        name = instead[name]
    return name


def _found(last: Node, by_name: dict[str, Node]) -> tuple[Node, Node] | None:
    """As `_match`; nodes without the inputs and attributes that TensorFlow writes are left as they are."""
    try:
        return _match(last, by_name)
    except (ValueError, IndexError, KeyError, TypeError):
        return None


def _match(last: Node, by_name: dict[str, Node]) -> tuple[Node, Node] | None:
    """The SpaceToBatchND and the new convolution that belong to a BatchToSpaceND."""
    convolution = _producer(last.inputs[0], by_name)
    if convolution is not None and convolution.op == "Squeeze":  # one-dimensional: an axis comes and goes
        convolution = _producer(convolution.inputs[0], by_name)
    if convolution is None or convolution.op not in CONVOLUTIONS:
        return None
    first, axis = _producer(convolution.inputs[0], by_name), 1
    if first is not None and first.op == "ExpandDims":
        inserted = _constant(first.inputs[1], by_name)
        axis = 2 if inserted is not None and int(inserted.ravel()[0]) in (1, -3) else 1
        first = _producer(first.inputs[0], by_name)
    if first is None or first.op != "SpaceToBatchND":
        return None
    amounts = [_constant(name, by_name) for name in (*first.inputs[1:], *last.inputs[1:])]
    dilated = _dilate(convolution, axis, *amounts)
    return None if dilated is None else (first, dilated)


def _producer(tensor: str, by_name: dict[str, Node]) -> Node | None:
    return by_name.get(tensor.rpartition(":")[0])


def _constant(tensor: str, by_name: dict[str, Node]) -> Array | None:
    node = _producer(tensor, by_name)
    return np.asarray(node.attributes["value"]) if node is not None and node.op == "Const" else None


def _dilate(
    node: Node, axis: int, block: Array | None, paddings: Array | None, block_after: Array | None,
    crops: Array | None
) -> Node | None:
    if block is None or paddings is None or block_after is None or crops is None:
        return None
    plain = node.attributes.get("padding") in ("VALID", b"VALID") and set(node.attributes["strides"]) == {1}
    undilated = set(node.attributes.get("dilations") or (1,)) == {1}
    axes = [axis] if block.size == ONE_INPUT else [1, 2]
    if not (plain and undilated and np.array_equal(block, block_after) and len(axes) == block.size):
        return None
    if crops[:, 0].any() or (crops[:, 1] > paddings[:, 1]).any():
        return None
    dilations, explicit = [1] * 4, np.zeros((4, 2), np.int64)
    for where, size, (before, after), (_, cropped) in zip(axes, block, paddings, crops, strict=True):
        dilations[where] = int(size)
        explicit[where] = before, after - cropped
    padding = {"padding": "EXPLICIT", "explicit_paddings": tuple(explicit.ravel().tolist())}
    attributes = {**node.attributes, "dilations": tuple(dilations), **(padding if explicit.any() else {})}
    return replace(node, attributes=attributes)
