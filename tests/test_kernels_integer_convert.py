"""QUANTIZE of integers and resized integer images, against loops over Python's integers and by hand."""

from dataclasses import replace

import numpy as np
import pytest

import ptq
from ptq.build import Builder
from ptq.errors import PtqError, ShapeError, UnsupportedError
from ptq.fixed_point import (
    multiply_by_quantized_multiplier_spec,
    quantize_multiplier_spec,
    rounding_divide_by_pot_spec,
    wrap_spec,
)
from ptq.graph import Operator, Quantization, Tensor
from ptq.kernels import arithmetic
from ptq.kernels.integer.convert import PAIRS, requantize_integer
from ptq.kernels.integer.parameters import Rescale
from ptq.kernels.integer.resize import resize_bilinear_integer
from ptq.kernels.resize import resize_bilinear_uint8

F = np.float32


def quantization(scale, zero_point=0):
    return Quantization(np.array([scale], F), np.array([zero_point], np.int64))


@pytest.mark.parametrize(("read", "written"), [(r, w) for r, several in PAIRS.items() for w in several])
@pytest.mark.parametrize("real", [1.0, 0.5, 3.7, 1e-3, 2.0**-31, 5e6])
@pytest.mark.parametrize("rounding", ["double", "single"])
def test_requantize_equals_a_loop(read, written, real, rounding):
    numerics = replace(ptq.LITERT_REFERENCE, rounding=rounding)
    limits, bounds = np.iinfo(read), np.iinfo(written)
    q = np.random.default_rng(0).integers(limits.min, limits.max, 60, read, endpoint=True)
    q[:3] = limits.min, limits.max, 0
    multiplier, shift = quantize_multiplier_spec(real, rounding)
    for read_zero, written_zero in ((0, 0), (limits.min, bounds.max), (limits.max, bounds.min)):
        found = requantize_integer(q, int(read_zero), int(written_zero), Rescale.by(real, numerics), written)
        expected = []
        for value in q.tolist():
            difference = wrap_spec(value - int(read_zero))
            scaled = multiply_by_quantized_multiplier_spec(difference, multiplier, shift, rounding)
            expected.append(min(max(wrap_spec(scaled + int(written_zero)), int(bounds.min)), int(bounds.max)))
        assert found.dtype == written and found.tolist() == expected


def test_the_same_reals_in_both_8_bit_types():
    q = np.arange(256, dtype=np.uint8)
    found = requantize_integer(q, 128, 0, Rescale.by(1.0, ptq.LITERT_REFERENCE), np.int8)
    assert found.tolist() == list(range(-128, 128))


def requantizing(read_type, written_type, read, written):
    b = Builder()
    x = b.input("x", (2,), read_type, read)
    return b.finish(b.op("QUANTIZE", [x], output_type=written_type, quantization=written))


def test_quantize_of_integers_is_integer_arithmetic_and_of_reals_is_not():
    operator = Operator("QUANTIZE", [0], [1])
    kinds = {
        kind: arithmetic(operator, [Tensor("x", (2,), kind, None, quantization(0.1))])
        for kind in ("FLOAT32", "INT8", "UINT8", "INT16", "INT32")
    }
    assert kinds == {"FLOAT32": "any", **dict.fromkeys(("INT8", "UINT8", "INT16", "INT32"), "integer")}
    graph = requantizing("INT8", "INT16", quantization(0.5, 3), quantization(0.25))
    assert ptq.Interpreter(graph=graph).run([np.array([-128, 4], np.int8)])[0].tolist() == [-262, 2]


@pytest.mark.parametrize(
    ("types", "read", "written", "match"),
    [
        (("INT16", "UINT8"), quantization(1), quantization(1), "int16 to UINT8 found"),
        (("INT8", "INT32"), quantization(1), quantization(1), "int8 to INT32 found"),
        (("INT16", "INT16"), quantization(1, 2), quantization(1), "expected 0 for int16"),
        (("INT8", "INT8"), None, quantization(1), "has no scale"),
    ],
)
def test_what_quantize_refuses(types, read, written, match):
    x = np.zeros(2, types[0].lower())
    with pytest.raises(PtqError, match=match):
        ptq.Interpreter(graph=requantizing(*types, read, written)).run([x])


# --- RESIZE_BILINEAR --------------------------------------------------------------------------------


def neighbours_spec(i, size, output, corners, half):
    scale = (1024 * size + output // 2) // output
    if corners and output > 1:
        scale = (1024 * (size - 1) + (output - 1) // 2) // (output - 1)
    place = i * scale + (scale // 2 - 512 if half else 0)
    lower = max(int(place / 1024), 0)
    return place - 1024 * lower, lower, min(int((place + 1023) / 1024), size - 1)


@pytest.mark.parametrize(("corners", "half"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_resize_equals_a_loop(dtype, corners, half):
    limits = np.iinfo(dtype)
    q = np.random.default_rng(1).integers(limits.min, limits.max, (2, 3, 5, 2), dtype, endpoint=True)
    for height, width in ((7, 4), (1, 1), (3, 5), (9, 15)):
        found = resize_bilinear_integer(q, height, width, corners, half)
        assert found.shape == (2, height, width, 2) and found.dtype == dtype
        for y in range(height):
            dy, y0, y1 = neighbours_spec(y, 3, height, corners, half)
            for x in range(width):
                dx, x0, x1 = neighbours_spec(x, 5, width, corners, half)
                for n in range(2):
                    pixel = {(r, c): int(q[n, r, c, 1]) for r in (y0, y1) for c in (x0, x1)}
                    total = pixel[y0, x0] * (1024 - dy) * (1024 - dx) + pixel[y1, x0] * dy * (1024 - dx)
                    total += pixel[y0, x1] * (1024 - dy) * dx + pixel[y1, x1] * dy * dx
                    assert found[n, y, x, 1] == rounding_divide_by_pot_spec(total, 20)


def test_the_middle_of_two_pixels():
    """Halves are rounded away from zero in int8, up in uint8."""
    q = np.array([[[[-3], [-6]]]], np.int8)
    assert resize_bilinear_integer(q, 1, 4).ravel().tolist() == [-3, -5, -6, -6]
    single = replace(ptq.LITERT_REFERENCE, rounding="single")
    assert resize_bilinear_integer(q, 1, 4, numerics=single).ravel().tolist() == [-3, -4, -6, -6]
    shifted = (q.astype(int) + 128).astype(np.uint8)
    assert resize_bilinear_uint8(shifted, 1, 4).ravel().tolist() == [125, 124, 122, 122]


def test_a_scale_that_leads_beyond_the_image():
    """1024 * 8 / 129 = 63.5 becomes 64, and pixel 128 * 64 / 1024 = 8 is the ninth of eight."""
    q = np.arange(8, dtype=np.int8).reshape(1, 1, 8, 1)
    assert resize_bilinear_integer(q, 1, 128).max() == 7
    with pytest.raises(UnsupportedError, match="beyond the last pixel"):
        resize_bilinear_integer(q, 1, 129)
    intended = replace(ptq.LITERT_REFERENCE, upstream_defects="intended")
    assert resize_bilinear_integer(q, 1, 129, numerics=intended).ravel()[-1] == 7


def test_what_resize_refuses():
    q = np.zeros((1, 2, 2, 1), np.int8)
    with pytest.raises(UnsupportedError, match="one of them at most"):
        resize_bilinear_integer(q, 2, 2, True, True)
    with pytest.raises(ShapeError, match="positive sizes"):
        resize_bilinear_integer(q, 0, 2)
