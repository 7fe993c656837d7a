"""RELU and its kin, LEAKY_RELU, HARD_SWISH, ABS, and QUANTIZE of integers, one output at a time."""

from __future__ import annotations

from ptq.fixed_point import wrap_spec
from ptq.spec.numbers import Index, Number, f32
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules
from ptq.spec.rules.pointwise import GATE_SCALE, Half
from ptq.spec.rules.rescaling import Factor


def _centred(rules: Rules, question: Question, index: Index) -> tuple[int, int]:
    """The integer, and the same without its zero point."""
    x = question.input(0)
    q = int(x.at(*index))
    # subtract zero points
    centred = wrap_spec(int(rules.without_zero_point(q, x.only_zero_point)))
    return q, rules.write("subtract zero points", "centred", centred, "{} - {}", q, x.only_zero_point)


def _identity(rules: Rules, question: Question) -> Factor:
    """input_scale / output_scale."""
    x, output = question.input(0), question.outputs[0]
    factor: Factor = question.once(
        "identity", lambda: rules.ratio_factor([x.only_scale], [output.only_scale])
    )
    return factor


def relu_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(x - zx) + z), by input_scale / output_scale: RELU, RELU6 and RELU_N1_TO_1.

    RELU6 of tflite-micro knows the input's scale alone, and copies what lies between its bounds.
    Source: `tflite/kernels/internal/reference/reference_ops.h`, ReluX; tflite-micro,
    `micro/kernels/activations.h`, Relu6Quantized.
    """
    x, output = question.input(0), question.outputs[0]
    if question.operator == "RELU6" and rules.numerics.integer_kernels == "micro":
        return rules.clamp(int(x.at(*index)), *rules.activation_bounds("RELU6", x))
    factor = _identity(rules, question)
    _, centred = _centred(rules, question, index)
    # rescale
    scaled = rules.rescale(centred, factor)
    # clamp
    bounds = rules.activation_bounds(question.operator, rules.bounded_scale(x, output))
    return rules.finish(scaled, output.only_zero_point, bounds)


def leaky_relu_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(identity(x - zx) + z) if x >= zx else clamp(slope(x - zx) + z).

    identity is input_scale / output_scale, slope that times alpha.
    Source: `tflite/kernels/internal/reference/leaky_relu.h`, QuantizeLeakyRelu.
    """
    x, output = question.input(0), question.outputs[0]
    alpha = f32(question.options["alpha"])
    identity = _identity(rules, question)
    slope: Factor = question.once(
        "slope", lambda: rules.ratio_factor([x.only_scale, abs(alpha)], [output.only_scale], 1)
    )
    q, centred = _centred(rules, question, index)
    negative = rules.is_negative(q, x.only_zero_point)
    # rescale
    scaled = rules.rescale(rules.sloped(q, centred) if negative else centred, slope if negative else identity)
    if alpha < 0:
        scaled = rules.write("rescale", "turned", rules.turn(scaled) if negative else scaled, "with its sign")
    # clamp
    return rules.finish(scaled, output.only_zero_point, output.limits)


def hard_swish_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(x * relu6(x + 3) / 6 + z), all in 16 bits.

    Source: `tflite/kernels/internal/reference/hard_swish.h`, HardSwish.
    """
    x, output = question.input(0), question.outputs[0]
    factors: tuple[Half, Half] = question.once(
        "factors",
        lambda: (
            rules.half_factor(x.only_scale, output.only_scale, 0),
            rules.half_factor(x.only_scale, GATE_SCALE, 1),
        ),
    )
    _, centred = _centred(rules, question, index)
    # rescale, accumulate
    scaled = rules.hard_swish_of_integer(centred, *factors)
    # clamp
    return rules.finish(scaled, output.only_zero_point, output.limits)


def abs_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clamp(rescale(|x - zx|) + z), by input_scale / output_scale.

    Source: `tflite/kernels/elementwise.cc`, AbsEvalQuantized.
    """
    output = question.outputs[0]
    factor = _identity(rules, question)
    _, centred = _centred(rules, question, index)
    # accumulate
    size = rules.size_of(centred, question.input(0).type)
    # rescale
    scaled = rules.rescale(size, factor)
    # clamp
    return rules.finish(scaled, output.only_zero_point, output.limits)


def quantize_integer(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = clip(rescale(q - zx) + z), by input_scale / output_scale in double.                  (Q22)

    Source: `tflite/kernels/internal/reference/requantize.h`, Requantize.
    """
    x, output = question.input(0), question.outputs[0]

    def compute() -> Factor:
        real = x.only_scale / output.only_scale
        rules.write("prepare", "real_multiplier", real, "{} / {}", x.only_scale, output.only_scale, key=0)
        return rules.factor(real, key=0)

    factor: Factor = question.once("factor", compute)
    _, centred = _centred(rules, question, index)
    # rescale
    scaled = rules.requantize(centred, x, output, factor)
    # clamp
    return rules.finish(scaled, output.only_zero_point, output.limits)


INTEGER: dict[str, Element] = {
    "RELU": relu_integer,
    "RELU6": relu_integer,
    "RELU_N1_TO_1": relu_integer,
    "LEAKY_RELU": leaky_relu_integer,
    "HARD_SWISH": hard_swish_integer,
    "ABS": abs_integer,
    "QUANTIZE": quantize_integer,
}
