"""What quantization costs each layer: a float model and its integer form side by side on samples."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.calibration import Sample, in_order
from ptq.errors import InputError
from ptq.executor import Hook
from ptq.graph import Graph, Operator, Quantization
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.quantizer import dequantize, quantize
from ptq.terminal import table

Array = npt.NDArray[Any]


@dataclass
class Layer:
    """One tensor in both models. Sums are over all samples, in float64.

    low, high: the extremes of the float model's values. saturated: how many of `count` values lie more than
    half a step outside of what the integers can stand for. own_noise: the squared errors of quantizing the
    float model's values; noise: those of the integer model, to which the layers before contribute.
    """

    operator: str
    name: str
    quantization: Quantization
    dtype: np.dtype[Any]
    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    saturated: int = 0
    signal: float = 0.0
    own_noise: float = 0.0
    noise: float = 0.0

    @property
    def sqnr(self) -> float:
        """Signal to noise in dB, infinite without noise: 10 log10(sum r^2 / sum (r - q)^2)."""
        return _decibels(self.signal, self.noise)

    @property
    def own_sqnr(self) -> float:
        """The same if only this tensor were quantized."""
        return _decibels(self.signal, self.own_noise)

    def add(self, real: Array, integers: Array) -> None:
        """Take one sample's values in both models into account."""
        scale, zero_point = float(self.quantization.scale[0]), int(self.quantization.zero_point[0])
        limits = np.iinfo(self.dtype)
        wide = real.astype(np.float64)
        position = wide / scale + zero_point
        alone = dequantize(quantize(real, self.quantization, self.dtype), self.quantization)
        self.low, self.high = min(self.low, float(real.min())), max(self.high, float(real.max()))
        self.count += real.size
        self.saturated += int(np.sum((position < limits.min - 0.5) | (position > limits.max + 0.5)))
        self.signal += float(np.sum(wide**2))
        self.own_noise += float(np.sum((wide - alone) ** 2))
        self.noise += float(np.sum((wide - dequantize(integers, self.quantization)) ** 2))


@dataclass(frozen=True)
class Quality:
    """The layers in the execution order of the integer model; prints as a table."""

    layers: tuple[Layer, ...]

    def __getitem__(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)

    def __str__(self) -> str:
        header = ["operator", "tensor", "from", "to", "step", "saturated", "own dB", "SQNR dB"]
        rows = [
            [x.operator, x.name, f"{x.low:.4g}", f"{x.high:.4g}", f"{x.quantization.scale[0]:.3g}",
             f"{x.saturated / x.count:.2%}", f"{x.own_sqnr:.1f}", f"{x.sqnr:.1f}"]
            for x in self.layers
        ]  # fmt: skip
        return table(header, rows, set(header[2:]), cut="tensor")


def measure(
    model: Graph, integer_model: Graph, samples: Iterable[Sample], numerics: Numerics = LITERT_REFERENCE
) -> Quality:
    """Compare each activation that the integer model quantizes with the float model's, over all samples.

    integer_model: what `Converter` made of `model`. Tensors correspond by name. Samples are those of
    `ptq.calibration`, in floats; states start anew with each.
    Errors: InputError for no samples, or for one that does not fit.
    """
    floats = Interpreter(graph=model, numerics=numerics)
    integers = Interpreter(graph=integer_model, numerics=numerics)
    real: dict[str, Array] = {}
    quantized: dict[str, Array] = {}
    floats.add_hook(_recorder(floats.graph, real, quantized=False))
    integers.add_hook(_recorder(integers.graph, quantized, quantized=True))
    layers = {x.name: x for x in _layers(integers.graph, {t.name for t in floats.graph.tensors})}
    number = -1
    for number, sample in enumerate(samples):
        arrays = in_order(model, sample, number)
        for interpreter in (floats, integers):
            interpreter.reset_all_variables()
        real.update((model.tensors[i].name, x) for i, x in zip(model.inputs, arrays, strict=True))
        floats.run(arrays)
        integers.run(_as_taken(integers.graph, arrays))
        for name, layer in layers.items():
            layer.add(real[name], quantized[name])
    if number < 0:
        raise InputError("measure: no samples found, expected at least one")
    return Quality(tuple(layers.values()))


def _recorder(graph: Graph, values: dict[str, Array], quantized: bool) -> Hook:
    """Keeps what operators write by the name in the float model, quantized tensors or the others.

    An unsigned tensor is a copy of a signed one, made to be returned.
    """

    def hook(_: int, operator: Operator, __: list[Array | None], outputs: list[Array]) -> None:
        for index, value in zip(operator.outputs, outputs, strict=True):
            tensor = graph.tensors[index]
            if (tensor.quantized is not None) == quantized and tensor.type != "UINT8":
                values[plain_name(tensor.name)] = value

    return hook


def plain_name(name: str) -> str:
    """A tensor's name in the float model, where the integer model had to give it another."""
    return name.removesuffix("_int8").removesuffix("_int16").removesuffix("_quantized")


def _layers(graph: Graph, known: set[str]) -> Iterable[Layer]:
    for operator in graph.operators:
        for tensor in (graph.tensors[index] for index in operator.outputs):
            name = plain_name(tensor.name)
            scales = tensor.quantized
            if name not in known or tensor.type == "UINT8" or tensor.dtype is None:
                continue
            if scales is not None and not scales.per_channel:
                yield Layer(operator.type, name, scales, tensor.dtype)


def _as_taken(graph: Graph, arrays: list[Array]) -> list[Array]:
    """Float inputs as the types that the integer model takes."""
    tensors = [graph.tensors[index] for index in graph.inputs]
    return [
        quantize(x, t.quantized, t.dtype) if t.quantized is not None and t.dtype is not None else x
        for x, t in zip(arrays, tensors, strict=True)
    ]


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
