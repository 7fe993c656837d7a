"""ptq run: a model's outputs."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ptq.arrays import save_arrays, value_text
from ptq.cli.common import add_command, add_inputs, given_inputs, load_model
from ptq.graph import Graph
from ptq.interpreter import Interpreter
from ptq.terminal import printable


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "run a model on given or random inputs and show its outputs"
    examples = ["small.tflite --random 0", "small.tflite --input a.npy --input b.npy -o y.npy"]
    notes = "States (variables) start at zero: a run is one invocation."
    sub = add_command(commands, "run", _run, about, examples, notes)
    sub.add_argument("model", help="a .tflite file, or a directory saved by ptq.save_directory")
    add_inputs(sub)
    sub.add_argument(
        "-o", "--output", metavar="FILE.npy",
        help="save the output; with several outputs FILE_0.npy, FILE_1.npy, ...",
    )  # fmt: skip
    sub.add_argument("--top", metavar="K", type=int, default=5, help="how many of the largest values (5)")


def _run(arguments: argparse.Namespace) -> None:
    graph, _ = load_model(arguments.model)
    interpreter = Interpreter(graph=graph)
    inputs = given_inputs(arguments, graph)
    start = time.perf_counter()
    outputs = interpreter.run(inputs)
    seconds = time.perf_counter() - start
    for position, (index, value) in enumerate(zip(graph.outputs, outputs, strict=True)):
        print(value_text(f"output {position}", graph.tensors[index], value, arguments.top))
    print(f"{_amount(graph)} in {1000 * seconds:.1f} ms")
    if arguments.output is not None:
        for path in save_arrays(arguments.output, outputs):
            print(f"saved {printable(str(path))}")


def _amount(graph: Graph) -> str:
    """How many operators a model has, outside and inside of subgraphs, and states."""
    words = [f"{len(graph.operators)} operators"]
    if graph.subgraphs:
        inner = sum(len(subgraph.operators) for subgraph in graph.subgraphs)
        words.append(f"{inner} more in {len(graph.subgraphs)} subgraphs")
    states = sum(t.is_variable for g in (graph, *graph.subgraphs) for t in g.tensors)
    if states:
        words.append(f"{states} states that were zero before")
    return ", ".join(words)
