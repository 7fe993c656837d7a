"""SOFTMAX, LOG_SOFTMAX and tables on integers, against loops over Python's integers and by hand."""

from dataclasses import replace

import numpy as np
import pytest

import ptq
from ptq.errors import PtqError, QuantizationError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    calculate_input_radius,
    multiply_by_quantized_multiplier_spec,
    preprocess_softmax_scaling,
    quantize_multiplier_spec,
    round_half_away_spec,
    rounding_divide_by_pot_spec,
    saturate_spec,
    saturating_rounding_doubling_high_mul_spec,
)
from ptq.fixed_point_log import log_of_at_least_one_spec
from ptq.fixed_point_math import (
    exp_on_negative_values_spec,
    get_reciprocal_spec,
    logistic,
    logistic_spec,
    tanh,
    tanh_spec,
)
from ptq.graph import Operator, Quantization, Tensor, type_of
from ptq.kernels import find
from ptq.kernels.call import Call
from ptq.kernels.integer.parameters import Rescale
from ptq.kernels.integer.softmax import (
    Distances,
    log_softmax_integer,
    softmax_int16,
    softmax_integer,
)
from ptq.kernels.integer.tables import fixed_point_table, input_multiplier, logistic_int16, tanh_int16
from ptq.lookup_table import lut_lookup_int16_spec, sigmoid_table, softmax_tables

F = np.float32
PRODUCTS = [2.0**-26 * 1.01, 1e-4, 0.01, 0.1, 0.3, 1.0, 7.0, 40.0, 1e6]
"""Of beta and scale, from the least that there is to where only the largest element counts."""


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


def rows(dtype, seed=0):
    rng, limits = np.random.default_rng(seed), np.iinfo(dtype)
    q = rng.integers(limits.min, limits.max, (6, 9), dtype, endpoint=True)
    q[0], q[1, :2], q[2] = limits.min, (limits.max, limits.min), q[2] // 32
    return q


def run(kind, q, read, written, options=None, numerics=ptq.LITERT_REFERENCE, dtype=None):
    """The operator on one tensor, through the registry."""
    output = Tensor("y", q.shape, type_of(np.dtype(dtype or q.dtype)), None, written)
    tensors = [Tensor("q", q.shape, type_of(q.dtype), None, read)]
    call = Call(Operator(kind, [0], [1], options or {}), tensors, [q], [output], numerics)
    return find(call.operator, tensors)(call)[0]


# --- SOFTMAX ----------------------------------------------------------------------------------------


def differences_spec(row, product):
    """The scaled distances of a row from its largest element; None where they are out of reach."""
    multiplier, shift = preprocess_softmax_scaling(1.0, product)
    radius = calculate_input_radius(5, shift)
    differences = [int(v) - max(map(int, row)) for v in row]
    return [
        multiply_by_quantized_multiplier_spec(d, multiplier, shift) if d >= -radius else None
        for d in differences
    ]


def sum_spec(scaled):
    powers = [0 if a is None else exp_on_negative_values_spec(a, 5) for a in scaled]
    return powers, sum(rounding_divide_by_pot_spec(e, 12) for e in powers)


def softmax_spec(row, product, dtype):
    limits = np.iinfo(dtype)
    powers, total = sum_spec(differences_spec(row, product))
    reciprocal, over = get_reciprocal_spec(total, 12)
    result = []
    for power in powers:
        high = saturating_rounding_doubling_high_mul_spec(reciprocal, power)
        step = rounding_divide_by_pot_spec(high, over + 31 - limits.bits)
        result.append(min(step + int(limits.min), int(limits.max)))
    return result


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize(
    ("dtype", "output"), [(np.int8, np.int8), (np.uint8, np.uint8), (np.int8, np.int16), (np.uint8, np.int16)]
)
def test_softmax_equals_a_loop(dtype, output, product):
    q = rows(dtype)
    found = softmax_integer(q, Distances.prepare(1.0, product).exponentials, output)
    assert found.dtype == output
    assert found.tolist() == [softmax_spec(row, product, output) for row in q]


def test_probabilities_known_by_hand():
    exponentials = Distances.prepare(1.0, 0.1).exponentials
    assert softmax_integer(np.array([5], np.int8), exponentials).tolist() == [127]  # 1 is one step too many
    assert softmax_integer(np.zeros(2, np.int8), exponentials).tolist() == [0, 0]
    assert softmax_integer(np.zeros((1, 4), np.int8), exponentials, np.int16).tolist() == [[-16384] * 4]


