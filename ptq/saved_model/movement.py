"""Operations that move elements or compute with shapes.

Source: `tensorflow/compiler/mlir/lite/transforms/legalize_patterns.td` and `legalize_tf.cc`.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import Operator, type_of
from ptq.saved_model.attributes import refuse
from ptq.saved_model.nodes import Node
from ptq.saved_model.translation import Rule, Translation

MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
BLOCKS = {"DepthToSpace": "DEPTH_TO_SPACE", "SpaceToDepth": "SPACE_TO_DEPTH"}


def _reshape(t: Translation, node: Node) -> list[int]:
    x, shape = t.inputs(node)
    data, own = t.data(shape), t.made_by(shape, "SHAPE")
    if own is not None and own.inputs[0] == x:  # the shape that it has, packed again from its sizes
        return [x]
    if data is None:
        return t.op("RESHAPE", [x, shape], node.name)
    return [to_shape(t, x, [int(n) for n in data], node.name)]


def to_shape(t: Translation, x: int, shape: list[int], name: str) -> int:
    """RESHAPE to a known shape, one size of which may be -1."""
    data = t.data(x)
    if data is not None:
        return t.constant(data.reshape(shape), name)
    return t.one("RESHAPE", [x, t.int32(shape, f"{name}/shape")], name)


def _squeeze(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    shape = t.shape(x)
    wanted = [int(axis) % len(shape) for axis in node.attributes.get("squeeze_dims") or ()]
    axes = wanted or [axis for axis, size in enumerate(shape) if size == 1]
    kept = [size for axis, size in enumerate(shape) if axis not in axes]
    if kept.count(-1) <= 1 and all(shape[axis] == 1 for axis in axes):
        return [to_shape(t, x, kept, node.name)]
    return t.op("SQUEEZE", [x], node.name, {"squeeze_dims": np.array(axes, np.int32)})


def _expand_dims(t: Translation, node: Node) -> list[int]:
    x, axis = t.inputs(node)
    shape = t.shape(x)
    if -1 in shape:
        return t.op("EXPAND_DIMS", [x, axis], node.name)
    where = t.numbers(node, axis, "the axis")[0] % (len(shape) + 1)
    return [to_shape(t, x, [*shape[:where], 1, *shape[where:]], node.name)]


def _pad(t: Translation, node: Node) -> list[int]:
    return t.op("PAD" if node.op == "Pad" else "PADV2", t.inputs(node), node.name)


def _concat(t: Translation, node: Node) -> list[int]:
    *values, axis = t.inputs(node)
    if len(values) == 1:
        return values
    (where,) = t.numbers(node, axis, "the axis")
    return t.op("CONCATENATION", values, node.name, {"axis": where})


def _split(t: Translation, node: Node) -> list[int]:
    axis, x = t.inputs(node)
    parts = int(node.attributes["num_split"])
    return t.op("SPLIT", [axis, x], node.name, {"num_splits": parts}, kinds=[t.type(x)] * parts)


def _split_v(t: Translation, node: Node) -> list[int]:
    return t.op("SPLIT_V", t.inputs(node), node.name, {"num_splits": int(node.attributes["num_split"])})


def _pack(t: Translation, node: Node) -> list[int]:
    values, axis = t.inputs(node), int(node.attributes.get("axis", 0))
    source = _packed_shape(t, values) if axis == 0 else None
    if source is not None:
        return [source]
    shape = list(t.shape(values[0]))
    if len(values) == 1 and -1 not in shape:
        shape.insert(axis % (len(shape) + 1), 1)
        return [to_shape(t, values[0], shape, node.name)]
    options = {"values_count": len(values), "axis": axis}
    return t.op("PACK", values, node.name, options)


def _packed_shape(t: Translation, values: list[int]) -> int | None:
    """The SHAPE whose numbers are packed again, one by one; PackOp::fold in `tf_ops_n_z.cc`."""
    first = t.made_by(values[0], "STRIDED_SLICE")
    source = None if first is None else t.made_by(first.inputs[0], "SHAPE")
    if source is None or first is None:
        return None
    sizes = t.shape(source.inputs[0])
    if len(sizes) != len(values) or t.type(first.inputs[0]) != t.type(values[0]):
        return None
    for axis, (value, size) in enumerate(zip(values, sizes, strict=True)):
        number, taken = t.data(value), t.made_by(value, "STRIDED_SLICE")
        if number is not None:
            same = number.size == 1 and size >= 0 and int(number.ravel()[0]) == size
        else:
            same = taken is not None and taken.inputs[0] == first.inputs[0] and _takes(t, taken, axis)
        if not same:
            return None
    return first.inputs[0]


def _takes(t: Translation, taken: Operator, axis: int) -> bool:
    """Whether a STRIDED_SLICE takes the one number at `axis`."""
    begin, end, stride = (t.data(i) for i in taken.inputs[1:])
    masks = {mask: int(taken.options[mask]) for mask in MASKS}
    alone = masks.pop("shrink_axis_mask") == 1 and not any(masks.values())
    if begin is None or end is None or stride is None:
        return False
    return alone and [*begin.tolist(), *end.tolist(), *stride.tolist()] == [axis, axis + 1, 1]


def _unpack(t: Translation, node: Node) -> list[int]:
    options = {"num": int(node.attributes["num"]), "axis": int(node.attributes.get("axis", 0))}
    return t.op("UNPACK", t.inputs(node), node.name, options)


def _transpose(t: Translation, node: Node) -> list[int]:
    return t.op("TRANSPOSE", t.inputs(node), node.name)


def _strided_slice(t: Translation, node: Node) -> list[int]:
    options = {mask: int(node.attributes.get(mask, 0)) for mask in MASKS}
    return t.op("STRIDED_SLICE", t.inputs(node), node.name, options)


def _slice(t: Translation, node: Node) -> list[int]:
    return t.op("SLICE", t.inputs(node), node.name)


def _gather(t: Translation, node: Node) -> list[int]:
    table, indices, *axis = t.inputs(node)
    (where,) = t.numbers(node, axis[0], "the axis") if axis else (0,)
    options = {"axis": where, "batch_dims": int(node.attributes.get("batch_dims", 0))}
    return t.op("GATHER", [table, indices], node.name, options)


def _resource_gather(t: Translation, node: Node) -> list[int]:
    table, indices = t.inputs(node)
    options = {"axis": 0, "batch_dims": int(node.attributes.get("batch_dims", 0))}
    return t.op("GATHER", [table, indices], node.name, options)


def _tile(t: Translation, node: Node) -> list[int]:
    return t.op("TILE", t.inputs(node), node.name)


def _fill(t: Translation, node: Node) -> list[int]:
    sizes, value = t.inputs(node)
    return t.op("FILL", [sizes, value], node.name, kinds=[t.type(value)])


def _broadcast_to(t: Translation, node: Node) -> list[int]:
    return t.op("BROADCAST_TO", t.inputs(node), node.name)


def _reverse(t: Translation, node: Node) -> list[int]:
    return t.op("REVERSE_V2", t.inputs(node), node.name)


def _range(t: Translation, node: Node) -> list[int]:
    return t.op("RANGE", t.inputs(node), node.name)


def _shape(t: Translation, node: Node) -> list[int]:
    kind = type_of(node.attributes.get("out_type", "int32"))
    return t.op("SHAPE", t.inputs(node), node.name, {"out_type": kind}, kinds=[kind])


def _rank(t: Translation, node: Node) -> list[int]:
    return [t.int32(t.rank(*t.inputs(node)), node.name)]


def _size(t: Translation, node: Node) -> list[int]:
    shape = t.shape(*t.inputs(node))
    if -1 in shape:
        raise refuse(node, f"shape {shape}", "one that is known before the model runs")
    return [t.constant(np.asarray(np.prod(shape), node.attributes.get("out_type", np.int32)), node.name)]


def _block(t: Translation, node: Node) -> list[int]:
    options = {"block_size": int(node.attributes["block_size"])}
    return t.op(BLOCKS[node.op], t.inputs(node), node.name, options)


RULES: dict[str, Rule] = {
    **dict.fromkeys(BLOCKS, _block),
    **dict.fromkeys(("Pad", "PadV2"), _pad),
    **dict.fromkeys(("Gather", "GatherV2"), _gather),
    "BroadcastTo": _broadcast_to,
    "ConcatV2": _concat,
    "ExpandDims": _expand_dims,
    "Fill": _fill,
    "Pack": _pack,
    "Range": _range,
    "Rank": _rank,
    "Reshape": _reshape,
    "ResourceGather": _resource_gather,
    "ReverseV2": _reverse,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split_v,
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
