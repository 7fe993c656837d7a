"""Cross-layer equalization: even out the channel ranges of neighbouring layers, without any data.

One scale for a whole tensor is chosen by its widest channel; a channel of a hundredth of that width keeps one
step of 127. But a ReLU, or nothing, lets a positive factor of a channel pass, relu(x / s) = s^-1 relu(x), so
that a layer can hand it on to the next one:

    w1[i] / s[i],  b1[i] / s[i],  w2[:, i] * s[i]     compute what w1, b1 and w2 do
    s[i] = sqrt(r1[i] * r2[i]) / r2[i]       (Q42)    makes both ranges of channel i sqrt(r1[i] * r2[i])

where r1[i] is the largest |weight| that writes channel i and r2[i] the largest that reads it.
Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import QuantizationError
from ptq.graph import ABSENT, Graph, Operator
from ptq.passes.fold import CHANNEL_AXIS
from ptq.passes.rewire import output_name
from ptq.terminal import table

Array = npt.NDArray[Any]

MOST_SWEEPS = 100
"""After so many passes over all pairs, equalization ends where it is."""

ENOUGH = 1e-3
"""Equalization ends when no factor is further from 1 than this."""

INT8_STEPS = 127


@dataclass(frozen=True)
class Equalized:
    """A pair of layers, by the names of their outputs.

    factors: s of each channel between them, all sweeps together. before, after: the ranges r1 of these.
    """

    first: str
    second: str
    factors: Array
    before: Array
    after: Array


@dataclass(frozen=True)
class EqualizationReport(Sequence[Equalized]):
    """The equalized pairs in execution order; prints as a table.

    skipped: layers whose channels could not be changed, and why. replaced: layers whose RELU6 became RELU.
    sweeps: how often all pairs were visited. converged: whether the last visit had nothing left to do.
    """

    pairs: tuple[Equalized, ...]
    skipped: tuple[tuple[str, str], ...]
    replaced: tuple[str, ...]
    sweeps: int
    converged: bool

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Equalized:  # type: ignore[override]  # slices are not needed
        return self.pairs[index]

    def __str__(self) -> str:
        header = ["layer", "channels", "smallest factor", "largest", "typical channel, steps of 127"]
        rows = [
            [p.first, str(p.factors.size), f"{p.factors.min():.3g}", f"{p.factors.max():.3g}",
             f"{typical_steps(p.before):.1f} -> {typical_steps(p.after):.1f}"]
            for p in self.pairs
        ]  # fmt: skip
        ending = "" if self.converged else ", not converged"
        lines = [f"{len(self.pairs)} pairs of layers, {self.sweeps} sweeps{ending}"]
        lines += [table(header, rows, set(header[1:]), cut="layer")] if rows else []
        lines += [f"RELU6 became RELU: {name}" for name in self.replaced]
        lines += [f"not equalized: {name}: {reason}" for name, reason in self.skipped]
        return "\n".join(lines)


def typical_steps(ranges: Array) -> float:
    """How many of the 127 steps of one scale for all the median channel uses; ranges: float [channels]."""
    widest = np.max(ranges, initial=0.0)
    return float(INT8_STEPS * np.median(ranges) / widest) if widest > 0 else 0.0


def equalize(
    model: Graph, powers_of_two: bool = True, relu6_as_relu: bool = False
) -> tuple[Graph, EqualizationReport]:
    """A copy of a simplified float model with evener channels, and what was changed. The main graph only.

    powers_of_two: s is rounded to the nearest one (on the scale of its logarithm), and the new model computes
    the same floats to the last bit (as long as they stay normal); ranges then differ by a factor of 2 at
    most. Otherwise outputs differ by rounding.

    relu6_as_relu: min(x, 6) does not let factors pass. With this, RELU6 before another layer becomes RELU, as
    in the paper; the model then computes something else wherever a 6 was exceeded: measure the loss.

    Raises QuantizationError, naming the tensor, for NaN or infinity in weights.
    """
    graph = model.copy()
    graph.validate()
    pairs, skipped, replaced = _find_pairs(graph, relu6_as_relu)
    before = [pair.written(graph) for pair in pairs]
    factors, sweeps, converged = _balance(graph.copy(), pairs)
    if powers_of_two:
        factors = [np.exp2(np.rint(np.log2(s))) for s in factors]
    for pair, s in zip(pairs, factors, strict=True):
        pair.scale(graph, s)
    equalized = [
        Equalized(output_name(graph, pair.first), output_name(graph, pair.second), s, r, pair.written(graph))
        for pair, s, r in zip(pairs, factors, before, strict=True)
    ]
    return graph, EqualizationReport(tuple(equalized), skipped, replaced, sweeps, converged)


def _balance(scratch: Graph, pairs: Sequence[_Pair]) -> tuple[list[Array], int, bool]:
    """The factors of each pair, how many sweeps over all of them it took, and whether these were enough.

    A layer between two others belongs to two pairs, so that equalizing one upsets the other, less each time.
    """
    totals = [np.ones(pair.channels) for pair in pairs]
    for sweep in range(1, MOST_SWEEPS + 1):
        furthest = 0.0
        for pair, total in zip(pairs, totals, strict=True):
            s = _factors(pair.written(scratch), pair.read(scratch))
            pair.scale(scratch, s)
            total *= s
            furthest = max(furthest, float(np.max(np.abs(s - 1))))
        if furthest <= ENOUGH:
            return totals, sweep, True
    return totals, MOST_SWEEPS, False


def _factors(r1: Array, r2: Array) -> Array:
    """s = sqrt(r1 * r2) / r2, or 1 for a channel without any weights."""
    alive = (r1 > 0) & (r2 > 0)
    s: Array = np.sqrt(np.divide(r1, r2, out=np.ones_like(r1), where=alive))
    return s


@dataclass(frozen=True)
class _Pair:
    """Two layers, and how the second one's weights read the channels that the first one writes.

    weights.reshape(-1, channels, multiplier): entry [:, i, :] of the second one's reads channel i.
    """

    first: Operator
    second: Operator
    channels: int
    multiplier: int

    def written(self, graph: Graph) -> Array:
        """r1: float64 [channels]."""
        rows = np.moveaxis(_weights(graph, self.first), CHANNEL_AXIS[self.first.type], 0)
        return _largest(rows.reshape(self.channels, -1), 1)

    def read(self, graph: Graph) -> Array:
        """r2: float64 [channels]."""
        return _largest(_weights(graph, self.second).reshape(-1, self.channels, self.multiplier), (0, 2))

    def scale(self, graph: Graph, s: Array) -> None:
        """Divide what writes channel i by s[i], and multiply what reads it."""
        weights, bias = (graph.tensors[i] if i != ABSENT else None for i in (*self.first.inputs, ABSENT)[1:3])
        along = [1] * len(_weights(graph, self.first).shape)
        along[CHANNEL_AXIS[self.first.type]] = -1
        assert weights is not None and weights.data is not None, "_obstacle asks for it"
        weights.data = _float32(weights.data / s.reshape(along))
        if bias is not None and bias.data is not None:
            bias.data = _float32(bias.data / s)
        reader = graph.tensors[self.second.inputs[1]]
        view = _weights(graph, self.second).reshape(-1, self.channels, self.multiplier)
        reader.data = _float32(view * s[:, None]).reshape(reader.shape)


def _largest(weights: Array, axis: int | tuple[int, ...]) -> Array:
    largest: Array = np.max(np.abs(weights), axis=axis, initial=0.0).astype(np.float64)
    return largest


def _float32(values: Array) -> Array:
    return values.astype(np.float32)


def _weights(graph: Graph, layer: Operator) -> Array:
    return np.asarray(graph.tensors[layer.inputs[1]].data)


# --- which layers form a pair ---------------------------------------------------------------------


def _find_pairs(
    graph: Graph, relu6_as_relu: bool
) -> tuple[list[_Pair], tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The pairs in execution order; the layers that stay as they are, and why; those that lost a RELU6."""
    pairs, skipped, replaced = [], [], []
    for first in graph.operators:
        if first.type not in CHANNEL_AXIS or not first.outputs:
            continue
        found = _obstacle(graph, first) or _partner(graph, first, relu6_as_relu)
        if isinstance(found, str):
            skipped.append((output_name(graph, first), found))
            continue
        pairs.append(found)
        if _activation(first) == "RELU6":
            first.options["fused_activation_function"] = "RELU"
            replaced.append(output_name(graph, first))
    return pairs, tuple(skipped), tuple(replaced)


