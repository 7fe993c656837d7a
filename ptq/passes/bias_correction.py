"""Empirical bias correction: quantized weights shift the mean of a layer's outputs; its bias takes that back.

The error of a weight is the same for every input, so that a layer with few weights per channel (a depthwise
one has nine) is wrong on average, and not only noisy:

    shift[o] = E[w_o * x] - E[w~_o * x~]    over the samples and the places of an image, before the activation
    bias~[o] = bias~[o] + shift[o]   (Q43)  in steps of the bias' own scale

w~ and x~ being the reals that the integers stand for. Layer after layer, since x~ comes from layers that are
corrected already. A layer is linear before its activation, so that the mean of its outputs is its output for
the mean input, and this is how both are computed here.
Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), 4.2
and appendix D.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.calibration import Dataset, in_order
from ptq.errors import InputError
from ptq.fixed_point import round_half_away
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.interpreter import Interpreter
from ptq.kernels.call import Call
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.passes.fold import CHANNEL_AXIS
from ptq.passes.rewire import output_name, position_of
from ptq.quantizer import dequantize, quantize
from ptq.terminal import table

Array = npt.NDArray[Any]

Values = list[dict[int, Array]]
"""What some tensors hold for each sample, by the tensors' indices."""


@dataclass(frozen=True)
class Corrected:
    """A layer by the name of its output in the original model, and what was added to its bias.

    shift: float64 [channels], as a real number.
    """

    name: str
    shift: Array


@dataclass(frozen=True)
class BiasReport(Sequence[Corrected]):
    """The corrected layers in execution order; prints as a table. skipped: the others, and why."""

    layers: tuple[Corrected, ...]
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Corrected:  # type: ignore[override]  # slices are not needed
        return self.layers[index]

    def __str__(self) -> str:
        header = ["layer", "channels", "mean |shift|", "largest |shift|"]
        sizes = [(layer, np.abs(layer.shift)) for layer in self.layers]
        rows = [[x.name, str(s.size), f"{s.mean():.3g}", f"{s.max(initial=0.0):.3g}"] for x, s in sizes]
        lines = [table(header, rows, set(header[1:]), cut="layer")] if rows else []
        return "\n".join([*lines, *(f"not corrected: {name}: {reason}" for name, reason in self.skipped)])


def correct_bias(
    quantized: Graph, original: Graph, representative_dataset: Dataset, numerics: Numerics = LITERT_REFERENCE
) -> tuple[Graph, BiasReport]:
    """A copy of a quantized model with corrected biases, and what was added to each. The main graph only.

    quantized: what a `Converter` made of `original`, with integer or hybrid layers (where only the error of
    the weights counts). representative_dataset: samples as for calibration, kept in memory all at once.

    Errors: InputError if the models' layers do not match, or for no samples or some that do not fit.
    """
    graph = quantized.copy()
    graph.validate()
    references, targets = _matching_layers(original, graph)
    samples = representative_dataset() if callable(representative_dataset) else representative_dataset
    arrays = [in_order(original, sample, number) for number, sample in enumerate(samples)]
    if not arrays:
        raise InputError("representative_dataset: no samples found, expected at least one")
    layers, skipped = [], []
    means = _mean_inputs(original, references, arrays, numerics)
    quantized_means = _mean_inputs(graph, targets, arrays, numerics)
    for reference, layer, x, quantized_x in zip(references, targets, means, quantized_means, strict=True):
        name, obstacle = output_name(original, reference), _obstacle(graph, layer)
        if obstacle is not None:
            skipped.append((name, obstacle))
            continue
        shift = _mean_output(original, reference, x) - _mean_output(graph, layer, quantized_x)
        bias = graph.tensors[layer.inputs[2]]
        bias.data = _shifted(bias, shift)
        layers.append(Corrected(name, shift))
    return graph, BiasReport(tuple(layers), tuple(skipped))


def _matching_layers(original: Graph, graph: Graph) -> tuple[list[Operator], list[Operator]]:
    """The layers of both models in execution order."""
    references, targets = _layers(original), _layers(graph)
    shapes = ([(o.type, g.tensors[o.inputs[1]].shape) for o in _layers(g)] for g in (original, graph))
    if next(shapes) != next(shapes):
        raise InputError(
            f"correct_bias: {len(targets)} layers with weights found in the quantized model, "
            f"{len(references)} in the original one, and they do not match; expected as original the float "
            "graph that the converter was given"
        )
    return references, targets


def _layers(graph: Graph) -> list[Operator]:
    """The operators of data that is fed or computed, and of weights."""
    return [
        operator
        for operator in graph.operators
        if operator.type in CHANNEL_AXIS
        and len(operator.inputs) > 1
        and ABSENT not in operator.inputs[:2]
        and graph.tensors[operator.inputs[0]].data is None
    ]


