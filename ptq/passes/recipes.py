"""What each generation of TensorFlow's converter quantizes: data, and the questions that it answers.

"current" is what the converter does today: a scale for each output channel, and a constant is quantized for
those of its readers that have a hybrid kernel. "2018" is what the first release did: a scale for each
tensor, symmetric activations, and every listed weight stored as int8; a reader without a hybrid kernel gets
a DEQUANTIZE in front of it.

Sources: for "current" `tflite/converter/ir/tfl_ops.td` (DynamicRangeQuantizedOpInterface) and
`tflite/converter/tools/versioning/op_version.cc`; for "2018"
`tflite/converter/quantization/lite/toco_legacy/quantize_weights.cc` without `use_updated_hybrid_scheme`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ptq.errors import InputError
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.operators import WEIGHT_INPUTS
from ptq.quantizer import WeightFormula

MINIMUM_ELEMENTS = 1024
"""A weight with fewer elements stays float: quantizing it would save less than it costs at run time."""

BASIC_LSTM = "LSTM of kernel_type BASIC"
"""LSTM with five inputs and one matrix for all gates, an operator of its own in all but the name."""


@dataclass(frozen=True)
class Recipe:
    """The rules of one generation of the converter.

    channel_axis: the quantized dimension for each operator; an operator not listed gets one scale.
    hybrid: operators whose kernel takes int8 weights. stored: operators whose weights become int8 in the
    file but are dequantized before use. versions: what the version of such operators becomes.
    """

    name: str
    formula: WeightFormula
    hybrid: frozenset[str]
    stored: frozenset[str]
    channel_axis: Mapping[str, int]
    versions: Mapping[str, int]
    asymmetric_quantize_inputs: bool

    def quantizes(self, operator: Operator) -> bool:
        """Whether the weights of such an operator become int8 at all."""
        return kind(operator) in self.hybrid or kind(operator) in self.stored


CURRENT = Recipe(
    name="current",
    formula="mlir_dynamic_range",
    # RNN and BIDIRECTIONAL_SEQUENCE_RNN do not exist in today's converter, and it multiplies a
    # UNIDIRECTIONAL_SEQUENCE_RNN into a score of them; here all three follow SVDF and the LSTMs
    hybrid=frozenset(WEIGHT_INPUTS) - {"GATHER"},
    stored=frozenset({"GATHER"}),
    channel_axis={
        "CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0,
        "EMBEDDING_LOOKUP": 0,
    },
    versions={
        "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12, "TRANSPOSE_CONV": 2, "BATCH_MATMUL": 4,
        "GATHER": 2, "SLICE": 2, "STRIDED_SLICE": 2, "EMBEDDING_LOOKUP": 4, "SVDF": 4, "RNN": 3,
        "UNIDIRECTIONAL_SEQUENCE_RNN": 3, "BIDIRECTIONAL_SEQUENCE_RNN": 3, "LSTM": 4,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": 3, "BIDIRECTIONAL_SEQUENCE_LSTM": 3,
    },
    asymmetric_quantize_inputs=True,
)  # fmt: skip
FIRST_RELEASE = Recipe(
    name="2018",
    formula="legacy_dynamic_range",
    # BIDIRECTIONAL_SEQUENCE_RNN has a hybrid kernel, which is never used: the legacy pass takes its two
    # states for weights, waits for them to become int8, and so dequantizes the real ones
    hybrid=frozenset({
        "CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "SVDF", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM",
        "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM",
    }),
    stored=frozenset({
        "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "GATHER", "EMBEDDING_LOOKUP", "BIDIRECTIONAL_SEQUENCE_RNN",
        BASIC_LSTM,
    }),
    channel_axis={},
    versions={
        "CONV_2D": 2, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 3, "BATCH_MATMUL": 1, "EMBEDDING_LOOKUP": 3,
        "SVDF": 2, "RNN": 2, "UNIDIRECTIONAL_SEQUENCE_RNN": 2, "BIDIRECTIONAL_SEQUENCE_RNN": 2, "LSTM": 3,
        "UNIDIRECTIONAL_SEQUENCE_LSTM": 2, "BIDIRECTIONAL_SEQUENCE_LSTM": 3,
    },
    asymmetric_quantize_inputs=False,
)  # fmt: skip
RECIPES = {recipe.name: recipe for recipe in (CURRENT, FIRST_RELEASE)}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError lists the names."""
    if name not in RECIPES:
        raise InputError(f"recipe {name!r} found, expected one of {', '.join(map(repr, RECIPES))}")
    return RECIPES[name]


def kind(operator: Operator) -> str:
    """The operator's type, except that LSTM is two operators under one name."""
    if operator.type == "LSTM" and operator.options.get("kernel_type", "FULL") != "FULL":
        return BASIC_LSTM
    return operator.type


def weight_inputs(operator: Operator) -> list[int]:
    """The positions of the weights that are present among the operator's inputs."""
    positions = (2,) if kind(operator) == BASIC_LSTM else WEIGHT_INPUTS.get(operator.type, ())
    return [p for p in positions if p < len(operator.inputs) and operator.inputs[p] != ABSENT]


def weights(graph: Graph, operator: Operator) -> list[Tensor]:
    """The weights that are present among the operator's inputs."""
    return [graph.tensors[operator.inputs[p]] for p in weight_inputs(operator)]


def what_keeps_float(tensor: Tensor) -> tuple[str, str] | None:
    """Why a weight cannot be quantized, as verb and object; None if it can."""
    if tensor.data is None:
        return "is", "computed, not stored"
    if tensor.type != "FLOAT32":
        return "is", f"{tensor.type}, expected FLOAT32"
    if tensor.size < MINIMUM_ELEMENTS:
        return "has", f"{tensor.size} weights, fewer than {MINIMUM_ELEMENTS}"
    return None
