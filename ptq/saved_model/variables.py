"""Which tensor of the bundle belongs to which variable of the graph.

Names do not tell: Keras calls a kernel `_operations/1/_kernel` in the bundle and `sequential/dense/kernel` in
the graph, other writers do otherwise. What always tells is what TensorFlow itself runs when it loads a model:
the restore operation, which reads tensors by name (`RestoreV2`) and assigns each to a variable. Following it
works for every version of TensorFlow and Keras, and for plain modules. One kind of file needs more: where
`tf.saved_model.save` met a Keras 3 model, the restore operation fills copies of the variables, and only
the object graph, which Python's loader goes by, knows the variables that the functions read.
Source: `tensorflow/cc/saved_model/loader.cc` (`RunRestore`), `tensorflow/python/saved_model/load.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ptq.errors import FormatError, GraphError, UnsupportedError
from ptq.saved_model import wire
from ptq.saved_model.bundle import Bundle
from ptq.saved_model.element_types import element_type
from ptq.saved_model.functions import Library, Tensor
from ptq.saved_model.inline import CALLS, Budget, Inliner, Placed, called
from ptq.saved_model.messages import TABLES
from ptq.saved_model.values import Values, shape
from ptq.saved_model.wire import Message

Array = npt.NDArray[Any]

HANDLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
ASSIGNS = frozenset({"AssignVariableOp", "Assign"})


class Saved(NamedTuple):
    """Where a value is: a tensor's name in the bundle, and which part of it, "" for the whole.

    A part is written as the whole's shape and a range for each dimension, start and length: "10 4 5,5:-" are
    the last five rows of [10, 4].
    """

    key: str
    part: str = ""

RANGE = re.compile("([0-9]{1,18}),([0-9]{1,18})")


@dataclass
class Variables:
    """The values of the variables of one graph, read when they are asked for.

    keys: where the value of each variable is, by the name of its node and by its shared name. open_bundle:
    opens the bundle. captured: finds what `keys` lacks.
    """

    keys: Mapping[str, Saved] = field(default_factory=dict)
    open_bundle: Callable[[], Bundle] | None = None
    captured: Callable[[Bundle], Mapping[str, Saved]] | None = None
    bundle: Bundle | None = None
    values: dict[Saved, Array] = field(default_factory=dict)

    def value(self, name: str, node: Placed) -> Array:
        """The value of the variable whose node (of HANDLES) is `node`, read-only.

        UnsupportedError for a variable that loading the model does not restore, FormatError where the bundle
        has another type or shape than the graph.
        """
        if self.bundle is None and self.open_bundle is not None:
            self.bundle = self.open_bundle()
        key = self.key(name, node)
        if key is None and self.bundle is not None and self.captured is not None:
            self.keys, self.captured = {**self.captured(self.bundle), **self.keys}, None
            key = self.key(name, node)
        if key is None or self.bundle is None:
            raise UnsupportedError(
                f"variable '{name}' is read, but loading this model does not restore it from a file; "
                "ptq reads variables that were saved with the model"
            )
        if key not in self.values:
            self.values[key] = cut(self.bundle.read(key.key), key.part)
        self.check(name, node, self.values[key])
        return self.values[key]

    def key(self, name: str, node: Placed) -> Saved | None:
        """Where the value is, as far as it is known."""
        return self.keys.get(name) or self.keys.get(shared_name(node))

    def check(self, name: str, node: Placed, found: Array) -> None:
        """FormatError if `found` is not what the graph says of its variable."""
        expected = shape(node.source["shape"]["shape"]) if "shape" in node.source else None
        if expected is not None and not fits(found.shape, expected):
            raise FormatError(
                f"variable '{name}' has the shape {list(expected)}, but the tensor saved for it has "
                f"{list(found.shape)}; the directory's files do not belong together"
            )
        dtype = element_type(node.source["dtype"]["type"]) if "dtype" in node.source else found.dtype
        if isinstance(dtype, np.dtype) and dtype != found.dtype:
            raise FormatError(
                f"variable '{name}' has elements of {dtype}, but the tensor saved for it has {found.dtype}; "
                "the directory's files do not belong together"
            )


def cut(whole: Array, part: str) -> Array:
    """The part of a tensor that a Saved describes, a view of it; FormatError if it has no such part."""
    if not part:
        return whole
    *sizes, ranges = part.split(" ")
    slices = []
    for size, extent in zip(whole.shape, ranges.split(":"), strict=False):
        found = RANGE.fullmatch(extent)
        start, length = (int(number) for number in found.groups()) if found else (0, size)
        if (found or extent == "-") and start + length <= size:
            slices.append(slice(start, start + length))
    if sizes != [str(size) for size in whole.shape] or not len(slices) == ranges.count(":") + 1 == whole.ndim:
        raise FormatError(f"part '{part}' of shape {list(whole.shape)} asked for, which has no such part")
    return whole[tuple(slices)]


def fits(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape is one that the expected one, with -1 for unknown sizes, allows."""
    return len(found) == len(expected) and all(
        size in (-1, actual) for actual, size in zip(found, expected, strict=True)
    )


