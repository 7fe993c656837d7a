"""Other implementations of the same operators, which confirm an expected answer: LiteRT and tflite-micro.

They are no dependency of ptq: where a package is not installed, nothing is confirmed by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ptq.format import dumps
from ptq.graph import Array, Graph
from ptq.oracle.problem import CONSTANT, STATE, Given, Problem
from ptq.oracle.same import same_bits
from ptq.oracle.unfit import beyond_litert, beyond_micro

ARENA = 1 << 24
"""Bytes for the tensors of a model in tflite-micro."""


@dataclass(frozen=True)
class Runtime:
    """An implementation: what it is called here, its package, which of its kernels it runs.

    run: gives the outputs, then the new values of the states; raises RuntimeError where it has no kernel.
    """

    name: str
    package: str
    kernels: str
    run: Callable[[Problem], list[Array]]

    @property
    def version(self) -> str | None:
        """The installed version; None if it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def label(self) -> str:
        """Package, version and kernels in one line."""
        return f"{self.package} {self.version}, {self.kernels}"


def _litert(resolver: str) -> Callable[[Problem], list[Array]]:
    def run(problem: Problem) -> list[Array]:
        if reason := beyond_litert(problem, resolver):
            raise RuntimeError(f"LiteRT: {reason}")
        litert = import_module("ai_edge_litert.interpreter")
        graph = problem.graph(checked=False)
        resolved = litert.OpResolverType[resolver]
        interpreter = litert.Interpreter(model_content=dumps(graph), experimental_op_resolver_type=resolved)
        interpreter.allocate_tensors()
        for index, array in _fed(problem, graph):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in _written(problem, graph)]

    return run


def _micro(problem: Problem) -> list[Array]:
    if any(given is not None and given.kind == STATE and not _at_rest(given) for given in problem.operands):
        raise RuntimeError("tflite-micro cannot be given a state")
    if reason := beyond_micro(problem):
        raise RuntimeError(f"tflite-micro: {reason}")
    graph = problem.graph(checked=False)
    runtime = import_module("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(dumps(graph), arena_size=ARENA)
    for position, (_, array) in enumerate(x for x in _fed(problem, graph) if x[0] in graph.inputs):
        interpreter.set_input(array, position)
    interpreter.invoke()
    return [np.array(interpreter.get_output(position)) for position in range(len(graph.outputs))]


def _at_rest(given: Given) -> bool:
    """Whether a state is the one that a model begins with: 0, as an integer its zero point."""
    quantized = given.quantization
    zero = 0 if quantized is None else int(quantized.zero_point[0])
    return bool((given.array == zero).all())


def _fed(problem: Problem, graph: Graph) -> list[tuple[int, Array]]:
    read = graph.operators[0].inputs
    return [
        (index, given.array)
        for index, given in zip(read, problem.operands, strict=True)
        if given is not None and given.kind != CONSTANT
    ]


def _written(problem: Problem, graph: Graph) -> list[int]:
    return [*graph.outputs, *(graph.operators[0].inputs[n] for n in problem.states)]


RUNTIMES = (
    Runtime("LiteRT reference", "ai-edge-litert", "BUILTIN_REF", _litert("BUILTIN_REF")),
    Runtime(
        "LiteRT optimized", "ai-edge-litert", "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
        _litert("BUILTIN_WITHOUT_DEFAULT_DELEGATES"),
    ),
    Runtime("LiteRT XNNPACK", "ai-edge-litert", "AUTO", _litert("AUTO")),
    Runtime("tflite-micro", "tflite-micro", "reference kernels", _micro),
)  # fmt: skip
"""Reference kernels first; AUTO is what a user gets who asks for nothing: XNNPACK's where it has one."""


def confirmed_by(runtime: Runtime, problem: Problem, expected: list[Array]) -> bool:
    """Whether a runtime computes the same bits: all outputs, and the states as far as it shows them."""
    try:
        found = runtime.run(problem)
    except (RuntimeError, ValueError, ImportError, NotImplementedError):
        return False
    return all(map(same_bits, found, expected))