def _obstacle(graph: Graph, layer: Operator) -> str | None:
    """Why a layer's weights and bias cannot be changed; None if they can."""
    if len(layer.inputs) < 2 or ABSENT in layer.inputs[:2]:
        return "some of its operands are missing"
    for index in (i for i in layer.inputs[1:3] if i != ABSENT):
        tensor = graph.tensors[index]
        if tensor.data is None or tensor.type != "FLOAT32":
            return f"'{tensor.name}' is no float constant"
        if len(graph.consumers(index)) > 1 or layer.inputs.count(index) > 1 or index in graph.outputs:
            return f"'{tensor.name}' is used elsewhere, too"
        if not np.all(np.isfinite(tensor.data)):
            raise QuantizationError(
                f"tensor '{tensor.name}': NaN or infinity found, expected finite weights; train again"
            )
    shape, axis = graph.tensors[layer.inputs[1]].shape, CHANNEL_AXIS[layer.type]
    bias = [graph.tensors[i] for i in layer.inputs[2:3] if i != ABSENT]
    if axis >= len(shape) or 0 in shape or any(tensor.shape != (shape[axis],) for tensor in bias):
        return f"its weights {shape} and its bias do not fit each other"
    return None


def _partner(graph: Graph, first: Operator, relu6_as_relu: bool) -> _Pair | str:
    """The pair that a layer begins, or why it begins none."""
    if _activation(first) not in ("NONE", "RELU", *(("RELU6",) if relu6_as_relu else ())):
        return f"fused {_activation(first)} does not let factors pass"
    channels = graph.tensors[first.inputs[1]].shape[CHANNEL_AXIS[first.type]]
    for tensor, second in _chain(graph, first.outputs[0]):
        if second is None:
            return f"'{graph.tensors[tensor].name}' is returned, or read in several places"
        shape = graph.tensors[tensor].shape
        if not shape or shape[-1] % channels or shape[-1] == 0:
            return f"'{graph.tensors[tensor].name}' mixes its channels"
        if second.type in CHANNEL_AXIS:
            return _join(graph, first, second, channels, shape[-1])
        if not _passes(graph, second):
            return f"{second.type} does not let factors pass"
    raise AssertionError("the chain ends with a tensor that nobody, or more than one operator, reads")


