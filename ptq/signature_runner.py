"""A model's signatures: which there are, and each as a function of arrays by name.

Every signature runs a subgraph of its own: TensorFlow's converter makes one for each `tf.function` that was
saved. What is shared between them are the resource variables (ASSIGN_VARIABLE).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from ptq.errors import InputError
from ptq.executor import Program
from ptq.graph import Graph, Signature
from ptq.tensor_access import check_fed, details, feed, read, resize

Array = npt.NDArray[Any]


def signature_list(graph: Graph) -> dict[str, dict[str, list[str]]]:
    """The names of each signature's inputs and outputs, sorted.

    Source: `tflite/core/signature_runner.h`, whose SignatureDef keeps them in a std::map.
    """
    return {s.key: {"inputs": sorted(s.inputs), "outputs": sorted(s.outputs)} for s in graph.signatures}


def find_signature(graph: Graph, key: str | None = None) -> Signature:
    """The signature of that key, None for the only one; InputError that lists the keys."""
    keys = [signature.key for signature in graph.signatures]
    if not keys:
        raise InputError(
            f"signature {key!r}: the model has no signatures; feed its inputs in order, with Interpreter.run"
        )
    if key is None and len(keys) > 1:
        raise InputError(f"no signature chosen, but the model has {len(keys)}; expected one of {keys}")
    if key is not None and key not in keys:
        raise InputError(f"signature {key!r} found, expected one of {keys}")
    return graph.signatures[0 if key is None else keys.index(key)]


def input_names(graph: Graph, given: Collection[str]) -> dict[str, int]:
    """The main graph's inputs by the names that are given: those of their tensors, or of a signature.

    Where neither fits, the names that are expected: those of the first signature, if there is one.
    """
    tensors = {graph.tensors[index].name: index for index in graph.inputs}
    signatures = [signature.inputs for signature in graph.signatures if signature.subgraph == 0]
    for names in (tensors, *signatures):
        if names.keys() == set(given):
            return names
    return signatures[0] if signatures else tensors


class SignatureRunner:
    """A signature as a function: `runner(x=array, y=array)` returns the outputs by name.

    The inputs take the shapes of the arrays, as with `resize_tensor_input`. States and resource variables
    last from call to call. `Interpreter.get_signature_runner` makes one.
    Source: `tflite/python/interpreter.py`, SignatureRunner.
    """

    def __init__(self, program: Program, signature: Signature) -> None:
        self._program = program
        self._executor = program.executors[signature.subgraph]
        self._key, self._subgraph = signature.key, signature.subgraph
        self._inputs = dict(sorted(signature.inputs.items()))
        self._outputs = dict(sorted(signature.outputs.items()))

    def __call__(self, /, **inputs: npt.ArrayLike) -> dict[str, Array]:
        """Run the signature's subgraph on these inputs; InputError unless exactly its inputs are given."""
        missing, unknown = self._inputs.keys() - inputs.keys(), inputs.keys() - self._inputs.keys()
        if missing or unknown:
            raise InputError(
                f"signature '{self._key}': inputs {sorted(missing)} missing, {sorted(unknown)} unknown; "
                f"expected {list(self._inputs)}"
            )
        arrays = {self._inputs[name]: np.asarray(value) for name, value in inputs.items()}
        for index, array in arrays.items():
            resize(self._executor, index, array.shape, strict=False)
        self._program.allocate(self._subgraph)
        for index, array in arrays.items():
            feed(self._executor, index, array)
        check_fed(self._executor)
        self._program.invoke(self._subgraph)
        return {name: read(self._executor, index) for name, index in self._outputs.items()}

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """What each input is, by its name in the signature; see `Interpreter.get_input_details`."""
        return self._details(self._inputs)

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """The same for each output."""
        return self._details(self._outputs)

    def _details(self, names: dict[str, int]) -> dict[str, dict[str, Any]]:
        tensors = self._executor.graph.tensors
        return {name: details(tensors[index], index) for name, index in names.items()}
