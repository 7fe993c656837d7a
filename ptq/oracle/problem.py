"""One operator and its operands: what a test vector, a trace and a checker are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptq.graph import ABSENT, DTYPES, Array, Graph, Operator, Quantization, Tensor, type_of
from ptq.interpreter import Interpreter
from ptq.kernels import arithmetic
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.operators import default_options
from ptq.shapes import infer_shapes
from ptq.spec import answer
from ptq.spec.numbers import Number
from ptq.spec.question import LIMITS, Operand, Question
from ptq.spec.rules import Rules

INPUT, CONSTANT, STATE = "input", "constant", "state"


def quantization(
    scale: float | Sequence[float] | Array, zero_point: int | Sequence[int] | Array = 0, axis: int = 0
) -> Quantization:
    """Scales, rounded to float32, and zero points; one zero point serves for all."""
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    return Quantization(scales, np.broadcast_to(np.asarray(zero_point, np.int64), scales.shape).copy(), axis)


@dataclass(frozen=True)
class Given:
    """An operand: its integers or reals, and how integers stand for reals.

    kind: "input" (fed), "constant" (stored in the model) or "state" (a variable: it is written, too).
    """

    array: Array
    quantization: Quantization | None = None
    kind: str = INPUT
    name: str = ""


@dataclass(frozen=True)
class Wanted:
    """An output: its type and scale; its shape follows from the operands."""

    type: str = "FLOAT32"
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Problem:
    """One operator with everything that its result depends on, but for the numerics.

    operands: None for an optional one that is absent. options: those that differ from the schema's defaults.
    intermediates: the scales inside of a quantized LSTM. purpose: in a sentence, what it tells apart.
    order_free: whether any order of its float sums gives the same bits, as none of them rounds; where it is
    false, the exact answer is that of ordered sums, and presets that leave the order to BLAS only come near.
    """

    operator: str
    operands: Sequence[Given | None]
    wanted: Sequence[Wanted]
    options: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    intermediates: Sequence[Wanted] = ()
    purpose: str = ""
    order_free: bool = True

    @property
    def arithmetic(self) -> str:
        """ "float", "hybrid", "integer", or "any" for operators that move or convert data."""
        graph = self.graph()
        operator = graph.operators[0]
        return arithmetic(operator, [None if i == ABSENT else graph.tensors[i] for i in operator.inputs])

    def graph(self, checked: bool = True) -> Graph:
        """A model of this one operator, whose inputs are the operands that are fed.

        checked: whether to raise the errors of `Graph.validate`.
        """
        graph = Graph(name=self.operator.lower())
        read = [
            ABSENT if given is None else self._add(graph, n, given) for n, given in enumerate(self.operands)
        ]
        table, options = default_options(self.operator)
        operator = Operator(self.operator, read, [], {**options, **self.options}, table, self.version)
        if self.intermediates:
            operator.extra["intermediates"] = [
                graph.add_tensor(Tensor(f"intermediate_{n}", (0,), w.type, None, w.quantization))
                for n, w in enumerate(self.intermediates)
            ]
        shapes = infer_shapes(operator, self._known())
        for n, (shape, wanted) in enumerate(zip(shapes, self.wanted, strict=True)):
            tensor = Tensor(f"output_{n}", tuple(shape), wanted.type, None, wanted.quantization)
            operator.outputs.append(graph.add_tensor(tensor))
        graph.operators, graph.outputs = [operator], list(operator.outputs)
        if checked:
            graph.validate()
        return graph

    def _add(self, graph: Graph, number: int, given: Given) -> int:
        array = given.array
        data = np.array(array, order="C") if given.kind == CONSTANT else None
        name = _name(given, number)
        tensor = Tensor(
            name, array.shape, type_of(array.dtype), data, given.quantization, given.kind == STATE
        )
        index = graph.add_tensor(tensor)
        if given.kind == INPUT:
            graph.inputs.append(index)
        return index

    def _known(self) -> list[Tensor | None]:
        """The operands with their values: shapes may depend on those that are fed, too."""
        return [
            None
            if x is None
            else Tensor(_name(x, n), x.array.shape, type_of(x.array.dtype), x.array, x.quantization)
            for n, x in enumerate(self.operands)
        ]

    @property
    def output_count(self) -> int:
        """How many outputs the operator has."""
        table, options = default_options(self.operator)
        operator = Operator(
            self.operator, [*range(len(self.operands))], [], {**options, **self.options}, table
        )
        return len(infer_shapes(operator, self._known()))

    @property
    def states(self) -> list[int]:
        """The positions of the operands that are written, too."""
        return [n for n, given in enumerate(self.operands) if given is not None and given.kind == STATE]

    def run(self, numerics: Numerics = LITERT_REFERENCE) -> list[Array]:
        """What ptq's kernels answer: the outputs, then the new values of the states."""
        graph = self.graph()
        interpreter = Interpreter(graph=graph, numerics=numerics)
        interpreter.allocate_tensors()
        read = graph.operators[0].inputs
        for index, given in zip(read, self.operands, strict=True):
            if given is not None and given.kind != CONSTANT:
                interpreter.set_tensor(index, given.array)
        interpreter.invoke()
        return [interpreter.get_tensor(i) for i in [*graph.outputs, *(read[n] for n in self.states)]]

    def question(self) -> Question:
        """The same for the specification, in plain Python numbers."""
        graph = self.graph()
        operator = graph.operators[0]
        inputs = [
            None if given is None else operand(graph.tensors[index], given.array)
            for index, given in zip(operator.inputs, self.operands, strict=True)
        ]
        return Question(
            self.operator, self.arithmetic, inputs, [operand(graph.tensors[i]) for i in operator.outputs],
            operator.options, self.states,
            [operand(graph.tensors[i]) for i in operator.extra.get("intermediates", [])],
        )  # fmt: skip

    def answer(self, rules: Rules) -> list[Array]:
        """What the specification answers by these rules, as arrays: the outputs, then the states."""
        question = self.question()
        return [
            np.array(_stored(values, place.type), DTYPES[place.type]).reshape(place.shape)
            for place, values in zip(question.places, answer(question, rules), strict=True)
        ]