def test_softmax_where_the_runtime_aborts():
    q, exponentials = np.zeros(512, np.int8), Distances.prepare(1.0, 0.1).exponentials
    assert set(softmax_integer(q[:511], exponentials).tolist()) == {-127}
    with pytest.raises(UnsupportedError, match="ends the process"):
        softmax_integer(q, exponentials)
    intended = replace(ptq.LITERT_REFERENCE, upstream_defects="intended")
    assert set(softmax_integer(q, exponentials, numerics=intended).tolist()) == {-128}
    assert set(softmax_integer(q, exponentials, np.int16).tolist()) == {-32768 + 128}


def softmax_int16_spec(row, multiplier, shift, exponential, reciprocal):
    largest = max(map(int, row))
    places = [multiply_by_quantized_multiplier_spec(int(v) - largest, multiplier, shift) for v in row]
    powers = [lut_lookup_int16_spec(saturate_spec(place + 32767, 16), exponential) for place in places]
    headroom = 32 - sum(powers).bit_length()
    mantissa = ((sum(powers) << (headroom - 1)) + (1 << 13)) >> 14
    inverse = lut_lookup_int16_spec(saturate_spec(mantissa - (1 << 15) - (1 << 16), 16), reciprocal)
    shift = 31 - headroom
    return [min(max((power * inverse + (1 << (shift - 1))) >> shift, 0), 32767) for power in powers]


@pytest.mark.parametrize("product", [1e-5, 1e-3, 0.02, 3.0])
def test_softmax_on_int16_equals_a_loop(product):
    q, tables = rows(np.int16), softmax_tables(np.exp)
    real = product * 6553.5
    found = softmax_int16(q, Rescale.by(real, ptq.LITERT_REFERENCE), *tables)
    lists = [table.tolist() for table in tables]
    assert found.tolist() == [softmax_int16_spec(row, *quantize_multiplier_spec(real), *lists) for row in q]


def log_softmax_spec(row, product, dtype):
    limits = np.iinfo(dtype)
    multiplier, shift = preprocess_softmax_scaling(1.0, product)
    scaled = differences_spec(row, product)
    logarithm = log_of_at_least_one_spec(sum_spec(scaled)[1])
    back = quantize_multiplier_spec(2.0 ** (31 - shift) / multiplier)
    lowest = multiply_by_quantized_multiplier_spec(logarithm - (1 << 31), *back)
    lowest = max(-calculate_input_radius(5, shift) - 1, lowest)
    result = []
    for value, a in zip(row, scaled, strict=True):
        if int(value) - max(map(int, row)) <= lowest:
            result.append(int(limits.min))
            continue
        step = rounding_divide_by_pot_spec(a - logarithm, 22) + limits.max
        result.append(min(max(step, int(limits.min)), int(limits.max)))
    return result


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_log_softmax_equals_a_loop(dtype, product):
    q, distances = rows(dtype), Distances.prepare(1.0, product)
    multiplier, shift = preprocess_softmax_scaling(1.0, product)
    lowest = Rescale.by(2.0 ** (31 - shift) / multiplier, ptq.LITERT_REFERENCE)
    found = log_softmax_integer(q, distances, lowest)
    assert found.tolist() == [log_softmax_spec(row, product, dtype) for row in q]


def test_log_probabilities_known_by_hand():
    """ln 1 = 0 is the highest integer, ln 1/2 = -0.693 lies 11.09 steps of 1/16 below."""
    read, written = quantization(0.1), quantization(1 / 16, 127)
    assert run("LOG_SOFTMAX", np.array([[3], [9]], np.int8), read, written).tolist() == [[127], [127]]
    assert run("LOG_SOFTMAX", np.zeros((1, 2), np.int8), read, written).tolist() == [[116, 116]]


# --- functions as tables ------------------------------------------------------------------------------


def fixed_point_spec(value, scale, zero_point, function, fraction_bits, lowest):
    multiplier, shift = quantize_multiplier_spec(float(F(scale)) * 2.0**27)
    x, radius = value - zero_point, calculate_input_radius(4, shift)
    if abs(x) >= radius:
        return -128 if x <= -radius else 127
    raw = function(multiply_by_quantized_multiplier_spec(x, multiplier, shift), 4)
    return min(max(rounding_divide_by_pot_spec(raw, 31 - fraction_bits) + lowest, -128), 127)


@pytest.mark.parametrize(("scale", "zero_point"), [(0.05, 3), (1e-3, -128), (2.0, 127), (8.0, 0), (40.0, 5)])
def test_micro_fills_its_tables_in_fixed_point(scale, zero_point):
    for twin, spec, bits, lowest in ((logistic, logistic_spec, 8, -128), (tanh, tanh_spec, 7, 0)):
        table = fixed_point_table(twin, bits, lowest, quantization(scale, zero_point))
        for value in range(-128, 128):
            assert table[value] == fixed_point_spec(value, scale, zero_point, spec, bits, lowest), value


