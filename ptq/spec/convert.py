"""QUANTIZE and DEQUANTIZE, between reals and the integers that stand for them; CAST, between types."""

from __future__ import annotations

from ptq.spec.numbers import Index, Number
from ptq.spec.question import Question
from ptq.spec.registry import Element
from ptq.spec.rules import Rules


def quantize_float(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """q = clamp(round(x / scale) + zero_point), ties away from zero.                                (Q2)

    Source: `tflite/kernels/internal/reference/quantize.h`, AffineQuantize and PerChannelQuantize.
    """
    output, x = question.outputs[0], question.input(0).at(*index)
    entry = rules.scale_entry(output, index)
    # rescale
    quotient = rules.real_steps(x, output.scale[entry])
    # clamp
    return rules.quantize_real(quotient, output.zero_point[entry], output)


def dequantize(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """x = scale * (q - zero_point); a float16 is widened.                                          (Q1)

    Source: `tflite/kernels/internal/reference/dequantize.h`, Dequantize and PerChannelDequantize.
    """
    input = question.input(0)
    q = input.at(*index)
    if input.type == "FLOAT16":
        return rules.write("rescale", "output", q, "float32 of {}", q)
    entry = rules.scale_entry(input, index)
    # subtract zero point
    offset = rules.input_without_zero_point(q, input.zero_point[entry])
    rules.write("subtract zero point", "offset", offset, "{} - {}", q, input.zero_point[entry])
    # rescale
    return rules.dequantized(offset, input.scale[entry])


def cast(rules: Rules, question: Question, _: int, index: Index) -> Number:
    """output = x as another type, without any scale.

    Real to integer drops the fraction and saturates; integer to integer keeps the low bits.
    Source: `tflite/kernels/cast.cc`, copyToTensor; `internal/quantization_util.h`, SafeCast.
    """
    x, wanted = question.input(0).at(*index), question.outputs[0].type
    value: Number = rules.cast(x, wanted)
    return rules.write("convert", "output", value, f"{{}} as {wanted}", x, source="tflite/kernels/cast.cc")


FLOAT: dict[str, Element] = {"QUANTIZE": quantize_float, "DEQUANTIZE": dequantize, "CAST": cast}
