"""What full integer quantization knows of each operator: data, and the questions that it answers.

Sources: the traits of the operators in `tflite/converter/ir/tfl_ops.td` (SameOperandsAndResultsScale,
FixedOutputRangeInterface, AffineOpCoefficient, AccumulatorUniformScale), for int16 activations
`tflite/converter/tools/optimize/operator_property.cc`, and `tools/versioning/op_version.cc` for versions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ptq.errors import GraphError, InputError
from ptq.graph import ABSENT, Graph, Operator, Quantization, type_of
from ptq.quantizer import asymmetric_parameters, symmetric_parameters

MOVERS = frozenset({
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PAD", "PADV2", "CONCATENATION", "SPLIT", "SPLIT_V",
    "PACK", "UNPACK", "SLICE", "STRIDED_SLICE", "GATHER", "TILE", "REVERSE_V2", "DEPTH_TO_SPACE",
    "SPACE_TO_DEPTH", "RESIZE_NEAREST_NEIGHBOR", "SELECT", "SELECT_V2",
})  # fmt: skip
"""Operators that copy integers."""

SAME_SCALE = MOVERS | {"MAX_POOL_2D", "AVERAGE_POOL_2D", "MAXIMUM", "MINIMUM"}
"""Operators whose operands and results have one scale and one zero point, as their kernels do not rescale."""

FIXED_OUTPUT = {
    "INT8": {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)},
    "INT16": {"SOFTMAX": (1 / 32768, 0), "LOGISTIC": (1 / 32768, 0), "TANH": (1 / 32768, 0)},
}
"""Scale and zero point of outputs whose range is known before any data is seen."""

INT8_VERSION = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "TRANSPOSE_CONV": 2, "BATCH_MATMUL": 2,
    "ADD": 2, "SUB": 2, "MUL": 2, "MAXIMUM": 2, "MINIMUM": 2, "AVERAGE_POOL_2D": 2, "MAX_POOL_2D": 2,
    "MEAN": 2, "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 1,
    "LEAKY_RELU": 1, "HARD_SWISH": 1, "RESHAPE": 1, "SQUEEZE": 1, "EXPAND_DIMS": 1, "TRANSPOSE": 2, "PAD": 2,
    "PADV2": 2, "CONCATENATION": 2, "SPLIT": 2, "SPLIT_V": 2, "PACK": 2, "UNPACK": 2, "SLICE": 2,
    "STRIDED_SLICE": 2, "GATHER": 2, "TILE": 3, "REVERSE_V2": 1, "DEPTH_TO_SPACE": 2, "SPACE_TO_DEPTH": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2, "SELECT": 1, "SELECT_V2": 1,
}  # fmt: skip
"""The operators that become integer operators, and the version that says so in the file."""

DEFECTIVE = {"SUM": "the runtime's reference kernel for int8 takes its operand for uint8"}
"""Operators that TensorFlow quantizes and that ptq leaves float, and why."""

INT16_VERSION = {
    "CONV_2D": 8, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 11, "ADD": 3, "SUB": 5, "MUL": 4,
    "AVERAGE_POOL_2D": 3, "MAX_POOL_2D": 3, "SOFTMAX": 3, "LOGISTIC": 3, "TANH": 3, "MAXIMUM": 4,
    "MINIMUM": 4, "RESHAPE": 1, "SQUEEZE": 1, "EXPAND_DIMS": 1, "TRANSPOSE": 4, "PAD": 3, "PADV2": 3,
    "CONCATENATION": 3, "SPLIT": 4, "PACK": 3, "UNPACK": 4, "SLICE": 4, "STRIDED_SLICE": 4, "GATHER": 4,
}  # fmt: skip
"""The same for int16 activations with int8 weights."""


@dataclass(frozen=True)
class Layer:
    """Where an operator with weights has its operands; channel_axis: the output channels in its weights."""

    data: int
    bias: int
    channel_axis: int
    weights: int = 1


LAYERS = {
    "CONV_2D": Layer(0, 2, 0),
    "DEPTHWISE_CONV_2D": Layer(0, 2, 3),
    "FULLY_CONNECTED": Layer(0, 2, 0),
    "TRANSPOSE_CONV": Layer(2, 3, 0),
}
"""Operators whose accumulator starts at a bias, in units of data scale times weight scale."""


@dataclass(frozen=True)
class Scheme:
    """How activations become integers.

    activations: "INT8" (asymmetric) or "INT16" (symmetric). per_channel: a scale for each output channel.
    input_type, output_type: of the model's inputs and outputs, "FLOAT32" or an integer type.
    """

    activations: str = "INT8"
    per_channel: bool = True
    input_type: str = "FLOAT32"
    output_type: str = "FLOAT32"

    @staticmethod
    def of(
        activations: npt.DTypeLike, per_channel: bool, input_type: npt.DTypeLike, output_type: npt.DTypeLike
    ) -> Scheme:
        """The scheme for NumPy's or TensorFlow's types; InputError for one that does not exist."""
        kind = _type_name("activations", activations, ("INT8", "INT16"))
        borders = ("FLOAT32", "INT8", "UINT8") if kind == "INT8" else ("FLOAT32", "INT16")
        return Scheme(
            kind,
            per_channel,
            _type_name("inference_input_type", input_type, borders),
            _type_name("inference_output_type", output_type, borders),
        )

    @property
    def dtype(self) -> np.dtype[np.signedinteger]:
        """Of the activations."""
        return np.dtype(np.int8 if self.activations == "INT8" else np.int16)

    @property
    def versions(self) -> dict[str, int]:
        """The operators that become integer operators, and their versions."""
        return INT8_VERSION if self.activations == "INT8" else INT16_VERSION

    def parameters(self, low: float, high: float) -> Quantization:
        """Scale and zero point for a range of real numbers.

        Source: int8 `quantization_utils.h`, ConvertStatsToQDQs; int16 `tflite/tools/optimize/
        quantization_utils.cc`, GetSymmetricQuantizationParams.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        if self.activations == "INT8":
            return asymmetric_parameters(low, high)
        return symmetric_parameters(low, high, np.int16)

    def fixed_output(self, operator: Operator) -> Quantization | None:
        """Scale and zero point that the operator's kernel demands of its output; None if it does not care."""
        if operator.type not in FIXED_OUTPUT[self.activations] or operator.type not in self.versions:
            return None
        scale, zero_point = FIXED_OUTPUT[self.activations][operator.type]
        return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))

    def shares_scale(self, operator: Operator) -> bool:
        """Whether all operands and results of the operator have one scale."""
        return operator.type in SAME_SCALE and operator.type in self.versions


