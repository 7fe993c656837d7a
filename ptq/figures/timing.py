"""How candidates are timed side by side: what runs a model in ptq and in LiteRT, and medians of both.

LiteRT is no dependency of ptq: it is imported when it is asked for.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from ptq.graph import Array
from ptq.interpreter import Interpreter
from ptq.numerics import LITERT_REFERENCE, Numerics

Runner = Callable[[], Array]
"""Runs a model once on an input that it knows; returns the first output."""

RESOLVERS = {
    "LiteRT BUILTIN_REF": "BUILTIN_REF",
    "LiteRT optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "LiteRT XNNPACK": "AUTO",
}
"""LiteRT's kernels by their names here: the readable ones, the fast ones of old, and what runs by default."""


PROCESSOR_TIME = time.perf_counter if sys.platform == "win32" else time.process_time
"""A clock that stands still while other programs run; that of Windows ticks too rarely for it."""


def litert_version() -> str | None:
    """The installed version of LiteRT; None if it is not installed."""
    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return None


def litert_runner(content: bytes, resolver: str, x: Array) -> Runner:
    """A model in LiteRT, on one thread; resolver: a value of RESOLVERS."""
    litert = import_module("ai_edge_litert.interpreter")
    kernels = litert.OpResolverType[resolver]
    interpreter = litert.Interpreter(
        model_content=content, experimental_op_resolver_type=kernels, num_threads=1
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    output = interpreter.get_output_details()[0]["index"]

    def run() -> Array:
        interpreter.invoke()
        result: Array = interpreter.get_tensor(output)
        return result

    return run


def ptq_runner(content: bytes, x: Array, numerics: Numerics = LITERT_REFERENCE) -> Runner:
    """A model in ptq's interpreter; as many threads as BLAS is allowed, which for `ptq` is one."""
    interpreter = Interpreter(model_content=content, numerics=numerics)
    return lambda: interpreter.run([x])[0]


def interleaved_medians(
    runners: Mapping[str, Runner], rounds: int, done: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:  # fmt: skip
    """The median seconds of each runner over `rounds` rounds, after one that is not counted.

    In a round each runs once, so that a change of the machine's speed meets all of them. done: called after
    each run. clock: gives seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, run in runners.items():
            start = clock()
            run()
            if number:
                times[name].append(clock() - start)
            done()
    return {name: statistics.median(values) for name, values in times.items()}
