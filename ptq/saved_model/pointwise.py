"""Element by element: arithmetic, comparisons, activations, batch normalization.

Source: `tensorflow/compiler/mlir/lite/transforms/legalize_patterns.td` and, for FusedBatchNorm,
`tensorflow/compiler/mlir/lite/transforms/prepare_patterns.td`.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.graph import type_of
from ptq.saved_model.attributes import check_layout, refuse
from ptq.saved_model.nodes import Node, TypeName
from ptq.saved_model.translation import Rule, Translation

Array = npt.NDArray[Any]

UNARY = {
    "Abs": "ABS", "Elu": "ELU", "Exp": "EXP", "Floor": "FLOOR", "Log": "LOG", "LogicalNot": "LOGICAL_NOT",
    "LogSoftmax": "LOG_SOFTMAX", "Neg": "NEG", "Relu": "RELU", "Relu6": "RELU6", "Sigmoid": "LOGISTIC",
    "Sqrt": "SQRT", "Square": "SQUARE", "Tanh": "TANH", "ZerosLike": "ZEROS_LIKE",
}  # fmt: skip
BINARY = {
    "Add": "ADD", "AddV2": "ADD", "BiasAdd": "ADD", "Div": "DIV", "Maximum": "MAXIMUM", "Minimum": "MINIMUM",
    "Mul": "MUL", "RealDiv": "DIV", "Sub": "SUB",
}  # fmt: skip
TO_BOOL = {
    "Equal": "EQUAL", "Greater": "GREATER", "GreaterEqual": "GREATER_EQUAL", "Less": "LESS",
    "LessEqual": "LESS_EQUAL", "LogicalAnd": "LOGICAL_AND", "LogicalOr": "LOGICAL_OR",
    "NotEqual": "NOT_EQUAL",
}  # fmt: skip
NEUTRAL = (
    "CheckNumerics", "Identity", "IdentityN", "PlaceholderWithDefault", "PreventGradient", "Snapshot",
    "StopGradient",
)  # fmt: skip
COMMUTATIVE = frozenset({"ADD", "MUL", "MAXIMUM", "MINIMUM"})
POWERS = {0.5: "SQRT", -0.5: "RSQRT"}
MOST_BROADCAST = 4
"""The most dimensions in which TensorFlow Lite's SQUARED_DIFFERENCE takes operands of different shapes."""