def _chain(graph: Graph, tensor: int) -> Iterator[tuple[int, Operator | None]]:
    """What follows a tensor: (tensor, its only reader), (the reader's output, its only reader), ..., None."""
    while True:
        readers = graph.consumers(tensor)
        alone = len(readers) == 1 and tensor not in graph.outputs
        operator = graph.operators[readers[0]] if alone else None
        yield tensor, operator if operator and operator.outputs and operator.inputs[0] == tensor else None
        tensor = operator.outputs[0] if operator else ABSENT


def _join(graph: Graph, first: Operator, second: Operator, channels: int, depth: int) -> _Pair | str:
    """The pair of two layers, the second of which reads `depth` channels: `channels`, or a multiple."""
    obstacle = _obstacle(graph, second)
    if obstacle is not None:
        return f"followed by '{output_name(graph, second)}', where {obstacle}"
    width = graph.tensors[second.inputs[1]].shape[-1]
    multiplier = width // depth if second.type == "DEPTHWISE_CONV_2D" else 1
    if width != depth * multiplier or multiplier == 0:
        return f"followed by '{output_name(graph, second)}', whose weights are not for all {depth} channels"
    return _Pair(first, second, channels, multiplier)


def _passes(graph: Graph, operator: Operator) -> bool:
    """Whether an operator keeps channels apart, and a factor of a channel's input is one of its output."""
    if operator.type in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
        return _activation(operator) in ("NONE", "RELU")
    if operator.type == "MEAN" and len(operator.inputs) == 2 and ABSENT not in operator.inputs:
        axes, rank = graph.tensors[operator.inputs[1]].data, len(graph.tensors[operator.inputs[0]].shape)
        return axes is not None and not np.any(np.isin(axes, (-1, rank - 1)))
    return operator.type == "RESHAPE"


def _activation(operator: Operator) -> str:
    return str(operator.options.get("fused_activation_function", "NONE"))
