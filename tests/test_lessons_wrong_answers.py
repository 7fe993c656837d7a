"""Answers that look right and are not: the cases of an exercise must tell them apart."""

import pytest

from ptq.lessons import dynamic_range, operators_without_weights, the_lstm

WRONG = {
    "the zero point is added before rounding": (
        operators_without_weights, 3, """
def table(f, s_x, z_x, s_y, z_y):
    reals = [s_x * (q - z_x) for q in range(-128, 128)]
    return [min(max(round_half_away(f(r) / s_y + z_y), -128), 127) for r in reals]
"""),
    "divided by the scale": (
        dynamic_range, 1, """
def symmetric_row(x):
    scale = np.abs(x).max() / np.float32(127)
    return scale, [int(math.copysign(math.floor(abs(float(y)) + 0.5), y)) for y in x / scale]
"""),
    "always the low end": (
        dynamic_range, 2, """
def zero_point(low, high):
    ideal = -128 - low / ((high - low) / 255)
    return int(math.copysign(math.floor(abs(ideal) + 0.5), ideal))
"""),
    "always the high end": (
        dynamic_range, 2, """
def zero_point(low, high):
    ideal = 127 - high / ((high - low) / 255)
    return int(math.copysign(math.floor(abs(ideal) + 0.5), ideal))
"""),
    "the bias is added last": (
        the_lstm, 3, """
def gate(bias, acc_x, scale_x, scale_w, acc_h, scale_h, scale_r):
    return np.float32(acc_x) * (scale_x * scale_w) + np.float32(acc_h) * (scale_h * scale_r) + bias
"""),
    "scales one after the other": (
        the_lstm, 3, """
def gate(bias, acc_x, scale_x, scale_w, acc_h, scale_h, scale_r):
    return bias + np.float32(acc_x) * scale_x * scale_w + np.float32(acc_h) * scale_h * scale_r
"""),
    "ties to even": (
        the_lstm, 5, """
def integer_cell(i, f, g, c, n):
    return min(max(round(f * c / 2**15) + round(i * g / 2 ** (30 + n)), -32768), 32767)
"""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_plausible_wrong_answer_fails_in_some_cases_alone(name):
    module, number, source = WRONG[name]
    verdict = module.lesson.verdict(number, module.lesson.exercises[number - 1].function(source))
    assert 0 < verdict.right < verdict.total
