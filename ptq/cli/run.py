"""ptq run: a model's outputs."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ptq.arrays import save_arrays, value_text
from ptq.cli.common import MODEL, add_command, add_inputs, given_inputs, load_model
from ptq.graph import Array, Graph, Signature
from ptq.interpreter import Interpreter
from ptq.signature_runner import find_signature
from ptq.terminal import printable


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "run a model on given or random inputs and show its outputs"
    examples = [
        "small.tflite --random 0",
        "small.tflite --input a.npy --input b.npy -o y.npy",
        "codec.tflite --signature decode --input code=a.npy",
    ]
    notes = "States (variables) start at zero: a run is one invocation."
    sub = add_command(commands, "run", _run, about, examples, notes)
    sub.add_argument("model", help=MODEL)
    add_inputs(sub)
    sub.add_argument(
        "--signature", metavar="KEY",
        help="run this signature instead of the main graph; `ptq inspect` lists them",
    )  # fmt: skip
    sub.add_argument(
        "-o", "--output", metavar="FILE.npy",
        help="save the output; with several outputs FILE_0.npy, FILE_1.npy, ...",
    )  # fmt: skip
    sub.add_argument("--top", metavar="K", type=int, default=5, help="how many of the largest values (5)")


def _run(arguments: argparse.Namespace) -> None:
    graph, _ = load_model(arguments.model, arguments.signature)
    interpreter = Interpreter(graph=graph)
    signature = None if arguments.signature is None else find_signature(graph, arguments.signature)
    entry = graph if signature is None else [graph, *graph.subgraphs][signature.subgraph]
    inputs = given_inputs(arguments, entry, signature)
    start = time.perf_counter()
    outputs = _outputs(interpreter, entry, signature, inputs)
    seconds = time.perf_counter() - start
    for title, (index, value) in outputs.items():
        print(value_text(f"output {title}", entry.tensors[index], value, arguments.top))
    print(f"{_amount(graph, entry)} in {1000 * seconds:.1f} ms")
    if arguments.output is not None:
        for path in save_arrays(arguments.output, [value for _, value in outputs.values()]):
            print(f"saved {printable(str(path))}")


def _outputs(
    interpreter: Interpreter, entry: Graph, signature: Signature | None, inputs: list[Array]
) -> dict[str, tuple[int, Array]]:
    """The tensor and the value of each output, by its position or by its name in the signature."""
    if signature is None:
        values = interpreter.run(inputs)
        return {str(i): pair for i, pair in enumerate(zip(entry.outputs, values, strict=True))}
    given = dict(zip(entry.inputs, inputs, strict=True))
    run = interpreter.get_signature_runner(signature.key)
    named = run(**{name: given[index] for name, index in signature.inputs.items()})
    return {repr(name): (signature.outputs[name], value) for name, value in named.items()}


def _amount(graph: Graph, entry: Graph) -> str:
    """How many operators run, outside and inside of other subgraphs, and how many states there are."""
    words = [f"{len(entry.operators)} operators"]
    if graph.subgraphs:
        total = sum(len(subgraph.operators) for subgraph in (graph, *graph.subgraphs))
        words.append(f"{total - len(entry.operators)} more in {len(graph.subgraphs)} subgraphs")
    states = sum(t.is_variable for g in (graph, *graph.subgraphs) for t in g.tensors)
    if states:
        words.append(f"{states} states that were zero before")
    return ", ".join(words)
