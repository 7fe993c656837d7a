"""Functions of one float32: exponentials and their kin as the C library has them, and the activations."""

from __future__ import annotations

from collections.abc import Sequence

from ptq.spec import libm
from ptq.spec.numbers import divide, f32, maximum, minimum, square_root
from ptq.spec.rules.core import Written
from ptq.spec.rules.real import FLT_MAX

INTERNAL = "tflite/kernels/internal"
LOGISTIC_LOWER, LOGISTIC_UPPER = -9.0, f32(16.619047164916992188)
SMALLEST_NORM = f32(1e-6)


class Functions(Written):
    """The rules of operators on one float32."""

    # --- the C library ----------------------------------------------------------------------------

    def expf(self, x: float) -> float:
        """e^x as glibc rounds it."""
        return libm.expf(x)

    def logf(self, x: float) -> float:
        """ln x as glibc rounds it."""
        return libm.logf(x)

    def expm1f(self, x: float) -> float:
        """e^x - 1 as glibc rounds it: more than a float's digits near 0."""
        return libm.expm1f(x)

    def tanhf(self, x: float) -> float:
        """tanh x as glibc rounds it."""
        return libm.tanhf(x)

    def sqrtf(self, x: float) -> float:
        """The square root, rounded correctly."""
        return f32(square_root(x))

    # --- formulas ---------------------------------------------------------------------------------

    def quotient(self, a: float, b: float) -> float:
        """a / b, rounded correctly."""
        return f32(divide(a, b))

    def reciprocal_root(self, x: float) -> float:
        """1 / sqrt(x), each of the two rounded to float32."""
        return f32(divide(1.0, self.sqrtf(x)))

    def bound(self, x: float, low: float, high: float) -> float:
        """min(max(x, low), high): x where it equals a bound (also -0 at 0), and where it is NaN."""
        bounded = minimum(maximum(x, low), high)
        return self.write("clamp", "output", bounded, "min(max({}, {}), {})", x, low, high)

    def logistic(self, x: float) -> float:
        """1 / (1 + e^-x); e^x below -9, where 1 does not count beside it, and 1 above 16.6."""
        source = f"{INTERNAL}/reference/logistic.h, Logistic"
        below = x < LOGISTIC_LOWER
        power = self.write("compute", "power", self.expf(x if below else -x), "e^({})", x if below else -x)
        if below:
            y, formula, rule = power, "{}, as 1 does not count beside e^-x", "lower cut-off"
        elif x > LOGISTIC_UPPER:
            y, formula, rule = 1.0, "1, as {} does not count beside it", "upper cut-off"
        else:
            y, formula, rule = f32(1.0 / f32(1.0 + power)), "1 / (1 + {})", "between the cut-offs"
        return self.write("compute", "output", y, formula, power, rule=rule, source=source)

    def leaky(self, x: float, slope: float) -> float:
        """x where x > 0, else slope * x: also for zeros, whose sign a negative slope turns, and NaN."""
        return x if x > 0 else f32(x * slope)

    def parametric(self, x: float, slope: float) -> float:
        """x where x >= 0, else slope * x: zeros stay."""
        return x if x >= 0 else f32(x * slope)

    def exponential_linear(self, x: float) -> float:
        """x where x >= 0, else e^x - 1 in one function."""
        return self.expm1f(x) if x < 0 else x

    def gate_of_hard_swish(self, x: float) -> float:
        """min(6, max(0, x + 3))."""
        return minimum(6.0, maximum(0.0, f32(x + 3.0)))

    def hard_swish(self, x: float, gate: float) -> float:
        """x * gate / 6, in this order."""
        return f32(f32(x * gate) / 6.0)

    # --- rows -------------------------------------------------------------------------------------

    def largest_of_row(self, row: Sequence[float]) -> float:
        """What is subtracted from a row, so that no power overflows: its largest, at least -FLT_MAX."""
        largest = -FLT_MAX
        for x in row:
            largest = maximum(largest, x)
        return largest

    def softmax_exponent(self, x: float, largest: float, beta: float) -> float:
        """(x - max) * beta."""
        return f32(f32(x - largest) * beta)

    def softmax_share(self, power: float, total: float) -> float:
        """Of all powers one: power / total."""
        return self.quotient(power, total)

    def norm(self, squares: float) -> float:
        """sqrt of a sum of squares, and at least 10^-6."""
        norm = self.sqrtf(squares)
        return SMALLEST_NORM if norm < SMALLEST_NORM else norm
