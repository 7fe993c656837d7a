"""Arithmetic that is an activation, and operators that may change places.

Source: `tensorflow/compiler/mlir/lite/transforms/optimize_patterns.td`, whose names stand with each pattern.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import ABSENT, Operator
from ptq.saved_model.pointwise import MOST_BROADCAST
from ptq.saved_model.rewriter import Pattern, Patterns, Rewriter, Shape

FUSED = "fused_activation_function"
SIXTH = 0.166666666
TINY = 1e-3
RELUS = ("RELU", "RELU6")


def _is(r: Rewriter, tensor: int, value: float) -> bool:
    """Whether a tensor is one float constant."""
    data = r.constant(tensor)
    return data is not None and data.size == 1 and bool(data.ravel()[0] == np.float32(value))


def _plain(operator: Operator) -> bool:
    return bool(operator.options.get(FUSED, "NONE") == "NONE")


# --- activations ----------------------------------------------------------------------------------


def maximum_is_relu(r: Rewriter, operator: Operator) -> bool:
    """max(x, 0); MatchReluPattern."""
    if not _is(r, operator.inputs[1], 0.0):
        return False
    r.become(operator, "RELU", operator.inputs[:1])
    return True


def minimum_is_relu6(r: Rewriter, operator: Operator) -> bool:
    """min(relu(x), 6); MinimumOfReluAnd6ToRelu6."""
    relu = r.producer(operator.inputs[0], "RELU")
    if relu is None or not _is(r, operator.inputs[1], 6.0):
        return False
    r.become(operator, "RELU6", relu.inputs)
    return True


def relu_is_relu6(r: Rewriter, operator: Operator) -> bool:
    """relu(min(x, 6)); MinimumOfReluAnd6ToRelu62."""
    minimum = r.producer(operator.inputs[0], "MINIMUM")
    if minimum is None or not _is(r, minimum.inputs[1], 6.0):
        return False
    r.become(operator, "RELU6", minimum.inputs[:1])
    return True


def relu_of_relu(r: Rewriter, operator: Operator) -> bool:
    """relu(relu(x)); the folder of tf.Relu."""
    before = r.producer(operator.inputs[0])
    if before is None or not (before.type in RELUS or before.options.get(FUSED) in RELUS):
        return False
    return r.bypass(operator)


def square_is_difference(r: Rewriter, operator: Operator) -> bool:
    """(x - y) squared is one operator."""
    difference = r.producer(operator.inputs[0], "SUB")
    if difference is None or not _plain(difference):
        return False
    a, b = (r.shape(tensor) for tensor in difference.inputs)
    if a != b and max(len(a), len(b)) > MOST_BROADCAST:
        return False
    r.become(operator, "SQUARED_DIFFERENCE", difference.inputs)
    return True


def quotient_is_product(r: Rewriter, operator: Operator) -> bool:
    """x / c is x * (1 / c), which is quicker; RealDivWithF32ConstDivisor."""
    value = r.constant(operator.inputs[1])
    if value is None:
        return False
    name = r.graph.tensors[operator.outputs[0]].name
    with np.errstate(divide="ignore"):
        reciprocal = r.add_constant(np.asarray(np.float32(1) / value), f"{name}/reciprocal")
    r.become(operator, "MUL", [operator.inputs[0], reciprocal], operator.options)
    return True


def quotient_by_root(r: Rewriter, operator: Operator) -> bool:
    """x / sqrt(y) is x * rsqrt(y); SqrtDivToRsqrtMulStage of Grappler's arithmetic optimizer."""
    root = r.producer(operator.inputs[1], "SQRT")
    if root is None or not r.used_once(root):
        return False
    r.become(root, "RSQRT", root.inputs)
    number = r.constant(operator.inputs[0])
    r.become(operator, "MUL", operator.inputs if number is None else operator.inputs[::-1], operator.options)
    return True


def transpose_into_product(r: Rewriter, operator: Operator) -> bool:
    """A TRANSPOSE of the last two dimensions before BATCH_MATMUL; FuseTransposeIntoBatchMatMul.

    The product of two matrices, the second turned, is what FULLY_CONNECTED computes.
    """
    for side, adjoint in ((1, "adj_y"), (0, "adj_x")):
        turned = r.producer(operator.inputs[side], "TRANSPOSE")
        order = None if turned is None else r.graph.tensors[turned.inputs[1]].data
        if turned is None or order is None or operator.options[adjoint] or not r.used_once(turned):
            continue
        rank = order.size
        if order.tolist() != [*range(rank - 2), rank - 1, rank - 2]:
            continue
        inputs = list(operator.inputs)
        inputs[side] = turned.inputs[0]
        if side == 1 and rank == 2 == len(r.shape(inputs[0])) and not operator.options["adj_x"]:
            r.become(operator, "FULLY_CONNECTED", [*inputs, ABSENT])
        else:
            r.become(operator, "BATCH_MATMUL", inputs, {**operator.options, adjoint: True})
        return True
    return False


