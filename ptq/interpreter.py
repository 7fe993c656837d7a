"""Runs a graph, operator by operator, and keeps every tensor so that it can be looked at.

The method names are those of `tf.lite.Interpreter`; `run` is the short form.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.executor import Executor, Hook, Program
from ptq.format import load
from ptq.graph import Graph
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.signature_runner import SignatureRunner, find_signature, signature_list
from ptq.tensor_access import check_fed, details, feed, read, resize

Array = npt.NDArray[Any]


class Interpreter:
    """Executes a model: its main graph, the subgraphs that operators such as WHILE run, those of signatures.

    Give exactly one of model_path, model_content (bytes of a .tflite file) and graph. `numerics` chooses
    the arithmetic where TensorFlow Lite has more than one right answer.

    States (variable tensors of recurrent layers) start at zero and last from one `invoke` or `run` to the
    next; `reset_all_variables` and a change of the input's shape set them to zero again.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        graph: Graph | None = None,
        numerics: Numerics = LITERT_REFERENCE,
    ) -> None:
        sources = [source for source in (model_path, model_content) if source is not None]
        if len(sources) + (graph is not None) != 1:
            raise InputError(
                f"Interpreter: {len(sources) + (graph is not None)} models found; expected exactly one of "
                "model_path, model_content and graph"
            )
        self.graph = graph.copy() if graph is not None else load(sources[0])
        self.graph.validate()
        self.numerics = numerics
        self._program = Program(self.graph, numerics)
        self._main = self._program.executors[0]

    # --- shapes and memory ------------------------------------------------------------------------

    def allocate_tensors(self) -> None:
        """Infer every shape from the inputs' shapes and set variable tensors to their initial value.

        A shape that depends on values is inferred when they are known, before its operator runs. Does nothing
        when it is called again without a change of the inputs' shapes: the states stay.
        """
        self._program.allocate()

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int], strict: bool = False) -> None:
        """Give an input another shape, usually another batch size; call `allocate_tensors` afterwards.

        Any shape may be tried: `allocate_tensors` refuses what the operators cannot take.

        strict: only dimensions that the model declares as unknown (-1 in its shape signature) may change.
        """
        self._check_one_of(self.graph.inputs, input_index)
        resize(self._main, input_index, tensor_size, strict)

    def reset_all_variables(self) -> None:
        """Set every variable (state) tensor to zero, or to its zero point if it is quantized.

        Resource variables (ASSIGN_VARIABLE) keep their values, as they do in TensorFlow Lite.
        """
        for executor in self._program.executors:
            if executor.allocated:
                executor.reset_variables()

    # --- values -----------------------------------------------------------------------------------

    def set_tensor(self, tensor_index: int, value: npt.ArrayLike) -> None:
        """Feed an input, or set a state: an array of the tensor's shape and dtype, which is copied."""
        states = [index for index, tensor in enumerate(self.graph.tensors) if tensor.is_variable]
        self._check_one_of([*self.graph.inputs, *states], tensor_index)
        self._check_allocated()
        feed(self._main, tensor_index, value)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """A copy of any tensor's value: input, constant, state, intermediate or output.

        In a subgraph that has run several times, the value of the last time.
        """
        return read(self._executor(subgraph_index), tensor_index)

    def invoke(self) -> None:
        """Execute all operators in order."""
        self._check_allocated()
        check_fed(self._main)
        self._program.invoke()

    def run(self, inputs: Sequence[npt.ArrayLike]) -> list[Array]:
        """Feed all inputs in order, resize to their shapes if needed, invoke, return all outputs."""
        if len(inputs) != len(self.graph.inputs):
            raise InputError(f"run: {len(inputs)} inputs found, expected {len(self.graph.inputs)}")
        arrays = [np.asarray(value) for value in inputs]
        for index, array in zip(self.graph.inputs, arrays, strict=True):
            if array.shape != self.graph.tensors[index].shape:
                self.resize_tensor_input(index, array.shape, strict=True)
        self.allocate_tensors()
        for index, array in zip(self.graph.inputs, arrays, strict=True):
            self.set_tensor(index, array)
        self.invoke()
        return [self.get_tensor(index) for index in self.graph.outputs]

    def add_hook(self, hook: Hook, subgraph_index: int = 0) -> None:
        """Call `hook(position, operator, inputs, outputs)` after each operator of the main graph.

        subgraph_index: of another subgraph instead, each time that it runs.
        """
        self._executor(subgraph_index).hooks.append(hook)

    # --- details ----------------------------------------------------------------------------------

    def get_input_details(self) -> list[dict[str, Any]]:
        """What each input is: name, index, shape, dtype and quantization, as tf.lite returns it."""
        return [self._details(index) for index in self.graph.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """The same for each output."""
        return [self._details(index) for index in self.graph.outputs]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[dict[str, Any]]:
        """The same for every tensor of the main graph or of another subgraph."""
        count = len(self._executor(subgraph_index).graph.tensors)
        return [self._details(index, subgraph_index) for index in range(count)]

    def num_subgraphs(self) -> int:
        """How many graphs the model has, the main graph included."""
        return len(self._program.executors)

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """The names of the inputs and outputs of each signature, sorted."""
        return signature_list(self.graph)

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A function that takes a signature's inputs by name and returns its outputs by name.

        signature_key: may be None if the model has one signature alone. InputError for an unknown key.
        """
        return SignatureRunner(self._program, find_signature(self.graph, signature_key))

    def _details(self, index: int, subgraph_index: int = 0) -> dict[str, Any]:
        return details(self._executor(subgraph_index).graph.tensors[index], index)

    def _executor(self, subgraph_index: int) -> Executor:
        executors = self._program.executors
        if not 0 <= subgraph_index < len(executors):
            raise InputError(f"subgraph index {subgraph_index} found, expected 0 to {len(executors) - 1}")
        return executors[subgraph_index]

    def _check_allocated(self) -> None:
        if not self._main.allocated:
            raise InputError("Interpreter: tensors are not allocated; call allocate_tensors() first")

    def _check_one_of(self, allowed: list[int], index: int) -> None:
        if index not in allowed:
            raise InputError(
                f"tensor index {index} is not an input; expected one of {allowed} (see get_input_details)"
            )
