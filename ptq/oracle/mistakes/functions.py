"""Mistakes of functions of reals: other exponentials, other cases at zero and NaN, another order of steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ptq.oracle.mistakes.core import Mistake
from ptq.spec.numbers import divide, f32, maximum, minimum, square_root
from ptq.spec.rules.functions import LOGISTIC_UPPER


class ExactExp(Mistake):
    """computes e^x in double and rounds it, where the C library's expf is a unit beside it now and then."""

    title = "e^x rounded correctly"

    def expf(self, x: float) -> float:
        """In double."""
        return f32(math.exp(x)) if x < 100 else math.nan if math.isnan(x) else math.inf


class ExactLog(Mistake):
    """computes ln x in double and rounds it, where the C library's logf is a unit beside it now and then."""

    title = "ln x rounded correctly"

    def logf(self, x: float) -> float:
        """In double."""
        return f32(math.log(x)) if x > 0 else super().logf(x)


class ExactTanh(Mistake):
    """computes tanh in double and rounds it, where the C library's tanhf is a unit or two beside it."""

    title = "tanh rounded correctly"

    def tanhf(self, x: float) -> float:
        """In double."""
        return f32(math.tanh(x))


class TanhOfExponentials(Mistake):
    """computes tanh x as (e^2x - 1) / (e^2x + 1), which loses digits near 0 and overflows to NaN."""

    title = "tanh by exponentials"

    def tanhf(self, x: float) -> float:
        """Each step in float32."""
        power = self.expf(f32(2.0 * x))
        return f32(divide(f32(power - 1.0), f32(power + 1.0)))


class ExactExpm1(Mistake):
    """computes e^x - 1 in double and rounds it, where the C library's expm1f is a unit or two beside it."""

    title = "e^x - 1 rounded correctly"

    def expm1f(self, x: float) -> float:
        """In double."""
        return f32(math.expm1(x)) if x < 100 else math.inf


class ExpLessOne(Mistake):
    """rounds e^x before it subtracts 1, which loses digits near 0."""

    title = "e^x, then minus 1"

    def expm1f(self, x: float) -> float:
        """expf(x) - 1."""
        return f32(self.expf(x) - 1.0)


class NoCutOffs(Mistake):
    """computes 1 / (1 + e^-x) everywhere, where the reference gives e^x below -9 and 1 above 16.6."""

    title = "LOGISTIC without cut-offs"

    def logistic(self, x: float) -> float:
        """One formula."""
        y = f32(divide(1.0, f32(1.0 + self.expf(-x))))
        return self.write("compute", "output", y, "1 / (1 + e^-{})", x)


class LogisticOfExp(Mistake):
    """computes e^x / (1 + e^x) where x is negative, as many libraries do."""

    title = "LOGISTIC as e^x / (1 + e^x)"

    def logistic(self, x: float) -> float:
        """For negative numbers."""
        if not x < 0 or x > LOGISTIC_UPPER:
            return super().logistic(x)
        power = self.expf(x)
        return self.write("compute", "output", f32(power / f32(1.0 + power)), "{0} / (1 + {0})", power)


class LeakyZeroKept(Mistake):
    """leaves zeros as they are in LEAKY_RELU, where the reference multiplies them by the slope."""

    title = "LEAKY_RELU at 0"

    def leaky(self, x: float, slope: float) -> float:
        """x >= 0."""
        return x if x >= 0 else f32(x * slope)


class LeakyMaximum(Mistake):
    """computes LEAKY_RELU as max(x, slope * x), which is another function for slopes above 1."""

    title = "LEAKY_RELU as a maximum"

    def leaky(self, x: float, slope: float) -> float:
        """The larger one."""
        return maximum(x, f32(x * slope))


class ZeroMultiplied(Mistake):
    """multiplies zeros by the slope in PRELU, where the reference leaves them as they are."""

    title = "PRELU at 0"

    def parametric(self, x: float, slope: float) -> float:
        """x > 0."""
        return x if x > 0 else f32(x * slope)


class BoundFirst(Mistake):
    """clamps as min(high, max(low, x)), which turns NaN into a bound and -0 into 0."""

    title = "bounds before x"

    def bound(self, x: float, low: float, high: float) -> float:
        """The bound is the first operand."""
        bounded = minimum(high, maximum(low, x))
        return self.write("clamp", "output", bounded, "min({}, max({}, {}))", high, low, x)


class RoundedSixth(Mistake):
    """multiplies the gate of HARD_SWISH by a rounded sixth, instead of dividing the product by 6."""

    title = "a sixth as a factor"

    def hard_swish(self, x: float, gate: float) -> float:
        """x * (gate * (1 / 6))."""
        return f32(x * f32(gate * f32(1.0 / 6.0)))


class RootRoundedOnce(Mistake):
    """rounds 1 / sqrt(x) once, where the reference rounds the root, too."""

    title = "1 / sqrt(x) rounded once"

    def reciprocal_root(self, x: float) -> float:
        """In double."""
        return f32(divide(1.0, square_root(x)))


class NoLargest(Mistake):
    """does not subtract the largest element of a row before it takes powers, which overflow."""

    title = "maximum not subtracted"

    def largest_of_row(self, row: Sequence[float]) -> float:
        """Nothing."""
        return 0.0


class NoFactor(Mistake):
    """leaves the factor beta out of SOFTMAX on reals."""

    title = "beta left out"

    def softmax_exponent(self, x: float, largest: float, beta: float) -> float:
        """x - max."""
        return f32(x - largest)


class FactorFirst(Mistake):
    """multiplies by beta before it subtracts the largest element, not after."""

    title = "beta before the maximum"

    def softmax_exponent(self, x: float, largest: float, beta: float) -> float:
        """x * beta - max * beta."""
        return f32(f32(x * beta) - f32(largest * beta))


class Reciprocal(Mistake):
    """multiplies by the rounded reciprocal of a divisor, instead of dividing by it."""

    title = "reciprocal instead of a division"

    def quotient(self, a: float, b: float) -> float:
        """a * (1 / b)."""
        return f32(a * f32(divide(1.0, b)))


class NoSmallestNorm(Mistake):
    """divides by the norm as it is, where the reference takes 10^-6 at least: a row of zeros gives NaN."""

    title = "no smallest norm"

    def norm(self, squares: float) -> float:
        """The root alone."""
        return self.sqrtf(squares)


class SmallestNormInside(Mistake):
    """adds 10^-12 to the sum of squares, instead of taking 10^-6 at least for the norm."""

    title = "smallest norm added"

    def norm(self, squares: float) -> float:
        """sqrt(squares + 10^-12)."""
        return self.sqrtf(f32(squares + f32(1e-12)))


MISTAKES = (
    ExactExp, ExactLog, ExactTanh, TanhOfExponentials, ExactExpm1, ExpLessOne, NoCutOffs, LogisticOfExp,
    LeakyZeroKept, LeakyMaximum, ZeroMultiplied, BoundFirst, RoundedSixth, RootRoundedOnce, NoLargest,
    NoFactor, FactorFirst, Reciprocal, NoSmallestNorm, SmallestNormInside,
)  # fmt: skip
