"""The order in which TensorFlow's converter holds the nodes of a graph, which becomes that of the operators.

A depth-first walk from the nodes without inputs to those that read them; what is left last stands first.
Where there is a choice, names decide: the walk takes the greatest first, and the smallest ends up in front.
Source: `tensorflow/core/graph/algorithm.cc`, GetReversePostOrder, as the importer of MLIR calls it, with
NodeComparatorName.
"""

from __future__ import annotations

import re
from collections import defaultdict

from ptq.saved_model.nodes import FlatGraph, Node


def in_converter_order(flat: FlatGraph) -> tuple[Node, ...]:
    """The nodes of `flat`, each after its inputs, in the converter's order."""
    by_name = {node.name: node for node in flat.nodes}
    readers: dict[str, set[str]] = defaultdict(set)
    for node in flat.nodes:
        for name in node.inputs:
            readers[name.rpartition(":")[0]].add(node.name)
    key = {name: _key(node) for name, node in by_name.items()}
    key |= {port.tensor.rpartition(":")[0]: _argument(port.name) for port in flat.inputs}
    pending = sorted((n.name for n in flat.nodes if not n.inputs), key=key.__getitem__)
    stack = [(name, False) for name in pending]
    visited: set[str] = set()
    left: list[Node] = []
    while stack:
        name, leaving = stack.pop()
        if leaving:
            left.append(by_name[name])
        elif name not in visited:
            visited.add(name)
            stack.append((name, True))
            stack += [(reader, False) for reader in sorted(readers[name], key=key.__getitem__)]
    return tuple(reversed(left))


CALLS = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
"""What inlining a function puts in front of the names of its nodes; the walk sees the names inside."""


def _key(node: Node) -> str:
    """The name that the walk compares; a variable is known there by the function's argument that holds it."""
    name = CALLS.sub("", node.name)
    return _argument(f"{name}/resource") if node.op == "Const" and "ReadVariableOp" in name else name


def _argument(name: str) -> str:
    """What a tensor of this name is called as the argument of a function."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())