def clip_is_relu1(r: Rewriter, operator: Operator) -> bool:
    """min(max(x, -1), 1) in either order; MatchRelu1Pattern1, MatchRelu1Pattern2."""
    other, bounds = ("MAXIMUM", (-1.0, 1.0)) if operator.type == "MINIMUM" else ("MINIMUM", (1.0, -1.0))
    inner = r.producer(operator.inputs[0], other)
    if inner is None or not (_is(r, inner.inputs[1], bounds[0]) and _is(r, operator.inputs[1], bounds[1])):
        return False
    r.become(operator, "RELU_N1_TO_1", inner.inputs[:1])
    return True


def maximum_is_leaky(r: Rewriter, operator: Operator) -> bool:
    """max(alpha * x, x) with one alpha below 1; MatchLeakyRelu."""
    product = r.producer(operator.inputs[0], "MUL")
    if product is None or not _plain(product) or product.inputs[0] != operator.inputs[1]:
        return False
    alpha = r.constant(product.inputs[1])
    if alpha is None or alpha.size != 1 or abs(alpha.ravel()[0]) >= 1 or not r.used_once(product):
        return False
    r.become(operator, "LEAKY_RELU", operator.inputs[1:], {"alpha": float(alpha.ravel()[0])})
    return True


def sum_is_prelu(r: Rewriter, operator: Operator) -> bool:
    """relu(x) + negative_alpha * relu(-x); MatchPRelu."""
    relu, product = r.producer(operator.inputs[0], "RELU"), r.producer(operator.inputs[1], "MUL")
    if relu is None or product is None or not (_plain(operator) and _plain(product)):
        return False
    below, alpha = r.producer(product.inputs[0], "RELU"), r.constant(product.inputs[1])
    negated = None if below is None else r.producer(below.inputs[0], "NEG")
    if negated is None or alpha is None or negated.inputs != relu.inputs:
        return False
    if alpha.ndim != len(r.shape(relu.inputs[0])) - 1:
        return False
    name = r.graph.tensors[operator.outputs[0]].name
    r.become(operator, "PRELU", [relu.inputs[0], r.add_constant(-alpha, f"{name}/alpha")])
    return True


def product_is_hard_swish(r: Rewriter, operator: Operator) -> bool:
    """x * relu6(x + 3) / 6, multiplied in any order; MatchHardSwishPattern1 to 6."""
    if not _plain(operator):
        return False
    for first, second in (operator.inputs, operator.inputs[::-1]):
        x = _gate(r, second, first)
        inner = r.producer(first, "MUL")
        if x is None and inner is not None and _plain(inner) and _is(r, second, SIXTH):
            x = next((a for a, b in (inner.inputs, inner.inputs[::-1]) if _shifted(r, b) == a), None)
        if x is not None:
            r.become(operator, "HARD_SWISH", [x])
            return True
    return False


def _shifted(r: Rewriter, tensor: int) -> int | None:
    """x, if the tensor is relu6(x + 3)."""
    add = r.producer(tensor, "ADD")
    fits = add is not None and add.options[FUSED] == "RELU6" and _is(r, add.inputs[1], 3.0)
    return add.inputs[0] if add is not None and fits else None


def _gate(r: Rewriter, tensor: int, x: int) -> int | None:
    """x, if the tensor is relu6(x + 3) / 6."""
    scaled = r.producer(tensor, "MUL", "DIV")
    if scaled is None or not _plain(scaled):
        return None
    sixth = _is(r, scaled.inputs[1], SIXTH if scaled.type == "MUL" else 6.0)
    return x if sixth and _shifted(r, scaled.inputs[0]) == x else None


def quotient_is_norm(r: Rewriter, operator: Operator) -> bool:
    """x / sqrt(sum(x * x)) along the last axis, with or without a tiny number; L2NormalizePattern1 to 3."""
    root = r.producer(operator.inputs[1], "RSQRT" if operator.type == "MUL" else "SQRT")
    if root is None or not _plain(operator):
        return False
    kept = r.producer(root.inputs[0], "ADD", "MAXIMUM")
    small = None if kept is None else r.constant(kept.inputs[1])
    if kept is not None and (small is None or small.size != 1 or abs(small.ravel()[0]) >= TINY):
        return False
    total = r.producer(root.inputs[0] if kept is None else kept.inputs[0], "SUM")
    square = None if total is None else r.producer(total.inputs[0], "SQUARE")
    if total is None or square is None or square.inputs != operator.inputs[:1]:
        return False
    axes, rank = r.graph.tensors[total.inputs[1]].data, len(r.shape(square.inputs[0]))
    if axes is None or axes.size != 1 or int(axes.ravel()[0]) % rank != rank - 1:
        return False
    r.become(operator, "L2_NORMALIZATION", operator.inputs[:1])
    return True


