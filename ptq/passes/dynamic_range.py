"""Dynamic-range quantization: weights become int8, activations stay float and are quantized at run time.

This file is today's rule: a constant becomes int8 for each reader that can use it so, and stays float for the
others. Two readers that want different scales get two tensors. The rule of the first release is in
`first_release`, what each rule applies to in `recipes`.

Sources: `tflite/converter/transforms/prepare_quantize_dynamic_range.cc` and, for the place of a DEQUANTIZE,
`tflite/converter/transforms/optimize_op_order.cc`.
"""

from __future__ import annotations

import math

import numpy as np

from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.operators import OPTIONS
from ptq.passes.explain import explain
from ptq.passes.first_release import store_weights
from ptq.passes.fold import supply_bias
from ptq.passes.hybrid_defects import hybrid_defect
from ptq.passes.recipes import Recipe, kind, weight_inputs, weights, what_keeps_float
from ptq.passes.report import Report
from ptq.passes.rewire import (
    Skip,
    Skipped,
    Use,
    insert_dequantize,
    position_of,
    raise_version,
    redirect,
    retyped,
    skipped_operators,
    subgraphs,
    uses,
)
from ptq.quantizer import quantize_weights

PICKING = frozenset({"GATHER", "SLICE", "STRIDED_SLICE"})
"""Operators that pick elements without looking at them, so that they may pick integers as well."""


def quantize_dynamic_range(model: Graph, recipe: Recipe, skip: Skip | None = None) -> tuple[Graph, Report]:
    """A copy of the model with int8 weights in all subgraphs, and the decision for each operator.

    skip: operators for which it is true keep their float weights.
    Raises QuantizationError, naming the tensor, if a weight is NaN or infinite.
    """
    result = model.copy()
    skipped = skipped_operators(result, skip)
    for graph in subgraphs(result):
        if recipe.name == "2018":
            changed = store_weights(result, graph, recipe, skipped)
        else:
            changed = _quantize_weights(graph, recipe, skipped)
        for operator in changed:
            _prepare(graph, operator, recipe)
    _set_versions(result, recipe)
    return result, explain(result, recipe, skipped)


def _quantize_weights(graph: Graph, recipe: Recipe, skipped: Skipped) -> list[Operator]:
    """Quantize the constants of one subgraph for the operators that want it so; return these."""
    wanting = [o for o in graph.operators if id(o) not in skipped and _wants_int8(graph, o, recipe)]
    wanted = {(id(o), position) for o in wanting for position in weight_inputs(o)}
    for index in sorted({o.inputs[position] for o in wanting for position in weight_inputs(o)}):
        places = uses(graph, index)
        quantizable = [(o, p) for o, p in places if (id(o), p) in wanted]
        spare = len(quantizable) == len(places) and index not in graph.outputs
        _quantize_constant(graph, index, quantizable, spare, recipe)
    return wanting


def _wants_int8(graph: Graph, operator: Operator, recipe: Recipe) -> bool:
    """Whether all weights can be quantized: a kernel reads either all of them as int8 or none.

    TensorFlow asks this of UNIDIRECTIONAL_SEQUENCE_LSTM only; of LSTM and SVDF it writes mixtures, which
    the runtime refuses or misreads.
    """
    found = weights(graph, operator)
    quantizable = bool(found) and all(what_keeps_float(t) is None for t in found)
    return recipe.quantizes(operator) and quantizable and hybrid_defect(graph, operator, recipe) is None


def _quantize_constant(graph: Graph, index: int, places: list[Use], spare: bool, recipe: Recipe) -> None:
    """An int8 tensor for each quantized dimension; the last one replaces the constant if that is `spare`."""
    constant = graph.tensors[index]
    by_axis: dict[int | None, list[Use]] = {}
    for operator, position in places:
        by_axis.setdefault(recipe.channel_axis.get(operator.type), []).append((operator, position))
    for number, (axis, readers) in enumerate(by_axis.items(), start=1):
        integers, quantization = quantize_weights(
            np.asarray(constant.data), recipe.formula, axis, constant.name
        )
        quantized = retyped(constant, "INT8", integers, quantization)
        new = index
        if spare and number == len(by_axis):
            graph.tensors[index] = quantized
        else:
            new = graph.add_tensor(quantized)
        redirect([use for use in readers if kind(use[0]) in recipe.hybrid], new)
        stored = [use for use in readers if kind(use[0]) in recipe.stored]
        if stored:
            _read_through_dequantize(graph, new, stored)


def _read_through_dequantize(graph: Graph, constant: int, places: list[Use]) -> None:
    """One DEQUANTIZE for all readers; behind those that only pick elements, as long as they get fewer."""
    chain = _picking_chain(graph, places)
    if not chain:
        original = graph.tensors[constant]
        target = graph.add_tensor(retyped(original, "FLOAT32", name=f"{original.name}_dequantize"))
        redirect(places, target)
        insert_dequantize(graph, constant, target, 0, version=2)
        return
    redirect(places, constant)
    quantization = graph.tensors[constant].quantization
    for operator in chain[:-1]:
        picked = operator.outputs[0]
        graph.tensors[picked] = retyped(graph.tensors[picked], "INT8", None, quantization)
    last, target = chain[-1], chain[-1].outputs[0]
    result = graph.tensors[target]
    integers = graph.add_tensor(retyped(result, "INT8", None, quantization, f"{result.name}_quantized"))
    last.outputs = [integers]
    insert_dequantize(graph, integers, target, position_of(graph, last) + 1, version=2)


def _picking_chain(graph: Graph, places: list[Use]) -> list[Operator]:
    """The operators, each the only reader of the one before, that pick fewer and fewer elements."""
    chain: list[Operator] = []
    while len(places) == 1:
        operator, position = places[0]
        if operator.type not in PICKING or position != 0 or len(operator.outputs) != 1:
            break
        source, result = operator.inputs[0], operator.outputs[0]
        if _elements(graph.tensors[result]) >= _elements(graph.tensors[source]):
            break
        chain.append(operator)
        places = [] if result in graph.outputs else uses(graph, result)
    return chain


def _elements(tensor: Tensor) -> int:
    """The number of elements, where a dimension that may change counts as one."""
    shape = tensor.shape if tensor.shape_signature is None else tensor.shape_signature
    return math.prod(abs(size) for size in shape)


def _prepare(graph: Graph, operator: Operator, recipe: Recipe) -> None:
    """What the kernel needs beside int8 weights: the flag for its activations, and CONV_2D a bias."""
    if "asymmetric_quantize_inputs" in OPTIONS.get(operator.type, ("", {}))[1]:
        operator.options["asymmetric_quantize_inputs"] = recipe.asymmetric_quantize_inputs
    if operator.type == "CONV_2D":
        supply_bias(graph, operator)


def _set_versions(model: Graph, recipe: Recipe) -> None:
    """The versions that the converter writes: today's only raises those of operators with int8 weights.

    The first release's sets them for all operators of the types it knows, quantized or not.
    """
    every = [(graph, operator) for graph in subgraphs(model) for operator in graph.operators]
    if recipe.name == "2018":
        for _, operator in every:
            operator.version = recipe.versions.get(operator.type, operator.version)
    else:
        for type in {operator.type for graph, operator in every if _reads_int8(graph, operator)}:
            raise_version(model, type, recipe.versions.get(type, 1))
    raise_version(model, "DEQUANTIZE", 1)


def _reads_int8(graph: Graph, operator: Operator) -> bool:
    return any(index != ABSENT and graph.tensors[index].type == "INT8" for index in operator.inputs)
