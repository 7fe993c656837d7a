"""The offline half of the kernels that multiply by weights: what is checked, and how scales become integers.

    real_multiplier[o] = input_scale * weights_scale[o] / output_scale

takes accumulators, whose scale is input_scale * weights_scale[o], to the scale of the output. The checks are
those that the runtime makes when it prepares a model, and of what it would ignore in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ptq.defects import INT16_BIAS, WEIGHTS_ZERO_POINT
from ptq.errors import GraphError, QuantizationError, UnsupportedError
from ptq.graph import Quantization, Tensor
from ptq.kernels.call import Call
from ptq.kernels.integer.output_stage import OutputStage
from ptq.kernels.integer.parameters import activation_bounds, float32_activation_bounds
from ptq.kernels.integer.product_rescale import DoubleRescale, Float32Rescale, Scales, fixed_point_rescale

Array = npt.NDArray[Any]

TYPES = {
    ("INT8", "INT8", "INT8"): ("INT32",),
    ("UINT8", "UINT8", "UINT8"): ("INT32",),
    ("INT16", "INT8", "INT16"): ("INT64", "INT32"),
}
"""Which biases may go with an input, weights and output of such types."""

MATMUL_TYPES = ("INT8", "INT8", "INT8"), ("INT16", "INT8", "INT16"), ("INT16", "INT16", "INT16")
"""The types of lhs, rhs and output of BATCH_MATMUL."""

BIAS_TOLERANCE = 0.02
"""How many steps of the output a unit of bias may be off because of its scale."""


class Positions(NamedTuple):
    """Where an operator has its operands; axis: the dimension of the weights that counts the outputs."""

    input: int = 0
    weights: int = 1
    bias: int = 2
    axis: int = 0


Parameters = tuple[OutputStage, int, int]
"""What a kernel needs besides its arrays: the output stage and the zero points of input and weights."""


def convolution_parameters(call: Call, at: Positions, bias_required: bool = False) -> Parameters:
    """The parameters of CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV.

    bias_required: whether the runtime refuses the operator without a bias.
    Raises UnsupportedError, QuantizationError or GraphError where a check fails, naming the tensor.
    Source: `tflite/kernels/kernel_util.cc`, PopulateConvolutionQuantizationParams; Prepare of each kernel.
    """
    sums = _accumulator_type(call, at)
    if bias_required and call.optional(at.bias) is None:
        raise GraphError(
            f"{call.operator.type}: no bias found, expected one; the runtime refuses a quantized "
            f"{call.operator.type} without a bias; add one of zeros"
        )
    legacy = _tensor(call, at.input).type == "UINT8"
    scales = _scales(call, at, checked_bias=legacy)
    zero_points = _zero_point(call, _tensor(call, at.input)), _weights_zero_point(call, at, legacy)
    if call.numerics.product_rescale == "float32" and _tensor(call, at.input).type == "INT8":
        rescale: Callable[[Array], Array] = Float32Rescale(scales.float32)
    else:
        rescale = fixed_point_rescale(scales.rounded if legacy else scales.exact, sums, call.numerics)
    return _output_stage(call, at, rescale, sums), *zero_points


def dense_parameters(call: Call) -> Parameters:
    """The parameters of FULLY_CONNECTED, which honours a zero point of its weights if they have one scale.

    Raises as `convolution_parameters` does. Source: `tflite/kernels/fully_connected.cc`, PrepareImpl.
    """
    at = Positions()
    sums = _accumulator_type(call, at)
    scales = _scales(call, at, checked_bias=True)
    one_scale = scales.weights.size == 1
    zero_points = _zero_point(call, _tensor(call, at.input)), _weights_zero_point(call, at, one_scale)
    if call.numerics.product_rescale == "float32" and _tensor(call, at.input).type == "INT8":
        rescale: Callable[[Array], Array] = Float32Rescale(scales.float32)
    elif call.numerics.integer_kernels == "lite":
        rescale = DoubleRescale(scales.exact)
    else:
        rescale = fixed_point_rescale(scales.exact, sums, call.numerics)
    return _output_stage(call, at, rescale, sums), *zero_points


def matmul_parameters(call: Call) -> Parameters:
    """The parameters of BATCH_MATMUL, whose operands have one scale each, and a zero point unless int16.

    Raises as `convolution_parameters` does. Source: `tflite/kernels/batch_matmul.cc`, Prepare.
    """
    tensors = _tensor(call, 0), _tensor(call, 1), call.output_tensors[0]
    types = tuple(tensor.type for tensor in tensors)
    if types not in MATMUL_TYPES:
        known = "; or ".join(map(", ".join, MATMUL_TYPES))
        raise UnsupportedError(
            f"{call.operator.type}: lhs, rhs and output of types {', '.join(types)} found, expected {known}"
        )
    lhs, rhs, output = (_one_scale(call, tensor) for tensor in tensors)
    zero_points = [_zero_point(call, tensor) for tensor in tensors]
    if types[0] == "INT16" and zero_points[1]:
        raise _wrong(call, f"rhs '{tensors[1].name}' with zero point {zero_points[1]} found, expected 0")
    scales = Scales(lhs, np.array([rhs]), output)
    sums = np.dtype(np.int64 if types[0] == "INT16" else np.int32)
    multiplier = scales.exact if call.numerics.integer_kernels == "micro" else scales.rounded
    rescale = fixed_point_rescale(multiplier, sums, call.numerics)
    dtype = np.dtype(tensors[2].dtype)
    limits = np.iinfo(dtype)
    bounds = int(limits.min), int(limits.max)
    stage = OutputStage(np.zeros(1, np.int64), rescale, zero_points[2], bounds, dtype, sums)
    return stage, zero_points[0], zero_points[1]


Memory = TypeVar("Memory")


def remember(call: Call, at: Positions, key: str, compute: Callable[[], Memory]) -> Memory:
    """`compute()`, done once if weights and bias are constants of the graph."""
    bias = call.tensors[at.bias] if at.bias < len(call.tensors) else None
    if bias is not None and not bias.is_constant:
        return compute()
    return call.remember(key, compute, at.weights)


def _accumulator_type(call: Call, at: Positions) -> np.dtype[Any]:
    """int32, or int64 for int16 activations; UnsupportedError for a combination of types without a kernel.

    TensorFlow Lite sums int16 activations in the type that the option `quantized_bias_type` names, int64
    unless it is INT32, and reads the bias as that type whatever it is. In micro CONV_2D and FULLY_CONNECTED
    go by the bias, if there is one, and the others always sum in int64.
    """
    input, weights, output = _tensor(call, at.input), _tensor(call, at.weights), call.output_tensors[0]
    types = input.type, weights.type, output.type
    bias = _tensor(call, at.bias, quantized=False).type if call.optional(at.bias) is not None else None
    if types not in TYPES or (bias is not None and bias not in TYPES[types]):
        known = (f"{', '.join(types)} with bias {' or '.join(biases)}" for types, biases in TYPES.items())
        raise UnsupportedError(
            f"{call.operator.type}: input '{input.name}' {types[0]}, weights {types[1]}, output {types[2]} "
            f"with bias {bias} found, expected {'; or '.join(known)}"
        )
    if input.type != "INT16":
        return np.dtype(np.int32)
    declared = call.options.get("quantized_bias_type", "FLOAT32")
    summed = "INT32" if declared == "INT32" else "INT64"
    if call.numerics.integer_kernels == "micro":
        summed = (bias or summed) if call.operator.type in ("CONV_2D", "FULLY_CONNECTED") else "INT64"
    if bias is not None and bias != summed:
        INT16_BIAS.reproduced(call.numerics, f"a bias of type {bias} with quantized_bias_type {declared}")
        summed = bias
    return np.dtype(summed.lower())


def _weights_zero_point(call: Call, at: Positions, honoured: bool) -> int:
    """The zero point of the weights; QuantizationError if there is one that the kernel does not subtract."""
    weights = _tensor(call, at.weights)
    zero_point = _quantized(weights).zero_point
    if weights.type == "UINT8" and zero_point.size > 1:
        raise _wrong(
            call,
            f"uint8 weights '{weights.name}' with {zero_point.size} scales found, "
            "expected one; only int8 weights have one for each channel"
        )
    if not honoured and np.any(zero_point != 0):
        found = f"weights '{weights.name}' with zero point {int(zero_point[zero_point != 0][0])}"
        if call.operator.type == "CONV_2D":
            raise _wrong(call, f"{found} found, expected 0; quantize them symmetrically")
        WEIGHTS_ZERO_POINT.reproduced(call.numerics, found)
        return 0
    return _in_range(call, weights, int(zero_point[0]))


def _scales(call: Call, at: Positions, checked_bias: bool) -> Scales:
    """The scales, if they fit each other; checked_bias: whether the runtime looks at the bias's scale."""
    weights = _tensor(call, at.weights)
    quantized, count = _quantized(weights), weights.shape[at.axis]
    size, axis = quantized.scale.size, quantized.quantized_dimension
    if size not in (1, count) or (size > 1 and axis != at.axis):
        raise _wrong(
            call,
            f"weights '{weights.name}' of shape {weights.shape} with {size} scales along "
            f"dimension {axis} found, expected 1, or {count} along dimension {at.axis}; convert again"
        )
    input, output = _one_scale(call, _tensor(call, at.input)), _one_scale(call, call.output_tensors[0])
    found = Scales(input, quantized.scale.astype(np.float32), output)
    if checked_bias and size == 1 and call.optional(at.bias) is not None:
        _check_bias_scale(call, found, _tensor(call, at.bias, quantized=False))
    return found


