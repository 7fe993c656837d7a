"""Integer arithmetic on two operands, comparisons and functions of one, against Python's integers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from quantized_operators import run_one as run

from ptq import fixed_point as fp
from ptq.errors import InputError, QuantizationError, ShapeError, UnsupportedError
from ptq.kernels.integer import elementwise, logic, operands, unary
from ptq.kernels.integer.common_scale import CommonScale
from ptq.kernels.integer.parameters import Rescale
from ptq.numerics import LITERT_REFERENCE, TFLITE_MICRO, XNNPACK
from ptq.oracle.problem import Given, Problem, Wanted, quantization
from ptq.spec.rules import Rules

F = np.float32
INT8 = (-128, 127)
EVERY = np.arange(-128, 128).astype(np.int8)


def rescaled(x, real, rounding="double"):
    return fp.multiply_by_quantized_multiplier_spec(x, *fp.quantize_multiplier_spec(real, rounding), rounding)


def clip(x, low=-128, high=127):
    return min(max(x, low), high)


@pytest.mark.parametrize("numerics", [LITERT_REFERENCE, XNNPACK], ids=lambda n: n.name)
@pytest.mark.parametrize(("kind", "sign"), [("ADD", 1), ("SUB", -1)])
def test_sums_over_all_pairs(kind, sign, numerics):
    (sa, za), (sb, zb), (so, zo) = (F(0.02), -128), (F(0.05), 127), (F(0.04), 3)
    found = run(kind, [(EVERY[:, None], sa, za), (EVERY[None], sb, zb)], (so, zo), numerics)
    twice = 2 * float(max(sa, sb))
    on_a = [rescaled((int(v) - za) << 20, float(sa) / twice, numerics.rounding) for v in EVERY]
    on_b = [rescaled((int(v) - zb) << 20, float(sb) / twice, numerics.rounding) for v in EVERY]
    back = twice / (2**20 * float(so))
    expected = [[clip(rescaled(a + sign * b, back, numerics.rounding) + zo) for b in on_b] for a in on_a]
    np.testing.assert_array_equal(found, expected)


def test_a_sum_is_right_to_half_a_step():
    x = np.array([[-100, 0, 20, 127]], np.int8)
    y = np.array([[1], [-128]], np.int8)
    found = run("ADD", [(x, 0.5, 10), (y, 0.25, -28)], (0.5, 0))
    # 0.5 * (x - 10) + 0.25 * (y + 28), over 0.5, half away from zero: 0.25 * 29 is 14.5 steps of 0.5
    assert found.tolist() == [[-96, 5, 25, 127], [-128, -60, -40, 67]]


def test_a_common_scale_and_a_kernel_work_on_bare_arrays():
    one = Rescale.by(0.5, LITERT_REFERENCE)
    common = CommonScale(20, one, one, Rescale.by(2.0**-19, LITERT_REFERENCE))
    a, b = np.array([100, -100, 3], np.int8), np.array([50, -100, 4], np.int8)
    assert elementwise.add_integer(a, b, (0, 0, 0), common, INT8).tolist() == [127, -128, 7]
    assert elementwise.sub_integer(a, b, (0, 0, 0), common, (0, 127)).tolist() == [50, 0, 0]
    assert elementwise.squared_difference_integer(b, a, (0, 0, 0), replace(
        common, left_shift=7, output=Rescale.by(2.0**-12, LITERT_REFERENCE)
    )).tolist() == [127, 0, 1]  # fmt: skip


@pytest.mark.parametrize("size", [3, 9, 2 * operands.WORTH_A_TABLE + 1])
def test_an_overshifted_difference_depends_on_its_place(size):
    """Of operands of one shape vector code has four elements at once, and leaves their signs (as LiteRT)."""
    reproduce = replace(LITERT_REFERENCE, upstream_defects="reproduce")
    x, y = np.full(size, 100, np.int8), np.full(size, -100, np.int8)
    output = (2.0**-27 * 1.01, 0)
    whole = size // 4 * 4
    operands_of_one_shape = [Given(v, quantization(1.0)) for v in (x, y)]
    one_shape = Problem("SUB", operands_of_one_shape, [Wanted("INT8", quantization(*output))])
    assert one_shape.run(reproduce)[0].tolist() == [1] * whole + [7] * (size - whole)
    assert run("SUB", [(x, 1.0, 0), (y[:1], 1.0, 0)], output, reproduce).tolist() == [7] * size
    if size < 10:
        assert one_shape.answer(Rules(reproduce))[0].tolist() == [1] * whole + [7] * (size - whole)


def test_products_over_all_pairs():
    sa, sb, so = F(0.03), F(0.7), F(1.3)
    found = run("MUL", [(EVERY[:, None], sa, 5), (EVERY[None], sb, -128)], (so, -4))
    real = float(F(F(sa * sb) / so))
    products = [[(int(a) - 5) * (int(b) + 128) for b in EVERY] for a in EVERY]
    assert found.tolist() == [[clip(rescaled(p, real) - 4) for p in row] for row in products]


def test_a_table_of_pairs_holds_what_the_kernel_computes():
    inputs = [(EVERY[:, None], 0.02, 3), (EVERY[None, ::5], 0.01, -7)]
    assert EVERY[::5].size * 256 >= operands.WORTH_A_TABLE
    looked_up = run("MUL", inputs, (0.005, 1))
    for row in (0, 100, 255):
        x, scale, zero_point = inputs[0]
        computed = run("MUL", [(x[row : row + 1], scale, zero_point), inputs[1]], (0.005, 1))
        assert looked_up[row].tolist() == computed[0].tolist()


def test_lite_and_micro_multiply_scales_in_another_precision():
    x = np.arange(-32768, 32768, dtype=np.int64).astype(np.int16)
    inputs = [(x, 0.030483491718769073, 0), (np.full_like(x, 181), 0.0071, 0)]
    lite, micro = (run("MUL", inputs, (0.05, 0), numerics) for numerics in (LITERT_REFERENCE, TFLITE_MICRO))
    sa, sb, so = F(0.030483491718769073), F(0.0071), F(0.05)
    assert lite.tolist() == [rescaled(int(v) * 181, float(F(F(sa * sb) / so))) for v in x]
    assert micro.tolist() == [rescaled(int(v) * 181, float(sa) * float(sb) / float(so)) for v in x]


@pytest.mark.parametrize(
    ("shift", "expected"), [(0, [-8, 7, 9]), (1, [-4, 4, 5]), (15, [0, 0, 0]), (16, [-1, 1, 1])]
)
def test_powers_of_two_shift(shift, expected):
    x, zeros = np.array([-8, 7, 9], np.int16), np.zeros(3, np.int16)
    assert run("ADD", [(x, 2.0**-shift, 0), (zeros, 1, 0)], (1, 0)).tolist() == expected
    assert elementwise.sub_powers_of_two(x, zeros, (1, 0), (-3, 4)).tolist() == [-3, 4, 4]


def test_powers_of_two_need_the_larger_scale_for_the_output():
    x = np.zeros(3, np.int16)
    with pytest.raises(QuantizationError, match="pot_scale_int16"):
        run("ADD", [(x, 0.5, 0), (x, 0.25, 0)], (1, 0))
    assert run("ADD", [(x + np.int16(4), 0.5, 0), (x, 0.25, 0)], (1, 0), TFLITE_MICRO).tolist() == [2, 2, 2]


def test_division():
    x, y = np.array([[-120, 7, 60, 127]], np.int8), np.array([[3], [-10]], np.int8)
    found = run("DIV", [(x, 1, 7), (y, 0.5, 0)], (0.25, 10))
    exact = [[Fraction(int(a) - 7, int(b)) * 8 for a in x[0]] for b in y[:, 0]]
    assert found.tolist() == [[clip(fp.round_half_away_spec(q) + 10) for q in row] for row in exact]
    with pytest.raises(InputError, match="zero point 3"):
        run("DIV", [(x, 1, 0), (y, 1, 3)], (1, 0))


def test_prelu_has_a_slope_for_each_channel():
    x = np.array([[-100, -50], [100, -1]], np.int8)
    alpha = np.array([64, -128], np.int8)
    found = run("PRELU", [(x, 0.5, 0), (alpha, 1 / 128, 0)], (0.5, 3))
    assert found.tolist() == [[-47, 53], [103, 4]]
    one = Rescale.by(1, LITERT_REFERENCE)
    with pytest.raises(ShapeError, match="slopes"):
        elementwise.prelu_integer(x[:1], x, (0, 0, 0), one, one)


@pytest.mark.parametrize("scale", [0.5, 1e-3])
def test_comparisons_are_made_in_steps_of_1_256(scale):
    y = np.full(256, 10, np.int8)
    real = [rescaled(int(v) << 8, float(F(scale))) for v in EVERY]
    for kind, relation in (("EQUAL", int.__eq__), ("LESS", int.__lt__), ("GREATER_EQUAL", int.__ge__)):
        found = run(kind, [(EVERY, scale, 0), (y, scale, 0)], (1, 0), output_type="BOOL")
        assert found.tolist() == [relation(v, real[10 + 128]) for v in real]
    equal = EVERY[run("EQUAL", [(EVERY, scale, 0), (y, scale, 0)], (1, 0), output_type="BOOL")]
    assert equal.tolist() == ([10] if scale == 0.5 else [10, 11, 12, 13])  # as LiteRT has it


def test_comparisons_on_bare_arrays():
    half = Rescale.by(0.5, LITERT_REFERENCE)
    a, b = np.array([4, 5, 6], np.uint8), np.array([5, 5, 5], np.uint8)
    assert logic.compare_integer(a, b, np.greater, (0, 0), (half, half)).tolist() == [False, False, True]


def test_abs_and_rsqrt():
    x = np.array([-128, -5, 3, 127], np.int8)
    assert run("ABS", [(x, 1, -5)], (2, -100)).tolist() == [-38, -100, -96, -34]
    x = np.array([0, 1, 4, 16, 100], np.int8)
    # 1 / sqrt(real) in steps of 1/64: infinite, 64, 32, 16, 6.4
    assert run("RSQRT", [(x, 1, 0)], (1 / 64, 0)).tolist() == [127, 64, 32, 16, 6]
    with pytest.raises(InputError, match="below the zero point"):
        run("RSQRT", [(x, 1, 1)], (1, 0))
    rescale = Rescale.by(0.5, LITERT_REFERENCE)
    assert unary.abs_integer(np.array([-128], np.int8), 0, rescale, -128).tolist() == [-64]


ON_TWO = ["ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE", "PRELU"]


@pytest.mark.parametrize("kind", ON_TWO)
@pytest.mark.parametrize(
    ("other", "scale", "zero_point", "error"),
    [
        (np.int8, 1, 128, QuantizationError), (np.int8, 0, 0, QuantizationError),
        (np.int16, 1, 0, UnsupportedError), (np.uint8, 1, 0, UnsupportedError),
    ],
)  # fmt: skip
def test_a_second_operand_that_does_not_fit_is_refused(kind, other, scale, zero_point, error):
    with pytest.raises(error, match=kind):
        run(kind, [(EVERY[:3], 1, 0), (np.ones(3, other), scale, zero_point)], (1, 0))


@pytest.mark.parametrize(
    ("kind", "dtype"), [("ABS", np.uint8), ("RSQRT", np.int16), ("RSQRT", np.uint8)]
)
def test_types_without_a_kernel_are_refused(kind, dtype):
    with pytest.raises(UnsupportedError, match="no kernel"):
        run(kind, [(np.ones(3, dtype), 1, 0)], (1, 0))


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL", "ABS"])
def test_16_bits_are_symmetric(kind):
    inputs = [(np.ones(3, np.int16), 1, 1)] * (1 if kind == "ABS" else 2)
    with pytest.raises(QuantizationError, match="expected 0"):
        run(kind, inputs, (1, 0))
