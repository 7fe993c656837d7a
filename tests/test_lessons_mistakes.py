"""What people get wrong in lessons 0 to 5 does not pass, and the verdict names a case in which it shows."""

import math

import numpy as np
import pytest

from ptq.lessons import (
    announcement,
    convolution_and_per_channel,
    exact_integer_matmul,
    numbers_and_scales,
    one_dense_layer,
    rounding_and_fixed_point,
)
from ptq.lessons.exercise import round_half_away as away

F = np.float32


def bytes_from_1025(tensors):
    return sum(
        math.prod(s) + 12 * s[0] if kind == "weights" and math.prod(s) > 1024 else 4 * math.prod(s)
        for kind, s in tensors
    )


def rounded_to_even(w):
    scale = max(abs(x) for x in w) / 127
    return F(scale), [round(x / scale) for x in w]


def changed_if_gained_or_lost(before, after, labels):
    gained = int(((after == labels) & (before != labels)).sum())
    lost = int(((after != labels) & (before == labels)).sum())
    return gained, lost, gained + lost


def widened_to_zero_above_only(low, high):
    scale = (max(high, 0.0) - low) / 255
    return scale, away(-128 - low / scale)


def ties_up_twice(acc, multiplier, shift):
    high = ((acc << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    return (high + ((1 << max(-shift, 0)) >> 1)) >> max(-shift, 0)


def multiplier_cut_off(m):
    f, shift = math.frexp(m)
    return int(f * 2**31), shift


def no_constant_term(x, w, z_x, z_w):
    x, w = x.astype(int), w.astype(int)
    return x @ w.T - z_x * w.sum(axis=1) - z_w * x.sum(axis=1)[:, None]


def products_of_int8(x, w, z_x, z_w):
    return x @ w.T - z_x * w.sum(axis=1) - z_w * x.sum(axis=1)[:, None] + x.shape[1] * z_x * z_w


def bias_divided(bias, scale_x, scale_w):
    return away(float(bias / (scale_x * scale_w)))


def bias_to_even(bias, scale_x, scale_w):
    return round(float(bias * (F(1) / (scale_x * scale_w))))


def relu6_beyond_int8(activation, scale, zero_point):
    lowest = -128 if activation == "NONE" else zero_point
    return lowest, zero_point + away(6 / scale) if activation == "RELU6" else 127


def difference_in_int8(q, w, bias, z_x, m, z_y, lowest, highest):
    acc = int((q - np.int8(z_x)).astype(int) @ w.astype(int)) + bias
    return min(max(away(acc * m) + z_y, lowest), highest)


def negative_padding(size, kernel, stride, dilation):
    out = -(-size // stride)
    total = (out - 1) * stride + (kernel - 1) * dilation + 1 - size
    return out, total // 2, total - total // 2


def channels_in_turn(q, w, z, y, x, o, multiplier):
    window = q[y : y + w.shape[0], x : x + w.shape[1], o % q.shape[2]].astype(int) - z
    return int((window * w[:, :, o]).sum())


def erased_ties(largest):
    step = largest.max() / 127
    return sum(round(x / step) == 0 for x in largest)


MISTAKES = [  # the lesson, the exercise, the mistake, the first case in which it shows
    (announcement, 1, bytes_from_1025, 4),
    (announcement, 2, rounded_to_even, 4),
    (announcement, 3, changed_if_gained_or_lost, 3),
    (numbers_and_scales, 1, lambda q, scale, zero_point: (q.astype(int) - zero_point) * scale, 1),
    (numbers_and_scales, 2, lambda r, s, z: min(max(round(r / s) + z, -128), 127), 7),
    (numbers_and_scales, 2, lambda r, s, z: min(max(away(r / s + z), -128), 127), 8),
    (numbers_and_scales, 3, widened_to_zero_above_only, 5),
    (numbers_and_scales, 4, lambda q, z: ((q.astype(int) + 128).astype(np.uint8), z), 1),
    (rounding_and_fixed_point, 1, away, 8),
    (rounding_and_fixed_point, 2, lambda x, n: round(x / 2**n), 1),
    (rounding_and_fixed_point, 2, lambda x, n: (x + ((1 << n) >> 1)) >> n, 2),
    (rounding_and_fixed_point, 3, multiplier_cut_off, 2),
    (rounding_and_fixed_point, 4, ties_up_twice, 2),
    (exact_integer_matmul, 1, no_constant_term, 2),
    (exact_integer_matmul, 1, products_of_int8, 3),
    (exact_integer_matmul, 2, lambda w, bias, z_x: bias + z_x * w.sum(axis=1), 1),
    (exact_integer_matmul, 3, lambda bits, x, w: 2 ** (bits - 1) // (x * w), 6),
    (exact_integer_matmul, 4, lambda total, bits: int(np.array(total).astype(np.int8)), 4),
    (exact_integer_matmul, 5, lambda w, largest: bool(largest * np.abs(w).sum(axis=1).max() <= 2**24), 6),
    (one_dense_layer, 1, lambda x, w, y: float(x * w) / float(y), 2),
    (one_dense_layer, 2, bias_divided, 7),
    (one_dense_layer, 2, bias_to_even, 6),
    (one_dense_layer, 3, relu6_beyond_int8, 8),
    (one_dense_layer, 4, difference_in_int8, 2),
    (convolution_and_per_channel, 1, negative_padding, 8),
    (convolution_and_per_channel, 3, lambda kind, w: np.abs(w).max(axis=(0, 1, 2)) / F(127), 1),
    (convolution_and_per_channel, 4, channels_in_turn, 3),
    (convolution_and_per_channel, 5, erased_ties, 1),
]


@pytest.mark.parametrize(("module", "number", "mistake", "case"), MISTAKES)
def test_a_mistake_is_found_where_it_shows(module, number, mistake, case):
    verdict = module.lesson.verdict(number, mistake)
    assert not verdict.passed
    assert f"\n    case {case}: {module.lesson.exercises[number - 1].name}(" in str(verdict)