def neutral(r: Rewriter, operator: Operator) -> bool:
    """x + 0, x - 0, x * 1, x / 1; the folders of tf.AddV2, tf.Sub, tf.Mul and tf.RealDiv."""
    value = r.constant(operator.inputs[1])
    if value is None or not _plain(operator):
        return False
    nothing = np.float32(0 if operator.type in ("ADD", "SUB") else 1)
    if not (value == nothing).all() or r.shape(operator.inputs[0]) != r.shape(operator.outputs[0]):
        return False
    return r.bypass(operator)


# --- places ---------------------------------------------------------------------------------------

MOVERS = ("DEPTH_TO_SPACE", "EXPAND_DIMS", "RESHAPE", "SQUEEZE", "TRANSPOSE")
MOST_DIMENSIONS = 4


def is_tail(tail: Shape, shape: Shape) -> bool:
    """Whether a shape ends with another."""
    return len(tail) <= len(shape) and shape[len(shape) - len(tail) :] == tail


def value_before_move(r: Rewriter, operator: Operator) -> bool:
    """An operator on each element trades places with one that moves them; ReorderElementwiseAndMove..."""
    move = r.producer(operator.inputs[0], *MOVERS)
    if move is None or not r.used_once(move):
        return False
    inner = Operator(operator.type, move.inputs[:1], [], operator.options, operator.options_type)
    _exchange(r, operator, move, inner)
    return True


def sum_before_reshape(r: Rewriter, operator: Operator) -> bool:
    """An operator with a constant trades places with a RESHAPE; MoveBinaryOpConstBeforeReshape."""
    move, value = r.producer(operator.inputs[0], "RESHAPE"), r.constant(operator.inputs[1])
    if move is None or value is None or not r.used_once(move) or r.graph.tensors[move.inputs[1]].data is None:
        return False
    before, after = r.shape(move.inputs[0]), r.shape(move.outputs[0])
    if not (is_tail(value.shape, before) and is_tail(value.shape, after)):
        return False
    if max(len(before), len(after)) > MOST_DIMENSIONS:
        return False
    inputs = [move.inputs[0], operator.inputs[1]]
    inner = Operator(operator.type, inputs, [], operator.options, operator.options_type)
    _exchange(r, operator, move, inner)
    return True


def _exchange(r: Rewriter, operator: Operator, move: Operator, inner: Operator) -> None:
    value = r.insert_before(operator, inner, like=move.inputs[0])
    r.absorb(operator, move, [value, *move.inputs[1:]])


def reshape_twice(r: Rewriter, operator: Operator) -> bool:
    """RESHAPE of a RESHAPE; and none at all where the shape stays as it is. RemoveAdjacentReshape."""
    before = r.producer(operator.inputs[0], "RESHAPE")
    if before is not None:
        r.become(operator, "RESHAPE", [before.inputs[0], operator.inputs[1]])
        return True
    shape = r.shape(operator.outputs[0])
    if r.shape(operator.inputs[0]) != shape or -1 in shape:
        return False
    return r.bypass(operator)


def transpose_not_at_all(r: Rewriter, operator: Operator) -> bool:
    """A TRANSPOSE that leaves the dimensions in their order; the folder of tf.Transpose."""
    order = r.graph.tensors[operator.inputs[1]].data
    if order is None or order.tolist() != list(range(order.size)):
        return False
    return r.bypass(operator)


def transpose_twice(r: Rewriter, operator: Operator) -> bool:
    """TRANSPOSE of a TRANSPOSE; FoldDoubleTranspose."""
    before = r.producer(operator.inputs[0], "TRANSPOSE")
    if before is None or not r.used_once(before):
        return False
    first, second = (r.graph.tensors[op.inputs[1]].data for op in (before, operator))
    if first is None or second is None:
        return False
    name = r.graph.tensors[operator.outputs[0]].name
    both = r.add_constant(first[second].astype(np.int32), f"{name}/perm")
    r.become(operator, "TRANSPOSE", [before.inputs[0], both])
    return True


HARD_SWISH: list[Pattern] = [product_is_hard_swish]
NORMS: Patterns = {
    "MUL": [quotient_is_norm],
    "DIV": [quotient_by_root, quotient_is_norm, quotient_is_product],
}
ACTIVATIONS: Patterns = {
    "ADD": [sum_is_prelu],
    "MAXIMUM": [maximum_is_relu, clip_is_relu1, maximum_is_leaky],
    "MINIMUM": [minimum_is_relu6, clip_is_relu1],
    "RELU": [relu_is_relu6, relu_of_relu],
    "SQUARE": [square_is_difference],
}
_VALUES = ("EXP", "FLOOR", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_N1_TO_1", "SQRT", "SQUARE", "TANH")
MOVES: Patterns = {
    **{name: [value_before_move] for name in _VALUES},
    **{name: [neutral, sum_before_reshape] for name in ("ADD", "SUB", "MUL", "DIV")},
    **{name: [sum_before_reshape] for name in ("MAXIMUM", "MINIMUM")},
    "BATCH_MATMUL": [transpose_into_product],
    "RESHAPE": [reshape_twice],
    "TRANSPOSE": [transpose_not_at_all, transpose_twice],
}
