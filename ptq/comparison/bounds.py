"""Do two models mean the same operator, and how far may rounding take its float results apart.

Constants agree if they differ by half a step of each at most: then the models mean the same operator.

Float sums. In any order, a sum of K rounded terms is off by at most K u sum|terms| / (1 - K u), u = 2^-24.
Two such sums of products and a bias differ by at most

    K 2^-23 (sum_k |x_k w_k| + |b|)

K counts the products and the bias. (Times 1 + K 2^-21, which covers the denominator and the rounding of the
bound itself.)

Hybrid kernels round each input at run time, to a step s of at most max|x| / 127, and are off by less than it.
With inputs and constants that differ by dx, dw and db, the results differ by at most the above and

    sum_k |x_k dw_k| + sum_k |dx_k w_k| + |db| + h sum_k s |w_k|

where h counts which of the two kernels are hybrid. An activation that is fused changes neither bound.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ptq.comparison.alone import run_float, step_of
from ptq.comparison.trace import Trace, reals_of
from ptq.graph import ABSENT, Array, Graph
from ptq.kernels import arithmetic
from ptq.terminal import LONGEST_NAME, middle_cut

LINEAR = {
    "CONV_2D": (0, 1, 2), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3), "BATCH_MATMUL": (0, 1, 2),
}  # fmt: skip
"""Where the operators that add products have their data, weights and bias."""

FEWER_BITS = "quantized inputs or constants, in float arithmetic"
"""What explains the result of a float operator on numbers that were integers, or float16."""

FLOAT16 = 2.0**-11
"""A float16 is that close to the real that it was rounded from, relative to it."""


@dataclass(frozen=True)
class Constant:
    """An operand that does not depend on the inputs: its reals, and how far rounding may have moved each."""

    name: str
    reals: Array
    half_step: Array


def constants_of(trace: Trace, positions: Sequence[int], constant: Collection[int]) -> list[Constant]:
    """The constant operands of some operators, in their order, that are real numbers or integers."""
    found = []
    for position in positions:
        for index in trace.graph.operators[position].inputs:
            if index != ABSENT and index in constant and trace.values[index].dtype.kind in "fiub":
                tensor = trace.graph.tensors[index]
                reals = reals_of(trace.values[index], tensor).astype(np.float64)
                found.append(Constant(tensor.name, reals, _half_step(trace.graph, index, reals)))
    return found


def _half_step(graph: Graph, index: int, reals: Array) -> Array:
    """How far rounding may have moved a constant, also one that DEQUANTIZE computes."""
    tensor = graph.tensors[index]
    producer = graph.producer(index)
    if producer is not None and graph.operators[producer].type == "DEQUANTIZE":
        tensor = graph.tensors[graph.operators[producer].inputs[0]]
        if tensor.type == "FLOAT16":
            return np.asarray(FLOAT16 * np.abs(reals) + 2.0**-25)
    return np.broadcast_to(step_of(tensor, reals.ndim) / 2, reals.shape)


def disagreement(a: Sequence[Constant], b: Sequence[Constant]) -> str | None:
    """The first constant that differs by more than half a step of each; None if all agree."""
    if len(a) != len(b):
        return f"{len(b)} constants, {len(a)} in a"
    for x, y in zip(a, b, strict=True):
        name = middle_cut(y.name, LONGEST_NAME)
        if x.reals.shape != y.reals.shape:
            return f"'{name}' has shape {y.reals.shape}, {x.reals.shape} in a"
        allowed = x.half_step + y.half_step
        # the reals were rounded to float32 on their way here, but for those that are no integers' reals
        allowed = allowed + np.where(allowed > 0, 2.0**-22 * np.maximum(np.abs(x.reals), np.abs(y.reals)), 0)
        apart = np.abs(x.reals - y.reals)
        if np.any(~(apart <= allowed)):
            return f"'{name}' differs from a's by up to {float(apart.max()):.3g}, more than half a step"
    return None


@dataclass(frozen=True)
class Bound:
    """The largest difference that rounding explains, element by element; what it is made of; K."""

    largest: Array
    rule: str
    terms: int


def float_bound(a: Trace, position_a: int, b: Trace, position_b: int) -> Bound | None:
    """How far the float results of two operators may be apart on b's inputs; None where none is derived.

    Only for the operators in LINEAR, on floats, with operands of one shape. b: the operator run by itself.
    """
    first, second = a.graph.operators[position_a], b.graph.operators[position_b]
    kinds = [arithmetic_of(a, position_a), arithmetic_of(b, position_b)]
    if first.type != second.type or second.type not in LINEAR or not {*kinds} <= {"float", "hybrid"}:
        return None
    x_a, x_b = (_operand(t, p, LINEAR[second.type][0]) for t, p in ((a, position_a), (b, position_b)))
    weights = [_operand(t, p, LINEAR[second.type][1]) for t, p in ((a, position_a), (b, position_b))]
    bias = [_operand(t, p, LINEAR[second.type][2]) for t, p in ((a, position_a), (b, position_b))]
    w_a, w_b = weights
    if x_a is None or x_b is None or w_a is None or w_b is None:
        return None
    if x_a.shape != x_b.shape or w_a.shape != w_b.shape:
        return None
    b_a, b_b = (np.zeros(1, np.float32) if x is None else x for x in bias)
    x, w = np.maximum(np.abs(x_a), np.abs(x_b)), np.maximum(np.abs(w_a), np.abs(w_b))
    terms = _terms(second.type, w_b) + 1
    sums = _linear(b, position_b, x, w, np.maximum(abs(b_a), abs(b_b)))
    moved = _linear(b, position_b, x, np.abs(w_a - w_b), np.abs(b_a - b_b))
    hybrid = kinds.count("hybrid")
    step = np.abs(x_a - x_b) + np.float32(hybrid) * x.max(initial=0) / 127
    inputs = _linear(b, position_b, step, w, np.zeros_like(b_a))
    if sums is None or moved is None or inputs is None:
        return None
    bound = (terms * 2.0**-23 * sums + moved + inputs) * (1 + terms * 2.0**-21)
    return Bound(bound, _rule(hybrid, bool(moved.any() or inputs.any())), terms)


def _rule(hybrid: int, moved: bool) -> str:
    if hybrid:
        return "int8 weights, and inputs rounded to int8 at run time (hybrid)"
    return FEWER_BITS if moved else "float sums within K x 2^-23 (sum|x w| + |b|)"


def arithmetic_of(trace: Trace, position: int) -> str:
    """Which arithmetic an operator computes in: "float", "hybrid", "integer" or "any"."""
    operator = trace.graph.operators[position]
    return arithmetic(operator, [trace.graph.tensors[i] if i != ABSENT else None for i in operator.inputs])


def _operand(trace: Trace, position: int, place: int) -> Array | None:
    operator, read = trace.graph.operators[position], trace.read[position]
    if place >= len(read) or (value := read[place]) is None:
        return None
    return reals_of(value, trace.graph.tensors[operator.inputs[place]])


def _terms(kind: str, weights: Array) -> int:
    """How many products make an output."""
    if kind == "DEPTHWISE_CONV_2D":
        return int(math.prod(weights.shape[1:3]))
    if kind == "FULLY_CONNECTED":
        return int(weights.shape[-1])
    if kind == "BATCH_MATMUL":
        return int(max(weights.shape[-2:]))
    return int(math.prod(weights.shape[1:]))


def _linear(trace: Trace, position: int, data: Array, weights: Array, bias: Array) -> Array | None:
    """The operator on other data, weights and bias, without its activation, in float64."""
    operator = trace.graph.operators[position]
    at_data, at_weights, at_bias = LINEAR[operator.type]
    values = list(trace.read[position])
    values[at_data], values[at_weights] = data, weights
    if at_bias < len(values) and values[at_bias] is not None:
        values[at_bias] = bias.astype(np.float32)
    options = {**operator.options, "fused_activation_function": "NONE"}
    results = run_float(trace, position, values, options)
    return None if results is None else results[0].astype(np.float64)
