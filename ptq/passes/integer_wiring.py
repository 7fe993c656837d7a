"""How integer and float operators are joined: QUANTIZE and DEQUANTIZE at the borders between them."""

from __future__ import annotations

from dataclasses import replace

from ptq.errors import GraphError
from ptq.graph import Graph, Operator, Quantization, Tensor
from ptq.passes.activation_scales import Scales
from ptq.passes.integer_rules import Scheme, is_real
from ptq.passes.rewire import retyped

VERSIONS = {"QUANTIZE": {"INT16": 2}, "DEQUANTIZE": {"INT8": 2, "INT16": 3}}
"""Versions of QUANTIZE to a type and of DEQUANTIZE from it, where they are not 1."""


class Wiring:
    """Rewrites a graph operator by operator, in execution order.

    A real tensor of the old graph lives on as integers, as floats or as both; whichever is missing when it is
    read is made by a QUANTIZE or DEQUANTIZE right there. The tensors that the model takes and returns keep
    their place and name, whatever their type becomes.

    reals: the tensors of the old graph that hold real numbers.
    """

    def __init__(self, graph: Graph, scales: Scales, scheme: Scheme, integer: set[int]) -> None:
        self.graph = graph
        self.scales = scales
        self.scheme = scheme
        self.integer = integer
        self.reals = frozenset(i for i in range(len(graph.tensors)) if is_real(graph, i))
        self._new: list[Operator] = []
        self._integers: dict[int, int] = {}
        self._floats: dict[int, int] = {}
        self._requantized: dict[tuple[int, bytes, bytes], int] = {}
        self._constants: dict[tuple[int, bytes], int] = {}
        self._floats.update((i, i) for i in self.reals if graph.tensors[i].is_variable)
        self._returned = [i for i in graph.outputs if i in scales.by_tensor and i in self.reals]
        for index in graph.inputs:
            if index in self.reals:
                self._take(index)

    # --- operators --------------------------------------------------------------------------------

    def make_integer(self, operator: Operator, inputs: list[int]) -> None:
        """Append an operator that reads these tensors, and writes integers instead of reals."""
        operator.inputs = inputs
        self._new.append(operator)
        operator.outputs = [self._write(i) if i in self.reals else i for i in operator.outputs]

    def keep_float(self, operator: Operator) -> None:
        """Append an operator that reads and writes floats."""
        operator.inputs = [self._float(i) if self._has_float(i) else i for i in operator.inputs]
        self._floats.update((i, i) for i in operator.outputs)
        self._new.append(operator)

    def read(self, operator: Operator, position: int) -> int:
        """The integers that an operator reads at a place."""
        index = operator.inputs[position]
        wanted = self.scales.read.get((id(operator), position))
        source = self._integer(index)
        return source if wanted is None else self._requantize(index, source, wanted)

    def constant(self, index: int, quantized: Tensor) -> int:
        """The quantized form of a constant, which operators share if they want the same."""
        assert quantized.quantization is not None, "a quantized constant has scales"
        key = index, quantized.quantization.scale.tobytes()
        if key not in self._constants:
            self._constants[key] = self.graph.add_tensor(quantized)
        return self._constants[key]

    def finish(self) -> None:
        """Let the model return what it has to, and give the graph its new operators."""
        for index in dict.fromkeys(self._returned):
            self._return(index)
        self.graph.operators = self._new

    def _has_float(self, index: int) -> bool:
        """Whether an operand is a real tensor that may exist as integers only."""
        return index in self._integers or (index in self.reals and index in self.graph.inputs)

    # --- the model's border -----------------------------------------------------------------------

    def _take(self, index: int) -> None:
        """An input: floats, integers, or unsigned integers, which become signed ones first."""
        tensor, quantization = self.graph.tensors[index], self.scales.by_tensor.get(index)
        kind = self.scheme.input_type
        if kind == "FLOAT32" or quantization is None:
            self._floats[index] = index
            return
        self.graph.tensors[index] = replace(tensor, type=kind, quantization=_unsigned(quantization, kind))
        if kind == self.scheme.activations:
            self._integers[index] = index

    def _return(self, index: int) -> None:
        """An output, as the type that was asked for."""
        kind, tensor = self.scheme.output_type, self.graph.tensors[index]
        if kind == "FLOAT32":
            self._replace_output(index, self._float(index))
        elif kind == self.scheme.activations:
            self._replace_output(index, self._integer(index))
        elif tensor.type != kind:  # else an input that is returned as it came
            unsigned = _unsigned(self.scales.by_tensor[index], kind)
            source, name = self._integer(index), tensor.name
            if source == index and index not in self.graph.inputs:  # what is returned keeps its name
                signed = f"{name}_{self.scheme.activations.lower()}"
                self.graph.tensors[index] = replace(tensor, name=signed)
            else:
                name = f"{name}_{kind.lower()}"
            target = self.graph.add_tensor(retyped(tensor, kind, None, unsigned, name))
            self._convert("QUANTIZE", source, target)
            self._replace_output(index, target)

    def _replace_output(self, old: int, new: int) -> None:
        self.graph.outputs = [new if i == old else i for i in self.graph.outputs]
        for signature in (s for s in self.graph.signatures if s.subgraph == 0):
            signature.outputs = {name: new if i == old else i for name, i in signature.outputs.items()}

    # --- tensors ----------------------------------------------------------------------------------

    def _write(self, index: int) -> int:
        """The tensor that an integer operator writes for a real one."""
        tensor, quantization = self.graph.tensors[index], self.scales.by_tensor[index]
        if index in self._returned and self.scheme.output_type == "FLOAT32":
            name = f"{tensor.name}_{self.scheme.activations.lower()}"
            self._integers[index] = self._add(tensor, name, quantization)
        else:
            self._integers[index] = index
            self.graph.tensors[index] = retyped(tensor, self.scheme.activations, None, quantization)
        written = self.scales.written.get(index)
        if written is None:
            return self._integers[index]
        first = self._add(tensor, f"{tensor.name}_written", written)
        self._convert("QUANTIZE", first, self._integers[index])
        return first

    def _integer(self, index: int) -> int:
        """The integers of a real tensor."""
        if index not in self._integers:
            tensor = self._existing(index)
            quantized = self._add(tensor, f"{tensor.name}_quantized", self.scales.by_tensor[index])
            self._convert("QUANTIZE", index if tensor.type == "UINT8" else self._floats[index], quantized)
            self._integers[index] = quantized
        return self._integers[index]

    def _float(self, index: int) -> int:
        """The floats of a real tensor, in its own place if no integers are there."""
        if index not in self._floats:
            tensor = self._existing(index)
            if is_real(self.graph, index):
                self._floats[index] = index
            else:
                floats = retyped(tensor, "FLOAT32", name=f"{tensor.name}_dequantized")
                self._floats[index] = self.graph.add_tensor(floats)
            source = index if tensor.type == "UINT8" else self._integers[index]
            self._convert("DEQUANTIZE", source, self._floats[index])
        return self._floats[index]

    def _existing(self, index: int) -> Tensor:
        """A tensor in one form or the other; GraphError if nothing has written it."""
        tensor = self.graph.tensors[index]
        if not (index in self._floats or index in self._integers or tensor.type == "UINT8"):
            raise GraphError(f"tensor '{tensor.name}' is read, but nothing writes it; repair the model")
        return tensor

    def _requantize(self, index: int, source: int, wanted: Quantization) -> int:
        key = index, wanted.scale.tobytes(), wanted.zero_point.tobytes()
        if key not in self._requantized:
            tensor = self.graph.tensors[index]
            self._requantized[key] = self._add(tensor, f"{tensor.name}_requantized", wanted)
            self._convert("QUANTIZE", source, self._requantized[key])
        return self._requantized[key]

    def _add(self, tensor: Tensor, name: str, quantization: Quantization) -> int:
        return self.graph.add_tensor(retyped(tensor, self.scheme.activations, None, quantization, name))

    def _convert(self, kind: str, source: int, target: int) -> None:
        options = "QuantizeOptions" if kind == "QUANTIZE" else "DequantizeOptions"
        integers = self.graph.tensors[target if kind == "QUANTIZE" else source].type
        self._new.append(Operator(kind, [source], [target], {}, options, VERSIONS[kind].get(integers, 1)))


def _unsigned(quantization: Quantization, kind: str) -> Quantization:
    """The same scale for unsigned integers, whose zero point is 128 higher."""
    offset = 128 if kind == "UINT8" else 0
    return replace(quantization, zero_point=quantization.zero_point + offset)
