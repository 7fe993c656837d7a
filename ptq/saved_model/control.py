"""Loops and choices: a recurrent layer where a loop is one, else WHILE and IF with subgraphs of their own.

Each function that a While or If node names becomes a subgraph, translated by the same rules. What a loop
leaves as it is and what is constant outside stands in the body as a constant, so that products with it become
FULLY_CONNECTED. A list that the loop fills starts as zeros: [size, ...] with the shape of the items.
Source: `tensorflow/compiler/mlir/lite/transforms/legalize_while.cc` (WHILE), `legalize_tf.cc` (IF).
"""

from __future__ import annotations

from collections.abc import Mapping

from ptq.graph import Array
from ptq.saved_model.attributes import refuse
from ptq.saved_model.fuse import fuse
from ptq.saved_model.lists import size_of, zeros
from ptq.saved_model.loops import Loop, called, loop_of
from ptq.saved_model.nodes import FlatGraph, Node, Port
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
    node, results = loop.node, t.inputs(loop.node)
    _check_lists(t, loop)
    body = _inside(t, node, loop.body.flat)
    fixed = {k: data for k in loop.constant if (data := t.data(results[k])) is not None}
    passed = [k for k in range(len(results)) if k not in fixed]
    outputs = [loop.result(k) for k in passed]
    if not _translate(t, body, loop.body.flat, results, fixed, outputs):
        return []
    _check_rounds(loop, body, passed)
    condition = _inside(t, node, loop.condition.flat)
    for position, port in enumerate(loop.condition.flat.inputs):
        if position in fixed:
            _fix(condition, port, fixed[position])
        else:
            condition.feed_like(port.tensor, *_seen(body, body.value(loop.argument(position))))
    t.translate_nodes(condition, loop.condition.flat)
    if not _finish(condition, [port.tensor for port in loop.condition.flat.outputs]):
        return []
    holds = _results(condition)[0]
    if holds != ("BOOL", [()] * len(t.worlds)):
        raise refuse(node, f"a condition that is {holds}", "one bool")
    written = _results(body)
    inputs = [_start(t, body, loop, k, f"{node.name}/{k}") for k in passed]
    options = {"cond_subgraph_index": _add(t, condition), "body_subgraph_index": _add(t, body)}
    for position, output in zip(passed, t.call("WHILE", inputs, node.name, options, written), strict=True):
        results[position] = output
    return results


def _if(t: Translation, node: Node) -> list[int]:
    condition, *inputs = t.inputs(node)
    if t.type(condition) != "BOOL" or t.rank(condition):
        raise refuse(node, f"a condition of {t.type(condition)} and rank {t.rank(condition)}", "one bool")
    if any(index in t.reserved or index in t.unshaped for index in inputs):
        raise refuse(node, "a list whose items have not been set", "one that has items")
    count = len(node.attributes.get("Tout") or ())
    fixed = {k: data for k, index in enumerate(inputs) if (data := t.data(index)) is not None}
    branches = []
    for attribute in ("then_branch", "else_branch"):
        flat = called(node, attribute, t.functions, len(inputs), count)
        branch = _inside(t, node, flat)
        if not _translate(t, branch, flat, inputs, fixed, [port.tensor for port in flat.outputs]):
            return []
        branches.append(branch)
    then, otherwise = (_results(branch) for branch in branches)
    if then != otherwise:
        raise refuse(node, f"branches with results {then} and {otherwise}", "results of the same shapes")
    numbers = [_add(t, branch) for branch in branches]
    options = dict(zip(("then_subgraph_index", "else_subgraph_index"), numbers, strict=True))
    given = [condition, *(index for k, index in enumerate(inputs) if k not in fixed)]
    return t.call("IF", given, node.name, options, then)


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
    t: Translation, inside: Translation, flat: FlatGraph, inputs: list[int], fixed: Mapping[int, Array],
    outputs: list[str]
) -> bool:
    """Translate a function with these inputs and outputs; whether all of it could be.

    fixed: by position, what is constant outside and no input of the subgraph.
    """
    for position, (port, index) in enumerate(zip(flat.inputs, inputs, strict=True)):
        reserved = t.reserved.get(index)
        if position in fixed:
            _fix(inside, port, fixed[position])
        elif reserved is None:
            inside.feed_like(port.tensor, *_seen(t, index))
        else:
            sizes = t.numbers_seen(reserved.size)
            if sizes is None or min(sizes) < 0:
                raise refuse(reserved.node, "a size that is computed", "one that follows from shapes")
            inside.unshaped[inside.feed_like(port.tensor, "FLOAT32", [(n,) for n in sizes])] = sizes
    t.translate_nodes(inside, flat)
    return _finish(inside, outputs)


def _fix(inside: Translation, port: Port, data: Array) -> None:
    inside.alias(port.tensor, inside.constant(data, port.tensor))


def _finish(inside: Translation, outputs: list[str]) -> bool:
    if not inside.knows(outputs):
        return False
    results = [inside.value(name) for name in outputs]
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


def _results(inside: Translation) -> list[tuple[str, list[Shape]]]:
    return [_seen(inside, index) for index in inside.graph.outputs]


# --- loops ----------------------------------------------------------------------------------------


def _check_lists(t: Translation, loop: Loop) -> None:
    for position, index in enumerate(t.inputs(loop.node)):
        if index in t.unshaped or (index in t.reserved and position not in loop.written):
            where = f"a list whose items have not been set as argument {position}"
            raise refuse(loop.node, where, "one that the loop fills, an item in each round")


def _check_rounds(loop: Loop, body: Translation, passed: list[int]) -> None:
    for position, before, after in zip(passed, body.graph.inputs, body.graph.outputs, strict=True):
        first, second = _seen(body, before), _seen(body, after)
        if first != second:
            raise refuse(
                loop.node, f"argument {position} that is {first} before a round and {second} after it",
                "shapes and types that stay as they are",
            )  # fmt: skip


def _start(t: Translation, body: Translation, loop: Loop, position: int, name: str) -> int:
    """What the loop's argument starts from: what it is given, or zeros for a list that it fills."""
    inputs = t.inputs(loop.node)
    reserved = t.reserved.get(inputs[position])
    if reserved is None:
        return inputs[position]
    listed = body.value(loop.argument(position))
    if listed in body.unshaped:
        raise refuse(reserved.node, "a list of which the loop sets no item", "one item in each round")
    axes = zip(*body.shapes_seen(listed), strict=True)
    others = [index for index in inputs if index not in t.reserved]
    sizes = [_size(t, reserved.node, list(seen), others) for seen in list(axes)[1:]]
    return zeros(t, reserved, sizes, body.type(listed), name)


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
