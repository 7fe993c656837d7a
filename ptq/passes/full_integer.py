"""Full integer quantization: a float model with observed ranges becomes one that computes with integers.

Every operator with an integer kernel reads and writes integers; the others stay float between DEQUANTIZE and
QUANTIZE. Only the main graph is quantized: the subgraphs that WHILE and IF run, and those of further
signatures, stay float.

Sources: `tflite/converter/transforms/prepare_quantize.cc`, `quantize.cc`, `post_quantize.cc` and
`modify_io_nodes.cc`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptq.calibration import Calibration
from ptq.graph import ABSENT, Graph, Operator
from ptq.kernels.integer import INTEGER
from ptq.passes.activation_scales import Scales, choose_scales
from ptq.passes.explain import explain
from ptq.passes.fold import remove_unused_tensors
from ptq.passes.integer_constants import quantize_activation, quantize_layer
from ptq.passes.integer_lstm import SEQUENCE, lstm_obstacle, quantize_lstm
from ptq.passes.integer_rules import DEFECTIVE, LAYERS, Scheme, is_real, version_of
from ptq.passes.integer_wiring import Wiring
from ptq.passes.report import Report
from ptq.passes.rewire import Skip, raise_version, skipped_operators

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
"""The fused activations that clamp, which integers can do as well as reals."""

Reasons = dict[int, str]
"""Why an operator computes as it does, by its identity."""


def quantize_full_integer(
    model: Graph, calibration: Calibration, scheme: Scheme, skip: Skip | None = None
) -> tuple[Graph, Report]:
    """A copy of the model that computes with integers, and the decision for each operator.

    skip: operators for which it is true stay float. Raises QuantizationError, naming the tensor, if a
    constant is NaN or infinite; GraphError if the model contradicts itself.
    """
    model.validate()
    graph = model.copy()
    scales = choose_scales(graph, calibration, scheme)
    skipped = skipped_operators(graph, skip)
    obstacles = {id(o): _obstacle(graph, o, scales, scheme, id(o) in skipped) for o in graph.operators}
    wiring = Wiring(graph, scales, scheme, {id(o) for o in graph.operators if obstacles[id(o)] is None})
    reasons: Reasons = {key: why for key, why in obstacles.items() if why}
    for operator in graph.operators:
        if obstacles[id(operator)] is None:
            reasons[id(operator)] = _quantize_operator(wiring, operator)
        else:
            wiring.keep_float(operator)
    wiring.finish()
    _set_versions(graph, wiring)
    remove_unused_tensors(graph, [s for s in graph.signatures if s.subgraph == 0])
    graph.validate()
    return graph, _report(graph, reasons)


def _obstacle(graph: Graph, operator: Operator, scales: Scales, scheme: Scheme, skipped: bool) -> str | None:
    """Why an operator does not become an integer operator; None if it does."""
    reals = [i for i in (*operator.inputs, *operator.outputs) if is_real(graph, i)]
    unknown = [i for i in reals if i not in scales.by_tensor and not graph.tensors[i].is_constant]
    if not reals:
        return "reads and writes no real numbers"
    if operator.type == SEQUENCE and not skipped:
        return lstm_obstacle(graph, operator, scales, scheme)
    if operator.type not in scheme.versions:
        return DEFECTIVE.get(operator.type, _without_rule(operator, scheme))
    if skipped:
        return "skipped by the user"
    if all(graph.tensors[i].is_constant for i in operator.inputs if i != ABSENT):
        return "computes from constants alone"
    if unknown:
        return f"'{graph.tensors[unknown[0]].name}' has no observed range"
    activation = operator.options.get("fused_activation_function", "NONE")
    if activation not in ACTIVATIONS or (operator.type == "CONCATENATION" and activation != "NONE"):
        return f"no integer kernel with fused {activation}"
    return _layer_obstacle(graph, operator, scheme) if operator.type in LAYERS else None


def _without_rule(operator: Operator, scheme: Scheme) -> str:
    """Who lacks what: the converter a rule, or ptq the kernel, too."""
    kind = scheme.activations.lower()
    if operator.type in INTEGER:
        return f"the converter has no rule for {kind} activations of this operator"
    return f"ptq has no {kind} kernel for this operator"


def _layer_obstacle(graph: Graph, operator: Operator, scheme: Scheme) -> str | None:
    """Why the weights or the bias of an operator cannot become integers; None if they can."""
    layer = LAYERS[operator.type]
    if len(operator.inputs) <= max(layer.data, layer.weights):
        return "some of its operands are missing"
    if not is_real(graph, operator.inputs[layer.data]) or operator.inputs[layer.weights] == ABSENT:
        return "its data are no floats"
    weights = graph.tensors[operator.inputs[layer.weights]]
    dense = operator.type == "FULLY_CONNECTED" and scheme.activations == "INT8"
    if not weights.is_constant and not (dense and is_real(graph, operator.inputs[layer.weights])):
        return "its weights are computed, not stored"
    if weights.type != "FLOAT32":
        return f"its weights are {weights.type}, expected FLOAT32"
    if weights.is_constant and len(weights.shape) <= layer.channel_axis:
        return f"its weights have shape {weights.shape}, expected {layer.channel_axis + 1} or more dimensions"
    bias = _bias(operator)
    if bias == ABSENT:
        return None
    if not graph.tensors[bias].is_constant or not is_real(graph, bias) or not weights.is_constant:
        return "its bias or its weights are computed, not stored as float"
    channels = weights.shape[layer.channel_axis]
    if graph.tensors[bias].shape != (channels,):
        return f"its bias has shape {graph.tensors[bias].shape}, expected ({channels},)"
    return None


def _bias(operator: Operator) -> int:
    position = LAYERS[operator.type].bias
    return operator.inputs[position] if position < len(operator.inputs) else ABSENT


def _quantize_operator(wiring: Wiring, operator: Operator) -> str:
    """Let an operator read and write integers; returns what the report says of it."""
    if operator.type == SEQUENCE:
        return quantize_lstm(wiring, operator)
    layer = LAYERS.get(operator.type)
    stored = layer is not None and wiring.graph.tensors[operator.inputs[layer.weights]].is_constant
    inputs, reason = list(operator.inputs), f"{wiring.scheme.activations.lower()} activations"
    for position, tensor in enumerate(operator.inputs):
        of_layer = layer is not None and stored and position in (layer.weights, layer.bias)
        if tensor in wiring.reals and not of_layer:
            inputs[position] = _operand(wiring, operator, position)
    if layer is not None and stored:
        reason = _quantize_layer(wiring, operator, inputs)
    wiring.make_integer(operator, inputs)
    if wiring.scheme.activations == "INT16":
        _set_options(operator)
    return reason


def _operand(wiring: Wiring, operator: Operator, position: int) -> int:
    """The integer tensor that stands for a real operand."""
    index = operator.inputs[position]
    tensor = wiring.graph.tensors[index]
    if not tensor.is_constant:
        return wiring.read(operator, position)
    shared = wiring.scales.by_tensor.get(index) if wiring.scheme.shares_scale(operator) else None
    shared = wiring.scales.read.get((id(operator), position), shared)
    return wiring.graph.add_tensor(quantize_activation(tensor, wiring.scheme, shared))


def _quantize_layer(wiring: Wiring, operator: Operator, inputs: list[int]) -> str:
    """Replace weights and bias among `inputs`; returns what the report says of them."""
    graph, layer, bias = wiring.graph, LAYERS[operator.type], _bias(operator)
    data = graph.tensors[inputs[layer.data]].quantization
    assert data is not None, "Wiring.read returns quantized tensors"
    weights = graph.tensors[operator.inputs[layer.weights]]
    constants = quantize_layer(
        weights, None if bias == ABSENT else graph.tensors[bias], data, layer, wiring.scheme
    )
    inputs[layer.weights] = wiring.constant(operator.inputs[layer.weights], constants.weights)
    if constants.bias is not None:
        inputs[layer.bias] = graph.add_tensor(constants.bias)
    count = np.size(constants.weights.quantization.scale) if constants.weights.quantization else 0
    reason = f"{weights.size} int8 weights, {'one scale' if count == 1 else f'{count} scales'}"
    if constants.raised > 1:
        reason += f"; scale raised by up to {constants.raised:.3g}, as the bias would exceed 2^30 steps"
    return reason


def _set_options(operator: Operator) -> None:
    """What the int16 kernels want to be told; int8 kernels do not look at it."""
    if "pot_scale_int16" in operator.options:
        operator.options["pot_scale_int16"] = False
    if "quantized_bias_type" in operator.options:
        operator.options["quantized_bias_type"] = "INT64"


def _set_versions(graph: Graph, wiring: Wiring) -> None:
    for operator in graph.operators:
        if id(operator) in wiring.integer and operator.type != SEQUENCE:
            raise_version(graph, operator.type, version_of(graph, operator, wiring.scheme))
    for kind in ("QUANTIZE", "DEQUANTIZE"):
        raise_version(graph, kind, 1)


def _report(graph: Graph, reasons: Reasons) -> Report:
    """The decisions of `explain`, with the reasons that this pass had for the main graph."""
    decisions = explain(graph, None, otherwise="operators of subgraphs stay float")
    mine = [reasons.get(id(o)) for o in graph.operators]
    return Report(tuple(
        replace(d, reason=why) if d.subgraph == 0 and (why := mine[d.operator]) else d for d in decisions
    ))  # fmt: skip
