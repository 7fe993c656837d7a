"""Runs a graph in TensorFlow Lite for Microcontrollers, as its Python package has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import ptq.format
from ptq.graph import Array, Graph

ARENA = 1 << 24
"""Bytes for the tensors of a model."""


def micro_interpreter(graph: Graph) -> Any:
    """An interpreter with all of micro's reference kernels."""
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(ptq.format.dumps(graph), arena_size=ARENA)


def run_micro(graph: Graph, inputs: Sequence[Array], interpreter: Any = None) -> list[Array]:
    """The outputs of `graph` for `inputs`; with an interpreter, its states go on."""
    interpreter = interpreter or micro_interpreter(graph)
    for position, value in enumerate(inputs):
        interpreter.set_input(value, position)
    interpreter.invoke()
    return [np.array(interpreter.get_output(position)) for position in range(len(graph.outputs))]