def _check_bias_scale(call: Call, scales: Scales, bias: Tensor) -> None:
    """Source: `tflite/kernels/kernel_util.cc`, GetQuantizedConvolutionMultipler."""
    quantized = bias.quantized
    scale = float(quantized.scale[0]) if quantized is not None and quantized.scale.size == 1 else 0.0
    product = float(scales.input) * float(scales.weights[0])
    if abs(product - scale) > BIAS_TOLERANCE * float(scales.output):
        raise _wrong(
            call,
            f"bias '{bias.name}' with scale {scale} found, expected {product}, the scale "
            "of the input times that of the weights; quantize the bias again"
        )


def _output_stage(
    call: Call, at: Positions, rescale: Callable[[Array], Array], sums: np.dtype[Any]
) -> OutputStage:
    output, bias = call.output_tensors[0], call.optional(at.bias)
    count = _tensor(call, at.weights).shape[at.axis]
    values = np.zeros(count, np.int64)
    if bias is not None:
        tensor = _tensor(call, at.bias, quantized=False)
        if bias.size != count or (tensor.quantized is not None and np.any(tensor.quantized.zero_point != 0)):
            raise _wrong(
                call,
                f"bias '{tensor.name}' of shape {bias.shape} found, expected {count} "
                "integers with zero point 0; convert the model again"
            )
        values = bias.reshape(-1).astype(np.int64)
    zero_point, dtype = _zero_point(call, output), np.dtype(output.dtype)
    single = isinstance(rescale, Float32Rescale)
    bounds = float32_activation_bounds(call) if single else activation_bounds(call)
    return OutputStage(values, rescale, zero_point, bounds, dtype, sums)


