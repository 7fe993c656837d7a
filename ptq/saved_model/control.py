"""Loops and choices: a recurrent layer where a loop is one, else WHILE and IF with subgraphs of their own.

Each function that a While or If node names becomes a subgraph, translated by the same rules. What a loop
leaves as it is and what is constant outside stands in the body as a constant, so that products with it become
FULLY_CONNECTED. A list that the loop fills starts as zeros: [size, ...] with the shape of the items.
Source: `tensorflow/compiler/mlir/lite/transforms/legalize_while.cc` (WHILE), `legalize_tf.cc` (IF).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ptq.graph import DTYPES, Array
from ptq.saved_model.attributes import refuse
from ptq.saved_model.fuse import fuse
from ptq.saved_model.lists import size_of
from ptq.saved_model.loops import Loop, called, loop_of
from ptq.saved_model.nodes import FlatGraph, Node
from ptq.saved_model.recurrent import fuse_loop
from ptq.saved_model.translation import Rule, Shape, Translation

DEEPEST = 4
"""So many loops and choices may stand inside one another; recurrent layers are one deep."""

MOST_SUBGRAPHS = 500
"""So many functions may become subgraphs, so that a graph that names the same ones again and again ends."""


def _while(t: Translation, node: Node) -> list[int]:
    loop = loop_of(node, t.functions)
    fused = fuse_loop(t, loop)
    return _keep(t, loop) if fused is None else fused


def _keep(t: Translation, loop: Loop) -> list[int]:
    node, inputs = loop.node, t.inputs(loop.node)
    _check_lists(t, loop)
    body = _inside(t, node, loop.body.flat)
    fixed = {k: data for k in loop.constant if (data := t.data(inputs[k])) is not None}
    if not _translate(t, body, loop.body.flat, inputs, fixed):
        return []
    inputs = [_start(t, body, inputs, k, f"{node.name}/{k}") for k in range(len(inputs))]
    _check_rounds(loop, body)
    condition = _inside(t, node, loop.condition.flat)
    for port, index, given in zip(loop.condition.flat.inputs, inputs, body.graph.inputs, strict=True):
        condition.feed_like(port.tensor, body.shapes_seen(given), t.type(index))
    t.translate_nodes(condition, loop.condition.flat)
    if not _finish(condition, loop.condition.flat):
        return []
    options = {"cond_subgraph_index": _add(t, condition), "body_subgraph_index": _add(t, body)}
    shapes = [t.shapes_seen(index) for index in inputs]
    return t.call("WHILE", inputs, node.name, options, shapes, [t.type(index) for index in inputs])


def _if(t: Translation, node: Node) -> list[int]:
    condition, *inputs = t.inputs(node)
    if t.type(condition) != "BOOL" or t.rank(condition):
        raise refuse(node, f"a condition of {t.type(condition)} and rank {t.rank(condition)}", "one bool")
    if any(index in t.reserved or index in t.unshaped for index in inputs):
        raise refuse(node, "a list whose items have not been set", "one that has items")
    outputs = len(node.attributes.get("Tout") or ())
    branches = []
    for attribute in ("then_branch", "else_branch"):
        flat = called(node, attribute, t.functions, len(inputs), outputs)
        branch = _inside(t, node, flat)
        if not _translate(t, branch, flat, inputs, {}):
            return []
        branches.append(branch)
    then, otherwise = ([_seen(b, i) for i in b.graph.outputs] for b in branches)
    if then != otherwise:
        raise refuse(node, f"branches with results {then} and {otherwise}", "results of the same shapes")
    options = {"then_subgraph_index": _add(t, branches[0]), "else_subgraph_index": _add(t, branches[1])}
    shapes = [branches[0].shapes_seen(index) for index in branches[0].graph.outputs]
    kinds = [branches[0].type(index) for index in branches[0].graph.outputs]
    return t.call("IF", [condition, *inputs], node.name, options, shapes, kinds)


# --- subgraphs ------------------------------------------------------------------------------------


def _inside(t: Translation, node: Node, flat: FlatGraph) -> Translation:
    """A translation for a function that `node` calls."""
    if t.depth >= DEEPEST or len(t.subgraphs) >= MOST_SUBGRAPHS:
        raise refuse(
            node, f"{t.depth + 1} loops or choices inside one another, {len(t.subgraphs)} functions",
            f"at most {DEEPEST} and {MOST_SUBGRAPHS}",
        )  # fmt: skip
    functions: Mapping[str, FlatGraph] = {**t.functions, **flat.functions}
    return Translation(node.name, functions, t)


def _translate(
    t: Translation, inside: Translation, flat: FlatGraph, inputs: list[int], fixed: Mapping[int, Array]
) -> bool:
    """Translate a function with these inputs; whether all of it could be.

    fixed: by position, what is constant outside and what the function reads as a constant.
    """
    for position, (port, index) in enumerate(zip(flat.inputs, inputs, strict=True)):
        reserved = t.reserved.get(index)
        if reserved is None:
            inside.feed_like(port.tensor, t.shapes_seen(index), t.type(index))
        else:
            sizes = t.numbers_seen(reserved.size)
            if sizes is None or min(sizes) < 0:
                raise refuse(reserved.node, "a size that is computed", "one that follows from shapes")
            inside.unshaped[inside.feed_like(port.tensor, [(n,) for n in sizes], "FLOAT32")] = sizes
        if position in fixed:
            inside.alias(port.tensor, inside.constant(fixed[position], f"{port.tensor}/constant"))
    t.translate_nodes(inside, flat)
    return _finish(inside, flat)


def _finish(inside: Translation, flat: FlatGraph) -> bool:
    names = [port.tensor for port in flat.outputs]
    if not inside.knows(names):
        return False
    given = dict(zip((port.tensor for port in flat.inputs), inside.graph.inputs, strict=True))
    results = [given.get(name, inside.value(name)) for name in names]
    inside.graph.outputs = [_own(inside, results, position) for position in range(len(results))]
    return True


def _own(inside: Translation, results: list[int], position: int) -> int:
    """A result as a tensor of its own: TensorFlow Lite errs where an argument is passed on as another one.

    And where one tensor is two results of a branch; see `ptq.defects`, WHILE_OVERWRITES and IF_TWICE.
    """
    index, inputs = results[position], inside.graph.inputs
    if index not in results[:position] and index not in inputs[:position] + inputs[position + 1 :]:
        return index
    name = f"{inside.graph.tensors[index].name}/copy"
    if inside.shape(index).count(-1) <= 1:
        shape = inside.int32(inside.shape(index), f"{name}/shape")
    else:
        shape = inside.one("SHAPE", [index], f"{name}/shape", {"out_type": "INT32"}, kinds=["INT32"])
    return inside.one("RESHAPE", [index, shape], name)


def _add(t: Translation, inside: Translation) -> int:
    fuse(inside.graph)
    t.subgraphs.append(inside.graph)
    return len(t.subgraphs)


def _seen(t: Translation, index: int) -> tuple[str, list[Shape]]:
    return t.type(index), t.shapes_seen(index)


# --- loops ----------------------------------------------------------------------------------------


def _check_lists(t: Translation, loop: Loop) -> None:
    for position, index in enumerate(t.inputs(loop.node)):
        if index in t.unshaped or (index in t.reserved and position not in loop.written):
            where = f"a list whose items have not been set as argument {position}"
            raise refuse(loop.node, where, "one that the loop fills, an item in each round")


def _check_rounds(loop: Loop, body: Translation) -> None:
    for position, (before, after) in enumerate(zip(body.graph.inputs, body.graph.outputs, strict=True)):
        first, second = _seen(body, before), _seen(body, after)
        if first != second:
            raise refuse(
                loop.node, f"argument {position} that is {first} before a round and {second} after it",
                "shapes and types that stay as they are",
            )  # fmt: skip


def _start(t: Translation, body: Translation, inputs: list[int], position: int, name: str) -> int:
    """What the loop's argument starts from: what it is given, or zeros for a list that it fills."""
    reserved = t.reserved.get(inputs[position])
    if reserved is None:
        return inputs[position]
    listed = body.graph.inputs[position]
    if listed in body.unshaped:
        raise refuse(reserved.node, "a list of which the loop sets no item", "one item in each round")
    axes = zip(*body.shapes_seen(listed), strict=True)
    others = [index for index in inputs if index not in t.reserved]
    sizes = [reserved.size, *(_size(t, reserved.node, list(seen), others) for seen in list(axes)[1:])]
    dims = t.one("PACK", sizes, f"{name}/sizes", {"values_count": len(sizes)})
    zero = t.constant(np.zeros((), DTYPES[body.type(listed)]), f"{name}/zero")
    return t.one("FILL", [dims, zero], name, kinds=[body.type(listed)])


def _size(t: Translation, node: Node, seen: list[int], others: list[int]) -> int:
    """A size of an item as a scalar, found where another of the loop's arguments has the same."""
    if len(set(seen)) == 1:
        return t.int32(seen[0], f"{node.name}/size")
    for index in others:
        for axis in range(t.rank(index)):
            if t.sizes(index, axis) == seen:
                return size_of(t, index, axis, f"{node.name}/size")
    raise refuse(node, "items of a size that no argument of the loop has", "the size of a state or an input")


RULES: dict[str, Rule] = {
    **dict.fromkeys(("While", "StatelessWhile"), _while),
    **dict.fromkeys(("If", "StatelessIf"), _if),
}
