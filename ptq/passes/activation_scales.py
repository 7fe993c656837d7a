"""Which scale and zero point each activation gets, from the observed ranges and what operators demand.

Three rules, as TensorFlow's converter has them:

1. An operator with a fixed output range decides alone; what was observed of its output does not count.
2. Operators that only move integers give their one operand's parameters to their results; operators that move
   several operands into one result, such as CONCATENATION, give the result's parameters to all operands.
3. Where two rules demand different parameters of one tensor, a QUANTIZE between integers mediates.

Sources: `tflite/converter/quantization/common/quantization_lib/quantization_utils.cc`,
RemoveRedundantStatsOps, and `tfl_quantization_driver.cc`, PropagateParamsAndReturnIfChanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ptq.calibration import Calibration
from ptq.graph import Graph, Operator, Quantization
from ptq.observers import Range
from ptq.passes.integer_rules import Scheme, is_real


@dataclass
class Scales:
    """The parameters of all real tensors; constants only where they are operands of rule 2.

    ranges: what was observed. observed: the tensors whose parameters come from their own range.
    by_tensor: the parameters.
    written: what an operator writes instead, where its tensor has other parameters (by tensor).
    read: what an operator reads instead (by the operator's identity and the operand's position).
    """

    by_tensor: dict[int, Quantization]
    ranges: dict[int, Range]
    observed: frozenset[int]
    written: dict[int, Quantization] = field(default_factory=dict)
    read: dict[tuple[int, int], Quantization] = field(default_factory=dict)


def choose_scales(graph: Graph, calibration: Calibration, scheme: Scheme) -> Scales:
    """The parameters for all activations of a graph."""
    ranges = {i: found for i in calibration.observers if (found := calibration.range(i)) is not None}
    observed = frozenset(ranges) - _decided_elsewhere(graph, frozenset(ranges), scheme)
    parameters = {i: scheme.parameters(*found) for i, found in ranges.items() if i in observed}
    scales = Scales(parameters, ranges, observed)
    _propagate(graph, scales, scheme)
    return scales


def _decided_elsewhere(graph: Graph, ranges: frozenset[int], scheme: Scheme) -> set[int]:
    """The tensors whose observed range does not count, by rules 1 and 2."""
    redundant: set[int] = set()
    for operator in graph.operators:
        operands = [i for i in operator.inputs if is_real(graph, i)]
        hands_on = scheme.shares_scale(operator) and len(operands) == 1 and operands[0] in ranges
        if hands_on or scheme.fixed_output(operator) is not None:
            redundant.update(ranges.intersection(operator.outputs))
    sources = {output: o.inputs for o in graph.operators if scheme.shares_scale(o) for output in o.outputs}
    waiting = [tensor for tensor in sources if tensor in ranges and tensor not in redundant]
    while waiting:
        found = ranges.intersection(sources.pop(waiting.pop(), ()))
        redundant.update(found)
        waiting.extend(found)
    return redundant


def _propagate(graph: Graph, scales: Scales, scheme: Scheme) -> None:
    """Let each operator of rules 1 and 2 decide once, the last one first, as soon as it knows its parameters.

    An operator that knows nothing yet is asked again when one of its tensors has got parameters.
    """
    waiting = list(graph.operators)
    decided: set[int] = set()

    def touched(tensor: int) -> None:
        neighbours = (o for o in graph.operators if tensor in (*o.inputs, *o.outputs))
        waiting.extend(o for o in neighbours if id(o) not in decided)

    while waiting:
        operator = waiting.pop()
        shared = _shared(graph, operator, scales) if scheme.shares_scale(operator) else None
        if id(operator) in decided or (shared is None and scheme.fixed_output(operator) is None):
            continue
        decided.add(id(operator))
        if shared is not None:
            for position, tensor in enumerate(operator.inputs):
                if is_real(graph, tensor) and _differs(scales, tensor, shared, touched):
                    scales.read[id(operator), position] = shared
        for tensor in operator.outputs:
            demanded = shared or scheme.fixed_output(operator)
            if demanded and is_real(graph, tensor) and _differs(scales, tensor, demanded, touched):
                scales.written[tensor] = demanded


def _differs(scales: Scales, tensor: int, wanted: Quantization, touched: Callable[[int], None]) -> bool:
    """Give parameters to a tensor; True if it has other ones already."""
    if tensor not in scales.by_tensor:
        scales.by_tensor[tensor] = wanted
        touched(tensor)
    return not same(scales.by_tensor[tensor], wanted)


def _shared(graph: Graph, operator: Operator, scales: Scales) -> Quantization | None:
    """The parameters for all tensors of an operator: those of its one result, else the first that exist.

    Parameters that come from an observed range go before those that were handed on.
    """
    results = [i for i in operator.outputs if is_real(graph, i)]
    tensors = [i for i in operator.inputs if is_real(graph, i)] + results
    own = [i for i in tensors if i in scales.observed]
    known = own or [i for i in tensors if i in scales.by_tensor]
    if len(results) == 1 and results[0] in known:
        return scales.by_tensor[results[0]]
    return scales.by_tensor[known[0]] if known else None


def same(a: Quantization, b: Quantization) -> bool:
    """Whether two tensors' integers mean the same real numbers."""
    return bool(a.scale[0] == b.scale[0] and a.zero_point[0] == b.zero_point[0])