def _stored(values: Sequence[Number], type: str) -> Sequence[Number]:
    """Integers as C stores them: what does not fit wraps around. (Only mistakes leave such.)"""
    if type not in LIMITS:
        return values
    lowest, highest = LIMITS[type]
    return [(int(value) - lowest) % (highest - lowest + 1) + lowest for value in values]


def _name(given: Given, number: int) -> str:
    return given.name or f"{given.kind}_{number}"


def problem_of(graph: Graph, position: int, arrays: Sequence[Array | None]) -> Problem:
    """An operator of a model as a problem by itself; arrays: the values of its inputs, None where absent."""
    operator = graph.operators[position]

    def given(index: int, array: Array | None) -> Given | None:
        if index == ABSENT or array is None:
            return None
        tensor = graph.tensors[index]
        kind = STATE if tensor.is_variable else CONSTANT if tensor.is_constant else INPUT
        return Given(array, tensor.quantization, kind, tensor.name)

    def wanted(index: int) -> Wanted:
        return Wanted(graph.tensors[index].type, graph.tensors[index].quantization)

    return Problem(
        operator.type,
        [given(index, array) for index, array in zip(operator.inputs, arrays, strict=True)],
        [wanted(index) for index in operator.outputs],
        operator.options,
        operator.version,
        [wanted(int(index)) for index in operator.extra.get("intermediates", ())],
    )


def operand(tensor: Tensor, array: Array | None = None) -> Operand:
    """A tensor in plain Python numbers, with the values of `array` if they are known."""
    quantized = tensor.quantized
    return Operand(
        tensor.type,
        tensor.shape if array is None else array.shape,
        [] if array is None else array.reshape(-1).tolist(),
        [] if quantized is None else quantized.scale.tolist(),
        [] if quantized is None else quantized.zero_point.tolist(),
        0 if quantized is None else quantized.quantized_dimension,
        tensor.name,
    )
