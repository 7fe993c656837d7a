"""Operations that TensorFlow Lite does not have, and its converter writes as several that it has.

Source: `tensorflow/compiler/mlir/tensorflow/transforms/lower_tf.td` and `lower_tf.cc`, and
`tensorflow/compiler/mlir/lite/transforms/prepare_patterns.td`.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import DTYPES
from ptq.saved_model.attributes import refuse
from ptq.saved_model.nodes import Node
from ptq.saved_model.pointwise import select
from ptq.saved_model.translation import Rule, Translation

SELU_SCALE = 1.0507009873554804934193349852946
SELU_SCALE_ALPHA = 1.7580993408473768599402175208123
QUOTIENTS = {
    "DivNoNan": "DIV", "MulNoNan": "MUL", "Xdivy": "DIV", "Xlogy": "MUL", "Xlog1py": "MUL",
}  # fmt: skip


def _number(t: Translation, like: int, value: float, name: str) -> int:
    """A constant of the type of another tensor, without dimensions."""
    return t.constant(np.asarray(value, DTYPES[t.type(like)]), name)


def _log_of_more(t: Translation, x: int, name: str) -> int:
    """log(x + 1)."""
    return t.one("LOG", [t.one("ADD", [x, _number(t, x, 1, f"{name}/one")], f"{name}/more")], name)


def _exp_less_one(t: Translation, x: int, name: str) -> int:
    """exp(x) - 1."""
    return t.one("SUB", [t.one("EXP", [x], f"{name}/exp"), _number(t, x, 1, f"{name}/one")], name)


def _log1p(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    return [_log_of_more(t, x, node.name)]


def _expm1(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    return [_exp_less_one(t, x, node.name)]


def _softplus(t: Translation, node: Node) -> list[int]:
    """log(exp(x) + 1)."""
    return [_log_of_more(t, t.one("EXP", t.inputs(node), f"{node.name}/exp"), node.name)]


def _softsign(t: Translation, node: Node) -> list[int]:
    """x / (|x| + 1)."""
    (x,) = t.inputs(node)
    size = t.one("ABS", [x], f"{node.name}/abs")
    more = t.one("ADD", [size, _number(t, x, 1, f"{node.name}/one")], f"{node.name}/more")
    return t.op("DIV", [x, more], node.name)


def _selu(t: Translation, node: Node) -> list[int]:
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1)."""
    (x,) = t.inputs(node)
    name = node.name
    values = (0, SELU_SCALE, SELU_SCALE_ALPHA)
    zero, scale, both = (_number(t, x, value, f"{name}/constant") for value in values)
    positive = t.one("GREATER", [x, zero], f"{name}/positive", kinds=["BOOL"])
    above = t.one("MUL", [x, scale], f"{name}/above")
    below = t.one("MUL", [_exp_less_one(t, x, f"{name}/less"), both], f"{name}/below")
    return [select(t, positive, above, below, name)]


def _without_nan(t: Translation, node: Node) -> list[int]:
    """a / b, a * b, a * log(b) or a * log(b + 1), and 0 where the operand that could make it NaN is 0."""
    a, b = t.inputs(node)
    guard, name = (b if node.op.endswith("NoNan") else a), node.name
    zero = _number(t, guard, 0, f"{name}/zero")
    nothing = t.one("EQUAL", [guard, zero], f"{name}/nothing", kinds=["BOOL"])
    if node.op == "Xlogy":
        b = t.one("LOG", [b], f"{name}/log")
    elif node.op == "Xlog1py":
        b = _log_of_more(t, b, f"{name}/log")
    result = t.one(QUOTIENTS[node.op], [a, b], f"{name}/result")
    return [select(t, nothing, zero if node.op.endswith("NoNan") else a, result, name)]


def _is_finite(t: Translation, node: Node) -> list[int]:
    """x - x is 0, and NaN where x is NaN or infinite."""
    (x,) = t.inputs(node)
    difference = t.one("SUB", [x, x], f"{node.name}/difference")
    return t.op("EQUAL", [difference, _number(t, x, 0, f"{node.name}/zero")], node.name, kinds=["BOOL"])


def _is_nan(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    return t.op("NOT_EQUAL", [x, x], node.name, kinds=["BOOL"])


def _l2_loss(t: Translation, node: Node) -> list[int]:
    """The sum of x * x, halved."""
    (x,) = t.inputs(node)
    axes = t.int32(range(t.rank(x)), f"{node.name}/axes")
    total = t.one("SUM", [t.one("MUL", [x, x], f"{node.name}/squares"), axes], f"{node.name}/sum")
    return t.op("DIV", [total, _number(t, x, 2, f"{node.name}/two")], node.name)


def _ones_like(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    shape = t.one("SHAPE", [x], f"{node.name}/shape", {"out_type": "INT64"}, kinds=["INT64"])
    return t.op("BROADCAST_TO", [_number(t, x, 1, f"{node.name}/one"), shape], node.name)


def _roll(t: Translation, node: Node) -> list[int]:
    """Along each axis the last `shift` elements, then those before them."""
    x, shifts, axes = t.inputs(node)
    shape = t.shape(x)
    if -1 in shape:
        raise refuse(node, f"shape {shape}", "one that is known before the model runs")
    pairs = zip(t.numbers(node, shifts, "the shift"), t.numbers(node, axes, "the axis"), strict=True)
    for number, (shift, axis) in enumerate(pairs):
        axis %= len(shape)
        cut = -shift % shape[axis]
        if cut:
            x = _rolled(t, x, axis, cut, f"{node.name}/{number}")
    return [x]


def _rolled(t: Translation, x: int, axis: int, cut: int, name: str) -> int:
    shape, parts = t.shape(x), []
    for start, length in ((cut, shape[axis] - cut), (0, cut)):
        begin, size = [0] * len(shape), list(shape)
        begin[axis], size[axis] = start, length
        constants = [t.int32(begin, f"{name}/begin"), t.int32(size, f"{name}/size")]
        parts.append(t.one("SLICE", [x, *constants], f"{name}/part"))
    return t.one("CONCATENATION", parts, name, {"axis": axis})


def _from_constants(t: Translation, node: Node) -> list[int]:
    """Integers that follow from constants; TensorFlow Lite's own operators for them are not in ptq."""
    a, b = (t.data(i) for i in t.inputs(node))
    if a is None or b is None or a.dtype.kind != "i":
        raise refuse(node, "operands that are computed at run time, or no integers", "constants")
    if node.op == "BroadcastArgs":
        shape = np.broadcast_shapes(a.tolist(), b.tolist())
        return [t.constant(np.asarray(shape, a.dtype), node.name)]
    if not b.all():
        raise refuse(node, "a division by 0", "another divisor")
    compute = np.floor_divide if node.op == "FloorDiv" else np.mod
    return [t.constant(np.asarray(compute(a, b)), node.name)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(QUOTIENTS, _without_nan),
    **dict.fromkeys(("BroadcastArgs", "FloorDiv", "FloorMod"), _from_constants),
    "Expm1": _expm1,
    "IsFinite": _is_finite,
    "IsNan": _is_nan,
    "L2Loss": _l2_loss,
    "Log1p": _log1p,
    "OnesLike": _ones_like,
    "Roll": _roll,
    "Selu": _selu,
    "Softplus": _softplus,
    "Softsign": _softsign,
}