def shared_name(node: Placed) -> str:
    """The name under which TensorFlow shares a variable between nodes; empty if it is the node's own."""
    attribute = node.source.get("shared_name")
    return str(attribute["s"], "utf-8", "replace") if attribute is not None else ""


def saved_names(library: Library, saver: Message, budget: Budget, values: Values) -> dict[str, Saved]:
    """Where the value is of each variable that the restore operation of `saver` assigns."""
    operation = saver["restore_op_name"]
    if not operation:
        return {}
    if operation not in library.main.nodes:
        raise GraphError(f"the restore operation '{operation}' is not in the graph; the file is damaged")
    inliner = Inliner(library, budget)
    inliner.add_graph([operation], {})
    keys: dict[str, Saved] = {}
    names: dict[str, list[Saved]] = {}
    for node in inliner.nodes.values():
        if node.op not in ASSIGNS or len(node.inputs) < 2:
            continue
        handle, value = (inliner.resolve(tensor) for tensor in node.inputs[:2])
        restore = inliner.nodes[value.node]
        if inliner.nodes[handle.node].op not in HANDLES or restore.op != "RestoreV2":
            continue  # something else that happens on loading; if a signature reads it, `value` says so
        if value.node not in names:
            names[value.node] = _restored(inliner, value, values)
        if not 0 <= value.output < len(names[value.node]):
            raise GraphError(f"'{value.node}' restores fewer than {value.output + 1} tensors")
        key = names[value.node][value.output]
        keys[handle.node] = key
        keys.setdefault(shared_name(inliner.nodes[handle.node]) or handle.node, key)
    return keys


def captured_names(library: Library, object_graph: memoryview, bundle: Bundle) -> dict[str, Saved]:
    """The name in the bundle of each variable that the graph gives to a function, by the object graph.

    The object graph says for each function which objects it captured; they are the last arguments of a call.
    A tensor of the bundle lists the same objects with the names of their tensors.
    """
    saved = wire.decode(TABLES, "SavedObjectGraph", object_graph)["concrete_functions"]
    if not saved:
        return {}
    listed = bundle.read(OBJECT_GRAPH)
    if listed.dtype.kind != "O" or listed.size != 1:
        raise FormatError(f"'{OBJECT_GRAPH}' is {listed.dtype} {listed.shape}, expected one string")
    objects = wire.decode(TABLES, "TrackableObjectGraph", listed.reshape(()).item())["nodes"]
    names = [_variable_key(listed["attributes"]) for listed in objects]
    keys = {}
    for name, node in library.main.nodes.items():
        if node["op"] not in CALLS or called(name, node["attr"]) not in saved:
            continue
        captured = saved[called(name, node["attr"])]["bound_inputs"]
        given = library.main.data[name]
        if len(captured) > len(given):
            raise GraphError(f"'{name}' takes {len(given)} inputs, but captured {len(captured)} objects")
        for tensor, number in zip(given[len(given) - len(captured) :], captured, strict=True):
            if 0 <= number < len(names) and names[number]:
                keys[tensor.node] = Saved(names[number])
    return keys


def _variable_key(attributes: Iterable[Message]) -> str:
    """The name of the tensor of an object that is a variable; empty for others."""
    return next((str(a["checkpoint_key"]) for a in attributes if a["name"] == "VARIABLE_VALUE"), "")


def _restored(inliner: Inliner, value: Tensor, values: Values) -> list[Saved]:
    """The tensors, or parts of tensors, that a RestoreV2 node reads."""
    node = inliner.nodes[value.node]
    if len(node.inputs) != 3:
        raise GraphError(f"'{value.node}' takes {len(node.inputs)} inputs, but RestoreV2 has 3")
    lists = []
    for tensor in node.inputs[1:]:
        name = inliner.resolve(tensor).node
        source = inliner.nodes[name].source
        listed: Array = values.tensor(source["value"]["tensor"]) if "value" in source else np.zeros(0)
        if listed.dtype.kind != "O" or listed.ndim != 1:
            raise UnsupportedError(f"'{value.node}' restores tensors whose names are computed, by '{name}'")
        lists.append(listed)
    if lists[0].size != lists[1].size:
        raise GraphError(f"'{value.node}' has {lists[0].size} names of tensors, but {lists[1].size} parts")
    texts = [[str(item, "utf-8", "replace") for item in listed.tolist()] for listed in lists]
    return [Saved(key, part) for key, part in zip(*texts, strict=True)]
