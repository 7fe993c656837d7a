"""Pools, reductions and resizing. Source: `tensorflow/compiler/mlir/lite/transforms/legalize_patterns.td`."""

from __future__ import annotations

from ptq.graph import type_of
from ptq.saved_model.attributes import check_layout, padding, refuse, window
from ptq.saved_model.nodes import Node
from ptq.saved_model.translation import Rule, Translation

POOLS = {"MaxPool": "MAX_POOL_2D", "AvgPool": "AVERAGE_POOL_2D"}
REDUCERS = {
    "Any": "REDUCE_ANY", "Max": "REDUCE_MAX", "Mean": "MEAN", "Min": "REDUCE_MIN", "Prod": "REDUCE_PROD",
    "Sum": "SUM",
}  # fmt: skip
EXTREMES = {"ArgMax": "ARG_MAX", "ArgMin": "ARG_MIN"}
RESIZERS = {"ResizeBilinear": "RESIZE_BILINEAR", "ResizeNearestNeighbor": "RESIZE_NEAREST_NEIGHBOR"}


def _pool(t: Translation, node: Node) -> list[int]:
    check_layout(node)
    kind = padding(node)
    if kind == "EXPLICIT":
        raise refuse(node, "explicit padding", "SAME or VALID, as TensorFlow Lite's pools have no other")
    (height, width), (stride_h, stride_w) = window(node, "ksize"), window(node, "strides")
    options = {
        "padding": kind, "stride_h": stride_h, "stride_w": stride_w,
        "filter_height": height, "filter_width": width,
    }  # fmt: skip
    return t.op(POOLS[node.op], t.inputs(node), node.name, options)


def _reduce(t: Translation, node: Node) -> list[int]:
    options = {"keep_dims": bool(node.attributes.get("keep_dims"))}
    return t.op(REDUCERS[node.op], t.inputs(node), node.name, options)


def _extreme(t: Translation, node: Node) -> list[int]:
    kind = type_of(node.attributes.get("output_type", "int64"))
    return t.op(EXTREMES[node.op], t.inputs(node), node.name, {"output_type": kind}, kinds=[kind])


def _resize(t: Translation, node: Node) -> list[int]:
    corners, centers = (bool(node.attributes.get(name)) for name in ("align_corners", "half_pixel_centers"))
    options = {"align_corners": corners, "half_pixel_centers": centers}
    version = 3 if centers or (corners and node.op == "ResizeNearestNeighbor") else 1
    return t.op(RESIZERS[node.op], t.inputs(node), node.name, options, version)


RULES: dict[str, Rule] = {
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(REDUCERS, _reduce),
    **dict.fromkeys(EXTREMES, _extreme),
    **dict.fromkeys(RESIZERS, _resize),
}
