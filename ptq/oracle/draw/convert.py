"""Problems of QUANTIZE (of reals), DEQUANTIZE and CAST."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ptq.graph import Quantization, type_of
from ptq.kernels.convert import CASTS
from ptq.oracle.draw.core import Array, Draw, Random, integers, pick, reals, shape_of
from ptq.oracle.draw.plain import any_shape, floats, problem, values
from ptq.oracle.problem import Given, Problem, Wanted, quantization

INTEGERS = ("int8", "uint8", "int16")


# --- QUANTIZE -------------------------------------------------------------------------------------


def quantized(x: Array, name: str, by: Quantization, purpose: str = "") -> Problem:
    """Reals to integers."""
    return Problem("QUANTIZE", [Given(x)], [Wanted(name.upper(), by)], purpose=purpose)


def quantize_boundary() -> Iterable[Problem]:
    """Ties, quotients, bounds and channels."""
    halves = np.arange(-9, 10, 2, dtype=np.float32) / 8
    yield quantized(halves, "int8", quantization(0.25), "ties round away from zero")
    yield quantized(
        halves,
        "int8",
        quantization(0.25, 3),
        "the quotient is rounded before the zero point is added, ties included",
    )
    yield quantized(halves, "uint8", quantization(0.25, 128), "ties of uint8, around the zero point")
    inexact = (np.arange(20, dtype=np.float32) + np.float32(0.5)) * np.float32(0.1)
    yield quantized(
        inexact, "int8", quantization(0.1, -20), "a float32 division, not a product with 1 / scale"
    )
    thirds = (np.arange(-20, 20, dtype=np.float32) + np.float32(0.5)) * np.float32(0.3)
    yield quantized(thirds, "int16", quantization(0.3), "the same for another scale, in int16")
    yield quantized(
        floats(0.49999997, -0.49999997, 0.5, 1.4999999, 8388609.0), "int16", quantization(1.0),
        "0.49999997 is less than a half: no floor(x + 0.5) in float32",
    )  # fmt: skip
    ends = floats(-1e6, -129, -128.5, -128.4, 126.5, 127.4, 127.5, 1e6, 32767.4, 32768, -32768.5, 255.4, 256)
    for name in INTEGERS:
        zero = 128 if name == "uint8" else 0
        yield quantized(ends, name, quantization(1.0, zero), f"{name}: results saturate at both ends")
    yield quantized(
        ends, "int8", quantization(1.0, 127), "the sum with the zero point saturates, not the quotient"
    )
    odd = floats(np.nan, np.inf, -np.inf, 2.2e9, -2.2e9, 3e38, 2147483520.0, -2147483648.0, 0.0, -0.0, 1e-45)
    for zero in (-5, 0, 5):
        yield quantized(
            odd, "int8", quantization(1.0, zero),
            "what int32 does not hold becomes -2^31 before the zero point is added, which wraps",
        )  # fmt: skip
    matrix = np.arange(9, dtype=np.float32).reshape(3, 3) - 4
    scales, zeros = [0.5, 1.0, 2.0], [-10, 0, 10]
    for axis in (0, 1):
        by = quantization(scales, zeros, axis)
        yield quantized(matrix, "int8", by, f"scales and zero points of channels along dimension {axis}")


def _by(rng: Random, shape: tuple[int, ...], name: str, whole: bool = False) -> Quantization:
    """A scale for the tensor, or (unless `whole`) one for each channel of some dimension."""
    limits, axis, count = np.iinfo(name), 0, 1
    if shape and not whole and rng.random() < 0.4:
        axis = int(rng.integers(len(shape)))
        count = shape[axis] or 1
    scale = np.exp(rng.uniform(-20, 5, count)) if rng.random() < 0.6 else np.exp2(rng.integers(-20, 5, count))
    zero = rng.integers(limits.min, limits.max + 1, count)
    return quantization(scale, zero, axis)


def quantize_random(rng: Random) -> Problem:
    """Any reals, or multiples of half a scale, so that every second quotient is a tie."""
    shape, name = shape_of(rng, int(rng.integers(0, 5)), 5), pick(rng, INTEGERS)  # (LiteRT crashes on none)
    by = _by(rng, shape, name)
    x = reals(rng, shape, odd=0.5)
    if rng.random() < 0.5:
        sizes = [-1 if axis == by.quantized_dimension and by.per_channel else 1 for axis in range(len(shape))]
        halves = rng.integers(-600, 600, shape) * by.scale.reshape(sizes).astype(np.float64) / 2
        x = np.asarray(halves).astype(np.float32).reshape(shape)
    return quantized(x, name, by)


# --- DEQUANTIZE -----------------------------------------------------------------------------------


def dequantized(q: Array, by: Quantization | None, purpose: str = "") -> Problem:
    """Integers to reals."""
    return Problem("DEQUANTIZE", [Given(q, by)], [Wanted()], purpose=purpose)


def dequantize_boundary() -> Iterable[Problem]:
    """Zero points, channels, and products that round."""
    for name, zero in (("int8", -128), ("int8", 127), ("uint8", 3), ("int16", 0)):
        limits = np.iinfo(name)
        ends = np.array([limits.min, limits.min + 1, 0, 1, 77, limits.max], name)
        yield dequantized(
            ends,
            quantization(0.1, zero),
            f"{name}: q - {zero} needs more bits than q has, and the product rounds once",
        )
    yield dequantized(
        np.array([-128, 1, 127], np.int8), quantization(3e38, 0), "a product that overflows is infinite"
    )
    yield dequantized(np.array([-128, 1, 3], np.int8), quantization(1e-45, 0), "subnormal products")
    matrix = np.arange(9, dtype=np.int8).reshape(3, 3) - 4
    for axis in (0, 1):
        by = quantization([0.5, 1.0, 2.0], [-10, 0, 10], axis)
        yield dequantized(matrix, by, f"scales and zero points of channels along dimension {axis}")
    halves = np.array([0.1, -0.0, 6e-8, 65504, np.inf, -np.inf, np.nan], np.float16)
    yield dequantized(halves, None, "float16 is widened, its subnormals included")


def dequantize_random(rng: Random) -> Problem:
    """Any integers and scales."""
    shape, name = any_shape(rng, 5), pick(rng, (*INTEGERS, "float16"))
    if name == "float16":
        return dequantized(values(rng, shape, name), None)
    # (LiteRT has no kernel for int16 with a scale for each channel)
    return dequantized(integers(rng, shape, name), _by(rng, shape, name, whole=name == "int16"))


# --- CAST -----------------------------------------------------------------------------------------


def casts(x: Array, name: str, purpose: str = "") -> Problem:
    """One type to another; the options say the same."""
    kinds = {"in_data_type": type_of(x.dtype), "out_data_type": type_of(name)}
    return problem("CAST", [x], name, purpose, **kinds)


def cast_boundary() -> Iterable[Problem]:
    """Fractions, bounds, NaN, wrapping, and the last bits of large integers."""
    fractions = floats(0.5, 1.5, 2.5, -0.5, -1.5, 0.99999994, -1.9999999, 3.0)
    bounds = floats(127.5, 128, -128.9, -129, 255.9, 256, 32768, -32769, 2147483520, 2147483648, -2147483648, 
                    9.3e18, -9.3e18, np.inf, -np.inf, np.nan, 1e-45)  # fmt: skip
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"):
        yield casts(fractions, name, f"float32 to {name}: the fraction is dropped, nothing is rounded")
        yield casts(bounds, name, f"float32 to {name}: saturates at both ends; NaN becomes the largest")
    yield casts(floats(0.0, -0.0, 1e-45, np.nan, 0.5, -1), "bool", "only zeros are false")
    wide = np.array([300, -300, 32768, -32769, 2**31 - 1, -(2**31), 128, -1], np.int32)
    for name in ("int8", "uint8", "int16", "uint32", "bool"):
        yield casts(wide, name, f"int32 to {name}: the low bits stay, nothing saturates")
    # 2^24 + 1, and a number that rounds otherwise by way of a double
    large = np.array(
        [2**24 + 1, 2**24 + 3, 2**53 + 1, 2**60 + 2**36 + 1, -(2**60) - 2**36 - 1, 2**63 - 1], np.int64
    )
    for name in ("float32", "float64", "float16"):
        yield casts(large, name, f"int64 to {name}: rounded to nearest, ties to even, float32 at once")
    halves = np.array(
        [65519.99, 65520, 65504, 1e-8, 3e-8, 2049, 2051, 1 + 2**-11 + 2**-40, np.nan], np.float64
    )
    yield casts(halves, "float16", "float64 to float16 goes through float32, which rounds twice")
    yield casts(halves, "float32", "float64 to float32")
    yield casts(np.array([1.5, -0.0, np.inf, np.nan], np.float16), "int32", "float16 to int32")
    yield casts(np.array([False, True]), "float32", "bool to float32: 0 and 1")
    turned = np.array([1.5 + 2j, -3 - 1j, 1j], np.complex64)
    yield casts(turned, "int32", "a complex number loses its imaginary part")
    yield casts(turned, "bool", "only the real part counts for bool")
    yield casts(floats(1.5, -2), "complex64", "a real number has the imaginary part 0")


def _limits(rng: Random, shape: tuple[int, ...], name: str) -> Array:
    """Reals around the limits of the integer types, and of all sizes."""
    x = np.exp2(rng.uniform(-30, 70, shape)) * rng.choice([-1, 1], shape)
    if rng.random() < 0.5:
        x = np.exp2(rng.choice([7, 8, 15, 16, 31, 32, 63], shape)) * rng.choice([-1, 1], shape)
        x += rng.integers(-3, 4, shape) / 2
    odd = rng.choice([np.nan, np.inf, -np.inf, 0, -0.0, 1e-40, 65519.99, 65520], shape)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.where(rng.random(shape) < 0.1, odd, x)).astype(name)


def cast_random(rng: Random) -> Problem:
    """From any type to any."""
    shape, source, wanted = any_shape(rng), pick(rng, CASTS), pick(rng, CASTS)
    kind = np.dtype(source).kind
    if kind == "c":
        x = np.empty(shape, source)
        x.real, x.imag = _limits(rng, shape, "float32"), _limits(rng, shape, "float32")
    else:
        x = _limits(rng, shape, source) if kind == "f" else values(rng, shape, source)
    return casts(x, wanted)


ANY = {
    "QUANTIZE": Draw(quantize_boundary, quantize_random),
    "DEQUANTIZE": Draw(dequantize_boundary, dequantize_random),
    "CAST": Draw(cast_boundary, cast_random),
}
