"""One step of an LSTM on integers: int8 activations and weights, int16 gates and cell state ("8x8_16")."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.fixed_point import saturate_spec, wrap_spec
from ptq.fixed_point_math import get_inv_sqrt_quantized_multiplier_exp_spec, logistic_spec, tanh_spec
from ptq.spec.rules.gates import Gates
from ptq.spec.rules.pointwise import Pointwise
from ptq.spec.rules.rescaling import Factor

EVAL = "tflite/kernels/lstm_eval.cc, LstmStepInteger8x8_16"
TENSOR_UTILS = "tflite/kernels/internal/reference/portable_tensor_utils.cc"
GATE_BITS = 3
"""Integer bits of the arguments of sigmoid and tanh."""


class IntegerGates(Pointwise, Gates):
    """The rules of the integer LSTM operators, in TensorFlow Lite and in its library for microcontrollers."""

    @property
    def micro(self) -> bool:
        """Whether the library for microcontrollers is meant."""
        return self.numerics.integer_kernels == "micro"

    # --- products -----------------------------------------------------------------------------------

    def saturate_gate(self, x: int) -> int:
        """A gate's sum in int16."""
        return saturate_spec(x, 16)

    def gate_product(self, terms: Sequence[tuple[int, int]], bias: int, factor: Factor, name: str) -> int:
        """rescale(sum w (q - z) + bias): the zero point's term is part of the bias, all wraps in int32."""
        accumulator = self.accumulate(list(terms))
        total = self.add_bias(accumulator, bias)
        return self.write("rescale", name, self.rescale(total, factor), "at the scale of the gate")

    def add_recurrent(self, input: int, recurrent: int) -> int:
        """The products with x and h together, in int16; micro brings each to int16 first."""
        if self.micro:
            recurrent = self.saturate_gate(recurrent)
        total = self.saturate_gate(input + recurrent)
        return self.write("accumulate", "gate_sum", total, "{} + {}, in int16", input, recurrent, source=EVAL)

    def add_integer_peephole(self, total: int, cell: int, weight: int, factor: Factor) -> int:
        """The sum with the peephole to the cell state, in int16."""
        product = self.rescale(wrap_spec(cell * weight), factor)
        return self.write(
            "accumulate", "with_peephole", self.saturate_gate(total + product), "{} + rescale({} * {})",
            total, cell,
            weight,
        )  # fmt: skip

    # --- layer normalisation --------------------------------------------------------------------------

    def normalize_integers(
        self, value: int, sums: Sequence[int], coefficient: int, bias: int, factor: Factor, limit: int
    ) -> int:
        """(value - mean) / deviation * coefficient + bias. The mean has 10 bits of fraction.

        Source: `internal/reference/portable_tensor_utils.cc`, PortableApplyLayerNorm.
        """
        mean = self.integer_mean(sums)
        variance = self.integer_variance(sums, mean)
        multiplier, shift = get_inv_sqrt_quantized_multiplier_exp_spec(variance if variance >= 1 else limit)
        with self.inner("normalize"):
            normal = self.round_twice(1024 * value - mean, multiplier, shift)
        # in the source an int32, which can overflow; x86 wheels keep the 64 bits
        weighted = normal * coefficient + bias
        rounded = wrap_spec(self.toward_zero(weighted + (512 if weighted >= 0 else -512), 1024))
        with self.inner("normalize"):
            scaled = self.saturate_gate(self.rescale(rounded, factor))
        self.write("normalize", "mean", mean, "of {} sums, times 1024", len(sums))
        self.write("normalize", "variance", variance)
        return self.write(
            "normalize", "normalized", scaled, "{} * {} + {}, rescaled", normal, coefficient, bias
        )

    def toward_zero(self, a: int, b: int) -> int:
        """a / b as C divides integers."""
        size = abs(a) // b
        return size if a >= 0 else -size

    def integer_mean(self, sums: Sequence[int]) -> int:
        """1024 times the mean: it has 10 bits of fraction."""
        return self.toward_zero(sum(sums) * 1024, len(sums))

    def integer_variance(self, sums: Sequence[int], mean: int) -> int:
        """Mean of squares less square of the mean; 1 / n is exact for powers of two alone."""
        variance = sum(x * x for x in sums) * ((1 << 20) // len(sums)) - mean * mean
        return self.toward_zero(variance, 1 << 20)

    # --- functions ------------------------------------------------------------------------------------

    def integer_sigmoid(self, x: int) -> int:
        """sigmoid of an argument with 3 integer bits, in steps of 2^-15: a polynomial, in micro a table."""
        return self.interpolated_sigmoid(x) if self.micro else logistic_spec(x, GATE_BITS, 16)

    def integer_tanh(self, x: int) -> int:
        """tanh of an argument with 3 integer bits."""
        return self.interpolated_tanh(x, 3, 0) if self.micro else tanh_spec(x, GATE_BITS, 16)

    def tanh_of_cell(self, c: int, exponent: int) -> int:
        """tanh of a cell state in units of 2^exponent."""
        if self.micro:
            shift = exponent + 12
            return self.interpolated_tanh(c, 3 << max(shift, 0), max(-shift, 0))
        return tanh_spec(c, 15 + exponent, 16)

    def interpolated_sigmoid(self, q: int) -> int:
        """Lines between points 1/24 apart. Source: `integer_ops/logistic.h`, Logistic (int16)."""
        with self.quietly():
            x = self.sigmoid_input(q, 3, 0)
            line = self.sigmoid_line(abs(x), 9, 0x7FFF << 10)
            return self.cut_down((1 << 25) - line if x < 0 else line, 10, x < 0)

    def interpolated_tanh(self, q: int, multiplier: int, right_shift: int) -> int:
        """2 sigmoid(2 x) - 1 by the same points. Source: `integer_ops/tanh.h`, Tanh (int16)."""
        with self.quietly():
            x = self.sigmoid_input(q, multiplier, right_shift)
            line = self.sigmoid_line(abs(x), 8, 0xFFFF << 8) - (1 << 23)
            return self.cut_down(-line if x < 0 else line, 8, x < 0)

    # --- cell and output --------------------------------------------------------------------------------

    def first_integer_output(self, given: Sequence[int], zero_point: int) -> Sequence[int]:
        """The output state to begin with: as it is given; at rest that is its zero point, not 0."""
        return given

    def coupled_integer_gate(self, forget: int) -> int:
        """1 - forget gate, where 1 is 32767."""
        return 32767 - forget

    def next_integer_cell(
        self,
        forget: int,
        cell: int,
        input: int,
        candidate: int,
        exponent: int,
        factors: tuple[Factor, Factor] | None,
    ) -> int:
        """forget * c + input * candidate on the scale of c: two shifts; micro multiplies and saturates."""
        if factors is not None:
            kept, written = (
                self.saturate_cell(self.rescale(product, factor))
                for product, factor in zip((forget * cell, input * candidate), factors, strict=True)
            )
        else:
            kept = self.rounding_divide_by_pot(forget * cell, 15)
            written = self.rounding_divide_by_pot(input * candidate, 30 + exponent)
        value = self.saturate_cell(kept + written)
        return self.write(
            "update cell", "cell_state", value, "{} * {} / 2^15 + {} * {} / 2^{}", forget, cell, input,
            candidate,
            30 + exponent, source=EVAL,
        )  # fmt: skip

    def saturate_cell(self, c: int) -> int:
        """A cell state in int16."""
        return saturate_spec(c, 16)

    def clip_integer_cell(self, c: int, bound: int | None) -> int:
        """The cell state within its clip."""
        return c if bound is None else min(max(c, -bound), bound)

    def hidden_zero_point_sign(self, projected: bool) -> int:
        """+1; before a projection the runtime subtracts, and accounts for that in the projection's bias."""
        return -1 if projected else 1