def _obstacle(graph: Graph, layer: Operator) -> str | None:
    """Why a layer's bias cannot be corrected; None if it can."""
    weights = graph.tensors[layer.inputs[1]]
    if weights.data is None or weights.quantized is None or len(weights.shape) <= CHANNEL_AXIS[layer.type]:
        return "its weights are not quantized"
    if len(layer.inputs) < 3 or layer.inputs[2] == ABSENT:
        return "it has no bias"
    bias = graph.tensors[layer.inputs[2]]
    if bias.data is None or len(graph.consumers(layer.inputs[2])) > 1:
        return "its bias is computed, or used elsewhere, too"
    if bias.shape != (weights.shape[CHANNEL_AXIS[layer.type]],):
        return f"its bias has shape {bias.shape}"
    if bias.type != "FLOAT32" and bias.quantized is None:
        return "its bias has no scale"
    return None


def _shifted(bias: Tensor, shift: Array) -> Array:
    """The bias with a real number added to each channel."""
    data = np.asarray(bias.data)
    if bias.quantized is None:
        return (data + shift).astype(np.float32)
    steps = round_half_away(shift / bias.quantized.scale)
    limits = np.iinfo(data.dtype)
    return np.clip(data.astype(np.float64) + steps, limits.min, limits.max).astype(data.dtype)


# --- means ----------------------------------------------------------------------------------------


def _mean_output(graph: Graph, layer: Operator, mean_input: Array) -> Array:
    """The mean over all places of a layer's output before its activation: float64 [channels]."""
    weights = graph.tensors[layer.inputs[1]]
    without = replace(layer, options={**layer.options, "fused_activation_function": "NONE"}, inputs=[0, 1])
    x, w = mean_input.astype(np.float32), _reals(weights, np.asarray(weights.data))
    tensors: list[Tensor | None] = [Tensor("mean", x.shape), Tensor("weights", w.shape)]
    channels = w.shape[CHANNEL_AXIS[layer.type]]
    bias = np.zeros(channels, np.float32)
    call = Call(without, [*tensors, Tensor("bias", bias.shape)], [x, w, bias], [Tensor("output", ())])
    (y,) = kernels.evaluate(call, f"{layer.type} on the mean of its inputs")
    mean: Array = y.reshape(-1, channels).mean(axis=0, dtype=np.float64) + _bias(graph, layer)
    return mean


def _bias(graph: Graph, layer: Operator) -> Array:
    """The real bias, float64 [channels], or 0 without one."""
    tensor = graph.tensors[layer.inputs[2]] if len(layer.inputs) > 2 and layer.inputs[2] != ABSENT else None
    if tensor is None:
        return np.zeros(1)
    scale = 1.0 if tensor.quantized is None else tensor.quantized.scale.astype(np.float64)
    return np.asarray(tensor.data, np.float64) * scale


def _reals(tensor: Tensor, value: Array) -> Array:
    return value if tensor.quantized is None else dequantize(value, tensor.quantized)


def _mean_inputs(
    graph: Graph, layers: list[Operator], samples: list[list[Array]], numerics: Numerics
) -> Iterator[Array]:
    """The mean over all samples of what each layer reads: float64 [1, ...], as reals.

    The model runs from layer to layer on all samples, so that what is changed in a layer before the next mean
    is asked for counts.
    """
    held = [dict(zip(graph.inputs, _fed(graph, arrays), strict=True)) for arrays in samples]
    start = 0
    for layer in layers:
        stop = position_of(graph, layer)
        held = _run(graph, slice(start, stop), held, numerics)
        tensor, start = graph.tensors[layer.inputs[0]], stop
        values = [_reals(tensor, values[layer.inputs[0]]) for values in held]
        if len({value.shape[1:] for value in values}) > 1:
            raise InputError(f"correct_bias: '{tensor.name}' has several shapes in the samples, expected one")
        total = sum(value.sum(axis=0, keepdims=True, dtype=np.float64) for value in values)
        yield np.asarray(total) / sum(len(value) for value in values)


def _run(graph: Graph, part: slice, held: Values, numerics: Numerics) -> Values:
    """Run a part of the operators on each sample's tensors; returns those that later operators read."""
    operators = graph.operators[part]
    later = {i for operator in graph.operators[part.stop :] for i in operator.inputs}
    written = {i for operator in operators for i in operator.outputs}
    fed = sorted({i for operator in operators for i in operator.inputs} & held[0].keys())
    kept = sorted(written & later)
    tensors = list(graph.tensors)
    for i in fed:  # any batch size
        tensors[i] = replace(tensors[i], shape_signature=(-1,) * len(tensors[i].shape))
    piece = replace(graph, tensors=tensors, operators=operators, inputs=fed, outputs=kept, signatures=[])
    interpreter = Interpreter(graph=piece, numerics=numerics)
    results = []
    for values in held:
        interpreter.reset_all_variables()
        outputs = interpreter.run([values[i] for i in fed])
        waiting = {i: x for i, x in values.items() if i in later}
        results.append(waiting | dict(zip(kept, outputs, strict=True)))
    return results


def _fed(graph: Graph, arrays: list[Array]) -> list[Array]:
    """A sample as the model takes it: integers, if the quantized model was asked to take these."""
    tensors = [graph.tensors[i] for i in graph.inputs]
    return [
        quantize(x, t.quantized, t.dtype) if t.quantized and t.dtype and x.dtype == np.float32 else x
        for t, x in zip(tensors, arrays, strict=True)
    ]
