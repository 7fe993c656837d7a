"""Dynamic-range quantization: weights become int8, activations stay float and are quantized at run time.

Two recipes. "current" is what TensorFlow's converter does today: a scale for each output channel, and a
constant is quantized for those of its readers that have a hybrid kernel. "2018" is what the first release
did: a scale for each tensor, symmetric activations, and every listed weight stored as int8; a reader
without a hybrid kernel gets a DEQUANTIZE in front of it.

Sources: `tflite/converter/transforms/prepare_quantize_dynamic_range.cc` and
`tflite/converter/quantization/lite/toco_legacy/quantize_weights.cc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ptq import kernels
from ptq.errors import InputError
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.passes.fold import supply_bias
from ptq.passes.report import Decision, Report
from ptq.quantizer import WeightFormula, quantize_weights

MINIMUM_ELEMENTS = 1024
"""A weight with fewer elements stays float: quantizing it would save less than it costs at run time."""

WEIGHTS = 1
"""The input at which all operators of these recipes have their weights."""


@dataclass(frozen=True)
class Recipe:
    """The rules of one generation of the converter.

    channel_axis: the quantized dimension for each operator; an operator not listed gets one scale.
    hybrid: operators whose kernel takes int8 weights. stored: operators whose weights become int8 in the
    file but are dequantized before use. versions: what a hybrid operator's version becomes.
    """

    name: str
    formula: WeightFormula
    hybrid: frozenset[str]
    stored: frozenset[str]
    channel_axis: Mapping[str, int]
    versions: Mapping[str, int]
    asymmetric_quantize_inputs: bool


CURRENT = Recipe(
    name="current",
    formula="mlir_dynamic_range",
    hybrid=frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}),
    stored=frozenset(),
    channel_axis={"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0},
    versions={"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12},
    asymmetric_quantize_inputs=True,
)
FIRST_RELEASE = Recipe(
    name="2018",
    formula="legacy_dynamic_range",
    hybrid=frozenset({"CONV_2D", "FULLY_CONNECTED"}),
    stored=frozenset({"DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}),
    channel_axis={},
    versions={"CONV_2D": 2, "FULLY_CONNECTED": 3},
    asymmetric_quantize_inputs=False,
)
RECIPES = {recipe.name: recipe for recipe in (CURRENT, FIRST_RELEASE)}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError lists the names."""
    if name not in RECIPES:
        raise InputError(f"recipe {name!r} found, expected one of {', '.join(map(repr, RECIPES))}")
    return RECIPES[name]


def quantize_dynamic_range(graph: Graph, recipe: Recipe) -> tuple[Graph, Report]:
    """A copy of the graph with int8 weights, and the decision for each operator with its reason.

    Raises QuantizationError, naming the tensor, if a weight is NaN or infinite.
    """
    result = graph.copy()
    for index in range(len(result.tensors)):
        _quantize_tensor(result, index, recipe)
    _mark_hybrid(result, recipe)
    return result, explain(result, recipe)


def explain(graph: Graph, recipe: Recipe | None) -> Report:
    """Say of each operator in which arithmetic it computes, and why. recipe None: nothing was quantized."""
    dequantized = {o.outputs[0]: o.inputs[0] for o in graph.operators if o.type == "DEQUANTIZE"}
    decisions = []
    for position, operator in enumerate(graph.operators):
        tensors = [None if i == ABSENT else graph.tensors[i] for i in operator.inputs]
        arithmetic = kernels.arithmetic(operator, tensors)
        reason = _reason(graph, operator, arithmetic, recipe, dequantized)
        name = graph.tensors[operator.outputs[0]].name if operator.outputs else ""
        decisions.append(Decision(position, operator.custom_code or operator.type, name, arithmetic, reason))
    return Report(tuple(decisions))


def _quantize_tensor(graph: Graph, index: int, recipe: Recipe) -> None:
    """Quantize one constant for the operators that want it so; once for each quantized dimension."""
    tensor = graph.tensors[index]
    if tensor.data is None or tensor.type != "FLOAT32" or tensor.size < MINIMUM_ELEMENTS:
        return
    readers = [o for o in graph.operators if index in o.inputs]
    wanting = [o for o in readers if _wants_int8(o, index, recipe)]
    if not wanting:
        return
    if recipe.stored:
        _store_quantized(graph, index, readers, recipe)
        return
    everyone = len(wanting) == len(readers) and index not in graph.outputs
    by_axis: dict[int | None, list[Operator]] = {}
    for operator in wanting:
        by_axis.setdefault(recipe.channel_axis.get(operator.type), []).append(operator)
    for position, (axis, operators) in enumerate(by_axis.items()):
        quantized = _quantized(tensor, axis, recipe)
        if everyone and position == len(by_axis) - 1:
            graph.tensors[index] = quantized
            continue
        new_index = graph.add_tensor(quantized)
        for operator in operators:
            operator.inputs[WEIGHTS] = new_index


