"""Executes the graphs of a model: one `Executor` for each, and the `Program` that they make up together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.errors import GraphError, PtqError, UnsupportedError
from ptq.graph import ABSENT, Graph, Operator, Tensor
from ptq.kernels.call import Call, Shared, Subgraph
from ptq.numerics import Numerics
from ptq.shapes import infer_shapes
from ptq.subgraphs import callees, check_calls

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Hook = Callable[[int, Operator, list[Array | None], list[Array]], None]

LARGEST_TENSOR = 2**31
"""Bytes; a file that asks for a larger activation, or for states larger in all, is refused in time."""

MOST_RUNS = 1_000_000
"""How many times subgraphs may run in one invocation: two for each round of a WHILE, one for each IF.

A loop over the samples of half a minute of speech (16 kHz) stays below it; a loop without an end does not.
Set `ptq.executor.MOST_RUNS` to another number for another limit.
"""


class Program:
    """The graphs of a model, main graph first, with what they share.

    Raises what `check_calls` raises.
    """

    def __init__(self, graph: Graph, numerics: Numerics) -> None:
        check_calls(graph)
        self.numerics = numerics
        self.shared = Shared()
        self.executors = [Executor(i, g, self) for i, g in enumerate((graph, *graph.subgraphs))]
        self._runs = 0

    def allocate(self, subgraph: int = 0) -> None:
        """Prepare a graph, and what runs inside it, for the shapes that its inputs have now."""
        self._runs = 0
        entry = self.executors[subgraph]
        entry.allocate([entry.graph.tensors[index].shape for index in entry.graph.inputs])

    def invoke(self, subgraph: int = 0) -> None:
        """Execute a graph on the inputs that it holds."""
        self._runs = 0
        self.executors[subgraph].execute()

    def subgraph(self, index: int) -> Subgraph:
        """A subgraph as a function of its inputs; its states start anew.

        TensorFlow Lite frees a subgraph's memory when WHILE or IF is done, so that states last from round to
        round of a loop, but not to the next invocation (they do in a debugging mode that frees nothing).
        Source: `tflite/kernels/while.cc`, Eval.
        """
        executor = self.executors[index]
        executor.reset_variables()
        return Subgraph(executor.graph, executor.run)

    def count_run(self) -> None:
        """GraphError where MOST_RUNS is exceeded."""
        self._runs += 1
        if self._runs > MOST_RUNS:
            raise GraphError(
                f"subgraphs ran {MOST_RUNS} times in one invocation; expected a loop that ends; "
                "set ptq.executor.MOST_RUNS higher if it would"
            )


class Executor:
    """Runs one graph, operator by operator, and keeps every tensor's value.

    values: by tensor index; constants and states from `allocate` on, the others as they are computed.
    hooks: each is called as hook(position, operator, inputs, outputs) after each operator.
    """

    def __init__(self, index: int, graph: Graph, program: Program) -> None:
        self.graph = graph
        self.values: dict[int, Array] = {}
        self.hooks: list[Hook] = []
        self._program = program
        self._prefix = f"subgraph {index}, " if index else ""
        self._memory: list[dict[str, Any]] = [{} for _ in graph.operators]
        self._deferred: set[int] = set()
        self._input_shapes: list[Shape | None] | None = None
        self._output_shapes: list[Shape | None] = []

    # --- shapes and memory ------------------------------------------------------------------------

    @property
    def allocated(self) -> bool:
        """Whether the shapes of all tensors follow from those that the inputs have."""
        return self._input_shapes is not None

    def resize(self, index: int, shape: Shape) -> None:
        """Give an input another shape; `allocate` has to follow."""
        self._set_shape(index, shape)
        self._input_shapes = None

    def allocate(self, shapes: Sequence[Shape | None]) -> list[Shape | None]:
        """Infer every shape from those of the inputs, and set the states to their initial values.

        None stands for a shape that depends on values, which is inferred before its operator runs. Does
        nothing if the shapes are those of the last time. Returns the shapes of the outputs.
        Source: `tflite/core/subgraph.cc`, AllocateTensors.
        """
        if self._input_shapes == list(shapes):
            return self._output_shapes
        self._program.count_run()
        self._input_shapes, self._deferred = None, set()
        unknown = {i for i, shape in zip(self.graph.inputs, shapes, strict=True) if shape is None}
        with self._naming_the_subgraph():
            for index, shape in zip(self.graph.inputs, shapes, strict=True):
                if shape is not None:
                    self._set_shape(index, shape)
            for position, operator in enumerate(self.graph.operators):
                self._prepare(position, operator, unknown)
            self._check_states()
        self.values = {i: t.data for i, t in enumerate(self.graph.tensors) if t.data is not None}
        self.reset_variables()
        self._input_shapes = list(shapes)
        self._output_shapes = [self._known_shape(i, unknown) for i in self.graph.outputs]
        return self._output_shapes

    def reset_variables(self) -> None:
        """Set every state to its initial value: zero, or its zero point if it is a quantized int8 tensor.

        Source: `tflite/core/api/tensor_utils.cc`, ResetVariableTensor.
        """
        for index, tensor in enumerate(self.graph.tensors):
            if tensor.is_variable and tensor.dtype is not None:
                state = np.zeros(tensor.shape, tensor.dtype)
                if tensor.type == "INT8" and tensor.quantized and not tensor.quantized.per_channel:
                    state[...] = tensor.quantized.zero_point.astype(np.int8)[0]
                self.values[index] = state

    def _check_states(self) -> None:
        states = [tensor for tensor in self.graph.tensors if tensor.is_variable]
        for tensor in states:
            if tensor.is_constant or tensor.dtype is None:
                found = "stored data" if tensor.is_constant else f"type {tensor.type}"
                raise UnsupportedError(
                    f"variable '{tensor.name}': {found} found, expected numbers without stored data; "
                    "a variable starts at zero"
                )
        if sum(_bytes(tensor, tensor.shape) for tensor in states) > LARGEST_TENSOR:
            raise GraphError(f"{len(states)} variables: more than {LARGEST_TENSOR} bytes found")

    def _prepare(self, position: int, operator: Operator, unknown: set[int]) -> None:
        tensors = [self._tensor(i) for i in operator.inputs]
        kernels.find(operator, tensors)
        if callees(operator):
            given = [None if i == ABSENT else self._known_shape(i, unknown) for i in operator.inputs]
            results = self._prepare_callees(operator, given)
            for index, shape in zip(operator.outputs, results, strict=True):
                if shape is None:
                    unknown.add(index)
                else:
                    self._set_shape(index, shape)
        elif unknown.intersection(operator.inputs) or not self._infer(position, operator, tensors):
            self._deferred.add(position)
            unknown.update(operator.outputs)

    def _prepare_callees(self, operator: Operator, given: list[Shape | None]) -> list[Shape | None]:
        """The shapes that WHILE, IF or CALL_ONCE writes; None where they are not the same at all times."""
        called = [self._program.executors[index] for index in callees(operator)]
        if operator.type == "WHILE":
            called[0].allocate(given)
            first, second = given, called[1].allocate(given)
        else:
            given = given[1:]  # without the condition
            first, second = called[0].allocate(given), called[-1].allocate(given)
        return first if first == second else [None] * len(operator.outputs)

    def _infer(self, position: int, operator: Operator, tensors: list[Tensor | None]) -> bool:
        """Set the shapes of an operator's outputs; False if they depend on values that are not known."""
        try:
            shapes = infer_shapes(operator, tensors)
        except UnsupportedError:
            return False
        except (ValueError, IndexError, TypeError, KeyError, ArithmeticError) as error:
            raise GraphError(f"operator {position} ({operator.type}): {error!r} in its shapes") from error
        for index, shape in zip(operator.outputs, shapes, strict=False):
            self._set_shape(index, tuple(int(size) for size in shape))
        return True

    def _set_shape(self, index: int, shape: Shape) -> None:
        tensor = self.graph.tensors[index]
        if min(shape, default=0) < 0 or _bytes(tensor, shape) > LARGEST_TENSOR:
            raise GraphError(
                f"tensor '{tensor.name}': shape {shape} found, expected sizes >= 0 and at most "
                f"{LARGEST_TENSOR} bytes in all; check the model's shapes and the input size"
            )
        tensor.shape = shape

    def _known_shape(self, index: int, unknown: set[int]) -> Shape | None:
        return None if index in unknown else self.graph.tensors[index].shape

    # --- values -----------------------------------------------------------------------------------

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Execute on these inputs, whatever their shapes; returns the outputs."""
        self._program.count_run()
        self.allocate([value.shape for value in inputs])
        for index, value in zip(self.graph.inputs, inputs, strict=True):
            tensor = self.graph.tensors[index]
            if tensor.dtype is not None and tensor.dtype != value.dtype:
                raise GraphError(
                    f"{self._prefix}input '{tensor.name}': {value.dtype} found, expected {tensor.dtype}"
                )
            self.values[index] = value
        self.execute()
        missing = [self.graph.tensors[i].name for i in self.graph.outputs if i not in self.values]
        if missing:
            raise GraphError(f"{self._prefix}output '{missing[0]}': nothing writes it; expected an operator")
        return [self.values[index] for index in self.graph.outputs]

    def execute(self) -> None:
        """Execute all operators in order, on the inputs that `values` holds."""
        for position, operator in enumerate(self.graph.operators):
            self._execute(position, operator)

    def _execute(self, position: int, operator: Operator) -> None:
        inputs = [self.values.get(i) if i != ABSENT else None for i in operator.inputs]
        tensors = [self._tensor(i) for i in operator.inputs]
        where = self._where(position)
        for index, tensor, value in zip(operator.inputs, tensors, inputs, strict=True):
            if index != ABSENT and value is None:
                raise GraphError(f"{where} reads tensor '{tensor and tensor.name}', which nothing writes")
        if position in self._deferred:
            values = zip(tensors, inputs, strict=True)
            with self._naming_the_subgraph():
                self._infer(position, operator, [t and replace(t, data=value) for t, value in values])
        outputs = [self.graph.tensors[i] for i in operator.outputs]
        program = self._program
        call = Call(
            operator, tensors, inputs, outputs, program.numerics, self._memory[position],
            program.subgraph, program.shared, intermediates=self._intermediates(position, operator),
        )  # fmt: skip
        results = kernels.evaluate(call, where)
        for index, result in zip(operator.outputs, results, strict=True):
            self.values[index] = result
            self.graph.tensors[index].shape = result.shape
        for place, state in call.new_states.items():
            self.values[operator.inputs[place]] = state
        for hook in self.hooks:
            hook(position, operator, inputs, results)

    @contextmanager
    def _naming_the_subgraph(self) -> Iterator[None]:
        try:
            yield
        except PtqError as error:
            if not self._prefix:
                raise
            raise type(error)(f"{self._prefix}{error}") from error

    def _where(self, position: int) -> str:
        return f"{self._prefix}operator {position} ({self.graph.operators[position].type})"

    def _intermediates(self, position: int, operator: Operator) -> list[Tensor]:
        """The tensors that tell a quantized LSTM its inner scales."""
        indices = [int(i) for i in operator.extra.get("intermediates", ())]
        wrong = [i for i in indices if not 0 <= i < len(self.graph.tensors)]
        if wrong:
            count = len(self.graph.tensors)
            raise GraphError(f"{self._where(position)}: intermediate {wrong[0]} found, the graph has {count}")
        return [self.graph.tensors[i] for i in indices]

    def _tensor(self, index: int) -> Tensor | None:
        return None if index == ABSENT else self.graph.tensors[index]


def _bytes(tensor: Tensor, shape: Shape) -> float:
    itemsize = tensor.dtype.itemsize if tensor.dtype is not None else 1
    return float(np.prod(np.array(shape, np.float64))) * itemsize
