"""Runs a graph, operator by operator, and keeps every tensor so that it can be looked at.

The method names are those of `tf.lite.Interpreter`; `run` is the short form.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq import kernels
from ptq.errors import GraphError, InputError, UnsupportedError
from ptq.format import load
from ptq.graph import ABSENT, Graph, Operator, Signature, Tensor
from ptq.kernels.call import Call
from ptq.numerics import LITERT_REFERENCE, Numerics
from ptq.shapes import infer_shapes

Array = npt.NDArray[Any]
Hook = Callable[[int, Operator, list[Array | None], list[Array]], None]

LARGEST_TENSOR = 2**31
"""Bytes; a file that asks for a larger activation is refused before anything is computed."""


class Interpreter:
    """Executes a model's main subgraph.

    Give exactly one of model_path, model_content (bytes of a .tflite file) and graph. `numerics` chooses
    the arithmetic where TensorFlow Lite has more than one right answer.
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
        self._hooks: list[Hook] = []
        self._memory: list[dict[str, Any]] = [{} for _ in self.graph.operators]
        self._values: dict[int, Array] = {}
        self._allocated = False
        self._deferred: set[int] = set()

    # --- shapes and memory ------------------------------------------------------------------------

    def allocate_tensors(self) -> None:
        """Infer every shape from the inputs' shapes and set variable tensors to their initial value.

        A shape that depends on values is inferred when they are known, before its operator runs.
        """
        unknown: set[int] = set()
        self._deferred = set()
        for position, operator in enumerate(self.graph.operators):
            tensors = [self._tensor(i) for i in operator.inputs]
            kernels.find(operator, tensors)
            if unknown.intersection(operator.inputs) or not self._infer(position, operator, tensors):
                self._deferred.add(position)
                unknown.update(operator.outputs)
        self._values = {i: t.data for i, t in enumerate(self.graph.tensors) if t.data is not None}
        self._allocated = True
        self.reset_all_variables()

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int], strict: bool = False) -> None:
        """Give an input another shape, usually another batch size; call `allocate_tensors` afterwards.

        strict: only dimensions that the model declares as unknown (-1 in its shape signature) may change.
        """
        tensor = self._input(input_index)
        wanted = tuple(int(size) for size in tensor_size)
        signature = tensor.shape_signature or tensor.shape
        fixed = [s >= 0 and s != w for s, w in zip(signature, wanted, strict=False)]
        if len(wanted) != len(tensor.shape) or (strict and any(fixed)):
            raise InputError(
                f"input '{tensor.name}': cannot be resized from {tensor.shape} to {wanted}; expected "
                f"{len(tensor.shape)} dimensions that agree with the signature {signature}"
            )
        self._set_shape(input_index, wanted)
        self._allocated = False

    def reset_all_variables(self) -> None:
        """Set every variable (state) tensor to zero, or to its zero point if it is quantized."""
        for index, tensor in enumerate(self.graph.tensors):
            if tensor.is_variable and tensor.dtype is not None:
                quantized = tensor.quantized
                zero = int(quantized.zero_point[0]) if quantized is not None else 0
                self._values[index] = np.full(tensor.shape, zero, tensor.dtype)

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

    def _set_shape(self, index: int, shape: tuple[int, ...]) -> None:
        tensor = self.graph.tensors[index]
        size = float(np.prod(np.array(shape, np.float64)))
        itemsize = tensor.dtype.itemsize if tensor.dtype is not None else 1
        if min(shape, default=0) < 0 or size * itemsize > LARGEST_TENSOR:
            raise GraphError(
                f"tensor '{tensor.name}': shape {shape} found, expected sizes >= 0 and at most "
                f"{LARGEST_TENSOR} bytes in all; check the model's shapes and the input size"
            )
        tensor.shape = shape

    # --- values -----------------------------------------------------------------------------------

    def set_tensor(self, tensor_index: int, value: npt.ArrayLike) -> None:
        """Feed an input: an array of exactly the tensor's shape and dtype, which is copied."""
        tensor = self._input(tensor_index)
        array = np.asarray(value)
        if tensor.dtype is None or array.dtype != tensor.dtype:
            raise InputError(
                f"input '{tensor.name}': dtype {array.dtype} found, expected {tensor.dtype}; "
                f"convert it with x.astype(np.{tensor.dtype})"
            )
        if array.shape != tensor.shape:
            raise InputError(
                f"input '{tensor.name}': shape {array.shape} found, expected {tensor.shape}; "
                f"reshape it, or call resize_tensor_input({tensor_index}, {array.shape})"
            )
        self._values[tensor_index] = np.array(array, order="C")

    def get_tensor(self, tensor_index: int) -> Array:
        """A copy of any tensor's value: input, constant, intermediate or output."""
        if not 0 <= tensor_index < len(self.graph.tensors):
            raise InputError(
                f"tensor index {tensor_index} found, expected 0 to {len(self.graph.tensors) - 1}"
            )
        if tensor_index not in self._values:
            name = self.graph.tensors[tensor_index].name
            raise InputError(f"tensor '{name}' has no value yet; call set_tensor and invoke first")
        return self._values[tensor_index].copy()

    def invoke(self) -> None:
        """Execute all operators in order."""
        if not self._allocated:
            raise InputError("Interpreter: tensors are not allocated; call allocate_tensors() first")
        for index in self.graph.inputs:
            if index not in self._values:
                name = self.graph.tensors[index].name
                raise InputError(f"input '{name}' has not been set; call set_tensor({index}, ...) first")
        for position, operator in enumerate(self.graph.operators):
            self._execute(position, operator)

    def _execute(self, position: int, operator: Operator) -> None:
        inputs = [self._values.get(i) if i != ABSENT else None for i in operator.inputs]
        tensors = [self._tensor(i) for i in operator.inputs]
        where = f"operator {position} ({operator.type})"
        for index, tensor, value in zip(operator.inputs, tensors, inputs, strict=True):
            if index != ABSENT and value is None:
                raise GraphError(f"{where} reads tensor '{tensor and tensor.name}', which nothing writes")
        if position in self._deferred:
            values = zip(tensors, inputs, strict=True)
            self._infer(position, operator, [t and replace(t, data=value) for t, value in values])
        outputs = [self.graph.tensors[i] for i in operator.outputs]
        call = Call(operator, tensors, inputs, outputs, self.numerics, self._memory[position])
        results = kernels.evaluate(call, where)
        for index, result in zip(operator.outputs, results, strict=True):
            self._values[index] = result
            self.graph.tensors[index].shape = result.shape
        for hook in self._hooks:
            hook(position, operator, inputs, results)

    def run(self, inputs: Sequence[npt.ArrayLike]) -> list[Array]:
        """Feed all inputs in order, resize to their shapes if needed, invoke, return all outputs."""
        if len(inputs) != len(self.graph.inputs):
            raise InputError(f"run: {len(inputs)} inputs found, expected {len(self.graph.inputs)}")
        arrays = [np.asarray(value) for value in inputs]
        for index, array in zip(self.graph.inputs, arrays, strict=True):
            if array.shape != self.graph.tensors[index].shape:
                self.resize_tensor_input(index, array.shape, strict=True)
        if not self._allocated:
            self.allocate_tensors()
        for index, array in zip(self.graph.inputs, arrays, strict=True):
            self.set_tensor(index, array)
        self.invoke()
        return [self.get_tensor(index) for index in self.graph.outputs]

    def add_hook(self, hook: Hook) -> None:
        """Call `hook(position, operator, inputs, outputs)` after each operator."""
        self._hooks.append(hook)

    # --- details ----------------------------------------------------------------------------------

    def get_input_details(self) -> list[dict[str, Any]]:
        """What each input is: name, index, shape, dtype and quantization, as tf.lite returns it."""
        return [self._details(index) for index in self.graph.inputs]

    def get_output_details(self) -> list[dict[str, Any]]:
        """The same for each output."""
        return [self._details(index) for index in self.graph.outputs]

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """The same for every tensor."""
        return [self._details(index) for index in range(len(self.graph.tensors))]

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """The names of the inputs and outputs of each signature."""
        return {s.key: {"inputs": list(s.inputs), "outputs": list(s.outputs)} for s in self.graph.signatures}

    def get_signature_runner(self, signature_key: str | None = None) -> Callable[..., dict[str, Array]]:
        """A function that takes a signature's inputs by name and returns its outputs by name."""
        signature = self._signature(signature_key)

        def runner(**inputs: npt.ArrayLike) -> dict[str, Array]:
            if set(inputs) != set(signature.inputs):
                raise InputError(
                    f"signature '{signature.key}': inputs {sorted(inputs)} found, "
                    f"expected {sorted(signature.inputs)}"
                )
            by_index = {signature.inputs[name]: value for name, value in inputs.items()}
            self.run([by_index[index] for index in self.graph.inputs])
            return {name: self.get_tensor(index) for name, index in signature.outputs.items()}

        return runner

    def _signature(self, key: str | None) -> Signature:
        signatures = {s.key: s for s in self.graph.signatures if s.subgraph == 0}
        if key is None and len(signatures) == 1:
            return next(iter(signatures.values()))
        if key not in signatures:
            raise InputError(f"signature {key!r} found, expected one of {sorted(signatures)}")
        return signatures[key]

    def _details(self, index: int) -> dict[str, Any]:
        tensor = self.graph.tensors[index]
        quantized = tensor.quantized
        scales = quantized.scale if quantized else np.zeros(0, np.float32)
        zero_points = quantized.zero_point if quantized else np.zeros(0, np.int64)
        single = (float(scales[0]), int(zero_points[0])) if len(scales) == 1 else (0.0, 0)
        return {
            "name": tensor.name,
            "index": index,
            "shape": np.array(tensor.shape, np.int32),
            "shape_signature": np.array(tensor.shape_signature or tensor.shape, np.int32),
            "dtype": tensor.dtype.type if tensor.dtype is not None else None,
            "quantization": single,
            "quantization_parameters": {
                "scales": scales,
                "zero_points": zero_points.astype(np.int32),
                "quantized_dimension": quantized.quantized_dimension if quantized else 0,
            },
            "sparsity_parameters": tensor.extra.get("sparsity") or {},
        }

    def _tensor(self, index: int) -> Tensor | None:
        return None if index == ABSENT else self.graph.tensors[index]

    def _input(self, index: int) -> Tensor:
        if index not in self.graph.inputs:
            raise InputError(
                f"tensor index {index} is not an input; expected one of {self.graph.inputs} "
                "(see get_input_details)"
            )
        return self.graph.tensors[index]