def _wants_int8(operator: Operator, index: int, recipe: Recipe) -> bool:
    return operator.type in recipe.hybrid | recipe.stored and operator.inputs[WEIGHTS] == index


def _quantized(tensor: Tensor, axis: int | None, recipe: Recipe) -> Tensor:
    integers, quantization = quantize_weights(np.asarray(tensor.data), recipe.formula, axis, tensor.name)
    return Tensor(
        tensor.name, tensor.shape, "INT8", integers, quantization, False, tensor.shape_signature, tensor.extra
    )


def _store_quantized(graph: Graph, index: int, readers: list[Operator], recipe: Recipe) -> None:
    """The 2018 rule: the constant becomes int8 for all; a reader that cannot use it gets a DEQUANTIZE."""
    tensor = graph.tensors[index]
    graph.tensors[index] = _quantized(tensor, None, recipe)
    needing = [o for o in readers if not _is_hybrid_use(o, index, recipe)]
    if not needing and index not in graph.outputs:
        return
    name = f"{tensor.name}_dequantize"
    dequantized = graph.add_tensor(Tensor(name, tensor.shape, "FLOAT32", None, None))
    for operator in needing:
        operator.inputs = [dequantized if i == index else i for i in operator.inputs]
    graph.outputs = [dequantized if i == index else i for i in graph.outputs]
    earliest = next((p for p, o in enumerate(graph.operators) if dequantized in o.inputs), 0)
    graph.operators.insert(
        earliest, Operator("DEQUANTIZE", [index], [dequantized], {}, "DequantizeOptions", 2)
    )


def _is_hybrid_use(operator: Operator, index: int, recipe: Recipe) -> bool:
    return operator.type in recipe.hybrid and [
        position for position, i in enumerate(operator.inputs) if i == index
    ] == [WEIGHTS]


def _mark_hybrid(graph: Graph, recipe: Recipe) -> None:
    """Mark the hybrid operators as the converter does.

    A version belongs to the operator code, which all operators of a kind share: one hybrid operator
    raises the version of them all. A hybrid CONV_2D without bias gets one of zeros, which the runtime needs.
    """
    for kind, version in recipe.versions.items():
        same = [o for o in graph.operators if o.type == kind]
        hybrid = [o for o in same if graph.tensors[o.inputs[WEIGHTS]].type == "INT8"]
        grouped = any(_is_grouped(graph, o) for o in hybrid)
        for operator in same if hybrid else []:
            operator.version = max(version, 6) if grouped else version
        for operator in hybrid:
            if kind == "FULLY_CONNECTED":
                operator.options["asymmetric_quantize_inputs"] = recipe.asymmetric_quantize_inputs
            if kind == "CONV_2D":
                supply_bias(graph, operator)


def _is_grouped(graph: Graph, operator: Operator) -> bool:
    if operator.type != "CONV_2D":
        return False
    input, filter = (graph.tensors[i] for i in operator.inputs[:2])
    return bool(input.shape) and input.shape[-1] != filter.shape[-1]


def _reason(
    graph: Graph, operator: Operator, arithmetic: str, recipe: Recipe | None, dequantized: dict[int, int]
) -> str:
    weights_index = operator.inputs[WEIGHTS] if len(operator.inputs) > WEIGHTS else ABSENT
    weights = None if weights_index == ABSENT else graph.tensors[weights_index]
    if operator.type == "DEQUANTIZE":
        return "int8 weights back to float for an operator without a hybrid kernel"
    if arithmetic == "hybrid" and weights is not None and weights.quantized is not None:
        scales = weights.quantized.scale.size
        return f"{weights.size} int8 weights, {'one scale' if scales == 1 else f'{scales} scales'}"
    if arithmetic != "float":
        return "moves or converts data" if arithmetic == "any" else "activations are quantized in the file"
    if recipe is None:
        return "post_training_quantize is off"
    if weights_index in dequantized:
        return "no hybrid kernel: weights stored as int8, read through DEQUANTIZE"
    if operator.type not in recipe.hybrid | recipe.stored:
        if not any(graph.tensors[i].is_constant for i in operator.inputs if i != ABSENT):
            return "has no weights"
        return f"recipe {recipe.name!r} quantizes no constants of this operator"
    if weights is None or not weights.is_constant:
        return "its weights are computed, not stored"
    if weights.size < MINIMUM_ELEMENTS:
        return f"{weights.size} weights, fewer than {MINIMUM_ELEMENTS}"
    return f"its weights are {weights.type}, expected FLOAT32"
