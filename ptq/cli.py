"""The command line: convert, run, inspect, compare, demo.

Exit status: 0; 1 for what the user can mend (one line on standard error); 2 for wrong usage; 130 after
Ctrl-C and 141 if the reader of the output went away, as shells count those.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from textwrap import fill
from typing import Any

from ptq.arrays import random_inputs, read_array, read_samples, save_arrays, value_text
from ptq.compare import compare
from ptq.converter import Converter
from ptq.demo import DEFAULT, SUBJECTS, demo
from ptq.errors import InputError, PtqError
from ptq.format import load, load_directory, save
from ptq.format.files import read_file
from ptq.graph import Array, Graph, Operator
from ptq.inspect import decision_table, describe
from ptq.interpreter import Interpreter
from ptq.observers import NAMED, observer_of
from ptq.passes.recipes import find_recipe
from ptq.terminal import printable, table, wrapped

EPILOG = "Every command explains itself: ptq COMMAND --help. A first look: ptq demo"
INTERRUPTED, READER_GONE = 130, 141
FULL_INTEGER = "samples", "io", "per_tensor", "int16_activations", "observer", "quality"
"""The options that belong to --full-integer."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; `argv` without the program's name, default `sys.argv[1:]`. Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows fewer letters than a file
    try:
        try:
            arguments = parser().parse_args(argv)
            arguments.command(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # whatever is still buffered goes nowhere; else Python complains about it while it shuts down
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (PtqError, OSError, MemoryError) as error:
        print(f"ptq: error: {printable(str(error) or 'out of memory')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ptq: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    about = "TensorFlow Lite's post-training quantization as readable, bit-exact NumPy."
    top = argparse.ArgumentParser("ptq", description=about, epilog=EPILOG, allow_abbrev=False)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_convert(commands)
    _add_run(commands)
    _add_inspect(commands)
    _add_compare(commands)
    return top


class _Version(argparse.Action):
    """--version; reading the installed metadata takes time that no other command should spend."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"ptq {version('ptq')}")
        except PackageNotFoundError:
            print("ptq, version unknown: run from a source tree that is not installed")
        parser.exit()


def _command(
    commands: Any, name: str, run: Any, about: str, examples: Sequence[str], notes: str = ""
) -> argparse.ArgumentParser:
    lines = [f"  ptq {name} {example}".rstrip() for example in examples]
    sub: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join([*([fill(notes, 79), ""] if notes else []), "examples:", *lines]),
    )  # fmt: skip
    sub.set_defaults(command=run, usage_error=sub.error)
    return sub


def _add_demo(commands: Any) -> None:
    about = "quantize a shipped classifier and show what it costs and saves"
    sub = _command(commands, "demo", _demo, about, ["", "--model country_lstm --figure sizes.png"])
    sub.add_argument("-o", "--output", metavar="DIR", default="ptq-demo", help="for the files (ptq-demo)")
    sub.add_argument("--model", choices=SUBJECTS, default=DEFAULT, help=f"of clothes or of names ({DEFAULT})")
    sub.add_argument("--images", metavar="N", type=int, default=2000, help="test examples, 1 to 2000 (2000)")
    sub.add_argument("--figure", metavar="FILE", help="draw sizes and accuracies (needs matplotlib)")


def _add_convert(commands: Any) -> None:
    about = "convert a float model, with int8 or float16 weights or int8 throughout if wanted"
    examples = [
        "float.tflite -o small.tflite --post-training-quantize",
        "float.tflite -o small.tflite --full-integer --samples images.npy --io int8 --quality",
        "float.tflite -o small.tflite --post-training-quantize --skip 'head/*' --skip SVDF",
        "saved_model -o half.tflite --float16",
    ]
    sub = _command(commands, "convert", _convert, about, examples)
    sub.add_argument("model", help="a float .tflite file, or a directory saved by ptq.save_directory")
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help="the .tflite file to write")
    smaller = sub.add_mutually_exclusive_group()
    smaller.add_argument(
        "--post-training-quantize", action="store_true",
        help="int8 weights, a quarter of the size, for hybrid arithmetic",
    )  # fmt: skip
    smaller.add_argument(
        "--float16", action="store_true", help="float16 weights, half the size; the arithmetic stays float"
    )
    smaller.add_argument(
        "--full-integer", action="store_true", help="int8 weights and activations, integer arithmetic"
    )
    _add_full_integer(sub)
    sub.add_argument(
        "--recipe",
        help="current: a scale for each output channel, as TensorFlow's converter does today (default); "
        "2018: a scale for each tensor, as its first release did",
    )
    sub.add_argument(
        "--skip", metavar="NAME", action="append", default=[],
        help="keep the float weights of operators whose type, or name of their first output, is NAME, "
        "in which * stands for any letters and ? for one; may be given several times",
    )  # fmt: skip
    sub.add_argument("--verbose", action="store_true", help="a line for each operator, however many")


def _add_full_integer(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("with --full-integer")
    group.add_argument(
        "--samples", metavar="FILE", action="append", default=[],
        help="inputs to learn ranges from, which the first dimension counts: a .npy file for each input in "
        "the model's order, or one .npz file of arrays with the inputs' names",
    )  # fmt: skip
    group.add_argument(
        "--io", choices=["float", "int8", "uint8", "int16"], help="what the model takes and returns (float)"
    )
    group.add_argument("--per-tensor", action="store_true", help="one scale for all channels of a layer")
    group.add_argument("--int16-activations", action="store_true", help="more accurate, and slower")
    names = ", ".join(NAMED)
    group.add_argument("--observer", metavar="NAME", help=f"how ranges follow: {names} (min-max)")
    group.add_argument("--quality", action="store_true", help="show what it costs each layer")


def _add_run(commands: Any) -> None:
    about = "run a model on given or random inputs and show its outputs"
    examples = ["small.tflite --random 0", "small.tflite --input a.npy --input b.npy -o y.npy"]
    notes = "States (variables) start at zero: a run is one invocation."
    sub = _command(commands, "run", _run, about, examples, notes)
    sub.add_argument("model", help="a .tflite file, or a directory saved by ptq.save_directory")
    _add_inputs(sub)
    sub.add_argument(
        "-o", "--output", metavar="FILE.npy",
        help="save the output; with several outputs FILE_0.npy, FILE_1.npy, ...",
    )  # fmt: skip
    sub.add_argument("--top", metavar="K", type=int, default=5, help="how many of the largest values (5)")


def _add_inspect(commands: Any) -> None:
    about = "show a model's inputs and outputs, operators, tensors, quantization and bytes"
    sub = _command(commands, "inspect", _inspect, about, ["small.tflite", "small.tflite --verbose"])
    sub.add_argument("model", help="a .tflite file, or a directory saved by ptq.save_directory")
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _add_compare(commands: Any) -> None:
    about = "run two models on the same inputs and find where their tensors part"
    notes = (
        "max error: the largest |a - b|. SQNR: 10 log10(sum a^2 / sum (a - b)^2), in dB; 20 dB is noise with "
        "a hundredth of the signal's power. Two operators are named: the first whose outputs are not "
        "bit-identical, and the first whose SQNR is below the threshold. Tensors are matched by name, else "
        "by order where operator and shape agree. States (variables) of both models start at zero."
    )
    examples = ["float.tflite small.tflite --random 0", "float.tflite small.tflite --input x.npy"]
    sub = _command(commands, "compare", _compare, about, examples, notes)
    sub.add_argument("a", help="the reference: a .tflite file, or a directory saved by ptq.save_directory")
    sub.add_argument("b", help="the model to judge, likewise")
    _add_inputs(sub)
    sub.add_argument("--threshold", metavar="DB", type=float, default=20.0, help="SQNR in dB (20)")
    sub.add_argument("--verbose", action="store_true", help="names in full, however wide the table becomes")


def _add_inputs(sub: argparse.ArgumentParser) -> None:
    source = sub.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", metavar="FILE.npy", action="append", help="an input; once for each, in the model's order"
    )
    source.add_argument(
        "--random", metavar="SEED", type=int,
        help="inputs from NumPy's generator: floats normally distributed, quantized integers uniform, "
        "other integers 0 or 1",
    )  # fmt: skip


def _demo(arguments: argparse.Namespace) -> None:
    print(demo(arguments.output, arguments.images, arguments.figure, arguments.model))


def _convert(arguments: argparse.Namespace) -> None:
    if arguments.recipe is not None and not arguments.post_training_quantize:
        arguments.usage_error("--recipe belongs to --post-training-quantize: give both or neither")
    quantizes = arguments.post_training_quantize or arguments.float16 or arguments.full_integer
    if arguments.skip and not quantizes:
        arguments.usage_error("--skip belongs to --post-training-quantize, --float16 or --full-integer")
    given = [name.replace("_", "-") for name in FULL_INTEGER if getattr(arguments, name)]
    if given and not arguments.full_integer:
        arguments.usage_error(f"--{given[0]} belongs to --full-integer")
    if arguments.full_integer and not arguments.samples:
        arguments.usage_error("--full-integer needs --samples, from which the ranges of activations follow")
    recipe = find_recipe(arguments.recipe or "current").name
    source, target = Path(arguments.model), Path(arguments.output)
    graph, content = _load(arguments.model)
    before = _size(source)  # the target may be the same file
    converter = Converter(graph) if content is not None else Converter.from_graph(graph)
    converter.post_training_quantize, converter.recipe = arguments.post_training_quantize, recipe
    converter.float16, skip = arguments.float16, _Skip(arguments.skip)
    converter.skip = skip if arguments.skip else None
    if arguments.full_integer:
        _set_full_integer(arguments, converter, graph)
    converted = converter.convert_to_graph()
    skip.check()
    save(converted, target)
    after = target.stat().st_size
    rows = [[arguments.model, f"{before:,}", "1"], [arguments.output, f"{after:,}", f"{after / before:.3f}"]]
    print(table(["", "bytes", "ratio"], rows, {"bytes", "ratio"}, cut=""))
    print()
    print(decision_table(converter.report, arguments.verbose))
    if arguments.quality:
        samples = converter.representative_dataset
        converter.representative_dataset = None  # the ranges are known by now
        print(f"\n{converter.quality(samples)}")


def _set_full_integer(arguments: argparse.Namespace, converter: Converter, graph: Graph) -> None:
    border = arguments.io if arguments.io not in (None, "float") else "float32"
    converter.representative_dataset = read_samples(arguments.samples, graph)
    converter.inference_input_type = converter.inference_output_type = border
    converter.per_channel = not arguments.per_tensor
    converter.activations = "int16" if arguments.int16_activations else "int8"
    converter.observer = observer_of(arguments.observer or "min-max")


class _Skip:
    """Whether --skip names an operator; remembers which patterns did."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.unused = dict.fromkeys(patterns)
        self.patterns = tuple(self.unused)

    def __call__(self, operator: Operator, name: str) -> bool:
        kind = operator.custom_code or operator.type
        found = [p for p in self.patterns if fnmatchcase(kind, p) or fnmatchcase(name, p)]
        for pattern in found:
            self.unused.pop(pattern, None)
        return bool(found)

    def check(self) -> None:
        """InputError for a pattern that no operator matched: more likely a slip than a wish."""
        if self.unused:
            raise InputError(
                f"--skip {next(iter(self.unused))!r}: no such operator; expected an operator's type or the "
                "name of its first output; `ptq inspect --verbose` shows both"
            )


def _run(arguments: argparse.Namespace) -> None:
    graph, _ = _load(arguments.model)
    interpreter = Interpreter(graph=graph)
    inputs = _inputs(arguments, graph)
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


def _inspect(arguments: argparse.Namespace) -> None:
    graph, content = _load(arguments.model)
    print(describe(graph, arguments.model, content, _columns(arguments)))


def _compare(arguments: argparse.Namespace) -> None:
    (a, _), (b, _) = _load(arguments.a), _load(arguments.b)
    comparison = compare(a, b, _inputs(arguments, a), arguments.threshold)
    print(wrapped(f"a: {arguments.a}"), wrapped(f"b: {arguments.b}"), sep="\n", end="\n\n")
    print(comparison.text(_columns(arguments)))


def _load(path: str) -> tuple[Graph, bytes | None]:
    """A model and the bytes that it came from; None for a directory, which is no single file."""
    if Path(path).is_dir():
        return load_directory(path), None
    content = read_file(path, "a .tflite file")
    try:
        return load(content), content
    except PtqError as error:
        raise type(error)(f"'{path}': {error}") from error


def _inputs(arguments: argparse.Namespace, graph: Graph) -> list[Array]:
    if arguments.random is not None:
        return random_inputs(graph, arguments.random)
    return [read_array(path) for path in arguments.input]


def _columns(arguments: argparse.Namespace) -> int | None:
    return 0 if arguments.verbose else None


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else path.stat().st_size
