"""From one type to another: QUANTIZE, DEQUANTIZE and CAST."""

from __future__ import annotations

import math
import struct
from typing import Any

from ptq.spec.numbers import Index, divide, f32
from ptq.spec.question import LIMITS, Operand
from ptq.spec.rules.accumulating import Accumulating
from ptq.spec.rules.plain import wrapped

QUANTIZE = "tflite/kernels/internal/reference/quantize.h, AffineQuantize"
DEQUANTIZE = "tflite/kernels/internal/reference/dequantize.h, Dequantize"


class Converting(Accumulating):
    """The rules of operators that convert: with a scale, or from type to type."""

    def scale_entry(self, operand: Operand, index: Index) -> int:
        """Which of an operand's scales belongs to an element: by its place in the quantized dimension."""
        return index[operand.quantized_dimension] if len(operand.scale) > 1 else 0

    # --- QUANTIZE ---------------------------------------------------------------------------------

    def real_steps(self, x: float, scale: float) -> float:
        """x / scale: a float32 division."""
        quotient = f32(divide(x, scale))
        return self.write("rescale", "quotient", quotient, "{} / {}", x, scale, source=QUANTIZE)

    def quantize_real(self, quotient: float, zero_point: int, output: Operand) -> int:
        """clamp(round(quotient) + zero_point): rounded first, ties away from zero."""
        rounded = self.to_int32(quotient)
        self.write("rescale", "rounded", rounded, "round({}), ties away from zero", quotient)
        return self.finish(rounded, zero_point, self.type_limits(output))

    def to_int32(self, x: float) -> int:
        """round(x) in int32; -2^31 for NaN and whatever int32 does not hold, as x86 processors convert."""
        if not math.isfinite(x):
            return -(2**31)
        rounded = self.round_half_away(x)
        return rounded if abs(rounded) < 2**31 else -(2**31)

    # --- DEQUANTIZE -------------------------------------------------------------------------------

    def dequantized(self, offset: int | float, scale: float) -> float:
        """scale * (q - zero_point), rounded to float32 once."""
        return self.write(
            "rescale", "output", f32(offset * scale), "{} * {}", offset, scale, source=DEQUANTIZE
        )

    # --- CAST -------------------------------------------------------------------------------------

    def cast(self, x: Any, type: str) -> Any:
        """x in another type: to an integer as below, to a float rounded."""
        real = x.real
        if type == "BOOL":
            return real != 0
        if type in LIMITS:
            return (
                self.integer_part(real, type) if isinstance(real, float) else self.low_bits(int(real), type)
            )
        if type == "FLOAT64":
            return float(real)
        if type == "COMPLEX64":
            return complex(self.single(x.real), self.single(x.imag))
        return self.half(real) if type == "FLOAT16" else self.single(real)

    def single(self, x: int | float) -> float:
        """x rounded to float32 once: a large integer not by way of a double."""
        return float32_of(x)

    def half(self, x: int | float) -> float:
        """x rounded to float32, and then to float16."""
        return float16_of(self.single(x))

    def integer_part(self, x: float, type: str) -> int:
        """x without its fraction, within the limits of the integer; NaN becomes the largest, in micro 0."""
        lowest, highest = LIMITS[type]
        if math.isnan(x):
            return 0 if self.numerics.integer_kernels == "micro" else highest
        return lowest if x < lowest else highest if x > highest else math.trunc(x)

    def low_bits(self, x: int, type: str) -> int:
        """The integer that the lowest bits of another one hold."""
        return wrapped(x, type)


def float32_of(x: int | float) -> float:
    """A number rounded to float32, ties to even, as exactly as integers of any size are."""
    surplus = int(x).bit_length() - 50 if isinstance(x, int) else 0
    if surplus <= 0:
        return f32(x)
    kept, lost = divmod(abs(int(x)), 1 << surplus)
    return math.copysign(f32((kept << 1 | (lost > 0)) * 2.0 ** (surplus - 1)), x)


def float16_of(x: float) -> float:
    """A number rounded to float16, ties to even; beyond the largest one it is infinite."""
    try:
        return float(struct.unpack("<e", struct.pack("<e", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)