def is_real(graph: Graph, index: int) -> bool:
    """Whether there is such a tensor, and it holds real numbers."""
    return index != ABSENT and graph.tensors[index].type == "FLOAT32"


def version_of(graph: Graph, operator: Operator, scheme: Scheme) -> int:
    """The version of an integer operator, which may depend on its options and operands."""
    version = scheme.versions[operator.type]
    activation = operator.options.get("fused_activation_function", "NONE")
    if operator.type == "FULLY_CONNECTED" and scheme.activations == "INT8":
        if len(operator.inputs) < 3 or operator.inputs[2] == ABSENT:
            return 6
        return 5 if operator.options.get("keep_num_dims") else version
    if operator.type == "TRANSPOSE_CONV" and len(operator.inputs) > 3:
        return 3 if activation == "NONE" else 4
    if operator.type == "MUL" and scheme.activations == "INT8":
        scales = [graph.tensors[i].quantized for i in (*operator.inputs[:2], *operator.outputs[:1])]
        a, b, out = [s.scale[0] if s else 1 for s in scales] if len(scales) == 3 else (0, 0, 1)
        return 3 if a * b / out >= 1 else version
    if operator.type in ("PAD", "PADV2") and len(graph.tensors[operator.inputs[0]].shape) > 4:
        return 4
    if operator.type == "RESIZE_NEAREST_NEIGHBOR":
        aligned = operator.options.get("half_pixel_centers") or operator.options.get("align_corners")
        return 3 if aligned else version
    return version


def _type_name(option: str, value: npt.DTypeLike, allowed: tuple[str, ...]) -> str:
    dtype = getattr(value, "as_numpy_dtype", value)  # of TensorFlow's own types
    try:
        name = type_of(dtype)
    except (TypeError, GraphError):
        name = str(value)
    if name not in allowed:
        raise InputError(
            f"Converter.{option}: {name} found, expected one of {', '.join(allowed)}, as np.int8 for INT8"
        )
    return name
