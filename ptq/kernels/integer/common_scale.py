"""How two quantized operands meet: integers of different scales cannot be added, subtracted or compared.

In general both are brought to a third scale, finer than either. The way there and back are factors below 1,
which TensorFlow Lite's helper for them takes for granted. 16-bit operands whose scales are powers of two meet
on the output's scale, by a shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import defects
from ptq.errors import QuantizationError
from ptq.fixed_point import rounding_divide_by_pot_unchecked, saturating_rounding_doubling_high_mul
from ptq.kernels.call import Call
from ptq.kernels.integer.operands import Scaled
from ptq.kernels.integer.parameters import Rescale, power_of_two
from ptq.numerics import Numerics

Array = npt.NDArray[Any]
Factor = Callable[[Array], Array]
"""A `Rescale`, or what becomes of one that exceeds the helper's range."""

LANES = 4
"""How many int32 the vector code of x86-64 builds shifts at once."""


@dataclass(frozen=True)
class CommonScale:
    """Both operands in steps of 2^-left_shift of s = 2 * max(a_scale, b_scale), and the way to the output.

    a, b: factors a_scale / s and b_scale / s, for integers shifted to the left; output: the factor
    (s / 2^left_shift)^power / output_scale. Source: `tflite/kernels/add.cc`, Prepare.
    """

    left_shift: int
    a: Factor
    b: Factor
    output: Factor

    @staticmethod
    def of(call: Call, operands: list[Scaled], left_shift: int, power: int = 1) -> CommonScale:
        """For the operands a, b and output of a call; power: 2 if the operator squares.

        Errors: UnsupportedError if the output's factor is 1 or more, a defect of the runtime.
        """
        a, b, output = (float(operand.scale) for operand in operands)
        s = 2 * max(a, b)
        factors = [a / s, b / s, (s / 2**left_shift) ** power / output]
        defect = defects.SUB_FINE_OUTPUT if call.operator.type == "SUB" else None
        named = f"an output scale of {output} for operands of {a} and {b}"
        return CommonScale(left_shift, *(below_one(real, call.numerics, defect, named) for real in factors))

    def __call__(self, a: Array, a_zero_point: int, b: Array, b_zero_point: int) -> tuple[Array, Array]:
        """The operands on the common scale, as int64 arrays of int32 values."""
        common_a = self.a((a.astype(np.int64) - a_zero_point) << self.left_shift)
        common_b = self.b((b.astype(np.int64) - b_zero_point) << self.left_shift)
        return common_a.astype(np.int64), common_b.astype(np.int64)

    def to_output(self, total: Array, one_shape: bool) -> Array:
        """A result on the output's scale. one_shape: whether the operands have it, and are not broadcast."""
        if one_shape and isinstance(self.output, Overshifted):
            return self.output.in_groups(total)
        return self.output(total)


@dataclass(frozen=True)
class Overshifted:
    """A factor of 1 or more in the helper for factors below 1: it shifts right by a negative number of bits.

    As x86-64 builds compute it. Source: `tflite/kernels/internal/common.h`,
    MultiplyByQuantizedMultiplierSmallerThanOneExp (with double rounding).
    """

    output_multiplier: Array
    output_shift: Array

    def __call__(self, accumulator: Array) -> Array:
        """The int32 accumulators, each of which becomes 0, 1 or -1, or close to that."""
        return rounding_divide_by_pot_unchecked(self._high(accumulator), -self.output_shift)

    def in_groups(self, accumulator: Array) -> Array:
        """The same as vector code has it, four elements at once in the order of memory.

        Its shifts do not count modulo 32, so that of a whole group the signs alone remain, 0 counting as 1.
        """
        high = self._high(accumulator).reshape(-1)
        whole = high.size // LANES * LANES
        rest = self(accumulator).reshape(-1)[whole:]
        return np.concatenate([np.where(high[:whole] < 0, -1, 1), rest]).reshape(accumulator.shape)

    def _high(self, accumulator: Array) -> Array:
        return saturating_rounding_doubling_high_mul(accumulator, self.output_multiplier)


def below_one(real: float, numerics: Numerics, defect: defects.Defect | None, found: str) -> Factor:
    """The integers for a factor that the kernel takes for one below 1.

    defect: what happens if it is not; without one, and for exactly 1, the runtime aborts.
    """
    rescale = Rescale.by(real, numerics)
    if real < 1 and rescale.output_shift <= 0:
        return rescale
    if defect is None or real <= 1:
        defect = defects.FACTOR_ABORTS
    if defect.reproduced(numerics, found):
        return Overshifted(rescale.output_multiplier, rescale.output_shift)
    return rescale


def power_of_two_shifts(call: Call, operands: list[Scaled]) -> tuple[int, int] | None:
    """By how many bits int16 operands are shifted to the output's scale, if all scales are powers of two.

    None if they are not, or the option pot_scale_int16 is not set; tflite-micro has no such kernel.
    Errors: QuantizationError unless the output has the larger of the operands' scales.
    Source: `tflite/kernels/add.cc`, Prepare; `sub.cc`, PrepareInt16SubOpPOT.
    """
    wanted = call.options["pot_scale_int16"] and call.numerics.integer_kernels == "lite"
    exponents = [power_of_two(float(operand.scale)) for operand in operands]
    if operands[0].dtype != np.int16 or not wanted or None in exponents:
        return None
    a, b, output = (exponent or 0 for exponent in exponents)
    if output != max(a, b):
        raise QuantizationError(
            f"{call.operator.type}: int16 scales of 2^{a} and 2^{b} for an output of 2^{output} found, "
            "expected the larger one to be the output's; set pot_scale_int16 to False"
        )
    return output - a, output - b
