"""UNIDIRECTIONAL_SEQUENCE_LSTM on integers: int8 activations and weights, int16 gates and cell state.

The output state has the output's scale and zero point. The cell state's scale is a power of two; that of the
gates' sums is 2^-12, whatever their range. Weights have one scale for each matrix, and biases that of input
times weights.

Sources: `tflite/converter/tools/optimize/operator_property.cc` (LSTM) and
`tflite/converter/transforms/prepare_quantize_helper.h`, ConvertLstmStatsToQDQs.
"""

from __future__ import annotations

import math

import numpy as np

from ptq.graph import ABSENT, Graph, Operator, Quantization, Tensor
from ptq.passes.activation_scales import Scales
from ptq.passes.integer_constants import quantize_layer
from ptq.passes.integer_rules import Layer, Scheme, is_real
from ptq.passes.integer_wiring import Wiring
from ptq.passes.rewire import retyped

SEQUENCE = "UNIDIRECTIONAL_SEQUENCE_LSTM"
INPUT, RECURRENT, BIASES = range(1, 5), range(5, 9), range(12, 16)
OUTPUT_STATE, CELL_STATE = 18, 19
INPUTS = 24
"""With the coefficients of layer normalisation: absent, but tflite-micro wants them to be mentioned."""

GATE_EXPONENT = -12
LARGEST_CELL_EXPONENT, SMALLEST_CELL_EXPONENT = -9, -15
"""The kernels know cell states of up to 2^6 and at least 2^0 in all."""

VARIANTS = {9: "peepholes", 10: "peepholes", 11: "peepholes", 16: "a projection", 17: "a projection",
            20: "layer normalisation", 21: "layer normalisation", 22: "layer normalisation",
            23: "layer normalisation"}  # fmt: skip
"""Inputs that only variants of the layer have, which ptq does not quantize in full."""


def lstm_obstacle(graph: Graph, operator: Operator, scales: Scales, scheme: Scheme) -> str | None:
    """Why a sequence LSTM does not become an integer operator; None if it does."""
    inputs = operator.inputs
    if scheme.activations != "INT8":
        return "ptq has no int16 kernel for this operator"
    if len(inputs) <= CELL_STATE or len(operator.outputs) != 1:
        return "some of its operands are missing"
    for position, variant in VARIANTS.items():
        if position < len(inputs) and inputs[position] != ABSENT:
            return f"no full quantization of {variant}"
    if operator.options.get("fused_activation_function") != "TANH":
        return f"no integer kernel with activation {operator.options.get('fused_activation_function')}"
    constants = [inputs[i] for i in (*INPUT, *RECURRENT, *BIASES) if inputs[i] != ABSENT]
    if not all(is_real(graph, i) and graph.tensors[i].is_constant for i in constants):
        return "its weights are computed, or not float"
    states = inputs[OUTPUT_STATE : CELL_STATE + 1]
    if not all(graph.tensors[i].is_variable and len(graph.consumers(i)) == 1 for i in states):
        return "its states are no variables of its own"
    if not all(i in scales.by_tensor for i in (inputs[0], *states, *operator.outputs)):
        return "its activations have no observed range"
    if cell_exponent(scales, inputs[CELL_STATE]) > LARGEST_CELL_EXPONENT:
        return "its cell state exceeds 64, more than the kernels know"
    return None


def cell_exponent(scales: Scales, cell_state: int) -> int:
    """The k of the cell state's scale 2^k: 2^(k + 15) is the smallest power of two that holds its range.

    `ptq.calibration` observes it after every time step, not only at the end of a sequence.
    """
    low, high = scales.ranges[cell_state]
    bound = max(abs(low), abs(high))
    exponent = math.ceil(math.log2(bound)) - 15 if bound > 0 else SMALLEST_CELL_EXPONENT
    return max(exponent, SMALLEST_CELL_EXPONENT)


def quantize_lstm(wiring: Wiring, operator: Operator) -> str:
    """Replace a layer's operands; returns what the report says of it."""
    graph, inputs = wiring.graph, list(operator.inputs)
    inputs[0] = wiring.read(operator, 0)
    output = wiring.scales.by_tensor[operator.outputs[0]]
    exponent = cell_exponent(wiring.scales, inputs[CELL_STATE])
    for position, kind, quantization in (
        (OUTPUT_STATE, "INT8", output), (CELL_STATE, "INT16", _power_of_two(exponent))
    ):  # fmt: skip
        index = inputs[position]
        graph.tensors[index] = retyped(graph.tensors[index], kind, None, quantization)
    data = graph.tensors[inputs[0]].quantization
    assert data is not None, "Wiring.read returns quantized tensors"
    count = 0
    for weights, recurrent, bias in zip(INPUT, RECURRENT, BIASES, strict=True):
        count += _quantize_gate(graph, inputs, (weights, bias), data)
        count += _quantize_gate(graph, inputs, (recurrent, None), output)
    inputs += [ABSENT] * (INPUTS - len(inputs))
    operator.extra["intermediates"] = [graph.add_tensor(t) for t in _intermediates(graph, operator, output)]
    wiring.make_integer(operator, inputs)
    return f"{count} int8 weights, one scale for each matrix; cell state int16 in units of 2^{exponent}"


def _quantize_gate(
    graph: Graph, inputs: list[int], places: tuple[int, int | None], data: Quantization
) -> int:
    """Replace a gate's matrix, and its bias if it is given; returns the number of weights."""
    matrix, bias = inputs[places[0]], ABSENT if places[1] is None else inputs[places[1]]
    if matrix == ABSENT:
        return 0
    weights, bias_tensor = graph.tensors[matrix], None if bias == ABSENT else graph.tensors[bias]
    constants = quantize_layer(weights, bias_tensor, data, Layer(0, 2, 0), Scheme(per_channel=False))
    inputs[places[0]] = graph.add_tensor(constants.weights)
    if constants.bias is not None and places[1] is not None:
        inputs[places[1]] = graph.add_tensor(constants.bias)
    return weights.size


def _intermediates(graph: Graph, operator: Operator, output: Quantization) -> list[Tensor]:
    """The sums of the gates, and the cells' output, which without a projection is the operator's."""
    name = graph.tensors[operator.outputs[0]].name
    gates = [f"{name}/{gate}_gate" for gate in ("input", "forget", "cell", "output")]
    sums = [Tensor(gate, (0,), "INT16", None, _power_of_two(GATE_EXPONENT)) for gate in gates]
    return [*sums, Tensor(f"{name}/hidden", (0,), "INT8", None, output)]


def _power_of_two(exponent: int) -> Quantization:
    return Quantization(np.array([2.0**exponent], np.float32), np.zeros(1, np.int64))
