"""TensorLists as plain tensors: item i of a list is row i of a tensor [size, ...].

    FromTensor, Stack: the tensor itself    GetItem: GATHER    SetItem: SELECT_V2(numbers == i, item, list)

TensorFlow Lite has no lists in its builtin operators. TensorFlow's converter cuts the tensor in three for
SetItem (SLICE, SLICE, CONCATENATION), whose sizes are only known while the model runs; a choice for each row
has the same result and known sizes. A list that is reserved says nothing of its items before the first is
set: it stands for its size until then, or until the loop that fills it has been read.
Source: `tensorflow/compiler/mlir/lite/transforms/lower_static_tensor_list.cc`.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import DTYPES
from ptq.saved_model.attributes import refuse
from ptq.saved_model.movement import to_shape
from ptq.saved_model.nodes import Node
from ptq.saved_model.translation import Reserved, Rule, Translation


def as_list(t: Translation, item: int, name: str) -> int:
    """A list of one item: [...] -> [1, ...]."""
    shape = t.shape(item)
    if shape.count(-1) > 1:
        return t.one("EXPAND_DIMS", [item, t.int32(0, f"{name}/axis")], name)
    return to_shape(t, item, [1, *shape], name)


def _from_tensor(t: Translation, node: Node) -> list[int]:
    return t.inputs(node)[:1]


def _stack(t: Translation, node: Node) -> list[int]:
    return [_filled(t, node)]


def _reserve(t: Translation, node: Node) -> list[int]:
    size = t.inputs(node)[1]
    stands_for = t.one("RESHAPE", [size, t.int32([], f"{node.name}/scalar")], node.name)
    t.reserved[stands_for] = Reserved(size, node)
    return [stands_for]


def _get_item(t: Translation, node: Node) -> list[int]:
    values, index = _filled(t, node), t.inputs(node)[1]
    return t.op("GATHER", [values, index], node.name)


def _set_item(t: Translation, node: Node) -> list[int]:
    values, index, item = t.inputs(node)
    if values in t.reserved:
        sizes_of_item = [_known_size(t, item, axis, node.name) for axis in range(t.rank(item))]
        values = zeros(t, t.reserved[values], sizes_of_item, t.type(item), f"{node.name}/list")
    sizes = t.unshaped.pop(values, None)
    if sizes is not None:
        shapes = [(n, *shape) for n, shape in zip(sizes, t.shapes_seen(item), strict=True)]
        t.restate(values, shapes, t.type(item))
    new = as_list(t, item, f"{node.name}/item")
    if t.shape(values)[0] == 1:
        return [new]
    numbers = _numbers(t, values, node.name)
    chosen = t.one("EQUAL", [numbers, index], f"{node.name}/equal", kinds=["BOOL"])
    return t.op("SELECT_V2", [chosen, new, values], node.name, kinds=[t.type(values)])


def zeros(t: Translation, reserved: Reserved, sizes: list[int], kind: str, name: str) -> int:
    """A list whose items are zeros, of these sizes (scalar tensors): what it is before its items are set."""
    dims = t.one("PACK", [reserved.size, *sizes], f"{name}/sizes", {"values_count": 1 + len(sizes)})
    zero = t.constant(np.zeros((), DTYPES[kind]), f"{name}/zero")
    return t.one("FILL", [dims, zero], name, kinds=[kind])


def _known_size(t: Translation, tensor: int, axis: int, name: str) -> int:
    size = t.shape(tensor)[axis]
    return t.int32(size, f"{name}/size") if size >= 0 else size_of(t, tensor, axis, f"{name}/size")


def _numbers(t: Translation, values: int, name: str) -> int:
    """0, 1, 2, ... as [size, 1, 1, ...], beside a list."""
    count, ones = _known_size(t, values, 0, name), [1] * (t.rank(values) - 1)
    bounds = t.int32(0, f"{name}/start"), count, t.int32(1, f"{name}/delta")
    return to_shape(t, t.one("RANGE", bounds, f"{name}/range"), [-1, *ones], f"{name}/numbers")


def size_of(t: Translation, tensor: int, axis: int, name: str) -> int:
    """One of the tensor's sizes as a scalar."""
    shape = t.one("SHAPE", [tensor], f"{name}/shape", {"out_type": "INT32"}, kinds=["INT32"])
    bounds = [t.int32([n], f"{name}/{part}") for n, part in ((axis, "begin"), (axis + 1, "end"), (1, "step"))]
    return t.one("STRIDED_SLICE", [shape, *bounds], name, {"shrink_axis_mask": 1})


def _filled(t: Translation, node: Node) -> int:
    """The tensor of a list that has items; UnsupportedError for one that has only been reserved."""
    values = t.inputs(node)[0]
    if values in t.reserved or values in t.unshaped:
        raise refuse(node, "a list whose items have not been set", "one from a tensor or filled by a loop")
    return values


RULES: dict[str, Rule] = {
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get_item,
    "TensorListReserve": _reserve,
    "TensorListSetItem": _set_item,
    "TensorListStack": _stack,
}
