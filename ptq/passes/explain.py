"""Say of each operator of a converted graph in which arithmetic it computes, and why."""

from __future__ import annotations

from ptq import kernels
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.passes.hybrid_defects import hybrid_defect
from ptq.passes.recipes import BASIC_LSTM, Recipe, kind, weight_inputs, weights, what_keeps_float
from ptq.passes.report import Decision, Report
from ptq.passes.rewire import Skipped, output_name, subgraphs

OFF = "post_training_quantize is off"


def explain(
    model: Graph, recipe: Recipe | None, skipped: Skipped = frozenset(), otherwise: str = OFF
) -> Report:
    """The decision for each operator of each subgraph.

    recipe: what quantized the graph, if anything did; `otherwise` is the reason where nothing did.
    """
    decisions = []
    for number, graph in enumerate(subgraphs(model)):
        sources = _dequantized_constants(graph)
        for position, operator in enumerate(graph.operators):
            tensors = [None if i == ABSENT else graph.tensors[i] for i in operator.inputs]
            arithmetic = kernels.arithmetic(operator, tensors)
            reason = _reason(graph, operator, arithmetic, recipe, id(operator) in skipped, sources)
            label = operator.custom_code or operator.type
            name = output_name(graph, operator)
            decisions.append(Decision(position, label, name, arithmetic, reason or otherwise, number))
    return Report(tuple(decisions))


def _dequantized_constants(graph: Graph) -> dict[int, Tensor]:
    """What stands behind each tensor that a DEQUANTIZE of a constant writes."""
    pairs = [(i, o.outputs[0]) for o in graph.operators if _is_dequantize(o) for i in o.inputs]
    return {target: graph.tensors[source] for source, target in pairs if graph.tensors[source].is_constant}


def _is_dequantize(operator: Operator) -> bool:
    whole = len(operator.inputs) == len(operator.outputs) == 1 and ABSENT not in operator.inputs
    return operator.type == "DEQUANTIZE" and whole


def _reason(
    graph: Graph, operator: Operator, arithmetic: str, recipe: Recipe | None, skipped: bool,
    sources: dict[int, Tensor],
) -> str | None:  # fmt: skip
    """Why an operator computes as it does; None if nothing was to be quantized."""
    if _is_dequantize(operator):
        return _what_is_dequantized(graph, operator.inputs[0])
    if _int8_weights(graph, operator):
        return _int8_weights(graph, operator)
    if arithmetic == "integer":
        rescales = operator.type == "QUANTIZE"
        return "integers to another scale" if rescales else "activations are quantized in the file"
    if skipped:
        return "skipped by the user"
    read = [sources[i] for i in operator.inputs if i in sources]
    if any(tensor.type == "FLOAT16" for tensor in read):
        return "constants stored as float16, read through DEQUANTIZE"
    if recipe is not None and recipe.quantizes(operator):
        return _why_float(graph, operator, recipe, sources)
    if read:
        return f"shares '{read[0].name}', which is stored as int8: read through DEQUANTIZE"
    if arithmetic == "any":
        return "moves or converts data"
    if recipe is None:
        return None
    stored = [t for i in operator.inputs if i != ABSENT and (t := graph.tensors[i]).is_constant]
    if not any(tensor.type == "FLOAT32" for tensor in stored):  # axes and sizes are integers
        return "has no weights"
    return f"recipe {recipe.name!r} quantizes no constants of this operator"


def _what_is_dequantized(graph: Graph, index: int) -> str:
    source = graph.tensors[index]
    if source.type == "FLOAT16":
        return "a float16 constant back to float32"
    if any(index in o.outputs and _int8_weights(graph, o) for o in graph.operators if o.type == "GATHER"):
        return "integers back to float: only what was looked up in the table"
    if not source.is_constant:
        return "integers back to float"
    return "int8 weights back to float for an operator without a hybrid kernel"


def _int8_weights(graph: Graph, operator: Operator) -> str | None:
    """How many int8 weights an operator reads, if it reads any."""
    scales = [(t.size, t.quantized.scale.size) for t in weights(graph, operator) if t.quantized is not None]
    if not scales:
        return None
    size, count = (sum(column) for column in zip(*scales, strict=True))
    looked_up = ", looked up as integers" if operator.type == "GATHER" else ""
    return f"{size} int8 weights, {'one scale' if count == 1 else f'{count} scales'}{looked_up}"


def _why_float(graph: Graph, operator: Operator, recipe: Recipe, sources: dict[int, Tensor]) -> str:
    """Why an operator that the recipe quantizes has no int8 weights."""
    indices = [operator.inputs[p] for p in weight_inputs(operator)]
    direct = [graph.tensors[i] for i in indices if i not in sources]
    obstacles = [(tensor, *why) for tensor in direct if (why := what_keeps_float(tensor)) is not None]
    if not indices:
        return "has no weights"
    defect = hybrid_defect(graph, operator, recipe)
    if not obstacles and defect is not None:
        stored = "" if direct else "; weights stored as int8, read through DEQUANTIZE"
        return f"its hybrid kernel has a defect: {defect.what}; {defect.remedy}{stored}"
    if not obstacles:
        kernel = "hybrid kernel for kernel_type BASIC" if kind(operator) == BASIC_LSTM else "hybrid kernel"
        return f"no {kernel}: weights stored as int8, read through DEQUANTIZE"
    if len(obstacles) < len(indices):
        tensor, verb, found = obstacles[0]
        rest = "; the others are int8, read through DEQUANTIZE" if len(direct) < len(indices) else ""
        return f"partly quantizable: '{tensor.name}' {verb} {found}{rest}"
    _, verb, found = max(obstacles, key=lambda obstacle: obstacle[0].size)
    return found if verb == "has" else f"its weights are {found}"
