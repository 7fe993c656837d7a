"""SVDF, one element at a time: filters over the inputs, and filters over what those gave before.

feature[b, f] = sum_i weights_feature[f, i] * x[b, i]                                           (Q29)
state[b, f]   = (state[b, f] without its oldest value, feature[b, f])
output[b, u]  = activation(bias[u] + sum_r sum_m weights_time[f, m] * state[b, f, m]),   f = u * rank + r
"""

from __future__ import annotations

from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Question
from ptq.spec.recurrent import Activations, add_product
from ptq.spec.registry import Element
from ptq.spec.rules import Rules

X, FEATURE, TIME, BIAS, STATE = range(5)


def _feature(rules: Rules, question: Question, row: int, filter: int) -> float:
    """The newest value of a filter."""
    x, weights = question.input(X), question.input(FEATURE)
    inner, hybrid = x.shape[1], weights.type == "INT8"
    rows = [x.values[b * inner : (b + 1) * inner] for b in range(x.shape[0])]
    skipped = hybrid and rules.adds_nothing(rows[row], rows)
    # quantize input
    quantized = None
    if hybrid:
        symmetric = not question.options["asymmetric_quantize_inputs"]
        quantized = rules.quantize_row(rows[row], symmetric, row)
    # accumulate, rescale
    met = Activations(rows[row], quantized, skipped)
    value = add_product(rules, 0.0, met, weights, weights.scale[0] if hybrid else 1.0, filter)
    return rules.write("remember", "feature", value)


def _before(question: Question, row: int, filter: int) -> list[float]:
    """The state of a filter, the oldest value first."""
    filters, memory = question.input(TIME).shape
    start = (row * filters + filter) * memory
    return list(question.input(STATE).values[start : start + memory])


def _remembered(rules: Rules, question: Question, row: int, filter: int) -> list[float]:
    """The new state of a filter, the oldest value first."""
    return rules.shift_memory(_before(question, row, filter), _feature(rules, question, row, filter))


def svdf(rules: Rules, question: Question, output: int, index: Index) -> Number:
    """An output, or a value of the new state.

    Source: `tflite/kernels/internal/reference/svdf.h`, EvalFloatSVDF, EvalHybridSVDF.
    """
    time, bias = question.input(TIME), question.optional(BIAS)
    memory, rank = time.shape[1], int(question.options["rank"])
    row, place = index
    if output >= len(question.outputs):
        filter, m = divmod(place, memory)
        return rules.write("output", "output", _remembered(rules, question, row, filter)[m])
    values = []
    for r in range(rank):
        filter = rules.filter_of_unit(place, r, rank, time.shape[0])
        after = _remembered(rules, question, row, filter)
        state = rules.memory_shown(_before(question, row, filter), after)
        weights = [rules.time_weight(time.at(filter, m), time.scale) for m in range(memory)]
        values.append(rules.add_in_lanes(0.0, list(zip(weights, state, strict=True))))
    hybrid = question.input(FEATURE).type == "INT8"
    # accumulate, add bias
    total = rules.add_filters(values, None if bias is None else float(bias.values[place]), hybrid)
    # clamp
    return rules.activate_filter(f32(total), question.options["fused_activation_function"], hybrid)


FLOAT: dict[str, Element] = {"SVDF": svdf}
HYBRID = FLOAT