def reciprocal_root(x: Array) -> Array:
    """1 / sqrt(x) of constants: float32, rounded once from double precision.

    These are the only numbers that ptq folds to other bits than TensorFlow's converter, by two steps at most.
    Its kernel takes eight elements at a time on x86: r is what the instruction RSQRTPS gives, for which no
    more than a relative error of 1.5 * 2**-12 is promised and Intel's and AMD's processors have different
    bits, and one Newton step makes r - r/2 * ((x r) r - 1) of it. What is left after the last eight is
    1 / sqrt(x), both rounded. So the bits depend on the processor and on the position in the array, not on x
    alone, and to copy them would be to copy one processor.
    Source: Eigen, `Core/arch/AVX/MathFunctions.h`, prsqrt<Packet8f>; `Core/MathFunctionsImpl.h`,
    generic_rsqrt_newton_step. `tests/test_saved_model_roots.py` shows both parts.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1.0 / np.sqrt(x.astype(np.float64)), np.float32)


def _unary(t: Translation, node: Node) -> list[int]:
    return t.op(UNARY[node.op], t.inputs(node), node.name)


def _binary(t: Translation, node: Node) -> list[int]:
    if node.op == "BiasAdd":
        check_layout(node)
    a, b = t.inputs(node)
    return [_two(t, BINARY[node.op], a, b, node.name)]


def _two(t: Translation, type: str, a: int, b: int, name: str) -> int:
    """An operator on two operands; a constant comes second where the order does not matter."""
    if type in COMMUTATIVE and t.data(a) is not None and t.data(b) is None:
        a, b = b, a
    return t.one(type, [a, b], name, version=3 if type == "SUB" and _is_wide(t, a, b) else 1)


def _is_wide(t: Translation, a: int, b: int) -> bool:
    """Whether operands of different shapes have more than four dimensions."""
    return t.shape(a) != t.shape(b) and max(t.rank(a), t.rank(b)) > MOST_BROADCAST


def _compare(t: Translation, node: Node) -> list[int]:
    return t.op(TO_BOOL[node.op], t.inputs(node), node.name, kinds=["BOOL"])


def _add_n(t: Translation, node: Node) -> list[int]:
    first, *others = t.inputs(node)
    numbered = enumerate(others, 1)
    return [reduce(lambda a, b: _two(t, "ADD", a, b[1], f"{node.name}/{b[0]}"), numbered, first)]


def _rsqrt(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    data = t.data(x)
    if data is not None and data.dtype == np.float32:
        return [t.constant(reciprocal_root(data), node.name)]
    return t.op("RSQRT", [x], node.name)


def _power(t: Translation, node: Node) -> list[int]:
    x, exponent = t.inputs(node)
    data = t.data(exponent)
    value = None if data is None or data.size != 1 else float(data.ravel()[0])
    if value == 1.0:
        return [x]
    if value == 2.0:
        return t.op("MUL", [x, x], node.name)
    if value in POWERS:
        return t.op(POWERS[value], [x], node.name)
    found = "an exponent that is no single constant" if value is None else f"exponent {value}"
    raise refuse(node, found, "1, 2, 0.5 or -0.5")


def _reciprocal(t: Translation, node: Node) -> list[int]:
    one = t.constant(np.ones((), np.float32), f"{node.name}/one")
    return t.op("DIV", [one, *t.inputs(node)], node.name)


def _leaky_relu(t: Translation, node: Node) -> list[int]:
    return t.op("LEAKY_RELU", t.inputs(node), node.name, {"alpha": float(node.attributes.get("alpha", 0.2))})


def _softmax(t: Translation, node: Node) -> list[int]:
    return t.op("SOFTMAX", t.inputs(node), node.name, {"beta": 1.0})


def _cast(t: Translation, node: Node) -> list[int]:
    (x,) = t.inputs(node)
    target = node.attributes["DstT"]
    if isinstance(target, TypeName):
        raise refuse(node, f"type {target}", "a type of NumPy")
    kind = type_of(target)
    if kind == t.type(x):
        return [x]
    return t.op("CAST", [x], node.name, {"in_data_type": t.type(x), "out_data_type": kind}, kinds=[kind])


def _select(t: Translation, node: Node) -> list[int]:
    condition, a, b = t.inputs(node)
    if node.op == "Select":
        return t.op("SELECT", [condition, a, b], node.name, kinds=[t.type(a)])
    return [select(t, condition, a, b, node.name)]


def select(t: Translation, condition: int, a: int, b: int, name: str) -> int:
    """`a` where the condition holds, else `b`: SELECT of equal known shapes, SELECT_V2 of others."""
    shapes = {t.shape(tensor) for tensor in (condition, a, b)}
    equal = len(shapes) == 1 and -1 not in next(iter(shapes))
    return t.one("SELECT" if equal else "SELECT_V2", [condition, a, b], name, kinds=[t.type(a)])


def _squared_difference(t: Translation, node: Node) -> list[int]:
    a, b = t.inputs(node)
    if not _is_wide(t, a, b):
        return t.op("SQUARED_DIFFERENCE", [a, b], node.name)
    return t.op("SQUARE", [_two(t, "SUB", a, b, f"{node.name}/difference")], node.name)


def _batch_norm(t: Translation, node: Node) -> list[int]:
    """x * multiplier + (offset - mean * multiplier), multiplier = scale / sqrt(variance + epsilon)."""
    check_layout(node)
    if node.attributes.get("is_training"):
        raise refuse(node, "is_training = True", "inference; export the model with training=False")
    x, scale, offset, mean, variance = t.inputs(node)
    name = node.name
    parts = [t.data(i) for i in (scale, offset, mean, variance)]
    if any(part is None for part in parts):
        raise refuse(node, "statistics that are computed at run time", "constants")
    epsilon = t.constant(np.array(node.attributes.get("epsilon", 1e-4), np.float32), f"{name}/epsilon")
    spread = t.data(t.one("ADD", [variance, epsilon], f"{name}/variance"))
    if spread is None:
        raise refuse(node, f"variances of type {t.type(variance)}", "FLOAT32")
    root = t.constant(reciprocal_root(spread), f"{name}/root")
    multiplier = t.one("MUL", [scale, root], f"{name}/multiplier")
    shift = t.one("SUB", [offset, t.one("MUL", [mean, multiplier], f"{name}/mean")], f"{name}/shift")
    scaled = t.one("MUL", [x, multiplier], f"{name}/mul")
    return [t.one("ADD", [scaled, shift], name), mean, variance, mean, variance, mean]


def _same(t: Translation, node: Node) -> list[int]:
    """What changes nothing in inference."""
    return t.inputs(node)


def _const(t: Translation, node: Node) -> list[int]:
    value = np.asarray(node.attributes["value"])
    return [t.constant(value, node.name)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(TO_BOOL, _compare),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _batch_norm),
    **dict.fromkeys(NEUTRAL, _same),
    **dict.fromkeys(("Select", "SelectV2"), _select),
    "AddN": _add_n,
    "Cast": _cast,
    "Const": _const,
    "LeakyRelu": _leaky_relu,
    "Pow": _power,
    **dict.fromkeys(("Inv", "Reciprocal"), _reciprocal),
    "Rsqrt": _rsqrt,
    "Softmax": _softmax,
    "SquaredDifference": _squared_difference,
}
