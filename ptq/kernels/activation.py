"""Activations on float32: the clamps that other operators fuse, RELU and its kin, SOFTMAX and its kin.

Zeros, NaN and infinities come out as in the reference. (Which of +0 and -0 is "larger" is up to NumPy and
the processor: with NumPy 1 on other processors than x86 a zero may have the other sign.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import ShapeError, UnsupportedError
from ptq.kernels.call import Call, Kernel
from ptq.kernels.eigen import eigen_tanh
from ptq.kernels.libm import expf, expm1f, logf, tanhf
from ptq.quantizer import calculate_activation_range

Array = npt.NDArray[Any]
F = np.float32

BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0, None),
    "RELU6": (0, 6),
    "RELU_N1_TO_1": (-1, 1),
}
"""Where each activation clamps; None stands for no bound."""


def clamp_float(x: Array, activation: str = "NONE", out: Array | None = None) -> Array:
    """min(max(x, lower), upper), as kernels with a fused activation end.                           (Q14)

    NONE: [-FLT_MAX, FLT_MAX]; RELU: [0, FLT_MAX]; RELU6: [0, 6]; RELU_N1_TO_1: [-1, 1]. An infinity
    becomes FLT_MAX even for NONE; NaN stays. x: float32, any shape; `out` may be x itself.
    Errors: UnsupportedError for another activation.
    Source: `tflite/kernels/kernel_util.h`, CalculateActivationRange; `internal/common.h`,
    ActivationFunctionWithMinMax.
    """
    lower, upper = calculate_activation_range(activation)
    return _bound(x, lower, upper, out)


def activate_float(x: Array, activation: str = "NONE", out: Array | None = None) -> Array:
    """The activation alone, without the bounds of float: NONE changes nothing.                     (Q14)

    This is what hybrid FULLY_CONNECTED and the recurrent operators apply. Unlike `clamp_float` it keeps
    infinity, and gives the lower bound for NaN and +0 for -0 where it clamps at 0. x: float32, any shape;
    `out` may be x itself. TANH is Eigen's rational function. Errors: UnsupportedError for SIGN_BIT.
    Source: `tflite/kernels/internal/tensor_utils.h`, ApplyActivationToVector.
    """
    if activation == "TANH":
        return _store(eigen_tanh(x), out)
    if activation not in BOUNDS:
        raise UnsupportedError(
            f"fused activation {activation} found, expected one of {', '.join(BOUNDS)} and TANH"
        )
    lower, upper = BOUNDS[activation]
    if lower is None:
        return _store(x, out)
    activated: Array = np.maximum(x, F(lower), out=out)  # of equal ones the second, on x86
    if upper is not None:
        np.minimum(activated, F(upper), out=activated)
    np.copyto(activated, F(lower), where=np.isnan(activated))
    return activated


def activate_float_micro(x: Array, activation: str = "NONE") -> Array:
    """The same as TensorFlow Lite for Microcontrollers has it, in SVDF: TANH is the C library's.

    NaN becomes the upper bound, or the lower one if that is the only one: fmin and fmax take a number first.
    Any shape, float32. Errors: UnsupportedError for SIGN_BIT.
    Source: tflite-micro, `micro/kernels/activation_utils.h`, ActivationValFloat.
    """
    if activation == "TANH":
        return tanhf(x)
    if activation not in BOUNDS:
        raise UnsupportedError(
            f"fused activation {activation} found, expected one of {', '.join(BOUNDS)} and TANH"
        )
    lower, upper = BOUNDS[activation]
    bounded = x if upper is None else np.fmin(x, F(upper))
    return bounded if lower is None else np.fmax(bounded, F(lower))


def relu_float(x: Array) -> Array:
    """output = max(0, x). Any shape, float32.

    Source: `tflite/kernels/internal/optimized/optimized_ops.h`, Relu (which the reference uses too).
    """
    return _bound(x, F(0), F(np.inf))


def relu6_float(x: Array) -> Array:
    """output = min(max(0, x), 6). Any shape, float32. Source: `reference/reference_ops.h`, Relu6."""
    return _bound(x, F(0), F(6))


def relu_n1_to_1_float(x: Array) -> Array:
    """output = min(max(-1, x), 1). Any shape, float32. Source: `reference/reference_ops.h`, Relu1."""
    return _bound(x, F(-1), F(1))


def logistic_float(x: Array) -> Array:
    """output = 1 / (1 + e^-x); e^x below -9, 1 above 16.6. Any shape, float32.

    Source: `tflite/kernels/internal/reference/logistic.h`, Logistic.
    """
    lower, upper = F(-9), F(16.619047164916992188)
    power = expf(np.where(x < lower, x, -x))
    with np.errstate(over="ignore"):
        result = np.asarray(F(1) / (F(1) + power))
    np.copyto(result, power, where=x < lower)
    np.copyto(result, F(1), where=x > upper)
    return result


def tanh_float(x: Array) -> Array:
    """output = tanh x. Any shape, float32. Source: `tflite/kernels/internal/reference/tanh.h`, Tanh."""
    return tanhf(x)


def leaky_relu_float(x: Array, alpha: float) -> Array:
    """output = x if x > 0 else alpha * x. Any shape, float32.

    Source: `tflite/kernels/internal/reference/leaky_relu.h`, LeakyRelu.
    """
    with np.errstate(all="ignore"):
        return np.where(x > 0, x, x * F(alpha))


def elu_float(x: Array) -> Array:
    """output = x if x >= 0 else e^x - 1. Any shape, float32.

    (The reference resolver of LiteRT's wheels has no ELU; the default one runs this formula.)
    Source: `tflite/kernels/internal/reference/elu.h`, Elu.
    """
    return np.where(x < 0, expm1f(x), x)


def elu_by_exp_float(x: Array) -> Array:
    """ELU with e^x rounded before 1 is subtracted, as micro fills its tables. Any shape, float32.

    Source: tflite-micro, `micro/kernels/elu.cc`, CalculateOpData.
    """
    with np.errstate(over="ignore"):
        return np.where(x < 0, expf(x) - F(1), x)


def hard_swish_float(x: Array) -> Array:
    """output = x * min(6, max(0, x + 3)) / 6, in this order. Any shape, float32; -infinity gives NaN.

    Source: `tflite/kernels/internal/reference/hard_swish.h`, HardSwish.
    """
    with np.errstate(all="ignore"):
        gate = np.minimum(np.maximum(x + F(3), F(0)), F(6))
        return np.asarray(x * gate / F(6))


def softmax_float(x: Array, beta: float = 1.0) -> Array:
    """output = e^(beta * (x - max)) / sum of the same, along the last axis.                       (Q15)

    x: float32, at least one dimension; the result has its shape. The sum runs in order, in float32. A row
    with NaN or +infinity gives NaN, as does one of -infinity alone. Errors: ShapeError for a scalar.
    Source: `tflite/kernels/internal/reference/softmax.h`, Softmax.
    """
    _check_has_axis("SOFTMAX", x)
    with np.errstate(all="ignore"):
        largest = x.max(axis=-1, keepdims=True, initial=np.finfo(F).min)
        power = expf((x - largest) * F(beta))
        return power / _sum_of_rows(power)


def log_softmax_float(x: Array) -> Array:
    """output = (x - max) - ln(sum of e^(x - max)), along the last axis.

    x: float32, at least one dimension; the result has its shape. The sum runs in order, in float32. A row
    with NaN or +infinity gives NaN, as does one of -infinity alone. Errors: ShapeError for a scalar.
    Source: `tflite/kernels/internal/reference/log_softmax.h`, LogSoftmax.
    """
    _check_has_axis("LOG_SOFTMAX", x)
    with np.errstate(all="ignore"):
        largest = x.max(axis=-1, keepdims=True, initial=np.finfo(F).min)
        shifted = x - largest
        result: Array = shifted - logf(_sum_of_rows(expf(shifted)))
    return result


def l2_normalization_float(x: Array) -> Array:
    """output = x / max(sqrt(sum of x^2), 10^-6), along the last axis.

    x: float32, at least one dimension; the result has its shape. The sum runs in order, in float32. A row
    with NaN gives NaN. Errors: ShapeError for a scalar.
    Source: `tflite/kernels/internal/reference/l2normalization.h`, L2Normalization.
    """
    _check_has_axis("L2_NORMALIZATION", x)
    with np.errstate(all="ignore"):
        norm = np.sqrt(_sum_of_rows(x * x))
        return x / np.where(norm < F(1e-6), F(1e-6), norm)


def sequential_sum(terms: Array) -> Array:
    """0 + terms[0] + terms[1] + ..., each sum rounded to float32, as a loop in C adds.

    terms: float32 [K, N]; returns float32 [N]. (np.sum along the axis that is contiguous in memory adds in
    pairs, with another rounding; along the first axis of a contiguous matrix it adds row by row.)
    """
    count, width = terms.shape
    if not count:
        return np.zeros(width, F)
    with np.errstate(over="ignore", invalid="ignore"):
        if width == 1:
            total: Array = np.add.accumulate(terms, axis=0)[-1] + F(0)
            return total
        total = np.add.reduce(np.ascontiguousarray(terms), axis=0, initial=F(0))
        return total


_CLIP_KEEPS_ZERO = bool(np.signbit(np.clip(np.full(64, -0.0, F), F(0), F(6))).all())
"""Whether np.clip gives x, not the bound, where both are equal: it does in NumPy 2."""


def _bound(x: Array, lower: np.float32, upper: np.float32, out: Array | None = None) -> Array:
    """min(max(x, lower), upper), with x where it equals a bound or is NaN."""
    if _CLIP_KEEPS_ZERO:
        return np.clip(x, lower, upper, out=out)
    bounded: Array = np.maximum(lower, x, out=out)  # of equal ones the second, on x86
    return np.minimum(upper, bounded, out=bounded)


def _check_has_axis(operator: str, x: Array) -> None:
    if not x.ndim:
        raise ShapeError(f"{operator}: a scalar found, expected at least one dimension")


def _sum_of_rows(terms: Array) -> Array:
    """The ordered sums along the last axis, which keeps size 1."""
    *rows, size = terms.shape
    return sequential_sum(terms.reshape(math.prod(rows), size).T).reshape(*rows, 1)


def _store(x: Array, out: Array | None) -> Array:
    if out is None or out is x:
        return x
    np.copyto(out, x)
    return out


# --- for the registry -----------------------------------------------------------------------------


def relu_op(call: Call) -> list[Array]:
    """RELU: inputs (x)."""
    return [relu_float(call.float_array(0))]


def relu6_op(call: Call) -> list[Array]:
    """RELU6: inputs (x)."""
    return [relu6_float(call.float_array(0))]


def relu_n1_to_1_op(call: Call) -> list[Array]:
    """RELU_N1_TO_1: inputs (x)."""
    return [relu_n1_to_1_float(call.float_array(0))]


def logistic_op(call: Call) -> list[Array]:
    """LOGISTIC: inputs (x)."""
    return [logistic_float(call.float_array(0))]


def tanh_op(call: Call) -> list[Array]:
    """TANH: inputs (x)."""
    return [tanh_float(call.float_array(0))]


def softmax_op(call: Call) -> list[Array]:
    """SOFTMAX: inputs (x), option beta."""
    return [softmax_float(call.float_array(0), call.options["beta"])]


def leaky_relu_op(call: Call) -> list[Array]:
    """LEAKY_RELU: inputs (x), option alpha."""
    return [leaky_relu_float(call.float_array(0), call.options["alpha"])]


def elu_op(call: Call) -> list[Array]:
    """ELU: inputs (x)."""
    return [elu_float(call.float_array(0))]


def hard_swish_op(call: Call) -> list[Array]:
    """HARD_SWISH: inputs (x)."""
    return [hard_swish_float(call.float_array(0))]


def log_softmax_op(call: Call) -> list[Array]:
    """LOG_SOFTMAX: inputs (x)."""
    return [log_softmax_float(call.float_array(0))]


def l2_normalization_op(call: Call) -> list[Array]:
    """L2_NORMALIZATION: inputs (x); it has an option for an activation, which has to be NONE."""
    activation = call.options["fused_activation_function"]
    if activation != "NONE":
        raise UnsupportedError(f"L2_NORMALIZATION: fused activation {activation} found, expected NONE")
    return [l2_normalization_float(call.float_array(0))]


FLOAT: dict[str, Kernel] = {
    "RELU": relu_op,
    "RELU6": relu6_op,
    "RELU_N1_TO_1": relu_n1_to_1_op,
    "LOGISTIC": logistic_op,
    "TANH": tanh_op,
    "SOFTMAX": softmax_op,
    "LEAKY_RELU": leaky_relu_op,
    "ELU": elu_op,
    "HARD_SWISH": hard_swish_op,
    "LOG_SOFTMAX": log_softmax_op,
    "L2_NORMALIZATION": l2_normalization_op,
}
