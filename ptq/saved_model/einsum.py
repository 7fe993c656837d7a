"""Einsum becomes transpositions around one batch matrix product, as in TensorFlow's converter.

The letters of "lhs,rhs->out" are of four kinds: those in all three (batch), those of lhs and out (rows),
those of lhs and rhs (summed) and those of rhs and out (columns). lhs is turned to [batch, rows, summed] and
rhs to [batch, summed, columns], letters of one kind joined; their product, split and turned again, is the
result.
Source: `tensorflow/compiler/mlir/tensorflow/transforms/einsum.cc`, ConvertTFEinsumOp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_uppercase

from ptq.errors import UnsupportedError
from ptq.saved_model.attributes import refuse, text
from ptq.saved_model.layers import product, turn
from ptq.saved_model.movement import to_shape
from ptq.saved_model.nodes import Node
from ptq.saved_model.translation import Rule, Translation

FORMS = "each letter once in an operand and also elsewhere: 'ab,bc->ac', '...ab,...bc->...ac' or 'ab->a'"
ELLIPSIS = "..."
TWO = 2


def _einsum(t: Translation, node: Node) -> list[int]:
    operands, output = _labels(t, node)
    values = t.inputs(node)
    if len(operands) == 1:
        return [_rearranged(t, node, values[0], operands[0], output)]
    if len(operands) != TWO:
        raise _unknown(node)
    (lhs, rhs), (a, b) = operands, values
    lonely = [c for c in lhs if c not in rhs + output] + [c for c in rhs if c not in lhs + output]
    if lonely:
        raise _unknown(node)
    batch = [c for c in lhs if c in rhs and c in output]
    rows = [c for c in lhs if c not in rhs]
    summed = [c for c in lhs if c in rhs and c not in output]
    columns = [c for c in rhs if c not in lhs]
    sizes = _sizes(t, node, [*zip(lhs, t.shape(a), strict=True), *zip(rhs, t.shape(b), strict=True)])
    keep = rows if rows and not batch else [rows]  # without a batch, the rows keep their dimensions
    left = [*batch, *keep, summed]
    right = [*batch, summed, columns]
    a = _arranged(t, _turned(t, a, lhs, [*batch, *rows, *summed], f"{node.name}/a"), left, sizes, node)
    b = _arranged(t, _turned(t, b, rhs, [*batch, *summed, *columns], f"{node.name}/b"), right, sizes, node)
    made = [*batch, *rows, *columns]
    result = product(t, a, b, f"{node.name}/product")
    shape = [sizes[c] for c in made]
    if shape.count(-1) <= 1:
        result = to_shape(t, result, shape, f"{node.name}/shape")
    elif t.rank(result) != len(shape):
        raise refuse(node, f"{shape.count(-1)} open sizes in '{_equation(node)}'", "one at most")
    return [_turned(t, result, made, output, node.name)]


def _equation(node: Node) -> str:
    return text(node.attributes["equation"]).replace(" ", "")


def _unknown(node: Node) -> UnsupportedError:
    return refuse(node, f"'{_equation(node)}'", FORMS)


def _labels(t: Translation, node: Node) -> tuple[list[str], str]:
    """The letters of each operand and of the output, with new letters in place of "..."."""
    before, arrow, output = _equation(node).partition("->")
    values = t.inputs(node)
    operands = before.split(",")
    if not arrow or len(operands) != len(values):
        raise _unknown(node)
    spare = [c for c in ascii_uppercase if c not in before]
    hidden = 0
    for value, labels in zip(values, operands, strict=True):
        if ELLIPSIS in labels:
            hidden = max(hidden, t.rank(value) - len(labels) + len(ELLIPSIS))
    spelled = [o.replace(ELLIPSIS, "".join(spare[:hidden])) for o in (*operands, output)]
    for labels, rank in zip(spelled, (*map(t.rank, values), len(spelled[-1])), strict=True):
        if len(labels) != rank or len(set(labels)) != rank or not labels.isalpha():
            raise _unknown(node)
    if not set(spelled[-1]) <= set("".join(spelled[:-1])):
        raise _unknown(node)
    return spelled[:-1], spelled[-1]


def _sizes(t: Translation, node: Node, found: Sequence[tuple[str, int]]) -> dict[str, int]:
    """The size of each letter, -1 where it is open."""
    sizes: dict[str, int] = {}
    for letter, size in found:
        known = max(sizes.get(letter, -1), size)
        if min(sizes.get(letter, known), size) not in (known, -1):
            raise refuse(node, f"sizes {sizes[letter]} and {size} of '{letter}'", "the same size in both")
        sizes[letter] = known
    return sizes


def _rearranged(t: Translation, node: Node, x: int, labels: str, output: str) -> int:
    """One operand: a transposition, or the sum over what is left out."""
    axes = [axis for axis, letter in enumerate(labels) if letter not in output]
    kept = "".join(letter for letter in labels if letter in output)
    if not axes:
        return _turned(t, x, labels, output, node.name)
    if not output or kept != output:
        raise _unknown(node)
    return t.one("SUM", [x, t.int32(axes, f"{node.name}/axes")], node.name)


def _turned(t: Translation, x: int, labels: Sequence[str], wanted: Sequence[str], name: str) -> int:
    """`x` with its dimensions in the order of the letters in `wanted`."""
    order = [list(labels).index(letter) for letter in wanted]
    return x if order == sorted(order) else turn(t, x, order, name)


def _arranged(
    t: Translation, x: int, groups: Sequence[Sequence[str]], sizes: dict[str, int], node: Node
) -> int:
    """`x` with the letters of each group joined to one dimension; of no letters at all, to one of size 1."""
    if all(len(group) == 1 for group in groups):
        return x
    opened = [group for group in groups if any(sizes[letter] < 0 for letter in group)]
    if len(opened) > 1 or any(sum(sizes[letter] < 0 for letter in group) > 1 for group in opened):
        raise refuse(node, f"several open sizes in '{_equation(node)}'", "one at most, the batch")
    shape = [-1 if group in opened else math.prod(sizes[letter] for letter in group) for group in groups]
    return to_shape(t, x, shape, f"{node.name}/joined")


RULES: dict[str, Rule] = {"Einsum": _einsum}
