"""ptq convert: a float model in, a smaller one out, and what became of each operator."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ptq.arrays import read_samples
from ptq.cli.common import MODEL, add_command, is_tensorflows, load_model
from ptq.converter import Converter
from ptq.errors import InputError
from ptq.format import save
from ptq.graph import Graph, Operator
from ptq.inspect import decision_table
from ptq.observers import NAMED, observer_of
from ptq.passes.recipes import find_recipe
from ptq.terminal import table

FULL_INTEGER = "samples", "io", "per_tensor", "int16_activations", "observer", "quality"
"""The options that belong to --full-integer."""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    about = "convert a float model, with int8 or float16 weights or int8 throughout if wanted"
    examples = [
        "float.tflite -o small.tflite --post-training-quantize",
        "float.tflite -o small.tflite --full-integer --samples images.npy --io int8 --quality",
        "float.tflite -o small.tflite --post-training-quantize --skip 'head/*' --skip SVDF",
        "saved_model_dir -o small.tflite --post-training-quantize --signature serving_default",
    ]
    sub = add_command(commands, "convert", _run, about, examples)
    sub.add_argument("model", help=f"in float: {MODEL}")
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help="the .tflite file to write")
    sub.add_argument(
        "--signature", metavar="KEY",
        help="which of a SavedModel's signatures: serving_default, or the only one, if not given",
    )  # fmt: skip
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


def _run(arguments: argparse.Namespace) -> None:
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
    if arguments.signature is not None and not is_tensorflows(arguments.model):
        arguments.usage_error("--signature chooses one of a SavedModel of TensorFlow, which this is not")
    recipe = find_recipe(arguments.recipe or "current").name
    source, target = Path(arguments.model), Path(arguments.output)
    graph, content = load_model(arguments.model, arguments.signature)
    before = _size(source)  # the target may be the same file
    simple = content is not None or is_tensorflows(arguments.model)
    converter = Converter(graph) if simple else Converter.from_graph(graph)
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


def _size(path: Path) -> int:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(p.stat().st_size for p in files)
