"""Random weights that behave like trained ones: every layer is normalized, as batch norm does in training.

Of independent random weights alone a deep network does not stay near unit variance: what a window sees is
correlated, and ReLU makes loud places of an image louder, layer after layer. So the statistics are measured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptq import kernels
from ptq.graph import Array, Graph, Operator
from ptq.kernels.activation import clamp_float
from ptq.kernels.call import Call

BLOCKS = 8
"""A random image is made of 8 x 8 blocks of one colour each, and of finer noise upon them."""


def random_images(count: int, resolution: int, rng: np.random.Generator) -> Array:
    """Images in -1..1 with structure at two scales: float32 [count, resolution, resolution, 3]."""
    size = -(-resolution // BLOCKS)
    colours = rng.uniform(-1, 1, (count, BLOCKS, BLOCKS, 3)).astype(np.float32)
    coarse = colours.repeat(size, axis=1).repeat(size, axis=2)[:, :resolution, :resolution]
    fine = rng.standard_normal((count, resolution, resolution, 3), np.float32)
    return np.clip(coarse + np.float32(0.2) * fine, -1, 1)


def sample_images(resolution: int, rng: np.random.Generator) -> Array:
    """Two images for `standardize`, one of blocks, one of noise: float32 [2, resolution, resolution, 3].

    With blocks alone, channels that see edges would be made so loud that noise, all edges, overflows.
    """
    noise = rng.uniform(-1, 1, (1, resolution, resolution, 3)).astype(np.float32)
    return np.concatenate([random_images(1, resolution, rng), noise])


def standardize(graph: Graph, images: Array) -> None:
    """Scale and shift the weights of a graph, in place: on these images every layer has mean 0, variance 1.

    In execution order, with mean m and standard deviation s of each channel over all images and places:

        CONV_2D before its activation:  w := w / s,  b := (b - m) / s       (m, s of its output)
        MUL by a constant:              multiplier := 1 / s                 (s of its input)
        ADD of a constant:              offset := -m                        (m of its input)

    which is batch normalization with gamma 1 and beta 0, folded where it can be. A layer with a single place,
    such as the logits, is normalized over its channels instead.
    """
    values = {graph.inputs[0]: images}
    last_use = {index: position for position, o in enumerate(graph.operators) for index in o.inputs}
    for position, operator in enumerate(graph.operators):
        if operator.type == "CONV_2D":
            output = _standardized_convolution(graph, operator, values)
        else:
            _set_constant(graph, operator, values)
            output = _evaluate(graph, operator, values)
        for index in operator.inputs:
            if last_use[index] == position:
                values.pop(index, None)
        values[operator.outputs[0]] = output


def _standardized_convolution(graph: Graph, operator: Operator, values: dict[int, Array]) -> Array:
    """Standardize the weights; returns the output that they have then."""
    activation = operator.options["fused_activation_function"]
    plain = replace(operator, options={**operator.options, "fused_activation_function": "NONE"})
    output = _evaluate(graph, plain, values)
    mean, deviation = _statistics(output)
    filter, bias = (graph.tensors[index] for index in operator.inputs[1:])
    filter.data = np.asarray(filter.data) / deviation.reshape(-1, 1, 1, 1)
    bias.data = (np.asarray(bias.data) - mean) / deviation
    output -= mean
    output /= deviation
    return clamp_float(output, activation, out=output)


def _set_constant(graph: Graph, operator: Operator, values: dict[int, Array]) -> None:
    """The constant of a MUL or an ADD that stands for batch normalization."""
    if operator.type in ("MUL", "ADD") and graph.tensors[operator.inputs[1]].is_constant:
        mean, deviation = _statistics(values[operator.inputs[0]])
        graph.tensors[operator.inputs[1]].data = 1 / deviation if operator.type == "MUL" else -mean


def _statistics(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel, float32; of what never changes the deviation is 1."""
    channels = values.shape[-1]
    single_place = values.size == len(values) * channels
    axes = tuple(range(values.ndim if single_place else values.ndim - 1))
    mean, deviation = values.mean(axes, dtype=np.float64), values.std(axes, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1)
    return np.full(channels, mean, np.float32), np.full(channels, deviation, np.float32)


def _evaluate(graph: Graph, operator: Operator, values: dict[int, Array]) -> Array:
    tensors = [graph.tensors[index] for index in operator.inputs]
    read = zip(operator.inputs, tensors, strict=True)
    inputs = [values[i] if t.data is None else t.data for i, t in read]
    call = Call(operator, [*tensors], [*inputs], [graph.tensors[index] for index in operator.outputs])
    return kernels.evaluate(call, operator.type)[0]