def test_entries_of_the_sigmoid_table():
    """From internal/common.h."""
    table = sigmoid_table()
    assert table[:8].tolist() == [32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513]
    assert table[77:81].tolist() == [62990, 63090, 63186, 63279]
    assert table[-4:].tolist() == [65534, 65534, 65534, 65535]


def interpolation_spec(size, bits, saturated):
    place = size >> bits
    if place >= 255:
        return saturated
    low, high = (int(sigmoid_table()[place + d]) for d in (0, 1))
    return (low << bits) + (size & ((1 << bits) - 1)) * (high - low)


@pytest.mark.parametrize(("multiplier", "shift"), [(3, 0), (6, 0), (20000, 12), (17000, 31), (65000, 0)])
def test_int16_functions_equal_a_loop(multiplier, shift):
    q = np.concatenate([np.arange(-32768, 32768, 37), [-1, 0, 1, 32767]]).astype(np.int16)
    expected = [], []
    for value in q.tolist():
        x = (value * multiplier + ((1 << shift) >> 1)) >> shift
        result = interpolation_spec(abs(x), 9, 0x7FFF << 10)
        expected[0].append((result + 512 if x >= 0 else (1 << 25) - result + 511) >> 10)
        result = interpolation_spec(abs(x), 8, 0xFFFF << 8) - (1 << 23)
        expected[1].append((result + 128 if x >= 0 else -result + 127) >> 8)
    assert logistic_int16(q, multiplier, shift).tolist() == expected[0]
    assert tanh_int16(q, multiplier, shift).tolist() == expected[1]


def test_multipliers_of_int16_inputs():
    """2^-12 is exact, as is 2^-11 for TANH; others are a mantissa of 15 bits, cut off."""
    assert input_multiplier(2.0**-12, (0,)) == (3, 0)
    assert input_multiplier(2.0**-11, (0,)) == (24576, 12)
    assert input_multiplier(2.0**-11, (0, 1)) == (6, 0)
    assert input_multiplier(0.3, ()) == (29491, 3)  # 0.3 * 3 * 4096 * 8 = 29491.2
    with pytest.raises(QuantizationError, match="less than 16/3"):
        input_multiplier(6.0, ())


def test_eight_bit_logistic_is_rounded_to_the_nearest():
    """In float32: near 0 the error of 1 / (1 + e^-x) is far below a step of 1/256."""
    q = np.array([-20, -3, 0, 3, 20], np.int8)
    found = run("LOGISTIC", q, quantization(0.1), quantization(1 / 256, -128))
    expected = [round_half_away_spec(256 / (1 + np.exp(-0.1 * v))) - 128 for v in q.tolist()]
    assert found.tolist() == expected
    shifted = (q.astype(int) + 128).astype(np.uint8)
    found = run("LOGISTIC", shifted, quantization(0.1, 128), quantization(1 / 256, 0))
    assert found.tolist() == [v + 128 for v in expected]


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtype", "written", "match"),
    [
        ("SOFTMAX", np.int8, quantization(1 / 128, -128), "expected 0.00390625 and -128"),
        ("SOFTMAX", np.int8, quantization(1 / 256, 0), "zero point 0 found"),
        ("SOFTMAX", np.int16, quantization(2.0**-16), "expected 3.05"),
        ("LOG_SOFTMAX", np.int16, quantization(1 / 16, 127), "expected int8 or uint8"),
        ("LOGISTIC", np.int8, quantization(1 / 128, -128), "expected 0.00390625"),
        ("TANH", np.int16, quantization(2.0**-14), "expected 3.05"),
        ("ELU", np.uint8, quantization(1), "expected int8"),
        ("EXP", np.int16, quantization(1, 3), "zero point 3 found, expected 0"),
    ],
)
def test_what_a_kernel_does_not_write_is_refused(kind, dtype, written, match):
    with pytest.raises(PtqError, match=match):
        run(kind, np.zeros((1, 2), dtype), quantization(0.1), written, {"beta": 1.0})


def test_micro_writes_tanh_in_one_scale_only():
    q = np.zeros((1, 2), np.int8)
    assert run("TANH", q, quantization(0.1), quantization(1 / 100), numerics=ptq.LITERT_REFERENCE).any() == 0
    with pytest.raises(QuantizationError, match=r"expected 0\.0078125 and 0"):
        run("TANH", q, quantization(0.1), quantization(1 / 100), numerics=ptq.TFLITE_MICRO)


def test_scalars_and_scales_that_vanish_are_refused():
    with pytest.raises(ShapeError, match="at least one dimension"):
        softmax_integer(np.array(3, np.int8), Distances.prepare(1.0, 0.1).exponentials)
    with pytest.raises(QuantizationError, match="too small"):
        Distances.prepare(1.0, 2.0**-26)
    with pytest.raises(QuantizationError, match="expected at least"):
        fixed_point_table(lambda a, bits: a, 7, 0, quantization(2.0**-30))
