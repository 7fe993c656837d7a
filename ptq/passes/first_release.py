"""The first release's rule for weights: int8 for all readers, and DEQUANTIZE for those who cannot use it.

    constant -> int8, one scale
      reader is hybrid, all its weights are int8   -> reads it
      its only reader is a look-up                 -> looks integers up; its result counts as the constant
      any other reader, or an output of the graph  -> reads DEQUANTIZE(constant), inserted before the first

Three defects of the original are not repeated. Of an output that is returned twice it dequantizes one, of a
table that is also an output none, so that integers are returned for floats; and it takes a grouped CONV_2D
for hybrid, which the runtime refuses with one scale.
Source: `tflite/converter/quantization/lite/toco_legacy/quantize_weights.cc`, QuantizeWeightsInt8. It visits
the tensors in the order of a hash map, ptq in their own.
"""

from __future__ import annotations

import numpy as np

from ptq.graph import Graph, Operator
from ptq.passes.hybrid_defects import hybrid_defect
from ptq.passes.recipes import Recipe, kind, weight_inputs, weights, what_keeps_float
from ptq.passes.rewire import (
    Skipped,
    Use,
    insert_dequantize,
    position_of,
    redirect,
    redirect_outputs,
    retyped,
    uses,
)
from ptq.quantizer import quantize_weights

LOOK_UPS = ("GATHER", "EMBEDDING_LOOKUP")


def store_weights(model: Graph, graph: Graph, recipe: Recipe, skipped: Skipped) -> list[Operator]:
    """Store the weights of one subgraph as int8; return the operators that asked for it."""
    possible = [o for o in graph.operators if id(o) not in skipped and recipe.quantizes(o)]
    asking = [o for o in possible if any(what_keeps_float(t) is None for t in weights(graph, o))]
    wanted = {o.inputs[position] for o in asking for position in weight_inputs(o)}
    constants = sorted(index for index in wanted if what_keeps_float(graph.tensors[index]) is None)
    for index in constants:
        _store(graph, index, recipe, skipped)
    for index in constants:
        _dequantize_where_needed(model, graph, index, recipe, skipped)
    return asking


def _store(graph: Graph, index: int, recipe: Recipe, skipped: Skipped) -> None:
    """Quantize the constant in place; operators that the user skips keep a float one."""
    constant = graph.tensors[index]
    keeping = [use for use in uses(graph, index) if id(use[0]) in skipped]
    if keeping:
        redirect(keeping, graph.add_tensor(constant))
    integers, quantization = quantize_weights(np.asarray(constant.data), recipe.formula, None, constant.name)
    graph.tensors[index] = retyped(constant, "INT8", integers, quantization)


def _dequantize_where_needed(
    model: Graph, graph: Graph, index: int, recipe: Recipe, skipped: Skipped
) -> None:
    places = uses(graph, index)
    if len(places) == 1 and _is_look_up(places[0][0]) and index not in graph.outputs:
        looked_up = places[0][0].outputs[0]
        quantization = graph.tensors[index].quantization
        graph.tensors[looked_up] = retyped(graph.tensors[looked_up], "INT8", None, quantization)
        index, places = looked_up, uses(graph, looked_up)
    needing = [use for use in places if id(use[0]) in skipped or not _reads_int8(graph, use, recipe)]
    if not needing and index not in graph.outputs:
        return
    source = graph.tensors[index]
    target = graph.add_tensor(retyped(source, "FLOAT32", name=f"{source.name}_dequantize"))
    earliest = min((position_of(graph, o) for o, _ in needing), default=len(graph.operators))
    redirect(needing, target)
    redirect_outputs(model, graph, index, target)
    insert_dequantize(graph, index, target, earliest, version=2)


def _is_look_up(operator: Operator) -> bool:
    return operator.type in LOOK_UPS and len(operator.outputs) == 1


def _reads_int8(graph: Graph, use: Use, recipe: Recipe) -> bool:
    """Whether an operator computes with the int8 tensor that it reads at this position."""
    operator, position = use
    if kind(operator) not in recipe.hybrid or position not in weight_inputs(operator):
        return False
    grouped = operator.type == "CONV_2D" and _channels(graph, operator, 0) != _channels(graph, operator, 1)
    if grouped or hybrid_defect(graph, operator, recipe) is not None:
        return False
    return all(tensor.type == "INT8" for tensor in weights(graph, operator))


def _channels(graph: Graph, operator: Operator, position: int) -> tuple[int, ...]:
    return graph.tensors[operator.inputs[position]].shape[-1:]