def _tensor(call: Call, position: int, quantized: bool = True) -> Tensor:
    tensor = call.tensors[position] if position < len(call.tensors) else None
    if tensor is None or (quantized and tensor.quantized is None):
        raise GraphError(
            f"{call.operator.type}: operand {position} ('{tensor.name if tensor else ''}') is absent or has "
            "no scale, expected a quantized tensor; convert the model again"
        )
    return tensor


def _wrong(call: Call, what: str) -> QuantizationError:
    return QuantizationError(f"{call.operator.type}: {what}")


def _quantized(tensor: Tensor) -> Quantization:
    return tensor.quantized or Quantization(np.zeros(0, np.float32), np.zeros(0, np.int64))


def _one_scale(call: Call, tensor: Tensor) -> np.float32:
    scale = _quantized(tensor).scale
    if scale.size != 1 or not scale[0] > 0:
        raise _wrong(
            call,
            f"tensor '{tensor.name}' with scales {scale[:3]} found, expected one above 0; "
            "calibrate and convert the model again"
        )
    return np.float32(scale[0])


def _zero_point(call: Call, tensor: Tensor) -> int:
    _one_scale(call, tensor)
    return _in_range(call, tensor, int(_quantized(tensor).zero_point[0]))


def _in_range(call: Call, tensor: Tensor, zero_point: int) -> int:
    """A zero point that the tensor's type holds; int16 has none but 0."""
    limits = np.iinfo(tensor.dtype or np.int8)
    lowest, highest = (0, 0) if tensor.type == "INT16" else (int(limits.min), int(limits.max))
    if not lowest <= zero_point <= highest:
        raise _wrong(
            call,
            f"{tensor.type} tensor '{tensor.name}' with zero point {zero_point} found, "
            f"expected {lowest} to {highest}; convert the model again"
        )
    return zero_point
